#include "commit/store.h"

#include "codec/digest.h"
#include "commit/recovery.h"
#include "queue/message.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"
#include "storage/index/memory_index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hr::commit {
namespace {

constexpr const char* kAccount = "000000000000";
constexpr const char* kEventsArn = "arn:aws:sqs:us-east-1:000000000000:events";

class Silent final : public LogSink {
 public:
  bool wants(Severity) const override { return true; }
  void write(Severity, std::string_view event, std::span<const Field>) override {
    events.emplace_back(event);
  }
  std::vector<std::string> events;
};

// A store on a simulated disk. The test is its log thread and its applier: nothing moves by itself.
class Rig {
 public:
  Rig() {
    RecoveryOptions options;
    options.log.segment_bytes = 64U << 10;
    options.log.batch_bytes_max = 32U << 10;
    options.queues.tick_messages_max = 50;
    auto recovered = recover(disk, entropy_, std::make_unique<storage::MemoryIndex>(), options);
    EXPECT_TRUE(recovered) << recovered.error().message;
    recovered_ = std::move(*recovered);
    store_ = std::make_unique<Store>(Store::Parts{.log = *recovered_->log,
                                                  .queues = *recovered_->queues,
                                                  .objects = *recovered_->objects,
                                                  .clock = clock,
                                                  .entropy = entropy_,
                                                  .diary = hr::Log(log),
                                                  .deadline_moved = [this](Time) { ++deadlines_moved; }});
  }

  Store& store() { return *store_; }

  // The log thread's two steps and the applier's one; each takes all there is.
  void write() {
    while (recovered_->log->wait(0ms)) {
      auto upto = recovered_->log->write();
      if (!upto) return store_->on_failed(upto.error());
      store_->on_written(*upto);
    }
  }
  void sync() {
    auto upto = recovered_->log->sync();
    if (!upto) return store_->on_failed(upto.error());
    store_->on_durable(*upto);
  }
  void apply() {
    auto upto = recovered_->applier->apply(store_->take_applicable(store_->durable()));
    ASSERT_TRUE(upto) << upto.error().message;
    store_->on_applied(*upto);
  }
  void settle() {
    write();
    sync();
    apply();
  }

