// The command line as pages and completions, made from its own definition, so that they cannot tell another
// story: man pages in roff, completion for bash, zsh and fish. Pure functions of the definition.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace hr {

// File name and text of each: headrace.1, headrace-store.1, ...
std::vector<std::pair<std::string, std::string>> man_pages(const CLI::App& app, const std::string& version);

std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

}  // namespace hr
