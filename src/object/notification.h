// Event notifications of a bucket: which rules a set may hold, which of them a change matches, and the JSON
// documents S3 sends (event message structure 2.1, Amazon S3 User Guide). Pure.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "object/object.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hr::object {

inline constexpr std::size_t kRulesMax = 100;              // of a bucket
inline constexpr std::size_t kFilterValueBytesMax = 1024;  // S3's limit of a prefix or suffix

// As S3 checks them: kInvalid (InvalidArgument) for unknown event names, ids used twice, filters too long,
// and rules that share an event type and overlap in both prefix and suffix; kLimit for too many rules;
// kUnsupported for events of S3 that never happen here.
Result<void> validate_rules(std::span<const NotificationRule> rules);

// `event`: without "s3:", as in the event record ("ObjectCreated:Put"). The key is as stored, undecoded.
bool matches(const NotificationRule& rule, std::string_view event, ByteView key);

// What an event record tells of the object besides its key: size, ETag and sequencer; the sequencer; the
// ETag; of a delete marker the ETag of nothing and the sequencer.
enum class Tells : std::uint8_t { kCreated, kRemoved, kTagged, kMarker };

struct Change {
  std::string_view event_name{};  // "ObjectCreated:Put"
  ByteView key{};
  Tells tells = Tells::kCreated;
  const Object* object = nullptr;  // none where it was removed
  std::uint64_t sequencer = 0;
  std::uint64_t version = 0;  // 0: it has no id of its own
  std::string_view principal{}, source_ip{}, request_id{};
  Time time{};
};

std::string event_message(const Bucket& bucket, const NotificationRule& rule, const Change& change);
std::string test_message(const Bucket& bucket, std::string_view request_id, Time now);

// The id of a version, as clients see it, and back.
std::string show_version(std::uint64_t version);
std::optional<std::uint64_t> parse_version(std::string_view text);

// A key as it stands in an event: form encoding, with '/' kept.
std::string event_key(ByteView key);

}  // namespace hr::object
