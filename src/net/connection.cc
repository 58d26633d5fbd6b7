#include "net/connection.h"

#include "base/check.h"

#include <boost/asio/post.hpp>

#include <cerrno>
#include <sys/socket.h>
#include <utility>

namespace hr::net {
namespace {

constexpr std::size_t kBodyBufferBytes = 65'536;
constexpr std::size_t kBusyMax = 1'048'576;   // bytes moved before others get their turn
constexpr std::size_t kRequestCost = 16'384;  // what a request counts as, in such bytes
constexpr std::size_t kReserveMax = 262'144;  // a promise of a longer body reserves no memory

bool usable_request_id(std::string_view id) {
  if (id.size() < 8 || id.size() > 64) return false;
  for (const char c : id) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alnum && c != '-') return false;
  }
  return true;
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerState> state, Fd fd, Peer peer)
    : state_(std::move(state)), fd_(std::move(fd)), peer_(std::move(peer)) {
  state_->opened(*this);
}

Connection::~Connection() {
  if (token_) state_->poller.remove(fd_.get(), *token_);
  if (scratch_) state_->give_back(std::move(scratch_));
  state_->closed(*this);
}

Status Connection::watch() {
  HR_ASSIGN(token_, state_->poller.add(fd_.get(), EPOLLIN | EPOLLRDHUP | EPOLLET, *this));
  return {};
}

Task<void> Connection::serve(std::shared_ptr<Connection> self) {
  Connection& c = *self;
  for (;;) {
    Next next = c.next_request();
    while (next == Next::kWait) {
      next = c.head_woke(co_await c.wait_for_head());
      if (next == Next::kWait) next = c.next_request();
    }
    if (next == Next::kRefused) c.refuse();
    if (next != Next::kRequest) break;

    Response response = co_await c.handled();
    if (c.state_->poller.has_more()) co_await c.turn_ends();
    if (c.state_->stopped) co_return;
    if (c.refused_.status != 0) {
      c.refuse();
      break;
    }
    const bool again = c.reusable(response);
    response.close = !again;
    Unsent unsent;
    const Sent sent = c.try_send(response, unsent);
    if (sent == Sent::kFailed) co_return;
    if (sent == Sent::kPart && !co_await c.send_rest(std::move(unsent))) co_return;
    if (!again || (!c.decoder_.ended() && !co_await c.drain_body())) break;
    if ((c.busy_ += kRequestCost) > kBusyMax) co_await c.breathe();
  }
  if (c.lingers_) co_await c.linger();
}

// --- waiting
// ------------------------------------------------------------------------------------------------

auto Connection::wait(Waiting what, std::int64_t deadline) -> Task<Wake> {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Wake)>(
      [this, what, deadline](auto handler) {
        if (cut_) return std::move(handler)(Wake::kCut);
        if (what == Waiting::kRead && readable_) {  // there is more, but it is the others' turn
          state_->runtime.post([weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->wake(Wake::kReady);
          });
        }
        busy_ = 0;
        waiting_ = what;
        deadline_ = deadline;
        wait_began_ = state_->now_ms();
        waiter_.emplace(std::move(handler));
      },
      boost::asio::use_awaitable);
}

// The connection may be gone afterwards.
void Connection::wake(Wake how) {
  if (!waiter_) return;
  waiting_ = Waiting::kNothing;
  deadline_ = 0;
  Waiter waiter = std::move(*waiter_);
  waiter_.reset();
  std::move(waiter)(how);
}

void Connection::ready(std::uint32_t events) {
  constexpr std::uint32_t kEnded = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((events & (EPOLLIN | kEnded)) != 0) readable_ = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
  if ((events & kEnded) != 0) peer_ended_ = true;
  if ((waiting_ == Waiting::kRead && readable_) || (waiting_ == Waiting::kWrite && writable_)) {
    return wake(Wake::kReady);
  }
  if (peer_ended_ && gone_) std::exchange(gone_, nullptr)();
}

