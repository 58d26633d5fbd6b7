// The inside of the object engine, shared by the files that make it up.
#pragma once

#include "object/engine.h"
#include "object/notification.h"
#include "object/watch.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hr::object {

// What a write is judged against.
struct Judged {
  bool exists = false;
  std::string etag{};
  bool delete_marker = false;  // of a version that was named
};

// Newest decided state of a key that the index may not show yet.
struct Pending {
  std::uint64_t sequencer = 0;
  Judged state{};
  bool occupies = false;  // the bucket is not empty because of it
  bool unknown = false;   // what the key's object is now, only the index will know
};

// One decided change of an object or a part, in log order.
struct Unapplied {
  storage::Lsn lsn = 0;  // 0: not appended yet
  std::uint64_t sequencer = 0;
  BucketId bucket{};
  Bytes key{};        // of the index; empty: of a part
  Bytes version{};    // of the index: the version it changes, where that has an id of its own
  UploadId upload{};  // of a part
};

std::optional<Fault> refused(const WriteCondition& condition, const Judged& now);

inline Bytes watch_key_of(BucketId bucket) { return big_endian(static_cast<std::uint64_t>(bucket)); }
inline Bytes watch_key_of(UploadId upload) { return big_endian(static_cast<std::uint64_t>(upload)); }

struct Engine::State {
  Limits limits;
  std::map<std::string, Bucket, std::less<>> buckets;
  std::unordered_map<Bytes, Pending, BytesHash, std::equal_to<>> pending;
  std::deque<Unapplied> changes;  // not applied, in the order they were decided
  std::size_t unplaced = 0;       // the last so many of `changes` have no lsn yet
  std::unordered_map<std::uint64_t, std::size_t> pending_objects;  // by bucket: pending keys that exist
  std::map<UploadId, OpenUpload> uploads;                          // the older first
  WatchTable keys;                                                 // by index key
  WatchTable whole_buckets;                                        // by watch_key_of()
  WatchTable parts;                                                // by watch_key_of() of an upload
  std::uint64_t next = 1;                                          // number of the next bucket or change
  std::uint64_t reserved = 1;  // numbers below it may be given out: it is in the log or among the records

  Bucket* find(std::string_view name) {
    const auto found = buckets.find(name);
    return found == buckets.end() ? nullptr : &found->second;
  }

  const OpenUpload* find_upload(std::string_view bucket, std::string_view key, UploadId id) const;

  std::uint64_t number(Effects& out);
  void moved(BucketId bucket, const Bytes& key);
  Outcome<Judged> judge(const Bytes& key, const Watch& watch, const std::optional<Object>& known) const;
  void decided(BucketId bucket, Bytes key, Pending state, Bytes version = {}, Judged version_state = {});
  void forget_entry(const Bytes& key, const Unapplied& change);
  void count(BucketId bucket, bool before, bool after);
  void forget(const Unapplied& change);
  Outcome<WriteDone> put_delete_marker(const Bucket& bucket, const DeleteObject& request, Time now,
                                       Effects& out);
  Outcome<Judged> judge_version(const Bucket& bucket, const DeleteObject& request, const Watch& watch,
                                const std::optional<Object>& known) const;
  Outcome<WriteDone> remove_version(const Bucket& bucket, const DeleteObject& request, const Watch& watch,
                                    const std::optional<Object>& known, Time now, Effects& out);
  // The put itself, once nothing speaks against it.
  WriteDone accept_put(const Bucket& bucket, Bytes key, PutObject& request, Time now, Effects& out);
  void close_upload(UploadId id, std::vector<std::uint32_t> kept, Effects& out);
  void announce(const Bucket& bucket, const Change& change, Effects& out) const;
  // The same; which key, and who asked, the request says.
  template <class Request>
  void announce(const Bucket& bucket, const Request& request, Change change, Time now, Effects& out) const {
    change.key = request.key;
    change.principal = request.principal;
    change.source_ip = request.source_ip;
    change.request_id = request.request_id;
    change.time = now;
    announce(bucket, change, out);
  }
};

}  // namespace hr::object
