#include "remote/key_keeper.h"

#include <algorithm>

namespace hr::remote {
namespace {

constexpr Duration kAhead = 15min;         // of the end, when keys live long enough
constexpr Duration kJitter = 5min;         // still earlier, at most
constexpr Duration kAgain = 1s;            // after a failure, doubled each time
constexpr Duration kAgainMax = 5min;       //
constexpr Duration kOutliveAgain = 10min;  // for keys past their end that are good all the same

// 0 up to and without `most`.
Duration drawn(Duration most, std::uint64_t random) {
  return most <= Duration{}
             ? Duration{}
             : Duration(static_cast<std::int64_t>(random % static_cast<std::uint64_t>(most.count())));
}

// Half of it is sure, half is drawn.
Duration pause_after(int failures, std::uint64_t random) {
  const Duration most = std::min(kAgainMax, kAgain * (1 << std::min(failures, 9)));
  return most / 2 + drawn(most / 2, random);
}

Time next_search(Time expires, Time now, std::uint64_t random) {
  const Duration left = expires - now;
  if (left <= Duration{}) return now + kOutliveAgain / 2 + drawn(kOutliveAgain / 2, random);
  return expires - std::min(kAhead, left / 4) - drawn(std::min(kJitter, left / 10), random);
}

}  // namespace

const Keys* KeyKeeper::usable(Time now) const {
  if (!keys_ || (bad_ && keys_->credentials == *bad_)) return nullptr;
  return !keys_->expires || keys_->outlive || late_ || now < *keys_->expires ? &*keys_ : nullptr;
}

void KeyKeeper::found(Keys keys, Time now, std::uint64_t random) {
  searching_ = false;
  const bool late = keys.expires && *keys.expires <= now && !keys.outlive;
  // The same again: a service may come to know them, so they are tried once more, but not at once.
  const bool same = bad_ && keys.credentials == *bad_;
  if ((same && failures_ == 0) || (late && usable(now) != nullptr && !late_)) {
    const ByteView what =
        late ? " gives keys that have run out" : " gives the same keys again, which a service refused";
    return failed({Errc::kUnavailable, keys.source + Bytes(what)}, now, random);
  }
  failures_ = same ? failures_ + 1 : 0;
  bad_.reset();
  error_.reset();
  keys_ = std::move(keys);
  late_ = late;
  next_ = keys_->expires ? next_search(*keys_->expires, now, random) : Time::max();
}

void KeyKeeper::failed(Error error, Time now, std::uint64_t random) {
  searching_ = false;
  error_ = std::move(error);
  next_ = now + pause_after(failures_++, random);
}

void KeyKeeper::clock_moved(Time now, std::uint64_t random) {
  if (!keys_ || bad_ || error_) {
    next_ = std::min(next_, now + pause_after(failures_, random));
    return;
  }
  late_ = keys_->expires && *keys_->expires <= now && !keys_->outlive;
  if (keys_->expires) next_ = next_search(*keys_->expires, now, random);
}

void KeyKeeper::refused(const codec::Credentials& credentials, Time now, std::uint64_t random) {
  if (!keys_ || keys_->credentials != credentials || (bad_ && *bad_ == credentials)) return;
  bad_ = credentials;
  next_ = failures_ == 0 ? now : now + pause_after(failures_, random);
}

}  // namespace hr::remote
