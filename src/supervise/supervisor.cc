#include "supervise/supervisor.h"

#include "base/check.h"

#include <algorithm>
#include <utility>

namespace hr::supervise {

using Kind = Event::Kind;
using Why = Action::Why;

// What a step sees of the event.
struct Supervisor::Input {
  Id service = 0;
  Time now;
  bool misconfigured = false;
};

// What each state does about each event. A service that does not run cannot be ready, alive or ended: such an
// event comes late, from the process before, and means nothing.
const Supervisor::Step Supervisor::kTable[7][4] = {
    // deadline passed, ready, alive, ended
    {&Supervisor::ignore, &Supervisor::ignore, &Supervisor::ignore, &Supervisor::ignore},          // waiting
    {&Supervisor::not_ready, &Supervisor::became_ready, &Supervisor::ignore, &Supervisor::ended},  // starting
    {&Supervisor::silent, &Supervisor::ignore, &Supervisor::lives, &Supervisor::ended},            // ready
    {&Supervisor::paused_enough, &Supervisor::ignore, &Supervisor::ignore, &Supervisor::ignore},   // pausing
    {&Supervisor::did_not_stop, &Supervisor::ignore, &Supervisor::ignore, &Supervisor::ended},     // stopping
    {&Supervisor::ignore, &Supervisor::ignore, &Supervisor::ignore, &Supervisor::ended},           // killed
    {&Supervisor::ignore, &Supervisor::ignore, &Supervisor::ignore, &Supervisor::ignore},          // stopped
};

Supervisor::Supervisor(std::vector<Service> services, Pause pause)
    : services_(std::move(services)), pause_(pause), slots_(services_.size()) {}

Result<Supervisor> Supervisor::make(std::vector<Service> services, Pause pause) {
  Supervisor out(std::move(services), pause);
  const auto& all = out.services_;
  for (Id id = 0; id < all.size(); ++id) {
    if (std::ranges::count(all, all[id].name, &Service::name) != 1)
      return fail(Errc::kInvalid, "two services are called " + all[id].name);
    for (const std::string& name : all[id].after) {
      const auto found = std::ranges::find(all, name, &Service::name);
      if (found == all.end())
        return fail(Errc::kInvalid, all[id].name + " comes after " + name + ": no such service");
      const Id other = static_cast<Id>(found - all.begin());
      out.slots_[id].after.push_back(other);
      out.slots_[other].before.push_back(id);
    }
  }
  // Whatever cannot be put into an order is in a circle, or behind one.
  std::vector<bool> placed(all.size());
  for (std::size_t round = 0; round < all.size(); ++round) {
    for (Id id = 0; id < all.size(); ++id)
      if (std::ranges::all_of(out.slots_[id].after, [&](Id other) { return placed[other]; }))
        placed[id] = true;
  }
  const auto left = std::ranges::find(placed, false);
  if (left != placed.end())
    return fail(Errc::kInvalid, all[static_cast<Id>(left - placed.begin())].name + " comes after itself");
  return out;
}

std::vector<Action> Supervisor::begin(Time now) {
  settle(now);
  return std::exchange(actions_, {});
}

std::vector<Action> Supervisor::handle(const Event& event, Time now) {
  if (event.kind == Kind::kStop) {
    phase_ = phase_ == Phase::kRunning ? Phase::kStopping : Phase::kKilling;
  } else if (event.kind == Kind::kTick) {
    for (Id id = 0; id < slots_.size(); ++id)
      if (slots_[id].deadline <= now) apply(event.kind, {.service = id, .now = now});
  } else {
    HR_CHECK(event.service < slots_.size());
    apply(event.kind, {.service = event.service, .now = now, .misconfigured = event.misconfigured});
  }
  settle(now);
  return std::exchange(actions_, {});
}

void Supervisor::apply(Kind kind, const Input& input) {
  Slot& slot = slots_[input.service];
  (this->*kTable[std::to_underlying(slot.state)][std::to_underlying(kind)])(slot, input);
}

// What follows from how things stand now, until nothing more does.
void Supervisor::settle(Time now) {
  for (bool changed = true; changed;) {
    changed = false;
    for (Id id = 0; id < slots_.size(); ++id) {
      const State before = slots_[id].state;
      settle_one(slots_[id], {.service = id, .now = now});
      changed = changed || slots_[id].state != before;
    }
  }
}

void Supervisor::settle_one(Slot& slot, const Input& input) {
  if (phase_ == Phase::kRunning) {
    if (slot.state == State::kWaiting && all_in(slot.after, State::kReady)) start(slot, input);
  } else if (slot.state == State::kWaiting || slot.state == State::kPausing) {
    move(slot, State::kStopped);
  } else if (!runs(slot.state) || slot.state == State::kKilled) {
    return;
  } else if (phase_ == Phase::kKilling) {
    kill(slot, input, Why::kAskedTwice);
  } else if (slot.state != State::kStopping && all_in(slot.before, State::kStopped)) {
    move(slot, State::kStopping, input.now + services_[input.service].stop_limit);
    act(Action::Kind::kTerminate, input);
  }
}

void Supervisor::start(Slot& slot, const Input& input) {
  move(slot, State::kStarting, input.now + services_[input.service].start_limit);
  act(Action::Kind::kStart, input);
}

void Supervisor::ignore(Slot& /*slot*/, const Input& /*input*/) {}

void Supervisor::became_ready(Slot& slot, const Input& input) {
  move(slot, State::kReady);
  slot.proven = true;
  slot.ready_since = input.now;
}

void Supervisor::lives(Slot& slot, const Input& input) {
  slot.deadline = input.now + services_[input.service].watchdog;
}

void Supervisor::ended(Slot& slot, const Input& input) {
  if (phase_ != Phase::kRunning) return move(slot, State::kStopped);
  if (input.misconfigured && !slot.proven) {
    move(slot, State::kStopped);
    phase_ = Phase::kStopping;
    given_up_ = true;
    return act(Action::Kind::kGiveUp, input);
  }
  if (slot.ready_since && input.now - *slot.ready_since >= pause_.forget) slot.pause = Duration{};
  slot.ready_since.reset();
  slot.pause = std::clamp(slot.pause * 2, pause_.least, pause_.most);
  move(slot, State::kPausing, input.now + slot.pause);
  act(Action::Kind::kPause, input, Why::kNone, slot.pause);
}

void Supervisor::not_ready(Slot& slot, const Input& input) { kill(slot, input, Why::kNotReady); }

void Supervisor::silent(Slot& slot, const Input& input) { kill(slot, input, Why::kSilent); }

void Supervisor::did_not_stop(Slot& slot, const Input& input) { kill(slot, input, Why::kDidNotStop); }

void Supervisor::paused_enough(Slot& slot, const Input& /*input*/) { move(slot, State::kWaiting); }

void Supervisor::kill(Slot& slot, const Input& input, Why why) {
  forced_ = forced_ || why == Why::kDidNotStop || why == Why::kAskedTwice;
  move(slot, State::kKilled);
  act(Action::Kind::kKill, input, why);
}

void Supervisor::move(Slot& slot, State state, Time deadline) {
  slot.state = state;
  slot.deadline = deadline;
}

void Supervisor::act(Action::Kind kind, const Input& input, Why why, Duration pause) {
  actions_.push_back({.kind = kind, .service = input.service, .why = why, .pause = pause});
}

bool Supervisor::runs(State state) {
  return state == State::kStarting || state == State::kReady || state == State::kStopping ||
         state == State::kKilled;
}

bool Supervisor::all_in(const std::vector<Id>& ids, State state) const {
  return std::ranges::all_of(ids, [&](Id id) { return slots_[id].state == state; });
}

std::optional<Time> Supervisor::next_deadline() const {
  Time next = Time::max();
  for (const Slot& slot : slots_) next = std::min(next, slot.deadline);
  return next == Time::max() ? std::nullopt : std::optional(next);
}

bool Supervisor::all_ready() const {
  return std::ranges::all_of(slots_, [](const Slot& slot) { return slot.state == State::kReady; });
}

bool Supervisor::done() const {
  return phase_ != Phase::kRunning &&
         std::ranges::all_of(slots_, [](const Slot& slot) { return slot.state == State::kStopped; });
}

}  // namespace hr::supervise
