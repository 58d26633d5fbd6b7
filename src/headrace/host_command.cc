// `headrace host plan | apply | rollback | status`: a host's files and services, from what they are to what
// headrace.toml says, and back.
#include "codec/json.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/host_canary.h"
#include "headrace/host_ground.h"
#include "host/activate.h"
#include "host/apply.h"
#include "host/certificate.h"
#include "host/diff.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <vector>

namespace hr {
namespace {

using host::Change;

void nothing_is_watching(std::string_view /*step*/) {}

int said_error(const Error& error) {
  fmt::print(stderr, "headrace: {}\n", error.message);
  const bool usage =
      error.code == Errc::kInvalid || error.code == Errc::kUnsupported || error.code == Errc::kNotFound;
  return usage ? kExitUsage : kExitUnavailable;
}

// --- checks

struct Finding {
  std::string check, says;
  bool absent = false;  // its program is not installed
};

Result<host::Stand> certificate_for(const HostGround& ground, std::string_view path,
                                    std::string_view key_path) {
  HR_ASSIGN(const auto certificate, ground.tree->read(path));
  HR_ASSIGN(const auto key, ground.tree->read(key_path));
  if (certificate && key) return host::Stand{.certificate = certificate->text, .key = key->text};
  HR_ASSIGN(auto made,
            host::make_self_signed(ground.machine.config.site.names, ground.clock->wall(), *ground.entropy));
  return host::Stand{.certificate = std::move(made.certificate), .key = std::move(made.key)};
}

// In a folder of its own, gone afterwards: what each program says about its files.
Result<std::vector<Finding>> run_checks(const HostGround& ground) {
  std::string folder = "/tmp/headrace-check-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return fail(Errc::kIo, "/tmp: no folder can be made");
  std::vector<Finding> out;
  {
    HR_ASSIGN(const host::Tree scratch, host::Tree::open(folder));
    HR_ASSIGN(host::Stand stand, certificate_for(ground, host::certificate_of(ground.machine),
                                                 host::certificate_key_of(ground.machine)));
    const host::CheckGround on{.machine = ground.machine,
                               .files = ground.files,
                               .scratch = scratch,
                               .tools = *ground.tools,
                               .stand = std::move(stand)};
    for (const host::Check check : host::checks_of(ground.machine)) {
      const auto said = host::run_check(check, on);
      if (said && said->empty()) continue;
      const bool absent =
          !said && (said.error().code == Errc::kNotFound || said.error().code == Errc::kPermission);
      out.push_back({std::string(host::name_of(check)), said ? *said : said.error().message, absent});
    }
    HR_TRY(scratch.remove_all("/check"));
  }
  ::rmdir(folder.c_str());
  return out;
}

// Whether the host may get these files. A folder that stands for one need not have the programs.
bool acceptable(const HostGround& ground, const std::vector<Finding>& findings) {
  return std::ranges::all_of(findings, [&](const Finding& each) { return each.absent && !ground.live(); });
}

// The port somebody may be connected through must stay open: the firewall would lock them out.
Status check_ssh(const HostGround& ground) {
  if (!ground.live() || !ground.machine.config.host.firewall) return {};
  const auto said = ground.tools->run({"sshd", "-T"});
  if (!said || said->code != 0) return {};
  std::string_view text = said->text;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with("port ")) continue;
    const std::string port(line.substr(5));
    const bool open = std::ranges::any_of(ground.machine.config.host.ssh,
                                          [&](std::uint32_t each) { return std::to_string(each) == port; });
    if (!open)
      return fail(Errc::kInvalid,
                  fmt::format("{}: sshd listens on port {}, which the firewall would close; add it",
                              place_of(ground.machine.config, "host.ssh"), port));
  }
  return {};
}

// --- plan

