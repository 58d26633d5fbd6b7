#include "host/checks.h"

#include "host/render/systemd.h"

#include <fmt/format.h>

#include <algorithm>
#include <grp.h>
#include <pwd.h>
#include <set>
#include <unistd.h>

namespace hr::host {
namespace {

constexpr std::string_view kUnitFolder = "/etc/systemd/system/";

std::string text_of(const CheckGround& ground, std::string_view path) {
  const auto found = std::ranges::find(ground.files, path, &File::path);
  return found == ground.files.end() ? "" : found->text;
}

void replace_all(std::string& text, std::string_view from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end != 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// "" where the tool was content, else what it said.
Result<std::string> opinion(Tools& tools, const std::vector<std::string>& command) {
  HR_ASSIGN(const Said said, tools.run(command));
  if (said.code == 0) return std::string();
  return said.text.empty() ? fmt::format("{} ended with {}", command.front(), said.code) : said.text;
}

// A copy of one of the files, and where it is.
Result<std::string> copy_of(const CheckGround& ground, std::string_view path) {
  const std::string name = fmt::format("/check{}", path);
  HR_TRY(ground.scratch.write(name, text_of(ground, path), 0644));
  return ground.scratch.at(name);
}

// --- systemd

// A folder where each instance has a file of its own, since the tools do not look for templates' drop-ins.
Result<std::string> unit_folder(const CheckGround& ground) {
  const std::string folder = "/check/units";
  HR_TRY(ground.scratch.remove_all(folder));
  for (const File& file : ground.files) {
    if (file.path.starts_with(kUnitFolder))
      HR_TRY(ground.scratch.write(folder + "/" + file.path.substr(kUnitFolder.size()), file.text, 0644));
  }
  for (const std::string& unit : own_units(ground.machine)) {
    const std::size_t sign = unit.find('@');
    if (sign == unit.npos) continue;
    const std::string base = unit.substr(0, sign + 1) + unit.substr(unit.rfind('.'));
    HR_TRY(ground.scratch.write(folder + "/" + unit, text_of(ground, std::string(kUnitFolder) + base), 0644));
  }
  return ground.scratch.at(folder);
}

// Where the distribution's unit is; "" where it is not installed.
std::string distribution_unit(const std::string& unit) {
  for (const char* folder : {"/lib/systemd/system/", "/usr/lib/systemd/system/"}) {
    if (::access((folder + unit).c_str(), R_OK) == 0) return folder + unit;
  }
  return "";
}

std::vector<std::string> unit_files(const Machine& machine, const std::string& folder) {
  std::vector<std::string> out;
  for (const std::string& unit : own_units(machine)) out.push_back(folder + "/" + unit);
  for (const char* unit : {"nginx.service", "rsyslog.service"}) {
    const std::string path = distribution_unit(unit);
    if (!path.empty()) out.push_back(path);
  }
  return out;
}

Result<Said> analyze(const CheckGround& ground, const std::string& folder, std::vector<std::string> more) {
  std::vector<std::string> command = {"env", fmt::format("SYSTEMD_UNIT_PATH={}:", folder), "systemd-analyze"};
  command.insert(command.end(), more.begin(), more.end());
  HR_ASSIGN(Said said, ground.tools.run(command));
  if (said.code == 127) return fail(Errc::kNotFound, "systemd-analyze is not installed");
  return said;
}

Result<std::string> check_units(const CheckGround& ground) {
  HR_ASSIGN(const std::string folder, unit_folder(ground));
  std::vector<std::string> command = {"verify", "--man=no"};
  for (std::string& file : unit_files(ground.machine, folder)) command.push_back(std::move(file));
  HR_ASSIGN(const Said said, analyze(ground, folder, command));
  // It ends with 0 although it ignored a line that it did not know: what it says of our files counts too.
  std::string out;
  for (const std::string_view line : lines_of(said.text))
    if (line.contains("headrace") || said.code != 0) out += fmt::format("{}\n", line);
  return out;
}

Result<std::string> check_exposure(const CheckGround& ground) {
  HR_ASSIGN(const std::string folder, unit_folder(ground));
  std::string out;
  for (const std::string& file : unit_files(ground.machine, folder)) {
    const std::string unit = file.substr(file.rfind('/') + 1);
    if (!unit.ends_with(".service")) continue;
    const int limit = exposure_limit(ground.machine, unit);
    HR_ASSIGN(const Said said, analyze(ground, folder,
                                       {"security", "--offline=yes", "--no-pager",
                                        fmt::format("--threshold={}", limit), file}));
    if (said.code == 0) continue;
    const std::size_t last = said.text.find("Overall");
    out += fmt::format("{}: the limit is {}.{}: {}\n", unit, limit / 10, limit % 10,
                       last == std::string::npos ? said.text : said.text.substr(last));
  }
  return out;
}

// --- the others

// The same file, but for what is only there once it is used.
Result<std::string> check_nginx(const CheckGround& ground) {
  if (::geteuid() != 0) return fail(Errc::kPermission, "nginx -t needs root: it tries the ports");
  std::string text = text_of(ground, "/etc/headrace/nginx.conf");
  if (::getgrnam(std::string(kSharedGroup).c_str()) == nullptr)
    replace_all(text, "user www-data headrace;", "");
  replace_all(text, "pid /run/nginx.pid;", fmt::format("pid {};", ground.scratch.at("/check/nginx.pid")));
  for (const auto& [path, stand] : {std::pair(certificate_of(ground.machine), ground.stand.certificate),
                                    std::pair(certificate_key_of(ground.machine), ground.stand.key)}) {
    if (stand.empty()) continue;
    const std::string copy = "/check/stand" + path;
    HR_TRY(ground.scratch.write(copy, stand, 0600));
    replace_all(text, path + ";", ground.scratch.at(copy) + ";");
  }
  HR_TRY(ground.scratch.write("/check/nginx.conf", text, 0600));
  return opinion(ground.tools,
                 {"nginx", "-t", "-q", "-e", "stderr", "-c", ground.scratch.at("/check/nginx.conf")});
}

// The distribution's main file loads the module; here is as much of it as ours needs.
Result<std::string> check_logging(const CheckGround& ground) {
  HR_ASSIGN(const std::string copy, copy_of(ground, "/etc/rsyslog.d/30-headrace.conf"));
  HR_TRY(ground.scratch.write(
      "/check/rsyslog.conf",
      fmt::format("module(load=\"imuxsock\")\ninclude(file=\"{}\")\n*.* /dev/null\n", copy), 0644));
  return opinion(ground.tools, {"rsyslogd", "-N1", "-f", ground.scratch.at("/check/rsyslog.conf")});
}

Result<std::string> check_rotation(const CheckGround& ground) {
  HR_ASSIGN(const std::string copy, copy_of(ground, "/etc/logrotate.d/headrace"));
  HR_ASSIGN(const Said said,
            ground.tools.run({"logrotate", "-d", "-s", ground.scratch.at("/check/logrotate.state"), copy}));
  std::string out;
  for (const std::string_view line : lines_of(said.text))
    if (line.starts_with("error:") && !line.contains("unknown user") && !line.contains("unknown group"))
      out += fmt::format("{}\n", line);
  return out;
}

Result<std::string> check_accounts(const CheckGround& ground) {
  HR_ASSIGN(const std::string users, copy_of(ground, "/etc/sysusers.d/headrace.conf"));
  HR_ASSIGN(const std::string folders, copy_of(ground, "/etc/tmpfiles.d/headrace.conf"));
  HR_ASSIGN(const std::string first, opinion(ground.tools, {"systemd-sysusers", "--dry-run", users}));
  // No path of the file is below this one: it is read, and nothing is made.
  HR_ASSIGN(const std::string second,
            opinion(ground.tools, {"systemd-tmpfiles", "--create", "--prefix=/nonexistent", folders}));
  return first + second;
}

Result<std::string> check_file(const CheckGround& ground, std::vector<std::string> command,
                               std::string_view path) {
  HR_ASSIGN(std::string copy, copy_of(ground, path));
  command.push_back(std::move(copy));
  return opinion(ground.tools, command);
}

// Users that are made only when the files are used are no reason to refuse them.
Result<std::string> check_firewall(const CheckGround& ground) {
  std::string text = text_of(ground, "/etc/headrace/nftables.nft");
  for (const std::string& user : ground.machine.credentialed())
    if (::getpwnam(user.c_str()) == nullptr) replace_all(text, ", " + user, "");
  HR_TRY(ground.scratch.write("/check/nftables.nft", text, 0600));
  return opinion(ground.tools, {"nft", "-c", "-f", ground.scratch.at("/check/nftables.nft")});
}

}  // namespace

std::string_view name_of(Check check) {
  switch (check) {
    case Check::kUnits:
      return "systemd-analyze verify";
    case Check::kExposure:
      return "systemd-analyze security";
    case Check::kNginx:
      return "nginx -t";
    case Check::kLogging:
      return "rsyslogd -N1";
    case Check::kRotation:
      return "logrotate -d";
    case Check::kTime:
      return "chronyd -p";
    case Check::kFirewall:
      return "nft -c";
    case Check::kAccounts:
      break;
  }
  return "systemd-sysusers --dry-run";
}

std::vector<Check> checks_of(const Machine& machine) {
  std::vector<Check> out = {Check::kUnits,   Check::kExposure, Check::kNginx,
                            Check::kLogging, Check::kRotation, Check::kAccounts};
  if (machine.keeps_time()) out.push_back(Check::kTime);
  if (machine.config.host.firewall) out.push_back(Check::kFirewall);
  return out;
}

int exposure_limit(const Machine& machine, std::string_view unit) {
  if (unit == "nginx.service" || unit == "rsyslog.service") return 27;
  if (unit == "headrace-firewall.service") return 60;  // it runs nft once, as root
  if (unit == "headrace-confirm.service") return 45;   // it writes root's files
  for (const Node& node : machine.nodes) {
    if (node.unit != unit) continue;
    const bool closed = node.network == Network::kNone || (!node.user_code && machine.credentialed().empty());
    const std::set<std::string> allow(machine.config.app.allow.begin(), machine.config.app.allow.end());
    const auto opened = node.user_code ? static_cast<int>(allow.size()) * 2 : 0;
    return (closed ? 6 : 12) + opened;
  }
  return 12;
}

Result<std::string> run_check(Check check, const CheckGround& ground) {
  switch (check) {
    case Check::kUnits:
      return check_units(ground);
    case Check::kExposure:
      return check_exposure(ground);
    case Check::kNginx:
      return check_nginx(ground);
    case Check::kLogging:
      return check_logging(ground);
    case Check::kRotation:
      return check_rotation(ground);
    case Check::kTime:
      return check_file(ground, {"chronyd", "-p", "-f"}, "/etc/chrony/headrace.conf");
    case Check::kFirewall:
      if (::geteuid() != 0) return fail(Errc::kPermission, "nft -c needs root");
      return check_firewall(ground);
    case Check::kAccounts:
      break;
  }
  return check_accounts(ground);
}

}  // namespace hr::host
