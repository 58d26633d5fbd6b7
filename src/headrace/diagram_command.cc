// `headrace diagram`: what runs on this host, drawn.
#include "codec/json.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/host_ground.h"
#include "headrace/host_look.h"
#include "headrace/up_state.h"
#include "host/diagram.h"
#include "host/diff.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hr {
namespace {

struct DiagramFlags {
  HostFlags host;
  std::string format = "markdown", check;
  bool evidence = false;
  std::size_t only = 0;  // 1 to 5; 0: all
};

std::string text_of(const std::vector<host::Diagram>& diagrams, const DiagramFlags& flags) {
  if (flags.host.json || flags.format == "json") return host::diagrams_json(diagrams);
  if (flags.format == "markdown") return host::markdown_page(diagrams, flags.evidence);
  if (flags.format == "svg") return host::svg(diagrams);
  std::string out;
  for (const host::Diagram& each : diagrams)
    out += fmt::format("%% {}\n{}\n", each.title, host::mermaid(each));
  return out;
}

int compare(const std::string& path, const std::string& now) {
  const auto before = read_text(path);
  if (!before) return usage_error(before.error().message);
  if (before->empty()) return usage_error(path + ": no such page; write it with: headrace diagram > " + path);
  if (*before == now) return kExitOk;
  fmt::print("{}", host::unified_diff(*before, now));
  return kExitDrift;
}

int run_diagram(const DiagramFlags& flags) {
  const auto ground = host_ground(flags.host);
  if (!ground) return usage_error(ground.error().message);
  host::Observation seen = look_at_host(*ground);
  if (ground->live()) add_queues(seen, ask_services(*ground), ground->clock->wall());
  auto diagrams = host::diagrams_of(ground->machine, seen);
  if (flags.only != 0) diagrams = {std::move(diagrams[flags.only - 1])};
  const std::string text = text_of(diagrams, flags);
  if (!flags.check.empty()) return compare(flags.check, text);
  fmt::print("{}", text);
  return kExitOk;
}

}  // namespace

Command diagram_command(CLI::App& app) {
  const auto flags = std::make_shared<DiagramFlags>();
  CLI::App* line =
      app.add_subcommand("diagram", "Draw this host's five diagrams from what is declared and observed");
  add_host_flags(*line, flags->host);
  line->add_option("--format", flags->format, "markdown, mermaid, svg or json")
      ->check(CLI::IsMember({"markdown", "mermaid", "svg", "json"}));
  line->add_option("--only", flags->only,
                   "One of the five, for a program that takes one text of Mermaid at a time: 1 system "
                   "architecture, 2 process flow, 3 service dependency, 4 network topology, 5 deployment")
      ->check(CLI::Range(1, 5));
  line->add_option("--check", flags->check, "Compare with this page; exit code 3 where the host is another");
  line->add_flag("--evidence", flags->evidence, "With what was declared and observed, and process ids");
  line->footer(
      "An unchanged host gives the same bytes. Exit codes: 0 drawn or equal, 2 usage or configuration, 3 "
      "the page is another.");
  return {line, [flags] { return run_diagram(*flags); }};
}

}  // namespace hr
