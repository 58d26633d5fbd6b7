#include "web/request.h"

#include "codec/time_text.h"
#include "web/stream.h"

#include <algorithm>
#include <cstring>
#include <sys/socket.h>
#include <utility>

namespace hr::web {
namespace {
constexpr std::size_t kBodyBuffer = 65'536;
constexpr net::Refusal kTooLarge = {413, "request body too large"};
constexpr net::Refusal kSlow = {408, "the request body came too slowly"};
constexpr net::Refusal kCutOff = {400, "the request body was cut off"};
}  // namespace

Request::Request(std::shared_ptr<Exchange> exchange, std::unique_ptr<Connection> connection,
                 const net::ParsedHead& head, Environ environ)
    : exchange_(std::move(exchange)),
      connection_(std::move(connection)),
      method_(head.method),
      path_(head.target.substr(0, head.target.find('?'))),
      environ_(std::move(environ)),
      answer_({.head = head.method == "HEAD", .http_1_0 = head.http_1_0, .keep_alive = head.keep_alive}),
      body_(head.body, head.content_length),
      by_length_(head.body == net::BodyKind::kLength),
      expect_continue_(head.expect_continue) {
  connection_->in.consume(head.bytes);
  connection_->scanned = 0;
}

Request::~Request() { drop(); }

std::string_view Request::variable(std::string_view name) const {
  const auto found = std::ranges::find(environ_.variables, name, &Variable::name);
  return found == environ_.variables.end() ? std::string_view() : std::string_view(found->value);
}

std::string Request::date() const { return codec::http_date(exchange_->clock.wall()); }

// --- the body

Result<std::size_t> Request::read(std::span<char> out) {
  if (connection_ == nullptr) return fail(Errc::kClosed, "the request is over");
  if (body_refusal_.status != 0) return fail(Errc::kInvalid, std::string(body_refusal_.reason));
  if (out.empty()) return 0;
  HR_ASSIGN(const std::size_t n, body_bytes(out));
  body_received_ += n;
  if (body_received_ > exchange_->limits.body_bytes_max) {
    return body_failed({Errc::kLimit, std::string(kTooLarge.reason)}, kTooLarge);
  }
  return n;
}

Result<std::size_t> Request::body_bytes(std::span<char> out) {
  for (;;) {
    // Framing never grows what it frames: a piece of `out.size()` bytes of input fits.
    const ByteView input = connection_->in.bytes().substr(0, out.size());
    if (by_length_ && input.empty() && !body_.ended()) return body_in_place(out);
    const auto step = body_.next(input);
    if (step.state == net::BodyState::kPiece) std::memcpy(out.data(), step.piece.data(), step.piece.size());
    connection_->in.consume(step.used);
    switch (step.state) {
      case net::BodyState::kPiece:
        return step.piece.size();
      case net::BodyState::kEnd:
        return 0;
      case net::BodyState::kRefused:
        return body_failed({Errc::kInvalid, std::string(body_.refusal().reason)}, body_.refusal());
      case net::BodyState::kMore:
        if (connection_->in.empty()) HR_TRY(more_body());
        break;
    }
  }
}

// A body of known length is received where it is wanted.
Result<std::size_t> Request::body_in_place(std::span<char> out) {
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), body_.known_left()));
  HR_ASSIGN(const std::size_t got, from_peer(out.first(most)));
  body_.next(ByteView(out.data(), got));
  return got;
}

Status Request::more_body() {
  HR_ASSIGN(const std::size_t got, from_peer(connection_->in.room(kBodyBuffer)));
  connection_->in.added(got);
  return {};
}

Result<std::size_t> Request::from_peer(std::span<char> out) {
  HR_TRY(say_continue());
  const Limits& limits = exchange_->limits;
  const Nanos before = exchange_->clock.boottime();
  auto got = receive(connection_->fd.get(), out, limits.body_stall_timeout);
  waited_ += exchange_->clock.boottime() - before;
  if (!got) return body_failed(got.error(), got.error().code == Errc::kTimeout ? kSlow : kCutOff);
  if (*got == 0) return body_failed({Errc::kClosed, std::string(kCutOff.reason)}, kCutOff);
  received_ += *got;
  const auto seconds = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::seconds>(waited_).count());
  if (waited_ > limits.body_rate_grace && received_ < seconds * limits.body_bytes_per_second_min) {
    return body_failed({Errc::kTimeout, std::string(kSlow.reason)}, kSlow);
  }
  return *got;
}

