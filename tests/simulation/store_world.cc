#include "store_world.h"

#include "codec/digest.h"
#include "index_around.h"
#include "object/coding.h"
#include "queue/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::sim {
namespace {

constexpr const char* kAccount = "000000000000";
constexpr const char* kBucket = "inbox";
constexpr const char* kEventsArn = "arn:aws:sqs:us-east-1:000000000000:events";

class Silent final : public LogSink {
 public:
  bool wants(Severity) const override { return false; }
  void write(Severity, std::string_view, std::span<const Field>) override {}
};

// What the oracle knows of one message: where it is, and how far its fate was acknowledged.
struct Message {
  std::string body;
  bool sent = false;         // acknowledged
  bool erase_asked = false;  // perhaps deleted
  bool erased = false;       // acknowledged
  Time leased_until{};       // as acknowledged
  std::optional<queue::Receipt> receipt;
};

class World {
 public:
  World(std::uint64_t seed, const StoreParts& parts) : dice_(seed), parts_(parts), entropy_(seed ^ 0xabcdef) {
    lying_disk_ = parts.disk ? parts.disk(disk_) : nullptr;
    seen_disk_ = lying_disk_ ? lying_disk_.get() : &disk_;
  }

  StoreRun run(std::uint64_t operations) {
    open();
    prepare();
    while (!run_.difference && run_.operations < operations) {
      ++run_.operations;
      step();
    }
    if (!run_.difference) crash(true);
    if (!run_.difference) shrink();
    return run_;
  }

 private:
  // --- life and death ---

  void open() {
    auto index = parts_.index ? parts_.index(index_) : std::make_unique<IndexAround>(index_);
    commit::RecoveryOptions options;
    options.log.segment_bytes = 64U << 10;
    options.log.batch_bytes_max = 32U << 10;
    options.queues.tick_messages_max = 50;
    auto recovered = commit::recover(*seen_disk_, entropy_, std::move(index), options);
    if (!recovered) return differ("recovery refused: " + recovered.error().message);
    recovered_ = std::move(*recovered);
    clock_.begin_again(recovered_->report.logged);
    if (parts_.log) recovered_->log = parts_.log(std::move(recovered_->log));
    store_.emplace(commit::Store::Parts{.log = *recovered_->log,
                                        .queues = *recovered_->queues,
                                        .objects = *recovered_->objects,
                                        .clock = clock_,
                                        .entropy = entropy_,
                                        .diary = hr::Log(silent_),
                                        .deadline_moved = {},
                                        .recovered = recovered_->report.last});
    if (parts_.state) recovered_->state = parts_.state(std::move(recovered_->state));
    keeper_.emplace(commit::Keeper::Parts{.store = *store_,
                                          .queues = *recovered_->queues,
                                          .log = *recovered_->log,
                                          .files = *recovered_->state,
                                          .index = *recovered_->index,
                                          .flush_index = [this] { flush_index(); },
                                          .drop_log = [this](auto lsn, auto segment) { drop(lsn, segment); },
                                          .diary = hr::Log(silent_)},
                    commit::Keeper::Limits{.checkpoint_bytes = 24U << 10,
                                           .segment_bytes = options.log.segment_bytes,
                                           .copy_bytes = 4U << 10},
                    recovered_->report.bytes_read);
  }

  void crash(bool power) {
    ++run_.crashes;
    run_.rounds += keeper_->rounds();
    keeper_.reset();
    store_.reset();
    const bool twice = dice_.percent(20);
    recovered_.reset();
    if (power) {
      disk_.crash(dice_.u64(), {.odds = {}, .half_sectors = dice_.percent(30)});
    } else {
      disk_.restart();
    }
    index_.crash();  // the index's memory ends with the process, and it syncs on flush only
    if (dice_.percent(30)) set_host_clock();
    open();
    if (run_.difference) return;
    check(power);
    if (twice && !run_.difference) again();
  }

  // While nothing runs: by hand, by chrony's first step, or by a hardware clock without a battery.
  void set_host_clock() {
    ++run_.clock_jumps;
    clock_.set_wall(clock_.wall() + Duration(dice_.between(0, 7'200'000)) - 1h);
  }

