#include "object_plants.h"

#include "index_around.h"
#include "object/coding.h"
#include "object/records.h"
#include "object/watch.h"

#include <algorithm>
#include <utility>

namespace hr::sim {

using namespace hr::object;

namespace {

using storage::IndexChange;
using storage::Patience;
using storage::Table;

std::vector<BlobName> blobs_of(storage::Index& index, const Bytes& key) {
  const auto value = index.get(Table::kObjects, key, Patience::kAny);
  if (!value || !*value) return {};
  const Object object = *decode_object(**value);
  if (object.blob) return {*object.blob};
  std::vector<BlobName> blobs;
  if (object.parts == 0) return blobs;
  const auto manifest = decode_manifest(**index.get(Table::kBodies, key, Patience::kAny));
  for (const Piece& piece : *manifest) {
    if (piece.blob) blobs.push_back(*piece.blob);
  }
  return blobs;
}

std::optional<BlobName> part_blob(storage::Index& index, const Bytes& key) {
  const auto value = index.get(Table::kParts, key, Patience::kAny);
  if (!value || !*value) return std::nullopt;
  return decode_part(**value)->blob;
}

// What an application leaves without an owner, and the rows of the parts that go with a closed upload.
std::vector<BlobName> garbage_of(storage::Index& index, Application& application, bool keep_all = false) {
  std::vector<BlobName> garbage;
  for (const Bytes& key : application.replaced)
    std::ranges::copy(blobs_of(index, key), std::back_inserter(garbage));
  for (const IndexChange& change : application.changes) {
    if (change.table != Table::kParts) continue;
    if (const auto blob = part_blob(index, change.key)) garbage.push_back(*blob);
  }
  if (!application.closed) return garbage;
  const Bytes prefix = parts_prefix(application.closed->upload);
  const auto cursor = index.cursor(Table::kParts);
  for (static_cast<void>(cursor->seek(prefix)); cursor->valid() && cursor->key().starts_with(prefix);
       static_cast<void>(cursor->next())) {
    const Bytes key(cursor->key());
    application.changes.push_back({Table::kParts, key, std::nullopt});
    const auto blob = part_blob(index, key);
    const bool kept = std::ranges::binary_search(application.closed->kept, *part_number(key));
    if (blob && !kept && !keep_all) garbage.push_back(*blob);
  }
  return garbage;
}

std::optional<Fault> judge(const WriteCondition& condition, const std::optional<Object>& known) {
  if (condition.if_none_match_any && known) return Fault::kPreconditionFailed;
  if (!condition.if_match) return std::nullopt;
  if (!known) return Fault::kNoSuchKey;
  if (*condition.if_match == "*" || *condition.if_match == known->etag) return std::nullopt;
  return Fault::kPreconditionFailed;
}

class JudgedByTheIndexAlone : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<WriteDone> put(const PutObject& request, const Watch& watch, const Known& known, Time now,
                         Effects& out) override {
    if (engine().bucket(request.bucket) == nullptr) return std::unexpected(Fault::kNoSuchBucket);
    if (const auto fault = judge(request.condition, known)) return std::unexpected(*fault);
    PutObject unconditional = request;
    unconditional.condition = {};
    return engine().put(unconditional, watch, known, now, out);
  }
};

class WatchNeverMoves : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<WriteDone> put(const PutObject& request, const Watch& watch, const Known& known, Time now,
                         Effects& out) override {
    const Bucket* bucket = engine().bucket(request.bucket);
    if (bucket == nullptr) return engine().put(request, watch, known, now, out);
    return engine().put(request, engine().watch_key(bucket->id, request.key), known, now, out);
  }
};

// Moves only with decided changes, not when one of them leaves the pending table.
class WatchMissesTheApply : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Watch watch_key(BucketId bucket, const std::string& key) override {
    return table_.watch(object_key(bucket, key));
  }
  Outcome<WriteDone> put(const PutObject& request, const Watch& watch, const Known& known, Time now,
                         Effects& out) override {
    auto outcome = engine().put(request, engines_own(request.bucket, request.key, watch), known, now, out);
    if (outcome) moved(request.bucket, request.key);
    return outcome;
  }
  Outcome<WriteDone> remove(const DeleteObject& request, const Watch& watch, const Known& known, Time now,
                            Effects& out) override {
    auto outcome = engine().remove(request, engines_own(request.bucket, request.key, watch), known, now, out);
    if (outcome && outcome->existed) moved(request.bucket, request.key);
    return outcome;
  }

 private:
  Watch engines_own(const std::string& name, const std::string& key, const Watch& watch) {
    const Bucket* bucket = engine().bucket(name);
    return bucket == nullptr || watch.moved() ? Watch() : engine().watch_key(bucket->id, key);
  }
  void moved(const std::string& name, const std::string& key) {
    table_.moved(object_key(engine().bucket(name)->id, key));
  }

  WatchTable table_;
};

