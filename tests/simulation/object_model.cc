#include "object_model.h"

#include <algorithm>
#include <utility>

namespace hr::sim {

const ModelObject* ModelState::find(object::BucketId bucket, const std::string& key) const {
  const auto found = objects.find({bucket, key});
  return found == objects.end() ? nullptr : &found->second;
}

bool ModelState::empty(object::BucketId bucket) const {
  return std::ranges::none_of(objects, [&](const auto& entry) { return entry.first.first == bucket; });
}

void ObjectModel::take(ModelState& state, const ModelChange& change) {
  if (change.upload != object::UploadId{}) {
    if (change.upload_set) {
      state.uploads[change.upload] = *change.upload_set;
    } else if (change.part_set) {
      state.uploads.at(change.upload).parts[change.part] = *change.part_set;
    } else {
      state.uploads.erase(change.upload);
    }
    if (!change.object_set) return;
  }
  if (!change.bucket.empty()) {
    if (change.bucket_set) {
      state.buckets[change.bucket] = *change.bucket_set;
    } else {
      const object::BucketId id = state.buckets.at(change.bucket).id;
      std::erase_if(state.uploads, [&](const auto& entry) { return entry.second.bucket == id; });
      state.buckets.erase(change.bucket);
    }
  } else if (change.object_set) {
    state.objects[change.key] = *change.object_set;
  } else {
    state.objects.erase(change.key);
  }
}

void ObjectModel::change(ModelChange change) {
  take(now_, change);
  highest_ = std::max(highest_, change.number);
  changes_.push_back(std::move(change));
}

void ObjectModel::applied(storage::Lsn upto) {
  while (shown_changes_ < changes_.size() && changes_[shown_changes_].lsn <= upto) {
    take(shown_, changes_[shown_changes_++]);
  }
}

void ObjectModel::crash(storage::Lsn cut, storage::Lsn applied_upto) {
  std::erase_if(changes_, [&](const ModelChange& change) { return change.lsn > cut; });
  now_ = shown_ = {};
  shown_changes_ = 0;
  highest_ = 0;
  for (const ModelChange& change : changes_) {
    take(now_, change);
    highest_ = std::max(highest_, change.number);
  }
  applied(applied_upto);
}

std::size_t ObjectModel::events() const {
  std::size_t events = 0;
  for (const ModelChange& change : changes_) events += change.events;
  return events;
}

std::vector<std::string> ObjectModel::wanted_by(const object::Bucket& bucket, const std::string& event,
                                                const std::string& key) {
  std::vector<std::string> queues;
  for (const auto& rule : bucket.notifications) {
    const std::string family = "s3:" + event.substr(0, event.find(':')) + ":*";
    const bool wanted =
        std::ranges::count(rule.events, "s3:" + event) + std::ranges::count(rule.events, family) > 0;
    if (!wanted || key.substr(0, rule.prefix.size()) != rule.prefix) continue;
    if (key.size() < rule.suffix.size() || key.substr(key.size() - rule.suffix.size()) != rule.suffix)
      continue;
    queues.push_back(rule.queue_arn);
  }
  return queues;
}

std::optional<object::Fault> ObjectModel::refused(const object::WriteCondition& condition,
                                                  const ModelObject* there) {
  if (condition.if_none_match_any && there != nullptr) return object::Fault::kPreconditionFailed;
  if (!condition.if_match) return std::nullopt;
  if (there == nullptr) return object::Fault::kNoSuchKey;
  if (*condition.if_match == "*" || *condition.if_match == there->etag) return std::nullopt;
  return object::Fault::kPreconditionFailed;
}

}  // namespace hr::sim
