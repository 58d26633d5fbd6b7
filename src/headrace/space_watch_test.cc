#include "headrace/space_watch.h"

#include <gtest/gtest.h>

namespace hr {
namespace {

os::Space space(std::uint64_t free_bytes) { return {.total_bytes = 100'000, .free_bytes = free_bytes}; }

TEST(SpaceWatch, is_low_below_its_mark_and_until_an_eighth_more_is_free) {
  SpaceWatch watch(8'000);
  EXPECT_FALSE(watch.look(space(8'000)));
  EXPECT_TRUE(watch.look(space(7'999)));
  EXPECT_TRUE(watch.look(space(8'999)));
  EXPECT_FALSE(watch.look(space(9'000)));
  EXPECT_FALSE(watch.look(space(8'000)));
}

TEST(SpaceWatch, without_a_mark_keeps_a_share_of_the_file_system_but_not_more_than_a_gibibyte) {
  SpaceWatch watch;
  EXPECT_FALSE(watch.look(space(2'000)));
  EXPECT_TRUE(watch.look(space(1'999)));
  watch.look({.total_bytes = 1ULL << 50, .free_bytes = 0});
  EXPECT_EQ(watch.mark(), 1ULL << 30);
}

TEST(SpaceWatch, at_a_mark_of_zero_is_never_low) {
  SpaceWatch watch(0);
  EXPECT_FALSE(watch.look(space(0)));
}

}  // namespace
}  // namespace hr