bool Connection::expired(std::int64_t now) const {
  if (waiting_ == Waiting::kNothing) return false;
  if (deadline_ != 0 && now >= deadline_) return true;
  if (phase_ != Phase::kBody) return false;
  const std::int64_t waited = body_waited_ms_ + now - wait_began_;
  const auto& limits = state_->limits;
  return waited > limits.body_rate_grace.count() &&
         body_read_ * 1000 < limits.body_bytes_per_second_min * static_cast<std::uint64_t>(waited);
}

void Connection::cut() {
  const auto self = shared_from_this();
  cut_ = true;
  ::shutdown(fd_.get(), SHUT_RDWR);
  peer_ended_ = true;
  if (waiter_) return wake(Wake::kCut);
  if (gone_) std::exchange(gone_, nullptr)();
}

void Connection::abandon() {
  const auto self = shared_from_this();
  cut_ = true;
  ::shutdown(fd_.get(), SHUT_RDWR);
  gone_ = nullptr;
  const std::optional<Waiter> dropped = std::exchange(waiter_, std::nullopt);
}

Task<void> Connection::breathe() {
  busy_ = 0;
  co_await boost::asio::post(state_->runtime.context(), boost::asio::use_awaitable);
}

Task<void> Connection::turn_ends() {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
      [this](auto handler) {
        state_->poller.put_off([resume = std::move(handler)]() mutable { std::move(resume)(); });
      },
      boost::asio::use_awaitable);
}

// --- heads
// --------------------------------------------------------------------------------------------------

