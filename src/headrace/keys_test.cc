#include "headrace/keys.h"

#include <gtest/gtest.h>

#include <string>

namespace hr {
namespace {

const std::string kReceipt = "receipt_secret = \"" + std::string(64, 'a') + "\"\n";
const std::string kKey =
    "[[key]]\nname = \"n\"\naccount = \"000000000000\"\nid = \"HRA\"\nsecret = \"s3cr3t\"\n";

std::string refused(const std::string& text) {
  const auto secrets = parse_keys("k", text);
  EXPECT_FALSE(secrets) << text;
  if (secrets) return {};
  EXPECT_EQ(secrets.error().code, Errc::kInvalid);
  EXPECT_EQ(secrets.error().message.find("s3cr3t"), std::string::npos) << secrets.error().message;
  return secrets.error().message;
}

TEST(Keys, a_key_without_rules_may_do_everything) {
  const auto secrets = parse_keys("k", kReceipt + kKey);
  ASSERT_TRUE(secrets) << secrets.error().message;
  EXPECT_FALSE(secrets->keys.find("HRA")->rules);
  EXPECT_EQ(secrets->receipt_key.size(), 32U);
}

TEST(Keys, the_first_one_of_the_file_is_our_clients) {
  auto second = kKey;
  second.replace(second.find("HRA"), 3, "HR0");
  EXPECT_EQ(parse_keys("k", kReceipt + kKey + second)->first, "HRA");
}

TEST(Keys, rules_are_patterns_and_what_they_grant) {
  const auto secrets = parse_keys("k", kReceipt + kKey +
                                           "[[key.allow]]\nqueues = [\"jobs\", \"jobs-*\"]\n"
                                           "may = [\"read\", \"write\"]\n"
                                           "[[key.allow]]\nbuckets = [\"b\"]\nmay = [\"admin\"]\n");
  ASSERT_TRUE(secrets) << secrets.error().message;
  const auto& rules = *secrets->keys.find("HRA")->rules;
  EXPECT_EQ(rules,
            (wire::KeyRules{
                {.queues = {"jobs", "jobs-*"}, .buckets = {}, .read = true, .write = true, .admin = false},
                {.queues = {}, .buckets = {"b"}, .read = false, .write = false, .admin = true}}));
}

TEST(Keys, an_empty_list_of_rules_grants_nothing) {
  const auto secrets = parse_keys("k", kReceipt + kKey + "allow = []\n");
  ASSERT_TRUE(secrets) << secrets.error().message;
  EXPECT_TRUE(secrets->keys.find("HRA")->rules->empty());
}

TEST(Keys, what_is_wrong_is_named_with_its_place_and_the_mend) {
  EXPECT_EQ(refused(kReceipt + kKey + "[[key.allow]]\nqueues = [\"jobs\"]\nmay = [\"reed\"]\n"),
            "k:9:8: may: \"reed\" is none of \"read\", \"write\", \"admin\"");
  EXPECT_EQ(
      refused(kReceipt + kKey + "[[key.allow]]\nqueues = [\"a b\"]\nmay = [\"read\"]\n"),
      "k:8:11: queues: \"a b\" is no pattern: 1 to 128 characters of a name, with * for any number of them "
      "and ? for one");
  EXPECT_NE(
      refused(kReceipt + kKey + "[[key.allow]]\nmay = [\"read\"]\n").find("must name queues or buckets"),
      std::string::npos);
  EXPECT_NE(
      refused(kReceipt + kKey + "[[key.allow]]\nqueues = [\"a\"]\n").find("must say what the key may do"),
      std::string::npos);
  EXPECT_NE(refused(kReceipt + kKey + "[[key.allow]]\nqueue = [\"a\"]\nmay = [\"read\"]\n")
                .find("k:8:9: queue is nothing that a rule has; it has: queues, buckets, may"),
            std::string::npos);
  EXPECT_NE(refused(kReceipt + kKey + "allow = \"all\"\n").find("k:7:9: allow must be a list"),
            std::string::npos);
  EXPECT_NE(refused(kReceipt + kKey + "acount = \"1\"\n").find("acount is nothing that a key has"),
            std::string::npos);
  EXPECT_NE(refused(kReceipt + "[[key]]\nid = 7\n").find("k:3:6: id must be a string in quotes"),
            std::string::npos);
  EXPECT_NE(refused(kReceipt + "keys = 1\n" + kKey).find("keys is nothing that a file of keys has"),
            std::string::npos);
  EXPECT_NE(refused(kReceipt + kKey + kKey).find("twice"), std::string::npos);
  EXPECT_NE(refused(kReceipt + "[[key]]\nid = \"A\"\nsecret = \"s3cr3t\"\naccount = \"12\"\n")
                .find("k:2:1: the account of access key A must be 12 digits"),
            std::string::npos);
}

TEST(Keys, limits_are_kept_at_their_edge) {
  const auto rules = [](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += "[[key.allow]]\nqueues = [\"a\"]\nmay = [\"read\"]\n";
    return text;
  };
  EXPECT_TRUE(parse_keys("k", kReceipt + kKey + rules(wire::kRulesOfKeyMax)));
  refused(kReceipt + kKey + rules(wire::kRulesOfKeyMax + 1));
  const auto pattern = [](std::size_t length) {
    return "[[key.allow]]\nmay = [\"read\"]\nqueues = [\"" + std::string(length, 'a') + "\"]\n";
  };
  EXPECT_TRUE(parse_keys("k", kReceipt + kKey + pattern(wire::kPatternBytesMax)));
  refused(kReceipt + kKey + pattern(wire::kPatternBytesMax + 1));
}

}  // namespace
}  // namespace hr
