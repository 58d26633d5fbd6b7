// An index that passes everything on to another, which it does not own: what a world lends to a store, and
// what planted bugs override a part of.
#pragma once

#include "storage/index/index.h"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace hr::sim {

class IndexAround : public storage::Index {
 public:
  explicit IndexAround(storage::Index& index) : index_(index) {}
  Result<std::optional<Bytes>> get(storage::Table table, ByteView key,
                                   storage::Patience patience) const override {
    return index_.get(table, key, patience);
  }
  std::unique_ptr<storage::Cursor> cursor(storage::Table table) const override {
    return index_.cursor(table);
  }
  std::vector<std::unique_ptr<storage::Cursor>> cursors(
      std::span<const storage::Table> tables) const override {
    return index_.cursors(tables);
  }
  Status apply(const std::vector<storage::IndexChange>& changes, storage::Lsn upto) override {
    return index_.apply(changes, upto);
  }
  Status flush() override { return index_.flush(); }
  storage::Lsn applied() const override { return index_.applied(); }
  storage::Lsn durable() const override { return index_.durable(); }

 protected:
  storage::Index& index_;
};

}  // namespace hr::sim
