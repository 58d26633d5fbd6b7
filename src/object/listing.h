// Listing keys of one bucket: prefix, delimiter, start and page size over a cursor. A common prefix is
// skipped by one seek, so a page costs its own entries however many keys hide behind a delimiter.
#pragma once

#include "base/result.h"
#include "object/object.h"
#include "storage/index/index.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::object {

// A page that ends with a common prefix is continued behind all keys of that prefix, and so is one whose
// `after` lies inside a common prefix: a prefix is shown once, where its first key would stand. The same rule
// serves markers, continuation tokens and StartAfter.
struct ListRequest {
  BucketId bucket{};
  std::string prefix{};
  std::string delimiter{};  // empty: none; may be longer than one byte
  std::string after{};      // exclusive: only keys (and common prefixes) greater than this
  std::size_t max = 1000;   // entries and common prefixes together, 0 to 1,000
};

struct ListedObject {
  std::string key;
  Outline object;
};

struct ListPage {
  std::vector<ListedObject> objects;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_after;  // pass as `after` for the next page
};

Result<ListPage> list_objects(const storage::Index& index, const ListRequest& request);

// The versions of a bucket's keys, delete markers among them: by key, and then the newest first. A page
// begins behind `after`, or behind one version of it; common prefixes as above.
struct ListVersionsRequest {
  BucketId bucket{};
  std::string prefix{};
  std::string delimiter{};
  std::string after{};
  std::optional<std::uint64_t> after_version{};  // of the key `after`; none: behind all of that key
  std::optional<Time> after_modified{};          // when that version was made, if anybody wants to know
  std::size_t max = 1000;
};
struct ListedVersion {
  std::string key;
  Object object;  // or a delete marker
  bool latest = false;
  std::optional<Time> superseded{};  // when the next newer one was made; none: the latest, or not known
};
struct VersionPage {
  std::vector<ListedVersion> versions;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_after;
  std::optional<std::uint64_t> next_after_version;
};
Result<VersionPage> list_versions(const storage::Index& index, const ListVersionsRequest& request);

// The uploads of a bucket that go on, by key and then the older first. A page begins behind `after` (and its
// `after_upload`, when there is one); common prefixes as above.
struct ListUploadsRequest {
  BucketId bucket{};
  std::string prefix{};
  std::string delimiter{};
  std::string after{};
  UploadId after_upload{};  // of the key `after`; 0: behind all of that key
  std::size_t max = 1000;
};
struct ListedUpload {
  std::string key;
  Upload upload;
};
struct UploadPage {
  std::vector<ListedUpload> uploads;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_after;
  UploadId next_after_upload{};
};
Result<UploadPage> list_uploads(const storage::Index& index, const ListUploadsRequest& request);

// The parts of an upload with numbers above `after`, in order.
struct ListedPart {
  std::uint32_t number = 0;
  Part part;
};
struct PartPage {
  std::vector<ListedPart> parts;
  bool truncated = false;
};
Result<PartPage> list_parts(const storage::Index& index, UploadId upload, std::uint32_t after,
                            std::size_t max);

// No object, no version and no delete marker.
Result<bool> bucket_is_empty(const storage::Index& index, BucketId bucket);

}  // namespace hr::object
