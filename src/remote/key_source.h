// The credentials of a process that lives on a reactor: searched for in a thread of their own, which exists
// from the first search on, one search at a time, ahead of their end. Used on the reactor only; must outlive
// its calls.
#pragma once

#include "codec/sigv4.h"
#include "net/runtime.h"
#include "remote/aws_settings.h"
#include "remote/key_keeper.h"

#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace hr::remote {

class KeySource {
 public:
  using Search = std::function<Result<Keys>()>;  // blocks

  // `said` hears of searches that found something new, or failed: an event and its text, without secrets.
  struct Heard {
    bool failed = false;
    std::string text;
  };
  KeySource(net::Runtime& runtime, Search search, std::function<void(const Heard&)> said, std::uint32_t seed);
  ~KeySource();
  KeySource(const KeySource&) = delete;
  KeySource& operator=(const KeySource&) = delete;

  // Waits only where there are none yet. The search's error where it failed, kTimeout.
  net::Task<Result<codec::Credentials>> get(Time now, Duration timeout);
  // A service refused these: others are looked for.
  void refused(const codec::Credentials& credentials, Time now) {
    keeper_.refused(credentials, now, random_());
  }
  void clock_moved(Time now) { keeper_.clock_moved(now, random_()); }

 private:
  struct Thread;

  void begin(Time now);
  void ended(Result<Keys> keys, Time now);

  net::Runtime& runtime_;
  const Search search_;
  const std::function<void(const Heard&)> said_;
  KeyKeeper keeper_;
  std::minstd_rand random_;  // of jitter
  std::vector<std::shared_ptr<boost::asio::steady_timer>> waiting_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace hr::remote
