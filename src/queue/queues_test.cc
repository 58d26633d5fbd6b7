// Queues: names, attributes, finding, deleting, purging.
#include "queue/engine.h"
#include "queue/testing.h"

#include <gtest/gtest.h>

#include <string>

namespace hr::queue {
namespace {

using testing::kAccount;
using testing::Rig;

TEST(Queues, creating_again_with_the_same_attributes_answers_the_same_queue) {
  Rig b;
  AttributeChange slow;
  slow.delay = 5s;
  const QueueId q = b.create("jobs", slow);
  const std::size_t logged = b.log().size();
  EXPECT_EQ(b.try_create("jobs", slow), q);
  EXPECT_EQ(b.try_create("jobs"), q);
  EXPECT_EQ(b.log().size(), logged);
}

TEST(Queues, creating_again_with_another_attribute_is_refused) {
  Rig b;
  b.create("jobs");
  AttributeChange change;
  change.delay = 5s;
  EXPECT_EQ(b.try_create("jobs", change), std::unexpected(Fault::kNameExists));
  AttributeChange stored;
  stored.stored["Policy"] = "{}";
  EXPECT_EQ(b.try_create("jobs", stored), std::unexpected(Fault::kNameExists));
}

TEST(Queues, names_have_1_to_80_of_the_allowed_characters) {
  Rig b;
  EXPECT_TRUE(b.try_create("a"));
  EXPECT_TRUE(b.try_create(std::string(80, 'a')));
  EXPECT_TRUE(b.try_create("Az09_-"));
  for (const std::string& name : {std::string(), std::string(81, 'a'), std::string("a.b"), std::string("a/b"),
                                  std::string("\xc3\xa9"), std::string("a\0b", 3)}) {
    EXPECT_EQ(b.try_create(name), std::unexpected(Fault::kInvalid)) << name;
  }
}

TEST(Queues, a_fifo_queue_has_up_to_75_characters_before_its_suffix) {
  Rig b;
  EXPECT_TRUE(b.try_create(std::string(75, 'a') + ".fifo"));
  EXPECT_EQ(b.try_create(std::string(76, 'a') + ".fifo"), std::unexpected(Fault::kInvalid));
  EXPECT_EQ(b.try_create(".fifo"), std::unexpected(Fault::kInvalid));
  EXPECT_EQ(b.try_create("a.b.fifo"), std::unexpected(Fault::kInvalid));
}

TEST(Queues, an_account_has_12_digits) {
  Engine engine({});
  Effects out;
  for (const std::string account : {"", "00000000000", "0000000000000", "00000000000a"}) {
    EXPECT_EQ(engine.create({account, "jobs", {}, {}}, Time{}, out), std::unexpected(Fault::kInvalid));
  }
}

TEST(Queues, one_name_in_two_accounts_is_two_queues) {
  Engine engine({});
  Effects out;
  const auto a = engine.create({"000000000001", "jobs", {}, {}}, Time{}, out);
  const auto b = engine.create({"000000000002", "jobs", {}, {}}, Time{}, out);
  EXPECT_NE(*a, *b);
  EXPECT_EQ(engine.find("000000000001", "jobs")->id, *a);
  EXPECT_EQ(engine.find("000000000002", "jobs")->id, *b);
}

TEST(Queues, there_are_at_most_queues_max) {
  Rig b({.queues_max = 2});
  b.create("a");
  const QueueId q = b.create("b");
  EXPECT_EQ(b.try_create("c"), std::unexpected(Fault::kTooManyQueues));
  EXPECT_EQ(b.try_create("b"), q);
  b.remove(q);
  EXPECT_TRUE(b.try_create("c"));
}

TEST(Queues, attributes_stay_in_their_ranges) {
  Rig b;
  const QueueId q = b.create("jobs");
  const auto set = [&](auto field, auto value) {
    AttributeChange change;
    change.*field = value;
    return b.set(q, change).has_value();
  };
  EXPECT_TRUE(set(&AttributeChange::delay, 0s) && set(&AttributeChange::delay, 900s));
  EXPECT_FALSE(set(&AttributeChange::delay, -1ms) || set(&AttributeChange::delay, 900s + 1ms));
  EXPECT_TRUE(set(&AttributeChange::visibility_timeout, 0s) &&
              set(&AttributeChange::visibility_timeout, 12h));
  EXPECT_FALSE(set(&AttributeChange::visibility_timeout, -1ms) ||
               set(&AttributeChange::visibility_timeout, 12h + 1ms));
  EXPECT_TRUE(set(&AttributeChange::retention, 60s) && set(&AttributeChange::retention, 14 * 24h));
  EXPECT_FALSE(set(&AttributeChange::retention, 60s - 1ms) ||
               set(&AttributeChange::retention, 14 * 24h + 1ms));
  EXPECT_TRUE(set(&AttributeChange::receive_wait, 0s) && set(&AttributeChange::receive_wait, 20s));
  EXPECT_FALSE(set(&AttributeChange::receive_wait, -1ms) || set(&AttributeChange::receive_wait, 20s + 1ms));
  EXPECT_TRUE(set(&AttributeChange::maximum_message_size, 1024) &&
              set(&AttributeChange::maximum_message_size, 1 << 20));
  EXPECT_FALSE(set(&AttributeChange::maximum_message_size, 1023) ||
               set(&AttributeChange::maximum_message_size, (1 << 20) + 1));
}

TEST(Queues, a_refused_change_changes_nothing) {
  Rig b;
  const QueueId q = b.create("jobs");
  const Attributes before = b.engine().find(q)->attributes;
  AttributeChange change;
  change.delay = 1s;
  change.retention = 1s;
  EXPECT_EQ(b.set(q, change), std::unexpected(Fault::kInvalid));
  EXPECT_EQ(b.engine().find(q)->attributes, before);
}

TEST(Queues, an_empty_value_removes_a_stored_attribute) {
  Rig b;
  const QueueId q = b.create("jobs");
  AttributeChange change;
  change.stored = {{"Policy", "{}"}, {"KmsMasterKeyId", "k"}};
  b.set(q, change);
  change.stored = {{"Policy", ""}};
  b.advance(5s);
  b.set(q, change);
  EXPECT_EQ(b.engine().find(q)->attributes.stored,
            (std::map<std::string, std::string>{{"KmsMasterKeyId", "k"}}));
  EXPECT_EQ(b.engine().find(q)->modified, b.engine().find(q)->created + 5s);
}

TEST(Queues, tags_are_set_overwritten_and_removed_by_key) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.advance(1s);
  ASSERT_TRUE(b.tag(q, {.set = {{"team", "a"}, {"stage", ""}}, .remove = {}}));
  ASSERT_TRUE(b.tag(q, {.set = {{"team", "b"}}, .remove = {"stage", "never there"}}));
  const std::map<std::string, std::string> left{{"team", "b"}};
  EXPECT_EQ(b.engine().find(q)->tags, left);
  EXPECT_EQ(b.engine().find(q)->modified, b.now());
  EXPECT_EQ(b.restored()->find(q)->tags, left);
  const std::size_t logged = b.log().size();
  ASSERT_TRUE(b.tag(q, {.set = left, .remove = {}}));
  EXPECT_EQ(b.log().size(), logged);
  EXPECT_EQ(b.tag(QueueId{99}, {}), std::unexpected(Fault::kNoSuchQueue));
}

TEST(Queues, a_queue_has_at_most_50_tags) {
  Rig b;
  const QueueId q = b.create("jobs");
  TagChange fifty;
  for (std::size_t i = 0; i < kTagsMax; ++i) fifty.set["k" + std::to_string(i)] = "v";
  ASSERT_TRUE(b.tag(q, fifty));
  EXPECT_EQ(b.tag(q, {.set = {{"one more", ""}}, .remove = {}}), std::unexpected(Fault::kTooManyTags));
  EXPECT_TRUE(b.tag(q, {.set = {{"one more", ""}}, .remove = {"k0"}}));
}

TEST(Queues, a_list_is_in_name_order_by_prefix_and_page) {
  Rig b;
  for (const char* name : {"b2", "a", "b1", "b3", "c"}) b.create(name);
  const auto names = [&](std::string_view prefix, std::string_view after, std::size_t max) {
    std::string out;
    for (const Queue* q : b.engine().list(kAccount, prefix, after, max)) out += q->name + " ";
    return out;
  };
  EXPECT_EQ(names("", "", 10), "a b1 b2 b3 c ");
  EXPECT_EQ(names("b", "", 10), "b1 b2 b3 ");
  EXPECT_EQ(names("b", "", 2), "b1 b2 ");
  EXPECT_EQ(names("b", "b2", 2), "b3 ");
  EXPECT_EQ(names("b", "c", 2), "");
  EXPECT_EQ(names("", "b3", 2), "c ");
  EXPECT_TRUE(b.engine().list("000000000009", "", "", 9).empty());
}

TEST(Queues, a_queue_made_again_under_its_name_has_a_new_number_and_no_messages) {
  Rig b;
  const QueueId old = b.create("jobs");
  b.send(old);
  const auto got = b.receive(old);
  b.remove(old);
  const QueueId q = b.create("jobs");
  EXPECT_NE(q, old);
  EXPECT_EQ(b.counts(q), Counts{});
  EXPECT_EQ(b.erase(q, got[0].receipt), std::unexpected(Fault::kReceiptInvalid));
  b.restart();
  EXPECT_EQ(b.engine().find(kAccount, "jobs")->id, q);
  b.remove(q);
  b.restart();
  EXPECT_GT(b.create("jobs"), q);
}

TEST(Queues, deleting_one_answers_its_waiting_receivers_with_nothing) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.wait(q, 1, 20s);
  b.wait(q, 2, 20s);
  b.remove(q);
  const auto woken = b.wakeups();
  ASSERT_EQ(woken.size(), 2U);
  EXPECT_TRUE(woken[0].deliveries.empty() && woken[1].deliveries.empty());
  EXPECT_EQ(b.engine().next_deadline(), Time::max());
}

