// The pure parts of operators' commands.
#include "headrace/operator.h"

#include "headrace/dead_letters.h"
#include "headrace/queue_look.h"
#include "task/envelope.h"

#include <gtest/gtest.h>

namespace hr {
namespace {

TEST(Table, columns_are_as_wide_as_they_must_be_and_the_last_one_is_not_filled_up) {
  EXPECT_EQ(table({{"A", "LONG", "C"}, {"three", "x", "y"}}), "A      LONG  C\nthree  x     y\n");
  EXPECT_EQ(table({}), "");
}

TEST(Table, what_a_message_says_cannot_move_the_cursor) {
  EXPECT_EQ(table({{"\x1b[2J"}}).find('\x1b'), std::string::npos);
}

TEST(Age, is_told_in_the_unit_that_fits) {
  const Time now = from_ms(1'000'000'000);
  const auto told = [&](std::int64_t seconds) { return ago(to_ms(now) - seconds * 1'000, now); };
  EXPECT_EQ(told(119), "119s");
  EXPECT_EQ(told(120), "2m");
  EXPECT_EQ(told(7'200), "2h");
  EXPECT_EQ(told(172'800), "2d");
  EXPECT_EQ(told(-5), "0s");
  EXPECT_EQ(ago(0, now), "-");
}

SeenMessage letter() {
  return {.id = "m",
          .body = R"({"headrace":1,"id":"j","task":"t","expires":7,"attempt":2})",
          .sent = 100,
          .receives = 1,
          .attributes = {{"headrace-job", "j"}, {"headrace-reason", "timeout"}, {"own", "kept"}}};
}

TEST(DeadFilter, each_of_its_parts_must_match) {
  EXPECT_TRUE(DeadFilter{}.matches(letter()));
  EXPECT_TRUE((DeadFilter{.reason = "timeout", .job = "j", .since = 100, .until = 100}).matches(letter()));
  EXPECT_FALSE((DeadFilter{.reason = "memory", .job = "j"}).matches(letter()));
  EXPECT_FALSE((DeadFilter{.task = "t"}).matches(letter())) << "this one does not say";
  EXPECT_FALSE((DeadFilter{.since = 101}).matches(letter()));
  EXPECT_FALSE((DeadFilter{.until = 99}).matches(letter()));
}

TEST(Revived, a_letter_begins_anew_without_what_its_death_said) {
  const Revived out = revived(letter());
  EXPECT_EQ(out.attributes, (codec::Pairs{{"own", "kept"}}));
  const auto call = task::parse_envelope(out.body);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->attempt, 0U);
  EXPECT_EQ(call->expires, 7) << "it did not die of that";
}

TEST(Revived, what_expired_does_not_expire_again) {
  SeenMessage expired = letter();
  expired.attributes = {{"headrace-reason", "expired"}};
  EXPECT_EQ(task::parse_envelope(revived(expired).body)->expires, 0);
}

TEST(Revived, a_body_that_is_no_envelope_stays_as_it_is) {
  SeenMessage foreign = letter();
  foreign.body = "<order/>";
  EXPECT_EQ(revived(foreign).body, "<order/>");
}

TEST(SeenMessages, are_read_with_their_text_attributes) {
  const auto seen = read_seen(
      R"({"Messages":[{"MessageId":"m","Body":"b","Attributes":{"SentTimestamp":"5",)"
      R"("ApproximateReceiveCount":"2"},"MessageAttributes":{"a":{"DataType":"String","StringValue":"x"},)"
      R"("bin":{"DataType":"Binary","BinaryValue":"AA=="}}}]})");
  ASSERT_TRUE(seen) << seen.error().message;
  ASSERT_EQ(seen->size(), 1U);
  EXPECT_EQ(seen->front().sent, 5);
  EXPECT_EQ(seen->front().receives, 2U);
  EXPECT_EQ(seen->front().attributes, (codec::Pairs{{"a", "x"}}));
  EXPECT_FALSE(read_seen("{"));
  EXPECT_TRUE(read_seen("{}")->empty());
}

}  // namespace
}  // namespace hr
