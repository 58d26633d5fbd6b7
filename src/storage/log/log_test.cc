// What log.h promises, asked of the log on the simulated disk and on the real one.
#include "storage/log/log.h"

#include "os/linux/linux.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"
#include "storage/log/format.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

namespace hr::storage {
namespace {

constexpr LogOptions kSmall{.segment_bytes = 64U << 10, .batch_bytes_max = 16U << 10};
const Time kNow = from_ms(1'700'000'000'000);

struct Kind {
  std::string name;
  std::function<std::unique_ptr<os::Disk>(const std::string& folder)> make;
};

struct Replayed {
  Lsn lsn = 0;
  std::uint8_t kind = 0;
  Bytes payload;
  Location at;
  bool operator==(const Replayed&) const = default;
};

class Opened {
 public:
  Opened(os::Disk& disk, os::Entropy& entropy, const LogOptions& options) {
    auto opened = open_log(
        disk, entropy, options,
        [this](const RecoveredRecord& r) {
          records.push_back({r.lsn, r.kind, Bytes(r.payload), r.at});
          return Status();
        },
        report);
    if (opened) {
      log = std::move(*opened);
    } else {
      error = opened.error();
    }
  }
  SegmentedLog* operator->() const { return log.get(); }

  std::unique_ptr<SegmentedLog> log;
  std::vector<Replayed> records;
  RecoveryReport report;
  std::optional<Error> error;
};

SegmentedLog::Appended must_append(SegmentedLog& log, const std::vector<Record>& group) {
  auto appended = log.append(group, Space::kGrow, Release::kDurable, kNow);
  EXPECT_TRUE(appended.has_value()) << appended.error().message;
  return appended.value_or(SegmentedLog::Appended{});
}

SegmentedLog::Appended must_append(SegmentedLog& log, Bytes payload) {
  return must_append(log, std::vector<Record>{{7, std::move(payload)}});
}

void flush(SegmentedLog& log) {
  while (log.wait(0ms)) ASSERT_TRUE(log.write());
  ASSERT_TRUE(log.sync());
}

class LogConformance : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "headrace-log-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    disk_ = GetParam().make(folder_);
    ASSERT_TRUE(disk_);
  }
  void TearDown() override {
    disk_.reset();
    std::filesystem::remove_all(folder_);
  }
  Opened open(const LogOptions& options = kSmall) {
    Opened opened(*disk_, entropy_, options);
    EXPECT_FALSE(opened.error) << opened.error->message;
    return opened;
  }

  std::string folder_;
  std::unique_ptr<os::Disk> disk_;
  sim::SimEntropy entropy_{1};
};

TEST_P(LogConformance, a_new_log_is_empty) {
  const Opened log = open();
  EXPECT_EQ(log.report.last, 0U);
  EXPECT_TRUE(log.records.empty());
  EXPECT_FALSE(log->wants_sync());
}

TEST_P(LogConformance, what_was_appended_is_replayed_in_order_with_its_places) {
  std::vector<Replayed> expected;
  {
    const Opened log = open();
    for (Lsn lsn = 1; lsn <= 100; ++lsn) {
      const std::vector<Record> group{{1, Bytes(lsn * 7, 'a')}, {64, ""}, {127, Bytes(lsn, 'b')}};
      const auto appended = must_append(*log.log, group);
      EXPECT_EQ(appended.lsn, lsn);
      for (std::size_t i = 0; i < group.size(); ++i) {
        expected.push_back({lsn, group[i].kind, group[i].payload, appended.at[i]});
      }
      if (lsn % 3 == 0) flush(*log.log);
    }
    flush(*log.log);
  }
  const Opened again = open();
  EXPECT_EQ(again.records, expected);
  EXPECT_EQ(again.report.last, 100U);
  EXPECT_EQ(again.report.logged, kNow);
  EXPECT_EQ(again.report.torn_bytes, 0U);
}

TEST_P(LogConformance, lsns_and_epochs_go_on_after_every_open) {
  std::uint64_t epoch = 0;
  for (Lsn lsn = 1; lsn <= 70; ++lsn) {
    const Opened log = open();
    EXPECT_EQ(log.report.last, lsn - 1);
    EXPECT_NE(log->epoch(), epoch);
    epoch = log->epoch();
    EXPECT_EQ(must_append(*log.log, "x").lsn, lsn);
    flush(*log.log);
  }
  EXPECT_GT(open().report.segments, 1U);
}

