// When keys are looked for again; and who waits for them.
#include "remote/key_keeper.h"

#include "remote/blocking_keys.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

namespace hr::remote {
namespace {

constexpr std::uint64_t kLeast = 0, kMost = 599'999'999;  // of what is drawn
const Time kStart = from_ms(1'700'000'000'000);

Keys keys(Bytes name, std::optional<Duration> lifetime, bool outlive = false) {
  return {.credentials = {std::move(name), "s", ""},
          .expires = lifetime ? std::optional(kStart + *lifetime) : std::nullopt,
          .source = "a test",
          .outlive = outlive};
}
Error down() { return {Errc::kUnavailable, "down"}; }

TEST(KeyKeeper, searches_at_once_and_never_again_for_keys_without_an_end) {
  KeyKeeper keeper;
  EXPECT_TRUE(keeper.wants_search(kStart));
  keeper.search_began();
  EXPECT_FALSE(keeper.wants_search(kStart)) << "one search at a time";
  keeper.found(keys("a", std::nullopt), kStart, kLeast);
  EXPECT_EQ(keeper.usable(kStart + 10'000h)->credentials.access_key, "a");
  EXPECT_FALSE(keeper.wants_search(kStart + 10'000h));
}

TEST(KeyKeeper, searches_15_to_20_minutes_before_the_end_of_long_ones) {
  KeyKeeper keeper;
  keeper.found(keys("a", 6h), kStart, kLeast);
  EXPECT_FALSE(keeper.wants_search(kStart + 6h - 15min - 1ms));
  EXPECT_TRUE(keeper.wants_search(kStart + 6h - 15min));
  keeper.found(keys("a", 6h), kStart, 299'999);  // five minutes less one ms
  EXPECT_FALSE(keeper.wants_search(kStart + 6h - 20min));
  EXPECT_TRUE(keeper.wants_search(kStart + 6h - 20min + 1ms));
}

TEST(KeyKeeper, short_ones_are_used_for_two_thirds_of_their_life_at_least) {
  KeyKeeper keeper;
  keeper.found(keys("a", 10min), kStart, kMost);
  EXPECT_FALSE(keeper.wants_search(kStart + 6min));
  EXPECT_TRUE(keeper.wants_search(kStart + 10min - 150s));
}

TEST(KeyKeeper, a_failed_search_leaves_what_is_valid_and_is_tried_again_later_and_later) {
  KeyKeeper keeper;
  keeper.found(keys("a", 1h), kStart, kLeast);
  Time now = kStart + 45min;
  Duration last{};
  while (now < kStart + 1h) {
    ASSERT_TRUE(keeper.usable(now));
    keeper.search_began();
    keeper.failed(down(), now, kLeast);
    Time next = now;
    while (!keeper.wants_search(next)) next += 100ms;
    EXPECT_GE(next - now, last);
    EXPECT_LE(next - now, 5min);
    last = next - now;
    now = next;
  }
  EXPECT_EQ(keeper.usable(kStart + 1h), nullptr);
  EXPECT_EQ(keeper.error()->message, "down");
}

TEST(KeyKeeper, keys_of_the_instance_are_used_past_their_end_when_no_others_are_to_be_had) {
  KeyKeeper keeper;
  keeper.found(keys("a", -1h, true), kStart, kLeast);
  EXPECT_TRUE(keeper.usable(kStart));
  EXPECT_TRUE(keeper.wants_search(kStart + 10min));
  keeper.found(keys("b", -1h), kStart, kLeast);
  EXPECT_EQ(keeper.error()->message, "a test gives keys that have run out");
  EXPECT_EQ(keeper.usable(kStart)->credentials.access_key, "a");
}

TEST(KeyKeeper, keys_that_seem_to_have_run_out_are_tried_and_kept_when_it_was_the_clock) {
  KeyKeeper keeper;
  const Time ahead = kStart + 2h;
  keeper.found(keys("a", 1h), ahead, kLeast);
  ASSERT_TRUE(keeper.usable(ahead));
  EXPECT_FALSE(keeper.wants_search(ahead));
  keeper.clock_moved(kStart, kLeast);  // a service has told
  EXPECT_TRUE(keeper.usable(kStart));
  EXPECT_FALSE(keeper.wants_search(kStart + 44min));
  EXPECT_TRUE(keeper.wants_search(kStart + 45min));
  EXPECT_EQ(keeper.usable(kStart + 1h), nullptr) << "now they have";
}

TEST(KeyKeeper, keys_that_ran_out_are_told_when_a_service_has_refused_them) {
  KeyKeeper keeper;
  keeper.found(keys("a", -1h), kStart, kLeast);
  keeper.refused(keys("a", -1h).credentials, kStart, kLeast);
  EXPECT_EQ(keeper.usable(kStart), nullptr);
  ASSERT_TRUE(keeper.wants_search(kStart));
  keeper.found(keys("a", -1h), kStart, kLeast);
  EXPECT_EQ(keeper.usable(kStart), nullptr);
  EXPECT_EQ(keeper.error()->message, "a test gives keys that have run out");
}

TEST(KeyKeeper, a_search_that_failed_by_a_clock_ahead_is_not_put_off_by_setting_it_back) {
  KeyKeeper keeper;
  keeper.failed(down(), kStart + 2h, kLeast);
  keeper.clock_moved(kStart, kLeast);
  EXPECT_TRUE(keeper.wants_search(kStart + 5min));
}

TEST(KeyKeeper, refused_keys_are_looked_for_again_at_once_and_then_not_at_once) {
  KeyKeeper keeper;
  keeper.found(keys("a", std::nullopt), kStart, kLeast);
  keeper.refused({"other", "s", ""}, kStart, kLeast);
  EXPECT_TRUE(keeper.usable(kStart)) << "older ones that somebody still used";
  keeper.refused({"a", "s", ""}, kStart, kLeast);
  EXPECT_EQ(keeper.usable(kStart), nullptr);
  EXPECT_TRUE(keeper.wants_search(kStart));
  keeper.found(keys("a", std::nullopt), kStart, kLeast);
  EXPECT_EQ(keeper.usable(kStart), nullptr);
  EXPECT_FALSE(keeper.wants_search(kStart));
  EXPECT_TRUE(keeper.wants_search(kStart + 1s));
  keeper.found(keys("a", std::nullopt), kStart + 1s, kLeast);
  EXPECT_TRUE(keeper.usable(kStart + 1s)) << "a service may have come to know them";
  keeper.refused({"a", "s", ""}, kStart + 1s, kLeast);
  EXPECT_FALSE(keeper.wants_search(kStart + 1s));
  EXPECT_TRUE(keeper.wants_search(kStart + 10s));
  keeper.found(keys("b", std::nullopt), kStart + 10s, kLeast);
  EXPECT_EQ(keeper.usable(kStart + 10s)->credentials.access_key, "b");
}

TEST(KeyKeeper, times_at_the_ends_of_what_can_be_said_are_no_trouble) {
  KeyKeeper keeper;
  Keys last = keys("a", std::nullopt);
  last.expires = from_ms(253'402'300'799'000);  // the year 9999
  keeper.found(last, kStart, std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(keeper.usable(kStart));
  last.expires = from_ms(-62'135'596'800'000);  // the year 1
  keeper.found(last, kStart, kMost);
  EXPECT_TRUE(keeper.error());
}

TEST(BlockingKeys, threads_that_ask_at_once_cost_one_search) {
  std::atomic<int> searches = 0;
  BlockingKeys source(
      [&]() -> Result<Keys> {
        ++searches;
        return keys("a", 1h);
      },
      1);
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const auto found = source.get(kStart, std::chrono::steady_clock::time_point::max());
        good += found && found->access_key == "a" ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(good, 8);
  EXPECT_EQ(searches, 1);
}

TEST(BlockingKeys, the_reason_is_told_where_there_are_none) {
  BlockingKeys source([]() -> Result<Keys> { return std::unexpected(down()); }, 1);
  EXPECT_EQ(source.get(kStart, std::chrono::steady_clock::time_point::max()).error(), down());
}

}  // namespace
}  // namespace hr::remote
