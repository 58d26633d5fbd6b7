#include "object_model.h"

#include <algorithm>
#include <utility>

namespace hr::sim {

const ModelObject* ModelState::find(object::BucketId bucket, const std::string& key) const {
  const auto found = keys.find({bucket, key});
  return found == keys.end() || found->second.back().delete_marker ? nullptr : &found->second.back();
}

const ModelObject* ModelState::find(object::BucketId bucket, const std::string& key,
                                    const object::VersionName& version) const {
  const auto found = keys.find({bucket, key});
  if (found == keys.end()) return nullptr;
  for (const ModelObject& one : found->second) {
    if (version.null ? !one.numbered : one.numbered && one.version == version.version) return &one;
  }
  return nullptr;
}

bool ModelState::empty(object::BucketId bucket) const {
  return std::ranges::none_of(keys, [&](const auto& entry) { return entry.first.first == bucket; });
}

namespace {

void put(std::vector<ModelObject>& versions, const ModelObject& object) {
  for (ModelObject& one : versions) {
    if (one.version == object.version) {  // its tags were set, or there are no versions
      one = object;
      return;
    }
  }
  if (!object.numbered) std::erase_if(versions, [](const ModelObject& one) { return !one.numbered; });
  versions.push_back(object);
}

void change_key(ModelState& state, const ModelChange& change) {
  auto& versions = state.keys[change.key];
  if (change.object_set) {
    put(versions, *change.object_set);
  } else if (change.version_removed) {
    std::erase_if(versions, [&](const ModelObject& one) { return one.version == *change.version_removed; });
  } else {
    versions.clear();
  }
  if (versions.empty()) state.keys.erase(change.key);
}

}  // namespace

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
  } else {
    change_key(state, change);
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
