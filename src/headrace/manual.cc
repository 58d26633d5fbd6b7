#include "headrace/manual.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace hr {
namespace {

// Those that --help shows, in its order.
std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); });
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option* each) { return !each->get_group().empty(); });
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// "--root", "-h": as somebody types them.
std::vector<std::string> flags_of(const CLI::Option& option) {
  std::vector<std::string> out;
  for (const std::string& name : option.get_snames()) out.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.push_back("--" + name);
  return out;
}

// --- roff

// Text that roff takes as it is: no line begins a request, no backslash or hyphen is read as something else.
std::string roff(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    switch (c) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '\n':
        out += "\n.br\n";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void add_options(std::string& out, const CLI::App& app) {
  for (const CLI::Option* each : options_of(app)) {
    std::string head;
    for (const std::string& flag : flags_of(*each))
      head += fmt::format("{}\\fB{}\\fR", head.empty() ? "" : ", ", roff(flag));
    if (head.empty()) head = fmt::format("\\fI{}\\fR", roff(each->get_name()));
    if (takes_value(*each) && !flags_of(*each).empty())
      head +=
          fmt::format(" \\fI{}\\fR", each->get_type_name().empty() ? "VALUE" : roff(each->get_type_name()));
    fmt::format_to(std::back_inserter(out), ".TP\n{}\n{}\n", head, roff(each->get_description()));
  }
}

std::string heading(const std::string& name, const std::string& what, const std::string& version) {
  return fmt::format(".TH \"{}\" 1 \"\" \"headrace {}\" \"Headrace\"\n.SH NAME\n{} \\- {}\n", roff(name),
                     version, roff(name), roff(what));
}

std::string synopsis(const std::string& name, const CLI::App& app) {
  std::string out = fmt::format(".B {}\n[\\fIOPTION\\fR]...", roff(name));
  for (const CLI::Option* each : options_of(app))
    if (each->get_positional()) out += fmt::format(" \\fI{}\\fR", roff(each->get_name()));
  if (!commands_of(app).empty()) out += " \\fICOMMAND\\fR";
  return out + "\n";
}

std::string command_page(const CLI::App& app, const std::string& version) {
  const std::string name = "headrace-" + app.get_name(), typed = "headrace " + app.get_name();
  std::string out = heading(name, app.get_description(), version) + ".SH SYNOPSIS\n" + synopsis(typed, app);
  out += ".SH OPTIONS\n";
  add_options(out, app);
  for (const CLI::App* each : commands_of(app)) {
    const std::string longer = typed + " " + each->get_name();
    fmt::format_to(std::back_inserter(out), ".SH \"{}\"\n{}.PP\n{}\n", roff(longer), synopsis(longer, *each),
                   roff(each->get_description()));
    add_options(out, *each);
    if (!each->get_footer().empty()) out += ".PP\n" + roff(each->get_footer()) + "\n";
  }
  if (!app.get_footer().empty()) out += ".SH NOTES\n" + roff(app.get_footer()) + "\n";
  return out + ".SH SEE ALSO\n\\fBheadrace\\fR(1), /usr/share/doc/headrace\n";
}

std::string main_page(const CLI::App& app, const std::string& version) {
  std::string out = heading("headrace", app.get_description(), version) + ".SH SYNOPSIS\n" +
                    synopsis("headrace", app) + ".SH OPTIONS\n";
  add_options(out, app);
  out += ".SH COMMANDS\n";
  for (const CLI::App* each : commands_of(app))
    fmt::format_to(std::back_inserter(out), ".TP\n\\fBheadrace\\-{}\\fR(1)\n{}\n", roff(each->get_name()),
                   roff(each->get_description()));
  return out + ".SH FILES\n.TP\n/etc/headrace/headrace.toml\nThe configuration of a host.\n";
}

// --- completion

// What may follow words that were typed: "" is the program itself, "host", "host apply".
struct Follows {
  std::string after;
  std::vector<std::pair<std::string, std::string>> words;  // with their descriptions
  std::vector<std::string> with_value;                     // options after which a file's name is offered
};

Follows follows_of(const CLI::App& app, std::string after) {
  Follows out{.after = std::move(after), .words = {}, .with_value = {}};
  for (const CLI::App* each : commands_of(app))
    out.words.emplace_back(each->get_name(), each->get_description());
  for (const CLI::Option* each : options_of(app)) {
    for (const std::string& flag : flags_of(*each)) {
      out.words.emplace_back(flag, each->get_description());
      if (takes_value(*each)) out.with_value.push_back(flag);
    }
  }
  return out;
}

std::vector<Follows> all_follows(const CLI::App& app) {
  std::vector<Follows> out = {follows_of(app, "")};
  for (const CLI::App* each : commands_of(app)) {
    out.push_back(follows_of(*each, each->get_name()));
    for (const CLI::App* inner : commands_of(*each))
      out.push_back(follows_of(*inner, each->get_name() + " " + inner->get_name()));
  }
  return out;
}

// Within single quotes of a shell.
std::string in_quotes(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += "'\\''";
    if (c != '\'') out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

std::string words_of(const Follows& follows) {
  std::string out;
  for (const auto& [word, what] : follows.words) out += (out.empty() ? "" : " ") + word;
  return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> man_pages(const CLI::App& app, const std::string& version) {
  std::vector<std::pair<std::string, std::string>> out = {{"headrace.1", main_page(app, version)}};
  for (const CLI::App* each : commands_of(app))
    out.emplace_back(fmt::format("headrace-{}.1", each->get_name()), command_page(*each, version));
  return out;
}

// Options are left out of what was typed, so that "host --root X apply" is still "host apply".
std::string bash_completion(const CLI::App& app) {
  std::string out = R"(# bash completion for headrace, made from its command line
_headrace() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} typed= word i words= files=
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$typed $word" in
)";
  const auto all = all_follows(app);
  for (const Follows& each : all)
    if (!each.after.empty())
      out += fmt::format("      {}) typed={} ;;\n", in_quotes(" " + each.after), in_quotes(" " + each.after));
  out += "    esac\n  done\n  case \"$typed\" in\n";
  for (const Follows& each : all) {
    const std::string typed = each.after.empty() ? "" : " " + each.after;
    out += fmt::format("    {}) words={} files={} ;;\n", in_quotes(typed), in_quotes(words_of(each)),
                       in_quotes(fmt::format(" {} ", fmt::join(each.with_value, " "))));
  }
  return out + R"(  esac
  case "$files" in *" $previous "*) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;; esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o filenames -F _headrace headrace
)";
}

