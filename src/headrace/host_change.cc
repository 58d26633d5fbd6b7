#include "headrace/host_change.h"

#include "headrace/commands.h"
#include "headrace/doctor_canary.h"
#include "headrace/host_checks.h"
#include "headrace/host_python.h"
#include "host/activate.h"
#include "host/apply.h"
#include "host/certificate.h"
#include "host/confirm.h"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <utility>
#include <vector>

namespace hr {
namespace {

using host::Change;
using Commands = std::vector<std::vector<std::string>>;

constexpr Duration kWindowMin = 5s, kWindowMax = 24h;
constexpr int kPauseMs = 500;

void nothing_is_watching(std::string_view /*step*/) {}

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

// What is wrong with a command; "" for nothing.
std::string run_command(host::Tools& tools, const std::vector<std::string>& command) {
  const auto said = tools.run(command);
  if (!said) return said.error().message;
  return said->code == 0 ? "" : fmt::format("{}: {}", fmt::join(command, " "), said->text);
}

std::vector<std::string> running_instances(host::Tools& tools) {
  std::vector<std::string> out;
  const auto said = tools.run({"systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager",
                               "headrace-web@*", "headrace-worker@*", std::string(host::kFirewallUnit)});
  if (!said || said->code != 0) return out;
  std::string_view text = said->text;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with("headrace-")) out.emplace_back(line.substr(0, line.find(' ')));
  }
  return out;
}

// --- the window in which an apply is confirmed

std::string boot_id(const HostGround& ground) {
  const auto seen = ground.tree->read("/proc/sys/kernel/random/boot_id");
  return seen && *seen ? (*seen)->text.substr(0, 36) : "";
}

host::Waiting waiting_from(const HostGround& ground, Duration window, Duration more, bool works) {
  return {.window = window,
          .boot = boot_id(ground),
          .deadline = ground.clock->boottime() + window + more,
          .works = works};
}

// Written down before the first file changes: from then on a host that is left alone goes back.
Status begin_window(const HostGround& ground, Duration window) {
  if (window == 0s) return {};
  return host::write_waiting(*ground.tree,
                             waiting_from(ground, window, canary_patience(ground.machine), false));
}

// Who takes it back is a unit of its own: it outlives this program, and whoever is logged in. It watches as
// soon as systemd knows it.
void watch(Commands& commands, Duration window) {
  if (window == 0s) return;
  const Commands::value_type reload = {"systemctl", "daemon-reload"};
  const auto known = std::ranges::find(commands, reload);
  commands.insert(std::next(known), {"systemctl", "restart", "headrace-confirm.service"});
}

// What is wrong after the change; "" for nothing.
std::string activate_and_ask(const HostGround& ground, Duration window) {
  const auto changes = host::last_changes(*ground.tree);
  if (!changes) return changes.error().message;
  Commands commands = host::activation_of(ground.machine, *changes, running_instances(*ground.tools));
  watch(commands, window);
  if (std::string wrong = bring_python_package(ground); !wrong.empty()) return wrong;
  for (const auto& command : commands)
    if (std::string wrong = run_command(*ground.tools, command); !wrong.empty()) return wrong;
  std::string wrong;
  for (const Hop& hop : ask_until_it_works(ground))
    if (!hop.wrong.empty())
      wrong += fmt::format("  {}: {}\n    look with: {}\n", hop.name, hop.wrong, hop.mend);
  return wrong;
}

// --- back

// Services load what is there again: what came before, or nothing of Headrace. A service that does not is no
// reason to leave the others with what they had.
void load_again(const HostGround& ground, const HostFlags& flags, const std::vector<Change>& changes) {
  const bool bare = std::ranges::any_of(changes, [](const Change& each) {
    return each.path.ends_with("/headrace.target") && each.kind == Change::Kind::kAdd;
  });
  Commands commands = host::deactivation();
  if (!bare) {
    // The machine is the one of the files that are back.
    HostFlags before = flags;
    before.config_file = host::kAppliedConfig;
    const auto former = host_ground(before);
    const host::Machine& machine = former ? former->machine : ground.machine;
    commands = host::activation_of(machine, changes, running_instances(*ground.tools));
  }
  for (const auto& command : commands)
    if (const std::string wrong = run_command(*ground.tools, command); !wrong.empty())
      fmt::print(stderr, "headrace: {}\n", wrong);
}

// The journal, and whoever waits to take it back, go last: killed before, all of this is done again.
Status take_back(const HostGround& ground, const HostFlags& flags) {
  HR_ASSIGN(const auto changes, host::last_changes(*ground.tree));
  HR_TRY(host::rollback(*ground.tree, nothing_is_watching));
  if (ground.live()) load_again(ground, flags, changes);
  HR_TRY(host::forget(*ground.tree, nothing_is_watching));
  return host::remove_waiting(*ground.tree);
}

// Whether what waits is due at this moment: its window has passed, or it was killed before it worked. Who
// holds the lock knows that no apply runs.
Result<bool> due(const HostGround& ground, const std::string& boot, Nanos since) {
  HR_ASSIGN(const auto waiting, host::read_waiting(*ground.tree));
  return waiting && (!waiting->works || host::left_of(*waiting, boot, since, ground.clock->boottime()) == 0s);
}

