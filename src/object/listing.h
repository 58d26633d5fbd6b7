// Listing keys of one bucket: prefix, delimiter, start and page size over a cursor. A common prefix is
// skipped by one seek, so a page costs its own entries however many keys hide behind a delimiter.
#pragma once

#include "base/result.h"
#include "object/object.h"
#include "storage/index/index.h"

#include <cstddef>
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
  Object object;
};

struct ListPage {
  std::vector<ListedObject> objects;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_after;  // pass as `after` for the next page
};

Result<ListPage> list_objects(const storage::Index& index, const ListRequest& request);
Result<bool> bucket_is_empty(const storage::Index& index, BucketId bucket);

}  // namespace hr::object
