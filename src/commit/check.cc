#include "commit/check.h"

#include "codec/digest.h"
#include "commit/record_text.h"
#include "object/coding.h"
#include "object/engine.h"
#include "object/notification.h"
#include "queue/engine.h"
#include "queue/message.h"
#include "queue/records.h"
#include "storage/state/state_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>

namespace hr::commit {
namespace {

constexpr std::uint64_t kProgressEvery = 100'000;
constexpr std::size_t kReadBytes = 1U << 20;

bool is_md5(const std::string& etag) { return etag.size() == 32; }  // not of parts, which have a '-'

Bytes md5_of(ByteView bytes) {
  codec::Md5 digest;
  digest.update(bytes);
  return digest.finish();
}

bool is_queue_record(std::uint8_t kind) { return kind >= 1 && kind <= 63; }

std::uint64_t place_of(const storage::Location& at) { return std::uint64_t{at.segment} << 32 | at.offset; }

// `version`: 0 where it has no id of its own.
std::string name_of(const object::VersionPlace& place, std::uint64_t version) {
  const std::string key = fmt::format("object \"{}\"", printable(place.key));
  return version == 0 ? key : fmt::format("version {} of {}", object::show_version(version), key);
}

class Checker {
 public:
  Checker(os::Disk& disk, const storage::Index& index, const CheckOptions& options)
      : disk_(disk), index_(index), options_(options) {}

  Result<CheckReport> run() {
    HR_TRY(state());
    HR_TRY(log());
    HR_TRY(positions());
    HR_TRY(messages());
    HR_TRY(buckets());
    HR_TRY(objects());
    HR_TRY(late_objects());
    HR_TRY(uploads());
    return std::move(report_);
  }

 private:
  void damaged(std::string what) {
    if (report_.damage.size() < kDamageMax) report_.damage.push_back(std::move(what));
  }
  // Damage is noted, and the rest goes on; what cannot be read at all ends the check.
  Status noted(Status status) {
    if (status || (status.error().code != Errc::kCorrupt && status.error().code != Errc::kUnsupported))
      return status;
    damaged(std::move(status).error().message);
    return {};
  }
  void told(std::string_view what) {
    if (options_.progress && ++done_ % kProgressEvery == 0) options_.progress(what, done_);
  }

  Status state();
  Status log();
  Status record(const storage::RecoveredRecord& record);
  Status positions();
  Status messages();
  Status buckets();
  Status objects();
  Status indexed(ByteView place, ByteView value);
  Status uploads();
  // The MD5 of a body's file, in binary; empty where bodies are not read.
  Result<Bytes> blob(const storage::BlobName& name, std::uint64_t bytes, const std::string& of);
  Status body(const storage::BlobName& name, std::uint64_t bytes, const std::string& of,
              const std::string& etag);
  Status pieces(const object::Manifest& manifest, const std::string& of, const std::string& etag);
  void note_late(const object::Application& applied);
  void note_late(const object::VersionChange& change);
  Status late_objects();
  Status object_of(const object::Object& object, const std::string& name,
                   const std::function<Result<std::optional<Bytes>>()>& body);
  bool is_late(ByteView key) const { return late_.contains(key) || late_.contains(key.substr(0, 8)); }
  template <class F>
  Status each(storage::Table table, F&& f);

