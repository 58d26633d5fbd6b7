// One connection of a server: reads a head, lets the handler answer, writes, and again. Private to the
// server. Owned by its own coroutine, which the server's stop ends.
#pragma once

#include "net/http.h"
#include "net/http_parser.h"
#include "net/http_writer.h"
#include "net/poller.h"
#include "net/server.h"
#include "net/server_state.h"
#include "net/socket.h"

#include <boost/asio/use_awaitable.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hr::net {

class Connection final : public RequestBody, public Watcher, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerState> state, Fd fd, Peer peer);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Status watch();
  static Task<void> serve(std::shared_ptr<Connection> self);

  // From the server's sweep, on the reactor.
  bool expired(std::int64_t now) const;
  void expire() { wake(Wake::kTimeout); }
  bool idle() const { return phase_ == Phase::kIdle; }
  void cut();             // ends any connection: its socket is shut
  void abandon();         // ends a coroutine that waits here, without running it
  std::size_t place = 0;  // in the server's list

  void ready(std::uint32_t events) override;

  Task<Result<std::string_view>> read() override;
  Task<Result<std::string>> read_all(std::size_t bytes_max) override;
  std::optional<std::uint64_t> content_length() const override;
  void on_disconnect(std::function<void()> gone) override;

 private:
  enum class Phase : std::uint8_t { kIdle, kHead, kBody, kHandler, kWrite, kLinger };
  enum class Wake : std::uint8_t { kReady, kTimeout, kCut };
  enum class Waiting : std::uint8_t { kNothing, kRead, kWrite };
  enum class Received : std::uint8_t { kBytes, kNothing, kEnd };
  enum class Next : std::uint8_t { kRequest, kWait, kRefused, kEnd };
  enum class Piece : std::uint8_t { kPiece, kEnd, kFailed, kWait };
  enum class Sent : std::uint8_t { kAll, kPart, kFailed };
  // What did not fit into the socket at once.
  struct Unsent {
    std::string head;
    std::string body;
    std::size_t body_at = 0;
    std::optional<FileBody> file;
  };
  using Waiter = boost::asio::async_result<boost::asio::use_awaitable_t<>, void(Wake)>::handler_type;

  Task<Wake> wait(Waiting what, std::int64_t deadline);  // without a frame of its own
  void wake(Wake how);
  Received receive(std::size_t bytes_max);
  Task<void> breathe();    // lets others run
  Task<void> turn_ends();  // the others that are ready have had their turn; without a frame of its own

  // Reading: connection.cc
  Next next_request();
  Next begin_request();
  Task<Wake> wait_for_head();
  Next head_woke(Wake how);
  Next refuse_head(Refusal why);
  Task<Response> handled();
  Piece next_piece(std::string_view& piece);
  Piece receive_body();
  Task<Wake> wait_for_body();
  void body_woke(Wake how);
  std::unexpected<Error> body_failed() const;
  bool reusable(const Response& response);  // whether another request may follow this answer
  Task<bool> drain_body();
  Task<void> linger();

  // Writing: connection_write.cc
  HeadContext context(bool close);
  void refuse();
  Sent try_send(Response& response, Unsent& unsent);
  Task<bool> send_rest(Unsent unsent);
  Task<bool> send_file(FileBody file);
  Task<bool> send_file_copied(FileBody file);
  Task<bool> writable();
  void stop_watching_writes();
  std::ptrdiff_t write_some(std::string_view a, std::string_view b, int flags);
  void write_interim();

  std::shared_ptr<ServerState> state_;  // shared by all connections and the server
  Fd fd_;
  Peer peer_;
  std::optional<Poller::Token> token_;
  std::unique_ptr<Scratch> scratch_;
  std::optional<Waiter> waiter_;
  std::function<void()> gone_;
  BodyDecoder decoder_;
  Refusal refused_;          // of the request under way, by framing, deadline or limit
  std::size_t piece_ = 0;    // bytes of the buffer that the last piece of the body stands in
  std::size_t scanned_ = 0;  // of an incomplete head
  std::size_t busy_ = 0;     // bytes moved since the coroutine last let others run
  std::uint64_t body_length_ = 0;
  std::uint64_t body_read_ = 0;
  std::int64_t body_waited_ms_ = 0;
  std::int64_t deadline_ = 0;  // of the wait under way; 0: none
  std::int64_t head_deadline_ = 0;
  std::int64_t wait_began_ = 0;
  BodyKind body_kind_ = BodyKind::kNone;
  Phase phase_ = Phase::kIdle;
  Waiting waiting_ = Waiting::kNothing;
  bool readable_ = true;
  bool writable_ = true;
  bool watch_write_ = false;
  bool peer_ended_ = false;  // the peer sends no more
  bool cut_ = false;
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  bool to_head_ = false;
  bool expects_continue_ = false;
  bool lingers_ = false;  // what the peer still sends must be read, lest a reset eats our answer
};

}  // namespace hr::net
