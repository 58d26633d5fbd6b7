#include "host/certificate.h"

#include "os/linux/linux.h"

#include <gtest/gtest.h>

namespace hr::host {
namespace {

constexpr Time kNow = from_ms(1'900'000'000'000);

class SelfSigned : public testing::Test {
 protected:
  std::string made_for(const std::vector<std::string>& names) {
    auto made = make_self_signed(names, kNow, *entropy);
    EXPECT_TRUE(made);
    return made ? made->certificate : "";
  }
  std::unique_ptr<os::Entropy> entropy = os::make_entropy();
};

TEST_F(SelfSigned, it_serves_its_names_and_this_host) {
  const std::string pem = made_for({"shop.example", "*.shop.example", "10.0.0.7"});
  EXPECT_TRUE(still_serves(pem, {"shop.example"}, kNow));
  EXPECT_TRUE(still_serves(pem, {"*.shop.example", "10.0.0.7"}, kNow));
  EXPECT_TRUE(still_serves(pem, {}, kNow));
}

TEST_F(SelfSigned, another_name_wants_another_certificate) {
  const std::string pem = made_for({"shop.example"});
  EXPECT_FALSE(still_serves(pem, {"shop.example", "other.example"}, kNow));
  EXPECT_FALSE(still_serves(pem, {"10.0.0.7"}, kNow));
}

TEST_F(SelfSigned, the_names_that_it_does_not_hold_are_known) {
  const std::string pem = made_for({"shop.example", "*.shop.example"});
  EXPECT_TRUE(names_missing(pem, {"shop.example", "*.shop.example", "a.shop.example"}).empty());
  EXPECT_EQ(names_missing(pem, {"shop.example", "b.example", "10.0.0.7"}),
            (std::vector<std::string>{"b.example", "10.0.0.7"}));
  EXPECT_EQ(names_missing("", {"shop.example"}), std::vector<std::string>{"shop.example"});
}

TEST_F(SelfSigned, it_is_made_anew_a_month_before_its_year_is_over) {
  const std::string pem = made_for({"shop.example"});
  EXPECT_TRUE(still_serves(pem, {"shop.example"}, kNow + std::chrono::days(334)));
  EXPECT_FALSE(still_serves(pem, {"shop.example"}, kNow + std::chrono::days(336)));
  EXPECT_FALSE(still_serves(pem, {"shop.example"}, kNow - std::chrono::days(1)));
}

TEST_F(SelfSigned, two_of_them_have_different_keys) {
  const auto one = make_self_signed({"a.example"}, kNow, *entropy);
  const auto two = make_self_signed({"a.example"}, kNow, *entropy);
  ASSERT_TRUE(one && two);
  EXPECT_NE(one->key, two->key);
  EXPECT_TRUE(one->key.starts_with("-----BEGIN PRIVATE KEY-----"));
}

TEST_F(SelfSigned, what_is_no_certificate_serves_nobody) {
  EXPECT_FALSE(still_serves("", {}, kNow));
  EXPECT_FALSE(still_serves("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", {}, kNow));
}

TEST_F(SelfSigned, a_name_that_could_say_more_than_a_name_is_refused) {
  for (const char* name : {"", "a,DNS:b", "a b", "a\n"}) {
    const auto refused = make_self_signed({name}, kNow, *entropy);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kInvalid);
  }
  EXPECT_EQ(make_self_signed(std::vector<std::string>(101, "a"), kNow, *entropy).error().code, Errc::kLimit);
}

TEST_F(SelfSigned, a_long_name_is_held_as_an_alternative_one) {
  const std::string name = std::string(60, 'a') + ".shop.example";
  EXPECT_TRUE(still_serves(made_for({name}), {name}, kNow));
}

}  // namespace
}  // namespace hr::host
