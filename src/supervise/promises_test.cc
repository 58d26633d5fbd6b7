// The promises of supervisor.h, against services that start, hang, fall silent, crash and refuse to stop as a
// seed says.
#include "sim/random.h"
#include "supervise/supervisor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

namespace hr::supervise {
namespace {

constexpr int kSeeds = 2'000;

// The processes, as they are: what a supervisor only hears about.
struct Process {
  bool runs = false, ready = false, ends_when_asked = true, pings = false;
  std::optional<Time> ended_at;  // none: it has never run
  Duration pause{};              // asked for since its last end
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), supervisor_(*Supervisor::make(random_services())) {
    processes_.resize(supervisor_.services().size());
  }

  void run() {
    perform(supervisor_.begin(now_));
    for (int step = 0; step < 300; ++step) something_happens();
    const bool stops_itself = supervisor_.stopping();
    if (!stops_itself) happens({.kind = Event::Kind::kStop});
    asked_at_ = now_;
    while (!supervisor_.done() && !failed()) stop_step();
    for (const Process& process : processes_) EXPECT_FALSE(process.runs) << "left behind";
    EXPECT_LE(now_ - asked_at_, stop_bound());
  }

 private:
  static bool failed() { return testing::Test::HasFailure(); }

  std::vector<Service> random_services() {
    std::vector<Service> out;
    const std::uint64_t count = random_.between(1, 7);
    for (std::uint64_t i = 0; i < count; ++i) {
      Service service{.name = "s" + std::to_string(i)};
      for (std::uint64_t earlier = 0; earlier < i; ++earlier)
        if (random_.percent(35)) service.after.push_back("s" + std::to_string(earlier));
      service.start_limit = Duration(random_.between(1, 60'000));
      service.stop_limit = Duration(random_.between(1, 30'000));
      out.push_back(service);
    }
    std::ranges::reverse(out);  // the list is not in starting order
    return out;
  }

  Duration stop_bound() const {
    Duration sum = 1s;
    for (const Service& service : supervisor_.services()) sum += service.stop_limit + kReaped;
    return sum;
  }

  std::vector<Id> related(Id id, bool later) const {
    std::vector<Id> out;
    const auto& all = supervisor_.services();
    for (Id other = 0; other < all.size(); ++other) {
      const Id first = later ? id : other, second = later ? other : id;
      if (std::ranges::count(all[second].after, all[first].name) != 0) out.push_back(other);
    }
    return out;
  }

  void happens(const Event& event) { perform(supervisor_.handle(event, now_)); }

  void perform(const std::vector<Action>& actions) {
    for (const Action& action : actions) {
      if (action.kind == Action::Kind::kStart) started(action.service);
      if (action.kind == Action::Kind::kTerminate) asked(action.service);
      if (action.kind == Action::Kind::kKill) killed_.push_back(action.service);
      if (action.kind == Action::Kind::kPause) {
        EXPECT_GE(action.pause, 100ms);
        EXPECT_LE(action.pause, 10s);
        processes_[action.service].pause = action.pause;
      }
    }
  }

  void started(Id id) {
    Process& process = processes_[id];
    EXPECT_FALSE(process.runs) << "two of one service";
    for (const Id earlier : related(id, false)) EXPECT_TRUE(processes_[earlier].ready) << "started too early";
    if (process.ended_at) EXPECT_GE(now_ - *process.ended_at, process.pause) << "no pause";
    EXPECT_FALSE(supervisor_.stopping());
    process.runs = true;
    process.ready = false;
    process.ends_when_asked = random_.percent(80);
    process.pings = random_.percent(50);
  }

  void asked(Id id) {
    EXPECT_TRUE(processes_[id].runs);
    for (const Id later : related(id, true)) EXPECT_FALSE(processes_[later].runs) << "stopped too early";
    if (processes_[id].ends_when_asked) leaving_.push_back(id);
  }

  void end(Id id) {
    Process& process = processes_[id];
    std::erase(killed_, id);
    std::erase(leaving_, id);
    if (!process.runs) return;
    process.runs = process.ready = false;
    process.ended_at = now_;
    happens({.kind = Event::Kind::kEnded, .service = id, .misconfigured = random_.percent(1)});
  }

  void something_happens() {
    now_ += Duration(random_.below(4) == 0 ? random_.below(40'000) : random_.below(200));
    const Id id = random_.below(processes_.size());
    Process& process = processes_[id];
    switch (random_.below(6)) {
      case 0:
      case 1:
        if (process.runs) process.ready = true;
        return happens({.kind = Event::Kind::kReady, .service = id});
      case 2:
        if (process.runs && !random_.percent(50)) return end(id);
        return;
      case 3:
        if (!killed_.empty()) return end(killed_.front());
        if (!leaving_.empty()) return end(leaving_.front());
        return;
      case 4:
        return happens({.kind = Event::Kind::kAlive, .service = id});
      default:
        return happens({.kind = Event::Kind::kTick});
    }
  }

  void stop_step() {
    now_ += kReaped;
    if (random_.percent(2)) happens({.kind = Event::Kind::kStop});
    if (!killed_.empty()) return end(killed_.front());
    if (!leaving_.empty()) return end(leaving_.front());
    const auto deadline = supervisor_.next_deadline();
    ASSERT_TRUE(deadline) << "waits for nothing";
    now_ = std::max(now_, *deadline);
    happens({.kind = Event::Kind::kTick});
  }

  static constexpr Duration kReaped = 10ms;

  sim::Random random_;
  Supervisor supervisor_;
  std::vector<Process> processes_;
  std::vector<Id> killed_, leaving_;
  Time now_ = from_ms(1'000'000), asked_at_ = now_;
};

TEST(Promises, are_kept_whatever_the_services_do) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    World(seed).run();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace hr::supervise
