#include "s3/tokens.h"

#include <gtest/gtest.h>

namespace hr::s3 {
namespace {

ListPageQuery page(std::string_view query) {
  const auto out = page_query(*codec::parse_query(query), "max-keys", 1000);
  EXPECT_TRUE(out) << query;
  return out ? *out : ListPageQuery{};
}

bool refused(std::string_view query) { return !page_query(*codec::parse_query(query), "max-keys", 1000); }

TEST(ListToken, comes_back_as_it_went) {
  for (const std::string& key : {std::string("a"), std::string("a/b c\xc3\xbc"), std::string(1024, 'k')}) {
    EXPECT_EQ(*read_token(make_token(key)), key);
  }
}

TEST(ListToken, another_text_is_refused) {
  Bytes token = make_token("photos/1");
  token[7] = token[7] == 'A' ? 'B' : 'A';
  for (const Bytes& bad : {token, Bytes(), Bytes("a"), Bytes("%%%"), Bytes(5000, 'A'), make_token("")}) {
    EXPECT_EQ(read_token(bad).error().code, wire::S3Code::kInvalidArgument) << bad;
  }
}

TEST(ListPage, a_page_is_at_most_as_large_as_allowed) {
  EXPECT_EQ(page("").max, 1000U);
  EXPECT_EQ(page("max-keys=0").max, 0U);
  EXPECT_EQ(page("max-keys=1000").max, 1000U);
  EXPECT_EQ(page("max-keys=1001").max, 1000U);
  EXPECT_EQ(page("max-keys=2147483647").max, 1000U);
}

TEST(ListPage, what_is_no_number_is_refused) {
  for (const auto* text : {"max-keys=-1", "max-keys=x", "max-keys=", "max-keys=1.5", "max-keys=2147483648",
                           "max-keys=99999999999999999999"}) {
    EXPECT_TRUE(refused(text)) << text;
  }
}

}  // namespace
}  // namespace hr::s3
