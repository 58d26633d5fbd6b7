#include "commit/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace hr::commit {
namespace {

bool is_queue_record(std::uint8_t kind) { return kind >= 1 && kind <= 63; }

Status load_buckets(const storage::Index& index, object::Engine& objects) {
  const auto cursor = index.cursor(storage::Table::kBuckets);
  HR_TRY(cursor->seek({}));
  while (cursor->valid()) {
    HR_TRY(objects.load_bucket(cursor->value()));
    HR_TRY(cursor->next());
  }
  return {};
}

Status load_uploads(const storage::Index& index, object::Engine& objects) {
  const auto cursor = index.cursor(storage::Table::kUploads);
  HR_TRY(cursor->seek({}));
  while (cursor->valid()) {
    HR_TRY(objects.load_upload(cursor->key(), cursor->value()));
    HR_TRY(cursor->next());
  }
  return {};
}

// Feeds both engines and, from the index's position on, the index.
class Replay {
 public:
  Replay(Recovered& out, std::vector<object::AppliedRecord>& late)
      : out_(out), late_(late), applied_(out.index->applied()), captured_(out.state->position()) {}

  Status operator()(const storage::RecoveredRecord& record) {
    if (is_queue_record(record.kind)) {
      return record.lsn <= captured_ ? Status() : out_.queues->restore(record);
    }
    if (!object::is_object_record(record.kind)) {
      return fail(Errc::kCorrupt, "a record of unknown kind " + std::to_string(record.kind) +
                                      "; was the log written by a newer version?");
    }
    HR_TRY(out_.objects->restore(record));
    if (record.lsn <= applied_) return {};
    late_.push_back({record.lsn, record.kind, Bytes(record.payload)});
    return {};
  }

 private:
  Recovered& out_;
  std::vector<object::AppliedRecord>& late_;
  storage::Lsn applied_;
  storage::Lsn captured_;
};

// Neither the state nor the index may be ahead of the log, and none of the records between may be missing.
Status check_positions(const Recovered& out) {
  const auto& report = out.report;
  const auto check = [&](const char* what, storage::Lsn position) -> Status {
    if (position > report.last) {
      return fail(Errc::kCorrupt, fmt::format("the {} is ahead of the log: {} > {}; the log has lost records",
                                              what, position, report.last));
    }
    if (position + 1 >= report.first) return {};
    return fail(Errc::kCorrupt,
                fmt::format("the log begins at {}, but the {} is only at {}; was it taken from "
                            "another store, or from an older copy?",
                            report.first, what, position));
  };
  HR_TRY(check("index", out.index->applied()));
  return check("state", out.state->position());
}

}  // namespace

Result<Recovered> recover(os::Disk& disk, os::Entropy& entropy, std::unique_ptr<storage::Index> index,
                          const RecoveryOptions& options) {
  Recovered out;
  out.index = std::move(index);
  out.queues = std::make_unique<queue::Engine>(options.queues);
  out.objects = std::make_unique<object::Engine>(options.objects);
  HR_TRY(load_buckets(*out.index, *out.objects));
  HR_TRY(load_uploads(*out.index, *out.objects));
  HR_ASSIGN(out.state, storage::open_state_files(disk));
  HR_TRY(out.state->load(
      [&](storage::BlockKey block, ByteView bytes) { return out.queues->load(block, bytes); }));
  HR_TRY(out.queues->loaded());

  std::vector<object::AppliedRecord> late;
  storage::LogOptions log = options.log;
  log.replay_from = std::min(out.index->applied(), out.state->position()) + 1;
  HR_ASSIGN(out.log, storage::open_log(disk, entropy, log, Replay(out, late), out.report));
  HR_TRY(check_positions(out));
  HR_ASSIGN(out.blobs, storage::open_blobs(disk, out.log->epoch()));
  out.applier = std::make_unique<object::Applier>(*out.index, *out.blobs);
  out.replayed_object_records = late.size();
  HR_TRY(out.applier->apply(late, out.report.last));
  return out;
}

}  // namespace hr::commit
