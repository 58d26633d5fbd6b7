// Values that mean something to nginx, systemd, a shell or a script, through every renderer: what is accepted
// stands in the files exactly where an ordinary value would stand, and everything else is refused by its
// place.
#include "host/certificate.h"
#include "host/checks.h"
#include "host/folder_test.h"
#include "host/machine.h"
#include "host/render/host.h"
#include "os/linux/linux.h"
#include "os/linux/process.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

namespace hr::host {
namespace {

struct Slot {
  const char* table;
  const char* key;
  const char* ordinary;  // occurs nowhere else in the files
  bool list;
};

constexpr std::array kSlots = {
    Slot{"app", "name", "ordinary-app", false},
    Slot{"app", "root", "/ordinary-root", false},
    Slot{"app", "python", "/ordinary-python", false},
    Slot{"app", "user", "ordinary-user", false},
    Slot{"app", "writable", "/ordinary-writable", true},
    Slot{"store", "region", "ordinary-region", false},
    Slot{"site", "names", "ordinary-name", true},
    Slot{"site", "store_names", "ordinary-store", true},
    Slot{"site", "certificate", "/ordinary-certificate", false},
    Slot{"site", "key", "/ordinary-key", false},
    Slot{"site", "files", "/ordinary-files", false},
    Slot{"site", "console", "192.0.2.0/24", true},
    Slot{"site", "trusted_proxies", "198.51.100.0/24", true},
    Slot{"host", "operators", "ordinary-operators", false},
    Slot{"host", "time", "ordinary-time", false},
    Slot{"host", "logs_authority", "/ordinary-authority", false},
    Slot{"host", "logs_to", "ordinary-logs.example", false},  // and a port
};

constexpr std::size_t kNames = 6;
static_assert(std::string_view(kSlots[kNames].key) == "names");

class Hostile : public testing::Test {
 protected:
  // Half of those for a network are one: of letters hardly any would be.
  std::string value(std::size_t slot) {
    const bool network = std::string_view(kSlots[slot].ordinary).ends_with("/24");
    return network && pick(2) == 0 ? fmt::format("10.{}.{}.0/24", pick(256), pick(256)) : value();
  }

  // Pieces that some program takes for more than a letter, between letters.
  std::string value() {
    static const std::vector<std::string> kPieces = {
        ";", "{",  "}",  "$",       "%",     "\"",   "'",    "`",  "\\",   "\n", "\r", "\t",
        " ", "#",  "*",  "?",       "[",     "]",    "<",    ">",  "|",    "&",  "(",  ")",
        ":", "%n", "%%", "${HOME}", "$(id)", "\x7f", "\x01", "//", "/../", "..", "é",  "\u2028",
        "-", "_",  ".",  "/",       "@",     "~",    "+",    ",",  "=",    "!",  "^"};
    static constexpr std::string_view kLetters = "abcxyzABC0189";
    static constexpr std::string_view kHarmless = "-_.@~+,=";
    const bool tame = pick(2) == 0;  // else hardly any would be accepted
    std::string out = pick(2) == 0 ? "/" : "";
    for (std::size_t i = 0, n = 1 + pick(12); i < n; ++i) {
      if (pick(3) != 0) {
        out += kLetters[pick(kLetters.size())];
      } else if (tame) {
        out += kHarmless[pick(kHarmless.size())];
      } else {
        out += kPieces[pick(kPieces.size())];
      }
    }
    return out;
  }

  std::size_t pick(std::size_t below) { return random() % below; }

  static std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
      } else {
        out += c;
      }
    }
    return out + "\"";
  }

  static std::string assignment(std::size_t slot, const std::string& value) {
    const std::string_view key = kSlots[slot].key;
    const std::string text = quoted(key == "logs_to" ? value + ":6514" : value);
    return fmt::format("{} = {}\n", key, kSlots[slot].list ? "[" + text + "]" : text);
  }

  using Values = std::array<std::string, kSlots.size()>;

  // One key a line, so that a refusal can be told by its line.
  static std::string configuration(const Values& values) {
    std::string out = "[web]\napp = \"a:b\"\n[worker.default]\nmodules = [\"a\"]\n";
    std::string table;
    for (std::size_t i = 0; i < kSlots.size(); ++i) {
      if (table != kSlots[i].table) out += fmt::format("[{}]\n", table = kSlots[i].table);
      out += assignment(i, values[i]);
    }
    return out;
  }

  // With one value alone: most are refused, and the rest of the file would only take time.
  static Result<Machine> machine(std::size_t slot, const std::string& value) {
    const std::string_view key = kSlots[slot].key;
    std::string file = fmt::format("[{}]\n{}", kSlots[slot].table, assignment(slot, value));
    if (key == "certificate") file += "key = \"/key\"\n";  // one goes with the other
    if (key == "key") file += "certificate = \"/certificate\"\n";
    if (key == "logs_to") file += "logs_authority = \"/authority\"\n";
    HR_ASSIGN(Config config, parse_config(file, "/h.toml"));
    if (key != "root") config.app.root = "/";  // else ".", which whoever reads the file resolves
    return machine_of(config, {});
  }

  static Result<Machine> machine(const Values& values) {
    HR_ASSIGN(const Config config, parse_config(configuration(values), "/h.toml"));
    return machine_of(config, {});
  }

  static Values ordinary() {
    Values out;
    for (std::size_t i = 0; i < kSlots.size(); ++i) out[i] = kSlots[i].ordinary;
    return out;
  }

  std::mt19937_64 random{20'240'229};
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

