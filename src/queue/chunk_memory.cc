#include "queue/chunk_memory.h"

#include "base/check.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace hr::queue {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t rounded_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

std::byte* map_region(std::size_t bytes) {
  const std::size_t wide = 2 * bytes;  // one that is aligned fits in it
  void* const all = ::mmap(nullptr, wide, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(all);
  const auto past = reinterpret_cast<std::uintptr_t>(begin) % bytes;
  std::byte* const region = begin + (past == 0 ? 0 : bytes - past);
  if (region != begin) ::munmap(begin, static_cast<std::size_t>(region - begin));
  std::byte* const end = region + bytes;
  if (end != begin + wide) ::munmap(end, static_cast<std::size_t>(begin + wide - end));
  ::madvise(region, bytes, MADV_HUGEPAGE);  // a wish: small pages do as well
  return region;
}

// Whole pages go back to the system, what is beside them is written.
void make_zero(std::byte* from, std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto past = reinterpret_cast<std::uintptr_t>(from) % page;
  const std::size_t head = past == 0 ? 0 : page - past;
  const std::size_t whole = bytes > head ? (bytes - head) / page * page : 0;
  if (whole == 0 || ::madvise(from + head, whole, MADV_DONTNEED) != 0) {
    std::memset(from, 0, bytes);
    return;
  }
  std::memset(from, 0, head);
  std::memset(from + head + whole, 0, bytes - head - whole);
}

}  // namespace

ChunkMemory::ChunkMemory(std::size_t bytes)
    : bytes_(rounded_up(bytes, kAlignment)), all_free_((Free{1} << (kRegionBytes / bytes_)) - 1) {
  HR_CHECK(kRegionBytes / bytes_ >= 2 && kRegionBytes / bytes_ < 32);
}

ChunkMemory::~ChunkMemory() {
  for (void* piece : heap_) std::free(piece);
  for (const auto& [region, free] : regions_) ::munmap(region, kRegionBytes);
}

void* ChunkMemory::take() {
  if (heap_.size() >= kOnHeap) return take_of_region();
  void* const piece = std::calloc(1, bytes_);
  if (piece == nullptr) throw std::bad_alloc();
  heap_.insert(piece);
  return piece;
}

void* ChunkMemory::take_of_region() {
  if (roomy_.empty()) {
    std::byte* const region = map_region(kRegionBytes);
    regions_.emplace(region, all_free_);
    roomy_.insert(region);
  }
  std::byte* const region = *roomy_.begin();
  Free& free = regions_.at(region);
  const auto number = static_cast<std::size_t>(std::countr_zero(free));
  free &= free - 1;
  if (free == 0) roomy_.erase(region);
  return region + number * bytes_;
}

void ChunkMemory::give_back(void* piece) {
  if (heap_.erase(piece) > 0) return std::free(piece);
  auto* const at = static_cast<std::byte*>(piece);
  const auto found = std::prev(regions_.upper_bound(at));
  const auto offset = static_cast<std::size_t>(at - found->first);
  found->second |= Free{1} << (offset / bytes_);
  roomy_.insert(found->first);
  if (found->second != all_free_) return make_zero(at, bytes_);
  roomy_.erase(found->first);
  ::munmap(found->first, kRegionBytes);
  regions_.erase(found);
}

}  // namespace hr::queue
