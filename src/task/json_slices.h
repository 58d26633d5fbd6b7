// The members of a JSON object as the text they were sent as. Arguments and results of tasks pass through
// this program unread: integers of any size and every float arrive as they left. The whole text is checked
// (RFC 8259) before a piece of it is handed on, so that pieces may be put into other documents as they are.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <forward_list>
#include <optional>
#include <vector>

namespace hr::task {

struct SliceLimits {
  std::size_t bytes_max = 64U << 20;
  std::size_t depth_max = 500;  // arrays and objects within each other: Python's own reader ends near 1,000
  std::size_t members_max = 1'000;
};

// Views into the text that was read.
class JsonSlices {
 public:
  // kInvalid: not JSON, not an object, a name that comes twice; kLimit.
  static Result<JsonSlices> read(ByteView object, SliceLimits limits = {});

  // The member's text, "null" included; none: there is no such member.
  std::optional<ByteView> raw(ByteView name) const;
  // Typed: none when it is missing or null; kInvalid names the member that is of another kind.
  Result<std::optional<Bytes>> text(ByteView name) const;
  Result<std::optional<std::int64_t>> integer(ByteView name) const;
  Result<std::optional<double>> number(ByteView name) const;
  Result<std::optional<bool>> boolean(ByteView name) const;

 private:
  struct Member {
    ByteView name, value;
  };
  std::vector<Member> members_;
  std::forward_list<Bytes> decoded_;  // names that were written with escapes
};

// The elements of a JSON array, checked the same way.
Result<std::vector<ByteView>> read_array(ByteView array, SliceLimits limits = {});

}  // namespace hr::task
