// Reading a log back: which segments there are, which batches continue each other, where the log ends, and
// whether it ends there because writing was cut short or because stored bytes were damaged. Changes nothing
// on disk (it does sync what an ended process left in the page cache).
#pragma once

#include "base/result.h"
#include "os/disk.h"
#include "storage/log/format.h"
#include "storage/log/log.h"
#include "storage/log/segment_set.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace hr::storage {

// What the next batch has to continue.
struct Chain {
  std::uint64_t log_id = 0;
  std::uint64_t epoch = 0;
  Lsn next = 1;
  Position at;
  Time logged;
};

// The judgements of recovery. Virtual so that tests can show what each of them is for, by doing without it.
class RecoveryRules {
 public:
  virtual ~RecoveryRules() = default;
  virtual bool intact(const BatchHeader& header, ByteView payload) const;
  virtual bool continues(const BatchHeader& header, const Chain& chain) const;
  // The first bad byte stands at `bad`; everything below `durable` had been made durable.
  virtual bool is_damage(Position bad, Position durable) const { return durable > bad; }
};

struct Survey {
  std::vector<SegmentFile> segments;  // without gap; none: there is no log yet
  std::vector<std::uint64_t> spares;
  std::optional<std::uint32_t> unfinished;  // a last segment whose header never became durable: to be removed
  Chain end;
  Position sealed;  // where the last segment but one ends, and its seal belongs; none: {0, 0}
  Lsn first = 1;
  std::uint64_t segments_read = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t torn_bytes = 0;
};

// `from`: segments that end before it are not read beyond their headers.
Result<Survey> survey_log(os::Disk& disk, const RecoveryRules& rules, Lsn from,
                          const std::function<Status(const RecoveredRecord&)>& replay);

}  // namespace hr::storage
