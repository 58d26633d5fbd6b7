// What the connections of one server share; private to the server. Lives as long as the server and the last
// of its connections; used on the reactor only.
#pragma once

#include "net/buffer.h"
#include "net/http_parser.h"
#include "net/poller.h"
#include "net/runtime.h"
#include "net/server.h"
#include "net/socket.h"

#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace hr::net {

class Connection;

// What a connection needs only while a request is under way; borrowed, so that idle ones are small.
struct Scratch {
  Buffer in;
  RequestHead head;
};

class Listener final : public Watcher {
 public:
  Listener(const std::shared_ptr<ServerState>& state, Listening listening);
  ~Listener() override;

  Status watch();
  void pause();
  std::uint16_t port() const { return listening_.port; }
  void ready(std::uint32_t events) override;

 private:
  bool accept_one();

  std::weak_ptr<ServerState> state_;  // the state owns its listeners
  Listening listening_;
  std::uint64_t inode_ = 0;  // of its file; another socket may take the name meanwhile
  Poller::Token token_ = 0;
  bool watched_ = false;
};

struct ServerState : std::enable_shared_from_this<ServerState> {
  ServerState(Runtime& r, Handler& h, const os::Clock& c, os::Entropy& e, hr::Log d, ServerLimits l);

  void start_sweeping();
  void sweep();
  void resume_accepting();
  void pause_accepting();  // until the next sweep
  void stop();
  void opened(Connection& connection);
  void closed(Connection& connection);

  std::unique_ptr<Scratch> borrow();
  void give_back(std::unique_ptr<Scratch> scratch);
  // 36 characters, the text of a random UUID; valid until the next call.
  std::string_view make_request_id();
  std::string_view date() const { return date_; }  // as of the last sweep
  std::int64_t now_ms() const;                     // monotonic

  Runtime& runtime;
  Handler& handler;
  const os::Clock& clock;
  os::Entropy& entropy;
  hr::Log diary;
  const ServerLimits limits;

  HeadParser parser;
  Poller poller;
  boost::asio::steady_timer sweep_timer;
  Duration sweep_interval;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<Connection*> connections;  // each knows its place
  std::vector<std::unique_ptr<Scratch>> spare;
  std::vector<std::move_only_function<void()>> when_empty;
  std::string out;  // where response heads are put together; empty between uses
  ServerStats stats;
  bool sweeping = false;
  bool draining = false;
  bool stopped = false;

 private:
  std::string date_;
  std::array<std::uint8_t, 2'048> random_{};
  std::size_t random_used_ = sizeof random_;
  std::array<char, 36> id_{};
};

}  // namespace hr::net
