#include "storage/index/memory_index.h"

#include "base/check.h"

#include <utility>

namespace hr::storage {
namespace {

class MapCursor final : public Cursor {
 public:
  MapCursor(std::shared_ptr<const MemoryIndex::Map> map, std::mutex& mutex)
      : map_(std::move(map)), mutex_(mutex), at_(map_->end()) {}
  ~MapCursor() override {
    const std::lock_guard lock(mutex_);  // the writer looks at the count under it
    map_.reset();
  }

  Status seek(ByteView key) override {
    at_ = map_->lower_bound(key);
    return {};
  }
  Status next() override {
    HR_CHECK(valid());
    ++at_;
    return {};
  }
  bool valid() const override { return at_ != map_->end(); }
  ByteView key() const override { return at_->first; }
  ByteView value() const override { return at_->second; }

 private:
  std::shared_ptr<const MemoryIndex::Map> map_;
  std::mutex& mutex_;
  MemoryIndex::Map::const_iterator at_;
};

}  // namespace

MemoryIndex::MemoryIndex() {
  for (auto& table : tables_) table = std::make_shared<Map>();
}

MemoryIndex::~MemoryIndex() = default;

Result<std::optional<Bytes>> MemoryIndex::get(Table table, ByteView key, Patience patience) const {
  const std::lock_guard lock(mutex_);
  if (cold_ && patience == Patience::kMemory) return fail(Errc::kBusy, "the value is not in memory");
  const Map& map = *tables_[std::to_underlying(table)];
  const auto found = map.find(key);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

std::unique_ptr<Cursor> MemoryIndex::cursor(Table table) const {
  const std::lock_guard lock(mutex_);
  return std::make_unique<MapCursor>(tables_[std::to_underlying(table)], mutex_);
}

std::vector<std::unique_ptr<Cursor>> MemoryIndex::cursors(std::span<const Table> tables) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::unique_ptr<Cursor>> out;
  for (const Table table : tables) {
    out.push_back(std::make_unique<MapCursor>(tables_[std::to_underlying(table)], mutex_));
  }
  return out;
}

Status MemoryIndex::apply(const std::vector<IndexChange>& changes, Lsn upto) {
  const std::lock_guard lock(mutex_);
  HR_CHECK(upto >= applied_);
  for (const IndexChange& change : changes) {
    undo_.push_back({change.table, change.key, set(change.table, change.key, change.value)});
  }
  applied_ = upto;
  return {};
}

Status MemoryIndex::flush() {
  const std::lock_guard lock(mutex_);
  undo_.clear();
  durable_ = applied_;
  return {};
}

Lsn MemoryIndex::applied() const {
  const std::lock_guard lock(mutex_);
  return applied_;
}

Lsn MemoryIndex::durable() const {
  const std::lock_guard lock(mutex_);
  return durable_;
}

void MemoryIndex::crash() {
  const std::lock_guard lock(mutex_);
  while (!undo_.empty()) {
    Undo last = std::move(undo_.back());
    undo_.pop_back();
    set(last.table, last.key, std::move(last.value));
  }
  applied_ = durable_;
}

void MemoryIndex::set_cold(bool cold) {
  const std::lock_guard lock(mutex_);
  cold_ = cold;
}

MemoryIndex::Map& MemoryIndex::writable(Table table) {
  std::shared_ptr<Map>& map = tables_[std::to_underlying(table)];
  if (map.use_count() > 1) map = std::make_shared<Map>(*map);
  return *map;
}

std::optional<Bytes> MemoryIndex::set(Table table, const Bytes& key, std::optional<Bytes> value) {
  Map& map = writable(table);
  const auto found = map.lower_bound(key);
  const bool there = found != map.end() && found->first == key;
  std::optional<Bytes> before;
  if (there) before = std::move(found->second);
  if (value && there) {
    found->second = *std::move(value);
  } else if (value) {
    map.emplace_hint(found, key, *std::move(value));
  } else if (there) {
    map.erase(found);
  }
  return before;
}

std::unique_ptr<Index> make_memory_index() { return std::make_unique<MemoryIndex>(); }

}  // namespace hr::storage
