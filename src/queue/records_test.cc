#include "queue/records.h"

#include "queue/engine.h"
#include "queue/message.h"
#include "queue/testing.h"

#include <gtest/gtest.h>

namespace hr::queue {
namespace {

using testing::uuid;

// One of each kind; the bytes are the format, so a change of them needs a new version.
TEST(Records, their_bytes_are_those_of_version_1) {
  const Time t = from_ms(300);
  const auto bytes = [](const AnyRecord& r) { return to_hex(encode(r).payload); };
  Queue queue{.id = QueueId{5},
              .account = "000000000000",
              .name = "jobs",
              .attributes = {},
              .tags = {{"k", "v"}},
              .created = t,
              .modified = t};
  queue.attributes.redrive = Redrive{QueueId{4}, 3};
  queue.attributes.stored["P"] = "{}";
  EXPECT_EQ(bytes(QueueCreated{queue}),
            "0105ac020c303030303030303030303030046a6f627300b0ea0180e0e5a401008080400104030101"
            "50027b7d01016b0176");
  EXPECT_EQ(bytes(QueueRemoved{QueueId{5}, t}), "0105ac02");
  EXPECT_EQ(bytes(QueuePurged{QueueId{5}, t}), "0105ac02");
  EXPECT_EQ(bytes(MessageSent{QueueId{5}, Seq{9}, uuid(1), t, 10ms, {}, {}, "abc"}),
            "01050901000000000000000000000000000000ac020a616263");
  EXPECT_EQ(bytes(MessagesReceived{QueueId{5}, t, 30s, {}, {{Seq{9}, 2}}}), "0105ac02b0ea01010902");
  EXPECT_EQ(bytes(MessagesErased{QueueId{5}, t, {Seq{9}}}), "0105ac020109");
  EXPECT_EQ(bytes(VisibilityChanged{QueueId{5}, t, {{Seq{9}, 0ms}}}), "0105ac02010900");
  EXPECT_EQ(bytes(MessagesExpired{QueueId{5}, t, {Seq{9}}}), "0105ac020109");
  EXPECT_EQ(bytes(MessagesDeadLettered{QueueId{5}, QueueId{4}, t, {{Seq{9}, Seq{1}}}}), "010504ac02010901");
}

TEST(Records, of_fifo_queues_are_of_version_2) {
  const Fingerprint print{{0xAB}};
  const std::string hex = "ab" + std::string(30, '0');
  EXPECT_EQ(to_hex(encode(MessageSent{QueueId{5}, Seq{9}, testing::uuid(1), from_ms(300), 10ms, GroupKey{7},
                                      print, "abc"})
                       .payload),
            "02050901000000000000000000000000000000ac020a0700000000000000" + hex + "616263");
  EXPECT_EQ(to_hex(encode(MessagesReceived{QueueId{5}, from_ms(300), 30s, print, {{Seq{9}, 2}}}).payload),
            "0205ac02b0ea01" + hex + "010902");
  EXPECT_EQ(to_hex(encode(ReceiveRepeated{QueueId{5}, from_ms(300), 30s, print, {Seq{9}}}).payload),
            "0105ac02b0ea01" + hex + "0109");
}

TEST(Records, of_fair_queues_are_of_version_3) {
  const MessageSent sent{QueueId{5}, Seq{9}, testing::uuid(1), from_ms(300), 10ms, GroupKey{7}, {}, "abc"};
  const auto record = encode(sent);
  EXPECT_EQ(to_hex(record.payload), "03050901000000000000000000000000000000ac020a0700000000000000616263");
  const auto back = std::get<MessageSent>(decode(record.kind, record.payload).value());
  EXPECT_EQ(back.group, GroupKey{7});
  EXPECT_FALSE(back.deduplication);
  EXPECT_EQ(back.content, "abc");
}

TEST(Records, a_kind_is_its_place_in_the_list) {
  EXPECT_EQ(encode(QueueCreated{}).kind, 1);
  EXPECT_EQ(encode(MessageSent{}).kind, 5);
  EXPECT_EQ(encode(MessagesDeadLettered{}).kind, 10);
}

TEST(Records, a_newer_version_is_refused_as_such) {
  storage::Record r = encode(QueueRemoved{QueueId{5}, from_ms(1)});
  r.payload[0] = 4;
  EXPECT_EQ(decode(r.kind, r.payload).error().code, Errc::kUnsupported);
}

TEST(Records, every_shorter_or_longer_payload_is_corrupt) {
  const AnyRecord all[] = {QueueRemoved{QueueId{5}, from_ms(300)},
                           MessagesReceived{QueueId{5}, from_ms(300), 30s, {}, {{Seq{9}, 2}}},
                           MessagesDeadLettered{QueueId{5}, QueueId{4}, from_ms(300), {{Seq{9}, Seq{1}}}}};
  for (const AnyRecord& any : all) {
    const storage::Record r = encode(any);
    for (std::size_t n = 0; n < r.payload.size(); ++n) {
      EXPECT_FALSE(decode(r.kind, ByteView(r.payload).substr(0, n)));
    }
    EXPECT_EQ(decode(r.kind, r.payload + "x").error().code, Errc::kCorrupt);
  }
}

TEST(Records, kinds_of_others_are_refused) {
  for (const int kind : {0, 12, 63, 64, 255}) EXPECT_FALSE(decode(static_cast<std::uint8_t>(kind), "\1\1\1"));
}

TEST(Records, a_count_beyond_the_bytes_that_follow_is_corrupt) {
  Bytes payload;
  Writer w(payload);
  w.u8(1);
  for (const std::uint64_t v : {std::uint64_t{5}, std::uint64_t{300}, UINT64_MAX}) w.varint(v);
  EXPECT_EQ(decode(7, payload).error().code, Errc::kCorrupt);
}

TEST(Content, comes_back_from_the_record_that_carries_it) {
  MessageContent content{.body = "hello",
                         .attributes = {{"a", "String", "x"}, {"b", "Binary.png", std::string("\0\1", 2)}},
                         .md5_of_body = "5d41402abc4b2a76b9719d911017c592",
                         .md5_of_attributes = "00",
                         .sender = "AKIA",
                         .trace_header = "Root=1",
                         .group = "g"};
  const auto record =
      encode(MessageSent{QueueId{1}, Seq{1}, uuid(1), from_ms(1), 0ms, {}, {}, encode_content(content)});
  EXPECT_EQ(decode_delivered(record.payload), content);
}

TEST(Content, of_a_record_cut_short_is_corrupt) {
  const Bytes content = encode_content({"", {{"a", "String", "x"}}, "", "", "", "", "", "d"});
  const Bytes record =
      encode(MessageSent{QueueId{1}, Seq{1}, uuid(1), from_ms(1), 0ms, {}, {}, content}).payload;
  for (std::size_t n = 0; n < record.size(); ++n) {
    EXPECT_FALSE(decode_delivered(ByteView(record).substr(0, n))) << n;
  }
}

TEST(Restore, refuses_what_cannot_follow_from_the_records_before) {
  testing::Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  const Time t = b.now();
  const auto refused = [&](const AnyRecord& any) {
    const auto engine = b.restored();
    const storage::Record r = encode(any);
    const Status s = engine->restore({99, r.kind, r.payload, {1, 1, 1}});
    EXPECT_TRUE(engine->audit());
    return !s && s.error().code == Errc::kCorrupt;
  };
  EXPECT_TRUE(refused(QueueRemoved{QueueId{9}, t})) << "no such queue";
  EXPECT_TRUE(refused(QueueRemoved{q, t - 1ms})) << "back in time";
  EXPECT_TRUE(refused(QueueCreated{*b.engine().find(q)})) << "twice";
  EXPECT_TRUE(refused(MessageSent{q, Seq{1}, uuid(1), t, 0ms, {}, {}, "c"})) << "a number again";
  EXPECT_TRUE(refused(MessageSent{q, Seq{3}, uuid(1), t, 0ms, {}, {}, "c"})) << "a gap";
  EXPECT_TRUE(refused(MessageSent{q, Seq{2}, uuid(1), t, 900s + 1ms, {}, {}, "c"})) << "a delay";
  EXPECT_TRUE(refused(MessagesReceived{q, t, 30s, {}, {{Seq{1}, 2}}})) << "the first receive is 1";
  EXPECT_TRUE(refused(MessagesReceived{q, t, 30s, {}, {{Seq{1}, 1}, {Seq{1}, 2}}})) << "leased twice";
  EXPECT_TRUE(refused(MessagesReceived{q, t, 12h + 1ms, {}, {{Seq{1}, 1}}})) << "a lease";
  EXPECT_TRUE(refused(VisibilityChanged{q, t, {{Seq{1}, 0ms}}})) << "no lease to change";
  EXPECT_TRUE(refused(MessagesErased{q, t, {Seq{1}, Seq{1}}})) << "twice";
  EXPECT_TRUE(refused(MessagesExpired{q, t, {Seq{1}}})) << "too early";
  EXPECT_TRUE(refused(MessagesDeadLettered{q, q, t, {{Seq{1}, Seq{2}}}})) << "to itself";
  EXPECT_FALSE(refused(MessagesErased{q, t, {Seq{1}}}));
}

}  // namespace
}  // namespace hr::queue
