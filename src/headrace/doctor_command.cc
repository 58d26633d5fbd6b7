// `headrace doctor`: every hop of this host asked, and a request and a job sent through all of it.
#include "codec/json.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/doctor_canary.h"
#include "headrace/doctor_checks.h"
#include "headrace/doctor_services.h"
#include "headrace/host_look.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace hr {
namespace {

void print_hops(const std::vector<Hop>& hops) {
  for (const Hop& each : hops) {
    fmt::print("{} {}\n", each.wrong.empty() ? "ok   " : "WRONG", each.name);
    if (each.wrong.empty()) continue;
    fmt::print("      what: {}\n", each.wrong);
    if (!each.why.empty()) fmt::print("      why:  {}\n", each.why);
    fmt::print("      mend: {}\n", each.mend);
  }
}

void print_hops_json(const std::vector<Hop>& hops) {
  std::string out;
  codec::JsonWriter json(out);
  json.begin_array();
  for (const Hop& each : hops) {
    const bool good = each.wrong.empty();
    json.begin_object()
        .field("name", each.name)
        .field("ok", good)
        .field("what", each.wrong)
        .field("why", good ? "" : each.why)
        .field("mend", good ? "" : each.mend)
        .end_object();
  }
  json.end_array();
  fmt::print("{}\n", out);
}

int run_doctor(const HostFlags& flags) {
  const auto ground = host_ground(flags);
  if (!ground) return usage_error(ground.error().message);
  if (!ground->live())
    return usage_error(
        "--root: a folder that stands for a host does not run; headrace host plan looks at its files");
  if (::geteuid() != 0) return usage_error("the doctor looks at what belongs to root: run it as root");
  std::vector<Hop> hops = file_checks(*ground);
  const auto add = [&](std::vector<Hop> more) { std::ranges::move(more, std::back_inserter(hops)); };
  add(machine_checks(*ground));
  add(service_checks(*ground, look_at_host(*ground)));
  add(ask_hops(ground->machine, *ground->tree, *ground->tools, *ground->clock));
  add(service_hops(ground->machine.config, ask_services(*ground), ground->clock->wall()));
  add(send_canaries(*ground));
  flags.json ? print_hops_json(hops) : print_hops(hops);
  const bool well = std::ranges::all_of(hops, [](const Hop& each) { return each.wrong.empty(); });
  return well ? kExitOk : kExitFailed;
}

}  // namespace

Command doctor_command(CLI::App& app) {
  const auto flags = std::make_shared<HostFlags>();
  CLI::App* line =
      app.add_subcommand("doctor", "Ask every hop of this host whether it works, and say the mend");
  add_host_flags(*line, *flags);
  line->footer("Exit codes: 0 all is well, 1 something is wrong, 2 usage or configuration.");
  return {line, [flags] { return run_doctor(*flags); }};
}

}  // namespace hr
