// `headrace diagram` and `headrace doctor`: what runs on this host, drawn and asked.
#include "codec/json.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/host_canary.h"
#include "headrace/host_ground.h"
#include "headrace/up_state.h"
#include "host/apply.h"
#include "host/certificate.h"
#include "host/diagram.h"
#include "host/diff.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <sys/statvfs.h>
#include <vector>

namespace hr {
namespace {

struct DiagramFlags {
  HostFlags host;
  std::string format = "markdown", check;
  bool evidence = false;
};

std::string text_of(const std::vector<host::Diagram>& diagrams, const DiagramFlags& flags) {
  if (flags.host.json || flags.format == "json") return host::diagrams_json(diagrams);
  if (flags.format == "markdown") return host::markdown_page(diagrams, flags.evidence);
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
  const auto seen = host::observe(ground->machine, *ground->tools, *ground->tree);
  const std::string text = text_of(host::diagrams_of(ground->machine, seen), flags);
  if (!flags.check.empty()) return compare(flags.check, text);
  fmt::print("{}", text);
  return kExitOk;
}

// --- doctor

constexpr std::uint64_t kFreePercentMin = 10;

Hop files_hop(const HostGround& ground) {
  Hop out{.name = "files are as the configuration says", .wrong = {}, .mend = "headrace host plan"};
  const auto plan = host::plan(*ground.tree, ground.files);
  if (!plan) {
    out.wrong = plan.error().message;
  } else if (plan->interrupted) {
    out.wrong = "an apply was interrupted";
    out.mend = "headrace host apply";
  } else if (!plan->changes.empty()) {
    out.wrong = fmt::format("{} differ, first {}", plan->changes.size(), plan->changes.front().path);
  }
  return out;
}

Hop certificate_hop(const HostGround& ground) {
  const std::string path = host::certificate_of(ground.machine);
  Hop out{.name = "the certificate serves its names for a month more",
          .wrong = {},
          .mend = "headrace host apply"};
  const auto seen = ground.tree->read(path);
  if (!seen) out.wrong = seen.error().message;
  if (seen && !*seen) out.wrong = path + " is not there";
  if (!out.wrong.empty() || !ground.machine.config.site.certificate.empty()) return out;
  if (!host::still_serves((*seen)->text, ground.machine.config.site.names, ground.clock->wall()))
    out.wrong = path + " does not hold every name, or ends within a month";
  return out;
}

Hop key_hop(const HostGround& ground) {
  const std::string path = host::certificate_key_of(ground.machine);
  Hop out{.name = "nobody else reads the certificate's key", .wrong = {}, .mend = "chmod 600 " + path};
  const auto seen = ground.tree->read(path);
  if (!seen) out.wrong = seen.error().message;
  if (seen && *seen && ((*seen)->mode & 077U) != 0)
    out.wrong = fmt::format("{} has mode {:o}", path, (*seen)->mode);
  return out;
}

Hop space_hop(const HostGround& ground) {
  const std::string path = ground.tree->at("/var/lib");
  Hop out{.name = "a tenth of the disk and of its inodes is free",
          .wrong = {},
          .mend = "df -h /var/lib; df -i /var/lib"};
  struct statvfs seen{};
  if (::statvfs(path.c_str(), &seen) != 0) {
    out.wrong = path + " cannot be looked at";
  } else if (seen.f_bavail * 100 < seen.f_blocks * kFreePercentMin) {
    out.wrong = fmt::format("{} of {} blocks are free", seen.f_bavail, seen.f_blocks);
  } else if (seen.f_files != 0 && seen.f_favail * 100 < seen.f_files * kFreePercentMin) {
    out.wrong = fmt::format("{} of {} inodes are free", seen.f_favail, seen.f_files);
  }
  return out;
}

std::vector<Hop> observed_hops(const HostGround& ground, const host::Observation& seen) {
  std::vector<Hop> out;
  const auto add = [&](std::string name, const std::optional<bool>& good, std::string wrong,
                       std::string mend) {
    out.push_back({.name = std::move(name),
                   .wrong = !good   ? "it could not be asked"
                            : *good ? ""
                                    : std::move(wrong),
                   .mend = std::move(mend)});
  };
  if (ground.machine.keeps_time())
    add("the clock follows a source", seen.synchronised, "it follows none, or itself", "chronyc sources -v");
  if (ground.machine.config.host.firewall)
    add("the firewall drops by default", seen.firewall, "its table is not there, or lets in",
        "systemctl restart headrace-firewall");
  return out;
}

void print_hops(const std::vector<Hop>& hops, bool as_json) {
  if (!as_json) {
    for (const Hop& each : hops) {
      fmt::print("{} {}\n", each.wrong.empty() ? "ok   " : "WRONG", each.name);
      if (!each.wrong.empty()) fmt::print("      what: {}\n      mend: {}\n", each.wrong, each.mend);
    }
    return;
  }
  std::string out;
  codec::JsonWriter json(out);
  json.begin_array();
  for (const Hop& each : hops)
    json.begin_object()
        .field("name", each.name)
        .field("ok", each.wrong.empty())
        .field("what", each.wrong)
        .field("mend", each.wrong.empty() ? "" : each.mend)
        .end_object();
  json.end_array();
  fmt::print("{}\n", out);
}

int run_doctor(const HostFlags& flags) {
  const auto ground = host_ground(flags);
  if (!ground) return usage_error(ground.error().message);
  std::vector<Hop> hops = {files_hop(*ground), certificate_hop(*ground), key_hop(*ground),
                           space_hop(*ground)};
  const auto seen = host::observe(ground->machine, *ground->tools, *ground->tree);
  for (Hop& each : observed_hops(*ground, seen)) hops.push_back(std::move(each));
  for (Hop& each : ask_hops(ground->machine, *ground->tree, *ground->tools, *ground->clock))
    hops.push_back(std::move(each));
  print_hops(hops, flags.json);
  const bool well = std::ranges::all_of(hops, [](const Hop& each) { return each.wrong.empty(); });
  return well ? kExitOk : kExitFailed;
}

}  // namespace

Command diagram_command(CLI::App& app) {
  const auto flags = std::make_shared<DiagramFlags>();
  CLI::App* line =
      app.add_subcommand("diagram", "Draw this host's five diagrams from what is declared and observed");
  add_host_flags(*line, flags->host);
  line->add_option("--format", flags->format, "markdown, mermaid or json")
      ->check(CLI::IsMember({"markdown", "mermaid", "json"}));
  line->add_option("--check", flags->check, "Compare with this page; exit code 3 where the host is another");
  line->add_flag("--evidence", flags->evidence, "With what was declared and observed, and process ids");
  line->footer(
      "An unchanged host gives the same bytes. Exit codes: 0 drawn or equal, 2 usage or configuration, 3 "
      "the page is another.");
  return {line, [flags] { return run_diagram(*flags); }};
}

Command doctor_command(CLI::App& app) {
  const auto flags = std::make_shared<HostFlags>();
  CLI::App* line =
      app.add_subcommand("doctor", "Ask every hop of this host whether it works, and say the mend");
  add_host_flags(*line, *flags);
  line->footer("Exit codes: 0 all is well, 1 something is wrong, 2 usage or configuration.");
  return {line, [flags] { return run_doctor(*flags); }};
}

}  // namespace hr
