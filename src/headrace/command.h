// One command of the program: what its command line takes, and what it does. Each has its own file,
// NAME_command.cc, and its line in commands.cc.
#pragma once

#include "headrace/commands.h"

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace hr {

struct Command {
  CLI::App* line = nullptr;  // chosen when it was parsed
  std::function<int()> run;  // an exit code (headrace/commands.h)
};

// Each adds its subcommand to `app`.
Command up_command(CLI::App& app);
Command store_command(CLI::App& app);
Command api_command(CLI::App& app);
Command jobs_command(CLI::App& app);
Command web_command(CLI::App& app);
Command worker_command(CLI::App& app);
Command python_command(CLI::App& app);
Command keys_command(CLI::App& app);
Command host_command(CLI::App& app);
Command diagram_command(CLI::App& app);
Command doctor_command(CLI::App& app);
Command manual_command(CLI::App& app);

// What commands share.
extern const char* const kVersion;            // "0.1.0"
int usage_error(const std::string& message);  // on standard error; the exit code

}  // namespace hr
