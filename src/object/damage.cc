#include "object/damage.h"

#include <fmt/format.h>

#include <utility>

namespace hr::object {
namespace {

std::string id_of(const Damage& damage) {
  std::string id = fmt::format("{}\n{}\n{}\n", damage.bucket, damage.key, damage.version);
  return id += damage.files.empty() ? damage.body_key : damage.files.front().path();
}

}  // namespace

std::string name_of(const Damage& damage) {
  if (damage.bucket.empty()) return damage.key;
  const std::string of = fmt::format("object \"{}\" of bucket {}", damage.key, damage.bucket);
  return damage.version.empty() ? of : fmt::format("version {} of {}", damage.version, of);
}

bool DamageList::add(Damage damage) {
  std::string id = id_of(damage);
  if (const auto known = entries_.find(id); known != entries_.end()) {
    known->second.reason = std::move(damage.reason);
    known->second.pass = damage.pass;
    return false;
  }
  if (entries_.size() >= kMax) return false;
  index(damage);
  entries_.emplace(std::move(id), std::move(damage));
  return true;
}

void DamageList::index(const Damage& damage) {
  files_.insert(damage.files.begin(), damage.files.end());
  if (damage.files.empty()) bodies_.insert(damage.body_key);
}

void DamageList::keep(std::uint64_t pass) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.pass < pass; });
  files_.clear();
  bodies_.clear();
  for (const auto& [id, damage] : entries_) index(damage);
}

std::vector<Damage> DamageList::all() const {
  std::vector<Damage> out;
  out.reserve(entries_.size());
  for (const auto& [id, damage] : entries_) out.push_back(damage);
  return out;
}

}  // namespace hr::object
