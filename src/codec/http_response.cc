#include "codec/http_response.h"

#include "codec/header_field.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::codec {
namespace {

constexpr std::size_t kReserveMax = 1U << 20;  // before a body has come: what it claims is not yet true

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_token_char(char c) {
  return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         ByteView("!#$%&'*+-.^_`|~").contains(c);
}

bool is_value_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

ByteView trimmed(ByteView text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

struct Line {
  ByteView name, value;
};

Result<Line> split_field(ByteView line) {
  const auto end = static_cast<std::size_t>(std::ranges::find_if_not(line, is_token_char) - line.begin());
  if (end == 0 || end == line.size() || line[end] != ':') {
    return fail(Errc::kInvalid, "malformed header name in the answer");
  }
  const ByteView value = trimmed(line.substr(end + 1));
  if (!std::ranges::all_of(value, is_value_char)) {
    return fail(Errc::kInvalid, "control character in a header of the answer");
  }
  return Line{line.substr(0, end), value};
}

}  // namespace

ResponseParser::ResponseParser(Asked asked, ResponseLimits limits) : asked_(asked), limits_(limits) {}

std::unexpected<Error> ResponseParser::refuse(Errc code, std::string message) {
  state_ = State::kFailed;
  return fail(code, std::move(message));
}

Result<std::size_t> ResponseParser::feed(ByteView bytes) {
  ByteView in = bytes;
  while (!in.empty() && state_ != State::kDone) {
    began_ = true;
    switch (state_) {
      case State::kFailed:
        return refuse(Errc::kInvalid, "the answer was malformed");
      case State::kLength:
      case State::kToClose:
      case State::kChunk:
        HR_TRY(take_body(in));
        break;
      default: {
        bool whole = false;
        HR_TRY(take_line(in, whole));
        if (!whole) break;
        HR_TRY(on_line());
        line_.clear();
      }
    }
  }
  return bytes.size() - in.size();
}

Status ResponseParser::closed() {
  if (state_ == State::kToClose) state_ = State::kDone;
  if (state_ == State::kDone) return {};
  if (state_ == State::kFailed) return refuse(Errc::kInvalid, "the answer was malformed");
  return refuse(Errc::kClosed, began_ ? "the connection was closed in the middle of an answer"
                                      : "the connection was closed without an answer");
}

Status ResponseParser::take_line(ByteView& in, bool& whole) {
  const std::size_t lf = in.find('\n');
  const std::size_t bytes = lf == ByteView::npos ? in.size() : lf + 1;
  head_bytes_ += bytes;
  // An endless line is refused while it comes.
  if (line_.size() + bytes > limits_.line_bytes_max + 2 || head_bytes_ > limits_.head_bytes_max) {
    return refuse(Errc::kLimit, "the head of the answer is too large");
  }
  line_.append(in.substr(0, bytes));
  in.remove_prefix(bytes);
  if (lf == ByteView::npos) return {};
  if (!line_.ends_with("\r\n")) return refuse(Errc::kInvalid, "a line of the answer does not end in CR LF");
  line_.resize(line_.size() - 2);
  whole = true;
  return {};
}

Status ResponseParser::on_line() {
  switch (state_) {
    case State::kStatusLine:
      return on_status_line(line_);
    case State::kHeader:
      return line_.empty() ? on_head_end() : on_header(line_);
    case State::kChunkSize:
      return on_chunk_size(line_);
    case State::kChunkEnd:
      if (!line_.empty()) return refuse(Errc::kInvalid, "a chunk of the answer is longer than its size");
      state_ = State::kChunkSize;
      return {};
    default:
      return on_trailer(line_);
  }
}

// "HTTP/1.1 200 OK"; the reason and the space before it may be missing.
Status ResponseParser::on_status_line(ByteView line) {
  const bool formed = line.size() >= 12 && (line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) &&
                      std::ranges::all_of(line.substr(9, 3), is_digit) &&
                      (line.size() == 12 || line[12] == ' ') &&
                      std::ranges::all_of(line.substr(12), is_value_char);
  if (!formed) return refuse(Errc::kInvalid, "the answer is not HTTP/1.1");
  response_ = {};
  framing_ = {.http_1_0 = line[7] == '0'};
  response_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (response_.status < 100 || response_.status > 599) {
    return refuse(Errc::kInvalid, fmt::format("status {} of the answer is not known", response_.status));
  }
  if (response_.status == 101) return refuse(Errc::kInvalid, "an answer with an upgrade nobody asked for");
  state_ = State::kHeader;
  return {};
}

Status ResponseParser::on_header(ByteView line) {
  if (response_.headers.size() == limits_.headers_max) {
    return refuse(Errc::kLimit, "too many headers in the answer");
  }
  const auto field = split_field(line);
  if (!field) return refuse(field.error().code, field.error().message);
  response_.headers.emplace_back(lower_case(field->name), Bytes(field->value));
  return on_framing_header(response_.headers.back().first, field->value);
}

// The headers that decide where the answer ends and whether another may follow.
Status ResponseParser::on_framing_header(ByteView name, ByteView value) {
  if (name == "content-length") return on_content_length(value);
  if (name == "transfer-encoding") {
    if (framing_.chunked || !same_name(value, "chunked")) {
      return refuse(Errc::kInvalid, "a transfer coding of the answer that is not known");
    }
    framing_.chunked = true;
  }
  if (name == "connection") {
    for (ByteView rest = value; !rest.empty();) {
      const std::size_t comma = rest.find(',');
      const ByteView word = trimmed(rest.substr(0, comma));
      framing_.close |= same_name(word, "close");
      framing_.keep_alive |= same_name(word, "keep-alive");
      rest = comma == ByteView::npos ? ByteView() : rest.substr(comma + 1);
    }
  }
  return {};
}

Status ResponseParser::on_content_length(ByteView value) {
  if (framing_.has_length || value.empty() || value.size() > 19 || !std::ranges::all_of(value, is_digit)) {
    return refuse(Errc::kInvalid, "malformed Content-Length in the answer");
  }
  framing_.has_length = true;
  for (const char c : value) framing_.length = framing_.length * 10 + static_cast<std::uint64_t>(c - '0');
  return {};
}

Status ResponseParser::on_head_end() {
  const int status = response_.status;
  if (framing_.chunked && (framing_.has_length || framing_.http_1_0)) {
    return refuse(Errc::kInvalid, "two ways to tell where the answer ends");
  }
  if (status < 200) {  // the head of the final one is due; head_bytes_ goes on counting
    state_ = State::kStatusLine;
    return {};
  }
  response_.keep_alive = !framing_.close && (!framing_.http_1_0 || framing_.keep_alive);
  if (asked_ == Asked::kHead || status == 204 || status == 304) {
    state_ = State::kDone;
  } else if (framing_.chunked) {
    state_ = State::kChunkSize;
    head_bytes_ = 0;
  } else if (framing_.has_length) {
    if (framing_.length > limits_.body_bytes_max) {
      return refuse(Errc::kLimit, fmt::format("the answer's body has {} bytes; at most {} are taken",
                                              framing_.length, limits_.body_bytes_max));
    }
    left_ = framing_.length;
    response_.body.reserve(std::min<std::uint64_t>(left_, kReserveMax));
    state_ = left_ == 0 ? State::kDone : State::kLength;
  } else {
    response_.keep_alive = false;
    state_ = State::kToClose;
  }
  return {};
}

Status ResponseParser::take_body(ByteView& in) {
  const std::uint64_t take =
      state_ == State::kToClose ? in.size() : std::min<std::uint64_t>(left_, in.size());
  if (take > limits_.body_bytes_max - response_.body.size()) {
    return refuse(Errc::kLimit,
                  fmt::format("the answer's body passes {} bytes, the most taken", limits_.body_bytes_max));
  }
  response_.body.append(in.substr(0, take));
  in.remove_prefix(take);
  if (state_ == State::kToClose) return {};
  left_ -= take;
  if (left_ != 0) return {};
  state_ = state_ == State::kChunk ? State::kChunkEnd : State::kDone;
  return {};
}

// chunk-size [ ";" extension ]
Status ResponseParser::on_chunk_size(ByteView line) {
  head_bytes_ = 0;  // lines of chunks are bounded one by one
  const ByteView digits = line.substr(0, line.find(';'));
  std::uint64_t size = 0;
  if (digits.empty() || digits.size() > 15)
    return refuse(Errc::kInvalid, "malformed chunk size in the answer");
  for (const char c : digits) {
    const char low = static_cast<char>(c | 0x20);
    if (!is_digit(c) && (low < 'a' || low > 'f')) {
      return refuse(Errc::kInvalid, "malformed chunk size in the answer");
    }
    size = size << 4 | static_cast<std::uint64_t>(is_digit(c) ? c - '0' : low - 'a' + 10);
  }
  if (!std::ranges::all_of(line, is_value_char)) {
    return refuse(Errc::kInvalid, "control character in a chunk extension of the answer");
  }
  if (size > limits_.body_bytes_max - response_.body.size()) {
    return refuse(Errc::kLimit,
                  fmt::format("the answer's body passes {} bytes, the most taken", limits_.body_bytes_max));
  }
  left_ = size;
  state_ = size == 0 ? State::kTrailer : State::kChunk;
  return {};
}

// Trailers are checked and dropped.
Status ResponseParser::on_trailer(ByteView line) {
  if (line.empty()) {
    state_ = State::kDone;
    return {};
  }
  const auto field = split_field(line);
  if (!field) return refuse(field.error().code, field.error().message);
  return {};
}

}  // namespace hr::codec