auto Connection::receive(std::size_t bytes_max) -> Received {
  if (!readable_) return Received::kNothing;
  const std::span<char> room = scratch_->in.room(bytes_max);
  HR_CHECK(!room.empty());
  ssize_t n = -1;
  do {
    n = ::recv(fd_.get(), room.data(), room.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    const auto bytes = static_cast<std::size_t>(n);
    scratch_->in.added(bytes);
    state_->stats.bytes_in += bytes;
    busy_ += bytes;
    // A short read emptied the socket: what comes later raises a new event. An end that was announced does
    // not.
    if (bytes < room.size() && !peer_ended_) readable_ = false;
    return Received::kBytes;
  }
  readable_ = false;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Received::kNothing;
  peer_ended_ = true;
  readable_ = true;
  return Received::kEnd;
}

auto Connection::next_request() -> Next {
  for (;;) {
    if (cut_) return Next::kEnd;
    if (!scratch_) scratch_ = state_->borrow();
    Buffer& in = scratch_->in;
    if (!in.empty()) {
      switch (state_->parser.parse(in.bytes(), scanned_)) {
        case HeadState::kDone:
          return begin_request();
        case HeadState::kRefused:
          return refuse_head(state_->parser.refusal());
        case HeadState::kMore:
          break;
      }
    }
    switch (receive(state_->limits.header_bytes_max + 64)) {
      case Received::kBytes:
        continue;
      case Received::kNothing:
        return Next::kWait;
      case Received::kEnd:
        return Next::kEnd;
    }
  }
}

auto Connection::begin_request() -> Next {
  const ParsedHead& parsed = state_->parser.head();
  RequestHead& head = scratch_->head;
  head.method.assign(parsed.method);
  head.target.assign(parsed.target);
  head.headers.assign(parsed.fields);
  head.peer = peer_;
  const auto offered = head.headers.find("x-request-id");
  head.request_id.assign(offered && usable_request_id(*offered) ? *offered : state_->make_request_id());

  decoder_ = BodyDecoder(parsed.body, parsed.content_length);
  body_kind_ = parsed.body;
  body_length_ = parsed.content_length;
  body_read_ = 0;
  body_waited_ms_ = 0;
  expects_continue_ = parsed.expect_continue && !decoder_.ended();
  // RFC 9110 10.1.1 allows silence here, but botocore then misreads the connection's next answer.
  if (parsed.expect_continue && decoder_.ended()) write_interim();
  keep_alive_ = parsed.keep_alive;
  http_1_0_ = parsed.http_1_0;
  to_head_ = parsed.method == "HEAD";
  refused_ = {};
  scanned_ = 0;
  head_deadline_ = 0;
  scratch_->in.consume(parsed.bytes);
  ++state_->stats.requests;
  return Next::kRequest;
}

auto Connection::wait_for_head() -> Task<Wake> {
  const std::int64_t now = state_->now_ms();
  if (scratch_->in.empty()) {
    state_->give_back(std::move(scratch_));
    phase_ = Phase::kIdle;
    return wait(Waiting::kRead, now + state_->limits.idle_timeout.count());
  }
  phase_ = Phase::kHead;
  if (head_deadline_ == 0) head_deadline_ = now + state_->limits.header_timeout.count();
  return wait(Waiting::kRead, head_deadline_);
}

auto Connection::head_woke(Wake how) -> Next {
  if (how == Wake::kReady) return Next::kWait;
  if (how == Wake::kCut || phase_ == Phase::kIdle) return Next::kEnd;
  return refuse_head({408, "the request's headers took too long"});
}

auto Connection::refuse_head(Refusal why) -> Next {
  refused_ = why;
  to_head_ = http_1_0_ = false;
  scratch_->head.request_id.assign(state_->make_request_id());
  return Next::kRefused;
}

Task<Response> Connection::handled() {
  phase_ = Phase::kHandler;
  Response response;
  std::string what;
  try {
    response = co_await state_->handler.handle(scratch_->head, *this);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
    what = "not a std::exception";
  }
  gone_ = nullptr;
  if (!what.empty()) {
    state_->diary.error("http.handler_exception",
                        {{"request_id", scratch_->head.request_id}, {"what", what}});
    refused_ = {500, "internal error"};
  }
  co_return response;
}

// --- bodies
// -------------------------------------------------------------------------------------------------

std::optional<std::uint64_t> Connection::content_length() const {
  if (body_kind_ == BodyKind::kChunked) return std::nullopt;
  return body_length_;
}

// All that needs no waiting.
auto Connection::next_piece(std::string_view& piece) -> Piece {
  Buffer& in = scratch_->in;
  in.consume(std::exchange(piece_, 0));
  for (;;) {
    if (refused_.status != 0) return Piece::kFailed;
    if (!in.empty()) expects_continue_ = false;  // the peer did not wait
    const BodyDecoder::Step step = decoder_.next(in.bytes());
    switch (step.state) {
      case BodyState::kPiece:
        in.consume(step.used - step.piece.size());
        piece = step.piece;
        piece_ = piece.size();
        body_read_ += piece_;
        return Piece::kPiece;
      case BodyState::kEnd:
        in.consume(step.used);
        return Piece::kEnd;
      case BodyState::kRefused:
        refused_ = decoder_.refusal();
        return Piece::kFailed;
      case BodyState::kMore:
        in.consume(step.used);
        break;
    }
    const Piece received = receive_body();
    if (received != Piece::kPiece) return received;
  }
}

auto Connection::receive_body() -> Piece {
  if (std::exchange(expects_continue_, false)) write_interim();
  Buffer& in = scratch_->in;
  if (decoder_.known_left() > in.capacity()) {
    in.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(decoder_.known_left(), kBodyBufferBytes)));
  }
  switch (receive(kBodyBufferBytes)) {
    case Received::kBytes:
      // Others get their turn only while more is to come: nothing would wake a wait for what is here already.
      return busy_ > kBusyMax && readable_ ? Piece::kWait : Piece::kPiece;
    case Received::kNothing:
      return Piece::kWait;
    case Received::kEnd:
      refused_ = {400, "the request's body is incomplete"};
      return Piece::kFailed;
  }
  std::unreachable();
}

auto Connection::wait_for_body() -> Task<Wake> {
  phase_ = Phase::kBody;
  return wait(Waiting::kRead, state_->now_ms() + state_->limits.body_stall_timeout.count());
}

void Connection::body_woke(Wake how) {
  phase_ = Phase::kHandler;
  body_waited_ms_ += state_->now_ms() - wait_began_;
  if (how == Wake::kReady) return;
  refused_ = how == Wake::kTimeout ? Refusal{408, "the request's body took too long"}
                                   : Refusal{503, "the server is stopping"};
}