class BucketWatchNeverMoves : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<void> delete_bucket(const std::string& name, const Watch& watch, bool index_empty,
                              Effects& out) override {
    const Bucket* bucket = engine().bucket(name);
    if (bucket == nullptr) return engine().delete_bucket(name, watch, index_empty, out);
    return engine().delete_bucket(name, engine().watch_bucket(bucket->id), index_empty, out);
  }
};

class AppliedIsReportedAtAppend : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  void report() override { engine().applied(next_lsn() - 1); }
};

class IndexAheadOfTheLog : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;

 protected:
  Lsn applicable() const override { return next_lsn() - 1; }
};

class EventForgotten : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<WriteDone> remove(const DeleteObject& request, const Watch& watch, const Known& known, Time now,
                            Effects& out) override {
    auto outcome = engine().remove(request, watch, known, now, out);
    out.events.clear();
    return outcome;
  }
};

class EventInAGroupOfItsOwn : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;

 protected:
  Group logged(Group group) override {
    std::swap(group.events, late_);
    return group;
  }

 private:
  std::size_t late_ = 0;
};

template <Kind kKind>
class Unlogged : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;

 protected:
  Group logged(Group group) override {
    std::erase_if(group.records, [](const auto& record) { return Kind{record.kind} == kKind; });
    return group;
  }
};

class OldBlobRemovedAtAppend : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;

 protected:
  void on_append(const Group& group) override {
    for (const auto& record : group.records) {
      const auto application = application_of(record.kind, record.payload);
      for (const Bytes& key : application->replaced) {
        for (const BlobName& blob : blobs_of(index(), key)) static_cast<void>(blobs().remove(blob));
      }
    }
  }
};

// An applier of its own, with one step left to the bug.
class OwnApplier : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;

 protected:
  Status apply_records(std::span<const AppliedRecord> records) override {
    for (const AppliedRecord& record : records) {
      if (record.lsn < index().applied() || (skips(record.lsn) && record.lsn <= before_)) continue;
      HR_ASSIGN(Application application, application_of(record.kind, record.payload));
      if (application.version) {
        HR_TRY(ObjectSubject::apply_records({&record, 1}));
        continue;
      }
      const std::vector<BlobName> garbage = garbage_of(index(), application, keeps_unlisted());
      change(application.changes);
      HR_TRY(index().apply(application.changes, record.lsn));
      for (const BlobName& blob : garbage) HR_TRY(blobs().remove(blob));
    }
    before_ = index().applied();
    return {};
  }
  virtual bool skips(Lsn) const { return true; }
  virtual void change(std::vector<IndexChange>&) {}
  virtual bool keeps_unlisted() const { return false; }

 private:
  Lsn before_ = 0;
};

class ReplayIsNotIdempotent : public OwnApplier {
 public:
  using OwnApplier::OwnApplier;

 protected:
  // The newest record the index has is taken for new again.
  bool skips(Lsn) const override { return false; }
};

class InlineBodyLeftBehind : public OwnApplier {
 public:
  using OwnApplier::OwnApplier;

 protected:
  void change(std::vector<IndexChange>& changes) override {
    std::erase_if(changes,
                  [](const IndexChange& c) { return c.table == Table::kBodies && c.value == "body"; });
    if (std::exchange(once_, false)) {
      std::erase_if(changes, [](const IndexChange& c) { return c.table == Table::kBodies; });
    }
    once_ = changes.size() == 2 && !changes.front().value;
  }

 private:
  bool once_ = false;
};

// Looks for replaced files in the index only, so that one replaced within a batch is missed.
class ReplacedWithinABatchIsMissed : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;

 protected:
  Status apply_records(std::span<const AppliedRecord> records) override {
    std::vector<BlobName> garbage;
    std::vector<IndexChange> changes;
    Lsn upto = index().applied();
    for (const AppliedRecord& record : records) {
      if (record.lsn <= index().applied()) continue;
      HR_ASSIGN(Application application, application_of(record.kind, record.payload));
      if (application.version) {  // what was gathered so far is before it
        HR_TRY(index().apply(std::exchange(changes, {}), upto));
        HR_TRY(ObjectSubject::apply_records({&record, 1}));
        upto = record.lsn;
        continue;
      }
      std::ranges::copy(garbage_of(index(), application), std::back_inserter(garbage));
      std::ranges::move(application.changes, std::back_inserter(changes));
      upto = record.lsn;
    }
    HR_TRY(index().apply(changes, upto));
    for (const BlobName& blob : garbage) HR_TRY(blobs().remove(blob));
    return {};
  }
};

