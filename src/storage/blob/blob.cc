#include "storage/blob/blob.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace hr::storage {
namespace {

constexpr std::size_t kWriteBytes = 256U << 10;  // gathered before a write
constexpr std::size_t kHexDigits = 16;

std::string folder_path(unsigned folder) { return fmt::format("blob/{:02x}", folder); }

unsigned folder_of(const BlobName& name) { return static_cast<unsigned>(name.number % kBlobFolders); }

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class FileWriter final : public BlobWriter {
 public:
  FileWriter(os::Disk& disk, std::unique_ptr<os::File> file, const BlobName& name)
      : disk_(disk), file_(std::move(file)), name_(name) {}
  ~FileWriter() override {
    if (committed_) return;
    file_.reset();
    // If even this fails it is an orphan, as after a crash.
    static_cast<void>(disk_.remove(name_.path(), "blob.remove"));
  }

  Status append(ByteView data) override;
  Result<BlobName> commit() override;
  std::uint64_t bytes() const override { return written_ + buffer_.size(); }

 private:
  Status write(ByteView data);

  os::Disk& disk_;
  std::unique_ptr<os::File> file_;
  const BlobName name_;
  Bytes buffer_;
  std::uint64_t written_ = 0;
  bool committed_ = false;
};

Status FileWriter::append(ByteView data) {
  if (buffer_.empty() && data.size() >= kWriteBytes) return write(data);
  buffer_.append(data);
  if (buffer_.size() < kWriteBytes) return {};
  HR_TRY(write(buffer_));
  buffer_.clear();
  return {};
}

Status FileWriter::write(ByteView data) {
  HR_TRY(file_->write_at(written_, data, "blob.write"));
  written_ += data.size();
  return {};
}

Result<BlobName> FileWriter::commit() {
  if (!buffer_.empty()) HR_TRY(write(buffer_));
  buffer_ = {};
  HR_TRY(file_->sync("blob.sync"));
  HR_TRY(disk_.sync_dir(folder_path(folder_of(name_)), "blob.syncdir"));
  committed_ = true;
  file_.reset();
  return name_;
}

// Which names are pinned, by how many, and which of them are to go when they are no longer. Shared by the
// store and its pins, whichever ends last.
class Pins {
 public:
  void add(const std::vector<BlobName>& names) {
    const std::lock_guard lock(mutex_);
    for (const BlobName& name : names) ++pinned_[name].readers;
  }
  void drop(const std::vector<BlobName>& names) {
    const std::lock_guard lock(mutex_);
    for (const BlobName& name : names) {
      const auto at = pinned_.find(name);
      if (--at->second.readers > 0) continue;
      if (at->second.removed) due_.push_back(name);
      pinned_.erase(at);
    }
  }
  void hold() {
    const std::lock_guard lock(mutex_);
    ++holds_;
  }
  void end_hold() {
    const std::lock_guard lock(mutex_);
    if (--holds_ > 0) return;
    for (const BlobName& name : std::exchange(held_, {})) {
      const auto at = pinned_.find(name);
      if (at == pinned_.end()) {
        due_.push_back(name);
      } else {
        at->second.removed = true;
      }
    }
  }
  // True: it is pinned or held, and will be due later.
  bool note_removal(const BlobName& name) {
    const std::lock_guard lock(mutex_);
    if (holds_ > 0) {
      held_.push_back(name);
      return true;
    }
    const auto at = pinned_.find(name);
    if (at == pinned_.end()) return false;
    return at->second.removed = true;
  }
  std::vector<BlobName> take_due() {
    const std::lock_guard lock(mutex_);
    return std::exchange(due_, {});
  }

 private:
  struct Pinned {
    std::size_t readers = 0;
    bool removed = false;
  };
  std::mutex mutex_;
  std::map<BlobName, Pinned> pinned_;
  std::vector<BlobName> due_;
  std::size_t holds_ = 0;
  std::vector<BlobName> held_;  // removed meanwhile
};

class Files final : public BlobStore {
 public:
  Files(os::Disk& disk, std::uint64_t epoch) : disk_(disk), epoch_(epoch) {}