TEST_P(LogConformance, a_record_is_readable_before_and_after_it_is_written) {
  const Opened log = open();
  std::vector<std::pair<Location, Bytes>> all;
  for (int i = 0; i < 200; ++i) {
    const Bytes payload(static_cast<std::size_t>(i * 13), static_cast<char>(i));
    all.emplace_back(must_append(*log.log, payload).at[0], payload);
    EXPECT_EQ(log->read(all.back().first), payload);
    if (i % 10 == 9) flush(*log.log);
  }
  flush(*log.log);
  EXPECT_GT(log->stats().segments, 2U);
  for (const auto& [at, payload] : all) EXPECT_EQ(log->read(at), payload);
  const Opened again = open();
  for (const auto& [at, payload] : all) EXPECT_EQ(again->read(at), payload);
}

TEST_P(LogConformance, a_place_without_a_record_is_an_error) {
  const Opened log = open();
  const Location at = must_append(*log.log, "hello").at[0];
  flush(*log.log);
  EXPECT_EQ(log->read({9, at.offset, at.bytes}).error().code, Errc::kNotFound);
  EXPECT_EQ(log->read({at.segment, 5, at.bytes}).error().code, Errc::kInvalid);
  EXPECT_EQ(log->read({at.segment, at.offset + 1, at.bytes}).error().code, Errc::kCorrupt);
  EXPECT_EQ(log->read({at.segment, at.offset, at.bytes + 1}).error().code, Errc::kCorrupt);
  EXPECT_EQ(log->read({at.segment, 64U << 10, 5}).error().code, Errc::kCorrupt);
  EXPECT_EQ(log->read({at.segment, at.offset, ~0U}).error().code, Errc::kInvalid);
}

TEST_P(LogConformance, a_group_that_does_not_fit_is_refused_and_one_byte_less_is_taken) {
  const Opened log = open({.segment_bytes = 64U << 10, .batch_bytes_max = 1U << 20});
  const std::size_t most = (64U << 10) - 512 - 512 - kBatchHeaderBytes - kRecordHeaderBytes;
  const std::vector<Record> too_large{{1, Bytes(most + 1, 'x')}};
  EXPECT_EQ(log->append(too_large, Space::kGrow, Release::kDurable, kNow).error().code, Errc::kLimit);
  EXPECT_EQ(log->admit(1, most + 1, Space::kGrow).error().code, Errc::kLimit);
  const Location at = must_append(*log.log, Bytes(most, 'x')).at[0];
  flush(*log.log);
  EXPECT_EQ(log->read(at), Bytes(most, 'x'));

  const Opened small = open();
  const std::size_t batch = kSmall.batch_bytes_max - kRecordHeaderBytes;
  EXPECT_EQ(
      small->append(std::vector<Record>{{1, Bytes(batch + 1, 'x')}}, Space::kGrow, Release::kDurable, kNow)
          .error()
          .code,
      Errc::kLimit);
  must_append(*small.log, Bytes(batch, 'x'));
}

TEST_P(LogConformance, empty_groups_and_foreign_kinds_are_refused) {
  const Opened log = open();
  for (const std::vector<Record>& bad :
       {std::vector<Record>{}, {{0, "x"}}, {{128, "x"}}, {{1, "x"}, {255, "x"}}}) {
    EXPECT_EQ(log->append(bad, Space::kGrow, Release::kDurable, kNow).error().code, Errc::kInvalid);
  }
  EXPECT_EQ(must_append(*log.log, "x").lsn, 1U);
}

TEST_P(LogConformance, options_outside_their_limits_are_refused) {
  for (const LogOptions bad :
       {LogOptions{.segment_bytes = 60U << 10}, LogOptions{.segment_bytes = (64U << 10) + 512},
        LogOptions{.segment_bytes = (1U << 30) + 4096}, LogOptions{.batch_bytes_max = 511}}) {
    Opened opened(*disk_, entropy_, bad);
    ASSERT_TRUE(opened.error);
    EXPECT_EQ(opened.error->code, Errc::kInvalid);
  }
}

