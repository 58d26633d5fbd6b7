#include "headrace/up_output.h"

#include "headrace/up_notify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace hr {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> lines_of(std::initializer_list<std::string> pieces, bool finish = true) {
  std::vector<std::string> out;
  LineSplitter splitter;
  const auto take = [&](std::string_view line) { out.emplace_back(line); };
  for (const std::string& piece : pieces) splitter.feed(piece, take);
  if (finish) splitter.finish(take);
  return out;
}

TEST(LineSplitter, lines_are_whole_however_they_come) {
  EXPECT_THAT(lines_of({"o", "ne\ntw", "o\n\nthree"}), ElementsAre("one", "two", "", "three"));
  EXPECT_THAT(lines_of({"one\n"}), ElementsAre("one"));
  EXPECT_THAT(lines_of({""}), IsEmpty());
}

TEST(LineSplitter, what_has_no_end_yet_waits) {
  EXPECT_THAT(lines_of({"one\ntw"}, false), ElementsAre("one"));
}

TEST(LineSplitter, a_line_of_the_longest_length_stays_whole_and_a_longer_one_is_cut) {
  const std::string longest(kOutputLineBytesMax, 'a');
  EXPECT_THAT(lines_of({longest + "\n"}), ElementsAre(longest));
  EXPECT_THAT(lines_of({longest + "b\n"}), ElementsAre(longest, "b"));
  EXPECT_THAT(lines_of({longest, "b"}, false), ElementsAre(longest));
}

TEST(Printable, nothing_printed_can_steer_a_terminal) {
  EXPECT_EQ(printable("a\tb \x1b[31m\x7f\r"), "a\tb \\x1b[31m\\x7f");
  EXPECT_EQ(printable("caf\xc3\xa9 \xc2\x9b"
                      "2J \\"),
            "caf\xc3\xa9 \\xc2\\x9b2J \\");
  EXPECT_EQ(printable("\xc2"), "\xc2");
}

TEST(Notice, only_whole_assignments_count) {
  EXPECT_TRUE(read_notice("READY=1").ready);
  EXPECT_TRUE(read_notice("STATUS=fine\nREADY=1\n").ready);
  EXPECT_TRUE(read_notice("WATCHDOG=1\nREADY=1").alive);
  for (const char* text : {"", "READY=0", "READY=11", " READY=1", "STATUS=READY=1", "ready=1"})
    EXPECT_FALSE(read_notice(text).ready) << text;
}

TEST(Notice, another_process_may_stand_for_the_service) {
  EXPECT_EQ(read_notice("MAINPID=4711\n").main_pid, 4711);
  EXPECT_EQ(read_notice("READY=1").main_pid, 0);
  EXPECT_EQ(read_notice("MAINPID=none").main_pid, 0);
}

}  // namespace
}  // namespace hr
