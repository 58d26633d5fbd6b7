// What one access key may do, when its owner has narrowed it: rules of queue and bucket patterns, each with
// some of read, write and admin. A key without rules may do everything in its account. Plain values; who
// loads the keys has checked them.
#pragma once

#include "base/bytes.h"
#include "wire/s3_operation.h"
#include "wire/sqs_request.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hr::wire {

inline constexpr std::size_t kRulesOfKeyMax = 100;
inline constexpr std::size_t kPatternsOfRuleMax = 100;
inline constexpr std::size_t kPatternBytesMax = 128;

enum class Access : std::uint8_t {
  kRead,   // receive, delete and extend what was received; get objects, list them
  kWrite,  // send; put and delete objects
  kAdmin,  // make, change, purge and delete queues and buckets
};

// Patterns have '*' and '?'. One of queues with "ACCOUNT/" in front speaks of another account's, so far as
// that queue's policy allows it; the names of buckets are the same for all accounts.
struct KeyRule {
  std::vector<Bytes> queues, buckets;
  bool read = false, write = false, admin = false;

  bool operator==(const KeyRule&) const = default;
};

using KeyRules = std::vector<KeyRule>;

enum class Granted : std::uint8_t { kQueue, kBucket };

// `rules`: null is everything. `name`: of the bucket, or of the queue with "ACCOUNT/" where that is not the
// key's.
bool may(const KeyRules* rules, Granted kind, ByteView name, Access access);
// Any access at all: enough to ask for its URL, its attributes, or that it is there.
bool may_see(const KeyRules* rules, Granted kind, ByteView name);

Access access_of(sqs::Action action);
Access access_of(S3Op op);

}  // namespace hr::wire
