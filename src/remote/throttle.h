// How hard one service is asked: a budget for repeats, so that a service in trouble is not asked more than
// one that is well, and a pace that follows what it takes, found as AWS's own SDKs find it in their adaptive
// mode (a token bucket whose rate falls by 30 % at a refusal and grows back along a cubic). Pure: time and
// randomness are arguments.
#pragma once

#include "base/time.h"

#include <cstdint>
#include <optional>

namespace hr::remote {

// The quota of AWS's standard retry mode.
class RetryBudget {
 public:
  static constexpr int kTokens = 500;
  static constexpr int kRepeat = 5, kAfterTimeout = 10;  // what one repeat costs
  static constexpr int kSuccess = 1;                     // what an answer at the first try gives back

  bool take(int cost);  // false: there is none left, the failure stands
  void give(int tokens);
  int left() const { return left_; }

 private:
  int left_ = kTokens;
};

class Pacer {
 public:
  // When the next request may be sent, at the earliest; it counts as sent then. `now` before the first
  // refusal. None: not before `latest`, and nothing is counted.
  std::optional<Nanos> reserve(Nanos now, Nanos latest = Nanos::max());
  // One that is sent whatever the pace says. Others wait for it, but never long for many of them.
  void sent(Nanos now);
  void answered(bool throttled, Nanos now);

  bool pacing() const { return pacing_; }  // the service has refused something for its rate
  double rate() const { return rate_; }    // requests a second that it takes, while pacing

 private:
  void measure(double now);
  void refill(double now);
  void set_rate(double rate, double now);
  double cubic(double now) const;

  bool pacing_ = false;
  double tokens_ = 0, capacity_ = 1, rate_ = 0, refilled_ = 0;  // of the bucket; seconds
  double measured_ = 0, window_ = 0, sent_ = 0;                 // what is sent, half second by half second
  double last_max_ = 0, last_refusal_ = 0, time_window_ = 0;    // of the cubic
};

// Full jitter: anything from nothing up to `base` doubled `repeats` times, at most `most`.
Duration backoff(Duration base, int repeats, Duration most, std::uint64_t random);

}  // namespace hr::remote
