#include "sim/inode.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hr::sim {

std::size_t Inode::read(std::uint64_t offset, std::span<char> out) const {
  if (offset >= size_) return 0;
  const std::size_t total = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset));
  for (std::size_t done = 0; done < total;) {
    const std::uint64_t at = offset + done;
    const std::size_t within = at % kChunkBytes;
    const std::size_t n = std::min(total - done, kChunkBytes - within);
    const std::size_t index = at / kChunkBytes;
    if (index < chunks_.size() && chunks_[index]) {
      std::memcpy(out.data() + done, chunks_[index]->data() + within, n);
    } else {
      std::memset(out.data() + done, 0, n);
    }
    done += n;
  }
  return total;
}

void Inode::store(std::uint64_t offset, ByteView data) {
  while (!data.empty()) {
    const std::size_t index = offset / kChunkBytes;
    const std::size_t within = offset % kChunkBytes;
    const std::size_t n = std::min(data.size(), kChunkBytes - within);
    if (index >= chunks_.size()) chunks_.resize(index + 1);
    if (!chunks_[index]) chunks_[index] = std::make_unique<Chunk>(Chunk{});
    std::memcpy(chunks_[index]->data() + within, data.data(), n);
    data.remove_prefix(n);
    offset += n;
  }
}

Inode::Sector Inode::load_sector(std::uint64_t sector) const {
  Sector out{};
  const std::size_t index = sector * kSectorBytes / kChunkBytes;
  if (index < chunks_.size() && chunks_[index]) {
    std::memcpy(out.data(), chunks_[index]->data() + sector * kSectorBytes % kChunkBytes, kSectorBytes);
  }
  return out;
}

void Inode::remember(std::uint64_t first_byte, std::uint64_t last_byte) {
  for (std::uint64_t s = first_byte / kSectorBytes; s <= last_byte / kSectorBytes; ++s) {
    unsynced_.push_back({s, ++turn_, load_sector(s)});
  }
}

void Inode::write(std::uint64_t offset, ByteView data) {
  if (data.empty()) return;
  remember(offset, offset + data.size() - 1);
  store(offset, data);
  if (offset + data.size() > size_) {
    sizes_.push_back(size_);
    size_ = offset + data.size();
  }
}

// What a shrinking file loses reads as zeros if it grows again.
void Inode::zero_from(std::uint64_t at) {
  const Bytes zeros(kSectorBytes, '\0');
  while (at < chunks_.size() * kChunkBytes) {
    if (!chunks_[at / kChunkBytes]) {
      at = (at / kChunkBytes + 1) * kChunkBytes;
      continue;
    }
    const std::uint64_t end = (at / kSectorBytes + 1) * kSectorBytes;
    remember(at, at);
    store(at, ByteView(zeros).substr(0, end - at));
    at = end;
  }
}

void Inode::resize(std::uint64_t bytes) {
  if (bytes == size_) return;
  sizes_.push_back(size_);
  if (bytes < size_) zero_from(bytes);
  size_ = bytes;
}

bool Inode::dirty(std::uint64_t sector) const {
  return std::ranges::any_of(unsynced_, [&](const Before& before) { return before.sector == sector; });
}

void Inode::sync() {
  std::erase_if(given_up_, [&](const Before& before) { return dirty(before.sector); });
  unsynced_.clear();
  sizes_.clear();
}

void Inode::sync_failed() {
  given_up_.insert(given_up_.end(), unsynced_.begin(), unsynced_.end());
  unsynced_.clear();
}

void Inode::damage(std::uint64_t offset, ByteView data) {
  store(offset, data);
  size_ = std::max<std::uint64_t>(size_, offset + data.size());
}

void Inode::cut_sectors(std::vector<const Before*> older, const CutOdds& odds, Random& random) {
  std::ranges::sort(older, {}, [](const Before* b) { return std::pair(b->sector, b->turn); });
  for (auto first = older.begin(); first != older.end();) {
    const std::uint64_t sector = (*first)->sector;
    const auto end = std::find_if(first, older.end(), [&](const Before* b) { return b->sector != sector; });
    const auto states = static_cast<std::uint64_t>(end - first);
    const auto pick = odds.keep == 0 ? 0 : random.below(states);
    const Sector& old = first[static_cast<std::ptrdiff_t>(pick)]->bytes;
    const Sector left = cut_sector(load_sector(sector), old, odds, random);
    store(sector * kSectorBytes, {left.data(), left.size()});
    first = end;
  }
}

Inode::Sector Inode::cut_sector(Sector newest, const Sector& older, const CutOdds& odds, Random& random) {
  if (random.percent(odds.garble)) {
    for (char& c : newest) c = static_cast<char>(random.u64());
    return newest;
  }
  if (random.percent(odds.half)) {
    const auto kept = static_cast<std::ptrdiff_t>(random.below(kSectorBytes));
    std::copy(older.begin() + kept, older.end(), newest.begin() + kept);
    return newest;
  }
  return random.percent(odds.keep) ? newest : older;
}

void Inode::drop_cache(Random& random) {
  std::vector<const Before*> older;
  for (const Before& before : given_up_) {
    if (!dirty(before.sector)) older.push_back(&before);
  }
  if (older.empty()) return;
  cut_sectors(std::move(older), CutOdds{.keep = random.percent(50) ? 0U : 50U}, random);
  std::erase_if(given_up_, [&](const Before& before) { return !dirty(before.sector); });
}

void Inode::cut(const CutOdds& odds, Random& random) {
  std::vector<const Before*> older;
  for (const Before& before : given_up_) older.push_back(&before);
  for (const Before& before : unsynced_) older.push_back(&before);
  cut_sectors(std::move(older), odds, random);
  if (!sizes_.empty() && !random.percent(odds.keep)) {
    size_ = sizes_[odds.keep == 0 ? 0 : random.below(sizes_.size())];
  }
  zero_from(size_);
  sizes_.clear();
  unsynced_.clear();
  given_up_.clear();
}

}  // namespace hr::sim
