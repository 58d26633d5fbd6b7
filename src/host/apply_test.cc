#include "host/apply.h"

#include "host/diff.h"
#include "host/facts.h"
#include "host/folder_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sys/wait.h>
#include <unistd.h>

namespace hr::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

void nothing(std::string_view) {}

std::vector<File> first() {
  return {{.path = "/etc/a.conf", .text = "a 1\n"}, {.path = "/etc/b/b.conf", .text = "b 1\n"}};
}
std::vector<File> second() {
  return {{.path = "/etc/a.conf", .text = "a 2\n"}, {.path = "/etc/c.conf", .text = "c 2\n", .mode = 0600}};
}

// Every file of the host that is not the run's own memory.
std::map<std::string, std::string> files_of(const TestFolder& folder) {
  std::map<std::string, std::string> out;
  for (const auto& each : std::filesystem::recursive_directory_iterator(folder.path)) {
    const std::string path = each.path().string().substr(folder.path.size());
    if (each.is_regular_file() && !path.starts_with(kKept)) out[path] = file_text(each.path());
  }
  return out;
}

void apply_whole(const Tree& host, const std::vector<File>& files) {
  ASSERT_TRUE(apply(host, files, nothing));
  ASSERT_TRUE(settle(host, nothing));
}

std::vector<std::string> summary(const Plan& of) {
  std::vector<std::string> out;
  for (const Change& each : of.changes)
    out.push_back(std::string(name_of(each.kind)) + " " + each.path + (each.by_hand ? " by hand" : ""));
  return out;
}

Status go_back(const Tree& host, const Reached& reached) {
  HR_TRY(rollback(host, reached));
  return forget(host, reached);
}

class ApplyTest : public testing::Test {
 protected:
  TestFolder folder;
  Tree host = *Tree::open(folder.path);
};

TEST_F(ApplyTest, what_was_applied_needs_no_change) {
  EXPECT_THAT(summary(*plan(host, first())), ElementsAre("add /etc/a.conf", "add /etc/b/b.conf"));
  apply_whole(host, first());
  EXPECT_THAT(summary(*plan(host, first())), IsEmpty());
  EXPECT_FALSE(plan(host, first())->interrupted);
}

TEST_F(ApplyTest, a_file_that_is_no_more_is_removed_and_a_stranger_stays) {
  write_file(folder.path + "/etc/stranger.conf", "mine\n");
  apply_whole(host, first());
  EXPECT_THAT(summary(*plan(host, second())),
              ElementsAre("change /etc/a.conf", "remove /etc/b/b.conf", "add /etc/c.conf"));
  apply_whole(host, second());
  EXPECT_EQ(files_of(folder),
            (std::map<std::string, std::string>{
                {"/etc/a.conf", "a 2\n"}, {"/etc/c.conf", "c 2\n"}, {"/etc/stranger.conf", "mine\n"}}));
}

TEST_F(ApplyTest, a_change_by_hand_is_told_apart) {
  apply_whole(host, first());
  write_file(folder.path + "/etc/a.conf", "mine\n");
  EXPECT_THAT(summary(*plan(host, first())), ElementsAre("change /etc/a.conf by hand"));
}

TEST_F(ApplyTest, another_mode_is_a_change) {
  apply_whole(host, first());
  std::filesystem::permissions(folder.path + "/etc/a.conf", std::filesystem::perms::owner_all);
  EXPECT_THAT(summary(*plan(host, first())), ElementsAre("change /etc/a.conf"));
}

TEST_F(ApplyTest, rollback_brings_back_what_was_there_with_its_mode) {
  write_file(folder.path + "/etc/a.conf", "before\n");
  std::filesystem::permissions(folder.path + "/etc/a.conf", std::filesystem::perms::owner_read);
  apply_whole(host, first());
  ASSERT_TRUE(go_back(host, nothing));
  EXPECT_EQ(files_of(folder), (std::map<std::string, std::string>{{"/etc/a.conf", "before\n"}}));
  EXPECT_EQ((*host.read("/etc/a.conf"))->mode, 0400U);
  EXPECT_EQ(rollback(host, nothing).error().code, Errc::kNotFound);
  EXPECT_THAT(summary(*plan(host, {})), IsEmpty()) << "what was there before is nobody's to remove";
}

TEST_F(ApplyTest, rollback_of_the_second_apply_ends_at_the_first) {
  apply_whole(host, first());
  apply_whole(host, second());
  ASSERT_TRUE(go_back(host, nothing));
  EXPECT_THAT(summary(*plan(host, first())), IsEmpty());
}

