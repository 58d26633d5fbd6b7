#include "net/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

namespace hr::net {
namespace {

constexpr std::size_t kFilePieceBytes =
    1'048'576;  // a cold file blocks the reactor for no longer than this takes
constexpr std::size_t kCopyPieceBytes = 262'144;
constexpr std::size_t kBodyCopiedMax = 2'048;
constexpr std::uint32_t kWatched = EPOLLIN | EPOLLRDHUP | EPOLLET;

}  // namespace

HeadContext Connection::context(bool close) {
  return {.date = state_->date(),
          .request_id = scratch_ ? std::string_view(scratch_->head.request_id) : std::string_view(),
          .to_head = to_head_,
          .close = close,
          .http_1_0 = http_1_0_};
}

// The answer to what no handler may see. Small: a socket that cannot take it at once gets nothing.
void Connection::refuse() {
  ++state_->stats.refused;
  if (refused_.status == 408) ++state_->stats.timeouts;
  ++state_->stats.responses_by_class[refused_.status / 100];
  std::string& out = state_->out;
  out.clear();
  append_refusal(out, refused_.status, refused_.reason, context(true));
  const std::ptrdiff_t sent = write_some(out, {}, 0);
  if (sent > 0) state_->stats.bytes_out += static_cast<std::uint64_t>(sent);
  lingers_ = true;
}

// EAGAIN is 0, an error -1.
std::ptrdiff_t Connection::write_some(std::string_view a, std::string_view b, int flags) {
  std::array<iovec, 2> parts{
      {{const_cast<char*>(a.data()), a.size()}, {const_cast<char*>(b.data()), b.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = 2;
  ssize_t n = -1;
  do {
    n = b.empty() ? ::send(fd_.get(), a.data(), a.size(), flags | MSG_NOSIGNAL)
                  : ::sendmsg(fd_.get(), &message, flags | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
  return n;
}

void Connection::write_interim() {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  if (write_some(kContinue, {}, 0) == static_cast<std::ptrdiff_t>(kContinue.size())) return;
  refused_ = {400, "the connection takes no bytes"};
}

// Head and body in one call. What the socket did not take is left in `unsent`.
auto Connection::try_send(Response& response, Unsent& unsent) -> Sent {
  std::string& out = state_->out;
  out.clear();
  Result<WrittenHead> head = append_head(out, response, context(response.close));
  if (!head) {
    state_->diary.error("http.bad_response",
                        {{"request_id", scratch_->head.request_id}, {"what", head.error().message}});
    const bool close = response.close;
    response = Response{
        .status = 500, .headers = {}, .body = "internal error\n", .close = close, .announced_length = {}};
    head = append_head(out, response, context(close));
  }
  ++state_->stats.responses_by_class[response.status / 100];
  auto* text = std::get_if<std::string>(&response.body);
  const bool file = text == nullptr && head->body_bytes != 0;
  std::string_view body =
      text != nullptr && head->body_bytes != 0 ? std::string_view(*text) : std::string_view();
  if (body.size() <= kBodyCopiedMax) {  // one part costs the kernel less than two
    out.append(body);
    body = {};
  }
  const std::ptrdiff_t n = write_some(out, body, file ? MSG_MORE : 0);
  if (n < 0) return Sent::kFailed;
  const auto sent = static_cast<std::size_t>(n);
  state_->stats.bytes_out += sent;
  busy_ += sent;
  if (!file && sent == out.size() + body.size()) return Sent::kAll;
  if (sent < out.size()) unsent.head = out.substr(sent);
  if (file) unsent.file = std::move(std::get<FileBody>(response.body));
  if (!body.empty()) {
    unsent.body_at = sent > out.size() ? sent - out.size() : 0;
    unsent.body = std::move(*text);
  }
  return Sent::kPart;
}

Task<bool> Connection::send_rest(Unsent unsent) {
  std::string_view head = unsent.head;
  std::string_view body = std::string_view(unsent.body).substr(unsent.body_at);
  while (!head.empty() || !body.empty()) {
    const std::ptrdiff_t n =
        head.empty() ? write_some(body, {}, 0) : write_some(head, body, unsent.file ? MSG_MORE : 0);
    if (n < 0) co_return false;
    if (n == 0) {
      if (!co_await writable()) co_return false;
      continue;
    }
    const auto sent = static_cast<std::size_t>(n);
    state_->stats.bytes_out += sent;
    const std::size_t of_head = std::min(sent, head.size());
    head.remove_prefix(of_head);
    body.remove_prefix(sent - of_head);
  }
  bool sent = true;
  if (unsent.file) {
    sent = unsent.file->file->native_handle() >= 0 ? co_await send_file(std::move(*unsent.file))
                                                   : co_await send_file_copied(std::move(*unsent.file));
  }
  stop_watching_writes();
  co_return sent;
}

Task<bool> Connection::send_file(FileBody file) {
  auto offset = static_cast<off_t>(file.offset);
  while (file.bytes != 0) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(file.bytes, kFilePieceBytes));
    const ssize_t n = ::sendfile(fd_.get(), file.file->native_handle(), &offset, most);
    if (n > 0) {
      file.bytes -= static_cast<std::uint64_t>(n);
      state_->stats.bytes_out += static_cast<std::uint64_t>(n);
      if ((busy_ += static_cast<std::size_t>(n)) > kFilePieceBytes) co_await breathe();
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (!co_await writable()) co_return false;
      continue;
    }
    if (n == 0 || (errno != EPIPE && errno != ECONNRESET)) {
      state_->diary.error("http.file_too_short",
                          {{"request_id", scratch_->head.request_id}, {"missing", file.bytes}});
    }
    co_return false;
  }
  co_return true;
}

// For files without a descriptor.
Task<bool> Connection::send_file_copied(FileBody file) {
  while (file.bytes != 0) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(file.bytes, kCopyPieceBytes));
    Result<std::string> piece = co_await state_->runtime.on_pool([held = file.file, at = file.offset, most] {
      std::string bytes(most, '\0');
      Result<std::size_t> got = held->read_at(at, bytes, "http.send");
      if (!got) return Result<std::string>(std::unexpected(std::move(got).error()));
      bytes.resize(*got);
      return Result<std::string>(std::move(bytes));
    });
    if (state_->stopped || cut_) co_return false;
    if (!piece || piece->empty()) {
      state_->diary.error("http.file_too_short",
                          {{"request_id", scratch_->head.request_id},
                           {"missing", file.bytes},
                           {"what", piece ? std::string("end of file") : piece.error().message}});
      co_return false;
    }
    file.offset += piece->size();
    file.bytes -= piece->size();
    for (std::string_view rest = *piece; !rest.empty();) {
      const std::ptrdiff_t n = write_some(rest, {}, file.bytes != 0 ? MSG_MORE : 0);
      if (n < 0 || (n == 0 && !co_await writable())) co_return false;
      rest.remove_prefix(static_cast<std::size_t>(n));
      state_->stats.bytes_out += static_cast<std::uint64_t>(n);
    }
  }
  co_return true;
}

Task<bool> Connection::writable() {
  if (!watch_write_) {
    watch_write_ = true;
    writable_ = false;
    // This also asks for the present state, so that a change between the write and now is not missed.
    if (!state_->poller.change(fd_.get(), *token_, kWatched | EPOLLOUT)) co_return false;
  }
  writable_ = false;
  phase_ = Phase::kWrite;
  const Wake how =
      co_await wait(Waiting::kWrite, state_->now_ms() + state_->limits.write_stall_timeout.count());
  if (how == Wake::kTimeout) ++state_->stats.timeouts;
  phase_ = Phase::kHandler;
  co_return how == Wake::kReady;
}

void Connection::stop_watching_writes() {
  if (!watch_write_) return;
  watch_write_ = false;
  if (!state_->poller.change(fd_.get(), *token_, kWatched)) cut_ = true;
}

}  // namespace hr::net
