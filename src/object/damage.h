// Which stored bodies are known to be damaged: found by the scrub or by a read, each with its object and its
// files. A value on one thread; bounded. Nothing here is ever a reason to delete anything.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "storage/blob/blob.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hr::object {

struct Damage {
  std::string bucket{};                    // its name; empty: of an upload's part
  std::string key{};                       // of the object
  std::string version{};                   // its id; empty: it has none of its own
  Bytes body_key{};                        // of a body in the index (Table::kBodies), when there are no files
  std::vector<storage::BlobName> files{};  // of which one is damaged; of many it may be unknown which
  std::string reason{};
  Time found{};
  std::uint64_t pass = 0;  // of the scrub, that saw it last
  bool operator==(const Damage&) const = default;
};

// For people: 'object "k" of bucket b'.
std::string name_of(const Damage& damage);

class DamageList {
 public:
  static constexpr std::size_t kMax = 100'000;

  // False: it was known (its reason and pass are renewed), or there is no room.
  bool add(Damage damage);
  // Forgets what `pass` has not seen: it is gone, or whole again.
  void keep(std::uint64_t pass);

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  std::vector<Damage> all() const;  // in order of bucket and key

  bool has(const storage::BlobName& file) const { return files_.contains(file); }
  bool has_body(ByteView body_key) const { return !empty() && bodies_.contains(body_key); }

 private:
  void index(const Damage& damage);

  std::map<std::string, Damage> entries_;  // by bucket, key, version and first file
  std::set<storage::BlobName> files_;
  std::set<Bytes, std::less<>> bodies_;
};

}  // namespace hr::object
