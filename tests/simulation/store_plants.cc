#include "store_plants.h"

#include "index_around.h"

#include <utility>

namespace hr::sim {
namespace {

// Passes everything on; a bug overrides one step.
class LogAround : public storage::SegmentedLog {
 public:
  explicit LogAround(std::unique_ptr<storage::SegmentedLog> log) : log_(std::move(log)) {}
  Status admit(std::size_t records, std::uint64_t bytes, storage::Space space) override {
    return log_->admit(records, bytes, space);
  }
  Result<Appended> append(std::span<const storage::Record> group, storage::Space space,
                          storage::Release release, Time now) override {
    return log_->append(group, space, release, now);
  }
  bool wait(Duration patience) override { return log_->wait(patience); }
  void kick() override { log_->kick(); }
  void wake() override { log_->wake(); }
  Result<storage::Lsn> write() override { return written_ = log_->write(); }
  bool wants_sync() const override { return log_->wants_sync(); }
  Result<storage::Lsn> sync() override { return log_->sync(); }
  Status mark() override { return log_->mark(); }
  Result<Bytes> read(const storage::Location& at) const override { return log_->read(at); }
  std::uint64_t epoch() const override { return log_->epoch(); }
  Status drop_before(storage::Lsn lsn, std::uint32_t segment) override {
    return log_->drop_before(lsn, segment);
  }
  Stats stats() const override { return log_->stats(); }

 protected:
  std::unique_ptr<storage::SegmentedLog> log_;
  Result<storage::Lsn> written_ = 0;
};

// Says "durable" without asking the disk.
class NeverSyncs final : public LogAround {
 public:
  using LogAround::LogAround;
  Result<storage::Lsn> sync() override { return written_; }
};

// The event goes into a group of its own, after the object's.
class EventApart final : public LogAround {
 public:
  using LogAround::LogAround;
  Result<Appended> append(std::span<const storage::Record> group, storage::Space space,
                          storage::Release release, Time now) override {
    const bool both = group.front().kind < 64 && group.back().kind >= 64;
    if (!both) return LogAround::append(group, space, release, now);
    std::size_t objects = 0;
    while (group[objects].kind < 64) ++objects;
    HR_ASSIGN(auto first, log_->append(group.subspan(objects), space, release, now));
    HR_ASSIGN(auto second, log_->append(group.first(objects), space, release, now));
    second.at.insert(second.at.end(), first.at.begin(), first.at.end());
    return second;
  }
};

// Leaves out every record of one kind when there are others in the group or it is alone with its like.
class Forgets final : public LogAround {
 public:
  Forgets(std::unique_ptr<storage::SegmentedLog> log, std::size_t bytes_below)
      : LogAround(std::move(log)), bytes_below_(bytes_below) {}
  // Groups of kShrink are receives, deletes and lease changes: the state of messages, not the messages.
  Result<Appended> append(std::span<const storage::Record> group, storage::Space space,
                          storage::Release release, Time now) override {
    if (space == storage::Space::kShrink && release == storage::Release::kWritten && ++count_ % 3 == 0 &&
        group.front().payload.size() < bytes_below_) {
      const storage::Record idle{.kind = group.front().kind, .payload = last_payload_};
      if (!last_payload_.empty() && last_kind_ == idle.kind) {
        auto appended = log_->append(std::span(&idle, 1), space, release, now);
        if (appended) appended->at.resize(group.size());
        return appended;
      }
    }
    if (space == storage::Space::kShrink) {
      last_payload_ = group.front().payload;
      last_kind_ = group.front().kind;
    }
    return LogAround::append(group, space, release, now);
  }

 private:
  std::size_t bytes_below_;
  std::size_t count_ = 0;
  Bytes last_payload_;
  std::uint8_t last_kind_ = 0;
};

// Loses every seventh batch of changes, but not its position.
class LosesChanges final : public IndexAround {
 public:
  using IndexAround::IndexAround;
  Status apply(const std::vector<storage::IndexChange>& changes, storage::Lsn upto) override {
    return ++count_ % 7 == 0 ? index_.apply({}, upto) : index_.apply(changes, upto);
  }

 private:
  int count_ = 0;
};

// Syncs of one label are answered and not done.
class SkipsSync final : public os::Disk {
 public:
  SkipsSync(os::Disk& disk, bool files, bool folders) : disk_(disk), files_(files), folders_(folders) {}
  Result<std::unique_ptr<os::File>> open(std::string_view path, os::OpenMode mode, os::Label label) override {
    HR_ASSIGN(auto file, disk_.open(path, mode, label));
    return std::make_unique<File>(std::move(file), files_);
  }
  Status rename(std::string_view from, std::string_view to, os::Label label) override {
    return disk_.rename(from, to, label);
  }
  Status remove(std::string_view path, os::Label label) override { return disk_.remove(path, label); }
  Status make_dir(std::string_view path, os::Label label) override { return disk_.make_dir(path, label); }
  Result<std::vector<os::DirEntry>> list(std::string_view dir, os::Label label) override {
    return disk_.list(dir, label);
  }
  Status sync_dir(std::string_view dir, os::Label label) override {
    return folders_ ? Status() : disk_.sync_dir(dir, label);
  }
  Result<os::Space> space(os::Label label) override { return disk_.space(label); }
  Result<std::unique_ptr<os::DirLock>> lock(os::Label label) override { return disk_.lock(label); }

