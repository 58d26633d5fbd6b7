#include "host/confirm.h"

#include "host/folder_test.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

namespace hr::host {
namespace {

void nothing(std::string_view) {}

std::vector<File> files(const std::string& text) { return {{.path = "/etc/a.conf", .text = text}}; }

class ConfirmTest : public testing::Test {
 protected:
  void apply_waiting(bool works) {
    ASSERT_TRUE(apply(host, files("before\n"), nothing));
    ASSERT_TRUE(settle(host, nothing));
    ASSERT_TRUE(write_waiting(host, {.window = 60s, .boot = "b", .deadline = 100s, .works = false}));
    ASSERT_TRUE(apply(host, files("after\n"), nothing));
    if (works)
      ASSERT_TRUE(write_waiting(host, {.window = 60s, .boot = "b", .deadline = 100s, .works = true}));
  }
  std::string text() { return (*host.read("/etc/a.conf"))->text; }

  TestFolder folder;
  Tree host = *Tree::open(folder.path);
};

TEST_F(ConfirmTest, what_is_written_is_read_again) {
  const Waiting waiting{.window = 90s, .boot = "b", .deadline = Nanos(5), .works = true};
  EXPECT_EQ(*read_waiting(host), std::nullopt);
  ASSERT_TRUE(write_waiting(host, waiting));
  EXPECT_EQ(*read_waiting(host), waiting);
  write_file(folder.path + "/var/lib/headrace/host/confirm.json", "{");
  EXPECT_EQ(read_waiting(host).error().code, Errc::kCorrupt);
}

TEST_F(ConfirmTest, a_boot_that_did_not_see_the_apply_begins_the_window_anew) {
  const Waiting waiting{.window = 60s, .boot = "b", .deadline = 100s};
  EXPECT_EQ(left_of(waiting, "b", 10s, 40s), 60s);
  EXPECT_EQ(left_of(waiting, "b", 10s, 99s + 999ms), 1ms);
  EXPECT_EQ(left_of(waiting, "b", 10s, 100s), 0s);
  EXPECT_EQ(left_of(waiting, "b", 10s, 500s), 0s);
  EXPECT_EQ(left_of(waiting, "other", 3s, 3s), 60s);
  EXPECT_EQ(left_of(waiting, "other", 3s, 63s), 0s);
}

TEST_F(ConfirmTest, what_is_confirmed_is_settled_and_no_longer_waits) {
  EXPECT_EQ(confirm(host, nothing).error().code, Errc::kNotFound);
  apply_waiting(true);
  EXPECT_TRUE(plan(host, files("after\n"))->interrupted);
  ASSERT_TRUE(confirm(host, nothing));
  EXPECT_EQ(*read_waiting(host), std::nullopt);
  EXPECT_FALSE(plan(host, files("after\n"))->interrupted);
  EXPECT_EQ(text(), "after\n");
}

TEST_F(ConfirmTest, an_apply_that_was_never_found_to_work_is_not_confirmed) {
  apply_waiting(false);
  EXPECT_EQ(confirm(host, nothing).error().code, Errc::kInvalid);
}

TEST_F(ConfirmTest, killed_at_any_step_of_confirming_nothing_is_taken_back) {
  apply_waiting(true);
  for (int at = 0; at < 2; ++at) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      int steps = 0;
      (void)confirm(host, [&](std::string_view) {
        if (steps++ == at) ::_exit(9);
      });
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    ASSERT_EQ(WEXITSTATUS(status), 9);
    EXPECT_EQ(text(), "after\n");
    // Before the first step it still waits and may be confirmed again; after it, nobody waits any more.
    EXPECT_EQ(read_waiting(host)->has_value(), at == 0);
  }
  ASSERT_TRUE(apply(host, files("after\n"), nothing));
  ASSERT_TRUE(settle(host, nothing));
  EXPECT_FALSE(plan(host, files("after\n"))->interrupted);
}

}  // namespace
}  // namespace hr::host
