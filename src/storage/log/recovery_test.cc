// What recovery keeps, cuts and refuses, on a disk whose every byte the test can reach.
#include "codec/digest.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"
#include "storage/log/format.h"
#include "storage/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace hr::storage {
namespace {

using sim::Fault;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr LogOptions kSmall{.segment_bytes = 64U << 10, .batch_bytes_max = 16U << 10};
constexpr sim::CrashOptions kLoseAll{.odds = sim::CutOdds{.keep = 0}};
constexpr std::string_view kFirst = "log/00000001.log";

class LogRecovery : public testing::Test {
 protected:
  // The error of opening, if any.
  std::optional<Error> open() {
    log_.reset();
    disk_.restart();
    kept_.clear();
    auto opened = open_log(
        disk_, entropy_, kSmall,
        [this](const RecoveredRecord& r) {
          kept_.emplace_back(r.payload);
          return Status();
        },
        report_);
    if (!opened) return opened.error();
    log_ = std::move(*opened);
    return std::nullopt;
  }
  Location append(Bytes payload, Space space = Space::kGrow) {
    const auto appended =
        log_->append(std::vector<Record>{{1, std::move(payload)}}, space, Release::kDurable, from_ms(5));
    EXPECT_TRUE(appended.has_value()) << appended.error().message;
    return appended ? appended->at[0] : Location{};
  }
  void write() {
    while (log_->wait(0ms)) ASSERT_TRUE(log_->write());
  }
  void sync() {
    write();
    ASSERT_TRUE(log_->sync());
  }
  Location append_durably(Bytes payload) {
    const Location at = append(std::move(payload));
    sync();
    return at;
  }
  void fill_segments(std::uint64_t count) {
    while (log_->stats().segments < count) append_durably(Bytes(5'000, 'x'));
    ASSERT_TRUE(log_->mark());
  }
  void flip(std::string_view path, std::uint64_t at) {
    const Bytes all = disk_.contents(path).value_or("");
    ASSERT_LT(at, all.size());
    ASSERT_TRUE(disk_.damage(path, at, Bytes(1, static_cast<char>(all[at] ^ 4))));
  }

  sim::SimDisk disk_;
  sim::SimEntropy entropy_{7};
  std::unique_ptr<SegmentedLog> log_;
  RecoveryReport report_;
  std::vector<Bytes> kept_;
};

TEST_F(LogRecovery, a_torn_tail_is_cut) {
  ASSERT_FALSE(open());
  append_durably("kept");
  append(Bytes(3'000, 'x'));
  write();
  disk_.crash(1, {.odds = sim::CutOdds{.keep = 50}});
  ASSERT_FALSE(open());
  EXPECT_THAT(kept_, ElementsAre("kept"));
  EXPECT_EQ(report_.torn_segment, 1U);
  EXPECT_GT(report_.torn_bytes, 0U);
  append_durably("after");
  ASSERT_FALSE(open());
  EXPECT_THAT(kept_, ElementsAre("kept", "after"));
  EXPECT_EQ(report_.last, 2U);
}

TEST_F(LogRecovery, zeros_are_written_ahead_once_for_many_small_batches) {
  ASSERT_FALSE(open());
  for (int i = 0; i < 50; ++i) append_durably("small");
  EXPECT_EQ(disk_.ops("log.ahead"), 1U);
  EXPECT_EQ(disk_.contents(kFirst)->size(), kSmall.segment_bytes);
  fill_segments(3);
  EXPECT_EQ(disk_.ops("log.ahead"), 3U);
  ASSERT_FALSE(open());
  EXPECT_EQ(report_.torn_bytes, 0U);
  append_durably("another");
  EXPECT_EQ(disk_.ops("log.ahead"), 4U);  // what an earlier run wrote is not known
}

TEST_F(LogRecovery, what_a_power_cut_leaves_of_zeros_written_ahead_is_not_the_logs) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    disk_.crash(seed, kLoseAll);
    ASSERT_FALSE(open());
    append("perhaps");
    write();
    disk_.crash(seed, {.odds = sim::CutOdds{.keep = 30, .garble = 40}});
    ASSERT_FALSE(open()) << seed;
    append_durably("after");
    ASSERT_FALSE(open()) << seed;
    EXPECT_EQ(kept_.back(), "after");
  }
}

TEST_F(LogRecovery, a_log_that_cannot_write_ahead_is_dead) {
  ASSERT_FALSE(open());
  disk_.fail("log.ahead", Fault::kIo);
  append("x");
  ASSERT_TRUE(log_->wait(0ms));
  EXPECT_FALSE(log_->write());
  EXPECT_FALSE(log_->sync());
}

TEST_F(LogRecovery, damage_below_the_durable_mark_is_refused_by_segment_and_byte_and_nothing_changes) {
  ASSERT_FALSE(open());
  const Location one = append_durably("one");
  append_durably("two");
  flip(kFirst, one.offset);
  const auto before = disk_.contents(kFirst);
  const auto refused = open();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, Errc::kCorrupt);
  EXPECT_THAT(refused->message, HasSubstr("log/00000001.log is damaged at byte 512"));
  EXPECT_EQ(disk_.contents(kFirst), before);
  flip(kFirst, one.offset);
  ASSERT_FALSE(open());
  EXPECT_THAT(kept_, ElementsAre("one", "two"));
}

TEST_F(LogRecovery, a_mark_lets_damage_to_the_last_batch_be_seen) {
  ASSERT_FALSE(open());
  const Location at = append_durably("one");
  ASSERT_TRUE(log_->mark());
  flip(kFirst, at.offset);
  EXPECT_EQ(open()->code, Errc::kCorrupt);
}

TEST_F(LogRecovery, a_damaged_epoch_start_does_not_hide_what_came_after_it) {
  ASSERT_FALSE(open());
  append_durably("one");
  ASSERT_FALSE(open());
  ASSERT_FALSE(open());
  append_durably("two");
  ASSERT_TRUE(log_->mark());
  flip(kFirst, 1'024 + 20);
  const auto refused = open();
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->message, HasSubstr("damaged at byte 1024"));
}

TEST_F(LogRecovery, a_bit_turned_while_reading_is_read_again) {
  ASSERT_FALSE(open());
  append_durably("one");
  append_durably("two");
  for (std::uint64_t nth = 1; nth <= 3; ++nth) {
    disk_.fail("log.read", Fault::kBitFlip, nth);
    ASSERT_FALSE(open()) << nth;
    EXPECT_THAT(kept_, ElementsAre("one", "two"));
    disk_.clear_faults();
  }
}

TEST_F(LogRecovery, missing_extra_renamed_and_truncated_segments_are_refused_by_name) {
  ASSERT_FALSE(open());
  fill_segments(3);
  const auto refused_with = [&](const std::string& text) {
    const auto refused = open();
    ASSERT_TRUE(refused) << text;
    EXPECT_EQ(refused->code, Errc::kCorrupt);
    EXPECT_THAT(refused->message, HasSubstr(text));
  };
  for (const std::string path : {"log/00000002.log", "log/00000003.log"}) {
    ASSERT_TRUE(disk_.rename(path, "away", "t"));
    refused_with(path + " is missing");
    ASSERT_TRUE(disk_.rename("away", path, "t"));
  }
  ASSERT_TRUE(disk_.open("log/notes.txt", os::OpenMode::kCreate, "t"));
  refused_with("log/notes.txt is not part of the log");
  ASSERT_TRUE(disk_.remove("log/notes.txt", "t"));

  ASSERT_TRUE(disk_.rename("log/00000003.log", "log/00000004.log", "t"));
  refused_with("log/00000003.log is missing");
  ASSERT_TRUE(disk_.rename("log/00000004.log", "log/00000003.log", "t"));
  ASSERT_TRUE(disk_.rename("log/00000001.log", "away", "t"));
  ASSERT_TRUE(disk_.rename("log/00000002.log", "log/00000001.log", "t"));
  ASSERT_TRUE(disk_.rename("log/00000003.log", "log/00000002.log", "t"));
  refused_with("log/00000001.log is damaged at byte 0: it says that it is log/00000002.log");
  ASSERT_TRUE(disk_.rename("log/00000002.log", "log/00000003.log", "t"));
  ASSERT_TRUE(disk_.rename("log/00000001.log", "log/00000002.log", "t"));
  ASSERT_TRUE(disk_.rename("away", "log/00000001.log", "t"));
  ASSERT_FALSE(open());

  ASSERT_TRUE((*disk_.open("log/00000002.log", os::OpenMode::kReadWrite, "t"))->truncate(20'000, "t"));
  refused_with("log/00000002.log is damaged at byte 20000: the file is 20000 bytes long instead of 65536");
}

TEST_F(LogRecovery, a_folder_with_spares_and_no_segment_has_lost_its_log) {
  ASSERT_FALSE(open());
  ASSERT_TRUE(disk_.remove(kFirst, "t"));
  EXPECT_THAT(open()->message, HasSubstr("log/00000001.log is missing"));
}

TEST_F(LogRecovery, a_header_of_another_version_is_refused_as_such) {
  ASSERT_FALSE(open());
  Bytes header = disk_.contents(kFirst)->substr(0, kSegmentHeaderBytes);
  header[8] = 2;
  header.resize(kSegmentHeaderBytes - 4);
  Writer(header).u32(codec::crc32c(header));
  disk_.damage(kFirst, 0, header);
  const auto refused = open();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, Errc::kUnsupported);
  EXPECT_THAT(refused->message, HasSubstr("log format 2"));
}

TEST_F(LogRecovery, a_power_cut_at_every_operation_of_two_rotations_loses_nothing_acknowledged) {
  bool finished = false;
  for (std::uint64_t ops = 0; !finished; ++ops) {
    ASSERT_FALSE(open());
    const Lsn before = report_.last;
    disk_.crash_after_ops(ops);
    Lsn durable = before;
    for (int i = 0; i < 30; ++i) {
      const std::vector<Record> group{{1, Bytes(5'000, 'x')}};
      if (!log_->append(group, Space::kGrow, Release::kDurable, from_ms(0))) break;
      if (!log_->write()) break;
      const auto synced = log_->sync();
      if (!synced) break;
      durable = *synced;
    }
    finished = durable == before + 30;
    disk_.crash(ops, kLoseAll);
    ASSERT_FALSE(open()) << disk_.trace();
    ASSERT_GE(report_.last, durable) << disk_.trace();
    ASSERT_TRUE(log_->drop_before(report_.last, UINT32_MAX));
  }
}

TEST_F(LogRecovery, after_a_failed_write_or_sync_the_log_stays_dead) {
  for (const char* label : {"log.write", "log.sync"}) {
    ASSERT_FALSE(open());
    disk_.fail(label, Fault::kIo);
    append("x");
    EXPECT_EQ(log_->write().has_value(), std::string_view(label) == "log.sync");
    EXPECT_EQ(log_->sync().error().code, Errc::kIo);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(log_->append(std::vector<Record>{{1, "y"}}, Space::kShrink, Release::kDurable, from_ms(0))
                    .error()
                    .code,
                Errc::kIo);
      EXPECT_EQ(log_->admit(1, 1, Space::kShrink).error().code, Errc::kIo);
      EXPECT_EQ(log_->write().error().code, Errc::kIo);
      EXPECT_EQ(log_->sync().error().code, Errc::kIo);
      EXPECT_EQ(log_->mark().error().code, Errc::kIo);
      EXPECT_EQ(log_->drop_before(1, UINT32_MAX).error().code, Errc::kIo);
      EXPECT_TRUE(log_->wait(1h));
    }
  }
}

TEST_F(LogRecovery, a_full_disk_keeps_its_reserve_and_growth_returns_with_the_space) {
  ASSERT_FALSE(open());
  disk_.set_capacity(disk_.used_bytes());
  const std::vector<Record> group{{1, Bytes(5'000, 'g')}};
  Errc refused{};
  for (int i = 0; i < 100 && refused != Errc::kNoSpace; ++i) {
    const auto appended = log_->append(group, Space::kGrow, Release::kDurable, from_ms(0));
    if (!appended) refused = appended.error().code;
    sync();
  }
  EXPECT_EQ(refused, Errc::kNoSpace);
  EXPECT_TRUE(log_->stats().space_refused);
  EXPECT_EQ(log_->admit(1, 5'000, Space::kGrow).error().code, Errc::kNoSpace);
  for (int i = 0; i < 2 * 12; ++i) {
    append(Bytes(5'000, 's'), Space::kShrink);
    sync();
  }
  ASSERT_TRUE(log_->drop_before(20, UINT32_MAX));
  disk_.set_capacity(~0ULL);
  log_->wait(0ms);
  EXPECT_FALSE(log_->stats().space_refused);
  append(Bytes(5'000, 'g'));
}

TEST_F(LogRecovery, replay_may_stop_the_opening) {
  ASSERT_FALSE(open());
  append_durably("one");
  log_.reset();
  const auto opened = open_log(
      disk_, entropy_, kSmall,
      [](const RecoveredRecord&) { return Status(fail(Errc::kUnsupported, "too new")); }, report_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, "too new");
}

TEST(LogFormat, headers_read_back_and_every_flipped_bit_is_seen) {
  const SegmentHeader segment{.segment = 3,
                              .segment_bytes = 1U << 20,
                              .log_id = 1,
                              .epoch = 2,
                              .base = 77,
                              .previous_epoch = 4,
                              .previous_end = 9 * 512,
                              .time = from_ms(5)};
  const Bytes sector = encode(segment);
  ASSERT_EQ(sector.size(), kSegmentHeaderBytes);
  EXPECT_EQ(decode_segment_header(sector), segment);
  BatchHeader batch;
  batch.flags = kEpochStart;
  batch.log_id = 8;
  batch.at = {3, 1024};
  batch.groups = 2;
  batch.payload_bytes = 500;
  batch.durable = {2, 512};
  const Bytes bytes = encode(batch);
  ASSERT_EQ(bytes.size(), kBatchHeaderBytes);
  EXPECT_EQ(decode_batch_header(bytes), batch);
  EXPECT_EQ(batch.bytes(), 1024U);
  for (std::size_t bit = 0; bit < sector.size() * 8; ++bit) {
    Bytes bad = sector;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_segment_header(bad)) << bit;
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes bad = bytes;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_batch_header(bad)) << bit;
  }
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(decode_batch_header(ByteView(bytes).substr(0, n)));
}

}  // namespace
}  // namespace hr::storage