  // Recovery again, from what recovery left: the same state.
  void again() {
    const auto before = described();
    keeper_.reset();
    store_.reset();
    recovered_.reset();
    disk_.crash(dice_.u64());
    index_.crash();
    open();
    if (!run_.difference && described() != before) differ("a second recovery gives another state");
  }

  std::string described() const {
    std::string all;
    recovered_->queues->describe([&](std::string_view line) { all.append(line).push_back('\n'); });
    const auto cursor = recovered_->index->cursor(storage::Table::kObjects);
    for (auto ok = cursor->seek({}); ok && cursor->valid(); ok = cursor->next()) {
      all.append(cursor->key()).append(cursor->value());
    }
    return all;
  }

  void differ(std::string what) {
    if (!run_.difference) run_.difference = std::move(what);
  }

  // --- the two threads, one step at a time ---

  void log_write() {
    if (!recovered_->log->wait(0ms)) return;
    auto written = recovered_->log->write();
    if (!written) return store_->on_failed(written.error());
    written_ = *written;
    store_->on_written(written_);
    if (parts_.durable_is_written) durable(written_);
  }
  void log_sync() {
    auto synced = recovered_->log->sync();
    if (!synced) return store_->on_failed(synced.error());
    durable(*synced);
  }
  void durable(storage::Lsn upto) {
    store_->on_durable(upto);
    for (auto& record : store_->take_applicable(upto)) to_apply_.push_back(std::move(record));
  }
  void apply() {
    if (to_apply_.empty()) return;
    auto applied = recovered_->applier->apply(std::exchange(to_apply_, {}));
    if (!applied) return differ("apply failed: " + applied.error().message);
    store_->on_applied(*applied);
    if (dice_.percent(10)) static_cast<void>(recovered_->applier->flush());
  }
  void flush_index() {
    apply();
    auto applied = recovered_->applier->apply({}, store_->durable());
    if (!applied) return differ("apply failed: " + applied.error().message);
    static_cast<void>(recovered_->applier->flush());
  }
  void drop(storage::Lsn lsn, std::uint32_t segment) {
    const auto first = recovered_->log->stats().first_segment;
    if (auto dropped = recovered_->log->drop_before(lsn, segment); !dropped)
      store_->on_failed(dropped.error());
    run_.dropped += recovered_->log->stats().first_segment - first;
  }
  void keep() {
    if (auto kept = keeper_->step(); !kept) differ("the keeper failed: " + kept.error().message);
  }
  // With everything deleted the log is short, and so it is found again.
  void shrink() {
    for (const auto queue : {jobs_, events_}) {
      store_->change_queues(
          {.records = 4, .bytes = 1024, .space = storage::Space::kShrink}, storage::Release::kDurable,
          [&](queue::Engine& engine, Time now, queue::Effects& out) {
            static_cast<void>(engine.purge(queue, now, out));
          },
          [](Status) {});
    }
    messages_.clear();
    for (int i = 0; i < 200 && !run_.difference; ++i) {
      settle();
      store_->tick();
      if (i < 100) send();
      keep();
    }
    const auto log = recovered_->log->stats();
    const std::uint64_t live = recovered_->queues->live_bytes();
    if (log.bytes > 4 * live + 4 * (64U << 10)) {
      return differ(fmt::format("the log is {} bytes long, {} of them live", log.bytes, live));
    }
    again();
  }
  void settle() {
    while (recovered_->log->wait(0ms)) log_write();
    log_sync();
    apply();
  }

  // --- commands ---

