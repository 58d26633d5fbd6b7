// The scrub's decisions: when how much is read, how far it has come, and what it has found. Pure: the caller
// tells it the time and how busy the store is, reads (BodyWalk), and hands back what was read. What it knows
// survives a restart as a text that the caller keeps.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "object/body_walk.h"
#include "object/damage.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hr::object {

struct ScrubLimits {
  std::uint64_t bytes_per_second = 4U << 20;  // 0: never
  std::uint64_t stretch_bytes = 256U << 10;   // read at once
  std::uint64_t busy_requests = 100;          // a second: then it stops
  std::uint64_t busy_bytes = 32U << 20;       // likewise, received and sent
  Duration pass_every = 24h;                  // from one beginning to the next
  Duration save_every = 60s;                  // while something has changed
};

// What the store has done for its clients so far.
struct StoreLoad {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;
};

class Scrub {
 public:
  Scrub(ScrubLimits limits, Time now);

  enum class What : std::uint8_t { kWait, kRead, kSave };
  struct Turn {
    What what = What::kWait;
    Time until{};              // kWait: ask again then
    std::uint64_t budget = 0;  // kRead: read on from place()
  };
  Turn turn(Time now, const StoreLoad& load);

  const BodyPlace& place() const { return place_; }
  // After kRead. Returns what was not known before. What was read for a pass that begin() has broken off
  // meanwhile counts for nothing: the new one reads it again.
  std::vector<Damage> read(BodyWalk::Stretch stretch, Time now);
  // The index could not be read: the pass goes on with the next table, and forgets nothing.
  void failed(const Error& error, Time now);
  void saved(Time now);

  // Somebody wants a pass from the beginning, now; also while kRead is under way. kInvalid: the rate is 0.
  Status begin(Time now);
  // Found by somebody else. True: it was not known.
  bool add(Damage damage, Time now);

  const DamageList& damage() const { return damage_; }
  struct Stats {
    bool running = false, busy = false;
    std::uint64_t passes = 0;             // ended since the first start
    std::uint64_t bodies = 0, bytes = 0;  // read since the start
    std::uint64_t errors = 0;             // of the index
    Time began{}, ended{};                // of this pass, and of the last one that ended
    std::string last_error{};
  };
  Stats stats() const;

  std::string text() const;
  // kCorrupt: not such a text; nothing has changed.
  Status load(std::string_view text);

 private:
  void look_at(Time now, const StoreLoad& load);
  void end_pass(Time now);

  const ScrubLimits limits_;
  Stats stats_;
  BodyPlace place_;
  DamageList damage_;
  std::uint64_t pass_ = 1;  // the one that goes on, or will
  bool complete_ = true;    // nothing of this pass was left out
  Time next_read_{}, next_save_{};
  bool changed_ = false;
  bool reading_ = false;  // kRead was said, and neither read() nor failed() has come
  bool stale_ = false;    // and begin() came since
  StoreLoad seen_;
  Time seen_at_{};
};

}  // namespace hr::object
