// Which service runs when. Pure: takes what happened and the time, answers what to do; the caller starts,
// signals and reaps (os/process.h). Its promises:
//   a service starts when all it comes after are ready, and is asked to stop when all that come after it are
//   gone; there are never two of one service; a failed one starts again after a pause that doubles up to a
//   bound; once asked to stop, everything is gone within the sum of the stop limits, or at once if asked
//   twice.
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hr::supervise {

struct Service {
  std::string name;
  std::vector<std::string> after = {};  // names of others
  Duration start_limit = 60s;           // from its start until it is ready; then it is killed
  Duration stop_limit = 30s;            // from being asked to stop; then it is killed
  Duration watchdog = 30s;              // between its signs of life, from the first one on; then it is killed
};

struct Pause {
  Duration least = 100ms;
  Duration most = 10s;
  Duration forget = 30s;  // ready for that long: the next pause is the least again
};

enum class State : std::uint8_t {
  kWaiting,   // for what it comes after
  kStarting,  // runs, and is not ready
  kReady,
  kPausing,   // has failed and will start again
  kStopping,  // runs, and was asked to stop
  kKilled,    // runs, and was killed: only its end is still to come
  kStopped,
};

using Id = std::size_t;  // the place in the list of services

struct Event {
  enum class Kind : std::uint8_t {
    kTick,   // the time is next_deadline() or later
    kReady,  // the service says so
    kAlive,  // a sign of life
    kEnded,  // its process is gone with all that belonged to it, or could not be started
    kStop,   // everything; the second one kills
  };
  Kind kind = Kind::kTick;
  Id service = 0;
  bool misconfigured = false;  // of kEnded: it says that starting it again cannot help
};

struct Action {
  enum class Kind : std::uint8_t {
    kStart,
    kTerminate,  // ask to stop
    kKill,       // its whole process group
    kPause,      // nothing to do: it starts again after `pause`
    kGiveUp,     // nothing to do: this service is misconfigured, and everything stops for it
  };
  enum class Why : std::uint8_t { kNone, kNotReady, kSilent, kDidNotStop, kAskedTwice };
  Kind kind = Kind::kStart;
  Id service = 0;
  Why why = Why::kNone;  // of kKill
  Duration pause{};      // of kPause
  bool operator==(const Action&) const = default;
};

class Supervisor {
 public:
  // kInvalid: two of one name, an unknown name in `after`, or a circle.
  static Result<Supervisor> make(std::vector<Service> services, Pause pause = {});

  // What to do first; then what to do about each event. In this order, each before the next event.
  std::vector<Action> begin(Time now);
  std::vector<Action> handle(const Event& event, Time now);

  std::optional<Time> next_deadline() const;
  const std::vector<Service>& services() const { return services_; }
  State state(Id service) const { return slots_[service].state; }
  bool all_ready() const;
  bool stopping() const { return phase_ != Phase::kRunning; }
  bool done() const;                           // asked to stop, and everything is gone
  bool given_up() const { return given_up_; }  // it stopped because of a misconfigured service
  bool forced() const { return forced_; }      // something had to be killed to stop

 private:
  enum class Phase : std::uint8_t { kRunning, kStopping, kKilling };
  struct Slot {
    State state = State::kWaiting;
    std::vector<Id> after, before;
    Time deadline = Time::max();
    std::optional<Time> ready_since;
    Duration pause{};     // the last one; none: it has not failed lately
    bool proven = false;  // has been ready
  };
  struct Input;
  using Step = void (Supervisor::*)(Slot&, const Input&);
  static const Step kTable[7][4];

  Supervisor(std::vector<Service> services, Pause pause);

  void apply(Event::Kind kind, const Input& input);
  void settle(Time now);
  void settle_one(Slot& slot, const Input& input);
  void start(Slot& slot, const Input& input);
  void ignore(Slot& slot, const Input& input);
  void became_ready(Slot& slot, const Input& input);
  void lives(Slot& slot, const Input& input);
  void ended(Slot& slot, const Input& input);
  void not_ready(Slot& slot, const Input& input);
  void silent(Slot& slot, const Input& input);
  void did_not_stop(Slot& slot, const Input& input);
  void paused_enough(Slot& slot, const Input& input);
  void kill(Slot& slot, const Input& input, Action::Why why);
  void act(Action::Kind kind, const Input& input, Action::Why why = Action::Why::kNone, Duration pause = {});
  static void move(Slot& slot, State state, Time deadline = Time::max());
  static bool runs(State state);
  bool all_in(const std::vector<Id>& ids, State state) const;

  std::vector<Service> services_;
  Pause pause_;
  std::vector<Slot> slots_;
  std::vector<Action> actions_;
  Phase phase_ = Phase::kRunning;
  bool given_up_ = false;
  bool forced_ = false;
};

}  // namespace hr::supervise