  queue::QueueId create(const std::string& name) {
    std::optional<queue::QueueId> id;
    store_->change_queues(
        {.records = 8, .bytes = 8'192}, storage::Release::kDurable,
        [&](queue::Engine& engine, Time now, queue::Effects& out) {
          id = engine.create({.account = kAccount, .name = name, .attributes = {}, .tags = {}}, now, out)
                   .value();
        },
        [](Status) {});
    settle();
    return id.value();
  }

  // `answer` stays empty until the send is answered.
  void send(queue::QueueId queue, std::optional<Status>& answer) {
    const queue::SendEntry entry{.id = entropy_.uuid(),
                                 .content = queue::encode_content({.body = "body",
                                                                   .attributes = {},
                                                                   .md5_of_body = codec::md5_hex("body"),
                                                                   .md5_of_attributes = {},
                                                                   .sender = "test",
                                                                   .trace_header = {},
                                                                   .group = {}}),
                                 .delay = {}};
    const auto bound = store_->queues().bound(std::span(&entry, 1));
    store_->change_queues(
        {.records = bound.records, .bytes = bound.bytes}, storage::Release::kDurable,
        [&](queue::Engine& engine, Time now, queue::Effects& out) {
          EXPECT_TRUE(engine.send(queue, std::span(&entry, 1), now, out));
        },
        [&answer](Status status) { answer = std::move(status); });
  }

  using Received = std::optional<Result<queue::Outcome<std::vector<queue::Delivery>>>>;
  queue::WaiterId receive(queue::QueueId queue, Received& answer, Duration wait = {}) {
    return store_->receive(queue,
                           {.max_messages = 1,
                            .visibility = 30s,
                            .wait_until = wait == Duration{} ? Time{} : clock.now() + wait,
                            .waiter = {}},
                           [&answer](auto result) { answer = std::move(result); });
  }

  void make_bucket(bool announce) {
    store_->change_objects(
        {.records = 8, .bytes = 8'192},
        [&](object::Engine& engine, Time now, object::Effects& out) {
          EXPECT_TRUE(engine.create_bucket("inbox", kAccount, "us-east-1", now, out));
          if (!announce) return;
          EXPECT_TRUE(engine.set_notifications("inbox",
                                               {{.id = "all",
                                                 .queue_arn = kEventsArn,
                                                 .events = {"s3:ObjectCreated:*"},
                                                 .prefix = {},
                                                 .suffix = {}}},
                                               "request", now, out));
        },
        [](Status) {});
    settle();
  }

  void put(const std::string& key, std::optional<Status>& answer,
           Store::Answered when = Store::Answered::kApplied) {
    object::PutObject request;
    request.bucket = "inbox";
    request.key = key;
    request.inline_body = "body";
    request.object.bytes = 4;
    request.object.etag = codec::md5_hex("body");
    request.event_name = "ObjectCreated:Put";
    auto watch = store_->objects().watch_key(store_->objects().bucket("inbox")->id, key);
    store_->change_objects(
        {.records = 4, .bytes = 8'192, .events = 1},
        [&](object::Engine& engine, Time now, object::Effects& out) {
          EXPECT_TRUE(engine.put(request, watch, std::nullopt, now, out));
        },
        [&answer](Status status) { answer = std::move(status); }, when);
  }

  bool is_pending(const std::string& key) {
    const object::Engine& objects = store_->objects();
    return objects.is_pending(objects.bucket("inbox")->id, key);
  }

  sim::SimDisk disk;
  sim::SimClock clock;
  Silent log;
  int deadlines_moved = 0;

 private:
  sim::SimEntropy entropy_{7};
  std::optional<Recovered> recovered_;
  std::unique_ptr<Store> store_;
};

TEST(Store, a_send_is_answered_when_durable_and_not_when_written) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  std::optional<Status> answer;
  rig.send(jobs, answer);
  EXPECT_FALSE(answer);
  rig.write();
  EXPECT_FALSE(answer);
  rig.sync();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(*answer);
}

TEST(Store, a_receive_is_answered_when_its_lease_is_written) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  std::optional<Status> sent;
  rig.send(jobs, sent);
  rig.settle();
  Rig::Received received;
  EXPECT_EQ(rig.receive(jobs, received), queue::WaiterId{});
  EXPECT_FALSE(received);
  rig.write();
  ASSERT_TRUE(received && *received && **received);
  EXPECT_EQ((***received).size(), 1U);
}

TEST(Store, an_object_is_answered_when_applied) {
  Rig rig;
  rig.make_bucket(false);
  std::optional<Status> answer;
  rig.put("a", answer);
  rig.write();
  rig.sync();
  EXPECT_FALSE(answer);
  rig.apply();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(*answer);
}

TEST(Store, an_object_is_answered_when_durable_for_who_asks_so_and_reads_wait_until_it_is_applied) {
  Rig rig;
  rig.make_bucket(false);
  std::optional<Status> answer, read;
  rig.put("a", answer, Store::Answered::kDurable);
  rig.store().when_applied([&](Status status) { read = std::move(status); });
  rig.write();
  EXPECT_FALSE(answer);
  rig.sync();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(*answer);
  EXPECT_FALSE(read);
  EXPECT_TRUE(rig.is_pending("a"));
  rig.apply();
  ASSERT_TRUE(read);
  EXPECT_TRUE(*read);
  EXPECT_FALSE(rig.is_pending("a"));
}

TEST(Store, nothing_is_waited_for_when_all_is_applied) {
  Rig rig;
  rig.make_bucket(false);
  std::optional<Status> read;
  rig.store().when_applied([&](Status status) { read = std::move(status); });
  ASSERT_TRUE(read);
  EXPECT_TRUE(*read);
}

TEST(Store, whoever_waits_for_the_index_hears_that_the_log_is_dead) {
  Rig rig;
  rig.make_bucket(false);
  std::optional<Status> answer, read, later;
  rig.put("a", answer, Store::Answered::kDurable);
  rig.store().when_applied([&](Status status) { read = std::move(status); });
  rig.store().on_failed({Errc::kIo, "dead"});
  rig.store().when_applied([&](Status status) { later = std::move(status); });
  for (const auto* heard : {&answer, &read, &later}) {
    ASSERT_TRUE(*heard);
    EXPECT_FALSE(**heard);
  }
}

TEST(Store, writers_wait_for_an_applier_that_is_far_behind) {
  Rig rig;
  rig.make_bucket(false);
  std::vector<std::optional<Status>> answers(1'002);
  for (std::size_t i = 0; i < answers.size(); ++i)
    rig.put(fmt::format("k{}", i), answers[i], Store::Answered::kDurable);
  rig.write();
  rig.sync();
  EXPECT_TRUE(answers[999]);
  EXPECT_FALSE(answers[1'001]);
  rig.apply();
  EXPECT_TRUE(answers[1'001]);
}

// A kick shows in that the next group asks for one again.
TEST(Store, half_of_what_is_about_goes_to_the_log_once_it_took_half_a_flush) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  int asked = 0;
  rig.store().kick_through([&] { ++asked; }, [] { return Nanos(8ms); });
  std::vector<std::optional<Status>> answers(8);
  for (auto& answer : answers) rig.send(jobs, answer);
  EXPECT_EQ(asked, 1);  // no time has passed
  rig.store().kick();
  rig.settle();
  for (int i = 0; i < 5; ++i) {
    rig.send(jobs, answers[0]);
    rig.clock.advance(1ms);
  }
  EXPECT_EQ(asked, 2);  // of the last, half a flush after the first, the log thread was told
  rig.send(jobs, answers[0]);
  EXPECT_EQ(asked, 3);
  rig.clock.advance(100ms);
  rig.send(jobs, answers[0]);
  rig.send(jobs, answers[0]);
  EXPECT_EQ(asked, 3);  // not half of eight
}

TEST(Store, an_empty_command_waits_for_what_it_saw) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  std::optional<Status> sent, asked;
  rig.send(jobs, sent);
  rig.store().change_queues(
      {.records = 1}, storage::Release::kDurable, [](auto&, Time, auto&) {},
      [&](Status status) { asked = std::move(status); });
  rig.write();
  EXPECT_FALSE(asked);
  rig.sync();
  EXPECT_TRUE(asked);
}

TEST(Store, a_send_wakes_a_waiting_receiver_in_its_own_group) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  Rig::Received received;
  EXPECT_NE(rig.receive(jobs, received, 20s), queue::WaiterId{});
  EXPECT_EQ(rig.store().stats().waiters, 1U);
  const auto groups = rig.store().stats().groups;
  std::optional<Status> sent;
  rig.send(jobs, sent);
  EXPECT_EQ(rig.store().stats().groups, groups + 1);
  EXPECT_FALSE(received);
  rig.write();
  ASSERT_TRUE(received && *received && **received);
  EXPECT_EQ((***received).size(), 1U);
  EXPECT_EQ(rig.store().stats().waiters, 0U);
}

TEST(Store, a_wait_ends_empty_at_its_time) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  Rig::Received received;
  rig.receive(jobs, received, 20s);
  EXPECT_EQ(rig.store().next_deadline(), rig.clock.now() + 20s);
  EXPECT_GT(rig.deadlines_moved, 0);
  rig.clock.advance(20s);
  rig.store().tick();
  ASSERT_TRUE(received && *received && **received);
  EXPECT_TRUE((***received).empty());
}

TEST(Store, a_tick_tells_whether_the_log_took_it) {
  Rig rig;
  EXPECT_TRUE(rig.store().tick());
  rig.store().on_failed({Errc::kIo, "the disk is gone"});
  EXPECT_FALSE(rig.store().tick());
}

TEST(Store, a_cancelled_receiver_is_given_nothing) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  Rig::Received gone, next;
  rig.store().cancel(rig.receive(jobs, gone, 20s));
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->error().code, Errc::kClosed);
  std::optional<Status> sent;
  rig.send(jobs, sent);
  rig.settle();
  rig.receive(jobs, next);
  rig.write();
  ASSERT_TRUE(next && *next && **next);
  EXPECT_EQ((***next).size(), 1U);  // the message was not leased to the one that went
}

TEST(Store, an_object_and_its_event_are_one_group) {
  Rig rig;
  const auto events = rig.create("events");
  rig.make_bucket(true);
  const auto groups = rig.store().stats().groups;
  std::optional<Status> answer;
  rig.put("a", answer);
  EXPECT_EQ(rig.store().stats().groups, groups + 1);
  rig.settle();
  Rig::Received received;
  rig.receive(events, received);
  rig.write();
  ASSERT_TRUE(received && *received && **received);
  EXPECT_EQ((***received).size(), 1U);
}

TEST(Store, an_event_for_a_queue_that_is_gone_is_counted_and_the_put_goes_on) {
  Rig rig;
  rig.make_bucket(true);  // nobody made the queue "events"; the test event that says so is the first
  std::optional<Status> answer;
  rig.put("a", answer);
  rig.settle();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(*answer);
  EXPECT_EQ(rig.store().stats().events_undeliverable, 2U);
  EXPECT_EQ(rig.log.events, std::vector<std::string>(2, "event.undeliverable"));
}

TEST(Store, a_command_that_the_log_cannot_take_changes_nothing) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  bool decided = false;
  std::optional<Status> answer;
  rig.store().change_queues(
      {.records = 1, .bytes = 1U << 30}, storage::Release::kDurable,
      [&](auto&, Time, auto&) { decided = true; }, [&](Status status) { answer = std::move(status); });
  ASSERT_TRUE(answer);
  EXPECT_FALSE(*answer);
  EXPECT_FALSE(decided);
  EXPECT_EQ(rig.store().stats().refused, 1U);
  std::optional<Status> sent;
  rig.send(jobs, sent);
  rig.settle();
  EXPECT_TRUE(sent && *sent);
}

