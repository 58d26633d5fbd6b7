// Multipart uploads in the object engine: which go on, and what may still happen to them. Their parts are in
// the index alone.
#include "base/check.h"
#include "object/coding.h"
#include "object/engine_state.h"
#include "object/records.h"

#include <algorithm>
#include <utility>

namespace hr::object {

const OpenUpload* Engine::State::find_upload(std::string_view bucket, std::string_view key,
                                             UploadId id) const {
  const auto there = buckets.find(bucket);
  const auto found = uploads.find(id);
  if (there == buckets.end() || found == uploads.end()) return nullptr;
  return found->second.bucket == there->second.id && found->second.key == key ? &found->second : nullptr;
}

void Engine::State::close_upload(UploadId id, std::vector<std::uint32_t> kept, Effects& out) {
  const auto found = uploads.find(id);
  HR_CHECK(found != uploads.end());
  out.records.push_back(
      record_of(UploadClosed{found->second.bucket, id, found->second.key, std::move(kept)}));
  uploads.erase(found);
  parts.moved(watch_key_of(id));
}

const OpenUpload* Engine::upload(UploadId id) const {
  const auto found = state_->uploads.find(id);
  return found == state_->uploads.end() ? nullptr : &found->second;
}

std::size_t Engine::uploads(BucketId bucket) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      state_->uploads, [&](const auto& entry) { return entry.second.bucket == bucket; }));
}

Watch Engine::watch_parts(UploadId id) { return state_->parts.watch(watch_key_of(id)); }

Outcome<UploadId> Engine::create_upload(const std::string& bucket, const std::string& key, Upload upload,
                                        Time now, Effects& out) {
  const Bucket* there = state_->find(bucket);
  if (there == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  if (state_->uploads.size() >= state_->limits.uploads_max) return std::unexpected(Fault::kTooManyUploads);
  HR_CHECK(!key.empty() && key.size() <= kKeyBytesMax);
  upload.id = UploadId{state_->number(out)};
  upload.initiated = now;
  out.records.push_back(record_of(UploadSet{there->id, upload.id, key, encode(upload)}));
  state_->uploads.emplace(upload.id, OpenUpload{.bucket = there->id,
                                                .key = key,
                                                .initiated = now,
                                                .checksum_algorithm = upload.checksum_algorithm,
                                                .checksum_composite = upload.checksum_composite});
  return upload.id;
}

Outcome<void> Engine::put_part(PutPart request, Time now, Effects& out) {
  if (state_->find(request.bucket) == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  if (!state_->find_upload(request.bucket, request.key, request.upload)) {
    return std::unexpected(Fault::kNoSuchUpload);
  }
  if (pending() >= state_->limits.pending_max) return std::unexpected(Fault::kSlowDown);
  request.part.modified = now;
  out.records.push_back(record_of(PartPut{request.upload, request.number, encode(request.part)}));
  ++state_->uploads.at(request.upload).pending_parts;
  state_->parts.moved(watch_key_of(request.upload));
  state_->changes.push_back({.lsn = 0, .sequencer = 0, .bucket = {}, .key = {}, .upload = request.upload});
  ++state_->unplaced;
  return {};
}

Outcome<WriteDone> Engine::complete_upload(CompleteUpload request, const Watch& parts, const Watch& key,
                                           const std::optional<Object>& known, Time now, Effects& out) {
  PutObject& put = request.put;
  const Bucket* bucket = state_->find(put.bucket);
  if (bucket == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  const OpenUpload* upload = state_->find_upload(put.bucket, put.key, request.upload);
  if (upload == nullptr) return std::unexpected(Fault::kNoSuchUpload);
  if (upload->pending_parts > 0 || parts.moved()) return std::unexpected(Fault::kStale);
  Bytes index_key = object_key(bucket->id, put.key);
  if (put.condition.if_none_match_any || put.condition.if_match) {
    const auto judged = state_->judge(index_key, key, known);
    if (!judged) return std::unexpected(judged.error());
    if (const auto fault = refused(put.condition, *judged)) return std::unexpected(*fault);
  }
  if (pending() >= state_->limits.pending_max) return std::unexpected(Fault::kSlowDown);
  HR_CHECK(put.object.parts > 0 && put.object.parts == request.kept.size());
  put.object.upload = request.upload;
  const WriteDone done = state_->accept_put(*bucket, std::move(index_key), put, now, out);
  state_->close_upload(request.upload, std::move(request.kept), out);
  return done;
}

Outcome<void> Engine::abort_upload(const std::string& bucket, const std::string& key, UploadId id,
                                   Effects& out) {
  if (state_->find(bucket) == nullptr) return std::unexpected(Fault::kNoSuchBucket);
  if (!state_->find_upload(bucket, key, id)) return std::unexpected(Fault::kNoSuchUpload);
  state_->close_upload(id, {}, out);
  return {};
}

std::size_t Engine::close_abandoned(Time now, std::size_t most, Effects& out) {
  std::size_t closed = 0;
  while (closed < most && !state_->uploads.empty()) {
    const auto& [id, oldest] = *state_->uploads.begin();
    if (now - oldest.initiated <= state_->limits.upload_age_max) break;
    state_->close_upload(id, {}, out);
    ++closed;
  }
  return closed;
}

Status Engine::load_upload(ByteView index_key, ByteView index_value) {
  HR_ASSIGN(UploadName name, decode_upload_key(index_key));
  HR_ASSIGN(Upload upload, decode_upload(index_value));
  state_->uploads.insert_or_assign(name.upload,
                                   OpenUpload{.bucket = name.bucket,
                                              .key = std::move(name.key),
                                              .initiated = upload.initiated,
                                              .checksum_algorithm = std::move(upload.checksum_algorithm),
                                              .checksum_composite = upload.checksum_composite});
  return {};
}

}  // namespace hr::object
