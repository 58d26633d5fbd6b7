// The first byte chooses how the rest arrives. However it arrives, the same requests and bodies come out, no
// view leaves the input, and what is accepted has one reading: one Host, one framing, no folded line.
#include "base/check.h"
#include "net/http_parser.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using namespace hr::net;

void check_head(const ParsedHead& head) {
  HR_CHECK(!head.method.empty() && head.target.starts_with('/'));
  int hosts = 0;
  int lengths = 0;
  int codings = 0;
  for (const auto& field : head.fields) {
    HR_CHECK(valid_header(field.name, field.value));
    hosts += hr::codec::same_name(field.name, "host") ? 1 : 0;
    lengths += hr::codec::same_name(field.name, "content-length") ? 1 : 0;
    codings += hr::codec::same_name(field.name, "transfer-encoding") ? 1 : 0;
  }
  HR_CHECK(hosts == 1 || (hosts == 0 && head.http_1_0));
  HR_CHECK(lengths + codings <= 1);
  HR_CHECK((head.body == BodyKind::kLength) == (lengths == 1));
  HR_CHECK((head.body == BodyKind::kChunked) == (codings == 1));
}

std::string text_of(const ParsedHead& head) {
  std::string out = "[" + std::string(head.method) + " " + std::string(head.target);
  for (const auto& field : head.fields) out += "|" + std::string(field.name) + "=" + std::string(field.value);
  return out + "]";
}

// Everything that a connection would see of these bytes, `step` more at a time.
class Reader {
 public:
  explicit Reader(std::size_t step) : step_(step) {}

  std::string run(hr::ByteView bytes) {
    bytes_ = bytes;
    while (request()) {
    }
    return out_;
  }

 private:
  bool more() {
    if (end_ == bytes_.size()) return false;
    end_ = std::min(end_ + step_, bytes_.size());
    return true;
  }
  hr::ByteView there() const { return bytes_.substr(begin_, end_ - begin_); }

  bool request() {
    std::size_t scanned = 0;
    for (;;) {
      const HeadState state = there().empty() ? HeadState::kMore : parser_.parse(there(), scanned);
      if (state == HeadState::kDone) break;
      if (state == HeadState::kRefused) {
        out_ += "refused";
        return false;
      }
      if (!more()) return false;
    }
    check_head(parser_.head());
    HR_CHECK(parser_.head().bytes <= there().size());
    out_ += text_of(parser_.head());
    BodyDecoder decoder(parser_.head().body, parser_.head().content_length);
    begin_ += parser_.head().bytes;
    return body(decoder);
  }

  bool body(BodyDecoder& decoder) {
    for (;;) {
      const auto got = decoder.next(there());
      HR_CHECK(got.used <= there().size() && got.piece.size() <= got.used);
      begin_ += got.used;
      out_ += got.piece;
      if (got.state == BodyState::kEnd) return true;
      if (got.state == BodyState::kRefused) {
        out_ += decoder.refusal().reason;
        return false;
      }
      if (got.state == BodyState::kMore && !more()) return false;
    }
  }

  const std::size_t step_;
  HeadParser parser_{
      {.target_bytes_max = 64, .header_bytes_max = 512, .header_line_bytes_max = 128, .headers_max = 8}};
  hr::ByteView bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::string out_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const hr::ByteView bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string in_pieces = Reader(1 + data[0] % 16).run(bytes);
  const std::string at_once = Reader(bytes.size() + 1).run(bytes);
  HR_CHECK(in_pieces == at_once);
  return 0;
}
