// The index as a batch of changes in the making leaves it: reads see the batch first. Owned by the applier;
// one thread at a time.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "storage/index/index.h"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace hr::object {

class Batch {
 public:
  explicit Batch(const storage::Index& index) : index_(index) {}

  Result<std::optional<Bytes>> get(storage::Table table, const Bytes& key) const;
  // Every row whose key begins with `prefix`, in order, until `row` says false.
  Status each(storage::Table table, const Bytes& prefix,
              const std::function<Result<bool>(const Bytes& key, const Bytes& value)>& row) const;

  void set(storage::Table table, Bytes key, std::optional<Bytes> value);  // none: erase
  std::vector<storage::IndexChange> take();                               // and begins anew

 private:
  const storage::Index& index_;
  std::map<std::pair<storage::Table, Bytes>, std::optional<Bytes>> changes_;
};

}  // namespace hr::object
