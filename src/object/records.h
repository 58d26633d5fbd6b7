// The object engine's records in the log: kinds 64 to 127, each a version byte and what happened. They carry
// outcomes, never requests, so that applying one decides nothing and applying it twice changes nothing.
// docs/formats/object-records.md
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "object/coding.h"
#include "object/object.h"
#include "storage/log/record.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace hr::object {

// Never renumbered.
enum class Kind : std::uint8_t {
  kBucketSet = 64,      // created, or its configuration replaced
  kBucketDeleted = 65,  //
  kCounter = 66,        // numbers below it may be given out
  kObjectPut = 67,      //
  kObjectRemoved = 68,
  kUploadSet = 69,     // a multipart upload begins
  kPartPut = 70,       // a part of it, in the place of an earlier one of that number
  kUploadClosed = 71,  // completed, aborted or abandoned: all its parts go, but those an object took over
  kObjectSet = 72,     // what is known of an object changes, not its body
  kVersionPut = 73,    // a new current version, or a delete marker; the one before stays
  kVersionRemoved = 74,
};
inline constexpr std::uint8_t kKindFirst = 64;
inline constexpr std::uint8_t kKindLast = 127;

struct BucketDeleted {
  BucketId id{};
  std::string name;
};

// Views into the payload they were decoded from.
struct ObjectPut {
  BucketId bucket{};
  ByteView key;
  ByteView object;               // as the index holds it
  std::optional<ByteView> body;  // none: it is a blob
};

struct ObjectRemoved {
  BucketId bucket{};
  std::uint64_t sequencer = 0;
  ByteView key;
};

struct ObjectSet {
  BucketId bucket{};
  ByteView key;
  std::uint64_t version = 0;
  ByteView object;  // as the index holds it
};

// One that has no id of its own (`numbered` is not set) replaces the one of its key that has none either.
struct VersionPut {
  BucketId bucket{};
  std::uint64_t version = 0;
  bool numbered = false;
  bool delete_marker = false;
  ByteView key;
  ByteView object;               // as the index holds it
  std::optional<ByteView> body;  // none: it is a blob, or there is none
};

// The newest of those that are left is current then, unless it is a delete marker.
struct VersionRemoved {
  BucketId bucket{};
  std::uint64_t version = 0;
  std::uint64_t sequencer = 0;
  ByteView key;
};

struct UploadSet {
  BucketId bucket{};
  UploadId upload{};
  ByteView key;
  ByteView value;  // as the index holds it
};

struct PartPut {
  UploadId upload{};
  std::uint32_t number = 0;
  ByteView part;  // as the index holds it
};

struct UploadClosed {
  BucketId bucket{};
  UploadId upload{};
  ByteView key;
  std::vector<std::uint32_t> kept;  // part numbers, ascending: their blobs belong to an object now
};

storage::Record record_of(const Bucket& bucket);
storage::Record record_of(const BucketDeleted& deleted);
storage::Record record_of(const Counter& counter);
storage::Record record_of(const ObjectPut& put);
storage::Record record_of(const ObjectRemoved& removed);
storage::Record record_of(const ObjectSet& set);
storage::Record record_of(const VersionPut& put);
storage::Record record_of(const VersionRemoved& removed);
storage::Record record_of(const UploadSet& set);
storage::Record record_of(const PartPut& put);
storage::Record record_of(const UploadClosed& closed);

using AnyRecord = std::variant<Bucket, BucketDeleted, Counter, ObjectPut, ObjectRemoved, UploadSet, PartPut,
                               UploadClosed, ObjectSet, VersionPut, VersionRemoved>;
// kCorrupt: unknown kind or version, or a payload that is none of that kind.
Result<AnyRecord> decode_record(std::uint8_t kind, ByteView payload);

}  // namespace hr::object
