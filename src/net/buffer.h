// One flat receive buffer: bytes come in at its end and are used from its beginning. Owned by whatever reads
// a connection at that time; views into it end when room is made.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace hr::net {

class Buffer {
 public:
  static constexpr std::size_t kSmall = 4'096;

  std::string_view bytes() const { return {memory_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  std::size_t capacity() const { return capacity_; }

  void consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Room for more, at least one byte as long as size() < bytes_max. Moves what is there: views end here.
  std::span<char> room(std::size_t bytes_max) {
    if (end_ == capacity_) make_room(std::max(bytes_max, kSmall));
    return {memory_.get() + end_, capacity_ - end_};
  }
  // All room at once, for long bodies.
  void reserve(std::size_t bytes) {
    if (capacity_ < bytes) move_to(bytes);
  }
  void added(std::size_t n) { end_ += n; }
  // Without bytes in it, it holds no memory either until there is room to be made again.
  void give_back() {
    if (!empty()) return;
    memory_.reset();
    capacity_ = 0;
  }

 private:
  void make_room(std::size_t bytes_max) {
    if (begin_ != 0 && (begin_ >= capacity_ / 2 || capacity_ >= bytes_max)) {
      std::memmove(memory_.get(), memory_.get() + begin_, size());
      end_ -= begin_;
      begin_ = 0;
    } else if (capacity_ < bytes_max) {
      move_to(std::min(bytes_max, std::max(kSmall, capacity_ * 2)));
    }
  }
  void move_to(std::size_t capacity) {
    auto memory = std::make_unique_for_overwrite<char[]>(capacity);
    const std::size_t kept = size();
    if (kept != 0) std::memcpy(memory.get(), memory_.get() + begin_, kept);
    memory_ = std::move(memory);
    capacity_ = capacity;
    begin_ = 0;
    end_ = kept;
  }

  std::unique_ptr<char[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace hr::net
