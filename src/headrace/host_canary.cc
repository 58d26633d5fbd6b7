#include "headrace/host_canary.h"

#include "headrace/store_routes.h"
#include "host/render/systemd.h"
#include "os/linux/fd.h"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace hr {
namespace {

constexpr Duration kPatience = 60s;  // beyond the longest time that a unit may take to stop
constexpr int kPauseMs = 500, kAnswerMs = 2'000;

void pause(int ms) { ::poll(nullptr, 0, ms); }

std::string unit_state(const std::string& unit, host::Tools& tools) {
  const auto said = tools.run({"systemctl", "is-active", unit});
  if (!said) return said.error().message;
  if (said->code == 0) return "";
  return said->text.substr(0, said->text.find('\n'));
}

// The status line of a small GET over plain HTTP on this host.
std::string http_wrong(std::uint16_t port, std::string_view path, std::string_view expected) {
  const os::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{.tv_sec = kAnswerMs / 1'000, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    return std::strerror(errno);
  // The name that no site can have: whatever the site's names are, nginx itself answers.
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: _\r\nConnection: close\r\n\r\n", path);
  std::array<char, 256> answer{};
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return std::strerror(errno);
  const ssize_t n = os::retried([&] { return ::recv(fd.get(), answer.data(), answer.size(), 0); });
  if (n <= 0) return "no answer";
  const std::string_view line(answer.data(), static_cast<std::size_t>(n));
  const std::string status(line.substr(0, line.find('\r')));
  return status.contains(expected) ? "" : status;
}

// A record with a mark of its own goes in, and must come out in the file.
std::string log_wrong(const host::Tree& tree, const os::Clock& clock) {
  const os::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  host::kLogSocket.copy(where.sun_path, sizeof where.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    return fmt::format("{}: {}", host::kLogSocket, std::strerror(errno));
  const std::string mark = fmt::format("canary-{}-{}", ::getpid(), clock.boottime().count());
  const std::string record = fmt::format("<134>1 - - headrace {} canary - {}", ::getpid(), mark);
  if (::send(fd.get(), record.data(), record.size(), MSG_NOSIGNAL) < 0) return std::strerror(errno);
  const std::string file = fmt::format("{}/headrace.jsonl", host::kLogFolder);
  for (int waited = 0; waited <= kAnswerMs; waited += kPauseMs / 5) {
    const auto seen = tree.read(file);
    if (!seen && seen.error().code != Errc::kLimit) return seen.error().message;
    if (!seen) return "";  // too large to look through: it is written to
    if (*seen && (*seen)->text.contains(mark)) return "";
    pause(kPauseMs / 5);
  }
  return fmt::format("a record that rsyslog took did not reach {}", file);
}

}  // namespace

std::vector<Hop> ask_hops(const host::Machine& machine, const host::Tree& tree, host::Tools& tools,
                          const os::Clock& clock) {
  std::vector<Hop> out;
  const auto add_unit = [&](const std::string& unit) {
    out.push_back({.name = unit + " is active",
                   .wrong = unit_state(unit, tools),
                   .mend = fmt::format("systemctl status {0}; journalctl -b -u {0}", unit)});
  };
  for (const host::Node& node : machine.nodes)
    if (!node.unit.empty()) add_unit(node.unit);
  if (machine.keeps_time()) add_unit("headrace-time.service");
  if (machine.http.host == "0.0.0.0" || machine.http.loopback)
    out.push_back({.name = fmt::format("nginx answers on port {}", machine.http.port),
                   .wrong = http_wrong(machine.http.port, "/_headrace/nginx", " 204"),
                   .mend = "nginx -t -c /etc/headrace/nginx.conf; journalctl -b -u nginx"});
  const std::string socket = host::Paths(host::kHostState).api_socket();
  const auto health = ask_health(socket);
  out.push_back({.name = "the API answers on its socket",
                 .wrong = health ? "" : health.error().message,
                 .mend = "journalctl -b -u headrace-api -u headrace-store"});
  out.push_back({.name = "a log record arrives in its file",
                 .wrong = log_wrong(tree, clock),
                 .mend = "journalctl -b -u rsyslog; rsyslogd -N1"});
  return out;
}

Duration canary_patience(const host::Machine& machine) {
  Duration out = kPatience;
  for (const host::Node& node : machine.nodes) out = std::max(out, kPatience + node.stop_limit);
  return out;
}

std::vector<Hop> canary(const host::Machine& machine, const host::Tree& tree, host::Tools& tools,
                        const os::Clock& clock) {
  const auto begun = clock.boottime();
  const Duration patience = canary_patience(machine);
  for (;;) {
    auto hops = ask_hops(machine, tree, tools, clock);
    const bool works = std::ranges::all_of(hops, [](const Hop& hop) { return hop.wrong.empty(); });
    const bool hopeless = std::ranges::any_of(hops, [](const Hop& hop) { return hop.wrong == "failed"; });
    if (works || hopeless || clock.boottime() - begun > patience) return hops;
    pause(kPauseMs);
  }
}

}  // namespace hr
