// Lifecycle rules of a bucket: the LifecycleConfiguration document, and what the rules ask of one object at
// one moment ("Managing the lifecycle of objects" in the Amazon S3 User Guide). Pure: the time is an
// argument.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "wire/s3_error.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hr::wire {

inline constexpr std::size_t kS3LifecycleRulesMax = 1'000;

struct S3LifecycleRule {
  std::string id{};
  bool enabled = false;
  // Of the filter: all of it must fit.
  std::string prefix{};
  std::map<std::string, std::string> tags{};
  std::optional<std::uint64_t> larger_than{}, smaller_than{};  // bytes
  // What is to be done.
  std::optional<std::int32_t> days{};
  std::optional<Time> date{};
  bool expired_delete_marker = false;
  std::optional<std::int32_t> noncurrent_days{};
  std::int32_t noncurrent_kept = 0;  // of the newest ones, whatever their age
  std::optional<std::int32_t> abort_days{};
  bool old_form = false;  // with a Prefix instead of a Filter
  bool operator==(const S3LifecycleRule&) const = default;
};

// MalformedXML, InvalidRequest, InvalidArgument; NotImplemented: transitions to other storage classes.
S3Result<std::vector<S3LifecycleRule>> parse_lifecycle(ByteView xml);
Bytes write_lifecycle(std::span<const S3LifecycleRule> rules);

// So many days later, at the next midnight UTC.
Time lifecycle_due(Time from, std::int32_t days);

// What the rules look at.
struct S3LifecycleObject {
  std::string_view key{};
  const std::map<std::string, std::string>* tags = nullptr;
  std::uint64_t bytes = 0;
  Time modified{};
};

struct S3Expiry {
  Time at;
  std::string rule;
};
// When the current object goes, by the rule that is the first to say so; none: never.
std::optional<S3Expiry> expiry_of(std::span<const S3LifecycleRule> rules, const S3LifecycleObject& object);
// The same for a version that `superseded` made an old one, with `newer` old ones above it.
std::optional<S3Expiry> noncurrent_expiry_of(std::span<const S3LifecycleRule> rules,
                                             const S3LifecycleObject& object, Time superseded,
                                             std::size_t newer);
// Whether a delete marker that hides nothing goes.
bool removes_marker(std::span<const S3LifecycleRule> rules, std::string_view key, Time modified, Time now);
// When an upload of the key is given up.
std::optional<Time> abort_of(std::span<const S3LifecycleRule> rules, std::string_view key, Time initiated);

}  // namespace hr::wire
