#include "wire/key_rules.h"

#include <gtest/gtest.h>

namespace hr::wire {
namespace {

const KeyRules kRules = {
    {.queues = {"jobs", "jobs-*", "111111111111/shared"},
     .buckets = {},
     .read = true,
     .write = true,
     .admin = false},
    {.queues = {}, .buckets = {"reports"}, .read = true, .write = false, .admin = false},
};

TEST(KeyRules, a_key_without_rules_may_do_everything) {
  EXPECT_TRUE(may(nullptr, Granted::kQueue, "any", Access::kAdmin));
  EXPECT_TRUE(may_see(nullptr, Granted::kBucket, "any"));
}

TEST(KeyRules, one_rule_must_grant_the_access_for_the_name) {
  EXPECT_TRUE(may(&kRules, Granted::kQueue, "jobs-2", Access::kWrite));
  EXPECT_FALSE(may(&kRules, Granted::kQueue, "jobs-2", Access::kAdmin));
  EXPECT_FALSE(may(&kRules, Granted::kQueue, "other", Access::kRead));
  EXPECT_FALSE(may(&kRules, Granted::kBucket, "jobs", Access::kRead));
  EXPECT_TRUE(may(&kRules, Granted::kBucket, "reports", Access::kRead));
  EXPECT_FALSE(may(&kRules, Granted::kBucket, "reports", Access::kWrite));
  EXPECT_TRUE(may(&kRules, Granted::kQueue, "111111111111/shared", Access::kRead));
  EXPECT_FALSE(may(&kRules, Granted::kQueue, "shared", Access::kRead));
}

TEST(KeyRules, whatever_is_granted_lets_it_be_seen) {
  EXPECT_TRUE(may_see(&kRules, Granted::kQueue, "jobs"));
  EXPECT_FALSE(may_see(&kRules, Granted::kQueue, "other"));
}

TEST(KeyRules, an_empty_list_of_rules_grants_nothing) {
  const KeyRules none;
  EXPECT_FALSE(may(&none, Granted::kQueue, "jobs", Access::kRead));
  EXPECT_FALSE(may_see(&none, Granted::kQueue, "jobs"));
}

TEST(KeyRules, actions_read_write_or_administer) {
  EXPECT_EQ(access_of(sqs::Action::kReceiveMessage), Access::kRead);
  EXPECT_EQ(access_of(sqs::Action::kDeleteMessageBatch), Access::kRead);
  EXPECT_EQ(access_of(sqs::Action::kSendMessageBatch), Access::kWrite);
  EXPECT_EQ(access_of(sqs::Action::kPurgeQueue), Access::kAdmin);
  EXPECT_EQ(access_of(S3Op::kListObjectsV2), Access::kRead);
  EXPECT_EQ(access_of(S3Op::kHeadObject), Access::kRead);
  EXPECT_EQ(access_of(S3Op::kDeleteObjects), Access::kWrite);
  EXPECT_EQ(access_of(S3Op::kUploadPartCopy), Access::kWrite);
  EXPECT_EQ(access_of(S3Op::kPutBucketPolicy), Access::kAdmin);
  EXPECT_EQ(access_of(S3Op::kDeleteBucket), Access::kAdmin);
  EXPECT_EQ(access_of(S3Op::kCreateBucket), Access::kAdmin);
  EXPECT_EQ(access_of(S3Op::kPutObjectAcl), Access::kAdmin);
}

}  // namespace
}  // namespace hr::wire
