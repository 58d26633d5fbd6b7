#include "headrace/store_backup.h"

#include "base/result.h"
#include "codec/json.h"
#include "codec/time_text.h"
#include "commit/check.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/store_copy.h"
#include "headrace/store_snapshot.h"
#include "headrace/unix_http.h"
#include "os/linux/linux.h"
#include "storage/index/index.h"
#include "storage/log/format.h"
#include "storage/log/segment_set.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace hr {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBackupFormat = 1;
constexpr Duration kTakePatience = 600s;  // it may have to write out the index
constexpr Duration kTellPatience = 30s;
constexpr Duration kTellEvery = Snapshots::kPatience / 4;
constexpr std::string_view kSnapshots = "/_headrace/snapshots";

bool is_any(const std::string& /*name*/) { return true; }
bool is_checkpoint(const std::string& name) { return name.ends_with(".checkpoint"); }

void show(const std::string& line) {
  if (::isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r\x1b[K{}", line);
}
void show_copied(const Copied& copied) {
  show(fmt::format("{} files, {} MiB", copied.files, copied.bytes >> 20));
}

int refused(const Error& error) {
  show("");
  fmt::print(stderr, "headrace: {}\n", error.message);
  switch (error.code) {
    case Errc::kNotFound:
    case Errc::kInvalid:
    case Errc::kExists:
      return kExitUsage;
    case Errc::kBusy:
    case Errc::kPermission:
    case Errc::kNoSpace:
    case Errc::kUnavailable:
      return kExitUnavailable;
    default:
      return kExitFailed;
  }
}

// --- the running store's side ---

// The snapshot that a running store holds for us. Ends with this, or soon after this process does.
class HeldSnapshot {
 public:
  static Result<std::unique_ptr<HeldSnapshot>> take(const std::string& socket, const os::Clock& clock) {
    HR_ASSIGN(const UnixAnswer answer, ask(socket, "POST", kSnapshots, kTakePatience));
    if (answer.status != 200) return std::unexpected(error_of(answer));
    HR_ASSIGN(Snapshot snapshot, parse_snapshot(answer.body));
    return std::unique_ptr<HeldSnapshot>(new HeldSnapshot(socket, clock, std::move(snapshot)));
  }
  ~HeldSnapshot() { static_cast<void>(tell("end")); }
  HeldSnapshot(const HeldSnapshot&) = delete;
  HeldSnapshot& operator=(const HeldSnapshot&) = delete;

  const Snapshot& snapshot() const { return snapshot_; }
  // Now and then, while it is copied. An error: it is gone, and what was copied of it may not be whole.
  Status keep() {
    const Time now = clock_.now();
    if (now < kept_ + kTellEvery) return {};
    kept_ = now;
    return tell("keep");
  }

 private:
  HeldSnapshot(std::string socket, const os::Clock& clock, Snapshot snapshot)
      : socket_(std::move(socket)), clock_(clock), snapshot_(std::move(snapshot)), kept_(clock.now()) {}

  static Error error_of(const UnixAnswer& answer) {
    const std::string text = answer.body.substr(0, answer.body.find('\n'));
    const Errc code = answer.status == 507 ? Errc::kNoSpace : Errc::kUnavailable;
    return {code, fmt::format("the store says: {}", text)};
  }
  Status tell(std::string_view what) const {
    const auto answer =
        ask(socket_, "POST", fmt::format("{}/{}/{}", kSnapshots, snapshot_.id, what), kTellPatience);
    if (!answer) return std::unexpected(answer.error());
    if (answer->status != 200) return std::unexpected(error_of(*answer));
    return {};
  }

  const std::string socket_;
  const os::Clock& clock_;
  const Snapshot snapshot_;
  Time kept_;
};

// --- copying ---

// The last segment is still written: what came after the snapshot stays behind, as zeros.
Status copy_log(StoreCopy& copy, const std::string& from, const std::string& to, const Snapshot& snapshot) {
  const auto last = storage::segment_path(snapshot.segment).substr(storage::kLogFolder.size() + 1);
  HR_TRY(copy.files(from, to, StoreCopy::How::kCopy, [&](const std::string& name) { return name != last; }));
  std::error_code error;
  const std::uint64_t size = fs::file_size(from + "/" + last, error);
  if (error) return fail(Errc::kIo, fmt::format("{}/{}: {}", from, last, error.message()));
  return copy.file_part(from + "/" + last, to + "/" + last, snapshot.end, size);
}

// Bodies never change: links, where they can be. One that is gone was never acknowledged: a snapshot keeps
// the others.
Status copy_bodies(StoreCopy& copy, const std::string& from, const std::string& to,
                   const std::optional<storage::BlobName>& next) {
  HR_TRY(copy.folder(to));
  for (unsigned folder = 0; folder < storage::kBlobFolders; ++folder) {
    const std::string name = fmt::format("/{:02x}", folder);
    const auto before = [&](const std::string& file) {
      const auto blob = storage::parse_blob_name(file);
      return blob && !(next && blob->epoch == next->epoch && blob->number >= next->number);
    };
    std::error_code ignored;
    if (!fs::is_directory(from + name, ignored)) continue;
    HR_TRY(copy.files(from + name, to + name, StoreCopy::How::kLink, before));
  }
  return {};
}

Status copy_running(const BackupOptions& options, const std::string& to, HeldSnapshot& held,
                    StoreCopy& copy) {
  const std::string from = options.path + "/" + std::string(kSnapshotFolder);
  HR_TRY(copy.folder(to));
  HR_TRY(copy_log(copy, from + "/log", to + "/log", held.snapshot()));
  HR_TRY(copy.files(from + "/state", to + "/state", StoreCopy::How::kCopy, is_any));
  HR_TRY(copy.files(from + "/index", to + "/index", StoreCopy::How::kCopy, is_any));
  HR_TRY(copy_bodies(copy, options.path + "/blob", to + "/blob", held.snapshot().next_blob));
  HR_TRY(copy.file(options.path + "/keys.toml", to + "/keys.toml"));
  return held.keep();
}

// `how`: of the bodies' files.
Status copy_stopped(const std::string& from, const std::string& to, StoreCopy& copy, StoreCopy::How how) {
  HR_TRY(copy.folder(to));
  HR_TRY(copy.files(from + "/index", to + "/index", StoreCopy::How::kCopy, is_any));
  std::error_code ignored;
  if (fs::is_directory(from + "/state", ignored))
    HR_TRY(copy.files(from + "/state", to + "/state", StoreCopy::How::kCopy, is_checkpoint));
  if (how == StoreCopy::How::kLink) {
    HR_TRY(copy_bodies(copy, from + "/blob", to + "/blob", {}));
  } else {
    HR_TRY(copy.folder(to + "/blob"));
    for (const auto& entry : fs::directory_iterator(from + "/blob", ignored)) {
      const std::string folder = "/blob/" + entry.path().filename().string();
      HR_TRY(copy.files(from + folder, to + folder, how, is_any));
    }
  }
  HR_TRY(copy.file(from + "/keys.toml", to + "/keys.toml"));
  // Last: a folder without a log is not taken for a store, one with an index but no log not for a new one.
  return copy.files(from + "/log", to + "/log", StoreCopy::How::kCopy,
                    [](const std::string& name) { return storage::segment_number(name).has_value(); });
}

// --- what was copied is a store ---

Result<commit::CheckReport> verify(const std::string& path, bool bodies) {
  HR_ASSIGN(const auto disk, os::open_disk(path));
  HR_ASSIGN(const auto index, storage::open_rocksdb_index_read_only(path + "/index"));
  HR_ASSIGN(auto report,
            commit::check(*disk, *index,
                          {.bodies = bodies, .progress = [](std::string_view what, std::uint64_t done) {
                             show(fmt::format("checking {}: {}", what, done));
                           }}));
  if (report.damage.empty()) return report;
  return fail(Errc::kCorrupt,
              fmt::format("{} is damaged: {} ({} findings in all; `headrace store check --path "
                          "{}` has them)",
                          path, report.damage.front(), report.damage.size(), path));
}

std::string summary_of(const commit::CheckReport& report, const Copied& copied, Time now) {
  Bytes text;
  codec::JsonWriter(text)
      .begin_object()
      .field("format", kBackupFormat)
      .field("headrace", kVersion)
      .field("created", codec::iso8601(now))
      .field("last_group", std::to_string(report.log.last))
      .field("messages", static_cast<std::int64_t>(report.messages))
      .field("objects", static_cast<std::int64_t>(report.objects))
      .field("files", static_cast<std::int64_t>(copied.files))
      .field("bytes", static_cast<std::int64_t>(copied.bytes))
      .end_object();
  return text + "\n";
}

Status read_summary(const std::string& folder) {
  const std::string path = folder + "/backup.json";
  const auto text = read_small_file(path);
  if (!text && text.error().code == Errc::kNotFound)
    return fail(Errc::kInvalid,
                fmt::format("{}: not a finished backup: there is no backup.json in it", folder));
  if (!text) return std::unexpected(text.error());
  const auto summary = codec::parse_json(*text);
  const codec::Json* const format = summary ? summary->find("format") : nullptr;
  if (format == nullptr || !format->as_int()) return fail(Errc::kInvalid, path + ": not a backup's summary");
  if (*format->as_int() == kBackupFormat) return {};
  return fail(Errc::kUnsupported, fmt::format("{}: format {} is of a newer headrace; this one knows {}", path,
                                              *format->as_int(), kBackupFormat));
}

Status back_up(const BackupOptions& options) {
  if (!is_free(options.copy))
    return fail(Errc::kExists, fmt::format("{}: not empty; a backup overwrites nothing", options.copy));
  if (options.copy.starts_with(options.path + "/"))
    return fail(Errc::kInvalid, fmt::format("{}: inside the store's own folder", options.copy));
  std::error_code ignored;
  if (!fs::is_directory(options.path + "/log", ignored))
    return fail(Errc::kNotFound, fmt::format("{}: there is no store in this folder", options.path));
  const auto clock = os::make_clock(Time{});
  HR_ASSIGN(const auto disk, os::open_disk(options.path));
  auto lock = disk->lock("store.lock");
  if (!lock && lock.error().code != Errc::kBusy) return std::unexpected(lock.error());
  std::unique_ptr<HeldSnapshot> held;
  if (!lock) {
    HR_ASSIGN(held, HeldSnapshot::take(options.socket, *clock));
  }
  HR_TRY(os::open_disk(options.copy));  // makes it
  StoreCopy copy([&](const Copied& sofar) {
    show_copied(sofar);
    return held ? held->keep() : Status();
  });
  const std::string to = options.copy + "/store";
  HR_TRY(held ? copy_running(options, to, *held, copy)
              : copy_stopped(options.path, to, copy, StoreCopy::How::kLink));
  held.reset();
  HR_TRY(sync_file_system(options.copy));
  HR_ASSIGN(const commit::CheckReport report, verify(to, false));
  HR_TRY(write_durably(options.copy + "/backup.json", summary_of(report, copy.copied(), clock->now())));
  show("");
  fmt::print(
      "{}: as of group {}: {} messages in {} queues, {} objects in {} buckets; {} files ({} linked), {} "
      "bytes\n",
      options.copy, report.log.last, report.messages, report.queues, report.objects, report.buckets,
      copy.copied().files, copy.copied().linked, copy.copied().bytes);
  return {};
}

// --- back ---

// The last segment gets its blocks now, not when the first message needs them.
Status allocate_log(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const int fd = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return fail(Errc::kIo, fmt::format("{}: cannot be opened", entry.path().string()));
    struct stat info{};
    const int refused = ::fstat(fd, &info) != 0 ? EIO : ::posix_fallocate(fd, 0, info.st_size);
    ::close(fd);
    if (refused != 0)
      return fail(refused == ENOSPC ? Errc::kNoSpace : Errc::kIo,
                  fmt::format("{}: its space cannot be allocated", entry.path().string()));
  }
  return {};
}

// Everything into a folder below first: what is not finished is not a store.
Status restore(const BackupOptions& options) {
  HR_TRY(read_summary(options.copy));
  if (!is_free(options.path))
    return fail(Errc::kExists,
                fmt::format("{}: not empty; a store is restored into an empty folder", options.path));
  HR_ASSIGN(const commit::CheckReport report, verify(options.copy + "/store", true));
  HR_TRY(os::open_disk(options.path));  // makes it
  StoreCopy copy([](const Copied& sofar) -> Status {
    show_copied(sofar);
    return {};
  });
  const std::string draft = options.path + "/restoring";
  HR_TRY(copy_stopped(options.copy + "/store", draft, copy, StoreCopy::How::kCopy));
  HR_TRY(allocate_log(draft + "/log"));
  HR_TRY(give_to_owner(options.path));
  HR_TRY(sync_file_system(options.path));
  for (const char* const name : {"keys.toml", "index", "state", "blob", "log"}) {
    std::error_code error;
    if (!fs::exists(draft + "/" + name, error)) continue;
    fs::rename(draft + "/" + name, options.path + "/" + name, error);
    if (error) return fail(Errc::kIo, fmt::format("{}/{}: {}", options.path, name, error.message()));
  }
  std::error_code ignored;
  fs::remove(draft, ignored);
  HR_TRY(sync_file_system(options.path));
  show("");
  fmt::print("{}: as of group {}: {} messages in {} queues, {} objects in {} buckets\n", options.path,
             report.log.last, report.messages, report.queues, report.objects, report.buckets);
  return {};
}

}  // namespace

int backup_store(const BackupOptions& options) {
  const Status done = back_up(options);
  return done ? kExitOk : refused(done.error());
}

int restore_store(const BackupOptions& options) {
  const Status done = restore(options);
  return done ? kExitOk : refused(done.error());
}

}  // namespace hr
