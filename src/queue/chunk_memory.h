// Memory for pieces of one size, all of it zero when it is handed out. The first few come from the heap, the
// others from regions that the kernel may back with one huge page each: millions of messages are then there
// after some hundred page faults. A piece that is given back leaves no page behind, a region without pieces
// is gone. Owned by a slab; no memory ends the program, as everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

namespace hr::queue {

class ChunkMemory {
 public:
  explicit ChunkMemory(std::size_t bytes);  // of a piece: at most kRegionBytes / 2
  ~ChunkMemory();
  ChunkMemory(const ChunkMemory&) = delete;
  ChunkMemory& operator=(const ChunkMemory&) = delete;

  void* take();
  void give_back(void* piece);
  std::size_t regions() const { return regions_.size(); }

  static constexpr std::size_t kRegionBytes = 2U << 20;
  static constexpr std::size_t kOnHeap = 16;

 private:
  using Free = std::uint32_t;  // a bit for each piece

  void* take_of_region();

  const std::size_t bytes_;
  const Free all_free_;
  std::set<void*> heap_;
  std::map<std::byte*, Free, std::less<>> regions_;
  std::set<std::byte*> roomy_;  // regions with a free piece
};

}  // namespace hr::queue