 private:
  class File final : public os::File {
   public:
    File(std::unique_ptr<os::File> file, bool skip) : file_(std::move(file)), skip_(skip) {}
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out, os::Label label) override {
      return file_->read_at(offset, out, label);
    }
    Status write_at(std::uint64_t offset, ByteView data, os::Label label) override {
      return file_->write_at(offset, data, label);
    }
    Status sync(os::Label label) override { return skip_ ? Status() : file_->sync(label); }
    Status allocate(std::uint64_t bytes, os::Label label) override { return file_->allocate(bytes, label); }
    Status truncate(std::uint64_t bytes, os::Label label) override { return file_->truncate(bytes, label); }
    Result<std::uint64_t> size(os::Label label) override { return file_->size(label); }
    int native_handle() const override { return file_->native_handle(); }

   private:
    std::unique_ptr<os::File> file_;
    bool skip_;
  };

  os::Disk& disk_;
  bool files_, folders_;
};

// Segments go that still hold messages.
class DropsTooMuch final : public LogAround {
 public:
  using LogAround::LogAround;
  Status drop_before(storage::Lsn lsn, std::uint32_t) override { return log_->drop_before(lsn, UINT32_MAX); }
};

// Says that what it applied is durable, and flushes nothing.
class BoastsDurable final : public IndexAround {
 public:
  using IndexAround::IndexAround;
  Status flush() override { return {}; }
  storage::Lsn durable() const override { return index_.applied(); }
};

// Passes everything on; a bug overrides one step.
class StateAround : public storage::StateFiles {
 public:
  explicit StateAround(std::unique_ptr<storage::StateFiles> files) : files_(std::move(files)) {}
  storage::Lsn position() const override { return files_->position(); }
  Status load(const Take& take) const override { return files_->load(take); }
  bool wasteful() const override { return files_->wasteful(); }
  Status begin(std::optional<std::uint8_t> carried) override { return files_->begin(carried); }
  Status add(storage::BlockKey key, ByteView bytes) override { return files_->add(key, bytes); }
  Status commit(storage::Lsn position) override { return files_->commit(position); }
  Stats stats() const override { return files_->stats(); }

 protected:
  std::unique_ptr<storage::StateFiles> files_;
};

// A block of messages that has changed stays as it was.
class LosesBlocks final : public StateAround {
 public:
  using StateAround::StateAround;
  Status add(storage::BlockKey key, ByteView bytes) override {
    return key.kind == queue::kMessageBlocks && ++count_ % 3 == 0 ? Status() : files_->add(key, bytes);
  }

 private:
  int count_ = 0;
};

// Says that it holds one group more than it does.
class ClaimsMore final : public StateAround {
 public:
  using StateAround::StateAround;
  Status commit(storage::Lsn position) override { return files_->commit(position + 1); }
};

template <class Around>
StoreParts with_state() {
  StoreParts parts;
  parts.state = [](std::unique_ptr<storage::StateFiles> files) {
    return std::make_unique<Around>(std::move(files));
  };
  return parts;
}

template <class Around>
StoreParts with_log() {
  StoreParts parts;
  parts.log = [](std::unique_ptr<storage::SegmentedLog> log) {
    return std::make_unique<Around>(std::move(log));
  };
  return parts;
}

StoreParts with_disk(bool files, bool folders) {
  StoreParts parts;
  parts.disk = [=](os::Disk& disk) { return std::make_unique<SkipsSync>(disk, files, folders); };
  return parts;
}

}  // namespace

std::vector<StorePlant> store_plants() {
  std::vector<StorePlant> plants;
  plants.push_back({"no fsync of the log", with_log<NeverSyncs>()});
  plants.push_back({"no fsync of any file", with_disk(true, false)});
  plants.push_back({"no fsync of any folder", with_disk(false, true)});
  StoreParts hasty;
  hasty.durable_is_written = true;
  plants.push_back({"acknowledged when written, not when durable", std::move(hasty)});
  StoreParts light;
  light.delete_release = storage::Release::kWritten;
  plants.push_back({"a delete is acknowledged when written", std::move(light)});
  plants.push_back({"the event is in a group of its own", with_log<EventApart>()});
  StoreParts forgets;
  forgets.log = [](std::unique_ptr<storage::SegmentedLog> log) {
    return std::make_unique<Forgets>(std::move(log), 4'096);
  };
  plants.push_back({"a lease is not logged", std::move(forgets)});
  StoreParts loses;
  loses.index = [](storage::Index& index) { return std::make_unique<LosesChanges>(index); };
  plants.push_back({"the index moves on without a change", std::move(loses)});
  plants.push_back({"segments go in which messages stand", with_log<DropsTooMuch>()});
  StoreParts boasts;
  boasts.index = [](storage::Index& index) { return std::make_unique<BoastsDurable>(index); };
  plants.push_back({"the index is not flushed when it says so", std::move(boasts)});
  plants.push_back({"a checkpoint keeps an old block", with_state<LosesBlocks>()});
  plants.push_back({"a checkpoint claims a later position", with_state<ClaimsMore>()});
  return plants;
}

}  // namespace hr::sim
