// Time values. `Time` is Unix time in milliseconds (what SQS and S3 show), `Duration` milliseconds,
// `Nanos` for measuring. Engines take `now` as an argument; nothing here reads a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace hr {

using Duration = std::chrono::milliseconds;
using Nanos = std::chrono::nanoseconds;
using Time = std::chrono::sys_time<Duration>;

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""h;

constexpr std::int64_t to_ms(Time t) { return t.time_since_epoch().count(); }
constexpr Time from_ms(std::int64_t ms) { return Time(Duration(ms)); }

}  // namespace hr
