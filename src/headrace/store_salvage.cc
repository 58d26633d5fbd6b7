#include "headrace/store_salvage.h"

#include "codec/digest.h"
#include "codec/json.h"
#include "commit/record_text.h"
#include "headrace/commands.h"
#include "headrace/operator.h"
#include "headrace/unix_http.h"
#include "object/body_walk.h"
#include "object/coding.h"
#include "object/notification.h"
#include "os/linux/linux.h"
#include "storage/index/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <unistd.h>
#include <utility>
#include <variant>

namespace hr {
namespace {

using commit::printable;
using storage::Patience;
using storage::Table;

constexpr Duration kPatience = 10s;
constexpr std::size_t kReadBytes = 1U << 20;
constexpr int kLooksMax = 20;
constexpr std::size_t kSectorBytes = 4096;  // where reading fails, so much is left out

int refused(const Error& error) {
  fmt::print(stderr, "headrace: {}\n", error.message);
  return error.code == Errc::kNotFound || error.code == Errc::kInvalid || error.code == Errc::kExists
             ? kExitUsage
             : kExitUnavailable;
}

void print_scrub(const codec::Json& json) {
  const bool running = json.find("running") != nullptr && json.find("running")->as_bool().value_or(false);
  const bool busy = json.find("busy") != nullptr && json.find("busy")->as_bool().value_or(false);
  const std::int64_t rate = number_member(json, "rate");
  const std::string ended = text_member(json, "ended");
  fmt::print("scrub    {}; {} bytes a second; last ended: {}\n",
             rate == 0 ? "off (store.scrub_rate is 0)"
             : running ? fmt::format("goes on since {}{}", text_member(json, "began"),
                                     busy ? ", waits: the store is busy" : "")
                       : "rests",
             rate, ended.empty() ? "never" : ended);
  fmt::print("read     {} bodies, {} bytes since the start\n", number_member(json, "bodies"),
             number_member(json, "bytes"));
  if (const std::string error = text_member(json, "error"); !error.empty())
    fmt::print("INDEX    {}\n", error);
  const codec::Json* damage = json.find("damage");
  if (damage == nullptr || damage->as_array() == nullptr) return;
  for (const codec::Json& one : *damage->as_array()) {
    const std::string bucket = text_member(one, "bucket"), key = text_member(one, "key");
    const std::string version = text_member(one, "version");
    const std::string what = bucket.empty() ? key : fmt::format("{}/{}", bucket, printable(key));
    fmt::print("DAMAGED  {}{}: {}\n", what, version.empty() ? "" : " version " + version,
               text_member(one, "reason"));
  }
  const auto shown = static_cast<std::int64_t>(damage->as_array()->size());
  const std::int64_t all = number_member(json, "damaged");
  if (all > shown) fmt::print("         and {} more\n", all - shown);
  fmt::print("{}\n", all == 0 ? "no damage is known" : "nothing was changed: docs/store.md says what to do");
}

// --- salvage ---

struct Saved {
  object::Object object;
  object::Manifest pieces;
  std::optional<Bytes> inline_body;
};

Result<object::BucketId> find_bucket(const storage::Index& index, const std::string& name) {
  HR_ASSIGN(const auto row, index.get(Table::kBuckets, name, Patience::kAny));
  if (!row) return fail(Errc::kNotFound, fmt::format("the index knows no bucket {}", printable(name)));
  HR_ASSIGN(const auto decoded, object::decode_bucket_row(*row));
  if (const auto* bucket = std::get_if<object::Bucket>(&decoded)) return bucket->id;
  return fail(Errc::kNotFound, "no bucket has an empty name");
}

// The row of the key, or that of one of its versions ("null" among them).
Result<std::optional<object::Object>> find_row(const storage::Index& index, object::BucketId bucket,
                                               const SalvageOptions& options) {
  HR_ASSIGN(const auto current,
            index.get(Table::kObjects, object::object_key(bucket, options.key), Patience::kAny));
  std::optional<object::Object> object;
  const auto fits = [&](const object::Object& one) {
    return options.version.empty() ||
           (one.numbered ? object::show_version(one.version) : "null") == options.version;
  };
  if (current) {
    HR_ASSIGN(object, object::decode_object(*current));
    if (fits(*object)) return object;
  }
  if (options.version.empty()) return std::nullopt;
  const Bytes prefix = object::versions_prefix(bucket, options.key);
  const auto cursor = index.cursor(Table::kVersions);
  for (Status at = cursor->seek(prefix);; at = cursor->next()) {
    HR_TRY(std::move(at));
    if (!cursor->valid() || !cursor->key().starts_with(prefix)) return std::nullopt;
    HR_ASSIGN(object, object::decode_object(cursor->value()));
    if (fits(*object)) return object;
  }
}

Result<Saved> find_object(const storage::Index& index, const SalvageOptions& options) {
  HR_ASSIGN(const object::BucketId bucket, find_bucket(index, options.bucket));
  HR_ASSIGN(auto object, find_row(index, bucket, options));
  if (!object || object->delete_marker) {
    return fail(Errc::kNotFound,
                fmt::format("the index knows no object {}/{}{} (one of the last minute may not be in it yet)",
                            printable(options.bucket), printable(options.key),
                            options.version.empty() ? "" : " of version " + printable(options.version)));
  }
  Saved out{.object = std::move(*object), .pieces = {}, .inline_body = {}};
  if (out.object.blob) {
    out.pieces.push_back({.bytes = out.object.bytes, .blob = out.object.blob, .checksum = {}});
    return out;
  }
  HR_ASSIGN(
      out.inline_body,
      index.get(Table::kBodies, object::body_key(bucket, options.key, out.object.version), Patience::kAny));
  if (out.object.parts == 0) {
    if (!out.inline_body) out.inline_body.emplace();
    return out;
  }
  HR_ASSIGN(out.pieces, object::decode_manifest(out.inline_body.value_or(Bytes())));
  out.inline_body.reset();
  return out;
}

// A running store replaces the index's files, also between our look at their list and at themselves.
Result<Saved> look_up(const SalvageOptions& options) {
  Result<Saved> found = fail(Errc::kIo, "");
  for (int tries = 0; tries < kLooksMax; ++tries) {
    const auto index = storage::open_rocksdb_index_read_only(options.path + "/index");
    found = index ? find_object(**index, options) : std::unexpected(index.error());
    if (found || found.error().code == Errc::kNotFound) break;
  }
  return found;
}

class Salvage {
 public:
  Salvage(os::Disk& disk, std::FILE* out) : disk_(disk), out_(out) {}