  void prepare() {
    if (run_.difference) return;
    for (const char* name : {"jobs", "events"}) {
      store_->change_queues(
          {.records = 8, .bytes = 8192}, storage::Release::kDurable,
          [&](queue::Engine& engine, Time now, queue::Effects& out) {
            const auto id =
                engine.create({.account = kAccount, .name = name, .attributes = {}, .tags = {}}, now, out);
            (std::string_view(name) == "jobs" ? jobs_ : events_) = id.value();
          },
          [](Status) {});
    }
    store_->change_objects(
        {.records = 8, .bytes = 8192},
        [&](object::Engine& engine, Time now, object::Effects& out) {
          static_cast<void>(engine.create_bucket(kBucket, kAccount, "us-east-1", now, out));
          static_cast<void>(engine.set_notifications(kBucket,
                                                     {{.id = "all",
                                                       .queue_arn = kEventsArn,
                                                       .events = {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
                                                       .prefix = {},
                                                       .suffix = {}}},
                                                     "request", now, out));
        },
        [](Status) {});
    settle();
  }

  void step() {
    const auto dice = dice_.below(1'300);
    if (dice >= 1'000) return keep();
    if (dice < 180) return send();
    if (dice < 300) return receive();
    if (dice < 400) return erase();
    if (dice < 470) return change_visibility();
    if (dice < 590) return put();
    if (dice < 640) return remove();
    if (dice < 790) return log_write();
    if (dice < 890) return log_sync();
    if (dice < 950) return apply();
    if (dice < 985) return pass_time();
    if (dice < 990) return settle();
    crash(dice_.percent(60));
  }

  void pass_time() {
    clock_.advance(Duration(dice_.between(1, 20'000)));
    store_->tick();
  }

  void send() {
    const std::string body =
        fmt::format("m{}-{}", ++number_, std::string(dice_.below(dice_.percent(20) ? 6'000 : 200), 'b'));
    const queue::SendEntry entry{.id = entropy_.uuid(),
                                 .content = queue::encode_content({.body = body,
                                                                   .attributes = {},
                                                                   .md5_of_body = codec::md5_hex(body),
                                                                   .md5_of_attributes = {},
                                                                   .sender = "sim",
                                                                   .trace_header = {},
                                                                   .group = {}}),
                                 .delay = {}};
    const auto bound = store_->queues().bound(std::span(&entry, 1));
    const auto seq = std::make_shared<std::uint64_t>(0);  // shared: the answer comes after this frame
    store_->change_queues(
        {.records = bound.records, .bytes = bound.bytes}, storage::Release::kDurable,
        [&](queue::Engine& engine, Time now, queue::Effects& out) {
          *seq = static_cast<std::uint64_t>(
              engine.send(jobs_, std::span(&entry, 1), now, out).value().front().seq);
          messages_[*seq] = {.body = body, .receipt = {}};
        },
        [this, seq](Status status) {
          if (!status) return;
          ++run_.acknowledged;
          messages_.at(*seq).sent = true;
        });
  }

  void receive() {
    const Duration visibility(dice_.between(1'000, 40'000));
    const Time asked = clock_.now();
    const queue::ReceiveRequest request{.max_messages = static_cast<int>(dice_.between(1, 4)),
                                        .visibility = visibility,
                                        .wait_until = dice_.percent(30) ? asked + 5s : Time{},
                                        .waiter = {}};
    store_->receive(jobs_, request, [this, leased = asked + visibility](auto result) {
      if (!result || !*result) return;
      for (const auto& delivery : **result) delivered(delivery, leased);
    });
  }

  // `leased`: no earlier than this does the lease end.
  void delivered(const queue::Delivery& delivery, Time leased) {
    const auto seq = static_cast<std::uint64_t>(delivery.receipt.seq);
    const auto found = messages_.find(seq);
    if (found == messages_.end()) return differ(fmt::format("message {} was never sent", seq));
    Message& message = found->second;
    if (message.erased) return differ(fmt::format("message {} was delivered after its delete", seq));
    if (clock_.now() < message.leased_until)
      return differ(fmt::format("message {} was delivered early", seq));
    if (!reads_as(message, delivery.content)) return differ(fmt::format("message {} has another body", seq));
    message.receipt = delivery.receipt;
    message.leased_until = leased;
    leased_.insert(seq);
    ++run_.acknowledged;
  }

  bool reads_as(const Message& message, const storage::Location& where) const {
    const auto record = store_->read(where);
    const auto content = record ? queue::decode_delivered(*record) : std::unexpected(record.error());
    return content && content->body == message.body;
  }

  std::optional<std::uint64_t> some_leased() {
    if (leased_.empty()) return {};
    return *std::next(leased_.begin(), static_cast<std::ptrdiff_t>(dice_.below(leased_.size())));
  }

  void erase() {
    const auto seq = some_leased();
    if (!seq) return;
    leased_.erase(*seq);
    const queue::Receipt receipt = *messages_.at(*seq).receipt;
    const auto good = std::make_shared<bool>(false);
    store_->change_queues(
        {.records = 4, .bytes = 1024, .space = storage::Space::kShrink}, parts_.delete_release,
        [&](queue::Engine& engine, Time now, queue::Effects& out) {
          const auto outcome = engine.erase(jobs_, std::span(&receipt, 1), now, out);
          *good = outcome && outcome->front();
          if (*good) messages_.at(*seq).erase_asked = true;
        },
        [this, number = *seq, good](Status status) {
          if (!status || !*good) return;
          messages_.at(number).erased = true;
          ++run_.acknowledged;
        });
  }

  // Long leases that were acknowledged are what must outlive a killed process.
  void change_visibility() {
    const auto seq = some_leased();
    if (!seq) return;
    leased_.erase(*seq);
    const queue::Engine::Visibility change{.receipt = *messages_.at(*seq).receipt, .timeout = 30min};
    const auto good = std::make_shared<bool>(false);
    store_->change_queues(
        {.records = 4, .bytes = 1024, .space = storage::Space::kShrink}, storage::Release::kWritten,
        [&](queue::Engine& engine, Time now, queue::Effects& out) {
          const auto outcome = engine.change_visibility(jobs_, std::span(&change, 1), now, out);
          *good = outcome && outcome->front();
        },
        [this, number = *seq, until = clock_.now() + 30min, good](Status status) {
          if (!status || !*good) return;
          messages_.at(number).leased_until = until;
          ++run_.acknowledged;
        });
  }

  std::string some_key() { return fmt::format("k{}", dice_.below(12)); }

  std::optional<object::Object> stored(const std::string& key) {
    const auto value = recovered_->index->get(storage::Table::kObjects,
                                              object::object_key(store_->objects().bucket(kBucket)->id, key),
                                              storage::Patience::kAny);
    if (!value || !*value) return {};
    auto object = object::decode_object(**value);
    return object ? std::optional(*object) : std::nullopt;
  }

  void put() {
    object::PutObject request;
    request.bucket = kBucket;
    request.key = some_key();
    request.inline_body = fmt::format("body {}", ++number_);
    request.object.bytes = request.inline_body.size();
    request.object.etag = codec::md5_hex(request.inline_body);
    request.event_name = "ObjectCreated:Put";
    request.condition.if_none_match_any = dice_.percent(25);
    auto watch = store_->objects().watch_key(store_->objects().bucket(kBucket)->id, request.key);
    const auto known = stored(request.key);
    change_object(request.key, [&](object::Engine& engine, Time now, object::Effects& out) {
      const auto done = engine.put(request, watch, known, now, out);
      return done ? done->sequencer : 0;
    });
  }

  void remove() {
    const object::DeleteObject request{.bucket = kBucket,
                                       .key = some_key(),
                                       .if_match = {},
                                       .principal = {},
                                       .source_ip = {},
                                       .request_id = {}};
    auto watch = store_->objects().watch_key(store_->objects().bucket(kBucket)->id, request.key);
    const auto known = stored(request.key);
    change_object(request.key, [&](object::Engine& engine, Time now, object::Effects& out) {
      const auto done = engine.remove(request, watch, known, now, out);
      return done ? done->sequencer : 0;
    });
  }

  template <class Decide>
  void change_object(const std::string& key, const Decide& decide) {
    const auto sequencer = std::make_shared<std::uint64_t>(0);
    store_->change_objects(
        {.records = 4, .bytes = 8192, .events = 1},
        [&](object::Engine& engine, Time now, object::Effects& out) {
          *sequencer = decide(engine, now, out);
        },
        [this, sequencer, key](Status status) {
          if (!status || *sequencer == 0) return;
          ++run_.acknowledged;
          auto& newest = newest_acknowledged_[key];
          newest = std::max(newest, *sequencer);
        });
  }

  // --- the oracle, after a crash ---

  void check(bool power) {
    to_apply_.clear();
    if (store_->objects().bucket(kBucket) == nullptr)
      return differ("the bucket was acknowledged and is gone");
    if (store_->queues().find(events_) == nullptr) return differ("a queue was acknowledged and is gone");
    check_messages(power);
    check_objects();
    if (auto audited = recovered_->queues->audit(); !audited) differ("audit: " + audited.error().message);
    leased_.clear();
  }

  void check_messages(bool power) {
    for (auto& [seq, message] : messages_) {
      const auto where = recovered_->queues->location(jobs_, queue::Seq{seq});
      if (message.erased && where) return differ(fmt::format("message {} is back after its delete", seq));
      if (message.sent && !message.erase_asked && !where) {
        return differ(fmt::format("message {} was acknowledged and is gone", seq));
      }
      if (where && !reads_as(message, *where)) return differ(fmt::format("message {} has another body", seq));
      // What was unknown is known now. A power cut takes the leases that were only written.
      message.erased = !where;
      message.sent = true;
      message.erase_asked = false;
      if (power) message.leased_until = {};
    }
    // The numbers of those that never became durable are given out again.
    std::erase_if(messages_, [](const auto& entry) { return entry.second.erased; });
  }

  // Each key as its newest event says; nothing older than what was acknowledged.
  void check_objects() {
    std::map<std::string, std::pair<std::string, bool>> newest;  // key -> sequencer text, created
    for (std::uint64_t seq = 1;; ++seq) {
      const auto where = recovered_->queues->location(events_, queue::Seq{seq});
      if (!where) break;
      const auto record = store_->read(*where);
      const auto content = record ? queue::decode_delivered(*record) : std::unexpected(record.error());
      if (!content) return differ("an event cannot be read: " + content.error().message);
      const std::string& text = content->body;
      if (text.find("s3:TestEvent") != text.npos) continue;
      auto& entry = newest[field(text, "key")];
      const std::string sequencer = field(text, "sequencer");
      if (!entry.first.empty() && sequencer <= entry.first)
        return differ("an event's sequencer does not grow");
      entry = {sequencer, field(text, "eventName").starts_with("ObjectCreated")};
    }
    for (int i = 0; i < 12; ++i) {
      const std::string key = fmt::format("k{}", i);
      const auto object = stored(key);
      const auto event = newest.find(key);
      const bool created = event != newest.end() && event->second.second;
      if (object.has_value() != created) {
        return differ(
            fmt::format("{}: {} but its newest event says otherwise", key, object ? "there" : "not there"));
      }
      const std::uint64_t sequencer =
          event == newest.end() ? 0 : std::stoull(event->second.first, nullptr, 16);
      if (object && object->sequencer != sequencer) return differ(key + ": the event of another write");
      if (sequencer < newest_acknowledged_[key]) return differ(key + ": an acknowledged write is gone");
    }
  }

  static std::string field(const std::string& json, const std::string& name) {
    const std::string mark = "\"" + name + "\":\"";
    const std::size_t at = json.find(mark);
    if (at == json.npos) return {};
    const std::size_t begin = at + mark.size();
    return json.substr(begin, json.find('"', begin) - begin);
  }

  Random dice_;
  const StoreParts& parts_;
  SimEntropy entropy_;
  SimClock clock_;
  SimDisk disk_;
  std::unique_ptr<os::Disk> lying_disk_;
  os::Disk* seen_disk_ = nullptr;
  storage::MemoryIndex index_;
  Silent silent_;
  std::optional<commit::Recovered> recovered_;
  std::optional<commit::Store> store_;
  std::optional<commit::Keeper> keeper_;
  std::vector<object::AppliedRecord> to_apply_;
  storage::Lsn written_ = 0;

  queue::QueueId jobs_{}, events_{};
  std::uint64_t number_ = 0;
  std::map<std::uint64_t, Message> messages_;  // by seq
  std::set<std::uint64_t> leased_;
  std::map<std::string, std::uint64_t> newest_acknowledged_;
  StoreRun run_;
};

}  // namespace

StoreRun run_store_world(std::uint64_t seed, std::uint64_t operations, const StoreParts& parts) {
  return World(seed, parts).run(operations);
}

}  // namespace hr::sim
