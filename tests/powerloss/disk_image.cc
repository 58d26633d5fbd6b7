#include "disk_image.h"

#include "sim/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

namespace hr::powerloss {
namespace {

bool is_zero(ByteView data) { return data.find_first_not_of('\0') == data.npos; }

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find_first_of(" \n"), line.size());
    if (end > 0) words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What happens to writes that no flush has covered. The extremes have their place: everything, nothing, and
// everything up to one torn write.
class Fate {
 public:
  Fate(std::uint64_t seed, std::size_t writes) : random_(seed), last_(random_.below(writes + 1)) {
    static constexpr Way kWays[] = {Way::kNone, Way::kAll, Way::kUpTo, Way::kSome, Way::kSectors};
    way_ = kWays[random_.below(std::size(kWays))];
    percent_ = static_cast<unsigned>(random_.between(5, 95));
  }

  // Whether the next sector of the next write is kept; `first`: it is the write's first.
  bool keeps(bool first) {
    if (first) {
      ++write_;
      keeps_write_ = random_.percent(percent_);
      torn_ = random_.percent(20);
    }
    switch (way_) {
      case Way::kNone:
        return false;
      case Way::kAll:
        return true;
      case Way::kUpTo:
        return write_ <= last_ || (write_ == last_ + 1 && random_.percent(percent_));
      case Way::kSome:
        return torn_ ? random_.percent(percent_) : keeps_write_;
      case Way::kSectors:
        return random_.percent(percent_);
    }
    return false;
  }

 private:
  enum class Way : std::uint8_t { kNone, kAll, kUpTo, kSome, kSectors };

  sim::Random random_;
  std::size_t last_;
  std::size_t write_ = 0;
  Way way_ = Way::kNone;
  unsigned percent_ = 0;
  bool keeps_write_ = false, torn_ = false;
};

}  // namespace

// --- pages ---

void Pages::read(std::uint64_t offset, std::span<char> out) const {
  while (!out.empty()) {
    const std::uint64_t in_page = offset % kPage;
    const std::size_t size = std::min<std::size_t>(out.size(), kPage - in_page);
    const auto page = pages_.find(offset / kPage);
    if (page == pages_.end()) {
      std::memset(out.data(), 0, size);
    } else {
      std::memcpy(out.data(), page->second->data() + in_page, size);
    }
    out = out.subspan(size);
    offset += size;
  }
}

void Pages::write(std::uint64_t offset, ByteView data) {
  while (!data.empty()) {
    const std::uint64_t in_page = offset % kPage;
    const ByteView part = data.substr(0, kPage - in_page);
    auto page = pages_.find(offset / kPage);
    if (page == pages_.end() && !is_zero(part)) {
      page = pages_.emplace(offset / kPage, std::make_unique<Page>()).first;
    }
    if (page != pages_.end()) std::memcpy(page->second->data() + in_page, part.data(), part.size());
    data.remove_prefix(part.size());
    offset += part.size();
  }
}

Pages Pages::copy() const {
  Pages copied;
  copied.pages_.reserve(pages_.size());
  for (const auto& [number, page] : pages_) copied.pages_.emplace(number, std::make_unique<Page>(*page));
  return copied;
}

// --- the disk ---

int DiskImage::next(Fault& fault) {
  if (fault.error == 0) return 0;
  if (fault.after > 0) {
    --fault.after;
    return 0;
  }
  return fault.error;
}

int DiskImage::write(std::uint64_t offset, ByteView data) {
  if (const int error = next(write_fault_); error != 0) return error;
  pages_.write(offset, data);
  if (recording_) events_.push_back({Kind::kWrite, offset, Bytes(data)});
  return 0;
}

int DiskImage::flush() {
  if (const int error = next(flush_fault_); error != 0) return error;
  if (recording_ && !lying_) events_.push_back({Kind::kFlush, 0, {}});
  return 0;
}

void DiskImage::note(ByteView text) {
  if (recording_) events_.push_back({Kind::kNote, 0, Bytes(text)});
}

void DiskImage::crash(std::uint64_t cut, std::uint64_t seed) {
  const auto end =
      events_.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(cut, events_.size()));
  const auto is = [](Kind kind) { return [kind](const Event& event) { return event.kind == kind; }; };
  const auto flushed = std::find_if(std::make_reverse_iterator(end), events_.rend(), is(Kind::kFlush)).base();
  pages_ = base_.copy();
  for (auto event = events_.begin(); event != flushed; ++event) {
    if (event->kind == Kind::kWrite) pages_.write(event->offset, event->data);
  }
  Fate fate(seed, static_cast<std::size_t>(std::count_if(flushed, end, is(Kind::kWrite))));
  for (auto event = flushed; event != end; ++event) {
    if (event->kind != Kind::kWrite) continue;
    const ByteView data = event->data;
    for (std::uint64_t at = 0; at < data.size(); at += kSector) {
      if (fate.keeps(at == 0)) pages_.write(event->offset + at, data.substr(at, kSector));
    }
  }
  recording_ = false;
}

Status DiskImage::set_fault(std::string_view operation, std::uint64_t error, std::uint64_t after) {
  if (operation != "write" && operation != "flush") return fail(Errc::kInvalid, "fail: write or flush");
  (operation == "write" ? write_fault_ : flush_fault_) = {static_cast<int>(error), after};
  return {};
}

Status DiskImage::command(std::string_view line) {
  const auto words = words_of(line);
  const auto number = [&](std::size_t at) { return at < words.size() ? number_of(words[at]) : std::nullopt; };
  const std::string_view verb = words.empty() ? "" : words[0];
  if (verb == "record" && words.size() == 1) {
    base_ = pages_.copy();
    events_.clear();
    recording_ = true;
  } else if (verb == "stop" && words.size() == 1) {
    recording_ = false;
  } else if (verb == "crash" && words.size() == 3 && number(1) && number(2)) {
    crash(*number(1), *number(2));
  } else if (verb == "fail" && words.size() == 4 && number(2) && number(3)) {
    return set_fault(words[1], *number(2), *number(3));
  } else if (verb == "delay" && words.size() == 2 && number(1)) {
    delay_ = std::chrono::milliseconds(*number(1));
  } else if (verb == "lie" && words.size() == 1) {
    lying_ = true;
  } else if (verb == "honest" && words.size() == 1) {
    lying_ = false;
    write_fault_ = flush_fault_ = {};
    delay_ = {};
  } else {
    return fail(Errc::kInvalid, fmt::format("unknown command: {}", line));
  }
  return {};
}

std::string DiskImage::journal() const {
  std::string text;
  std::uint64_t flushes = 0;
  for (std::size_t i = 0; i < events_.size(); ++i) {
    if (events_[i].kind == Kind::kFlush) ++flushes;
    if (events_[i].kind == Kind::kNote) text += fmt::format("{} {}\n", i, ByteView(events_[i].data));
  }
  return fmt::format("events {} flushes {}\n{}", events_.size(), flushes, text);
}

}  // namespace hr::powerloss