// Kills `run` at its `at`-th step, in a process of its own; whether it was killed.
bool killed_at(int at, const std::function<void(const Reached&)>& run) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    int steps = 0;
    run([&](std::string_view) {
      if (steps++ == at) ::_exit(9);
    });
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WEXITSTATUS(status) == 9;
}

constexpr int kStepsMax = 200;

TEST(ApplyKilled, at_any_step_the_next_run_ends_where_an_undisturbed_one_would) {
  bool killed = true;
  for (int at = 0; killed; ++at) {
    ASSERT_LT(at, kStepsMax);
    const TestFolder folder;
    const Tree host = *Tree::open(folder.path);
    write_file(folder.path + "/etc/c.conf", "mine\n");
    apply_whole(host, first());
    const auto before = files_of(folder);
    killed = killed_at(at, [&](const Reached& reached) {
      if (apply(host, second(), reached)) (void)settle(host, reached);
    });
    apply_whole(host, second());
    EXPECT_THAT(summary(*plan(host, second())), IsEmpty()) << at;
    EXPECT_FALSE(plan(host, second())->interrupted) << at;
    EXPECT_EQ(files_of(folder).size(), 2U) << at;
    if (killed && plan(host, first())) {  // and back: to what was there before the run that was killed
      ASSERT_TRUE(go_back(host, nothing)) << at;
      const bool done_before = files_of(folder) != before;
      EXPECT_FALSE(done_before) << at;
    }
  }
}

TEST(ApplyKilled, a_rollback_that_is_killed_at_any_step_is_ended_by_the_next) {
  bool killed = true;
  for (int at = 0; killed; ++at) {
    ASSERT_LT(at, kStepsMax);
    const TestFolder folder;
    const Tree host = *Tree::open(folder.path);
    apply_whole(host, first());
    const auto before = files_of(folder);
    ASSERT_TRUE(apply(host, second(), nothing));  // not settled: its canary failed
    killed = killed_at(at, [&](const Reached& reached) { (void)go_back(host, reached); });
    const auto again = go_back(host, nothing);
    if (!again) EXPECT_EQ(again.error().code, Errc::kNotFound) << at;
    EXPECT_EQ(files_of(folder), before) << at;
    EXPECT_THAT(summary(*plan(host, first())), IsEmpty()) << at;
    EXPECT_FALSE(plan(host, first())->interrupted) << at;
  }
}

std::vector<std::string> summary(const Result<std::vector<Change>>& changes) {
  return summary(Plan{.changes = *changes});
}

TEST(ApplyKilled, what_has_to_be_loaded_again_is_known_from_the_first_write_to_the_last_step_back) {
  const auto expected = ElementsAre("change /etc/a.conf", "remove /etc/b/b.conf", "add /etc/c.conf");
  bool killed = true, begun = false;
  for (int at = 0; killed; ++at) {
    ASSERT_LT(at, kStepsMax);
    const TestFolder folder;
    const Tree host = *Tree::open(folder.path);
    apply_whole(host, first());
    killed = killed_at(at, [&](const Reached& reached) {
      if (apply(host, second(), reached)) (void)go_back(host, reached);
    });
    if (!plan(host, second())->interrupted) {
      EXPECT_TRUE(!begun || !last_changes(host)->size() || !killed) << at;
      continue;
    }
    begun = true;
    EXPECT_THAT(summary(last_changes(host)), expected) << at;
    ASSERT_TRUE(apply(host, second(), nothing)) << at;  // the next run, in the other direction
    EXPECT_THAT(summary(last_changes(host)), expected) << at;
  }
  EXPECT_TRUE(begun);
}

TEST(Diff, shows_what_changed_with_three_lines_around_it) {
  EXPECT_EQ(unified_diff("a\n", "a\n"), "");
  EXPECT_EQ(unified_diff("", "a\nb\n"), "@@ line 1 @@\n+a\n+b\n");
  EXPECT_EQ(unified_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\neight\n9\n"),
            "@@ line 5 @@\n 5\n 6\n 7\n-8\n+eight\n 9\n");
}

TEST(Facts, versions_are_read_from_what_programs_print) {
  EXPECT_EQ(version_after("nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.15 3 Sep 2024", "nginx/"),
            (std::array<int, 3>{1, 22, 1}));
  EXPECT_EQ(version_after("built with OpenSSL 3.0.15 3 Sep 2024", "built with OpenSSL "),
            (std::array<int, 3>{3, 0, 15}));
  EXPECT_EQ(version_after("systemd 252 (252.39-1)", "systemd ")[0], 252);
  EXPECT_EQ(version_after("nothing", "nginx/"), (std::array<int, 3>{0, 0, 0}));
}

}  // namespace
}  // namespace hr::host
