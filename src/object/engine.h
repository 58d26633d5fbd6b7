// The object engine: what may be written, and the records and events a write becomes. The index holds the
// objects as of the last applied record; the engine holds the buckets, and the pending table: keys whose
// newest record is not applied yet. Conditions are judged against the pending table, else against what the
// caller read from the index, if the key has not moved since; if it has, the caller reads again.
//
// A command that was decided must be logged: its records appended (then appended()), or the engine discarded.
// Pure as the queue engine is: no clock, thread or file inside; not thread-safe, the sequencing thread owns
// it.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "object/object.h"
#include "storage/index/index.h"
#include "storage/log/record.h"

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hr::object {

// Why a command was refused. Each is one error of S3.
enum class Fault : std::uint8_t {
  kNoSuchBucket,
  kBucketExists,  // BucketAlreadyExists (another account's)
  kBucketOwned,   // BucketAlreadyOwnedByYou
  kBucketNotEmpty,
  kTooManyBuckets,
  kNoSuchKey,  // If-Match (put or delete) on a key that is not there
  kPreconditionFailed,
  kStale,     // the key (or bucket) moved since it was read: watch and read again
  kSlowDown,  // the pending table is full
  kNoSuchUpload,
  kTooManyUploads,
};

template <class T>
using Outcome = std::expected<T, Fault>;

// A message that belongs to a change: sent to the queue in the same record group.
struct Event {
  std::string queue_arn;
  std::string body;  // the JSON document S3 sends
};

struct Effects {
  std::vector<storage::Record> records;  // kinds 64 to 127
  std::vector<Event> events;
};

struct Limits {
  std::size_t buckets_max = 1'000;
  std::size_t pending_max = 100'000;  // changes of objects and parts that are not applied yet
  std::size_t uploads_max = 10'000;   // multipart uploads going on
  Duration upload_age_max = std::chrono::hours(7 * 24);  // then they are abandoned
};

class Engine;

// While it lives, the engine notes whether what may be read from the index about the key (or about anything
// in the bucket) changes: at every decided change, and again when that change leaves the pending table. Take
// it before reading the index, hand it to the command that relies on what was read; one that was never taken
// has moved. Taken, asked and destroyed by the engine's thread, and not after the engine.
class Watch {
 public:
  Watch() = default;
  Watch(Watch&& other) noexcept = default;
  Watch& operator=(Watch&& other) noexcept;
  ~Watch();
  bool moved() const;

 private:
  friend class WatchTable;
  struct Node;
  explicit Watch(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  void leave();

  std::shared_ptr<Node> node_;  // shared with the table and the other watches of the key
};

struct PutObject {
  std::string bucket{};
  std::string key{};
  Object object{};      // `sequencer` and `modified` are filled in by the engine
  Bytes inline_body{};  // when object.blob is not set: at most kInlineBytesMax, or the manifest of its parts
  WriteCondition condition{};
  std::string event_name{};  // "ObjectCreated:Put", "ObjectCreated:Copy", ...
  std::string principal{};   // for the event record: access key id
  std::string source_ip{};
  std::string request_id{};
};

struct DeleteObject {
  std::string bucket{};
  std::string key{};
  std::optional<std::string> if_match{};     // an ETag without quotes, or "*"
  std::optional<VersionName> version{};      // none: the key; with versions, that leaves a delete marker
  std::optional<std::uint64_t> sequencer{};  // only while this is the newest change of what is removed
  std::string principal{}, source_ip{}, request_id{};
  std::string event_family = "ObjectRemoved";  // of its event: "ObjectRemoved:Delete", ...
};

// The whole set of an object's tags; none of them: they go.
struct SetTags {
  std::string bucket{};
  std::string key{};
  std::map<std::string, std::string> tags{};
  std::optional<VersionName> version{};  // none: the current object
  std::string event_name{};              // "ObjectTagging:Put", "ObjectTagging:Delete"
  std::string principal{}, source_ip{}, request_id{};
};

struct WriteDone {
  std::uint64_t sequencer = 0;  // of the change; 0 when nothing changed
  bool existed = false;         // the key was there before (deletes only)
  Time modified{};              // puts only
  std::uint64_t version = 0;    // made, or removed by name; 0: the bucket has none
  bool numbered = false;        // and it has an id of its own
  bool delete_marker = false;   // and it is one
};

struct PutPart {
  std::string bucket{};
  std::string key{};
  UploadId upload{};
  std::uint32_t number = 0;
  Part part{};  // `modified` is filled in by the engine
};

struct CompleteUpload {
  PutObject put{};  // object.parts and the manifest as its inline_body
  UploadId upload{};
  std::vector<std::uint32_t> kept{};  // the parts it is made of, ascending; the others go
};

// What the engine remembers of an upload that is going on.
struct OpenUpload {
  BucketId bucket{};
  std::string key{};
  Time initiated{};
  std::string checksum_algorithm{};
  bool checksum_composite = false;
  std::size_t pending_parts = 0;  // decided and not applied
};

class Engine {
 public:
  explicit Engine(Limits limits);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const Bucket* bucket(std::string_view name) const;
  const Bucket* bucket(BucketId id) const;                             // looks at all of them
  std::vector<const Bucket*> buckets(std::string_view account) const;  // in name order
  std::vector<std::string> buckets_with(Setting setting) const;        // their names

  Watch watch_key(BucketId bucket, std::string_view key);
  // Of one that has an id of its own: of the others, watch the key.
  Watch watch_version(BucketId bucket, std::string_view key, std::uint64_t version);
  Watch watch_bucket(BucketId bucket);

  Outcome<void> create_bucket(const std::string& name, const std::string& account, const std::string& region,
                              Time now, Effects& out);
  // `index_empty`: what the caller saw in the index after `watch` was taken.
  Outcome<void> delete_bucket(const std::string& name, const Watch& watch, bool index_empty, Effects& out);
  // Replaces the rules (checked before by validate_rules()); the queue of each new one gets S3's test event.
  Outcome<void> set_notifications(const std::string& name, std::vector<NotificationRule> rules,
                                  const std::string& request_id, Time now, Effects& out);

  Outcome<void> set_versioning(const std::string& name, Versioning versioning, Effects& out);
  // None: the setting goes.
  Outcome<void> set(const std::string& name, Setting setting, std::optional<std::string> text, Effects& out);

  // `known`: the object the caller read from the index after `watch` was taken (none: no such key). Needed
  // only when the condition asks for it.
  Outcome<WriteDone> put(PutObject request, const Watch& watch, const std::optional<Object>& known, Time now,
                         Effects& out);
  // Deleting a key, or a version, that is not there changes nothing and is fine (no record, no event), so
  // this needs `known` always: the object of the key, or of the version if one is named. Where the bucket has
  // versions, the key itself gets a delete marker in any case. kStale for the version without an id while a
  // change of the key is pending.
  Outcome<WriteDone> remove(const DeleteObject& request, const Watch& watch,
                            const std::optional<Object>& known, Time now, Effects& out);

  // Needs `known` always: kStale while a change of the key is pending.
  Outcome<WriteDone> set_tags(const SetTags& request, const Watch& watch, const std::optional<Object>& known,
                              Time now, Effects& out);

  // --- multipart uploads ---

  const OpenUpload* upload(UploadId id) const;
  std::size_t uploads(BucketId bucket) const;  // how many go on there
  // Moves with every part: take it before the parts are read from the index.
  Watch watch_parts(UploadId id);

  // `upload`: its id and time are filled in by the engine.
  Outcome<UploadId> create_upload(const std::string& bucket, const std::string& key, Upload upload, Time now,
                                  Effects& out);
  Outcome<void> put_part(PutPart request, Time now, Effects& out);
  // The caller read the parts from the index after `parts` was taken, and made the object of them. kStale
  // while a part is pending. `key`, `known`: as for put().
  Outcome<WriteDone> complete_upload(CompleteUpload request, const Watch& parts, const Watch& key,
                                     const std::optional<Object>& known, Time now, Effects& out);
  Outcome<void> abort_upload(const std::string& bucket, const std::string& key, UploadId id, Effects& out);
  // Closes uploads older than Limits::upload_age_max, the oldest first. Returns how many.
  std::size_t close_abandoned(Time now, std::size_t most, Effects& out);

  // The object records of one step were appended as `lsn`, in the order they were decided / everything up to
  // `lsn` has been applied.
  void appended(std::span<const storage::Record> records, storage::Lsn lsn);
  void applied(storage::Lsn lsn);
  std::size_t pending() const;
  // A change of the key was decided that is not applied yet: the index shows what was before it.
  bool is_pending(BucketId bucket, std::string_view key) const;

  // Start: every value of Table::kBuckets, every entry of Table::kUploads, then the log's records, at least
  // those after the index's position. Restored changes are not pending: they must be applied to the index
  // before the first command.
  Status load_bucket(ByteView index_value);
  Status load_upload(ByteView index_key, ByteView index_value);
  Status restore(const storage::RecoveredRecord& record);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// --- what a record does to the index (the applier and recovery use it) ---

bool is_object_record(std::uint8_t kind);

// An upload whose parts leave the index. Which there are, only the index knows.
struct ClosedUpload {
  UploadId upload{};
  std::vector<std::uint32_t> kept;  // their blobs have become an object's
};

// A change of one version of a key. Which row is the key's current one, only the index knows.
struct VersionChange {
  enum class What : std::uint8_t { kPut, kMarker, kRemove, kSet } what = What::kPut;
  BucketId bucket{};
  Bytes key;
  std::uint64_t version = 0;
  bool numbered = false;
  Bytes object;  // of all but kRemove
  std::optional<Bytes> body;
};

struct Application {
  std::vector<storage::IndexChange> changes;
  // Keys of kObjects this record overwrites or erases: if their old value names blobs, those are garbage
  // once the change is applied.
  std::vector<Bytes> replaced;
  std::optional<ClosedUpload> closed;
  std::optional<VersionChange> version;
};
Result<Application> application_of(std::uint8_t kind, ByteView payload);

}  // namespace hr::object
