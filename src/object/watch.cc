#include "object/watch.h"

#include <utility>

namespace hr::object {

Watch& Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    leave();
    node_ = std::move(other.node_);
  }
  return *this;
}

Watch::~Watch() { leave(); }

bool Watch::moved() const { return !node_ || node_->table == nullptr; }

// The table holds one of the references to a node that has not moved.
void Watch::leave() {
  const std::shared_ptr<Node> node = std::exchange(node_, nullptr);
  if (node && node->table != nullptr && node.use_count() == 2) node->table->nodes_.erase(node->key);
}

Watch WatchTable::watch(ByteView key) {
  auto found = nodes_.find(key);
  if (found == nodes_.end()) {
    auto node = std::make_shared<Watch::Node>(this, Bytes(key));
    found = nodes_.emplace(node->key, node).first;
  }
  return Watch(found->second);
}

void WatchTable::moved(ByteView key) {
  if (nodes_.empty()) return;
  const auto found = nodes_.find(key);
  if (found == nodes_.end()) return;
  found->second->table = nullptr;
  nodes_.erase(found);
}

}  // namespace hr::object
