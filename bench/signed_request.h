// What the programs that load a store share: whole signed requests, a connection to a loopback address, and
// the body of an answer. Whatever goes wrong ends the program with a sentence and exit code 1.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "codec/digest.h"
#include "codec/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <netinet/tcp.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace hr::bench {

[[noreturn]] inline void give_up(const std::string& reason) {
  fmt::print(stderr, "bench: {}\n", reason);
  std::exit(1);
}

inline std::int64_t nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// `target`: an address of 127.0.0.0/8 and a port. Blocking, without Nagle's delay.
inline int connect_to(const std::string& target) {
  const std::size_t colon = target.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(target.c_str() + colon + 1)));
  if (colon == target.npos || inet_pton(AF_INET, target.substr(0, colon).c_str(), &address.sin_addr) != 1 ||
      (ntohl(address.sin_addr.s_addr) >> 24) != 127) {
    give_up("the target must be a loopback address and a port");
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    give_up(fmt::format("cannot connect to {}: {}", target, std::strerror(errno)));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// None: it has not come whole yet. Any status but 2xx ends the program.
inline std::optional<std::string_view> body_of(std::string_view answer) {
  const std::size_t head_end = answer.find("\r\n\r\n");
  if (head_end == answer.npos) return std::nullopt;
  const std::string_view head = answer.substr(0, head_end);
  const std::size_t length_at = std::min(head.find("Content-Length: "), head.find("content-length: "));
  const std::size_t length =
      length_at == head.npos ? 0 : static_cast<std::size_t>(std::atoll(head.data() + length_at + 16));
  if (answer.size() < head_end + 4 + length) return std::nullopt;
  const std::string_view body = answer.substr(head_end + 4, length);
  if (head.substr(9, 1) != "2")
    give_up(fmt::format("answered {}: {}", head.substr(0, 60), body.substr(0, 300)));
  return body;
}

// Credentials: HEADRACE_KEY_ID and HEADRACE_KEY_SECRET in the environment.
class Signer {
 public:
  explicit Signer(std::string target) : target_(std::move(target)) {
    const char* id = std::getenv("HEADRACE_KEY_ID");
    const char* secret = std::getenv("HEADRACE_KEY_SECRET");
    if (id == nullptr || secret == nullptr) give_up("HEADRACE_KEY_ID and HEADRACE_KEY_SECRET must be set");
    credentials_ = {id, secret, {}};
  }

  std::string sqs(std::string_view action, std::string_view body) const {
    const std::string name = fmt::format("AmazonSQS.{}", action);
    const codec::HeaderField headers[] = {
        {"host", target_}, {"content-type", "application/x-amz-json-1.0"}, {"x-amz-target", name}};
    return whole("POST", "/", headers, body, "sqs");
  }
  std::string s3(std::string_view method, std::string_view path, std::string_view body,
                 std::string_view query = "") const {
    const codec::HeaderField headers[] = {{"host", target_}};
    return whole(method, path, headers, body, "s3", query);
  }

 private:
  std::string whole(std::string_view method, std::string_view path, codec::HeaderFields headers,
                    std::string_view body, std::string_view service, std::string_view query = "") const {
    const std::string hash = to_hex(codec::sha256(body));
    const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    auto made = codec::sign(method, path, query, headers, credentials_,
                            {.service = service, .region = "us-east-1", .now = now, .payload_hash = hash});
    if (!made) give_up(made.error().message);
    std::string out = fmt::format("{} {}{}{} HTTP/1.1\r\n", method, path, query.empty() ? "" : "?", query);
    for (const auto& header : headers) out += fmt::format("{}: {}\r\n", header.name, header.value);
    for (const auto& [name, value] : made->add) out += fmt::format("{}: {}\r\n", name, value);
    out += fmt::format("content-length: {}\r\n\r\n", body.size());
    return out.append(body);
  }

  std::string target_;
  codec::Credentials credentials_;
};

}  // namespace hr::bench
