// Dead letters: which of them are meant, and sending them back or away without losing any. A letter goes from
// its queue only after the message that stands for it was sent.
#pragma once

#include "headrace/operator.h"
#include "headrace/queue_look.h"

#include <cstdint>
#include <string>
#include <vector>

namespace hr {

struct DeadFilter {
  std::string queue = {};  // the source queue, or its dead-letter queue; empty: all
  std::string task = {}, reason = {}, job = {};
  std::int64_t since = 0, until = 0;  // died then, Unix ms; 0: whenever

  bool matches(const SeenMessage& letter) const;
};

struct DeadQueue {
  std::string name, url;
  std::string source;  // its messages came from there
};
// kNotFound: the one that the filter names has none; kUnavailable.
net::Task<Result<std::vector<DeadQueue>>> dead_queues(Operator& here, DeadFilter filter);

struct Letter {
  DeadQueue queue;
  SeenMessage message;
};
net::Task<Result<std::vector<Letter>>> find_letters(Operator& here, DeadFilter filter, std::size_t most);

struct Moved {
  std::size_t moved = 0, left = 0;  // left: they matched, and something was refused
  std::string error;                // the first
};
// Of one dead-letter queue. What does not match is invisible to others for that long, at most 5 min.
net::Task<Moved> retry_letters(Operator& here, DeadQueue queue, DeadFilter filter);
net::Task<Moved> purge_letters(Operator& here, DeadQueue queue, DeadFilter filter);

// The message that stands for a letter in its source queue. Pure.
struct Revived {
  std::string body;
  codec::Pairs attributes;
};
Revived revived(const SeenMessage& letter);

}  // namespace hr