  Status make_folders();
  Result<std::unique_ptr<BlobWriter>> create() override;
  Result<std::unique_ptr<os::File>> open(const BlobName& name) const override;
  Status remove(const BlobName& name) override;
  std::shared_ptr<void> pin(std::vector<BlobName> names) override;
  std::shared_ptr<void> hold() override;
  BlobName next() const override { return {epoch_, next_.load(std::memory_order_relaxed)}; }
  Result<std::vector<BlobName>> list(unsigned folder) const override;

 private:
  Status remove_file(const BlobName& name);
  Status remove_due();

  os::Disk& disk_;
  const std::shared_ptr<Pins> pins_ = std::make_shared<Pins>();  // shared with the pins
  const std::uint64_t epoch_;
  std::atomic<std::uint64_t> next_ = 1;
};

// A folder that is there may be one whose making was not synced: all are synced again, once per start.
Status Files::make_folders() {
  HR_TRY(disk_.make_dir("blob", "blob.mkdir"));
  HR_TRY(disk_.sync_dir("", "blob.syncdir"));
  HR_ASSIGN(const auto entries, disk_.list("blob", "blob.list"));
  std::set<std::string> there;
  for (const os::DirEntry& entry : entries) there.insert("blob/" + entry.name);
  for (unsigned folder = 0; folder < kBlobFolders; ++folder) {
    if (!there.contains(folder_path(folder))) HR_TRY(disk_.make_dir(folder_path(folder), "blob.mkdir"));
  }
  return disk_.sync_dir("blob", "blob.syncdir");
}

Result<std::unique_ptr<BlobWriter>> Files::create() {
  HR_TRY(remove_due());
  const BlobName name{epoch_, next_.fetch_add(1, std::memory_order_relaxed)};
  HR_ASSIGN(auto file, disk_.open(name.path(), os::OpenMode::kCreate, "blob.create"));
  return std::make_unique<FileWriter>(disk_, std::move(file), name);
}

Result<std::unique_ptr<os::File>> Files::open(const BlobName& name) const {
  return disk_.open(name.path(), os::OpenMode::kRead, "blob.open");
}

Status Files::remove(const BlobName& name) {
  HR_TRY(remove_due());
  return pins_->note_removal(name) ? Status() : remove_file(name);
}

Status Files::remove_due() {
  for (const BlobName& name : pins_->take_due()) HR_TRY(remove_file(name));
  return {};
}

std::shared_ptr<void> Files::pin(std::vector<BlobName> names) {
  pins_->add(names);
  return {nullptr, [pins = pins_, names = std::move(names)](void*) { pins->drop(names); }};
}

std::shared_ptr<void> Files::hold() {
  pins_->hold();
  return {nullptr, [pins = pins_](void*) { pins->end_hold(); }};
}

Status Files::remove_file(const BlobName& name) {
  Status removed = disk_.remove(name.path(), "blob.remove");
  if (!removed && removed.error().code == Errc::kNotFound) return {};
  return removed;
}

Result<std::vector<BlobName>> Files::list(unsigned folder) const {
  HR_ASSIGN(const auto entries, disk_.list(folder_path(folder), "blob.list"));
  std::vector<BlobName> names;
  for (const os::DirEntry& entry : entries) {
    const auto name = entry.directory ? std::nullopt : parse_blob_name(entry.name);
    if (name && folder_of(*name) == folder) names.push_back(*name);
  }
  return names;
}

}  // namespace

std::string BlobName::path() const {
  return fmt::format("{}/{:016x}-{:016x}", folder_path(folder_of(*this)), epoch, number);
}

std::optional<BlobName> parse_blob_name(std::string_view name) {
  if (name.size() != 2 * kHexDigits + 1 || name[kHexDigits] != '-') return std::nullopt;
  const auto epoch = parse_hex(name.substr(0, kHexDigits));
  const auto number = parse_hex(name.substr(kHexDigits + 1));
  if (!epoch || !number) return std::nullopt;
  const BlobName parsed{*epoch, *number};
  if (!parsed.path().ends_with(name)) return std::nullopt;  // upper case: nothing we wrote
  return parsed;
}

Result<std::unique_ptr<BlobStore>> open_blobs(os::Disk& disk, std::uint64_t epoch) {
  auto files = std::make_unique<Files>(disk, epoch);
  HR_TRY(files->make_folders());
  return files;
}

}  // namespace hr::storage
