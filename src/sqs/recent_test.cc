#include "sqs/recent.h"

#include <gtest/gtest.h>

#include <string>

namespace hr::sqs {
namespace {

constexpr Time kNow = from_ms(1'700'000'000'000);
const QueueName kJobs{"000000000000", "jobs"};

TEST(Recent, lasts_for_sixty_seconds) {
  Recent recent(true);
  recent.note_purge(queue::QueueId{1}, kNow);
  recent.note_deletion(kJobs, kNow);
  EXPECT_TRUE(recent.purged(queue::QueueId{1}, kNow + 60s - 1ms));
  EXPECT_FALSE(recent.purged(queue::QueueId{2}, kNow));
  EXPECT_TRUE(recent.deleted(kJobs, kNow + 60s - 1ms));
  EXPECT_FALSE(recent.deleted({"111111111111", "jobs"}, kNow));
  EXPECT_FALSE(recent.purged(queue::QueueId{1}, kNow + 60s));
  EXPECT_FALSE(recent.deleted(kJobs, kNow + 60s));
}

TEST(Recent, is_nothing_unless_it_is_asked_for) {
  Recent recent(false);
  recent.note_purge(queue::QueueId{1}, kNow);
  recent.note_deletion(kJobs, kNow);
  EXPECT_FALSE(recent.purged(queue::QueueId{1}, kNow));
  EXPECT_FALSE(recent.deleted(kJobs, kNow));
}

TEST(Recent, forgets_the_oldest_beyond_its_limit) {
  Recent recent(true);
  for (std::size_t i = 0; i <= kRecentMax; ++i) recent.note_purge(queue::QueueId{i + 1}, kNow);
  EXPECT_FALSE(recent.purged(queue::QueueId{1}, kNow));
  EXPECT_TRUE(recent.purged(queue::QueueId{2}, kNow));
}

}  // namespace
}  // namespace hr::sqs
