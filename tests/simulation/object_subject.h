// What the simulation judges: object engine, applier, listing and sweep around an index and files in memory,
// with a log that can be cut at a crash. The planted bugs are variants of it that override one step; the
// product knows nothing of them.
#pragma once

#include "object/applier.h"
#include "object/engine.h"
#include "object/listing.h"
#include "storage/index/memory_index.h"

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hr::sim {

using storage::BlobName;
using storage::Lsn;

// Blobs without a disk: what is committed is durable.
class MemoryBlobs final : public storage::BlobStore {
 public:
  Result<std::unique_ptr<storage::BlobWriter>> create() override;
  Result<std::unique_ptr<os::File>> open(const BlobName& name) const override;
  Status remove(const BlobName& name) override;
  std::shared_ptr<void> pin(std::vector<BlobName>) override { return {}; }
  std::shared_ptr<void> hold() override { return {}; }
  BlobName next() const override { return {epoch_, number_ + 1}; }
  Result<std::vector<BlobName>> list(unsigned folder) const override;

  const std::map<BlobName, Bytes>& files() const { return files_; }
  std::uint64_t epoch() const { return epoch_; }
  void restart() { ++epoch_, number_ = 0; }

 private:
  friend class MemoryBlobWriter;
  std::map<BlobName, Bytes> files_;
  std::uint64_t epoch_ = 1, number_ = 0;
};

class ObjectSubject {
 public:
  explicit ObjectSubject(object::Limits limits);
  virtual ~ObjectSubject() = default;
  ObjectSubject(const ObjectSubject&) = delete;
  ObjectSubject& operator=(const ObjectSubject&) = delete;

  struct Group {
    Lsn lsn = 0;
    std::vector<storage::Record> records;
    std::size_t events = 0;
  };
  using Known = std::optional<object::Object>;
  template <class T>
  using Outcome = object::Outcome<T>;

  // --- commands, as the sequencing thread gives them ---
  virtual object::Watch watch_key(object::BucketId bucket, const std::string& key) {
    return engine().watch_key(bucket, key);
  }
  virtual Outcome<object::WriteDone> put(const object::PutObject& request, const object::Watch& watch,
                                         const Known& known, Time now, object::Effects& out) {
    return engine().put(request, watch, known, now, out);
  }
  virtual Outcome<object::WriteDone> remove(const object::DeleteObject& request, const object::Watch& watch,
                                            const Known& known, Time now, object::Effects& out) {
    return engine().remove(request, watch, known, now, out);
  }
  virtual Outcome<object::WriteDone> set_tags(const object::SetTags& request, const object::Watch& watch,
                                              const Known& known, Time now, object::Effects& out) {
    return engine().set_tags(request, watch, known, now, out);
  }
  virtual Outcome<void> delete_bucket(const std::string& name, const object::Watch& watch, bool index_empty,
                                      object::Effects& out) {
    return engine().delete_bucket(name, watch, index_empty, out);
  }
  virtual object::Watch watch_parts(object::UploadId upload) { return engine().watch_parts(upload); }
  virtual Outcome<object::WriteDone> complete(const object::CompleteUpload& request,
                                              const object::Watch& parts, const object::Watch& key,
                                              const Known& known, Time now, object::Effects& out) {
    return engine().complete_upload(request, parts, key, known, now, out);
  }
  virtual Result<object::ListPage> list(const object::ListRequest& request) {
    return object::list_objects(index_, request);
  }

  // --- the pipeline ---
  Lsn next_lsn() const { return next_lsn_; }
  void append(object::Effects& step);  // as one group, if there is anything
  void sync(Lsn upto) { durable_ = std::max(durable_, upto); }
  Status apply(std::size_t groups);  // at most so many of those that may be applied
  virtual void report() { engine().applied(index_.applied()); }
  Status maybe_flush(Time now) { return applier_->maybe_flush(now); }

  // The power fails: the log ends after `cut`. Recovery reads it from `from` on, which the index has.
  Status crash(Lsn cut, Lsn from);
  virtual Result<object::SweepReport> sweep();

  // --- for who watches ---
  object::Engine& engine() { return *engine_; }
  storage::MemoryIndex& index() { return index_; }
  MemoryBlobs& blobs() { return blobs_; }
  Lsn durable() const { return durable_; }
  const std::vector<Group>& log() const { return log_; }

 protected:
  // What the log keeps of a group.
  virtual Group logged(Group group) { return group; }
  // How far the applier may go.
  virtual Lsn applicable() const { return durable_; }
  virtual Status apply_records(std::span<const object::AppliedRecord> records) {
    const auto upto = applier_->apply(records);
    return upto ? Status() : std::unexpected(upto.error());
  }
  virtual std::uint64_t sweep_epoch() const { return blobs_.epoch(); }
  virtual void on_append(const Group&) {}

 private:
  Status recover(Lsn from);
  std::vector<object::AppliedRecord> records_between(Lsn after, Lsn upto, std::size_t groups) const;

  const object::Limits limits_;
  storage::MemoryIndex index_;
  MemoryBlobs blobs_;
  std::unique_ptr<object::Engine> engine_;
  std::unique_ptr<object::Applier> applier_;
  std::vector<Group> log_;
  Lsn next_lsn_ = 1;
  Lsn durable_ = 0;
};

}  // namespace hr::sim
