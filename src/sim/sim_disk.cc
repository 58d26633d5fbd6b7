#include "sim/sim_disk.h"

#include "os/path.h"
#include "sim/sim_core.h"

#include <fmt/format.h>

#include <bit>

namespace hr::sim {
namespace {

using Core = SimDisk::Core;

class SimFile final : public os::File {
 public:
  SimFile(std::shared_ptr<Core> core, Core::InodePtr inode, std::string path, bool writable)
      : core_(std::move(core)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable),
        generation_(core_->generation) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out, os::Label label) override;
  Status write_at(std::uint64_t offset, ByteView data, os::Label label) override;
  Status sync(os::Label label) override;
  Status allocate(std::uint64_t bytes, os::Label label) override { return set_size(bytes, false, label); }
  Status truncate(std::uint64_t bytes, os::Label label) override { return set_size(bytes, true, label); }
  Result<std::uint64_t> size(os::Label label) override;
  Status drop_cache(os::Label label) override;
  int native_handle() const override { return -1; }

 private:
  Result<std::optional<Fault>> begin(os::Label label, bool writes);
  Status set_size(std::uint64_t bytes, bool may_shrink, os::Label label);

  const std::shared_ptr<Core> core_;
  const Core::InodePtr inode_;
  const std::string path_;
  const bool writable_;
  const std::uint64_t generation_;
};

// Called with the core's mutex held, like everything it calls.
Result<std::optional<Fault>> SimFile::begin(os::Label label, bool writes) {
  if (generation_ != core_->generation) {
    return fail(Errc::kClosed, fmt::format("{} of {} failed: opened before the restart", label, path_));
  }
  if (writes && !writable_) {
    return fail(Errc::kIo, fmt::format("{} of {} failed: Bad file descriptor", label, path_));
  }
  return core_->begin(label, path_);
}

Result<std::size_t> SimFile::read_at(std::uint64_t offset, std::span<char> out, os::Label label) {
  const std::lock_guard lock(core_->mutex);
  HR_ASSIGN(const std::optional<Fault> fault, begin(label, false));
  const std::size_t n = inode_->read(offset, out);
  if (fault == Fault::kBitFlip && n > 0) {
    char& byte = out[core_->random().below(n)];
    byte = static_cast<char>(byte ^ (1 << core_->random().below(8)));
  }
  return n;
}

Status SimFile::write_at(std::uint64_t offset, ByteView data, os::Label label) {
  const std::lock_guard lock(core_->mutex);
  HR_ASSIGN(const std::optional<Fault> fault, begin(label, true));
  if (offset + data.size() > inode_->size()) {
    if (Status space = core_->reserve(offset + data.size() - inode_->size()); !space) {
      return std::unexpected(std::move(space).error().in(fmt::format("{} of {} failed", label, path_)));
    }
  }
  if (fault == Fault::kShortWrite) {
    inode_->write(offset, data.substr(0, data.size() / 2));
    return fail(Errc::kIo, fmt::format("{} of {} failed half way: Input/output error", label, path_));
  }
  inode_->write(offset, data);
  return {};
}

Status SimFile::sync(os::Label label) {
  const std::lock_guard lock(core_->mutex);
  auto begun = begin(label, false);
  if (!begun) {
    if (begun.error().code != Errc::kClosed) inode_->sync_failed();
    return std::unexpected(std::move(begun).error());
  }
  inode_->sync();
  return {};
}

Status SimFile::set_size(std::uint64_t bytes, bool may_shrink, os::Label label) {
  const std::lock_guard lock(core_->mutex);
  HR_TRY(begin(label, true));
  if (bytes > inode_->size()) {
    if (Status space = core_->reserve(bytes - inode_->size()); !space) {
      return std::unexpected(std::move(space).error().in(fmt::format("{} of {} failed", label, path_)));
    }
  }
  if (may_shrink || bytes > inode_->size()) inode_->resize(bytes);
  return {};
}

Result<std::uint64_t> SimFile::size(os::Label label) {
  const std::lock_guard lock(core_->mutex);
  HR_TRY(begin(label, false));
  return inode_->size();
}

Status SimFile::drop_cache(os::Label label) {
  const std::lock_guard lock(core_->mutex);
  HR_TRY(begin(label, false));
  inode_->drop_cache(core_->random());
  return {};
}

class SimLock final : public os::DirLock {
 public:
  explicit SimLock(std::shared_ptr<Core> core) : core_(std::move(core)), generation_(core_->generation) {}
  ~SimLock() override {
    const std::lock_guard lock(core_->mutex);
    if (core_->generation == generation_) core_->locked = false;
  }

 private:
  const std::shared_ptr<Core> core_;
  const std::uint64_t generation_;
};

}  // namespace

SimDisk::SimDisk(Options options) : core_(std::make_shared<Core>(options)) {}
SimDisk::~SimDisk() = default;

