#include "log_taps.h"

#include <algorithm>

namespace hr::sim {
namespace {

using os::Label;

// Shared by a disk and its files; they end in any order.
struct State {
  Taps taps;
  std::uint64_t turn = 0;

  bool skips(Label label) {
    if (std::ranges::find(taps.skipped, label) != taps.skipped.end()) return true;
    return label == taps.skipped_but_fifth && ++turn % 5 != 0;
  }
};

class TappedFile final : public os::File {
 public:
  TappedFile(std::unique_ptr<os::File> below, std::shared_ptr<State> state)
      : below_(std::move(below)), state_(std::move(state)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out, Label label) override {
    return below_->read_at(offset, out, label);
  }
  Status write_at(std::uint64_t offset, ByteView data, Label label) override {
    if (state_->skips(label)) return {};
    if (label == "log.write") {
      last_offset_ = offset;
      last_bytes_ = data.size();
    }
    return below_->write_at(offset, data, label);
  }
  Status sync(Label label) override {
    if (state_->skips(label)) return {};
    if (label == state_->taps.last_write_lost_on && last_bytes_ > 0) {
      HR_TRY(below_->write_at(last_offset_, Bytes(last_bytes_, '\0'), "log.write"));
    }
    Status done = below_->sync(label);
    return done || label != state_->taps.retried ? done : below_->sync(label);
  }
  Status allocate(std::uint64_t bytes, Label label) override { return below_->allocate(bytes, label); }
  Status truncate(std::uint64_t bytes, Label label) override { return below_->truncate(bytes, label); }
  Result<std::uint64_t> size(Label label) override { return below_->size(label); }
  Status drop_cache(Label label) override {
    return state_->skips(label) ? Status() : below_->drop_cache(label);
  }
  int native_handle() const override { return -1; }

 private:
  const std::unique_ptr<os::File> below_;
  const std::shared_ptr<State> state_;
  std::uint64_t last_offset_ = 0;
  std::size_t last_bytes_ = 0;
};

class TappedDisk final : public os::Disk {
 public:
  TappedDisk(os::Disk& below, Taps taps)
      : below_(below), state_(std::make_shared<State>(State{.taps = std::move(taps)})) {}

  Result<std::unique_ptr<os::File>> open(std::string_view path, os::OpenMode mode, Label label) override {
    HR_ASSIGN(std::unique_ptr<os::File> file, below_.open(path, mode, label));
    return std::make_unique<TappedFile>(std::move(file), state_);
  }
  Status rename(std::string_view from, std::string_view to, Label label) override {
    return below_.rename(from, to, label);
  }
  Status remove(std::string_view path, Label label) override { return below_.remove(path, label); }
  Status make_dir(std::string_view path, Label label) override { return below_.make_dir(path, label); }
  Result<std::vector<os::DirEntry>> list(std::string_view dir, Label label) override {
    return below_.list(dir, label);
  }
  Status sync_dir(std::string_view dir, Label label) override {
    return state_->skips(label) ? Status() : below_.sync_dir(dir, label);
  }
  Result<os::Space> space(Label label) override { return below_.space(label); }
  Result<std::unique_ptr<os::DirLock>> lock(Label label) override { return below_.lock(label); }

 private:
  os::Disk& below_;
  const std::shared_ptr<State> state_;
};

}  // namespace

std::unique_ptr<os::Disk> tapped(os::Disk& below, const Taps& taps) {
  return std::make_unique<TappedDisk>(below, taps);
}

}  // namespace hr::sim
