// The queues of a damaged store: the state's blocks that can be read, then the records that are left. What
// cannot be taken back any more is passed over so that no message that is there goes, and none that is gone
// for good is silent: each is listed. A message may be visible, or back in its queue, that was not.
#pragma once

#include "base/result.h"
#include "queue/engine.h"
#include "queue/image.h"
#include "queue/records.h"
#include "storage/log/record.h"
#include "storage/state/block.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace hr::commit {

struct LostMessage {
  std::string queue;
  std::uint64_t number = 0;  // in its queue
  std::string id;            // MessageId; empty: it went with its record

  std::string text() const;
};

class QueueSalvage {
 public:
  QueueSalvage() : engine_(queue::Limits{}) {}

  queue::Engine& engine() { return engine_; }
  const std::vector<LostMessage>& lost() const { return lost_; }
  Time now() const { return now_; }               // of the newest record
  bool passed_over() const { return tolerant_; }  // a record, or a part of one

  // --- the state ---
  Status load(storage::BlockKey key, ByteView bytes);
  // Pages of messages are gone: what the log says of messages up to the state's position is looked through
  // for them, from its beginning on (note()).
  void note(const storage::RecoveredRecord& record);
  Status loaded(std::uint32_t pages);  // above every page that was loaded

  // --- the records after it, in log order ---
  // kUnsupported: written by a newer version.
  Status take(const storage::RecoveredRecord& record);

  // The record of a message that is there cannot be read: it is lost, and taken out of its queue.
  void give_up(const queue::Standing& message);

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // queue, number

  bool restore(const queue::AnyRecord& decoded, const storage::RecoveredRecord& record);
  bool feed(const queue::AnyRecord& record, const storage::Location& at);
  void fill(queue::QueueId queue, queue::Seq until, Time now);
  void lose(queue::QueueId queue, queue::Seq seq, std::string id);

  void pass(const queue::MessageSent& r, const storage::Location& at);
  void pass(const queue::MessagesReceived& r, const storage::Location& at);
  void pass(const queue::MessagesErased& r, const storage::Location& at);
  void pass(const queue::VisibilityChanged& r, const storage::Location& at);
  void pass(const queue::MessagesExpired& r, const storage::Location& at);
  void pass(const queue::MessagesDeadLettered& r, const storage::Location& at);
  void pass(const queue::MessagesRedriven& r, const storage::Location& at);
  template <class R>
  void pass(const R& r, const storage::Location& at) {
    feed(r, at);
  }

  queue::Engine engine_;
  std::vector<LostMessage> lost_;
  bool tolerant_ = false;
  Time now_{};
  std::map<std::uint64_t, std::uint64_t> next_;  // by queue: the number of its next message
  std::set<Key> stayed_;  // numbers of moves that did not happen: the message is where it was
  std::map<Key, queue::MessageImage> candidates_;
};

}  // namespace hr::commit