std::string zsh_completion(const CLI::App& app) {
  std::string out = R"(#compdef headrace
# zsh completion for headrace, made from its command line
local typed= word
for word in ${words[2,CURRENT-1]}; do
  case "$typed $word" in
)";
  const auto all = all_follows(app);
  for (const Follows& each : all)
    if (!each.after.empty())
      out += fmt::format("    {}) typed={} ;;\n", in_quotes(" " + each.after), in_quotes(" " + each.after));
  out += "  esac\ndone\nlocal -a offers\ncase \"$typed\" in\n";
  for (const Follows& each : all) {
    out += fmt::format("  {}) offers=(", in_quotes(each.after.empty() ? "" : " " + each.after));
    for (const auto& [word, what] : each.words) out += in_quotes(fmt::format("{}:{}", word, what)) + " ";
    out += ") ;;\n";
  }
  return out + "esac\n_describe 'headrace' offers || _files\n";
}

std::string fish_completion(const CLI::App& app) {
  std::string out = "# fish completion for headrace, made from its command line\n";
  for (const Follows& each : all_follows(app)) {
    std::string when = "__fish_use_subcommand";
    if (const std::size_t gap = each.after.find(' '); gap != std::string::npos) {
      when = fmt::format("__fish_seen_subcommand_from {}; and __fish_seen_subcommand_from {}",
                         each.after.substr(0, gap), each.after.substr(gap + 1));
    } else if (!each.after.empty()) {
      when = "__fish_seen_subcommand_from " + each.after;
    }
    for (const auto& [word, what] : each.words) {
      const bool value = std::ranges::find(each.with_value, word) != each.with_value.end();
      std::string named = "-a " + in_quotes(word);
      if (word.starts_with("--")) named = fmt::format("-l {}{}", word.substr(2), value ? " -r" : "");
      if (word.starts_with("-") && !word.starts_with("--")) named = "-s " + word.substr(1);
      out += fmt::format("complete -c headrace {}-n {} {} -d {}\n", word.starts_with("-") ? "" : "-f ",
                         in_quotes(when), named, in_quotes(what));
    }
  }
  return out;
}

}  // namespace hr
