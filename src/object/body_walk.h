// Reads every stored body, one after the other in the order of the index, and compares it with the MD5 that
// its object, version or part has. Blocks, on any thread, one at a time. Changes nothing: what it finds is
// told. A body whose row has changed since it was read is nobody's damage.
#pragma once

#include "base/result.h"
#include "object/damage.h"
#include "storage/blob/blob.h"
#include "storage/index/index.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hr::object {

// The ETag of a body is its MD5; that of one of parts the MD5 of their MD5s (16 bytes each), and their
// number.
std::string etag_of(ByteView md5s, std::size_t parts);  // 0: it is no body of parts

// Behind which row of which table.
struct BodyPlace {
  storage::Table table = storage::Table::kObjects;
  Bytes after{};
  bool operator==(const BodyPlace&) const = default;
};

class BodyCheck;

class BodyWalk {
 public:
  // Of a body however small: its rows have to be read.
  static constexpr std::uint64_t kBodyCost = 4096;

  BodyWalk(const storage::Index& index, storage::BlobStore& blobs);
  ~BodyWalk();
  BodyWalk(const BodyWalk&) = delete;
  BodyWalk& operator=(const BodyWalk&) = delete;

  void start(BodyPlace from);

  struct Stretch {
    std::uint64_t cost = 0;    // bytes read, and kBodyCost for each body
    std::uint64_t bodies = 0;  // read to their end
    std::uint64_t bytes = 0;
    std::vector<Damage> damaged{};
    bool ended = false;  // nothing is left
    BodyPlace place{};   // everything up to here was read
  };
  // About as far as `budget` goes. An error: the index cannot be read there.
  Result<Stretch> go(std::uint64_t budget);

 private:
  struct Row {
    Bytes key, value;
  };
  Status fill_page();
  Status begin_body(Stretch& out);
  Status end_body(std::string wrong, Stretch& out);
  Result<std::string> bucket_name(std::uint64_t id);

  const storage::Index& index_;
  storage::BlobStore& blobs_;
  BodyPlace place_;
  std::vector<Row> page_;  // the next one last
  bool last_page_ = false;
  std::unique_ptr<BodyCheck> check_;
  std::map<std::uint64_t, std::string> buckets_;  // names, as far as they were needed
};

}  // namespace hr::object