// Only a peer that waits is told to go on, and only before the answer.
Status Request::say_continue() {
  if (!std::exchange(expect_continue_, false) || answer_.sent()) return {};
  return send_all(connection_->fd.get(), {.before = "HTTP/1.1 100 Continue\r\n\r\n", .data = {}, .after = {}},
                  exchange_->limits.write_stall_timeout);
}

std::unexpected<Error> Request::body_failed(Error error, net::Refusal refusal) {
  body_refusal_ = refusal;
  return std::unexpected(std::move(error));
}

// --- the answer

Status Request::start(std::string_view status, codec::HeaderFields headers) {
  return answer_.start(status, headers, date());
}

// Whether the rest of the body, which nobody may read, can be passed over to the next request.
bool Request::body_will_end() const {
  if (body_refusal_.status != 0) return false;
  if (body_.ended()) return true;
  return by_length_ && !expect_continue_ && body_.known_left() <= exchange_->limits.drain_bytes_max;
}

Status Request::may_send() const {
  if (connection_ == nullptr || broken_) return fail(Errc::kClosed, "the connection ended");
  if (!answer_.started()) return fail(Errc::kInvalid, "the answer was not started");
  if (answer_.ended()) return fail(Errc::kInvalid, "the answer has ended");
  return {};
}

Status Request::send(ByteView data, bool last) {
  HR_TRY(may_send());
  if (data.empty() && !last && answer_.sent()) return {};
  const bool close = exchange_->stopping() || !body_will_end();
  const Answer::Piece piece = answer_.next(data.size(), last, close);
  const Status sent =
      send_all(connection_->fd.get(),
               {.before = piece.before, .data = data.substr(0, piece.bytes), .after = piece.after},
               exchange_->limits.write_stall_timeout);
  broken_ = broken_ || !sent;
  return sent;
}

Status Request::send_file(int file, std::uint64_t offset, std::uint64_t count) {
  HR_TRY(may_send());
  const bool close = exchange_->stopping() || !body_will_end();
  const Answer::Piece piece = answer_.next(static_cast<std::size_t>(count), true, close);
  const int fd = connection_->fd.get();
  const Duration stall = exchange_->limits.write_stall_timeout;
  Status sent = send_all(fd, {.before = piece.before, .data = {}, .after = {}}, stall);
  if (sent) sent = web::send_file(fd, file, offset, piece.bytes, stall);
  if (sent) sent = send_all(fd, {.before = {}, .data = {}, .after = piece.after}, stall);
  broken_ = broken_ || !sent;
  return sent;
}

Status Request::refuse(int status, ByteView text) {
  const codec::HeaderField type{"Content-Type", "text/plain; charset=utf-8"};
  const std::string line = std::to_string(status) + " " + std::string(reason_phrase(status));
  HR_TRY(start(line, {&type, 1}));
  std::string body(text);
  body += '\n';
  return send(body, true);
}

// --- the end

// Uses up what is there of the body. True: it is known where the next request begins, here or in a while.
bool Request::skip_body() {
  if (body_refusal_.status != 0) return false;
  for (;;) {
    const auto step = body_.next(connection_->in.bytes());
    connection_->in.consume(step.used);
    if (step.state == net::BodyState::kEnd) return true;
    if (step.state == net::BodyState::kPiece) continue;
    if (step.state == net::BodyState::kRefused || !body_will_end()) return false;
    connection_->skip = body_.known_left();
    return true;
  }
}

void Request::finish() {
  if (connection_ == nullptr) return;
  const bool whole = answer_.ended() && answer_.missing() == 0 && !broken_ && counted_;
  const bool clean = whole && skip_body();
  const bool keep = clean && answer_.reusable();
  if (keep || (whole && !(clean && connection_->in.empty() && connection_->skip == 0))) {
    counted_ = false;
    exchange_->give_back({std::move(connection_), keep ? After::kKeep : After::kLinger});
  }
  drop();
}

void Request::drop() {
  connection_.reset();
  if (std::exchange(counted_, false)) exchange_->dropped();
}

void Request::expire() {
  if (connection_ == nullptr) return;
  if (!answer_.sent() && !broken_) {
    const std::string text = plain_answer(504, "the application took too long", date());
    [[maybe_unused]] const auto sent =
        ::send(connection_->fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  broken_ = true;
  cut();
  if (std::exchange(counted_, false)) exchange_->dropped();
}

void Request::cut() const {
  if (connection_ != nullptr) ::shutdown(connection_->fd.get(), SHUT_RDWR);
}

}  // namespace hr::web
