#include "object/scrub.h"

#include <gtest/gtest.h>

namespace hr::object {
namespace {

using storage::Table;
using What = Scrub::What;

constexpr Time kStart = from_ms(1'700'000'000'000);

Damage damage(std::string key, std::uint64_t number) {
  Damage out{.bucket = "inbox", .key = std::move(key), .files = {{1, number}}};
  out.reason = "its MD5 is another one";
  return out;
}

BodyWalk::Stretch stretch(std::uint64_t cost, std::vector<Damage> damaged = {}, bool ended = false) {
  return {.cost = cost,
          .bodies = 1,
          .bytes = cost,
          .damaged = std::move(damaged),
          .ended = ended,
          .place = ended ? BodyPlace{} : BodyPlace{.table = Table::kVersions, .after = "k"}};
}

class TheScrub : public testing::Test {
 protected:
  // Saves whenever it is asked to.
  Scrub::Turn turn(Time now, StoreLoad load = {}) {
    for (;;) {
      const auto turn = scrub_.turn(now, load);
      if (turn.what != What::kSave) return turn;
      scrub_.saved(now);
    }
  }

  Scrub scrub_{{.bytes_per_second = 1'000, .stretch_bytes = 500}, kStart};
};

TEST_F(TheScrub, reads_no_faster_than_its_rate) {
  EXPECT_EQ(turn(kStart).what, What::kRead);
  EXPECT_EQ(turn(kStart).budget, 500U);
  scrub_.read(stretch(500), kStart);
  EXPECT_EQ(turn(kStart).what, What::kWait);
  EXPECT_EQ(turn(kStart).until, kStart + 500ms);
  EXPECT_EQ(turn(kStart + 499ms).what, What::kWait);
  EXPECT_EQ(turn(kStart + 500ms).what, What::kRead);
}

TEST_F(TheScrub, waits_while_the_store_is_busy) {
  EXPECT_EQ(turn(kStart + 1s, {.requests = 101}).until, kStart + 2s);
  EXPECT_EQ(turn(kStart + 1s, {.requests = 101}).what, What::kWait);
  EXPECT_TRUE(scrub_.stats().busy);
  EXPECT_EQ(turn(kStart + 2s, {.requests = 201}).what, What::kRead);
  EXPECT_EQ(turn(kStart + 3s, {.requests = 201, .bytes = (32U << 20) + 1}).what, What::kWait);
  EXPECT_EQ(turn(kStart + 4s, {.requests = 201, .bytes = (32U << 20) + 1}).what, What::kRead);
}

TEST_F(TheScrub, rests_until_a_day_after_it_began) {
  scrub_.read(stretch(100, {}, true), kStart + 1s);
  EXPECT_EQ(scrub_.stats().passes, 1U);
  EXPECT_FALSE(scrub_.stats().running);
  EXPECT_EQ(turn(kStart + 2s).until, kStart + 24h);
  EXPECT_EQ(turn(kStart + 24h).what, What::kRead);
}

TEST_F(TheScrub, begins_again_when_it_is_asked_to) {
  scrub_.read(stretch(100, {}, true), kStart);
  ASSERT_TRUE(scrub_.begin(kStart + 5s));
  EXPECT_EQ(turn(kStart + 5s).what, What::kRead);
  EXPECT_EQ(scrub_.place(), BodyPlace{});
}

TEST_F(TheScrub, does_nothing_at_a_rate_of_zero) {
  Scrub off({.bytes_per_second = 0}, kStart);
  EXPECT_EQ(off.turn(kStart + 48h, {}).what, What::kWait);
  EXPECT_EQ(off.begin(kStart).error().code, Errc::kInvalid);
}

TEST_F(TheScrub, tells_of_damage_once_and_keeps_it_at_once) {
  EXPECT_EQ(scrub_.read(stretch(1, {damage("a", 1)}), kStart).size(), 1U);
  EXPECT_EQ(scrub_.turn(kStart, {}).what, What::kSave);
  EXPECT_TRUE(scrub_.read(stretch(1, {damage("a", 1)}), kStart + 1s).empty());
  EXPECT_EQ(scrub_.damage().size(), 1U);
  EXPECT_TRUE(scrub_.damage().has({1, 1}));
  EXPECT_FALSE(scrub_.damage().has({1, 2}));
}

TEST_F(TheScrub, forgets_what_a_whole_pass_did_not_find_again) {
  scrub_.read(stretch(1, {damage("a", 1), damage("b", 2)}, true), kStart);
  ASSERT_TRUE(scrub_.begin(kStart));
  scrub_.read(stretch(1, {damage("b", 2)}), kStart);
  EXPECT_EQ(scrub_.damage().size(), 2U);
  scrub_.read(stretch(1, {}, true), kStart);
  EXPECT_EQ(scrub_.damage().size(), 1U);
  EXPECT_FALSE(scrub_.damage().has({1, 1}));
}

TEST_F(TheScrub, forgets_what_only_a_pass_that_was_broken_off_had_found) {
  scrub_.read(stretch(1, {damage("a", 1)}), kStart);
  ASSERT_TRUE(scrub_.begin(kStart));
  EXPECT_TRUE(scrub_.damage().has({1, 1}));
  scrub_.read(stretch(1, {}, true), kStart);
  EXPECT_TRUE(scrub_.damage().empty());
}

TEST_F(TheScrub, counts_nothing_that_was_read_for_a_pass_that_was_broken_off) {
  scrub_.read(stretch(1, {damage("a", 1)}), kStart);
  ASSERT_EQ(turn(kStart + 1s).what, What::kRead);
  ASSERT_TRUE(scrub_.begin(kStart + 1s));
  EXPECT_TRUE(scrub_.read(stretch(1, {damage("b", 2)}, true), kStart + 1s).empty());
  EXPECT_EQ(scrub_.place(), BodyPlace{}) << "the new pass reads all of it";
  EXPECT_EQ(scrub_.stats().passes, 0U);
  EXPECT_TRUE(scrub_.damage().has({1, 1})) << "not looked for yet";
  ASSERT_EQ(turn(kStart + 1s).what, What::kRead);
  ASSERT_TRUE(scrub_.begin(kStart + 1s));
  scrub_.failed({Errc::kCorrupt, "a block of the index is damaged"}, kStart + 1s);
  EXPECT_EQ(scrub_.place(), BodyPlace{});
  EXPECT_EQ(scrub_.stats().errors, 0U);
}

TEST_F(TheScrub, forgets_nothing_when_the_index_could_not_be_read) {
  scrub_.read(stretch(1, {damage("a", 1)}, true), kStart);
  ASSERT_TRUE(scrub_.begin(kStart));
  scrub_.failed({Errc::kCorrupt, "a block of the index is damaged"}, kStart);
  EXPECT_EQ(scrub_.place().table, Table::kVersions);
  scrub_.failed({Errc::kCorrupt, "a block of the index is damaged"}, kStart);
  scrub_.read(stretch(1, {}, true), kStart);
  EXPECT_EQ(scrub_.damage().size(), 1U);
  EXPECT_EQ(scrub_.stats().errors, 2U);
}

TEST_F(TheScrub, knows_after_a_restart_where_it_was_and_what_it_found) {
  Damage odd = damage(std::string("k\xff\n", 3), 7);
  odd.version = "v1";
  scrub_.read(stretch(1, {odd, damage("b", 2)}), kStart);
  Scrub next({.bytes_per_second = 1'000}, kStart + 1h);
  ASSERT_TRUE(next.load(scrub_.text()));
  EXPECT_EQ(next.place(), scrub_.place());
  EXPECT_EQ(next.damage().all(), scrub_.damage().all());
  EXPECT_EQ(next.text(), scrub_.text());
}

TEST_F(TheScrub, begins_at_once_when_it_was_off_before) {
  Scrub off({.bytes_per_second = 0}, kStart);
  Scrub on({.bytes_per_second = 1'000}, kStart + 1s);
  ASSERT_TRUE(on.load(off.text()));
  EXPECT_EQ(on.turn(kStart + 1s, {}).what, What::kRead);
}

TEST_F(TheScrub, refuses_a_text_that_is_not_its_own) {
  scrub_.read(stretch(1, {damage("a", 1)}), kStart);
  const std::string text = scrub_.text();
  for (std::size_t cut = 0; cut + 2 < text.size(); cut += 7) {
    Scrub next({}, kStart);
    EXPECT_EQ(next.load(text.substr(0, cut)).error().code, Errc::kCorrupt);
    EXPECT_TRUE(next.damage().empty());
  }
}

}  // namespace
}  // namespace hr::object