  os::Disk& disk_;
  const storage::Index& index_;
  const CheckOptions& options_;
  CheckReport report_;
  std::uint64_t done_ = 0;
  queue::Engine queues_{queue::Limits{}};
  bool whole_ = true;                         // the queues could be read as far as the log goes
  std::unordered_set<std::uint64_t> stands_;  // where a message's record is
  // Index keys that the log changes after the index's position, and prefixes of the parts it lets go: what
  // the index says of them is old.
  std::set<Bytes, std::less<>> late_;
  // Of the objects among them, by bucket, key and version: the newest value, and the body or the manifest.
  struct LateObject {
    Bytes value;
    std::optional<Bytes> body;
  };
  std::map<Bytes, LateObject> late_objects_;
};

Status Checker::state() {
  auto files = storage::open_state_files(disk_, storage::StateMode::kReadOnly);
  if (!files) {
    whole_ = false;
    return noted(std::unexpected(std::move(files).error()));
  }
  report_.state_position = (*files)->position();
  Status loaded =
      (*files)->load([&](storage::BlockKey key, ByteView bytes) { return queues_.load(key, bytes); });
  if (loaded) loaded = queues_.loaded();
  whole_ = loaded.has_value();
  return noted(std::move(loaded));
}

Status Checker::log() {
  return noted(storage::read_log(disk_, [&](const auto& r) { return record(r); }, report_.log));
}

Status Checker::record(const storage::RecoveredRecord& r) {
  told("records of the log");
  const auto where = [&] { return fmt::format("segment {}, byte {}: ", r.at.segment, r.at.offset); };
  if (!is_queue_record(r.kind)) {
    const auto applied = object::application_of(r.kind, r.payload);
    if (!applied) {
      damaged(where() + applied.error().message);
    } else if (r.lsn > index_.applied()) {
      note_late(*applied);
    }
    return {};
  }
  auto any = queue::decode(r.kind, r.payload);
  if (!any) {
    damaged(where() + any.error().message);
    whole_ = false;
    return {};
  }
  if (std::holds_alternative<queue::MessageSent>(*any) ||
      std::holds_alternative<queue::MessageCopied>(*any)) {
    stands_.insert(place_of(r.at));
    if (auto content = queue::decode_delivered(r.payload); !content)
      damaged(where() + content.error().message);
  }
  if (r.lsn <= report_.state_position || !whole_) return {};
  if (Status restored = queues_.restore(r); !restored) {
    damaged(where() + restored.error().message);
    whole_ = false;  // the engine has no way on from here
  }
  return {};
}

Status Checker::positions() {
  report_.index_position = index_.applied();
  for (const auto& [what, position] :
       {std::pair("state", report_.state_position), std::pair("index", report_.index_position)}) {
    if (position > report_.log.last) {
      damaged(fmt::format("the {} is ahead of the log: {} > {}", what, position, report_.log.last));
    } else if (position + 1 < report_.log.first) {
      damaged(
          fmt::format("the log begins at {}, but the {} is only at {}", report_.log.first, what, position));
    }
  }
  return {};
}

Status Checker::messages() {
  if (!whole_) return {};
  if (Status audited = queues_.audit(); !audited) damaged(audited.error().message);
  report_.queues = queues_.queue_count();
  for (std::uint32_t cursor = 0; cursor != queue::kWalkEnded;) {
    for (const queue::Standing& s : queues_.standing_before(UINT32_MAX, cursor, 64)) {
      ++report_.messages;
      if (stands_.contains(place_of(s.at))) continue;
      const auto* queue = queues_.find(s.queue);
      damaged(fmt::format("message {} of queue {}: no record of it stands in segment {} at byte {}",
                          static_cast<std::uint64_t>(s.seq), queue->name, s.at.segment, s.at.offset));
    }
  }
  return {};
}

// --- objects ---

template <class F>
Status Checker::each(storage::Table table, F&& f) {
  const auto cursor = index_.cursor(table);
  for (Status at = cursor->seek({});; at = cursor->next()) {
    if (!at) return noted(std::move(at));
    if (!cursor->valid()) return {};
    told("rows of the index");
    HR_TRY(noted(f(cursor->key(), cursor->value())));
  }
}

Status Checker::buckets() {
  return each(storage::Table::kBuckets, [&](ByteView, ByteView value) -> Status {
    HR_ASSIGN(const auto row, object::decode_bucket_row(value));
    if (std::holds_alternative<object::Bucket>(row)) ++report_.buckets;
    return {};
  });
}

Status Checker::objects() {
  HR_TRY(each(storage::Table::kObjects, [&](ByteView key, ByteView value) -> Status {
    return is_late(key) ? Status() : indexed(object::version_key_of(key, 0), value);
  }));
  return each(storage::Table::kVersions, [&](ByteView key, ByteView value) -> Status {
    HR_ASSIGN(const auto place, object::decode_version_key(key));
    if (is_late(object::object_key(place.bucket, place.key))) return {};
    return indexed(key, value);
  });
}

// `place`: bucket, key and a version, which only tells versions of the log apart.
Status Checker::indexed(ByteView place, ByteView value) {
  HR_ASSIGN(const object::VersionPlace known, object::decode_version_key(place));
  const auto object = object::decode_object(value);
  if (!object) return std::unexpected(Error(object.error()).in(name_of(known, 0)));
  const Bytes body = object::body_key(known.bucket, known.key, object->version);
  return object_of(*object, name_of(known, object->numbered ? object->version : 0),
                   [&] { return index_.get(storage::Table::kBodies, body, storage::Patience::kAny); });
}

// What the log says of them and the index does not yet.
Status Checker::late_objects() {
  for (const auto& [place, late] : late_objects_) {
    HR_ASSIGN(const auto known, object::decode_version_key(place));
    const auto object = object::decode_object(late.value);
    const std::string name = name_of(known, object && object->numbered ? object->version : 0);
    HR_TRY(noted(object ? object_of(*object, name, [&] { return Result<std::optional<Bytes>>(late.body); })
                        : Status(std::unexpected(Error(object.error()).in(name)))));
  }
  return {};
}

void Checker::note_late(const object::Application& applied) {
  for (const storage::IndexChange& change : applied.changes) {
    late_.insert(change.key);
    if (change.table != storage::Table::kObjects) continue;
    const Bytes place = object::version_key_of(change.key, 0);
    if (change.value) {
      late_objects_[place] = {.value = *change.value, .body = {}};
    } else {
      late_objects_.erase(place);
    }
  }
  for (const storage::IndexChange& change : applied.changes) {
    if (change.table != storage::Table::kBodies) continue;
    const auto object = late_objects_.find(object::version_key_of(change.key, 0));
    if (object != late_objects_.end()) object->second.body = change.value;
  }
  if (applied.version) note_late(*applied.version);
  if (applied.closed) late_.insert(object::parts_prefix(applied.closed->upload));
}

void Checker::note_late(const object::VersionChange& change) {
  using What = object::VersionChange::What;
  late_.insert(object::object_key(change.bucket, change.key));
  const Bytes place = object::version_key(change.bucket, change.key, change.version);
  if (change.what == What::kRemove) late_objects_.erase(place);
  if (change.what == What::kSet) {
    if (const auto known = late_objects_.find(place); known != late_objects_.end()) {
      known->second.value = change.object;
    }
  }
  if (change.what != What::kPut && change.what != What::kMarker) return;
  if (!change.numbered) {  // it takes the place of the one that has no id of its own
    const Bytes prefix = object::versions_prefix(change.bucket, change.key);
    for (auto at = late_objects_.lower_bound(prefix);
         at != late_objects_.end() && at->first.starts_with(prefix);) {
      const auto object = object::decode_object(at->second.value);
      at = object && !object->numbered ? late_objects_.erase(at) : std::next(at);
    }
  }
  late_objects_[place] = {.value = change.object, .body = change.body};
}

Status Checker::object_of(const object::Object& object, const std::string& name,
                          const std::function<Result<std::optional<Bytes>>()>& body_of) {
  if (object.delete_marker) return {};
  ++report_.objects;
  if (object.blob) return body(*object.blob, object.bytes, name, object.etag);
  HR_ASSIGN(const auto stored, body_of());
  if (!stored) return fail(Errc::kCorrupt, name + ": its body is not in the index");
  if (object.parts > 0) {
    const auto manifest = object::decode_manifest(*stored);
    if (!manifest) return std::unexpected(Error(manifest.error()).in(name));
    return pieces(*manifest, name, object.etag);
  }
  if (stored->size() != object.bytes) {
    return fail(Errc::kCorrupt, fmt::format("{}: its body is {} bytes long instead of {}", name,
                                            stored->size(), object.bytes));
  }
  if (!is_md5(object.etag) || to_hex(md5_of(*stored)) == object.etag) return {};
  return fail(Errc::kCorrupt, name + ": its body is not what was stored: its MD5 is another one");
}

Status Checker::uploads() {
  HR_TRY(each(storage::Table::kUploads, [&](ByteView, ByteView value) -> Status {
    HR_TRY(object::decode_upload(value));
    ++report_.uploads;
    return {};
  }));
  return each(storage::Table::kParts, [&](ByteView key, ByteView value) -> Status {
    if (is_late(key)) return {};
    HR_ASSIGN(const auto part, object::decode_part(value));
    ++report_.parts;
    return part.blob ? body(*part.blob, part.bytes, "a part", part.etag) : Status();
  });
}

Result<Bytes> Checker::blob(const storage::BlobName& name, std::uint64_t bytes, const std::string& of) {
  ++report_.bodies;
  const auto file = disk_.open(name.path(), os::OpenMode::kRead, "check.open");
  if (!file && file.error().code == Errc::kNotFound) {
    return fail(Errc::kCorrupt, fmt::format("{} is missing: the body of {}", name.path(), of));
  }
  if (!file) return std::unexpected(file.error());
  HR_ASSIGN(const std::uint64_t size, (*file)->size("check.size"));
  report_.body_bytes += size;
  if (size != bytes) {
    return fail(Errc::kCorrupt, fmt::format("{} is {} bytes long instead of {}: the body of {}", name.path(),
                                            size, bytes, of));
  }
  if (!options_.bodies) return Bytes();
  codec::Md5 digest;
  Bytes buffer(kReadBytes, '\0');
  for (std::uint64_t at = 0; at < size;) {
    HR_ASSIGN(const std::size_t got, (*file)->read_at(at, buffer, "check.read"));
    if (got == 0) break;
    digest.update(ByteView(buffer).substr(0, got));
    at += got;
    told("bodies");
  }
  return digest.finish();
}

Status Checker::body(const storage::BlobName& name, std::uint64_t bytes, const std::string& of,
                     const std::string& etag) {
  HR_ASSIGN(const Bytes md5, blob(name, bytes, of));
  if (md5.empty() || !is_md5(etag) || to_hex(md5) == etag) return {};
  return fail(Errc::kCorrupt, fmt::format("{} is not what was stored: its MD5 is another one; the body of {}",
                                          name.path(), of));
}

// The ETag of an object of parts is the MD5 of its parts' MD5s, and their number.
Status Checker::pieces(const object::Manifest& manifest, const std::string& of, const std::string& etag) {
  Bytes all;
  bool whole = options_.bodies;
  for (const object::Piece& piece : manifest) {
    const auto md5 = piece.blob ? blob(*piece.blob, piece.bytes, of) : Result<Bytes>(md5_of({}));
    if (!md5) {
      whole = false;
      HR_TRY(noted(std::unexpected(md5.error())));
    } else {
      all += *md5;
    }
  }
  if (!whole || fmt::format("{}-{}", to_hex(md5_of(all)), manifest.size()) == etag) return {};
  return fail(Errc::kCorrupt,
              fmt::format("{} is not what was stored: the MD5s of its parts are not those of its ETag", of));
}

}  // namespace

Result<CheckReport> check(os::Disk& disk, const storage::Index& index, const CheckOptions& options) {
  return Checker(disk, index, options).run();
}

Status dump(os::Disk& disk, const std::function<Status(std::string_view line)>& line) {
  storage::RecoveryReport report;
  return storage::read_log(
      disk,
      [&](const storage::RecoveredRecord& record) {
        return line(fmt::format("{} {}:{} {}", record.lsn, record.at.segment, record.at.offset,
                                text_of(record.kind, record.payload)));
      },
      report);
}

}  // namespace hr::commit
