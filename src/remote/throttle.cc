#include "remote/throttle.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace hr::remote {
namespace {

// As in AWS's SDKs.
constexpr double kRateMin = 0.5, kSmooth = 0.8, kBeta = 0.7, kScale = 0.4;
constexpr double kDebtMax = 2;  // seconds that requests outside the pace may keep those in it waiting

double seconds(Nanos t) { return std::chrono::duration<double>(t).count(); }

}  // namespace

bool RetryBudget::take(int cost) {
  if (left_ < cost) return false;
  left_ -= cost;
  return true;
}

void RetryBudget::give(int tokens) { left_ = std::min(kTokens, left_ + tokens); }

std::optional<Nanos> Pacer::reserve(Nanos now, Nanos latest) {
  if (!pacing_) return now;
  refill(seconds(now));
  const double left = tokens_ - 1;  // below nothing: whoever comes next waits longer
  const Nanos turn =
      left >= 0 ? now : now + std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(-left / rate_));
  if (turn >= latest) return std::nullopt;
  tokens_ = left;
  return turn;
}

void Pacer::sent(Nanos now) {
  if (!pacing_) return;
  refill(seconds(now));
  tokens_ = std::max(tokens_ - 1, std::min(tokens_, -kDebtMax * rate_));
}

void Pacer::answered(bool throttled, Nanos when) {
  const double now = seconds(when);
  measure(now);
  double rate = 0;
  if (throttled) {
    const double used = pacing_ ? std::min(measured_, rate_) : measured_;
    last_max_ = used;
    time_window_ = std::cbrt(last_max_ * (1 - kBeta) / kScale);
    last_refusal_ = now;
    rate = used * kBeta;
    if (!pacing_) refilled_ = now;
    pacing_ = true;
  } else {
    rate = cubic(now);
  }
  if (pacing_) set_rate(std::min(rate, 2 * measured_), now);
}

double Pacer::cubic(double now) const {
  const double t = now - last_refusal_ - time_window_;
  return kScale * t * t * t + last_max_;
}

void Pacer::measure(double now) {
  const double half = std::floor(now * 2) / 2;
  sent_ += 1;
  if (window_ == 0) window_ = half;
  if (half <= window_) return;
  measured_ = (sent_ / (half - window_)) * kSmooth + measured_ * (1 - kSmooth);
  sent_ = 0;
  window_ = half;
}

void Pacer::refill(double now) {
  tokens_ = std::min(capacity_, tokens_ + std::max(0.0, now - refilled_) * rate_);
  refilled_ = std::max(refilled_, now);
}

void Pacer::set_rate(double rate, double now) {
  refill(now);
  const double before = std::exchange(rate_, std::max(rate, kRateMin));
  if (tokens_ < 0 && before > 0) tokens_ *= rate_ / before;  // turns that were given keep their times
  capacity_ = std::max(rate, 1.0);
  tokens_ = std::min(tokens_, capacity_);
}

Duration backoff(Duration base, int repeats, Duration most, std::uint64_t random) {
  const Duration top = std::min<Duration>(most, base * (1LL << std::clamp(repeats, 0, 20)));
  return Duration(static_cast<std::int64_t>(random % static_cast<std::uint64_t>(top.count() + 1)));
}

}  // namespace hr::remote