Result<std::unique_ptr<os::File>> SimDisk::open(std::string_view path, os::OpenMode mode, os::Label label) {
  HR_TRY(os::check_file_path(path));
  const std::lock_guard lock(core_->mutex);
  HR_TRY(core_->begin(label, path));
  if (mode == os::OpenMode::kCreate) HR_TRY(core_->add(path, std::make_shared<Inode>()));
  HR_ASSIGN(Core::InodePtr inode, core_->find(path));
  return std::make_unique<SimFile>(core_, std::move(inode), std::string(path), mode != os::OpenMode::kRead);
}

Status SimDisk::rename(std::string_view from, std::string_view to, os::Label label) {
  HR_TRY(os::check_file_path(from));
  HR_TRY(os::check_file_path(to));
  const std::lock_guard lock(core_->mutex);
  HR_TRY(core_->begin(label, from));
  return core_->rename(from, to);
}

Status SimDisk::remove(std::string_view path, os::Label label) {
  HR_TRY(os::check_file_path(path));
  const std::lock_guard lock(core_->mutex);
  HR_TRY(core_->begin(label, path));
  return core_->remove(path);
}

Status SimDisk::make_dir(std::string_view path, os::Label label) {
  HR_TRY(os::check_file_path(path));
  const std::lock_guard lock(core_->mutex);
  HR_TRY(core_->begin(label, path));
  return core_->make_dir(path);
}

Result<std::vector<os::DirEntry>> SimDisk::list(std::string_view dir, os::Label label) {
  HR_TRY(os::check_dir_path(dir));
  const std::lock_guard lock(core_->mutex);
  HR_TRY(core_->begin(label, dir));
  HR_TRY(core_->has_folder(dir));
  return core_->list(dir);
}

Status SimDisk::sync_dir(std::string_view dir, os::Label label) {
  HR_TRY(os::check_dir_path(dir));
  const std::lock_guard lock(core_->mutex);
  HR_TRY(core_->begin(label, dir));
  return core_->sync_dir(dir);
}

Result<os::Space> SimDisk::space(os::Label label) {
  const std::lock_guard lock(core_->mutex);
  HR_TRY(core_->begin(label, ""));
  const std::uint64_t total = core_->options().capacity_bytes;
  const std::uint64_t used = core_->used_bytes();
  return os::Space{total, used < total ? total - used : 0};
}

Result<std::unique_ptr<os::DirLock>> SimDisk::lock(os::Label label) {
  const std::lock_guard lock(core_->mutex);
  HR_TRY(core_->begin(label, "lock"));
  if (core_->locked) return hr::fail(Errc::kBusy, fmt::format("{}: another process holds the folder", label));
  core_->locked = true;
  return std::make_unique<SimLock>(core_);
}

void SimDisk::fail(std::string_view label, Fault fault, std::uint64_t nth, std::uint64_t times) {
  const std::lock_guard lock(core_->mutex);
  core_->rules.push_back({std::string(label), fault, nth > 0 ? nth - 1 : 0, times});
}

void SimDisk::clear_faults() {
  const std::lock_guard lock(core_->mutex);
  core_->rules.clear();
}

void SimDisk::set_capacity(std::uint64_t bytes) {
  const std::lock_guard lock(core_->mutex);
  core_->options().capacity_bytes = bytes;
}

bool SimDisk::damage(std::string_view path, std::uint64_t offset, ByteView data) {
  const std::lock_guard lock(core_->mutex);
  const auto inode = core_->find(path);
  if (inode) (*inode)->damage(offset, data);
  return inode.has_value();
}

void SimDisk::crash_after_ops(std::uint64_t n) {
  const std::lock_guard lock(core_->mutex);
  core_->ops_left = n;
}

void SimDisk::crash(std::uint64_t seed, const CrashOptions& options) {
  const std::lock_guard lock(core_->mutex);
  core_->cut(seed, options);
}

void SimDisk::restart() {
  const std::lock_guard lock(core_->mutex);
  core_->restart();
}

std::uint64_t SimDisk::ops() const {
  const std::lock_guard lock(core_->mutex);
  return core_->ops;
}

std::uint64_t SimDisk::ops(std::string_view label) const {
  const std::lock_guard lock(core_->mutex);
  const auto found = core_->counts.find(label);
  return found == core_->counts.end() ? 0 : found->second;
}

std::uint64_t SimDisk::used_bytes() const {
  const std::lock_guard lock(core_->mutex);
  return core_->used_bytes();
}

std::optional<Bytes> SimDisk::contents(std::string_view path) const {
  const std::lock_guard lock(core_->mutex);
  const auto inode = core_->find(path);
  if (!inode) return std::nullopt;
  Bytes out((*inode)->size(), '\0');
  (*inode)->read(0, out);
  return out;
}

std::string SimDisk::trace() const {
  const std::lock_guard lock(core_->mutex);
  return core_->trace();
}

}  // namespace hr::sim
