// The first byte says how the rest, a multipart/form-data document, is split. However it is split, the same
// fields and the same file come out, and never more than was put in.
#include "base/check.h"
#include "codec/form_data.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace {

using namespace hr::codec;

struct Outcome {
  std::vector<std::pair<hr::Bytes, hr::Bytes>> fields;
  hr::Bytes file_name;
  hr::Bytes file;
  bool fed = true;
  bool whole = false;

  bool operator==(const Outcome&) const = default;
};

Outcome read(hr::ByteView body, std::size_t step) {
  auto reader = FormDataReader::make("multipart/form-data; boundary=b", "file",
                                     {.fields_bytes_max = 1U << 20, .fields_max = 4});
  HR_CHECK(reader.has_value());
  Outcome out;
  while (!body.empty() && out.fed) {
    const hr::ByteView piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    out.fed = reader->feed(piece, out.file).has_value();
  }
  out.fields = reader->fields();
  out.file_name = reader->file_name();
  out.whole = out.fed && reader->finish().has_value();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const hr::ByteView body(reinterpret_cast<const char*>(data + 1), size - 1);
  const Outcome whole = read(body, size);
  HR_CHECK(whole.fields.size() <= 4);
  HR_CHECK(whole.file.size() <= body.size());
  const Outcome split = read(body, data[0] % 64 + 1U);
  HR_CHECK(whole.fed == split.fed && whole.whole == split.whole);
  if (whole.whole) HR_CHECK(whole == split);
  return 0;
}