void print_plan(const HostGround& ground, const host::Plan& plan, const std::vector<Finding>& findings) {
  if (plan.interrupted) fmt::print("An apply or rollback was interrupted here; the next one ends it.\n");
  for (const Change& each : plan.changes) {
    fmt::print("{} {}{}\n", host::name_of(each.kind), each.path,
               each.by_hand ? "   (was changed by hand)" : "");
    fmt::print("{}", host::unified_diff(each.before, each.after));
  }
  for (const Finding& each : findings)
    fmt::print("{} {}: {}\n", each.absent ? "not asked:" : "refused by", each.check, each.says);
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
  if (!ground) return said_error(ground.error());
  const auto plan = host::plan(*ground->tree, ground->files);
  if (!plan) return said_error(plan.error());
  const auto findings = run_checks(*ground);
  if (!findings) return said_error(findings.error());
  if (flags.json) {
    print_plan_json(*plan, *findings);
  } else {
    print_plan(*ground, *plan, *findings);
  }
  if (!acceptable(*ground, *findings)) return kExitUsage;
  return plan->changes.empty() && !plan->interrupted ? kExitOk : kExitDrift;
}

// --- apply

// Held until the program ends.
Result<os::Fd> lock_host(const host::Tree& tree) {
  HR_TRY(tree.make_folder(host::kKept, 0700));
  const std::string path = tree.at(std::string(host::kKept) + "/lock");
  os::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.open()) return fail(Errc::kPermission, path + ": cannot be opened; run as root");
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Errc::kBusy, "another `headrace host` is at work on this host");
  return file;
}

Status make_certificate(const HostGround& ground) {
  const host::Machine& machine = ground.machine;
  if (!machine.config.site.certificate.empty()) return {};
  std::vector<std::string> names = machine.config.site.names;
  const auto& more = machine.config.site.store_names;
  names.insert(names.end(), more.begin(), more.end());
  HR_ASSIGN(const auto old, ground.tree->read(host::certificate_of(machine)));
  HR_ASSIGN(const auto key, ground.tree->read(host::certificate_key_of(machine)));
  if (old && key && host::still_serves(old->text, names, ground.clock->wall())) return {};
  HR_ASSIGN(const auto made, host::make_self_signed(names, ground.clock->wall(), *ground.entropy));
  HR_TRY(ground.tree->write(host::certificate_key_of(machine), made.key, 0600));
  return ground.tree->write(host::certificate_of(machine), made.certificate, 0644);
}

Status run_commands(host::Tools& tools, const std::vector<std::vector<std::string>>& commands) {
  for (const auto& command : commands) {
    HR_ASSIGN(const host::Said said, tools.run(command));
    if (said.code != 0)
      return fail(Errc::kUnavailable, fmt::format("{}: {}", fmt::join(command, " "), said.text));
  }
  return {};
}

std::vector<std::string> running_instances(host::Tools& tools) {
  std::vector<std::string> out;
  const auto said = tools.run({"systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager",
                               "headrace-web@*", "headrace-worker@*"});
  if (!said || said->code != 0) return out;
  std::string_view text = said->text;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with("headrace-")) out.emplace_back(line.substr(0, line.find(' ')));
  }
  return out;
}

// What is wrong after the change; "" for nothing.
std::string activate_and_ask(const HostGround& ground, const std::vector<Change>& changes) {
  const auto commands = host::activation_of(ground.machine, changes, running_instances(*ground.tools));
  if (const auto done = run_commands(*ground.tools, commands); !done) return done.error().message;
  std::string wrong;
  for (const Hop& hop : canary(ground.machine, *ground.tree, *ground.tools, *ground.clock))
    if (!hop.wrong.empty())
      wrong += fmt::format("  {}: {}\n    look with: {}\n", hop.name, hop.wrong, hop.mend);
  return wrong;
}

// The same files the other way round: what rollback() is about to change.
std::vector<Change> reversed(std::vector<Change> changes) {
  for (Change& each : changes) std::swap(each.before, each.after);
  return changes;
}

int go_back(const HostGround& ground, const std::vector<Change>& changes) {
  if (const auto back = host::rollback(*ground.tree, nothing_is_watching); !back)
    return said_error(back.error());
  const bool first =
      std::ranges::all_of(changes, [](const Change& each) { return each.kind == Change::Kind::kAdd; });
  const auto commands =
      first ? host::deactivation() : host::activation_of(ground.machine, reversed(changes), {});
  if (const auto done = run_commands(*ground.tools, commands); !done)
    fmt::print(stderr, "headrace: {}\n", done.error().message);
  return kExitFailed;
}

