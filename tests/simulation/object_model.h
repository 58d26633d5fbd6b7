// What a store of objects is, in the simplest form that can be right: a list of changes, each with the number
// of its log group, and maps that have taken them in up to some point. The judge of the object engine.
#pragma once

#include "object/engine.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace hr::sim {

struct ModelObject {
  std::string etag;
  Bytes body;
  std::optional<storage::BlobName> blob;
  std::uint64_t sequencer = 0;
  std::vector<storage::BlobName> pieces{};  // of one that was uploaded in parts
  std::uint64_t version = 0;
  bool numbered = false, delete_marker = false;
  bool operator==(const ModelObject&) const = default;
};

struct ModelPart {
  std::string etag;
  storage::BlobName blob;
  bool operator==(const ModelPart&) const = default;
};

struct ModelUpload {
  object::BucketId bucket{};
  std::string key;
  Time initiated;
  std::map<std::uint32_t, ModelPart> parts{};
};

using ModelKey = std::pair<object::BucketId, std::string>;

struct ModelState {
  std::map<std::string, object::Bucket> buckets;
  std::map<ModelKey, std::vector<ModelObject>> keys;  // every version, the newest last
  std::map<object::UploadId, ModelUpload> uploads;

  const ModelObject* find(object::BucketId bucket, const std::string& key) const;  // what a read finds
  const ModelObject* find(object::BucketId bucket, const std::string& key,
                          const object::VersionName& version) const;
  bool empty(object::BucketId bucket) const;
};

// What one accepted command did: to an object, to a bucket, to an upload; completing one does two of these.
struct ModelChange {
  storage::Lsn lsn = 0;
  std::size_t events = 0;
  std::uint64_t number = 0;  // the sequencer or bucket id it was given
  std::string bucket{};      // of a bucket change
  std::optional<object::Bucket> bucket_set{};
  ModelKey key{};                                  // of an object change
  std::optional<ModelObject> object_set{};         // in the place of its version, or on top
  std::optional<std::uint64_t> version_removed{};  // without either of these: all of the key goes
  object::UploadId upload{};  // of an upload change; without either of these it is closed
  std::optional<ModelUpload> upload_set{};
  std::uint32_t part = 0;
  std::optional<ModelPart> part_set{};
};

class ObjectModel {
 public:
  const ModelState& now() const { return now_; }      // after every decided change
  const ModelState& shown() const { return shown_; }  // as far as the index has come

  void change(ModelChange change);
  void applied(storage::Lsn upto);
  // Changes after `cut` never happened; the index is at `applied`.
  void crash(storage::Lsn cut, storage::Lsn applied);

  std::size_t events() const;  // of all changes
  std::uint64_t highest_number() const { return highest_; }

  // How many rules want this event, by the words of the S3 documentation.
  static std::vector<std::string> wanted_by(const object::Bucket& bucket, const std::string& event,
                                            const std::string& key);
  // What a put under this condition is answered.
  static std::optional<object::Fault> refused(const object::WriteCondition& condition,
                                              const ModelObject* there);

 private:
  static void take(ModelState& state, const ModelChange& change);

  std::vector<ModelChange> changes_;
  std::size_t shown_changes_ = 0;
  ModelState now_, shown_;
  std::uint64_t highest_ = 0;
};

}  // namespace hr::sim
