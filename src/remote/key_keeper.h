// When keys are looked for again, and which may be used meanwhile: ahead of their end, with jitter so that
// many hosts do not ask at once; kept while they are valid when that fails. Keys that seem to have run out
// when they are found are tried all the same: it may be this host's clock that is wrong, and only an answer
// to a signed request tells. Pure: time and randomness are arguments.
#pragma once

#include "base/time.h"
#include "remote/credentials.h"

#include <cstdint>
#include <optional>

namespace hr::remote {

class KeyKeeper {
 public:
  // Null: there are none that a service might take.
  const Keys* usable(Time now) const;
  // Whether a search should begin now. While one runs, it should not.
  bool wants_search(Time now) const { return !searching_ && now >= next_; }

  void search_began() { searching_ = true; }
  void found(Keys keys, Time now, std::uint64_t random);
  void failed(Error error, Time now, std::uint64_t random);

  // A service refused these: they are not used, and others are looked for.
  void refused(const codec::Credentials& credentials, Time now, std::uint64_t random);

  // What has been decided by a clock that was wrong is decided anew.
  void clock_moved(Time now, std::uint64_t random);

  bool searching() const { return searching_; }
  const std::optional<Error>& error() const { return error_; }  // of the last search, if it failed

 private:
  std::optional<Keys> keys_;
  std::optional<Error> error_;
  std::optional<codec::Credentials> bad_;
  Time next_{};
  int failures_ = 0;
  bool searching_ = false;
  bool late_ = false;  // keys_ had run out when they were found, by a clock that may be wrong
};

}  // namespace hr::remote