  // All bytes of a piece; what cannot be read is zeros, so that what follows stands where it stood.
  Status piece(const object::Piece& piece) {
    codec::Md5 md5;
    Result<std::unique_ptr<os::File>> file = fail(Errc::kNotFound, "it has no file");
    if (piece.blob) file = disk_.open(piece.blob->path(), os::OpenMode::kRead, "salvage.open");
    if (piece.blob && !file) fmt::print(stderr, "headrace: {}; zeros stand for it\n", file.error().message);
    Bytes buffer;
    for (std::uint64_t at = 0; at < piece.bytes; at += buffer.size()) {
      buffer.assign(static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, piece.bytes - at)), '\0');
      if (file) read(**file, at, buffer);
      md5.update(buffer);
      if (std::fwrite(buffer.data(), 1, buffer.size(), out_) != buffer.size())
        return fail(Errc::kIo, "the copy cannot be written");
    }
    md5s_ += md5.finish();
    return {};
  }
  Status body(const Bytes& body) {
    codec::Md5 md5;
    md5.update(body);
    md5s_ += md5.finish();
    if (std::fwrite(body.data(), 1, body.size(), out_) == body.size()) return {};
    return fail(Errc::kIo, "the copy cannot be written");
  }
  std::string etag(std::uint32_t parts) const { return object::etag_of(md5s_, parts); }

 private:
  void read(os::File& file, std::uint64_t at, Bytes& buffer) {
    const auto got = file.read_at(at, buffer, "salvage.read");
    if (got && *got == buffer.size()) return;
    for (std::size_t done = 0; done < buffer.size(); done += kSectorBytes) {
      const std::span<char> sector =
          std::span<char>(buffer).subspan(done, std::min(kSectorBytes, buffer.size() - done));
      const auto some = file.read_at(at + done, sector, "salvage.read");
      if (some && *some == sector.size()) continue;
      const std::size_t kept = some.value_or(0);
      std::ranges::fill(sector.subspan(kept), '\0');
      fmt::print(stderr, "headrace: bytes {} to {} of a file cannot be read; zeros stand for them\n",
                 at + done + kept, at + done + sector.size() - 1);
    }
  }

  os::Disk& disk_;
  std::FILE* out_;
  Bytes md5s_;
};

Result<bool> write_copy(os::Disk& disk, const Saved& saved, const std::string& destination) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(destination.c_str(), "wxe"),
                                                             std::fclose);
  if (!file) return fail(Errc::kExists, destination + ": cannot be made as a new file");
  Salvage salvage(disk, file.get());
  if (saved.inline_body) HR_TRY(salvage.body(*saved.inline_body));
  for (const object::Piece& piece : saved.pieces) HR_TRY(salvage.piece(piece));
  if (std::fflush(file.get()) != 0 || ::fsync(::fileno(file.get())) != 0)
    return fail(Errc::kIo, destination + ": cannot be written");
  return salvage.etag(saved.object.parts) == saved.object.etag;
}

}  // namespace

int scrub_store(const ScrubOptions& options) {
  const auto answer = ask(options.socket, options.now ? "POST" : "GET", "/_headrace/scrub", kPatience);
  if (!answer) return refused(answer.error());
  if (answer->status != 200) {
    return refused({Errc::kUnavailable,
                    fmt::format("the store says: {}", answer->body.substr(0, answer->body.find('\n')))});
  }
  const auto json = codec::parse_json(answer->body);
  if (!json) return refused(json.error());
  if (options.json) {
    fmt::print("{}", answer->body);
  } else {
    print_scrub(*json);
  }
  return number_member(*json, "damaged") == 0 ? kExitOk : kExitFailed;
}

int salvage_object(const SalvageOptions& options) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(options.path + "/index", ignored)) {
    return refused({Errc::kNotFound, options.path + ": there is no store in this folder (no index/ in it)"});
  }
  auto disk = os::open_disk(options.path);
  if (!disk) return refused(disk.error());
  const auto saved = look_up(options);
  if (!saved) return refused(saved.error());
  const auto whole = write_copy(**disk, *saved, options.destination);
  if (!whole) return refused(whole.error());
  if (*whole) {
    fmt::print("{}: {} bytes, as they were stored\n", options.destination, saved->object.bytes);
    return kExitOk;
  }
  fmt::print(stderr,
             "headrace: warning: {} is DAMAGED: its {} bytes are not those that were stored (ETag {})\n",
             options.destination, saved->object.bytes, saved->object.etag);
  return kExitFailed;
}

}  // namespace hr
