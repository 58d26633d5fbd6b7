#include "host/peers.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace hr::host {
namespace {

std::string_view take_until(std::string_view& text, std::string_view ends) {
  const std::size_t end = std::min(text.find_first_of(ends), text.size());
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(std::min(text.find_first_not_of(ends, end), text.size()));
  return out;
}

struct End {
  std::string_view path, inode, peer, program, pid;
};

// u_str ESTAB 0 0 /run/a.sock 3912199 * 3912198 users:(("python3",pid=6983,fd=5))
bool read_end(std::string_view line, End& out) {
  take_until(line, " ");
  if (take_until(line, " ") != "ESTAB") return false;
  for (int i = 0; i < 2; ++i) take_until(line, " ");
  out.path = take_until(line, " ");
  out.inode = take_until(line, " ");
  take_until(line, " ");
  out.peer = take_until(line, " ");
  constexpr std::string_view kUsers = "users:((\"", kPid = ",pid=";
  if (!line.starts_with(kUsers)) return !out.peer.empty();
  line.remove_prefix(kUsers.size());
  out.program = line.substr(0, line.find('"'));
  const std::size_t pid = line.find(kPid);
  if (pid != line.npos) {
    line.remove_prefix(pid + kPid.size());
    out.pid = line.substr(0, line.find_first_not_of("0123456789"));
  }
  return !out.peer.empty();
}

}  // namespace

std::optional<std::vector<Connection>> parse_connections(std::string_view text, std::string_view folder) {
  std::vector<End> ends;
  std::map<std::string_view, std::size_t> by_inode;
  while (!text.empty()) {
    End end;
    if (!read_end(take_until(text, "\n"), end)) continue;
    by_inode.emplace(end.inode, ends.size());
    ends.push_back(end);
  }
  std::set<Connection> out;
  for (const End& each : ends) {
    const auto other = by_inode.find(each.peer);
    if (!each.path.starts_with(folder) || other == by_inode.end()) continue;
    const End& client = ends[other->second];
    if (client.pid.empty()) return {};
    out.insert({std::string(each.path), std::string(client.program), std::string(client.pid)});
  }
  return std::vector<Connection>(out.begin(), out.end());
}

std::string unit_of_cgroup(std::string_view text) {
  constexpr std::string_view kUnified = "0::", kNamed = ":name=systemd:";
  while (!text.empty()) {
    std::string_view line = take_until(text, "\n");
    const std::size_t named = line.find(kNamed);
    if (!line.starts_with(kUnified) && named == line.npos) continue;
    const std::string_view path = line.substr(named == line.npos ? kUnified.size() : named + kNamed.size());
    if (path.contains("/user.slice/")) return "";
    // Below a unit there may be groups of its own.
    for (std::string_view rest = path; !rest.empty();) {
      const std::string_view step = take_until(rest, "/");
      if (step.ends_with(".service")) return std::string(step);
    }
  }
  return "";
}

}  // namespace hr::host
