#include "os/linux/program.h"

#include <gtest/gtest.h>

namespace hr::os {
namespace {

TEST(FindProgram, a_path_is_itself) { EXPECT_EQ(find_program("/bin/sh", "/nowhere").value(), "/bin/sh"); }

TEST(FindProgram, a_name_is_the_first_that_runs_in_path) {
  EXPECT_EQ(find_program("sh", "/nowhere:/proc:/bin:/usr/bin").value(), "/bin/sh");
  EXPECT_EQ(find_program("sh", "").value().substr(0, 1), "/");
}

TEST(FindProgram, what_is_not_there_and_what_may_not_be_run_are_told_apart) {
  EXPECT_EQ(find_program("/no/such", "").error(), (Error{Errc::kNotFound, "/no/such: no such program"}));
  EXPECT_EQ(find_program("no-such", "/bin").error(),
            (Error{Errc::kNotFound, "no-such: no such program in PATH"}));
  EXPECT_EQ(find_program("/etc/passwd", "").error(),
            (Error{Errc::kInvalid, "/etc/passwd: is not a program that may be run"}));
  EXPECT_EQ(find_program("/bin/", "").error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace hr::os
