// Requests of both SQS protocols. The first byte chooses the action; the rest is the body. What the Query
// protocol's parameters become must read as the JSON protocol reads it.
#include "base/check.h"
#include "codec/uri.h"
#include "wire/sqs_parse.h"

#include <cstddef>
#include <cstdint>

namespace {

using namespace hr::wire::sqs;

void query(Action action, hr::ByteView body) {
  const auto parameters = hr::codec::parse_form(body, {.bytes_max = 1 << 20, .pairs_max = 10'000});
  if (!parameters) return;
  const auto direct = parse_query_request(action, *parameters);
  const auto members = query_to_json(*parameters);
  if (!members) {
    HR_CHECK(!direct);
    return;
  }
  const auto read = read_request(action, *members);
  HR_CHECK(read.has_value() == direct.has_value());
  if (read) HR_CHECK(read->index() == direct->index());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto action = static_cast<Action>(data[0] % kActions);
  const hr::ByteView body(reinterpret_cast<const char*>(data + 1), size - 1);
  static_cast<void>(parse_json_request(action, body));
  query(action, body);
  return 0;
}