class SweepTakesThisRunsBlobs : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;

 protected:
  std::uint64_t sweep_epoch() const override { return 0; }
};

class WatchOfPartsNeverMoves : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<WriteDone> complete(const CompleteUpload& request, const Watch&, const Watch& key,
                              const Known& known, Time now, Effects& out) override {
    return engine().complete_upload(request, engine().watch_parts(request.upload), key, known, now, out);
  }
};

class CompletedWhateverTheCondition : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<WriteDone> complete(const CompleteUpload& request, const Watch& parts, const Watch& key,
                              const Known& known, Time now, Effects& out) override {
    CompleteUpload unconditional = request;
    unconditional.put.condition = {};
    return engine().complete_upload(unconditional, parts, key, known, now, out);
  }
};

class UnlistedPartsKeepTheirFiles : public OwnApplier {
 public:
  using OwnApplier::OwnApplier;

 protected:
  bool keeps_unlisted() const override { return true; }
};

// An index in which nothing is seen of one table.
class Blind final : public IndexAround {
 public:
  Blind(storage::Index& index, Table table) : IndexAround(index), table_(table) {}
  std::unique_ptr<storage::Cursor> cursor(Table table) const override {
    return table == table_ ? nothing_->cursor(table) : index_.cursor(table);
  }
  std::vector<std::unique_ptr<storage::Cursor>> cursors(std::span<const Table> tables) const override {
    std::vector<std::unique_ptr<storage::Cursor>> out;
    for (const Table table : tables) out.push_back(cursor(table));
    return out;
  }

 private:
  const Table table_;
  const std::unique_ptr<storage::Index> nothing_ = storage::make_memory_index();
};

template <Table kTable>
class SweepIsBlindTo : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Result<SweepReport> sweep() override {
    return sweep_orphans(blobs(), Blind(index(), kTable), sweep_epoch(), 5);
  }
};

class VersionRemovedWithoutItsWatch : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<WriteDone> remove(const DeleteObject& request, const Watch& watch, const Known& known, Time now,
                            Effects& out) override {
    const Bucket* bucket = engine().bucket(request.bucket);
    if (bucket == nullptr || !request.version) return engine().remove(request, watch, known, now, out);
    const Watch fresh = request.version->null
                            ? engine().watch_key(bucket->id, request.key)
                            : engine().watch_version(bucket->id, request.key, request.version->version);
    return engine().remove(request, fresh, known, now, out);
  }
};

class TagsOnWhatHasMoved : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<WriteDone> set_tags(const SetTags& request, const Watch& watch, const Known& known, Time now,
                              Effects& out) override {
    const Bucket* bucket = engine().bucket(request.bucket);
    if (bucket == nullptr || request.version) return engine().set_tags(request, watch, known, now, out);
    return engine().set_tags(request, engine().watch_key(bucket->id, request.key), known, now, out);
  }
};

class BucketIsEmptyWithVersions : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Outcome<void> delete_bucket(const std::string& name, const Watch& watch, bool index_empty,
                              Effects& out) override {
    const Bucket* bucket = engine().bucket(name);
    if (bucket == nullptr) return engine().delete_bucket(name, watch, index_empty, out);
    const Blind objects_only(index(), Table::kVersions);
    return engine().delete_bucket(name, watch, *bucket_is_empty(objects_only, bucket->id), out);
  }
};

// Applies version records as they should be, and then spoils one thing.
class VersionsSpoiled : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;

 protected:
  Status apply_records(std::span<const AppliedRecord> records) override {
    for (const AppliedRecord& record : records) {
      if (record.lsn < index().applied()) continue;
      HR_ASSIGN(const Application application, application_of(record.kind, record.payload));
      if (!application.version) {
        HR_TRY(ObjectSubject::apply_records({&record, 1}));
        continue;
      }
      const VersionChange& change = *application.version;
      const Bytes key = object_key(change.bucket, change.key);
      const auto null = *index().get(Table::kNulls, key, Patience::kAny);
      const auto current = *index().get(Table::kObjects, key, Patience::kAny);
      HR_TRY(ObjectSubject::apply_records({&record, 1}));
      HR_TRY(index().apply(spoiled(change, key, current, null), index().applied()));
    }
    return {};
  }
  virtual std::vector<IndexChange> spoiled(const VersionChange& change, const Bytes& key,
                                           const std::optional<Bytes>& current,
                                           const std::optional<Bytes>& null) = 0;
};

class NothingIsPromoted : public VersionsSpoiled {
 public:
  using VersionsSpoiled::VersionsSpoiled;

