#include "net/http_parser.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace hr::net {
namespace {

constexpr std::size_t kMethodBytesMax = 32;

// What one byte may be part of (RFC 9110, section 5.6.2; RFC 9112, section 3.2; RFC 3986, section 3.2.2).
enum : std::uint8_t { kToken = 1, kTarget = 2, kValue = 4, kHost = 8 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  const auto mark = [&](std::string_view chars, std::uint8_t bit) {
    for (const char c : chars) classes[static_cast<unsigned char>(c)] |= bit;
  };
  for (unsigned c = 0x20; c < 256; ++c) {
    if (c != 0x7f) classes[c] |= kValue;
    if (c > 0x20 && c < 0x7f && c != '#') classes[c] |= kTarget;
  }
  classes['\t'] |= kValue;
  constexpr std::string_view kAlnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  mark(kAlnum, kToken | kHost);
  mark("!#$%&'*+-.^_`|~", kToken);
  mark("-._~", kHost);
  return classes;
}
constexpr auto kClasses = make_classes();

bool is(char c, std::uint8_t bit) { return (kClasses[static_cast<unsigned char>(c)] & bit) != 0; }

bool all(ByteView text, std::uint8_t bit) {
  std::uint8_t both = bit;
  for (const char c : text) both &= kClasses[static_cast<unsigned char>(c)];
  return both != 0;
}

// A field value: no control character but the tab. Written so that the compiler takes many bytes at once.
bool valid_value(ByteView text) {
  bool bad = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    bad |= (byte < 0x20 && byte != '\t') || byte == 0x7f;
  }
  return !bad;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// `word` is lower case.
bool folds_to(ByteView text, ByteView word) {
  if (text.size() != word.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != word[i]) return false;
  }
  return true;
}

