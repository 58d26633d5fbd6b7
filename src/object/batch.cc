#include "object/batch.h"

namespace hr::object {

using storage::Table;

Result<std::optional<Bytes>> Batch::get(Table table, const Bytes& key) const {
  if (const auto found = changes_.find({table, key}); found != changes_.end()) return found->second;
  return index_.get(table, key, storage::Patience::kAny);
}

Status Batch::each(Table table, const Bytes& prefix,
                   const std::function<Result<bool>(const Bytes& key, const Bytes& value)>& row) const {
  const auto cursor = index_.cursor(table);
  HR_TRY(cursor->seek(prefix));
  auto changed = changes_.lower_bound({table, prefix});
  const auto in_changes = [&] {
    return changed != changes_.end() && changed->first.first == table &&
           changed->first.second.starts_with(prefix);
  };
  const auto in_index = [&] { return cursor->valid() && cursor->key().starts_with(prefix); };
  while (in_changes() || in_index()) {
    const bool from_changes = in_changes() && (!in_index() || changed->first.second <= cursor->key());
    if (!from_changes) {
      HR_ASSIGN(const bool on, row(Bytes(cursor->key()), Bytes(cursor->value())));
      if (!on) return {};
      HR_TRY(cursor->next());
      continue;
    }
    const auto& [key, value] = *changed++;
    if (in_index() && cursor->key() == key.second) HR_TRY(cursor->next());
    if (!value) continue;
    HR_ASSIGN(const bool on, row(key.second, *value));
    if (!on) return {};
  }
  return {};
}

void Batch::set(Table table, Bytes key, std::optional<Bytes> value) {
  changes_.insert_or_assign({table, std::move(key)}, std::move(value));
}

std::vector<storage::IndexChange> Batch::take() {
  std::vector<storage::IndexChange> out;
  out.reserve(changes_.size());
  while (!changes_.empty()) {
    auto node = changes_.extract(changes_.begin());
    out.push_back({node.key().first, std::move(node.key().second), std::move(node.mapped())});
  }
  return out;
}

}  // namespace hr::object