std::unexpected<Error> Connection::body_failed() const {
  Errc code = Errc::kInvalid;
  if (refused_.status == 408) code = Errc::kTimeout;
  if (peer_ended_ || cut_) code = Errc::kClosed;
  return fail(code, std::string(refused_.reason));
}

Task<Result<std::string_view>> Connection::read() {
  std::string_view piece;
  for (;;) {
    switch (next_piece(piece)) {
      case Piece::kPiece:
        co_return piece;
      case Piece::kEnd:
        co_return std::string_view();
      case Piece::kFailed:
        co_return body_failed();
      case Piece::kWait:
        break;
    }
    body_woke(co_await wait_for_body());
  }
}

Task<Result<std::string>> Connection::read_all(std::size_t bytes_max) {
  const auto too_large = [&] {
    return fail(Errc::kLimit, "the body is longer than " + std::to_string(bytes_max) + " bytes");
  };
  std::string all;
  if (body_kind_ == BodyKind::kLength) {
    if (body_length_ > bytes_max) co_return too_large();
    all.reserve(std::min<std::size_t>(static_cast<std::size_t>(body_length_), kReserveMax));
  }
  std::string_view piece;
  for (;;) {
    switch (next_piece(piece)) {
      case Piece::kPiece:
        if (piece.size() > bytes_max - all.size()) co_return too_large();
        all.append(piece);
        continue;
      case Piece::kEnd:
        co_return all;
      case Piece::kFailed:
        co_return body_failed();
      case Piece::kWait:
        break;
    }
    body_woke(co_await wait_for_body());
  }
}

void Connection::on_disconnect(std::function<void()> gone) {
  gone_ = std::move(gone);
  // It may be long, and thousands wait beside it: the buffer is most of what a waiting request holds.
  scratch_->in.consume(std::exchange(piece_, 0));
  scratch_->in.give_back();
  if (!peer_ended_) return;
  state_->runtime.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->gone_) std::exchange(self->gone_, nullptr)();
  });
}

// --- ending
// -------------------------------------------------------------------------------------------------

bool Connection::reusable(const Response& response) {
  scratch_->in.consume(std::exchange(piece_, 0));
  const bool unread = !decoder_.ended();
  const bool too_much =
      unread && (expects_continue_ ||
                 (body_kind_ == BodyKind::kLength && decoder_.known_left() > state_->limits.drain_bytes_max));
  if (unread) lingers_ = true;
  return keep_alive_ && !response.close && !too_much && !state_->draining && !cut_;
}

// Reads away a body that no handler wanted. False: the connection ends.
Task<bool> Connection::drain_body() {
  const std::uint64_t limit = body_read_ + state_->limits.drain_bytes_max;
  const std::int64_t deadline = state_->now_ms() + state_->limits.linger_timeout.count();
  for (;;) {
    std::string_view piece;
    switch (next_piece(piece)) {
      case Piece::kPiece:
        if (body_read_ > limit) co_return false;
        continue;
      case Piece::kEnd:
        lingers_ = false;
        co_return true;
      case Piece::kFailed:
        co_return false;
      case Piece::kWait:
        break;
    }
    phase_ = Phase::kLinger;
    if (co_await wait(Waiting::kRead, deadline) != Wake::kReady) co_return false;
  }
}

// Closing a socket with unread bytes sends a reset, which may overtake our answer: so they are read, for a
// while.
Task<void> Connection::linger() {
  phase_ = Phase::kLinger;
  ::shutdown(fd_.get(), SHUT_WR);
  const std::int64_t deadline = state_->now_ms() + state_->limits.linger_timeout.count();
  for (;;) {
    if (!scratch_) scratch_ = state_->borrow();
    scratch_->in.consume(scratch_->in.size());
    const Received received = receive(kBodyBufferBytes);
    if (received == Received::kEnd || state_->now_ms() >= deadline) co_return;
    if (busy_ > kBusyMax) co_await breathe();
    if (received == Received::kNothing && co_await wait(Waiting::kRead, deadline) != Wake::kReady) co_return;
  }
}

}  // namespace hr::net
