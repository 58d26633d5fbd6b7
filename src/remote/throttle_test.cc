// The budget, the pace, the jitter; the pace against a service that takes so many requests a second.
#include "remote/throttle.h"

#include <gtest/gtest.h>

#include <deque>

namespace hr::remote {
namespace {

TEST(RetryBudget, ends_and_comes_back_with_successes) {
  RetryBudget budget;
  int repeats = 0;
  while (budget.take(RetryBudget::kRepeat)) ++repeats;
  EXPECT_EQ(repeats, 100);
  for (int i = 0; i < 5; ++i) budget.give(RetryBudget::kSuccess);
  EXPECT_TRUE(budget.take(RetryBudget::kRepeat));
  EXPECT_FALSE(budget.take(RetryBudget::kRepeat));
  budget.give(10'000);
  EXPECT_EQ(budget.left(), RetryBudget::kTokens);
}

TEST(Pacer, holds_nothing_back_from_a_service_that_refuses_nothing) {
  Pacer pacer;
  for (int i = 0; i < 10'000; ++i) {
    const Nanos now = std::chrono::microseconds(i);
    EXPECT_EQ(pacer.reserve(now), now);
    pacer.answered(false, now);
  }
  EXPECT_FALSE(pacer.pacing());
}

TEST(Pacer, what_is_sent_whatever_the_pace_says_keeps_others_waiting_for_seconds_only) {
  Pacer pacer;
  Nanos now = std::chrono::hours(1);
  for (const Nanos end = now + std::chrono::minutes(1); now < end; now += std::chrono::milliseconds(10)) {
    pacer.sent(now);
    pacer.answered(true, now);
  }
  const auto turn = pacer.reserve(now, now + std::chrono::seconds(10));
  ASSERT_TRUE(turn) << "the service has recovered";
  EXPECT_LE(*turn - now, std::chrono::seconds(5));
}

TEST(Pacer, a_turn_that_was_given_delays_the_next_ones_for_no_longer_when_the_rate_falls) {
  Pacer pacer;
  Nanos now = std::chrono::hours(1);
  for (int i = 0; i < 500; ++i) pacer.answered(i == 499, now += std::chrono::milliseconds(10));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pacer.reserve(now));
  const Nanos before = *pacer.reserve(now);
  pacer.answered(true, now += std::chrono::milliseconds(1));
  EXPECT_LE(*pacer.reserve(now) - before, std::chrono::milliseconds(100));
}

// Refuses what goes beyond `rate` in the last second.
class Limited {
 public:
  explicit Limited(std::size_t rate) : rate_(rate) {}
  bool refuses(Nanos now) {
    while (!taken_.empty() && now - taken_.front() >= std::chrono::seconds(1)) taken_.pop_front();
    if (taken_.size() >= rate_) return true;
    taken_.push_back(now);
    return false;
  }

 private:
  std::size_t rate_;
  std::deque<Nanos> taken_;
};

TEST(Pacer, finds_the_rate_that_a_service_takes) {
  for (const std::size_t rate : {5U, 50U, 300U}) {
    Pacer pacer;
    Limited service(rate);
    Nanos now = std::chrono::hours(1);
    int good = 0, bad = 0;
    const Nanos end = now + std::chrono::seconds(60);
    while (now < end) {
      now = std::max(now + std::chrono::milliseconds(1), *pacer.reserve(now));
      const bool refused = service.refuses(now);
      pacer.answered(refused, now);
      (refused ? bad : good) += 1;
    }
    EXPECT_GT(good, static_cast<int>(rate) * 60 / 2) << rate;
    EXPECT_LT(bad, good) << rate << ": unpaced it would be " << 60'000 / rate << " to one";
  }
}

TEST(Pacer, a_service_that_refuses_everything_is_asked_twice_a_second_at_most) {
  Pacer pacer;
  Nanos now = std::chrono::hours(1);
  const Nanos start = now;
  int asked = 0;
  while (now < start + std::chrono::seconds(100)) {
    now = std::max(now + std::chrono::milliseconds(1), *pacer.reserve(now));
    pacer.answered(true, now);
    if (now > start + std::chrono::seconds(50)) ++asked;
  }
  EXPECT_LE(asked, 100);
  EXPECT_GE(asked, 10) << "and never given up";
}

TEST(Pacer, whoever_does_not_wait_for_a_turn_takes_none) {
  Pacer pacer;
  const Nanos now = std::chrono::hours(1), soon = now + std::chrono::seconds(10);
  pacer.answered(true, now);
  int turns = 0;
  for (int i = 0; i < 1'000; ++i) turns += pacer.reserve(now, soon) ? 1 : 0;
  EXPECT_EQ(turns, 4) << "of one each two seconds, before the tenth";
  EXPECT_TRUE(pacer.reserve(soon, soon + std::chrono::seconds(10)));
}

TEST(Backoff, is_full_jitter_with_an_upper_bound) {
  EXPECT_EQ(backoff(100ms, 0, 20s, 0), 0ms);
  EXPECT_EQ(backoff(100ms, 0, 20s, 100), 100ms);
  EXPECT_EQ(backoff(100ms, 0, 20s, 101), 0ms);
  EXPECT_EQ(backoff(100ms, 3, 20s, 800), 800ms);
  EXPECT_EQ(backoff(100ms, 60, 20s, 20'000), 20s);
}

}  // namespace
}  // namespace hr::remote
