#include "base/check.h"
#include "storage/index/index.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

namespace hr::storage {
namespace {

constexpr std::size_t kBlockCacheBytes = 64U << 20;
constexpr int kWriteBuffers = 3;  // one filling, up to two on their way to the device
constexpr std::size_t kBodyBufferBytes = 32U << 20;
constexpr std::size_t kObjectBufferBytes = 16U << 20;
constexpr std::size_t kSmallBufferBytes = 1U << 20;
constexpr int kOpenFilesMax = 256;
constexpr std::size_t kInfoLogBytes = 1U << 20;

// Column families: the position stands in the default one, each table has its own.
constexpr std::array kFamilies = {"default", "buckets", "objects",  "bodies",
                                  "uploads", "parts",   "versions", "nulls"};
constexpr std::string_view kPositionKey = "position";
constexpr std::uint8_t kPositionVersion = 1;

rocksdb::Slice slice(ByteView bytes) { return {bytes.data(), bytes.size()}; }
ByteView view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Errc code_of(const rocksdb::Status& status) {
  if (status.IsCorruption()) return Errc::kCorrupt;
  if (status.IsNoSpace()) return Errc::kNoSpace;
  if (status.IsIncomplete() || status.IsBusy() || status.IsTryAgain()) return Errc::kBusy;
  if (status.IsNotSupported()) return Errc::kUnsupported;
  return Errc::kIo;
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache,
                                            std::size_t buffer) {
  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_cache = cache;
  blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  // Filters and indexes count against the cache, so that memory does not grow with the number of objects.
  blocks.cache_index_and_filter_blocks = true;
  blocks.pin_l0_filter_and_index_blocks_in_cache = true;
  blocks.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  options.write_buffer_size = buffer;
  options.max_write_buffer_number = kWriteBuffers;
  options.compression = rocksdb::kNoCompression;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> families() {
  const auto cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> all;
  for (const char* name : kFamilies) all.emplace_back(name, family_options(cache, kSmallBufferBytes));
  all[2].options.write_buffer_size = kObjectBufferBytes;
  const auto known = rocksdb::GetSupportedCompressions();
  if (std::ranges::find(known, rocksdb::kLZ4Compression) != known.end()) {
    all[2].options.compression = rocksdb::kLZ4Compression;
  }
  all[3].options.write_buffer_size = kBodyBufferBytes;
  all[6].options = all[2].options;
  return all;
}

rocksdb::DBOptions db_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.atomic_flush = true;
  // Closing must leave what a crash leaves: durability is flush()'s business alone.
  options.avoid_flush_during_shutdown = true;
  options.paranoid_checks = true;
  options.max_background_jobs = 2;  // one flush, one compaction
  options.max_open_files = kOpenFilesMax;
  options.max_file_opening_threads = 1;
  options.bytes_per_sync = 1U << 20;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_log_file_size = kInfoLogBytes;
  options.keep_log_file_num = 2;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

class RocksCursor final : public Cursor {
 public:
  RocksCursor(std::unique_ptr<rocksdb::Iterator> at, const std::string& path)
      : at_(std::move(at)), path_(path) {}

  Status seek(ByteView key) override {
    at_->Seek(slice(key));
    return checked();
  }
  Status next() override {
    HR_CHECK(at_->Valid());
    at_->Next();
    return checked();
  }
  bool valid() const override { return at_->Valid(); }
  ByteView key() const override { return view(at_->key()); }
  ByteView value() const override { return view(at_->value()); }

 private:
  Status checked() const {
    if (at_->status().ok()) return {};
    return fail(code_of(at_->status()),
                fmt::format("reading the index {}: {}", path_, at_->status().ToString()));
  }

  const std::unique_ptr<rocksdb::Iterator> at_;
  const std::string& path_;
};

class RocksIndex final : public Index {
 public:
  RocksIndex(std::unique_ptr<rocksdb::DB> db, std::vector<rocksdb::ColumnFamilyHandle*> handles,
             std::string path)
      : db_(std::move(db)), handles_(std::move(handles)), path_(std::move(path)) {}
  ~RocksIndex() override {
    rocksdb::CancelAllBackgroundWork(db_.get(), true);
    for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  }

  Status load_position();
  Result<std::optional<Bytes>> get(Table table, ByteView key, Patience patience) const override;
  std::unique_ptr<Cursor> cursor(Table table) const override;
  std::vector<std::unique_ptr<Cursor>> cursors(std::span<const Table> tables) const override;
  Status apply(const std::vector<IndexChange>& changes, Lsn upto) override;
  Status flush() override;
  Status copy_to(const std::string& path) const override;
  Lsn applied() const override { return applied_.load(std::memory_order_acquire); }
  Lsn durable() const override { return durable_.load(std::memory_order_acquire); }

 private:
  rocksdb::ColumnFamilyHandle* family(Table table) const { return handles_[1U + std::to_underlying(table)]; }
  std::unexpected<Error> failed(std::string_view what, const rocksdb::Status& status) const {
    return fail(code_of(status), fmt::format("{} the index {}: {}", what, path_, status.ToString()));
  }

  const std::unique_ptr<rocksdb::DB> db_;
  const std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // in the order of kFamilies
  const std::string path_;
  std::atomic<Lsn> applied_ = 0;
  std::atomic<Lsn> durable_ = 0;
};

Status RocksIndex::load_position() {
  Bytes value;
  const rocksdb::Status status = db_->Get({}, handles_[0], slice(kPositionKey), &value);
  if (status.IsNotFound()) return {};  // new, or never flushed
  if (!status.ok()) return failed("opening", status);
  Reader in(value);
  const std::uint8_t version = in.u8();
  const Lsn position = in.u64();
  if (!in.done() || version != kPositionVersion) {
    return fail(Errc::kCorrupt, fmt::format("the index {} has a position that cannot be read", path_));
  }
  applied_ = position;
  durable_ = position;
  return {};
}

Result<std::optional<Bytes>> RocksIndex::get(Table table, ByteView key, Patience patience) const {
  rocksdb::ReadOptions options;
  if (patience == Patience::kMemory) options.read_tier = rocksdb::kBlockCacheTier;
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = db_->Get(options, family(table), slice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return failed("reading", status);
  return Bytes(view(value));
}

std::unique_ptr<Cursor> RocksIndex::cursor(Table table) const {
  std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}, family(table)));
  return std::make_unique<RocksCursor>(std::move(at), path_);
}

std::vector<std::unique_ptr<Cursor>> RocksIndex::cursors(std::span<const Table> tables) const {
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  for (const Table table : tables) handles.push_back(family(table));
  std::vector<rocksdb::Iterator*> made;
  rocksdb::ReadOptions options;
  options.snapshot = db_->GetSnapshot();
  const rocksdb::Status status = db_->NewIterators(options, handles, &made);
  db_->ReleaseSnapshot(options.snapshot);  // the iterators hold what they read
  HR_CHECK(status.ok());                   // it fails for options that it does not know, and there are none
  std::vector<std::unique_ptr<Cursor>> out;
  for (rocksdb::Iterator* at : made) {
    out.push_back(std::make_unique<RocksCursor>(std::unique_ptr<rocksdb::Iterator>(at), path_));
  }
  return out;
}

Status RocksIndex::apply(const std::vector<IndexChange>& changes, Lsn upto) {
  HR_CHECK(upto >= applied());
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  for (const IndexChange& change : changes) {
    status = change.value ? batch.Put(family(change.table), slice(change.key), slice(*change.value))
                          : batch.Delete(family(change.table), slice(change.key));
    if (!status.ok()) return failed("changing", status);
  }
  Bytes position;
  Writer out(position);
  out.u8(kPositionVersion);
  out.u64(upto);
  status = batch.Put(handles_[0], slice(kPositionKey), slice(position));
  if (!status.ok()) return failed("changing", status);
  rocksdb::WriteOptions options;
  options.disableWAL = true;  // our own log holds it until flush()
  status = db_->Write(options, &batch);
  if (!status.ok()) return failed("changing", status);
  applied_.store(upto, std::memory_order_release);
  return {};
}

Status RocksIndex::flush() {
  const Lsn upto = applied();
  if (upto == durable()) return {};
  const rocksdb::Status status = db_->Flush({}, handles_);
  if (!status.ok()) return failed("flushing", status);
  durable_.store(upto, std::memory_order_release);
  return {};
}

// All families are flushed together, so the copy stands at one position. The flush is asked for here, with
// the families named: the one that a checkpoint makes for itself chooses them before it stops the writers
// (RocksDB 7.8, FlushForGetLiveFiles) and would miss one that a write meanwhile fills.
Status RocksIndex::copy_to(const std::string& path) const {
  constexpr std::uint64_t kNoFlush = UINT64_MAX;
  rocksdb::Status status = db_->Flush({}, handles_);
  rocksdb::Checkpoint* made = nullptr;
  if (status.ok()) status = rocksdb::Checkpoint::Create(db_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(path, kNoFlush);
  if (!status.ok()) return failed("copying", status);
  return {};
}

// The names of the folder and of those above it have to outlive a crash too; RocksDB syncs only what is
// inside.
Status make_folder(const std::string& path) {
  rocksdb::Env& env = *rocksdb::Env::Default();
  if (env.FileExists(path).ok()) return {};
  const std::string above = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  if (above != path) HR_TRY(make_folder(above));
  rocksdb::Status status = env.CreateDirIfMissing(path);
  std::unique_ptr<rocksdb::Directory> names;
  if (status.ok()) status = env.NewDirectory(above, &names);
  if (status.ok()) status = names->Fsync();
  if (status.ok()) return {};
  return fail(code_of(status), fmt::format("cannot make the folder {}: {}", path, status.ToString()));
}

// Without CURRENT RocksDB would begin anew in a folder that holds data.
Status check_folder(const std::string& path) {
  rocksdb::Env& env = *rocksdb::Env::Default();
  std::vector<std::string> names;
  const rocksdb::Status status = env.GetChildren(path, &names);
  if (!status.ok())
    return fail(code_of(status), fmt::format("cannot list the folder {}: {}", path, status.ToString()));
  if (std::ranges::find(names, "CURRENT") != names.end()) return {};
  if (std::ranges::none_of(names, [](const std::string& name) { return name.ends_with(".sst"); })) return {};
  return fail(Errc::kCorrupt, fmt::format("the index {} holds data but its file CURRENT is gone", path));
}

}  // namespace

Result<std::unique_ptr<Index>> open_rocksdb_index_read_only(const std::string& path) {
  HR_TRY(check_folder(path));
  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(rocksdb::DBOptions(), path, families(), &handles, &opened);
  if (!status.ok()) {
    return fail(code_of(status), fmt::format("opening the index {}: {}", path, status.ToString()));
  }
  auto index = std::make_unique<RocksIndex>(std::unique_ptr<rocksdb::DB>(opened), std::move(handles), path);
  HR_TRY(index->load_position());
  return index;
}

Result<std::unique_ptr<Index>> open_rocksdb_index(const std::string& path) {
  if (!path.starts_with('/')) {
    return fail(Errc::kInvalid, fmt::format("the index path {} is not absolute", path));
  }
  HR_TRY(make_folder(path));
  HR_TRY(check_folder(path));
  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status status = rocksdb::DB::Open(db_options(), path, families(), &handles, &opened);
  if (!status.ok()) {
    return fail(code_of(status), fmt::format("opening the index {}: {}", path, status.ToString()));
  }
  auto index = std::make_unique<RocksIndex>(std::unique_ptr<rocksdb::DB>(opened), std::move(handles), path);
  HR_TRY(index->load_position());
  return index;
}

}  // namespace hr::storage
