#include "storage/state/state_files.h"

#include "base/check.h"
#include "codec/digest.h"
#include "storage/state/state_salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <utility>

namespace hr::storage {
namespace {

using os::OpenMode;

constexpr std::string_view kFolder = "state";
constexpr std::string_view kDraft = "state/new.tmp";
constexpr std::string_view kSuffix = ".checkpoint";
constexpr ByteView kMagic = "HRSTATE1";
constexpr std::uint32_t kVersion = 1;
// At the end of a file: where its root is, under a checksum of its own.
constexpr std::size_t kFooterBytes = 32;
constexpr std::uint64_t kRootBytesMax = 1U << 30;
constexpr std::size_t kWriteBytes = 1U << 20;
constexpr std::uint64_t kWasteBytes = 1U << 20;  // is not worth a whole checkpoint

// Where a block stands.
struct Place {
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  std::uint32_t crc = 0;
};

struct Root {
  Lsn position = 0;
  std::map<BlockKey, Place> blocks;
};

std::string path_of(std::uint64_t number) { return fmt::format("{}/{:08}{}", kFolder, number, kSuffix); }

std::optional<std::uint64_t> number_of(std::string_view name) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || number == 0) return std::nullopt;
  if (fmt::format("{}/{}", kFolder, name) != path_of(number)) return std::nullopt;
  return number;
}

std::unexpected<Error> damaged(std::uint64_t file, std::uint64_t offset, std::string_view why) {
  return fail(Errc::kCorrupt,
              fmt::format("{} is damaged at byte {}: {}; nothing was changed", path_of(file), offset, why));
}

Bytes encode_root(const Root& root) {
  Bytes out;
  Writer w(out);
  w.u32(kVersion);
  w.varint(root.position);
  w.varint(root.blocks.size());
  for (const auto& [key, place] : root.blocks) {
    w.u8(key.kind);
    w.varint(key.page);
    w.varint(place.file);
    w.varint(place.offset);
    w.varint(place.bytes);
    w.u32(place.crc);
  }
  return out;
}

// Nothing: these are no root's bytes.
std::optional<Root> decode_root(ByteView bytes) {
  Reader r(bytes);
  Root root;
  const bool known = r.u32() == kVersion;
  root.position = r.varint();
  std::uint64_t blocks = r.varint();
  if (!known || blocks > r.left()) return std::nullopt;
  for (; blocks > 0 && r.ok(); --blocks) {
    BlockKey key{.kind = r.u8()};
    const std::uint64_t page = r.varint();
    key.page = static_cast<std::uint32_t>(page);
    Place place{.file = r.varint(), .offset = r.varint()};
    const std::uint64_t size = r.varint();
    place.bytes = static_cast<std::uint32_t>(size);
    place.crc = r.u32();
    if (page > UINT32_MAX || size > kBlockBytesMax) return std::nullopt;
    if (!root.blocks.emplace(key, place).second) return std::nullopt;
  }
  if (!r.done()) return std::nullopt;
  return root;
}

Bytes encode_footer(std::uint64_t root_at, ByteView root) {
  Bytes out;
  Writer w(out);
  w.raw(kMagic);
  w.u64(root_at);
  w.u64(root.size());
  w.u32(codec::crc32c(root));
  w.u32(codec::crc32c(out));
  return out;
}

// A bit may have been turned on its way: what does not match its checksum is read once more, from the device.
// False: it does not match then either.
Result<bool> read_checked(os::File& file, std::uint64_t offset, std::uint32_t crc, Bytes& out) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    HR_ASSIGN(const std::size_t got, file.read_at(offset, out, "state.read"));
    if (got == out.size() && codec::crc32c(out) == crc) return true;
    HR_TRY(file.drop_cache("state.drop_cache"));
  }
  return false;
}

class Files final : public StateFiles {
 public:
  explicit Files(os::Disk& disk) : disk_(disk) {}

  // kAny: names that are none of ours are passed over.
  enum class Names : std::uint8_t { kOurs, kAny };
  using Lost = std::function<void(BlockKey key, const Error& why)>;

  Status open(StateMode mode, Names names = Names::kOurs);
  Status read(const Take& take, const Lost* lost) const;
  Lsn position() const override { return root_.position; }
  Status load(const Take& take) const override { return read(take, nullptr); }
  bool wasteful() const override;
  Status begin(std::optional<std::uint8_t> carried) override;
  Status add(BlockKey key, ByteView bytes) override;
  Status commit(Lsn position) override;
  Stats stats() const override;