TEST(Store, where_the_disk_is_nearly_full_takes_only_what_makes_room) {
  Rig rig;
  const queue::QueueId queue = rig.create("jobs");
  rig.store().set_space_low(true);
  std::optional<Status> sent;
  rig.send(queue, sent);
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->error().code, Errc::kNoSpace);
  std::optional<Status> shrunk;
  rig.store().change_queues(
      {.records = 1, .bytes = 0, .space = storage::Space::kShrink}, storage::Release::kDurable,
      [](queue::Engine&, Time, queue::Effects&) {}, [&](Status status) { shrunk = std::move(status); });
  rig.settle();
  EXPECT_TRUE(shrunk && *shrunk);
  EXPECT_TRUE(rig.store().tick());
  rig.store().set_space_low(false);
  rig.send(queue, sent);
  rig.settle();
  EXPECT_TRUE(sent && *sent);
}

TEST(Store, after_a_failed_sync_every_answer_and_every_later_command_fails) {
  Rig rig;
  const auto jobs = rig.create("jobs");
  Rig::Received waiting, later;
  rig.receive(jobs, waiting, 20s);
  const auto other = rig.create("other");
  std::optional<Status> sent, next;
  rig.send(other, sent);
  rig.write();
  rig.disk.fail("log.sync", sim::Fault::kIo);
  rig.sync();
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->error().code, Errc::kIo);
  ASSERT_TRUE(waiting);
  EXPECT_FALSE(*waiting);
  rig.send(other, next);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->error().code, Errc::kIo);
  rig.receive(jobs, later, 20s);
  ASSERT_TRUE(later);
  EXPECT_FALSE(*later);
}

}  // namespace
}  // namespace hr::commit
