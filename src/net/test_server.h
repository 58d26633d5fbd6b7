// For the tests of this layer: a server on a loopback port and a temporary unix socket, run by a thread of
// its own, and a client that sends exactly the bytes it is told to.
#pragma once

#include "net/runtime.h"
#include "net/server.h"
#include "os/linux/linux.h"

#include <arpa/inet.h>
#include <atomic>
#include <cstdlib>
#include <future>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace hr::net::testing {

class CountingEntropy final : public os::Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(next_ = next_ * 167 + 13);
  }

 private:
  std::uint32_t next_ = 1;
};

class KeepingSink final : public LogSink {
 public:
  bool wants(Severity) const override { return true; }
  void write(Severity, std::string_view event, std::span<const Field>) override {
    const std::lock_guard lock(mutex_);
    events_.emplace_back(event);
  }
  std::vector<std::string> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
};

// Answers by target. What it saw stays readable after the server ended.
class TestHandler final : public Handler {
 public:
  Task<Response> handle(RequestHead& head, RequestBody& body) override;

  Runtime* runtime = nullptr;
  std::shared_ptr<os::File> file;
  std::uint64_t file_bytes = 0;
  std::promise<void> waiting;       // a request for /wait has begun
  std::promise<void> disconnected;  // and its peer is gone
  std::function<void()> release;    // ends it
  std::atomic<int> failed_reads = 0;
};

class Client {
 public:
  explicit Client(std::uint16_t port);
  explicit Client(const std::string& path);
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)), kept_(std::move(other.kept_)) {}
  ~Client() { close(); }

  void send(std::string_view bytes) const;
  bool try_send(std::string_view bytes) const;
  // One response: its head and the body that Content-Length announces. "" when the server closed instead.
  std::string response(bool with_body = true);
  std::string rest();  // until the server closes
  bool closed_by_server() { return rest().empty(); }
  void end_sending() const { ::shutdown(fd_, SHUT_WR); }
  void close();
  void reset();  // closes with RST
  int fd() const { return fd_; }

 private:
  bool more();

  int fd_ = -1;
  std::string kept_;
};

class TestServer {
 public:
  explicit TestServer(ServerLimits limits = {});
  ~TestServer();

  Client tcp() const { return Client(port); }
  Client local() const { return Client(path); }
  void on_reactor(std::function<void()> work);  // and waits for it
  void drain(Duration deadline);                // and waits for it
  ServerStats stats();

  KeepingSink sink;
  std::unique_ptr<os::Clock> clock = os::make_clock(Time{});
  CountingEntropy entropy;
  TestHandler handler;
  std::string folder;
  std::string path;
  std::uint16_t port = 0;
  Runtime runtime{1, Log(sink)};
  Gate gate;
  std::unique_ptr<Server> server;

 private:
  std::thread thread_;
};

int status_of(std::string_view response);
std::string body_of(std::string_view response);
// The value of a header of a response; "" without one.
std::string header_of(std::string_view response, std::string_view name);

}  // namespace hr::net::testing