// Waits until it is due, and holds the host then; none: somebody confirmed.
Result<std::optional<os::Fd>> lock_when_due(const HostGround& ground) {
  const Nanos since = ground.clock->boottime();
  const std::string boot = boot_id(ground);
  for (;;) {
    HR_ASSIGN(const auto waiting, host::read_waiting(*ground.tree));
    if (!waiting) return std::optional<os::Fd>();
    HR_ASSIGN(const bool maybe, due(ground, boot, since));
    if (maybe) {
      auto lock = lock_host(*ground.tree);
      if (!lock && lock.error().code != Errc::kBusy) return std::unexpected(std::move(lock).error());
      if (lock) {
        HR_ASSIGN(const bool still, due(ground, boot, since));
        if (still) return std::optional(std::move(*lock));
      }
    }
    ::poll(nullptr, 0, kPauseMs);
  }
}

Result<Duration> window_of(const HostFlags& flags, const std::string& text) {
  if (text.empty()) return Duration(0);
  if (flags.root != "/")
    return fail(Errc::kInvalid, "--confirm-within: a folder that stands for a host has nobody to go back");
  HR_ASSIGN(const Duration window, parse_duration(text));
  if (window < kWindowMin || window > kWindowMax)
    return fail(Errc::kInvalid, fmt::format("--confirm-within {}: 5s to 24h", text));
  return window;
}

// What rolls back needs a configuration that can be read: the one that was applied always can.
HostFlags flags_for_rollback(HostFlags flags) {
  if (!flags.config_file.empty()) return flags;
  const std::string applied = (flags.root == "/" ? "" : flags.root) + std::string(host::kAppliedConfig);
  if (::access(applied.c_str(), R_OK) == 0) flags.config_file = applied;
  return flags;
}

// Files are as they should be and services have loaded them: settled, or from now on to be confirmed.
Status conclude(const HostGround& ground, Duration window) {
  if (window != 0s) return host::write_waiting(*ground.tree, waiting_from(ground, window, 0s, true));
  HR_TRY(host::remove_waiting(*ground.tree));
  return host::settle(*ground.tree, nothing_is_watching);
}

}  // namespace

int host_error(const Error& error) {
  fmt::print(stderr, "headrace: {}\n", error.message);
  const bool usage =
      error.code == Errc::kInvalid || error.code == Errc::kUnsupported || error.code == Errc::kNotFound;
  return usage ? kExitUsage : kExitUnavailable;
}

int run_apply(const HostFlags& flags, const ChangeFlags& change) {
  const auto window = window_of(flags, change.confirm_within);
  if (!window) return host_error(window.error());
  const auto ground = host_ground(flags);
  if (!ground) return host_error(ground.error());
  const auto lock = lock_host(*ground->tree);
  if (!lock) return host_error(lock.error());
  const auto plan = host::plan(*ground->tree, ground->files);
  if (!plan) return host_error(plan.error());
  const auto findings = run_checks(*ground);
  if (!findings) return host_error(findings.error());
  if (!acceptable(*ground, *findings)) {
    print_findings(*findings);
    return kExitUsage;
  }
  if (const auto made = make_certificate(*ground); !made) return host_error(made.error());
  if (const auto begun = begin_window(*ground, *window); !begun) return host_error(begun.error());
  if (const auto done = host::apply(*ground->tree, ground->files, nothing_is_watching); !done) {
    fmt::print(stderr, "headrace: {}\nheadrace: going back\n", done.error().message);
    const auto back = take_back(*ground, flags);
    return back ? kExitFailed : host_error(back.error());
  }
  if (ground->live()) {
    if (const std::string wrong = activate_and_ask(*ground, *window); !wrong.empty()) {
      fmt::print(stderr, "headrace: the host does not work with these files; going back:\n{}\n", wrong);
      const auto back = take_back(*ground, flags);
      return back ? kExitFailed : host_error(back.error());
    }
  }
  if (const auto concluded = conclude(*ground, *window); !concluded) return host_error(concluded.error());
  for (const Change& each : plan->changes) fmt::print("{} {}\n", host::name_of(each.kind), each.path);
  fmt::print("{} changed on {}\n", plan->changes.size(), ground->tree->root());
  if (*window != 0s)
    fmt::print("Goes back after {} unless you run: headrace host confirm\n", change.confirm_within);
  return kExitOk;
}

int run_confirm(const HostFlags& flags) {
  const auto ground = host_ground(flags_for_rollback(flags));
  if (!ground) return host_error(ground.error());
  const auto lock = lock_host(*ground->tree);
  if (!lock) return host_error(lock.error());
  const auto done = host::confirm(*ground->tree, nothing_is_watching);
  if (!done) return host_error(done.error());
  fmt::print("confirmed\n");
  return kExitOk;
}

int run_rollback(const HostFlags& flags, const ChangeFlags& change) {
  const auto ground = host_ground(flags_for_rollback(flags));
  if (!ground) return host_error(ground.error());
  std::optional<os::Fd> lock;
  if (change.unless_confirmed) {
    auto held = lock_when_due(*ground);
    if (!held) return host_error(held.error());
    if (!*held) return kExitOk;
    lock = std::move(*held);
  } else {
    auto held = lock_host(*ground->tree);
    if (!held) return host_error(held.error());
    lock = std::move(*held);
  }
  const auto back = take_back(*ground, flags);
  if (!back && change.unless_confirmed && back.error().code == Errc::kNotFound) {
    const auto removed =
        host::remove_waiting(*ground->tree);  // killed before a file was touched, or at the end
    return removed ? kExitOk : host_error(removed.error());
  }
  return back ? kExitOk : host_error(back.error());
}

}  // namespace hr
