// A disk in memory that remembers the order of its writes, its flushes and of notes about them, and can
// become what a power cut at any point of that order may have left: all that was flushed before, and of the
// rest any subset, torn between sectors. Also the faults that a disk has. Not thread-safe.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hr::powerloss {

inline constexpr std::uint64_t kSector = 512;

// Bytes by page; what was never written is zero.
class Pages {
 public:
  void read(std::uint64_t offset, std::span<char> out) const;
  void write(std::uint64_t offset, ByteView data);
  Pages copy() const;

 private:
  static constexpr std::uint64_t kPage = 4096;
  using Page = std::array<char, kPage>;
  std::unordered_map<std::uint64_t, std::unique_ptr<Page>> pages_;
};

class DiskImage {
 public:
  explicit DiskImage(std::uint64_t bytes) : bytes_(bytes) {}

  std::uint64_t bytes() const { return bytes_; }
  void read(std::uint64_t offset, std::span<char> out) const { pages_.read(offset, out); }
  // An errno, or 0.
  int write(std::uint64_t offset, ByteView data);
  int flush();
  // Something that happened elsewhere between two writes: an acknowledgement.
  void note(ByteView text);
  // How long a flush takes.
  Duration delay() const { return delay_; }

  // One line: "record", "stop", "crash CUT SEED", "fail write|flush ERRNO AFTER", "delay MS", "lie",
  // "honest".
  Status command(std::string_view line);
  // "events N flushes N", then "INDEX TEXT" for each note.
  std::string journal() const;

 private:
  enum class Kind : std::uint8_t { kWrite, kFlush, kNote };
  struct Event {
    Kind kind;
    std::uint64_t offset = 0;
    Bytes data;
  };
  struct Fault {
    int error = 0;  // none
    std::uint64_t after = 0;
  };

  static int next(Fault& fault);
  void crash(std::uint64_t cut, std::uint64_t seed);
  Status set_fault(std::string_view operation, std::uint64_t error, std::uint64_t after);

  const std::uint64_t bytes_;
  Pages pages_;
  Pages base_;  // where the journal begins
  std::vector<Event> events_;
  bool recording_ = false;
  bool lying_ = false;  // says that it has flushed
  Fault write_fault_, flush_fault_;
  Duration delay_{};
};

}  // namespace hr::powerloss
