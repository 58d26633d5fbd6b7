// Multipart uploads in a simulated life: begun, filled, completed, aborted, abandoned.
#include "object/coding.h"
#include "object_life.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::sim {

// Of an upload that goes on or, rarely, of none.
void ObjectLife::begin_completion(Client& client) {
  const auto& uploads = model_.now().uploads;
  if (uploads.empty()) return;
  auto upload = uploads.begin();
  std::advance(upload, static_cast<std::ptrdiff_t>(random_.below(uploads.size())));
  for (const auto& [name, bucket] : model_.now().buckets) {
    if (bucket.id == upload->second.bucket) client.bucket = name;
  }
  client.key = upload->second.key;
  client.upload = upload->first;
  client.request.object.etag = fmt::format("e{}-1", ++etags_);
}

object::CompleteUpload ObjectLife::completion_of(const Client& client) {
  object::CompleteUpload out{.upload = client.upload};
  object::Manifest manifest;
  for (const auto& [number, part] : client.parts) {
    if (client.parts.size() > 1 && number % 5 == 0) continue;  // not listed: it goes
    out.kept.push_back(number);
    manifest.push_back({.bytes = 1, .blob = part.blob, .checksum = {}});
  }
  out.put = {
      .bucket = client.bucket,
      .key = client.key,
      .object = {.etag = client.request.object.etag, .parts = static_cast<std::uint32_t>(out.kept.size())},
      .inline_body = object::encode(manifest),
      .condition = client.request.condition,
      .event_name = "ObjectCreated:CompleteMultipartUpload"};
  return out;
}

void ObjectLife::decide_complete(Client& client) {
  if (completion_of(client).kept.empty()) return;
  const auto bucket = model_.now().buckets.find(client.bucket);
  std::optional<Fault> expected = Fault::kNoSuchBucket;
  if (bucket != model_.now().buckets.end()) {
    const auto upload = model_.now().uploads.find(client.upload);
    const bool there = upload != model_.now().uploads.end() && upload->second.bucket == bucket->second.id;
    expected = there ? ObjectModel::refused(client.request.condition,
                                            model_.now().find(bucket->second.id, client.key))
                     : Fault::kNoSuchUpload;
  }
  object::Effects command;
  const auto outcome = decide_again_if_stale(client, [&] {
    return subject_->complete(completion_of(client), client.parts_watch, client.watch, client.known, now_,
                              command);
  });
  if (!expected && !outcome && full()) expected = Fault::kSlowDown;
  check(outcome ? !expected : expected == outcome.error(),
        fmt::format("a completion was {}, expected {}", name_of(outcome),
                    expected ? name_of(*expected) : "accepted"));
  if (!outcome) return;
  number_grows(outcome->sequencer);
  compare_events(command, "ObjectCreated:CompleteMultipartUpload", bucket->second, client.key,
                 outcome->sequencer);
  ModelObject made{.etag = client.request.object.etag,
                   .body = {},
                   .blob = {},
                   .sequencer = outcome->sequencer,
                   .version = outcome->version,
                   .numbered = outcome->numbered};
  const auto& parts = model_.now().uploads.at(client.upload).parts;
  check(parts.size() == client.parts.size(), "completed without a part that was there");
  for (const auto& [number, part] : client.parts) {
    const auto there = parts.find(number);
    check(there != parts.end() && there->second.etag == part.etag && there->second.blob == part.blob,
          "completed from a part that was replaced");
  }
  for (const std::uint32_t number : completion_of(client).kept) made.pieces.push_back(parts.at(number).blob);
  made.version = outcome->version;
  made.numbered = outcome->numbered;
  accept(command, {.number = outcome->sequencer,
                   .bucket = {},
                   .bucket_set = {},
                   .key = {bucket->second.id, client.key},
                   .object_set = std::move(made),
                   .upload = client.upload,
                   .upload_set = {},
                   .part_set = {}});
}

void ObjectLife::create_upload() {
  ++result.operations;
  const std::string name = kBuckets.at(random_.below(kBuckets.size()));
  const auto bucket = model_.now().buckets.find(name);
  const std::string key = random_key();
  std::optional<Fault> expected;
  if (bucket == model_.now().buckets.end()) {
    expected = Fault::kNoSuchBucket;
  } else if (model_.now().uploads.size() >= kLimits.uploads_max) {
    expected = Fault::kTooManyUploads;
  }
  object::Effects command;
  const auto outcome = subject_->engine().create_upload(name, key, {}, now_, command);
  check(outcome ? !expected : expected == outcome.error(), "create upload: " + name_of(outcome));
  if (!outcome) return;
  const auto id = static_cast<std::uint64_t>(*outcome);
  number_grows(id);
  accept(command, {.number = id,
                   .bucket = {},
                   .bucket_set = {},
                   .key = {},
                   .object_set = {},
                   .upload = *outcome,
                   .upload_set = ModelUpload{bucket->second.id, key, now_, {}},
                   .part_set = {}});
}

void ObjectLife::put_part() {
  ++result.operations;
  Client client;
  begin_completion(client);
  if (client.upload == object::UploadId{}) return;
  const auto writer = *subject_->blobs().create();
  const std::string etag = fmt::format("p{}", ++etags_);
  check(writer->append(etag).has_value(), "append");
  const BlobName blob = *writer->commit();
  const auto number = static_cast<std::uint32_t>(1 + random_.below(6));
  const bool was_full = full();
  object::Effects command;
  const auto outcome = subject_->engine().put_part({.bucket = client.bucket,
                                                    .key = client.key,
                                                    .upload = client.upload,
                                                    .number = number,
                                                    .part = {.bytes = 1, .etag = etag, .blob = blob}},
                                                   now_, command);
  check(outcome ? !was_full : outcome.error() == Fault::kSlowDown && was_full,
        "put part: " + name_of(outcome));
  if (!outcome) return check(subject_->blobs().remove(blob).has_value(), "remove");
  accept(command, {.bucket = {},
                   .bucket_set = {},
                   .key = {},
                   .object_set = {},
                   .upload = client.upload,
                   .upload_set = {},
                   .part = number,
                   .part_set = ModelPart{etag, blob}});
  if (random_.percent(70)) subject_->append(step_);
}

void ObjectLife::abort_upload() {
  ++result.operations;
  Client client;
  begin_completion(client);
  if (client.upload == object::UploadId{}) return;
  object::Effects command;
  check(subject_->engine().abort_upload(client.bucket, client.key, client.upload, command).has_value(),
        "an upload could not be aborted");
  accept(command, {.bucket = {},
                   .bucket_set = {},
                   .key = {},
                   .object_set = {},
                   .upload = client.upload,
                   .upload_set = {},
                   .part_set = {}});
}

void ObjectLife::close_abandoned() {
  ++result.operations;
  std::vector<object::UploadId> expected;
  for (const auto& [id, upload] : model_.now().uploads) {
    if (now_ - upload.initiated > kLimits.upload_age_max && expected.size() < 2) expected.push_back(id);
  }
  object::Effects command;
  const std::size_t closed = subject_->engine().close_abandoned(now_, 2, command);
  check(closed == expected.size() && command.records.size() == closed,
        fmt::format("{} abandoned uploads were closed, expected {}", closed, expected.size()));
  for (const object::UploadId id : expected) {
    ModelChange change{.lsn = subject_->next_lsn(), .bucket = {}, .bucket_set = {}, .key = {}};
    change.upload = id;
    model_.change(std::move(change));
  }
  std::ranges::move(command.records, std::back_inserter(step_.records));
}

}  // namespace hr::sim