TEST(Queues, every_command_on_a_deleted_queue_says_so) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.remove(q);
  const auto gone = std::unexpected(Fault::kNoSuchQueue);
  EXPECT_EQ(b.set(q, {}), gone);
  EXPECT_EQ(b.remove(q), gone);
  EXPECT_EQ(b.purge(q), gone);
  EXPECT_EQ(b.send_all(q, {{}}).error(), Fault::kNoSuchQueue);
  EXPECT_EQ(b.try_receive(q, {}).error(), Fault::kNoSuchQueue);
  Effects out;
  EXPECT_EQ(b.engine().erase(q, {}, b.now(), out).error(), Fault::kNoSuchQueue);
  EXPECT_EQ(b.engine().change_visibility(q, {}, b.now(), out).error(), Fault::kNoSuchQueue);
  EXPECT_EQ(b.engine().find(q), nullptr);
  EXPECT_EQ(b.counts(q), Counts{});
}

TEST(Queues, a_purge_takes_what_is_visible_delayed_and_in_flight) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send_all(q, {{}, {}, 5s});
  const auto got = b.receive(q, 1);
  EXPECT_TRUE(b.purge(q));
  EXPECT_EQ(b.counts(q), Counts{});
  EXPECT_TRUE(b.erase(q, got[0].receipt)) << "deleting what is gone is fine";
  EXPECT_EQ(b.change(q, got[0].receipt, 5s), std::unexpected(Fault::kNotInflight));
  b.tick(1h);
  EXPECT_TRUE(b.receive(q).empty());
  EXPECT_EQ(b.send(q), Seq{4}) << "numbers go on";
}

TEST(Queues, a_large_purge_gives_memory_back_bit_by_bit) {
  Rig b({.tick_messages_max = 2});
  const QueueId q = b.create("jobs");
  for (int i = 0; i < 9; ++i) b.send(q);
  b.purge(q);
  EXPECT_EQ(b.counts(q), Counts{});
  EXPECT_TRUE(b.engine().audit());
  b.send(q);
  while (b.engine().next_deadline() <= b.now()) b.tick();
  EXPECT_TRUE(b.engine().audit());
  EXPECT_EQ(b.receive(q).size(), 1U);
}

}  // namespace
}  // namespace hr::queue
