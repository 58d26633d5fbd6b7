#include "host/tree.h"

#include "host/folder_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

namespace hr::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TreeTest : public testing::Test {
 protected:
  TestFolder folder;
  Tree tree = *Tree::open(folder.path);
};

TEST_F(TreeTest, a_file_is_read_as_it_was_written) {
  ASSERT_TRUE(tree.write("/etc/headrace/a.conf", "one\n", 0640));
  ASSERT_TRUE(tree.write("/etc/headrace/a.conf", "two\n", 0600));
  const auto seen = tree.read("/etc/headrace/a.conf");
  ASSERT_TRUE(seen && *seen);
  EXPECT_EQ((*seen)->text, "two\n");
  EXPECT_EQ((*seen)->mode, 0600U);
  EXPECT_THAT(*tree.list("/etc/headrace"), ElementsAre("a.conf"));
}

TEST_F(TreeTest, a_file_that_its_owner_keeps_is_found_through_links_and_only_below_the_root) {
  ASSERT_TRUE(tree.write("/archive/site/key1.pem", "key\n", 0600));
  ASSERT_TRUE(tree.make_folder("/live", 0755));
  ASSERT_EQ(::symlink("../archive/site", tree.at("/live/site").c_str()), 0);
  ASSERT_EQ(::symlink("key1.pem", tree.at("/archive/site/key.pem").c_str()), 0);
  EXPECT_FALSE(tree.read("/live/site/key.pem"));
  const auto seen = tree.read_through_links("/live/site/key.pem");
  ASSERT_TRUE(seen && *seen);
  EXPECT_EQ((*seen)->text, "key\n");
  EXPECT_FALSE(tree.read_through_links("/live/site/none.pem")->has_value());
  ASSERT_EQ(::symlink("/etc/hostname", tree.at("/live/out").c_str()), 0);
  const auto out = tree.read_through_links("/live/out");
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Errc::kInvalid);
}

TEST_F(TreeTest, what_is_not_there_is_no_error) {
  EXPECT_FALSE(tree.read("/etc/none")->has_value());
  EXPECT_FALSE(tree.read("/none/none")->has_value());
  EXPECT_TRUE(tree.remove("/none/none"));
  EXPECT_TRUE(tree.remove_all("/none"));
  EXPECT_THAT(*tree.list("/none"), IsEmpty());
}

TEST_F(TreeTest, a_link_is_never_followed_neither_as_a_file_nor_on_the_way) {
  write_file(folder.path + "/outside/secret", "mine");
  write_file(folder.path + "/etc/x", "");
  ASSERT_EQ(::symlink("../outside/secret", (folder.path + "/etc/link").c_str()), 0);
  ASSERT_EQ(::symlink("../outside", (folder.path + "/etc/folder").c_str()), 0);
  EXPECT_EQ(tree.read("/etc/link").error().code, Errc::kInvalid);
  EXPECT_FALSE(tree.read("/etc/folder/secret"));
  EXPECT_FALSE(tree.write("/etc/folder/secret", "theirs", 0644));
  EXPECT_FALSE(tree.list("/etc/folder"));
  ASSERT_TRUE(tree.write("/etc/link", "theirs", 0644));  // the link itself is replaced
  EXPECT_EQ(file_text(folder.path + "/outside/secret"), "mine");
  EXPECT_EQ(tree.read("/etc/link").value()->text, "theirs");
}

TEST_F(TreeTest, a_draft_that_somebody_made_first_is_not_written_through) {
  write_file(folder.path + "/secret", "mine");
  write_file(folder.path + "/etc/x", "");
  ASSERT_EQ(::symlink("../secret", (folder.path + "/etc/.a.conf.headrace-new").c_str()), 0);
  ASSERT_TRUE(tree.write("/etc/a.conf", "new", 0644));
  EXPECT_EQ(file_text(folder.path + "/secret"), "mine");
}

TEST_F(TreeTest, nothing_outside_of_the_root_is_reached) {
  for (const char* path : {"/../x", "/etc/../../x", "/./x", "", "/"}) {
    EXPECT_FALSE(tree.read(path)) << path;
    EXPECT_FALSE(tree.write(path, "x", 0644)) << path;
    EXPECT_FALSE(tree.remove_all(path)) << path;
  }
}

TEST_F(TreeTest, a_folder_goes_with_what_is_in_it_and_links_in_it_stay_links) {
  write_file(folder.path + "/kept/file", "mine");
  ASSERT_TRUE(tree.write("/old/a/b", "x", 0644));
  ASSERT_EQ(::symlink("../kept", (folder.path + "/old/link").c_str()), 0);
  ASSERT_TRUE(tree.remove_all("/old"));
  EXPECT_FALSE(std::filesystem::exists(folder.path + "/old"));
  EXPECT_EQ(file_text(folder.path + "/kept/file"), "mine");
}

TEST_F(TreeTest, a_file_larger_than_its_limit_is_refused) {
  write_file(folder.path + "/big", std::string((16U << 20) + 1, 'x'));
  EXPECT_EQ(tree.read("/big").error().code, Errc::kLimit);
}

}  // namespace
}  // namespace hr::host
