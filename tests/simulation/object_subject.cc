#include "object_subject.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace hr::sim {

class MemoryBlobWriter final : public storage::BlobWriter {
 public:
  MemoryBlobWriter(MemoryBlobs& store, BlobName name) : store_(store), name_(name) {}
  Status append(ByteView data) override {
    content_ += data;
    return {};
  }
  Result<BlobName> commit() override {
    store_.files_[name_] = content_;
    return name_;
  }
  std::uint64_t bytes() const override { return content_.size(); }

 private:
  MemoryBlobs& store_;
  BlobName name_;
  Bytes content_;
};

Result<std::unique_ptr<storage::BlobWriter>> MemoryBlobs::create() {
  return std::make_unique<MemoryBlobWriter>(*this, BlobName{epoch_, ++number_});
}

Result<std::unique_ptr<os::File>> MemoryBlobs::open(const BlobName& name) const {
  return fail(Errc::kUnsupported, name.path() + " is read by files()");
}

Status MemoryBlobs::remove(const BlobName& name) {
  files_.erase(name);
  return {};
}

Result<std::vector<BlobName>> MemoryBlobs::list(unsigned folder) const {
  std::vector<BlobName> names;
  for (const auto& [name, content] : files_) {
    if (name.number % storage::kBlobFolders == folder) names.push_back(name);
  }
  return names;
}

namespace {

constexpr object::ApplierLimits kApplier{.held_bytes_max = 8U << 10, .batch_bytes_max = 600};

}  // namespace

ObjectSubject::ObjectSubject(object::Limits limits)
    : limits_(limits),
      engine_(std::make_unique<object::Engine>(limits)),
      applier_(std::make_unique<object::Applier>(index_, blobs_, kApplier)) {}

void ObjectSubject::append(object::Effects& step) {
  if (!step.records.empty()) {
    engine_->appended(step.records, next_lsn_);
    Group group{.lsn = next_lsn_++, .records = std::move(step.records), .events = step.events.size()};
    on_append(group);
    log_.push_back(logged(std::move(group)));
  }
  step = {};
}

std::vector<object::AppliedRecord> ObjectSubject::records_between(Lsn after, Lsn upto,
                                                                  std::size_t groups) const {
  std::vector<object::AppliedRecord> records;
  auto group = std::ranges::upper_bound(log_, after, {}, &Group::lsn);
  for (; group != log_.end() && group->lsn <= upto && groups > 0; ++group, --groups) {
    for (const auto& record : group->records) records.push_back({group->lsn, record.kind, record.payload});
  }
  return records;
}

Status ObjectSubject::apply(std::size_t groups) {
  const auto records = records_between(index_.applied(), applicable(), groups);
  return records.empty() ? Status() : apply_records(records);
}

Status ObjectSubject::crash(Lsn cut, Lsn from) {
  std::erase_if(log_, [&](const Group& group) { return group.lsn > cut; });
  next_lsn_ = cut + 1;
  durable_ = cut;
  index_.crash();
  if (index_.applied() > cut) return fail(Errc::kCorrupt, "the index is ahead of the log");
  return recover(from);
}

Status ObjectSubject::recover(Lsn from) {
  blobs_.restart();
  engine_ = std::make_unique<object::Engine>(limits_);
  applier_ = std::make_unique<object::Applier>(index_, blobs_, kApplier);
  const auto cursor = index_.cursor(storage::Table::kBuckets);
  HR_TRY(cursor->seek({}));
  while (cursor->valid()) {
    HR_TRY(engine_->load_bucket(cursor->value()));
    HR_TRY(cursor->next());
  }
  const auto uploads = index_.cursor(storage::Table::kUploads);
  HR_TRY(uploads->seek({}));
  while (uploads->valid()) {
    HR_TRY(engine_->load_upload(uploads->key(), uploads->value()));
    HR_TRY(uploads->next());
  }
  const auto records = records_between(from, durable_, std::numeric_limits<std::size_t>::max());
  for (const auto& record : records) {
    HR_TRY(engine_->restore({.lsn = record.lsn, .kind = record.kind, .payload = record.payload, .at = {}}));
  }
  return records.empty() ? Status() : apply_records(records);
}

Result<object::SweepReport> ObjectSubject::sweep() {
  return object::sweep_orphans(blobs_, index_, sweep_epoch(), 5);
}

}  // namespace hr::sim
