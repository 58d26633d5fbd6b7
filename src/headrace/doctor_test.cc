#include "headrace/doctor_checks.h"

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

}  // namespace
}  // namespace hr
