#include "headrace/doctor_checks.h"
#include "headrace/doctor_services.h"
#include "headrace/host_look.h"

#include <gtest/gtest.h>

namespace hr {
namespace {

std::string tracking(const std::string& id, const std::string& off) {
  return id + ",clock,3,1700000000.0," + off + ",0.0001,0.0002,1.5,0.0,0.1,0.01,0.001,64.2,Normal\n";
}

TEST(Doctor, a_clock_that_follows_nothing_or_itself_is_wrong_although_it_says_normal) {
  EXPECT_EQ(clock_wrong(tracking("0A4D0001", "0.000012"), ""), "");
  EXPECT_EQ(clock_wrong(tracking("00000000", "0.0"), ""), "it follows nothing");
  EXPECT_EQ(clock_wrong(tracking("7F7F0101", "0.0"), ""), "it follows itself");
}

TEST(Doctor, a_clock_that_is_a_tenth_of_a_second_off_is_wrong_in_either_direction) {
  EXPECT_EQ(clock_wrong(tracking("0A4D0001", "0.099"), ""), "");
  EXPECT_EQ(clock_wrong(tracking("0A4D0001", "0.101"), ""), "it is 0.101 s off");
  EXPECT_EQ(clock_wrong(tracking("0A4D0001", "-2.5"), ""), "it is 2.500 s off");
}

TEST(Doctor, on_ec2_no_other_clock_will_do) {
  EXPECT_EQ(clock_wrong(tracking("A9FEA97B", "0.0"), "A9FEA97B"), "");
  EXPECT_EQ(clock_wrong(tracking("0A4D0001", "0.0"), "A9FEA97B"),
            "it follows clock (0A4D0001), not EC2's clock");
}

TEST(Doctor, what_chronyc_does_not_say_is_no_right_clock) {
  EXPECT_NE(clock_wrong("", ""), "");
  EXPECT_NE(clock_wrong("506 Cannot talk to daemon\n", ""), "");
}

TEST(Doctor, memory_is_told_from_a_disk_by_its_haste) {
  EXPECT_TRUE(too_fast_for_a_disk(Nanos(1'500)));
  EXPECT_FALSE(too_fast_for_a_disk(Nanos(20'000)));
}

constexpr Time kNow = from_ms(1'900'000'000'000);

Config config() {
  return *parse_config("[worker.default]\nmodules = [\"a\"]\nqueues = [\"mail\"]\n", "h.toml");
}

QueueRow waiting(Duration age) {
  const std::int64_t sent = to_ms(kNow - age);
  return {.counts = {.name = "mail", .visible = 3}, .oldest = sent, .oldest_untouched = sent};
}

// What is wrong of those findings whose name has that part.
std::string wrong(const ServicesSeen& seen, std::string_view part) {
  std::string out = "no such finding";
  for (const Hop& each : service_hops(config(), seen, kNow)) {
    if (each.name.contains(part)) out = each.wrong;
    EXPECT_FALSE(each.why.empty() || each.mend.empty()) << each.name;
  }
  return out;
}

ServicesSeen with(QueueRow row) { return {.queues = std::vector{std::move(row)}}; }

TEST(Doctor, a_message_that_waits_for_more_than_half_an_hour_is_too_old) {
  EXPECT_EQ(wrong(with(waiting(std::chrono::minutes(30))), "queue mail"), "");
  EXPECT_EQ(wrong(with(waiting(std::chrono::minutes(30) + 1ms)), "queue mail"),
            "the oldest of 3 waits for 30 min");
}

TEST(Doctor, what_waits_in_a_paused_queue_is_said_to_and_how_it_goes_on) {
  QueueRow row = waiting(std::chrono::hours(2));
  row.paused = true;
  const auto hops = service_hops(config(), with(row), kNow);
  EXPECT_EQ(hops.back().wrong, "the oldest of 3 waits for 120 min; the queue is paused");
  EXPECT_EQ(hops.back().mend, "headrace resume mail");
}

SeenMessage seen_message(std::int64_t sent, std::uint32_t receives) {
  return {.id = "m", .body = "", .sent = sent, .receives = receives, .attributes = {}};
}

TEST(Doctor, a_message_that_was_tried_and_waits_for_its_next_attempt_is_not_too_old) {
  QueueRow row{.counts = {.name = "mail", .visible = 2}};
  const std::int64_t hours = to_ms(kNow - std::chrono::hours(5)), fresh = to_ms(kNow - 1s);
  add_ages(row, {seen_message(hours, 3), seen_message(fresh, 0)});
  EXPECT_EQ(row.oldest, hours);
  EXPECT_EQ(row.oldest_untouched, fresh);
  EXPECT_EQ(wrong(with(row), "queue mail"), "");
}

TEST(Doctor, a_queue_that_a_pool_reads_must_be_there) {
  EXPECT_EQ(wrong({}, "queue mail"), "there is no such queue");
}

TEST(Doctor, services_that_do_not_answer_are_one_finding) {
  const ServicesSeen seen{.queues = fail(Errc::kUnavailable, "nobody listens")};
  EXPECT_EQ(wrong(seen, "SQS and S3"), "nobody listens");
  EXPECT_EQ(wrong(seen, "queue mail"), "no such finding");
}

TEST(Doctor, temporary_credentials_are_wrong_five_minutes_before_their_end_or_when_nobody_knows_it) {
  const auto said = [](std::optional<Time> expires, std::string token) {
    const remote::Keys keys{
        .credentials = {.access_key = "a", .secret = "s", .session_token = std::move(token)},
        .expires = expires,
        .source = "x"};
    const std::string text = found_keys_text(keys);
    EXPECT_FALSE(text.contains("\"s\"") || text.contains("\"t\"")) << text;  // no secret leaves it
    return wrong({.keys = {parse_found_keys("shop", 0, text + "\n")}},
                 "credentials for Amazon that shop finds");
  };
  EXPECT_EQ(said({}, ""), "");
  EXPECT_EQ(said(kNow + std::chrono::minutes(5), "t"), "");
  EXPECT_EQ(said(kNow + 299s, "t"), "those of x end in 299 s, and there are no newer ones");
  EXPECT_EQ(said(kNow - 1s, "t"), "those of x ended 1 s ago");
  EXPECT_EQ(said({}, "t"), "those of x are temporary, and nothing says until when");
  EXPECT_EQ(wrong({.keys = {parse_found_keys("shop", 1, "headrace: none anywhere\n")}}, "credentials"),
            "none anywhere");
}

TEST(Doctor, a_date_of_whole_seconds_tells_no_less_than_it_must) {
  const Time date = kNow;
  EXPECT_EQ(clock_ahead(date, date + 5ms, date), 0ms);
  EXPECT_EQ(clock_ahead(date + 990ms, date + 1'500ms, date), 0ms);
  EXPECT_EQ(clock_ahead(date + 5s, date + 6s, date), 4s);
  EXPECT_EQ(clock_ahead(date - 5s, date - 4s, date), -4s);
}

TEST(Doctor, a_clock_two_seconds_from_the_services_is_wrong_in_either_direction) {
  const auto said = [](Result<Duration> ahead) {
    return wrong({.services = {{.name = "SQS", .endpoint = "https://sqs", .ahead = std::move(ahead)}}},
                 "clocks");
  };
  EXPECT_EQ(said(2s), "");
  EXPECT_EQ(said(2'001ms), "this one is 2.0 s ahead");
  EXPECT_EQ(said(-400s), "this one is 400.0 s behind");
  EXPECT_EQ(said(fail(Errc::kUnavailable, "gone")), "https://sqs: gone");
}

TEST(HostLook, queues_that_could_not_be_asked_stay_unknown) {
  host::Observation seen;
  add_queues(seen, {.queues = fail(Errc::kUnavailable, "gone")}, kNow);
  EXPECT_FALSE(seen.queues);
  add_queues(seen, with(waiting(5s)), kNow);
  ASSERT_EQ(seen.queues->size(), 1U);
  EXPECT_EQ(seen.queues->front().waiting, 3);
  EXPECT_EQ(seen.queues->front().oldest_s, 5);
}

}  // namespace
}  // namespace hr
