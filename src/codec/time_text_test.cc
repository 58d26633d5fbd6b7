#include "codec/time_text.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

namespace hr::codec {
namespace {

constexpr Time kTime = from_ms(1'767'323'045'678);  // 2026-01-02T03:04:05.678Z
constexpr Time kSecond = from_ms(1'767'323'045'000);

TEST(TimeText, each_form_is_written) {
  EXPECT_EQ(http_date(kTime), "Fri, 02 Jan 2026 03:04:05 GMT");
  EXPECT_EQ(iso8601(kTime), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(amz_date(kTime), "20260102T030405Z");
  EXPECT_EQ(date_stamp(kTime), "20260102");
  EXPECT_EQ(iso8601(from_ms(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(http_date(from_ms(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(TimeText, all_three_http_forms_are_read) {
  EXPECT_EQ(parse_http_date("Fri, 02 Jan 2026 03:04:05 GMT"), kSecond);
  EXPECT_EQ(parse_http_date("Friday, 02-Jan-26 03:04:05 GMT"), kSecond);
  EXPECT_EQ(parse_http_date("Fri Jan  2 03:04:05 2026"), kSecond);
  EXPECT_EQ(parse_http_date("Thursday, 01-Jan-70 00:00:00 GMT"), from_ms(0));
  EXPECT_EQ(parse_http_date("Mon Dec 22 00:00:00 2025"), from_ms(1'766'361'600'000));
}

TEST(TimeText, iso8601_takes_fractions_and_offsets) {
  EXPECT_EQ(parse_iso8601("2026-01-02T03:04:05Z"), kSecond);
  EXPECT_EQ(parse_iso8601("2026-01-02T03:04:05.6Z"), kSecond + 600ms);
  EXPECT_EQ(parse_iso8601("2026-01-02T03:04:05.678999999Z"), kTime);
  EXPECT_EQ(parse_iso8601("2026-01-02T04:04:05+01:00"), kSecond);
  EXPECT_EQ(parse_iso8601("2026-01-01T21:34:05-05:30"), kSecond);
}

TEST(TimeText, what_is_no_time_is_refused) {
  for (const char* text :
       {"", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-02T24:00:00Z",
        "2026-01-02T00:60:00Z", "2026-01-02T00:00:60Z", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05*01:00", "2026-01-02T03:04:05Zz", "-026-01-02T03:04:05Z",
        "0001-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-00:01"}) {
    EXPECT_EQ(parse_iso8601(text).error().code, Errc::kInvalid) << text;
  }
  for (const char* text : {"", "20260102T030405", "20260102T030405Z ", "20260230T030405Z", "2026012T0030405Z",
                           "+0260102T030405Z", "20260102t030405Z"}) {
    EXPECT_EQ(parse_amz_date(text).error().code, Errc::kInvalid) << text;
  }
  for (const char* text :
       {"", "Fri, 02 Jan 2026 03:04:05", "Fri, 2 Jan 2026 03:04:05 GMT", "Fri, 02 jan 2026 03:04:05 GMT",
        "Fri, 02 Jan 2026 03:04:05 UTC", "Fri, 30 Feb 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:05 GMT "}) {
    EXPECT_EQ(parse_http_date(text).error().code, Errc::kInvalid) << text;
  }
}

TEST(TimeText, times_past_the_years_that_can_be_written_are_the_nearest_ones) {
  EXPECT_EQ(iso8601(Time::max()), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(iso8601(Time::min()), "0001-01-01T00:00:00.000Z");
  EXPECT_EQ(parse_iso8601("9999-12-31T23:59:59.999Z"), from_ms(253'402'300'799'999));
}

RC_GTEST_PROP(TimeText, what_is_written_is_read_back, ()) {
  const Time t = from_ms(*rc::gen::inRange<std::int64_t>(-62'135'596'800'000, 253'402'300'800'000));
  const Time second = std::chrono::floor<std::chrono::seconds>(t);
  RC_ASSERT((parse_iso8601(iso8601(t)) == t));
  RC_ASSERT((parse_http_date(http_date(t)) == second));
  RC_ASSERT((parse_amz_date(amz_date(t)) == second));
}

}  // namespace
}  // namespace hr::codec
