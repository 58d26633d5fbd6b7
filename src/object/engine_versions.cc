// Versions in the object engine: delete markers, removing one version, and the tags of any.
#include "base/check.h"
#include "object/coding.h"
#include "object/engine_state.h"
#include "object/records.h"

#include <utility>

namespace hr::object {
namespace {

Bytes place_of(const Bucket& bucket, const std::string& key, const std::optional<VersionName>& version) {
  if (version && !version->null) return version_key(bucket.id, key, version->version);
  return object_key(bucket.id, key);
}

}  // namespace

Outcome<WriteDone> Engine::State::put_delete_marker(const Bucket& bucket, const DeleteObject& request,
                                                    Time now, Effects& out) {
  if (changes.size() >= limits.pending_max) return std::unexpected(Fault::kSlowDown);
  Object marker{.modified = now,
                .sequencer = number(out),
                .numbered = bucket.versioning == Versioning::kEnabled,
                .delete_marker = true};
  marker.version = marker.sequencer;
  const Bytes value = encode(marker);
  out.records.push_back(record_of(VersionPut{.bucket = bucket.id,
                                             .version = marker.version,
                                             .numbered = marker.numbered,
                                             .delete_marker = true,
                                             .key = request.key,
                                             .object = value,
                                             .body = std::nullopt}));
  announce(bucket, request,
           {.event_name = request.event_family + ":DeleteMarkerCreated",
            .tells = Tells::kMarker,
            .sequencer = marker.sequencer,
            .version = marker.numbered ? marker.version : 0},
           now, out);
  decided(bucket.id, object_key(bucket.id, request.key), {.sequencer = marker.sequencer, .occupies = true},
          marker.numbered ? version_key(bucket.id, request.key, marker.version) : Bytes(),
          {.exists = true, .etag = {}, .delete_marker = true});
  return WriteDone{.sequencer = marker.sequencer,
                   .existed = true,
                   .modified = now,
                   .version = marker.version,
                   .numbered = marker.numbered,
                   .delete_marker = true};
}

// A version with an id of its own changes only by being tagged or removed; which has none, any change of the
// key may change.
Outcome<Judged> Engine::State::judge_version(const Bucket& bucket, const DeleteObject& request,
                                             const Watch& watch, const std::optional<Object>& known) const {
  const Bytes place = place_of(bucket, request.key, request.version);
  if (request.version->null && pending.contains(place)) return std::unexpected(Fault::kStale);
  return judge(place, watch, known);
}

Outcome<WriteDone> Engine::State::remove_version(const Bucket& bucket, const DeleteObject& request,
                                                 const Watch& watch, const std::optional<Object>& known,
                                                 Time now, Effects& out) {
  const auto judged = judge_version(bucket, request, watch, known);
  if (!judged) return std::unexpected(judged.error());
  const WriteCondition condition{.if_none_match_any = false, .if_match = request.if_match};
  if (const auto fault = refused(condition, *judged)) return std::unexpected(*fault);
  if (!judged->exists) return WriteDone{};
  if (changes.size() >= limits.pending_max) return std::unexpected(Fault::kSlowDown);
  const bool numbered = !request.version->null;
  const std::uint64_t version = numbered ? request.version->version : known->version;
  const std::uint64_t sequencer = number(out);
  out.records.push_back(record_of(VersionRemoved{bucket.id, version, sequencer, request.key}));
  announce(bucket, request,
           {.event_name = request.event_family + ":Delete",
            .tells = Tells::kRemoved,
            .sequencer = sequencer,
            .version = numbered ? version : 0},
           now, out);
  decided(bucket.id, object_key(bucket.id, request.key),
          {.sequencer = sequencer, .occupies = true, .unknown = true},
          numbered ? version_key(bucket.id, request.key, version) : Bytes());
  return WriteDone{.sequencer = sequencer,
                   .existed = true,
                   .version = version,
                   .numbered = numbered,
                   .delete_marker = judged->delete_marker};
}

Outcome<WriteDone> Engine::set_tags(const SetTags& request, const Watch& watch,
                                    const std::optional<Object>& known, Time now, Effects& out) {
  const Bucket* bucket = state_->find(request.bucket);
  if (bucket == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  const Bytes place = place_of(*bucket, request.key, request.version);
  if (state_->pending.contains(place) || watch.moved()) return std::unexpected(Fault::kStale);
  if (!known) return std::unexpected(Fault::kNoSuchKey);
  HR_CHECK(!known->delete_marker);
  if (pending() >= state_->limits.pending_max) return std::unexpected(Fault::kSlowDown);
  Object object = *known;
  object.tags = request.tags;
  object.sequencer = state_->number(out);
  const Bytes value = encode(object);
  out.records.push_back(record_of(ObjectSet{bucket->id, request.key, object.version, value}));
  state_->announce(*bucket, request,
                   {.event_name = request.event_name,
                    .tells = Tells::kTagged,
                    .object = &object,
                    .sequencer = object.sequencer,
                    .version = object.numbered ? object.version : 0},
                   now, out);
  const Judged tagged{.exists = true, .etag = object.etag};
  // Whether the version that was named is the current one, the index knows; without versions it is.
  state_->decided(bucket->id, object_key(bucket->id, request.key),
                  {.sequencer = object.sequencer,
                   .state = tagged,
                   .occupies = true,
                   .unknown = request.version.has_value() && bucket->versioning != Versioning::kNever},
                  object.numbered ? version_key(bucket->id, request.key, object.version) : Bytes(), tagged);
  return WriteDone{.sequencer = object.sequencer,
                   .existed = true,
                   .modified = object.modified,
                   .version = object.version,
                   .numbered = object.numbered};
}

Outcome<WriteDone> Engine::remove(const DeleteObject& request, const Watch& watch,
                                  const std::optional<Object>& known, Time now, Effects& out) {
  const Bucket* bucket = state_->find(request.bucket);
  if (bucket == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  if (request.sequencer) {
    const bool pending = state_->pending.contains(place_of(*bucket, request.key, request.version));
    if (pending || watch.moved()) return std::unexpected(Fault::kStale);
    if (!known || known->sequencer != *request.sequencer) return WriteDone{};
  }
  const bool versioned = bucket->versioning != Versioning::kNever;
  if (request.version && (versioned || !request.version->null)) {
    return state_->remove_version(*bucket, request, watch, known, now, out);
  }
  Bytes key = object_key(bucket->id, request.key);
  if (versioned && !request.if_match) return state_->put_delete_marker(*bucket, request, now, out);
  const auto judged = state_->judge(key, watch, known);
  if (!judged) return std::unexpected(judged.error());
  const WriteCondition condition{.if_none_match_any = false, .if_match = request.if_match};
  if (const auto fault = refused(condition, *judged)) return std::unexpected(*fault);
  if (versioned) return state_->put_delete_marker(*bucket, request, now, out);
  if (!judged->exists) return WriteDone{};
  if (pending() >= state_->limits.pending_max) return std::unexpected(Fault::kSlowDown);

  const std::uint64_t sequencer = state_->number(out);
  out.records.push_back(record_of(ObjectRemoved{bucket->id, sequencer, request.key}));
  state_->announce(
      *bucket, request,
      {.event_name = request.event_family + ":Delete", .tells = Tells::kRemoved, .sequencer = sequencer}, now,
      out);
  state_->decided(bucket->id, std::move(key), {.sequencer = sequencer});
  return WriteDone{.sequencer = sequencer, .existed = true};
}

}  // namespace hr::object