TEST_P(LogConformance, too_much_pending_is_busy_until_it_is_written) {
  LogOptions options = kSmall;
  options.pending_bytes_max = 10'000;
  const Opened log = open(options);
  must_append(*log.log, Bytes(9'000, 'x'));
  const std::vector<Record> more{{1, Bytes(1'000, 'x')}};
  EXPECT_EQ(log->append(more, Space::kShrink, Release::kDurable, kNow).error().code, Errc::kBusy);
  EXPECT_EQ(log->admit(1, 1'000, Space::kShrink).error().code, Errc::kBusy);
  flush(*log.log);
  EXPECT_EQ(must_append(*log.log, more).lsn, 2U);
}

TEST_P(LogConformance, segments_before_an_lsn_are_dropped_whole) {
  std::vector<Lsn> kept;
  {
    const Opened log = open();
    for (int i = 0; i < 60; ++i) {
      must_append(*log.log, Bytes(5'000, 'x'));
      flush(*log.log);
    }
    const auto segments = log->stats().segments;
    ASSERT_TRUE(log->drop_before(1, UINT32_MAX));
    EXPECT_EQ(log->stats().segments, segments);
    ASSERT_TRUE(log->drop_before(30, UINT32_MAX));
    EXPECT_LT(log->stats().segments, segments);
    ASSERT_TRUE(log->drop_before(1000, UINT32_MAX));
    EXPECT_EQ(log->stats().segments, 1U);
    must_append(*log.log, "after");
    flush(*log.log);
  }
  const Opened again = open();
  EXPECT_EQ(again.report.last, 61U);
  EXPECT_GT(again.report.first, 30U);
  EXPECT_EQ(again.records.back().payload, "after");
  EXPECT_EQ(again.records.front().lsn, again.report.first);
}

TEST_P(LogConformance, wanting_a_sync_follows_the_release) {
  const Opened log = open();
  ASSERT_TRUE(log->append(std::vector<Record>{{1, "x"}}, Space::kGrow, Release::kWritten, kNow));
  EXPECT_EQ(log->write(), 1U);
  EXPECT_FALSE(log->wants_sync());
  must_append(*log.log, "y");
  EXPECT_EQ(log->write(), 2U);
  EXPECT_TRUE(log->wants_sync());
  EXPECT_EQ(log->sync(), 2U);
  EXPECT_FALSE(log->wants_sync());
  EXPECT_EQ(log->write(), 2U);
}

TEST_P(LogConformance, a_mark_is_written_once_and_only_when_something_is_new) {
  const Opened log = open();
  ASSERT_TRUE(log->mark());
  EXPECT_EQ(log->stats().batches, 0U);
  must_append(*log.log, "x");
  ASSERT_TRUE(log->mark());
  EXPECT_EQ(log->stats().batches, 0U);
  flush(*log.log);
  ASSERT_TRUE(log->mark());
  EXPECT_EQ(log->stats().batches, 2U);
  ASSERT_TRUE(log->mark());
  EXPECT_EQ(log->stats().batches, 2U);
}

TEST_P(LogConformance, wait_answers_what_there_is) {
  const Opened log = open();
  EXPECT_FALSE(log->wait(0ms));
  log->wake();
  EXPECT_FALSE(log->wait(1h));
  must_append(*log.log, "x");
  EXPECT_TRUE(log->wait(1h));
}

TEST_P(LogConformance, two_threads_append_and_write_and_read) {
  constexpr Lsn kGroups = 3000;
  {
    const Opened log = open();
    std::thread writer([&] {
      Lsn durable = 0;
      while (durable < kGroups) {
        if (!log->wait(1h)) continue;
        ASSERT_TRUE(log->write());
        const auto synced = log->sync();
        ASSERT_TRUE(synced);
        durable = *synced;
      }
    });
    for (Lsn lsn = 1; lsn <= kGroups;) {
      const std::vector<Record> group{{1, std::to_string(lsn)}, {2, Bytes(lsn % 500, 'x')}};
      const auto appended = log->append(group, Space::kGrow, Release::kDurable, kNow);
      if (lsn % 3 == 0 || lsn == kGroups || !appended) log->kick();  // now for one group, now for several
      if (!appended) {
        ASSERT_EQ(appended.error().code, Errc::kBusy);
        std::this_thread::yield();
        continue;
      }
      EXPECT_EQ(log->read(appended->at[0]), group[0].payload);
      ++lsn;
    }
    writer.join();
  }
  const Opened again = open();
  EXPECT_EQ(again.report.last, kGroups);
  ASSERT_EQ(again.records.size(), 2 * kGroups);
  for (Lsn lsn = 1; lsn <= kGroups; ++lsn) EXPECT_EQ(again.records[2 * lsn - 2].payload, std::to_string(lsn));
}

const Kind kKinds[] = {
    {"linux",
     [](const std::string& folder) {
       auto disk = os::open_disk(folder);
       return disk ? std::move(*disk) : nullptr;
     }},
    {"sim", [](const std::string&) -> std::unique_ptr<os::Disk> { return std::make_unique<sim::SimDisk>(); }},
};

INSTANTIATE_TEST_SUITE_P(Disks, LogConformance, testing::ValuesIn(kKinds),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hr::storage