 private:
  Status list(Names names);
  Status read_root();
  Status check_files() const;
  Status write_out();
  Status finish(Lsn position);
  Status remove_unneeded();
  Status given_up(Status why);

  os::Disk& disk_;
  Root root_;
  std::map<std::uint64_t, std::uint64_t> files_;  // number: bytes
  std::uint64_t checkpoints_ = 0;

  // The one being written.
  std::unique_ptr<os::File> draft_;
  Root next_;
  std::uint64_t number_ = 0;
  std::uint64_t written_ = 0;
  Bytes buffer_;
};

Status Files::open(StateMode mode, Names names) {
  const bool writes = mode == StateMode::kReadWrite;
  if (writes) {
    HR_TRY(disk_.make_dir(kFolder, "state.create"));
    HR_TRY(disk_.sync_dir("", "state.syncdir"));
    // Names that a killed process left in the page cache become durable before anything is built on them.
    HR_TRY(disk_.sync_dir(kFolder, "state.syncdir"));
  }
  HR_TRY(list(names));
  if (files_.empty()) return {};
  HR_TRY(read_root());
  HR_TRY(check_files());
  return writes ? remove_unneeded() : Status();
}

Status Files::list(Names names) {
  const auto entries = disk_.list(kFolder, "state.list");
  if (!entries && entries.error().code == Errc::kNotFound) return {};
  if (!entries) return std::unexpected(entries.error());
  for (const os::DirEntry& entry : *entries) {
    if (const auto number = number_of(entry.name)) {
      files_[*number] = entry.bytes;
    } else if (entry.name != "new.tmp" && names == Names::kOurs) {
      return fail(Errc::kCorrupt,
                  fmt::format("{}/{} is not part of the state: move it away", kFolder, entry.name));
    }
  }
  return {};
}

Status Files::read_root() {
  const auto& [number, bytes] = *files_.rbegin();
  HR_ASSIGN(const auto file, disk_.open(path_of(number), OpenMode::kRead, "state.open"));
  if (bytes < kFooterBytes) return damaged(number, bytes, "it is too short");
  const std::uint64_t end = bytes - kFooterBytes;
  Bytes footer(kFooterBytes, '\0');
  HR_ASSIGN(const std::size_t got, file->read_at(end, footer, "state.read"));
  Reader r(footer);
  const bool ours = r.raw(kMagic.size()) == kMagic;
  const std::uint64_t root_at = r.u64(), root_bytes = r.u64();
  const std::uint32_t root_crc = r.u32();
  if (!ours || got != footer.size() ||
      r.u32() != codec::crc32c(ByteView(footer).substr(0, kFooterBytes - 4)) ||
      root_bytes > std::min(end, kRootBytesMax) || root_at != end - root_bytes) {
    return damaged(number, end, "its end is not a checkpoint's");
  }
  Bytes bytes_of_root(root_bytes, '\0');
  HR_ASSIGN(const bool good, read_checked(*file, root_at, root_crc, bytes_of_root));
  if (!good) {
    return damaged(number, root_at, "the checksum of its list is wrong");
  }
  auto root = decode_root(bytes_of_root);
  if (!root) return damaged(number, root_at, "its list does not follow the format");
  root_ = std::move(*root);
  return {};
}

Status Files::check_files() const {
  for (const auto& [key, place] : root_.blocks) {
    const auto file = files_.find(place.file);
    if (file == files_.end()) {
      return fail(Errc::kCorrupt,
                  fmt::format("{} is missing: the state needs it; nothing was changed", path_of(place.file)));
    }
    if (place.offset > file->second || place.bytes > file->second - place.offset) {
      return damaged(place.file, file->second, "it ends before a block does");
    }
  }
  return {};
}

Status Files::read(const Take& take, const Lost* lost) const {
  std::map<std::uint64_t, std::unique_ptr<os::File>> open;
  Bytes bytes;
  for (const auto& [key, place] : root_.blocks) {
    auto& file = open[place.file];
    if (file == nullptr) {
      HR_ASSIGN(file, disk_.open(path_of(place.file), OpenMode::kRead, "state.open"));
    }
    bytes.resize(place.bytes);
    HR_ASSIGN(const bool good, read_checked(*file, place.offset, place.crc, bytes));
    if (good) {
      HR_TRY(take(key, bytes));
      continue;
    }
    const auto why = damaged(place.file, place.offset, "a block's checksum is wrong");
    if (lost == nullptr) return why;
    (*lost)(key, why.error());
  }
  return {};
}

