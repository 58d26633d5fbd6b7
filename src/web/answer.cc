#include "web/answer.h"

#include "net/http_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace hr::web {
namespace {

// Between two hops only (RFC 9110, section 7.6.1): the server's own business.
bool hop_by_hop(ByteView name) {
  static constexpr std::array<std::string_view, 8> kNames = {"connection", "keep-alive", "proxy-connection",
                                                             "te",         "trailer",    "transfer-encoding",
                                                             "trailers",   "upgrade"};
  return std::ranges::any_of(kNames, [&](ByteView known) { return codec::same_name(name, known); });
}

std::optional<std::uint64_t> parse_length(ByteView text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > 18) return std::nullopt;
  return value;
}

bool good_status(ByteView status) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return status.size() >= 4 && std::ranges::all_of(status.substr(0, 3), digit) && status[3] == ' ' &&
         status[0] >= '2' && status[0] <= '5' && net::valid_header("status", status);
}

std::string shown(ByteView text) {
  std::string out(text.substr(0, 80));
  for (char& c : out) {
    if (c < ' ' || c == '\x7f') c = '?';
  }
  return out;
}

}  // namespace

Status Answer::start(ByteView status, codec::HeaderFields headers, ByteView date) {
  if (sent()) return fail(Errc::kInvalid, "the answer has begun to be sent");
  if (!good_status(status)) {
    return fail(Errc::kInvalid,
                fmt::format("the status must be like \"200 OK\", from 200 to 599: \"{}\"", shown(status)));
  }
  *this = Answer(to_);
  std::from_chars(status.data(), status.data() + 3, status_);
  lines_ = fmt::format("HTTP/1.1 {}\r\n", status);
  bool dated = false;
  bool named = false;
  for (const codec::HeaderField& field : headers) {
    HR_TRY(take(field));
    dated = dated || codec::same_name(field.name, "date");
    named = named || codec::same_name(field.name, "server");
  }
  if (!dated) lines_ += fmt::format("Date: {}\r\n", date);
  if (!named) lines_ += "Server: headrace\r\n";
  started_ = true;
  return {};
}

Status Answer::take(const codec::HeaderField& field) {
  if (!net::valid_header(field.name, field.value)) {
    return fail(Errc::kInvalid, fmt::format("a header that must not be sent: \"{}\"", shown(field.name)));
  }
  if (codec::same_name(field.name, "content-length")) {
    const auto length = parse_length(field.value);
    if (!length || (length_ && *length_ != *length)) {
      return fail(Errc::kInvalid, fmt::format("a Content-Length that is none: \"{}\"", shown(field.value)));
    }
    length_ = length;
    return {};
  }
  if (codec::same_name(field.name, "connection") && codec::same_name(field.value, "close"))
    app_closes_ = true;
  if (!hop_by_hop(field.name)) lines_.append(field.name).append(": ").append(field.value).append("\r\n");
  return {};
}

void Answer::decide(std::size_t bytes, bool last) {
  const bool without_body = to_.head || status_ == 204 || status_ == 304;
  if (status_ == 204) length_.reset();  // RFC 9110, section 8.6
  if (without_body) {
    if (to_.head && !length_ && last && bytes != 0) length_ = bytes;
    framing_ = Framing::kNone;
    return;
  }
  if (!length_ && last) length_ = bytes;
  if (length_) {
    framing_ = Framing::kLength;
    left_ = *length_;
  } else if (to_.http_1_0) {
    framing_ = Framing::kUntilClose;
    close_ = true;
  } else {
    framing_ = Framing::kChunked;
  }
}

std::string Answer::head() const {
  std::string out = lines_;
  if (length_) out += fmt::format("Content-Length: {}\r\n", *length_);
  if (framing_ == Framing::kChunked) out += "Transfer-Encoding: chunked\r\n";
  if (close_) {
    out += "Connection: close\r\n";
  } else if (to_.http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  return out + "\r\n";
}

Answer::Piece Answer::next(std::size_t bytes, bool last, bool close) {
  Piece out;
  if (!sent()) {
    close_ = close_ || close || app_closes_;
    decide(bytes, last);
    out.before = head();
  }
  if (framing_ == Framing::kLength) {
    out.bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, left_));
    left_ -= out.bytes;
    excess_ += bytes - out.bytes;
  } else if (framing_ != Framing::kNone) {
    out.bytes = bytes;
  }
  if (framing_ == Framing::kChunked) {
    if (bytes != 0) out.before += fmt::format("{:x}\r\n", bytes);
    if (bytes != 0) out.after = last ? "\r\n0\r\n\r\n" : "\r\n";
    if (bytes == 0 && last) out.after = "0\r\n\r\n";
  }
  body_bytes_ += out.bytes;
  ended_ = ended_ || last;
  return out;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

std::string plain_answer(int status, ByteView text, ByteView date) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nServer: headrace\r\nContent-Type: text/plain; charset=utf-8\r\nDate: {}\r\n"
      "Connection: close\r\nContent-Length: {}\r\n\r\n{}\n",
      status, reason_phrase(status), date, text.size() + 1, text);
}

}  // namespace hr::web
