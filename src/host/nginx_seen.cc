#include "host/nginx_seen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace hr::host {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

struct Word {
  std::string text;
  char sign = 0;  // '{', '}' or ';' instead of a word; 0: a word
};

// nginx's own words: a comment begins where a word could, quotes have a backslash, "${" is part of a word.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  // None at the end, or where a quoted word does not end.
  std::optional<Word> next() {
    skip();
    if (rest_.empty()) return {};
    const char c = rest_.front();
    if (c == '{' || c == '}' || c == ';') {
      rest_.remove_prefix(1);
      return Word{.text = {}, .sign = c};
    }
    return c == '"' || c == '\'' ? quoted(c) : bare();
  }
  bool broken() const { return broken_; }

 private:
  void skip() {
    for (;;) {
      rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
      if (!rest_.starts_with('#')) return;
      rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
    }
  }

  std::optional<Word> quoted(char quote) {
    Word out;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == quote) {
        rest_.remove_prefix(i + 1);
        return out;
      }
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      out.text += rest_[i];
    }
    broken_ = true;
    return {};
  }

  Word bare() {
    std::size_t i = 0;
    for (; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '\\') {
        ++i;
      } else if (kBlanks.contains(c) || c == ';' || (c == '{' && (i == 0 || rest_[i - 1] != '$'))) {
        break;
      }
    }
    i = std::min(i, rest_.size());
    Word out{.text = std::string(rest_.substr(0, i))};
    rest_.remove_prefix(i);
    return out;
  }

  std::string_view rest_;
  bool broken_ = false;
};

constexpr std::array<std::string_view, 5> kPasses = {"proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass",
                                                     "scgi_pass"};

// One directive that ends with ';', and the blocks that it stands in, from the outermost.
void keep(NginxSeen& out, const std::vector<std::vector<std::string>>& blocks,
          const std::vector<std::string>& words) {
  if (words.size() < 2 || blocks.empty()) return;
  const std::vector<std::string>& block = blocks.back();
  if (block.front() == "server" && words[0] == "listen") out.listens.insert(words[1]);
  if (block.front() == "server" && words[0] == "server_name")
    out.names.insert(words.begin() + 1, words.end());
  if (block.front() == "upstream" && block.size() > 1 && words[0] == "server")
    out.servers.insert(fmt::format("{} {}", block[1], words[1]));
  if (std::ranges::find(kPasses, words[0]) != kPasses.end()) out.passes.insert(words[1]);
}

// What nginx says beside the configuration: "nginx: [warn] ..."; and the files that it prints, by their
// headings.
std::string without_remarks(std::string_view text, std::set<std::string>& files) {
  constexpr std::string_view kHeading = "# configuration file ";
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    std::string_view line = text.substr(0, end);
    if (!line.starts_with("nginx: ")) out += line;
    if (line.starts_with(kHeading) && line.ends_with(":\n"))
      files.emplace(line.substr(kHeading.size(), line.size() - kHeading.size() - 2));
    text.remove_prefix(end);
  }
  return out;
}

}  // namespace

std::optional<NginxSeen> parse_nginx(std::string_view text) {
  NginxSeen out;
  const std::string configuration = without_remarks(text, out.files);
  Words words(configuration);
  std::vector<std::vector<std::string>> blocks;
  std::vector<std::string> directive;
  bool any = false;
  while (const auto word = words.next()) {
    any = true;
    if (word->sign == 0) {
      directive.push_back(word->text);
      continue;
    }
    if (word->sign == '{' && directive.empty()) return {};
    if (word->sign == '}' && (blocks.empty() || !directive.empty())) return {};
    if (word->sign == '{') blocks.push_back(directive);
    if (word->sign == '}') blocks.pop_back();
    if (word->sign == ';') keep(out, blocks, directive);
    directive.clear();
  }
  if (!any || words.broken() || !blocks.empty() || !directive.empty()) return {};
  return out;
}

std::string nginx_file(std::string_view command_line) {
  // nginx writes its title over the arguments: there may be blanks between them, or zeros.
  std::string text(command_line);
  std::ranges::replace(text, '\0', ' ');
  const std::size_t at = text.find(" -c ");
  if (at == text.npos) return "";
  const std::size_t begin = text.find_first_not_of(' ', at + 4);
  if (begin == text.npos) return "";
  return text.substr(begin, text.find(' ', begin) - begin);
}

}  // namespace hr::host