 protected:
  std::vector<IndexChange> spoiled(const VersionChange& change, const Bytes& key,
                                   const std::optional<Bytes>& current,
                                   const std::optional<Bytes>&) override {
    const auto now = *index().get(Table::kObjects, key, Patience::kAny);
    if (change.what != VersionChange::What::kRemove || !now || now == current) return {};
    return {{Table::kObjects, key, std::nullopt}};
  }
};

class NullIsForgotten : public VersionsSpoiled {
 public:
  using VersionsSpoiled::VersionsSpoiled;

 protected:
  std::vector<IndexChange> spoiled(const VersionChange&, const Bytes& key, const std::optional<Bytes>&,
                                   const std::optional<Bytes>& null) override {
    if (null) return {};
    return {{Table::kNulls, key, std::nullopt}};
  }
};

class OldVersionIsOverwritten : public VersionsSpoiled {
 public:
  using VersionsSpoiled::VersionsSpoiled;

 protected:
  std::vector<IndexChange> spoiled(const VersionChange& change, const Bytes&,
                                   const std::optional<Bytes>& current,
                                   const std::optional<Bytes>&) override {
    if (change.what != VersionChange::What::kPut || !current) return {};
    const std::uint64_t version = decode_object(*current)->version;
    return {{Table::kVersions, version_key(change.bucket, change.key, version), std::nullopt}};
  }
};

class ListingRepeatsAPrefix : public ObjectSubject {
 public:
  using ObjectSubject::ObjectSubject;
  Result<ListPage> list(const ListRequest& request) override {
    ListRequest naive = request;
    if (!request.after.empty() && !request.delimiter.empty() && request.after.ends_with(request.delimiter)) {
      naive.after.pop_back();
    }
    return list_objects(index(), naive);
  }
};

template <class Subject>
ObjectPlant plant(std::string name) {
  return {std::move(name), [](Limits limits) { return std::make_unique<Subject>(limits); }};
}

}  // namespace

std::vector<ObjectPlant> object_plants() {
  return {
      plant<JudgedByTheIndexAlone>("condition judged by the index alone"),
      plant<WatchNeverMoves>("watch of a key never moves"),
      plant<WatchMissesTheApply>("watch does not move at the apply"),
      plant<BucketWatchNeverMoves>("watch of a bucket never moves"),
      plant<AppliedIsReportedAtAppend>("applied is reported at the append"),
      plant<IndexAheadOfTheLog>("index applied ahead of the durable log"),
      plant<EventForgotten>("event of a removal forgotten"),
      plant<EventInAGroupOfItsOwn>("event logged a group later"),
      plant<Unlogged<Kind::kCounter>>("numbers not reserved in the log"),
      plant<Unlogged<Kind::kObjectRemoved>>("removal not logged"),
      plant<Unlogged<Kind::kBucketDeleted>>("bucket deletion not logged"),
      plant<OldBlobRemovedAtAppend>("old blob removed before the apply"),
      plant<ReplayIsNotIdempotent>("replay is not idempotent"),
      plant<InlineBodyLeftBehind>("inline body not applied"),
      plant<ReplacedWithinABatchIsMissed>("blob replaced within a batch is missed"),
      plant<SweepTakesThisRunsBlobs>("sweep takes blobs of uploads under way"),
      plant<ListingRepeatsAPrefix>("listing repeats a common prefix"),
      plant<WatchOfPartsNeverMoves>("watch of an upload's parts never moves"),
      plant<CompletedWhateverTheCondition>("completion under any condition"),
      plant<Unlogged<Kind::kUploadSet>>("begin of an upload not logged"),
      plant<Unlogged<Kind::kPartPut>>("part not logged"),
      plant<Unlogged<Kind::kUploadClosed>>("end of an upload not logged"),
      plant<UnlistedPartsKeepTheirFiles>("parts that no object took keep their files"),
      plant<SweepIsBlindTo<Table::kParts>>("sweep takes parts of uploads"),
      plant<SweepIsBlindTo<Table::kVersions>>("sweep takes old versions"),
      plant<Unlogged<Kind::kVersionPut>>("version not logged"),
      plant<Unlogged<Kind::kVersionRemoved>>("removal of a version not logged"),
      plant<Unlogged<Kind::kObjectSet>>("tags not logged"),
      plant<VersionRemovedWithoutItsWatch>("version removed though it moved"),
      plant<TagsOnWhatHasMoved>("tags set though the key moved"),
      plant<BucketIsEmptyWithVersions>("bucket deleted with versions in it"),
      plant<NothingIsPromoted>("no version becomes current again"),
      plant<NullIsForgotten>("null version is not found again"),
      plant<OldVersionIsOverwritten>("old version goes with the overwrite"),
  };
}

}  // namespace hr::sim
