// The index as ordered maps in memory, with the crash semantics of the real one: what was not flushed is gone
// after crash(). For simulation, and where nothing has to outlive the process.
#pragma once

#include "storage/index/index.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace hr::storage {

class MemoryIndex final : public Index {
 public:
  MemoryIndex();
  ~MemoryIndex() override;

  Result<std::optional<Bytes>> get(Table table, ByteView key, Patience patience) const override;
  std::unique_ptr<Cursor> cursor(Table table) const override;
  std::vector<std::unique_ptr<Cursor>> cursors(std::span<const Table> tables) const override;
  Status apply(const std::vector<IndexChange>& changes, Lsn upto) override;
  Status flush() override;
  Lsn applied() const override;
  Lsn durable() const override;

  // Back to what the last flush() left. No reader may be at work.
  void crash();
  // From now on a read with Patience::kMemory is kBusy, as if nothing were cached.
  void set_cold(bool cold);

  using Map = std::map<Bytes, Bytes, std::less<>>;

 private:
  struct Undo {
    Table table;
    Bytes key;
    std::optional<Bytes> value;
  };

  Map& writable(Table table);  // a copy if a cursor still reads this one
  std::optional<Bytes> set(Table table, const Bytes& key, std::optional<Bytes> value);  // the value before

  mutable std::mutex mutex_;
  // Shared with cursors: each reads the map as it was when it was made.
  std::array<std::shared_ptr<Map>, kTables> tables_;
  std::vector<Undo> undo_;  // since the last flush, in order
  Lsn applied_ = 0;
  Lsn durable_ = 0;
  bool cold_ = false;
};

}  // namespace hr::storage