TEST_F(Hostile, a_hundred_thousand_values_are_refused_by_their_place_or_stand_where_an_ordinary_one_stands) {
  const auto plain = render_host(*machine(ordinary()));
  std::vector<std::vector<std::string>> accepted(kSlots.size());
  int refused = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::size_t slot = pick(kSlots.size());
    const std::string each = value(slot);
    const auto made = machine(slot, each);
    if (made) {
      accepted[slot].push_back(each);
      continue;
    }
    ++refused;
    const std::string& message = made.error().message;
    ASSERT_TRUE(message.starts_with("/h.toml:")) << message;
    ASSERT_NE(message.find(std::string(kSlots[slot].table) + "." + kSlots[slot].key), std::string::npos)
        << message;
  }
  EXPECT_GT(refused, 50'000);
  // Each that was accepted, with others in every other place at once.
  std::size_t rounds = 0;
  for (const auto& each : accepted) rounds = std::max(rounds, each.size());
  for (std::size_t round = 0; round < rounds; ++round) {
    Values values;
    for (std::size_t i = 0; i < kSlots.size(); ++i) {
      ASSERT_FALSE(accepted[i].empty()) << kSlots[i].key;
      values[i] = accepted[i][round % accepted[i].size()];
    }
    const auto made = machine(values);
    ASSERT_TRUE(made) << made.error().message;
    const auto files = render_host(*made);
    ASSERT_EQ(files.size(), plain.size());
    for (std::size_t f = 0; f < files.size(); ++f) {
      std::string expected = plain[f].text;
      for (std::size_t i = 0; i < kSlots.size(); ++i)
        expected = replaced(expected, kSlots[i].ordinary, values[i]);
      ASSERT_EQ(files[f].text, expected) << files[f].path;
    }
  }
}

TEST_F(Hostile, every_program_takes_files_with_accepted_values_in_every_place) {
  const TestFolder folder;
  Tree scratch = *Tree::open(folder.path);
  const auto made = make_self_signed({"a"}, from_ms(1'900'000'000'000), *os::make_entropy());
  const auto processes = os::make_processes();
  const auto tools = make_tools(*processes, path_variable());
  int asked = 0;
  for (int round = 0; round < 8; ++round) {
    Values values;
    for (std::size_t i = 0; i < kSlots.size(); ++i) {
      while (values[i].empty() || !machine(i, values[i])) values[i] = value(i);
    }
    Machine of = *machine(values);
    of.facts.program = "/bin/true";  // systemd looks for it
    const auto files = render_host(of);
    for (const Check check : checks_of(of)) {
      const auto found = run_check(check, {.machine = of,
                                           .files = files,
                                           .scratch = scratch,
                                           .tools = *tools,
                                           .stand = {.certificate = made->certificate, .key = made->key}});
      const bool absent =
          !found && (found.error().code == Errc::kNotFound || found.error().code == Errc::kPermission);
      if (absent) continue;
      ++asked;
      ASSERT_TRUE(found) << found.error().message;
      EXPECT_EQ(*found, "") << name_of(check) << "\n" << configuration(values);
    }
  }
  if (asked == 0) GTEST_SKIP() << "none of the programs is installed";
}

TEST_F(Hostile, nginx_understands_hundreds_of_accepted_names_as_they_were_said) {
  std::vector<std::string> names;
  while (names.size() < 300) {
    std::string name = value();
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (machine(kNames, name) && std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  Config config = *parse_config("[web]\napp = \"a:b\"\n", "/h.toml");
  config.app.root = "/srv";
  config.site.names = names;
  const Machine of = *machine_of(config, {});
  const TestFolder folder;
  Tree scratch = *Tree::open(folder.path);
  const auto made = make_self_signed({"a"}, from_ms(1'900'000'000'000), *os::make_entropy());
  const auto processes = os::make_processes();
  const auto tools = make_tools(*processes, path_variable());
  const auto files = render_host(of);
  const auto found =
      run_check(Check::kNginx, {.machine = of,
                                .files = files,
                                .scratch = scratch,
                                .tools = *tools,
                                .stand = {.certificate = made->certificate, .key = made->key}});
  if (!found && (found.error().code == Errc::kNotFound || found.error().code == Errc::kPermission))
    GTEST_SKIP() << found.error().message;
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, "");
}

}  // namespace
}  // namespace hr::host
