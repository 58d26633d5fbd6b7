// `headrace host plan | apply | confirm | rollback | status`: a host's files and services, from what they are
// to what headrace.toml says, and back.
#include "codec/json.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/host_change.h"
#include "headrace/host_checks.h"
#include "headrace/host_ground.h"
#include "host/apply.h"
#include "host/confirm.h"
#include "host/diff.h"
#include "host/render/cloud.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hr {
namespace {

using host::Change;

// --- plan

// An apply that waits to be confirmed is not settled, and not interrupted either.
bool waits(const HostGround& ground) {
  const auto waiting = host::read_waiting(*ground.tree);
  return waiting && *waiting && (*waiting)->works;
}

void print_plan(const HostGround& ground, const host::Plan& plan, const std::vector<Finding>& findings) {
  if (plan.interrupted && !waits(ground))
    fmt::print("An apply or rollback was interrupted here; the next one ends it.\n");
  for (const Change& each : plan.changes) {
    fmt::print("{} {}{}\n", host::name_of(each.kind), each.path,
               each.by_hand ? "   (was changed by hand)" : "");
    fmt::print("{}", host::unified_diff(each.before, each.after));
  }
  print_findings(findings);
  fmt::print("{} to change on {}\n", plan.changes.size(), ground.tree->root());
}

void print_plan_json(const host::Plan& plan, const std::vector<Finding>& findings) {
  std::string out;
  codec::JsonWriter json(out);
  json.begin_object().field("interrupted", plan.interrupted).key("changes").begin_array();
  for (const Change& each : plan.changes)
    json.begin_object()
        .field("path", each.path)
        .field("kind", host::name_of(each.kind))
        .field("by_hand", each.by_hand)
        .field("diff", host::unified_diff(each.before, each.after))
        .end_object();
  json.end_array().key("findings").begin_array();
  for (const Finding& each : findings)
    json.begin_object()
        .field("check", each.check)
        .field("absent", each.absent)
        .field("says", each.says)
        .end_object();
  json.end_array().end_object();
  fmt::print("{}\n", out);
}

int run_plan(const HostFlags& flags) {
  const auto ground = host_ground(flags);
  if (!ground) return host_error(ground.error());
  const auto plan = host::plan(*ground->tree, ground->files);
  if (!plan) return host_error(plan.error());
  const auto findings = run_checks(*ground);
  if (!findings) return host_error(findings.error());
  if (flags.json) {
    print_plan_json(*plan, *findings);
  } else {
    print_plan(*ground, *plan, *findings);
  }
  if (!acceptable(*ground, *findings)) return kExitUsage;
  return plan->changes.empty() && !plan->interrupted ? kExitOk : kExitDrift;
}

// --- status

int run_status(const HostFlags& flags) {
  const auto ground = host_ground(flags);
  if (!ground) return host_error(ground.error());
  const auto plan = host::plan(*ground->tree, ground->files);
  if (!plan) return host_error(plan.error());
  const auto by_hand = std::ranges::count(plan->changes, true, &Change::by_hand);
  const bool waiting = waits(*ground);
  if (flags.json) {
    std::string out;
    codec::JsonWriter(out)
        .begin_object()
        .field("interrupted", plan->interrupted && !waiting)
        .field("unconfirmed", waiting)
        .field("changes", static_cast<std::int64_t>(plan->changes.size()))
        .field("by_hand", static_cast<std::int64_t>(by_hand))
        .end_object();
    fmt::print("{}\n", out);
  } else if (waiting) {
    fmt::print("waits to be confirmed: run `headrace host confirm`, or it goes back\n");
  } else if (plan->interrupted) {
    fmt::print("interrupted: run `headrace host apply` or `headrace host rollback`\n");
  } else if (plan->changes.empty()) {
    fmt::print("as {} says\n", ground->machine.config.file);
  } else {
    fmt::print("{} files differ, {} of them changed by hand: `headrace host plan` shows them\n",
               plan->changes.size(), by_hand);
  }
  return plan->changes.empty() && !plan->interrupted ? kExitOk : kExitDrift;
}

// --- in the cloud

using MakeCloud = Result<std::string> (*)(const host::Machine&, const host::CloudWishes&);

int run_cloud(const HostFlags& flags, const host::CloudWishes& wishes, MakeCloud make) {
  const auto ground = host_ground(flags);
  if (!ground) return host_error(ground.error());
  const auto text = make(ground->machine, wishes);
  if (!text) return host_error(text.error());
  fmt::print("{}", *text);
  return kExitOk;
}

void add_cloud(CLI::App& line, host::CloudWishes& wishes) {
  line.add_option("--package", wishes.package, "Where the .deb is: https://... or s3://BUCKET/KEY")
      ->required();
  line.add_option(
      "--application", wishes.application,
      "Where a .tar.gz of app.root is, the same way; its requirements.txt is installed into app.python's "
      "environment");
}

}  // namespace

Command host_command(CLI::App& app) {
  const auto flags = std::make_shared<HostFlags>();
  const auto change = std::make_shared<ChangeFlags>();
  CLI::App* host = app.add_subcommand(
      "host", "Make this host what headrace.toml says: plan, apply, confirm, rollback, status");
  host->require_subcommand(1);
  using Run = std::function<int()>;
  std::vector<std::pair<CLI::App*, Run>> runs;
  const auto add = [&](const char* name, const char* what, Run run) {
    CLI::App* line = host->add_subcommand(name, what);
    add_host_flags(*line, *flags);
    runs.emplace_back(line, std::move(run));
    return line;
  };
  add("plan", "Show what apply would change, and what each program thinks of its files",
      [flags] { return run_plan(*flags); });
  add("apply", "Check, change files, reload services, ask every hop; go back if one fails",
      [flags, change] { return run_apply(*flags, *change); })
      ->add_option("--confirm-within", change->confirm_within,
                   "Go back after this long (30s, 5m) unless `headrace host confirm` was run");
  add("confirm", "Keep what the last apply changed, which would go back otherwise",
      [flags] { return run_confirm(*flags); });
  add("rollback", "Bring back what was there before the last apply",
      [flags, change] { return run_rollback(*flags, *change); })
      ->add_flag("--unless-confirmed", change->unless_confirmed,
                 "Wait until the window of --confirm-within has passed; nothing to do once it was confirmed");
  const auto wishes = std::make_shared<host::CloudWishes>();
  add_cloud(*add("cloud-init", "Print user data that makes a new machine this host",
                 [flags, wishes] { return run_cloud(*flags, *wishes, &host::cloud_init); }),
            *wishes);
  CLI::App* formation =
      add("cloudformation", "Print a template of what stands around hosts like this one on AWS",
          [flags, wishes] { return run_cloud(*flags, *wishes, &host::cloudformation); });
  add_cloud(*formation, *wishes);
  formation->add_option("--queue", wishes->queues, "A queue beside those of the pools; more than once");
  formation->add_option("--bucket", wishes->buckets, "A bucket beside the application's own; more than once");
  add("status", "Say whether the host is as the file says", [flags] { return run_status(*flags); });
  host->footer(
      "Exit codes: 0 as the file says, 1 failed and went back, 2 usage, configuration or refused by a check, "
      "3 something differs, 4 unavailable (no right to, or another at work).");
  return {host, [runs] {
            for (const auto& [line, run] : runs)
              if (line->parsed()) return run();
            return static_cast<int>(kExitUsage);
          }};
}

}  // namespace hr
