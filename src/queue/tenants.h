// Fair queues: the tenants of one standard queue, by MessageGroupId, and whose turn it is. A tenant is noisy
// when it holds more than a tenth of the queue's messages in flight and at least Limits::noisy_inflight of
// them, or took more than a tenth of the recent time of processing (receive to delete, over the last 5 to 10
// minutes). It is judged when a message of it is handed out and before one is deleted, and is quiet again
// when nothing of it waits any more or it has sent nothing for 5 minutes. Quiet tenants come first, in the
// order of their messages' turns; among noisy ones the one with the fewest messages in flight.
//
// Who is noisy follows from the commands alone. It is no part of the log: after a restart tenants are judged
// anew. A tenant with a message costs 133 bytes, in steps that never touch all of them.
// Source: SQS Developer Guide, "How Amazon SQS fair queues work".
#pragma once

#include "queue/groups.h"
#include "queue/lane.h"
#include "queue/queue.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace hr::queue {

inline constexpr GroupIndex kNoTenant = UINT32_MAX;  // group_next of a message without a group
inline constexpr Duration kNoisyFor = 300s;          // without sending
inline constexpr std::size_t kNoisyMax = 64;    // more tenants than this at one moment are not called noisy
inline constexpr std::size_t kSharesKept = 64;  // of processing time; what is above a tenth is always kept

// Who took how much time lately: the largest shares, by the Space-Saving algorithm, in windows of 5 minutes
// of which the latest two count.
class ProcessingTime {
 public:
  void add(GroupKey key, Duration spent, Time now);  // kNone: of nobody's
  bool above_tenth(GroupKey key, Time now);

 private:
  struct Share {
    GroupKey key{};
    std::int64_t ms = 0;
  };
  struct Window {
    std::vector<Share> shares;
    std::int64_t total_ms = 0;
  };

  void roll(Time now);
  static std::int64_t of(const Window& window, GroupKey key);

  std::int64_t number_ = 0;  // of the latest window
  Window latest_, before_;
};

class Tenants {
 public:
  // `owner`: of this queue's groups.
  Tenants(Slab& slab, Groups& groups, std::uint64_t owner) : slab_(&slab), groups_(&groups), owner_(owner) {}
  Tenants(const Tenants&) = delete;
  Tenants& operator=(const Tenants&) = delete;

  // One message more, sent at that time; it stands nowhere yet. The index is that of its group.
  GroupIndex join(GroupKey key, Time sent);
  // One message less, which stands nowhere any more.
  void leave(GroupIndex group);
  // The message was put there, or taken from there. Visible ones stand in the tenant's lane.
  void linked(GroupIndex group, Slot slot, Where where);
  void unlinked(GroupIndex group, Slot slot, Where where);
  // After a change of the tenant's message: is there still something that waits?
  void look(GroupIndex group);

  bool noisy(GroupIndex group) const { return at(group).noisy; }
  Slot quiet_head() const;
  Slot noisy_head() const;

  void judge(GroupIndex group, std::uint64_t in_flight, std::size_t noisy_inflight, Time now);
  void spent(GroupKey key, Duration time, Time now) { processing_.add(key, time, now); }
  void hush(Time now);  // who has sent nothing for long is quiet

  std::uint64_t size() const { return used_; }
  std::vector<const Lane*> lanes() const;
  const char* audit() const;  // what its messages say of it is the caller's to compare

 private:
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;

  struct Tenant {
    GroupIndex group = 0;
    Lane lane;
    std::uint32_t in_flight = 0, waiting = 0;
    std::uint32_t position = 0;  // among the quiet ones, while its lane is not empty
    Index next_free = kNone;
    bool placed = false;  // among the quiet ones
    bool noisy = false;
    bool used = false;
    Time last_sent{};
  };
  struct TurnOrder {
    Tenants& tenants;
    std::pair<bool, std::uint64_t> rank(Index index) const;
    void set_position(Index index, std::uint32_t position) const {
      tenants.tenants_[index].position = position;
    }
  };

  // A group's `first` is the tenant's place here.
  Tenant& at(GroupIndex group) { return tenants_[(*groups_)[group].first]; }
  const Tenant& at(GroupIndex group) const { return tenants_[(*groups_)[group].first]; }
  void place(Index index);  // where its head belongs
  void quiet(Index index);

  Slab* slab_;
  Groups* groups_;
  std::uint64_t owner_;
  std::deque<Tenant> tenants_;
  Index free_ = kNone;
  std::uint64_t used_ = 0;
  DeadlineHeap<Index> quiet_;  // those with a visible message, by its turn
  std::vector<Index> noisy_;   // in the order in which they were found so
  ProcessingTime processing_;
};

}  // namespace hr::queue