ByteView trimmed(ByteView text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "name", "name:port", "[v6]", "[v6]:port"; no user information, no list.
bool valid_host(ByteView host) {
  if (host.empty() || host.size() > 255 + 6) return false;
  std::size_t end = host.find(':');
  if (host.front() == '[') {
    const std::size_t bracket = host.find(']');
    if (bracket == ByteView::npos || bracket < 3) return false;
    const auto v6 = [](char c) { return c == ':' || c == '.' || (is(c, kHost) && c != '_' && c != '~'); };
    if (!std::ranges::all_of(host.substr(1, bracket - 1), v6)) return false;
    end = bracket + 1;
  } else if (end == 0 || !all(host.substr(0, end), kHost)) {
    return false;
  }
  if (end >= host.size()) return true;
  const ByteView port = host.substr(end + 1);
  return host[end] == ':' && !port.empty() && port.size() <= 5 &&
         std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

// Names that change framing, routing or rights: never in a trailer (RFC 9110, section 6.5.1).
bool forbidden_in_trailer(ByteView name) {
  static constexpr std::string_view kNames[] = {"transfer-encoding",
                                                "content-length",
                                                "host",
                                                "trailer",
                                                "te",
                                                "connection",
                                                "authorization",
                                                "content-encoding",
                                                "content-type",
                                                "content-range",
                                                "expect",
                                                "upgrade",
                                                "cookie",
                                                "range"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

}  // namespace

bool valid_header(ByteView name, ByteView value) {
  return !name.empty() && all(name, kToken) && valid_value(value);
}

struct HeadParser::Seen {
  int content_length = 0;
  int transfer_encoding = 0;
  int host = 0;
  int expect = 0;
  bool unknown_coding = false;
  bool unknown_expectation = false;
  bool close = false;
  bool keep_alive = false;
};

bool HeadParser::refuse(int status, std::string_view reason) {
  refusal_ = {status, reason};
  return false;
}

// Finds the empty line that ends the head. Looks at each byte once over all calls.
HeadState HeadParser::search(ByteView bytes, std::size_t& scanned) {
  for (;;) {
    const ByteView rest = bytes.substr(scanned);
    const std::size_t lf = rest.find('\n');
    const std::size_t in_head = lf == ByteView::npos ? bytes.size() : scanned + lf + 1;
    if (in_head > limits_.header_bytes_max) {
      refuse(431, "request header too large");
      return HeadState::kRefused;
    }
    if (lf == ByteView::npos) return HeadState::kMore;
    const std::size_t at = scanned + lf;
    if (at == 0 || bytes[at - 1] != '\r') {
      refuse(400, "a line must end with CR LF");
      return HeadState::kRefused;
    }
    scanned = at + 1;
    if (at >= 3 && bytes[at - 2] == '\n') {
      head_.bytes = scanned;
      return HeadState::kDone;
    }
  }
}

HeadState HeadParser::parse(ByteView bytes, std::size_t& scanned) {
  // One empty line before a request is passed over (RFC 9112, section 2.2).
  const std::size_t skip = bytes.starts_with("\r\n") ? 2 : 0;
  if (scanned < skip) scanned = skip;
  const ByteView line = bytes.substr(skip);
  if (line.empty() || line == "\r") return HeadState::kMore;
  if (!is(line.front(), kToken)) {
    refuse(400, "not an HTTP request");
    return HeadState::kRefused;
  }
  std::size_t at = scanned - skip;
  const HeadState state = search(line, at);
  scanned = at + skip;
  if (state == HeadState::kMore) {
    // An endless target is answered while it comes, as what it is.
    const std::size_t most = kMethodBytesMax + limits_.target_bytes_max + sizeof "  HTTP/1.1\r";
    if (line.size() > most && line.substr(0, most).find('\n') == ByteView::npos) {
      refuse(414, "request target too long");
      return HeadState::kRefused;
    }
    return state;
  }
  if (state == HeadState::kRefused) {
    const std::size_t end = line.find('\n');
    if (refusal_.status == 431 &&
        (end == ByteView::npos || end > limits_.target_bytes_max + kMethodBytesMax)) {
      refuse(414, "request target too long");
    }
    return state;
  }

  const std::size_t head_bytes = head_.bytes;
  head_.fields.clear();
  head_.host = authority_ = {};
  head_.content_length = 0;
  head_.body = BodyKind::kNone;
  head_.expect_continue = false;
  std::size_t end = line.find('\r');
  if (end + 1 >= head_bytes || line[end + 1] != '\n') {
    refuse(400, "a line must end with CR LF");
    return HeadState::kRefused;
  }
  if (!request_line(line.substr(0, end))) return HeadState::kRefused;
  Seen seen;
  for (std::size_t begin = end + 2; begin + 2 < head_bytes; begin = end + 2) {
    end = line.find('\n', begin) - 1;
    if (!field(line.substr(begin, end - begin), seen)) return HeadState::kRefused;
  }
  head_.bytes = head_bytes + skip;
  return finish(seen) ? HeadState::kDone : HeadState::kRefused;
}

bool HeadParser::request_line(ByteView line) {
  const std::size_t first = line.find(' ');
  if (first == ByteView::npos) return refuse(400, "malformed request line");
  const std::size_t second = line.find(' ', first + 1);
  if (second == ByteView::npos) return refuse(400, "malformed request line");
  head_.method = line.substr(0, first);
  if (head_.method.empty() || !all(head_.method, kToken)) return refuse(400, "malformed method");
  if (head_.method.size() > kMethodBytesMax) return refuse(501, "method not known");
  return version(line.substr(second + 1)) && target(line.substr(first + 1, second - first - 1));
}

bool HeadParser::version(ByteView text) {
  head_.http_1_0 = text == "HTTP/1.0";
  if (head_.http_1_0 || text == "HTTP/1.1") return true;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool formed =
      text.size() == 8 && text.starts_with("HTTP/") && digit(text[5]) && text[6] == '.' && digit(text[7]);
  return formed ? refuse(505, "HTTP version not known") : refuse(400, "malformed HTTP version");
}

bool HeadParser::target(ByteView text) {
  if (text.size() > limits_.target_bytes_max) return refuse(414, "request target too long");
  if (!all(text, kTarget)) return refuse(400, "a byte that must be percent-encoded in the request target");
  if (head_.method == "CONNECT") return refuse(501, "CONNECT is not done here");
  if (text.size() > 7 && folds_to(text.substr(0, 7), "http://")) {
    text.remove_prefix(7);
    const std::size_t path = text.find('/');
    if (path == ByteView::npos || path == 0) return refuse(400, "malformed absolute request target");
    authority_ = text.substr(0, path);
    text.remove_prefix(path);
  }
  if (text.empty() || text.front() != '/') return refuse(400, "the request target must begin with /");
  head_.target = text;
  return true;
}

bool HeadParser::field(ByteView line, Seen& seen) {
  if (line.size() > limits_.header_line_bytes_max) return refuse(431, "request header too large");
  if (head_.fields.size() == limits_.headers_max) return refuse(431, "too many request headers");
  if (line.front() == ' ' || line.front() == '\t')
    return refuse(400, "a header must not be folded over lines");
  std::size_t colon = 0;
  while (colon < line.size() && is(line[colon], kToken)) ++colon;
  if (colon == line.size() || line[colon] != ':') return refuse(400, "malformed header name");
  if (colon == 0) return refuse(400, "empty header name");
  const ByteView raw = line.substr(colon + 1);
  if (!valid_value(raw)) return refuse(400, "control character in a header");
  const codec::HeaderField& added = head_.fields.emplace_back(line.substr(0, colon), trimmed(raw));
  return framing_field(added, raw, seen);
}

// The headers that decide where a request ends, where it goes, and what follows.
bool HeadParser::framing_field(const codec::HeaderField& f, ByteView raw, Seen& seen) {
  switch (f.name.size()) {
    case 4:
      return !folds_to(f.name, "host") || host(f.value, seen);
    case 6:
      if (folds_to(f.name, "expect")) {
        ++seen.expect;
        if (!folds_to(f.value, "100-continue")) seen.unknown_expectation = true;
      }
      return true;
    case 10:
      if (folds_to(f.name, "connection")) {
        for (ByteView rest = f.value; !rest.empty();) {
          const std::size_t comma = rest.find(',');
          const ByteView word = trimmed(rest.substr(0, comma));
          if (folds_to(word, "close")) seen.close = true;
          if (folds_to(word, "keep-alive")) seen.keep_alive = true;
          rest = comma == ByteView::npos ? ByteView() : rest.substr(comma + 1);
        }
      }
      return true;
    case 14:
      return !folds_to(f.name, "content-length") || content_length(raw, seen);
    case 17:
      if (folds_to(f.name, "transfer-encoding")) {
        ++seen.transfer_encoding;
        if (raw.find('\t') != ByteView::npos) return refuse(400, "malformed Transfer-Encoding");
        if (!folds_to(f.value, "chunked")) seen.unknown_coding = true;
      }
      return true;
    default:
      return true;
  }
}

bool HeadParser::content_length(ByteView raw, Seen& seen) {
  if (++seen.content_length > 1) return refuse(400, "more than one Content-Length");
  while (!raw.empty() && raw.front() == ' ') raw.remove_prefix(1);
  while (!raw.empty() && raw.back() == ' ') raw.remove_suffix(1);
  if (raw.empty() || raw.size() > 19) return refuse(400, "malformed Content-Length");
  std::uint64_t value = 0;  // 19 digits fit
  for (const char c : raw) {
    if (c < '0' || c > '9') return refuse(400, "malformed Content-Length");
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return refuse(400, "malformed Content-Length");
  }
  head_.content_length = value;
  head_.body = BodyKind::kLength;
  return true;
}

bool HeadParser::host(ByteView value, Seen& seen) {
  if (++seen.host > 1) return refuse(400, "more than one Host");
  if (!valid_host(value)) return refuse(400, "malformed Host");
  head_.host = value;
  return true;
}

bool HeadParser::finish(const Seen& seen) {
  if (seen.host == 0 && !head_.http_1_0) return refuse(400, "Host is missing");
  if (!authority_.empty() && seen.host == 1 && !codec::same_name(authority_, head_.host)) {
    return refuse(400, "the request target and Host differ");
  }
  if (!authority_.empty() && !valid_host(authority_)) return refuse(400, "malformed absolute request target");
  if (seen.transfer_encoding != 0) {
    if (seen.content_length != 0) return refuse(400, "both Content-Length and Transfer-Encoding");
    if (head_.http_1_0) return refuse(400, "Transfer-Encoding in HTTP/1.0");
    if (seen.transfer_encoding > 1) return refuse(400, "more than one Transfer-Encoding");
    if (seen.unknown_coding) return refuse(501, "transfer coding not known");
    head_.body = BodyKind::kChunked;
  }
  if (seen.expect != 0 && !head_.http_1_0) {
    if (seen.unknown_expectation || seen.expect > 1) return refuse(417, "expectation not known");
    head_.expect_continue = true;
  }
  head_.keep_alive = !seen.close && (!head_.http_1_0 || seen.keep_alive);
  return true;
}

// --- bodies
// -------------------------------------------------------------------------------------------------

namespace {
constexpr std::uint16_t kSizeLineBytesMax = 256;
constexpr std::uint32_t kTrailerBytesMax = 8'192;
}  // namespace

BodyDecoder::BodyDecoder(BodyKind kind, std::uint64_t content_length) {
  if (kind == BodyKind::kChunked) state_ = State::kSize;
  if (kind == BodyKind::kLength && content_length != 0) {
    state_ = State::kLength;
    left_ = content_length;
  }
}

BodyDecoder::Step BodyDecoder::next(ByteView input) {
  std::size_t used = 0;
  for (;;) {
    if (state_ == State::kEnd) return {BodyState::kEnd, used, {}};
    if (state_ == State::kBroken) return {BodyState::kRefused, used, {}};
    if (used == input.size()) return {BodyState::kMore, used, {}};
    if (state_ == State::kLength || state_ == State::kData) {
      const ByteView piece = input.substr(used, std::min<std::uint64_t>(left_, input.size() - used));
      left_ -= piece.size();
      if (left_ == 0) state_ = state_ == State::kLength ? State::kEnd : State::kDataCr;
      return {BodyState::kPiece, used + piece.size(), piece};
    }
    framing_byte(input[used++]);
  }
}

bool BodyDecoder::refuse(std::string_view reason) {
  refusal_ = {400, reason};
  state_ = State::kBroken;
  return false;
}

bool BodyDecoder::framing_byte(char c) {
  switch (state_) {
    case State::kDataCr:
      if (c != '\r') return refuse("a chunk is longer than its size");
      state_ = State::kDataLf;
      return true;
    case State::kDataLf:
      if (c != '\n') return refuse("a chunk must end with CR LF");
      state_ = State::kSize;
      return true;
    case State::kTrailer:
    case State::kTrailerLf:
      return trailer_byte(c);
    default:
      return size_byte(c);
  }
}

// chunk-size [ ";" extension ] CR LF
bool BodyDecoder::size_byte(char c) {
  if (++line_bytes_ > kSizeLineBytesMax) return refuse("chunk size line too long");
  if (state_ == State::kSizeLf) {
    if (c != '\n') return refuse("a line must end with CR LF");
    line_bytes_ = 0;
    state_ = left_ == 0 ? State::kTrailer : State::kData;
    return true;
  }
  if (state_ == State::kSizeMore || state_ == State::kExtension) {
    if (c == '\r') {
      state_ = State::kSizeLf;
      return true;
    }
    if (state_ == State::kExtension) return is(c, kValue) || refuse("control character in a chunk extension");
    if (c == ';') {
      state_ = State::kExtension;
      return true;
    }
  }
  const char digit = lower(c);
  std::uint64_t value = 0;
  if (digit >= '0' && digit <= '9') {
    value = static_cast<std::uint64_t>(digit - '0');
  } else if (digit >= 'a' && digit <= 'f') {
    value = static_cast<std::uint64_t>(digit - 'a') + 10;
  } else {
    return refuse("malformed chunk size");
  }
  if (state_ == State::kSize) left_ = 0;
  if (left_ >> 58 != 0) return refuse("chunk size too large");
  left_ = left_ << 4 | value;
  state_ = State::kSizeMore;
  return true;
}

// *( field-line CR LF ) CR LF. Only names are looked at.
bool BodyDecoder::trailer_byte(char c) {
  if (++trailer_bytes_ > kTrailerBytesMax) return refuse("trailers too large");
  if (state_ == State::kTrailerLf) {
    if (c != '\n') return refuse("a line must end with CR LF");
    state_ = in_name_ ? State::kEnd : State::kTrailer;
    in_name_ = true;
    name_bytes_ = 0;
    return true;
  }
  if (c == '\r') {
    if (in_name_ && name_bytes_ != 0) return refuse("malformed trailer");
    state_ = State::kTrailerLf;
    return true;
  }
  if (!in_name_) return is(c, kValue) || refuse("control character in a trailer");
  if (c == ':') return trailer_name_ended();
  if (!is(c, kToken)) return refuse("malformed trailer name");
  if (name_bytes_ < sizeof name_) name_[name_bytes_++] = lower(c);
  return true;
}

bool BodyDecoder::trailer_name_ended() {
  if (name_bytes_ == 0) return refuse("malformed trailer name");
  if (forbidden_in_trailer(ByteView(name_, name_bytes_))) return refuse("a trailer that must be a header");
  in_name_ = false;
  return true;
}

}  // namespace hr::net