int run_apply(const HostFlags& flags) {
  const auto ground = host_ground(flags);
  if (!ground) return said_error(ground.error());
  const auto lock = lock_host(*ground->tree);
  if (!lock) return said_error(lock.error());
  if (const auto open = check_ssh(*ground); !open) return said_error(open.error());
  const auto plan = host::plan(*ground->tree, ground->files);
  if (!plan) return said_error(plan.error());
  const auto findings = run_checks(*ground);
  if (!findings) return said_error(findings.error());
  if (!acceptable(*ground, *findings)) {
    print_plan(*ground, {}, *findings);
    return kExitUsage;
  }
  if (const auto made = make_certificate(*ground); !made) return said_error(made.error());
  if (const auto done = host::apply(*ground->tree, ground->files, nothing_is_watching); !done)
    return said_error(done.error());
  if (ground->live()) {
    if (const std::string wrong = activate_and_ask(*ground, plan->changes); !wrong.empty()) {
      fmt::print(stderr, "headrace: the host does not work with these files; going back:\n{}\n", wrong);
      return go_back(*ground, plan->changes);
    }
  }
  if (const auto settled = host::settle(*ground->tree, nothing_is_watching); !settled)
    return said_error(settled.error());
  for (const Change& each : plan->changes) fmt::print("{} {}\n", host::name_of(each.kind), each.path);
  fmt::print("{} changed on {}\n", plan->changes.size(), ground->tree->root());
  return kExitOk;
}

int run_rollback(const HostFlags& flags) {
  const auto ground = host_ground(flags);
  if (!ground) return said_error(ground.error());
  const auto lock = lock_host(*ground->tree);
  if (!lock) return said_error(lock.error());
  const auto before = host::plan(*ground->tree, ground->files);
  if (!before) return said_error(before.error());
  if (const auto back = host::rollback(*ground->tree, nothing_is_watching); !back)
    return said_error(back.error());
  if (!ground->live()) return kExitOk;
  const auto after = host::plan(*ground->tree, ground->files);
  if (!after) return said_error(after.error());
  const bool bare = std::ranges::any_of(
      after->changes, [](const Change& each) { return each.path.ends_with("/headrace.target"); });
  const auto commands =
      bare ? host::deactivation()
           : host::activation_of(ground->machine, after->changes, running_instances(*ground->tools));
  const auto done = run_commands(*ground->tools, commands);
  return done ? kExitOk : said_error(done.error());
}

int run_status(const HostFlags& flags) {
  const auto ground = host_ground(flags);
  if (!ground) return said_error(ground.error());
  const auto plan = host::plan(*ground->tree, ground->files);
  if (!plan) return said_error(plan.error());
  const auto by_hand = std::ranges::count(plan->changes, true, &Change::by_hand);
  if (flags.json) {
    std::string out;
    codec::JsonWriter(out)
        .begin_object()
        .field("interrupted", plan->interrupted)
        .field("changes", static_cast<std::int64_t>(plan->changes.size()))
        .field("by_hand", static_cast<std::int64_t>(by_hand))
        .end_object();
    fmt::print("{}\n", out);
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

}  // namespace

Command host_command(CLI::App& app) {
  const auto flags = std::make_shared<HostFlags>();
  CLI::App* host =
      app.add_subcommand("host", "Make this host what headrace.toml says: plan, apply, rollback, status");
  host->require_subcommand(1);
  using Run = int (*)(const HostFlags&);
  std::vector<std::pair<CLI::App*, Run>> runs;
  for (const auto& [name, what, run] :
       {std::tuple("plan", "Show what apply would change, and what each program thinks of its files",
                   &run_plan),
        std::tuple("apply", "Check, change files, reload services, ask every hop; go back if one fails",
                   &run_apply),
        std::tuple("rollback", "Bring back what was there before the last apply", &run_rollback),
        std::tuple("status", "Say whether the host is as the file says", &run_status)}) {
    CLI::App* line = host->add_subcommand(name, what);
    add_host_flags(*line, *flags);
    runs.emplace_back(line, run);
  }
  host->footer(
      "Exit codes: 0 as the file says, 1 failed and went back, 2 usage, configuration or refused by a check, "
      "3 something differs, 4 unavailable (no right to, or another at work).");
  return {host, [flags, runs] {
            for (const auto& [line, run] : runs)
              if (line->parsed()) return run(*flags);
            return static_cast<int>(kExitUsage);
          }};
}

}  // namespace hr
