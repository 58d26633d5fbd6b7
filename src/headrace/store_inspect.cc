#include "headrace/store_inspect.h"

#include "base/result.h"
#include "codec/json.h"
#include "commit/check.h"
#include "headrace/commands.h"
#include "os/linux/linux.h"
#include "storage/index/index.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <unistd.h>
#include <utility>

namespace hr {
namespace {

int exit_code_of(const Error& error) {
  if (error.code == Errc::kNotFound || error.code == Errc::kInvalid) return kExitUsage;
  if (error.code == Errc::kBusy || error.code == Errc::kPermission) return kExitUnavailable;
  return kExitFailed;
}

// Shows that it is alive, on a terminal only.
void show_progress(std::string_view what, std::uint64_t done) {
  if (::isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r{}: {}   ", what, done);
}

void print_json(const commit::CheckReport& r) {
  Bytes text;
  codec::JsonWriter out(text);
  const auto field = [&](const char* name, std::uint64_t value) {
    out.field(name, static_cast<std::int64_t>(value));
  };
  out.begin_object();
  field("first_group", r.log.first);
  field("last_group", r.log.last);
  field("segments", r.log.segments);
  field("log_bytes", r.log.bytes_read);
  field("torn_bytes", r.log.torn_bytes);
  field("state_position", r.state_position);
  field("index_position", r.index_position);
  field("queues", r.queues);
  field("messages", r.messages);
  field("buckets", r.buckets);
  field("objects", r.objects);
  field("uploads", r.uploads);
  field("parts", r.parts);
  field("bodies", r.bodies);
  field("body_bytes", r.body_bytes);
  out.key("damage").begin_array();
  for (const std::string& what : r.damage) out.string(what);
  out.end_array().end_object();
  fmt::print("{}\n", text);
}

void print_text(const commit::CheckReport& r) {
  fmt::print("log      groups {} to {} in {} segments, {} bytes read\n", r.log.first, r.log.last,
             r.log.segments, r.log.bytes_read);
  if (r.log.torn_bytes > 0) {
    fmt::print("         its end is torn: {} bytes that nobody was told of go at the next start\n",
               r.log.torn_bytes);
  }
  fmt::print("state    as of group {}\n", r.state_position);
  fmt::print("index    as of group {}\n", r.index_position);
  fmt::print("queues   {} with {} messages\n", r.queues, r.messages);
  fmt::print("buckets  {} with {} objects; {} uploads with {} parts\n", r.buckets, r.objects, r.uploads,
             r.parts);
  fmt::print("bodies   {} files, {} bytes\n", r.bodies, r.body_bytes);
  for (const std::string& what : r.damage) fmt::print("DAMAGED  {}\n", what);
  if (r.damage.size() == commit::kDamageMax) fmt::print("         there may be more\n");
  fmt::print("{}\n", r.damage.empty()
                         ? "all is well"
                         : "nothing was changed; `headrace store repair` says what can be mended");
}

}  // namespace

Result<StoppedStore> open_stopped_store(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path + "/log", ignored)) {
    return fail(Errc::kNotFound, path + ": there is no store in this folder (no log/ in it)");
  }
  StoppedStore store;
  HR_ASSIGN(store.disk, os::open_disk(path));
  HR_ASSIGN(store.lock, store.disk->lock("store.lock"));
  return store;
}

int inspection_refused(const Error& error) {
  fmt::print(stderr, "headrace: {}\n", error.message);
  return exit_code_of(error);
}

int check_store(const InspectOptions& options) {
  const auto folder = open_stopped_store(options.path);
  if (!folder) return inspection_refused(folder.error());
  const auto index = storage::open_rocksdb_index_read_only(options.path + "/index");
  if (!index) return inspection_refused(index.error());
  const auto report =
      commit::check(*folder->disk, **index, {.bodies = options.bodies, .progress = show_progress});
  if (::isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r\x1b[K");
  if (!report) return inspection_refused(report.error());
  options.json ? print_json(*report) : print_text(*report);
  return report->damage.empty() ? kExitOk : kExitFailed;
}

int dump_store(const InspectOptions& options) {
  const auto folder = open_stopped_store(options.path);
  if (!folder) return inspection_refused(folder.error());
  const Status dumped = commit::dump(*folder->disk, [](std::string_view line) -> Status {
    if (std::fwrite(line.data(), 1, line.size(), stdout) == line.size() && std::fputc('\n', stdout) != EOF)
      return {};
    return fail(Errc::kClosed, "standard output is closed");
  });
  if (!dumped && dumped.error().code != Errc::kClosed) return inspection_refused(dumped.error());
  return kExitOk;
}

}  // namespace hr
