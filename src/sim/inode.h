// The contents of one simulated file: what a reader sees now, and for every 512-byte sector written since the
// last sync what it held before each write, so that a power cut can leave any of those behind.
#pragma once

#include "base/bytes.h"
#include "sim/random.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace hr::sim {

inline constexpr std::size_t kSectorBytes = 512;

// How a power cut treats what was not synced, in percent per sector.
struct CutOdds {
  unsigned keep = 50;   // the newest; otherwise one of the older states. 0: always the durable one
  unsigned garble = 0;  // random bytes instead
  unsigned half = 0;    // the first bytes of the newest and the rest of an older one: a sector torn inside
};

class Inode {
 public:
  std::uint64_t size() const { return size_; }
  std::size_t read(std::uint64_t offset, std::span<char> out) const;
  void write(std::uint64_t offset, ByteView data);
  void resize(std::uint64_t bytes);
  void sync();
  // The kernel marks the pages clean: readers see them, later syncs do not write them.
  void sync_failed();
  // What a failed sync left behind in the cache is gone: the device never got it, or only parts.
  void drop_cache(Random& random);
  void cut(const CutOdds& odds, Random& random);
  // Changes what is stored, as rot does: durable at once.
  void damage(std::uint64_t offset, ByteView data);
  bool clean() const { return unsynced_.empty() && given_up_.empty() && sizes_.empty(); }

 private:
  static constexpr std::size_t kChunkBytes = 4096;
  using Chunk = std::array<char, kChunkBytes>;
  using Sector = std::array<char, kSectorBytes>;
  struct Before {
    std::uint64_t sector = 0;
    std::uint64_t turn = 0;  // the order of writes
    Sector bytes{};
  };

  bool dirty(std::uint64_t sector) const;
  void remember(std::uint64_t first_byte, std::uint64_t last_byte);
  void store(std::uint64_t offset, ByteView data);
  Sector load_sector(std::uint64_t sector) const;
  void zero_from(std::uint64_t at);
  void cut_sectors(std::vector<const Before*> older, const CutOdds& odds, Random& random);
  static Sector cut_sector(Sector newest, const Sector& older, const CutOdds& odds, Random& random);

  std::vector<std::unique_ptr<Chunk>> chunks_;  // null: zeros
  std::uint64_t size_ = 0;
  std::uint64_t turn_ = 0;
  std::vector<std::uint64_t> sizes_;  // before each unsynced change of size
  std::vector<Before> unsynced_;      // in write order
  std::vector<Before> given_up_;      // dirty when a sync failed; cured by writing the sector again
};

}  // namespace hr::sim
