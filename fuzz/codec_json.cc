// What is read as JSON is written as JSON that reads the same.
#include "base/check.h"
#include "codec/json.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const hr::ByteView text(reinterpret_cast<const char*>(data), size);
  const auto json = hr::codec::parse_json(text);
  if (!json) return 0;
  const auto again = hr::codec::parse_json(hr::codec::to_json(*json), {.bytes_max = 1 << 30});
  HR_CHECK(again && *again == *json);
  return 0;
}
