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
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace hr {
namespace {

constexpr int kPauseMs = 100, kAnswerMs = 2'000;
constexpr std::size_t kLastBytes = 4U << 20;

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
  for (int waited = 0; waited <= kAnswerMs; waited += kPauseMs) {
    if (logged(tree, "headrace.jsonl", {mark})) return "";
    ::poll(nullptr, 0, kPauseMs);
  }
  return fmt::format("a record that rsyslog took did not reach {}/headrace.jsonl", host::kLogFolder);
}

}  // namespace

bool logged(const host::Tree& tree, std::string_view file, std::initializer_list<std::string_view> parts) {
  const std::string path = tree.at(fmt::format("{}/{}", host::kLogFolder, file));
  const os::Fd log(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!log.open()) return false;
  const off_t end = std::max<off_t>(::lseek(log.get(), 0, SEEK_END), 0);
  std::string text(kLastBytes, '\0');
  const auto from = std::max<off_t>(0, end - static_cast<off_t>(text.size()));
  const ssize_t n = os::retried([&] { return ::pread(log.get(), text.data(), text.size(), from); });
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t stop = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, stop - at);
    if (std::ranges::all_of(parts, [&](std::string_view part) { return line.contains(part); })) return true;
    at = stop + 1;
  }
  return false;
}

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

}  // namespace hr
