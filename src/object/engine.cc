#include "object/engine.h"

#include "base/check.h"
#include "object/coding.h"
#include "object/engine_state.h"
#include "object/records.h"

#include <algorithm>
#include <set>
#include <utility>

namespace hr::object {
namespace {

// Numbers are logged in advance, so many at a time, not each by itself.
constexpr std::uint64_t kReserveAhead = 1U << 16;

// 10,000 parts, each of a length, a blob's name and a SHA-256 in base64.
constexpr std::size_t kManifestBytesMax = 1U << 20;

// Of an object or a part: what the pending table knows of until it is applied.
bool is_change(Kind kind) {
  return kind == Kind::kObjectPut || kind == Kind::kObjectRemoved || kind == Kind::kObjectSet ||
         kind == Kind::kVersionPut || kind == Kind::kVersionRemoved || kind == Kind::kPartPut;
}

}  // namespace

std::optional<Fault> refused(const WriteCondition& condition, const Judged& now) {
  if (condition.if_none_match_any && now.exists) return Fault::kPreconditionFailed;
  if (!condition.if_match) return std::nullopt;
  if (!now.exists) return Fault::kNoSuchKey;
  if (*condition.if_match != "*" && *condition.if_match != now.etag) return Fault::kPreconditionFailed;
  return std::nullopt;
}

std::uint64_t Engine::State::number(Effects& out) {
  if (next >= reserved) {
    reserved = next + kReserveAhead;
    out.records.push_back(record_of(Counter{reserved}));
  }
  return next++;
}

void Engine::State::moved(BucketId bucket, const Bytes& key) {
  keys.moved(key);
  whole_buckets.moved(watch_key_of(bucket));
}

Outcome<Judged> Engine::State::judge(const Bytes& key, const Watch& watch,
                                     const std::optional<Object>& known) const {
  if (const auto found = pending.find(key); found != pending.end()) {
    if (found->second.unknown) return std::unexpected(Fault::kStale);
    return found->second.state;
  }
  if (watch.moved()) return std::unexpected(Fault::kStale);
  if (!known) return Judged{};
  return Judged{.exists = true, .etag = known->etag, .delete_marker = known->delete_marker};
}

void Engine::State::count(BucketId bucket, bool before, bool after) {
  if (before == after) return;
  std::size_t& count = pending_objects[std::to_underlying(bucket)];
  after ? ++count : --count;
  if (count == 0) pending_objects.erase(std::to_underlying(bucket));
}

void Engine::State::decided(BucketId bucket, Bytes key, Pending state, Bytes version, Judged version_state) {
  moved(bucket, key);
  if (!version.empty()) {
    keys.moved(version);
    pending[version] = {.sequencer = state.sequencer, .state = std::move(version_state)};
  }
  const std::uint64_t sequencer = state.sequencer;
  Pending& entry = pending[key];
  count(bucket, entry.occupies, state.occupies);
  entry = std::move(state);
  changes.push_back({.lsn = 0,
                     .sequencer = sequencer,
                     .bucket = bucket,
                     .key = std::move(key),
                     .version = std::move(version)});
  ++unplaced;
}

WriteDone Engine::State::accept_put(const Bucket& bucket, Bytes key, PutObject& request, Time now,
                                    Effects& out) {
  HR_CHECK(!request.key.empty() && request.key.size() <= kKeyBytesMax);
  Object& object = request.object;
  HR_CHECK(object.blob.has_value() ||
           request.inline_body.size() <= (object.parts > 0 ? kManifestBytesMax : kInlineBytesMax));
  object.sequencer = number(out);
  object.modified = now;
  const bool versioned = bucket.versioning != Versioning::kNever;
  if (versioned) object.version = object.sequencer;
  object.numbered = bucket.versioning == Versioning::kEnabled;
  const Bytes value = encode(object);
  std::optional<ByteView> body;
  if (!object.blob) body = request.inline_body;
  out.records.push_back(versioned ? record_of(VersionPut{.bucket = bucket.id,
                                                         .version = object.version,
                                                         .numbered = object.numbered,
                                                         .delete_marker = false,
                                                         .key = request.key,
                                                         .object = value,
                                                         .body = body})
                                  : record_of(ObjectPut{bucket.id, request.key, value, body}));
  announce(bucket, request,
           {.event_name = request.event_name,
            .tells = Tells::kCreated,
            .object = &object,
            .sequencer = object.sequencer,
            .version = object.numbered ? object.version : 0},
           now, out);
  const Judged there{.exists = true, .etag = object.etag};
  decided(bucket.id, std::move(key), {.sequencer = object.sequencer, .state = there, .occupies = true},
          object.numbered ? version_key(bucket.id, request.key, object.version) : Bytes(), there);
  return WriteDone{
      .sequencer = object.sequencer, .modified = now, .version = object.version, .numbered = object.numbered};
}

// The change is in the index. A newer one of its key keeps the entry. Who took a watch while the entry stood
// may have read the index from before: that watch moves now, since the entry will not speak for it any more.
void Engine::State::forget(const Unapplied& change) {
  if (change.key.empty()) {
    if (const auto upload = uploads.find(change.upload); upload != uploads.end()) {
      --upload->second.pending_parts;
    }
    return parts.moved(watch_key_of(change.upload));
  }
  if (!change.version.empty()) forget_entry(change.version, change);
  forget_entry(change.key, change);
}

void Engine::State::forget_entry(const Bytes& key, const Unapplied& change) {
  const auto found = pending.find(key);
  if (found == pending.end() || found->second.sequencer != change.sequencer) return;
  count(change.bucket, found->second.occupies, false);
  pending.erase(found);
  moved(change.bucket, key);
}

void Engine::State::announce(const Bucket& bucket, const Change& change, Effects& out) const {
  for (const NotificationRule& rule : bucket.notifications) {
    if (!matches(rule, change.event_name, change.key)) continue;
    out.events.push_back({rule.queue_arn, event_message(bucket, rule, change)});
  }
}

Engine::Engine(Limits limits) : state_(std::make_unique<State>()) { state_->limits = limits; }

Engine::~Engine() = default;

const Bucket* Engine::bucket(std::string_view name) const { return state_->find(name); }

const Bucket* Engine::bucket(BucketId id) const {
  const auto found =
      std::ranges::find(state_->buckets, id, [](const auto& entry) { return entry.second.id; });
  return found == state_->buckets.end() ? nullptr : &found->second;
}

std::vector<const Bucket*> Engine::buckets(std::string_view account) const {
  std::vector<const Bucket*> found;
  for (const auto& [name, bucket] : state_->buckets) {
    if (bucket.account == account) found.push_back(&bucket);
  }
  return found;
}

std::vector<std::string> Engine::buckets_with(Setting setting) const {
  std::vector<std::string> names;
  for (const auto& [name, bucket] : state_->buckets) {
    if (bucket.settings.contains(setting)) names.push_back(name);
  }
  return names;
}

Watch Engine::watch_key(BucketId bucket, std::string_view key) {
  return state_->keys.watch(object_key(bucket, key));
}

Watch Engine::watch_version(BucketId bucket, std::string_view key, std::uint64_t version) {
  return state_->keys.watch(version_key(bucket, key, version));
}

Watch Engine::watch_bucket(BucketId bucket) { return state_->whole_buckets.watch(watch_key_of(bucket)); }

Outcome<void> Engine::create_bucket(const std::string& name, const std::string& account,
                                    const std::string& region, Time now, Effects& out) {
  if (const Bucket* there = state_->find(name)) {
    return std::unexpected(there->account == account ? Fault::kBucketOwned : Fault::kBucketExists);
  }
  if (state_->buckets.size() >= state_->limits.buckets_max) return std::unexpected(Fault::kTooManyBuckets);
  const Bucket bucket{.id = BucketId{state_->number(out)},
                      .name = name,
                      .account = account,
                      .region = region,
                      .created = now,
                      .notifications = {},
                      .versioning = Versioning::kNever,
                      .settings = {}};
  out.records.push_back(record_of(bucket));
  state_->buckets.emplace(name, bucket);
  return {};
}

Outcome<void> Engine::delete_bucket(const std::string& name, const Watch& watch, bool index_empty,
                                    Effects& out) {
  const Bucket* bucket = state_->find(name);
  if (bucket == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  if (state_->pending_objects.contains(std::to_underlying(bucket->id))) {
    return std::unexpected(Fault::kBucketNotEmpty);
  }
  if (watch.moved()) return std::unexpected(Fault::kStale);
  if (!index_empty) return std::unexpected(Fault::kBucketNotEmpty);
  std::vector<UploadId> open;  // nobody can complete them any more
  for (const auto& [id, upload] : state_->uploads) {
    if (upload.bucket == bucket->id) open.push_back(id);
  }
  for (const UploadId id : open) state_->close_upload(id, {}, out);
  out.records.push_back(record_of(BucketDeleted{bucket->id, name}));
  state_->whole_buckets.moved(watch_key_of(bucket->id));
  state_->buckets.erase(name);
  return {};
}

Outcome<void> Engine::set_notifications(const std::string& name, std::vector<NotificationRule> rules,
                                        const std::string& request_id, Time now, Effects& out) {
  Bucket* bucket = state_->find(name);
  if (bucket == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  std::set<std::string> told;
  for (const NotificationRule& rule : rules) {
    if (std::ranges::find(bucket->notifications, rule) != bucket->notifications.end()) continue;
    if (!told.insert(rule.queue_arn).second) continue;
    out.events.push_back({rule.queue_arn, test_message(*bucket, request_id, now)});
  }
  bucket->notifications = std::move(rules);
  out.records.push_back(record_of(*bucket));
  return {};
}

Outcome<void> Engine::set_versioning(const std::string& name, Versioning versioning, Effects& out) {
  HR_CHECK(versioning != Versioning::kNever);
  Bucket* bucket = state_->find(name);
  if (bucket == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  if (bucket->versioning == versioning) return {};
  bucket->versioning = versioning;
  out.records.push_back(record_of(*bucket));
  return {};
}

Outcome<void> Engine::set(const std::string& name, Setting setting, std::optional<std::string> text,
                          Effects& out) {
  Bucket* bucket = state_->find(name);
  if (bucket == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  if (text) {
    bucket->settings.insert_or_assign(setting, *std::move(text));
  } else if (bucket->settings.erase(setting) == 0) {
    return {};
  }
  out.records.push_back(record_of(*bucket));
  return {};
}

Outcome<WriteDone> Engine::put(PutObject request, const Watch& watch, const std::optional<Object>& known,
                               Time now, Effects& out) {
  const Bucket* bucket = state_->find(request.bucket);
  if (bucket == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  Bytes key = object_key(bucket->id, request.key);
  if (request.condition.if_none_match_any || request.condition.if_match) {
    const auto judged = state_->judge(key, watch, known);
    if (!judged) return std::unexpected(judged.error());
    if (const auto fault = refused(request.condition, *judged)) return std::unexpected(*fault);
  }
  if (pending() >= state_->limits.pending_max) return std::unexpected(Fault::kSlowDown);
  return state_->accept_put(*bucket, std::move(key), request, now, out);
}

void Engine::appended(std::span<const storage::Record> records, storage::Lsn lsn) {
  HR_CHECK(lsn > 0);
  for (const storage::Record& record : records) {
    const Kind kind{record.kind};
    if (!is_change(kind)) continue;
    HR_CHECK(state_->unplaced > 0);
    state_->changes[state_->changes.size() - state_->unplaced].lsn = lsn;
    --state_->unplaced;
  }
}

void Engine::applied(storage::Lsn lsn) {
  auto& changes = state_->changes;
  while (changes.size() > state_->unplaced && changes.front().lsn <= lsn) {
    state_->forget(changes.front());
    changes.pop_front();
  }
}

std::size_t Engine::pending() const { return state_->changes.size(); }

bool Engine::is_pending(BucketId bucket, std::string_view key) const {
  return !state_->pending.empty() && state_->pending.contains(object_key(bucket, key));
}

Status Engine::load_bucket(ByteView index_value) {
  HR_ASSIGN(auto row, decode_bucket_row(index_value));
  if (const Counter* counter = std::get_if<Counter>(&row)) {
    state_->next = state_->reserved = std::max(state_->reserved, counter->reserved);
    return {};
  }
  Bucket& bucket = std::get<Bucket>(row);
  state_->buckets.insert_or_assign(bucket.name, bucket);
  return {};
}

Status Engine::restore(const storage::RecoveredRecord& record) {
  HR_ASSIGN(auto any, decode_record(record.kind, record.payload));
  if (const auto* bucket = std::get_if<Bucket>(&any)) {
    state_->buckets.insert_or_assign(bucket->name, *bucket);
  } else if (const auto* deleted = std::get_if<BucketDeleted>(&any)) {
    state_->buckets.erase(deleted->name);
  } else if (const auto* counter = std::get_if<Counter>(&any)) {
    state_->next = state_->reserved = std::max(state_->reserved, counter->reserved);
  } else if (const auto* set = std::get_if<UploadSet>(&any)) {
    return load_upload(upload_key(set->bucket, set->key, set->upload), set->value);
  } else if (const auto* closed = std::get_if<UploadClosed>(&any)) {
    state_->uploads.erase(closed->upload);
  }
  return {};
}

}  // namespace hr::object