bool Files::wasteful() const {
  const Stats now = stats();
  return now.bytes > 2 * now.live_bytes + kWasteBytes;
}

Status Files::begin(std::optional<std::uint8_t> carried) {
  draft_.reset();
  buffer_.clear();
  written_ = 0;
  next_ = {};
  for (const auto& [key, place] : root_.blocks) {
    if (key.kind == carried) next_.blocks.emplace_hint(next_.blocks.end(), key, place);
  }
  number_ = files_.empty() ? 1 : files_.rbegin()->first + 1;
  if (Status gone = disk_.remove(kDraft, "state.remove"); !gone && gone.error().code != Errc::kNotFound) {
    return gone;
  }
  auto file = disk_.open(kDraft, OpenMode::kCreate, "state.create");
  if (!file) return given_up(std::unexpected(std::move(file).error()));
  draft_ = std::move(*file);
  return {};
}

Status Files::given_up(Status why) {
  draft_.reset();
  buffer_.clear();
  next_ = {};
  // What is left behind otherwise is removed by the next begin().
  if (why.error().code == Errc::kNoSpace) static_cast<void>(disk_.remove(kDraft, "state.remove"));
  return why;
}

Status Files::add(BlockKey key, ByteView bytes) {
  HR_CHECK(draft_ != nullptr && bytes.size() <= kBlockBytesMax);
  if (bytes.empty()) {
    next_.blocks.erase(key);
    return {};
  }
  next_.blocks[key] = {number_, written_ + buffer_.size(), static_cast<std::uint32_t>(bytes.size()),
                       codec::crc32c(bytes)};
  buffer_.append(bytes);
  return buffer_.size() < kWriteBytes ? Status() : write_out();
}

Status Files::write_out() {
  if (Status done = draft_->write_at(written_, buffer_, "state.write"); !done)
    return given_up(std::move(done));
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status Files::commit(Lsn position) {
  HR_CHECK(draft_ != nullptr && position >= root_.position);
  next_.position = position;
  const Bytes root = encode_root(next_);
  const std::uint64_t root_at = written_ + buffer_.size();
  buffer_ += root;
  buffer_ += encode_footer(root_at, root);
  HR_TRY(write_out());
  if (Status done = draft_->sync("state.sync"); !done) return given_up(std::move(done));
  draft_.reset();
  if (Status done = disk_.rename(kDraft, path_of(number_), "state.rename"); !done)
    return given_up(std::move(done));
  HR_TRY(disk_.sync_dir(kFolder, "state.syncdir"));
  files_[number_] = written_;
  root_ = std::exchange(next_, {});
  ++checkpoints_;
  return remove_unneeded();
}

Status Files::remove_unneeded() {
  std::set<std::uint64_t> needed{files_.rbegin()->first};
  for (const auto& [key, place] : root_.blocks) needed.insert(place.file);
  for (auto file = files_.begin(); file != files_.end();) {
    if (needed.contains(file->first)) {
      ++file;
      continue;
    }
    HR_TRY(disk_.remove(path_of(file->first), "state.remove"));
    file = files_.erase(file);
  }
  return {};
}

StateFiles::Stats Files::stats() const {
  Stats stats{.files = files_.size(), .bytes = 0, .live_bytes = 0, .checkpoints = checkpoints_};
  for (const auto& [number, bytes] : files_) stats.bytes += bytes;
  for (const auto& [key, place] : root_.blocks) stats.live_bytes += place.bytes;
  return stats;
}

}  // namespace

Result<std::unique_ptr<StateFiles>> open_state_files(os::Disk& disk, StateMode mode) {
  auto files = std::make_unique<Files>(disk);
  HR_TRY(files->open(mode));
  return files;
}

Result<Lsn> salvage_state(os::Disk& disk, const std::function<Status(BlockKey key, ByteView bytes)>& take,
                          const std::function<void(BlockKey key, const Error& why)>& lost) {
  Files files(disk);
  HR_TRY(files.open(StateMode::kReadOnly, Files::Names::kAny));
  HR_TRY(files.read(take, &lost));
  return files.position();
}

}  // namespace hr::storage
