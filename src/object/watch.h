// Who watches which key: one node a key, shared by its watches, taken out of the table when the key moves or
// the last of them goes. A change costs one look-up, and none while nobody watches.
#pragma once

#include "base/bytes.h"
#include "object/engine.h"

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

namespace hr::object {

struct BytesHash {
  using is_transparent = void;
  std::size_t operator()(ByteView bytes) const { return std::hash<ByteView>{}(bytes); }
};

class WatchTable {
 public:
  Watch watch(ByteView key);
  void moved(ByteView key);
  std::size_t size() const { return nodes_.size(); }

 private:
  friend class Watch;
  std::unordered_map<Bytes, std::shared_ptr<Watch::Node>, BytesHash, std::equal_to<>> nodes_;
};

struct Watch::Node {
  WatchTable* table = nullptr;  // null: moved
  Bytes key;
};

}  // namespace hr::object
