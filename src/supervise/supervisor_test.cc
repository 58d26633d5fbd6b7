#include "supervise/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hr::supervise {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Action::Kind;
using Why = Action::Why;

constexpr Id kStore = 0, kWeb = 1, kWorker = 2;

Action start(Id id) { return {.kind = Kind::kStart, .service = id}; }
Action terminate(Id id) { return {.kind = Kind::kTerminate, .service = id}; }
Action kill(Id id, Why why) { return {.kind = Kind::kKill, .service = id, .why = why}; }
Action pause(Id id, Duration pause) { return {.kind = Kind::kPause, .service = id, .pause = pause}; }

// store <- web <- worker, on a clock of the test's own.
class Supervision : public testing::Test {
 protected:
  Supervision()
      : supervisor(*Supervisor::make(
            {{.name = "store"}, {.name = "web", .after = {"store"}}, {.name = "worker", .after = {"web"}}})) {
  }

  std::vector<Action> on(Event::Kind kind, Id service = 0, bool misconfigured = false) {
    return supervisor.handle({.kind = kind, .service = service, .misconfigured = misconfigured}, now);
  }
  std::vector<Action> ready(Id id) { return on(Event::Kind::kReady, id); }
  std::vector<Action> alive(Id id) { return on(Event::Kind::kAlive, id); }
  std::vector<Action> ended(Id id) { return on(Event::Kind::kEnded, id); }
  std::vector<Action> stop() { return on(Event::Kind::kStop); }
  std::vector<Action> after(Duration duration) {
    now += duration;
    return on(Event::Kind::kTick);
  }
  void all_ready() {
    supervisor.begin(now);
    for (const Id id : {kStore, kWeb, kWorker}) ready(id);
  }

  Supervisor supervisor;
  Time now = from_ms(1'000'000);
};

TEST_F(Supervision, each_starts_when_what_it_comes_after_is_ready) {
  EXPECT_THAT(supervisor.begin(now), ElementsAre(start(kStore)));
  EXPECT_THAT(ready(kStore), ElementsAre(start(kWeb)));
  EXPECT_FALSE(supervisor.all_ready());
  EXPECT_THAT(ready(kWeb), ElementsAre(start(kWorker)));
  EXPECT_THAT(ready(kWorker), IsEmpty());
  EXPECT_TRUE(supervisor.all_ready());
  EXPECT_FALSE(supervisor.next_deadline());
}

TEST_F(Supervision, readiness_that_was_not_asked_for_means_nothing) {
  supervisor.begin(now);
  EXPECT_THAT(ready(kWorker), IsEmpty());
  EXPECT_EQ(supervisor.state(kWorker), State::kWaiting);
  EXPECT_THAT(ended(kWorker), IsEmpty());
}

TEST_F(Supervision, one_that_is_not_ready_in_time_is_killed_and_starts_again) {
  supervisor.begin(now);
  EXPECT_THAT(after(59'999ms), IsEmpty());
  EXPECT_THAT(after(1ms), ElementsAre(kill(kStore, Why::kNotReady)));
  EXPECT_THAT(after(1h), IsEmpty());
  EXPECT_THAT(ended(kStore), ElementsAre(pause(kStore, 100ms)));
  EXPECT_THAT(after(99ms), IsEmpty());
  EXPECT_THAT(after(1ms), ElementsAre(start(kStore)));
}

TEST_F(Supervision, the_pause_doubles_up_to_its_bound) {
  supervisor.begin(now);
  for (const auto expected : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10000ms, 10000ms}) {
    EXPECT_THAT(ended(kStore), ElementsAre(pause(kStore, expected)));
    EXPECT_EQ(supervisor.next_deadline(), now + expected);
    EXPECT_THAT(after(expected), ElementsAre(start(kStore)));
  }
}

TEST_F(Supervision, the_pause_is_short_again_after_a_long_good_time) {
  supervisor.begin(now);
  for (int i = 0; i < 5; ++i) {
    ended(kStore);
    after(10s);
  }
  ready(kStore);
  now += 29'999ms;
  EXPECT_THAT(ended(kStore), ElementsAre(pause(kStore, 3200ms)));
  after(10s);
  ready(kStore);
  now += 30s;
  EXPECT_THAT(ended(kStore), ElementsAre(pause(kStore, 100ms)));
}

TEST_F(Supervision, others_keep_running_while_one_starts_again) {
  all_ready();
  EXPECT_THAT(ended(kStore), ElementsAre(pause(kStore, 100ms)));
  EXPECT_EQ(supervisor.state(kWeb), State::kReady);
  EXPECT_THAT(after(100ms), ElementsAre(start(kStore)));
  EXPECT_THAT(ready(kStore), IsEmpty());
  EXPECT_TRUE(supervisor.all_ready());
}

TEST_F(Supervision, one_that_failed_waits_for_what_it_comes_after) {
  all_ready();
  ended(kWeb);
  ended(kStore);
  EXPECT_THAT(after(100ms), ElementsAre(start(kStore)));
  EXPECT_THAT(ready(kStore), ElementsAre(start(kWeb)));
}

TEST_F(Supervision, nobody_is_watched_before_its_first_sign_of_life) {
  all_ready();
  EXPECT_THAT(after(24h), IsEmpty());
}

TEST_F(Supervision, one_that_falls_silent_is_killed) {
  all_ready();
  alive(kWeb);
  EXPECT_THAT(after(29'999ms), IsEmpty());
  alive(kWeb);
  EXPECT_THAT(after(29'999ms), IsEmpty());
  EXPECT_THAT(after(1ms), ElementsAre(kill(kWeb, Why::kSilent)));
  EXPECT_THAT(ended(kWeb), ElementsAre(pause(kWeb, 100ms)));
}

TEST_F(Supervision, stopping_goes_backwards_and_one_by_one) {
  all_ready();
  EXPECT_THAT(stop(), ElementsAre(terminate(kWorker)));
  EXPECT_THAT(ended(kWorker), ElementsAre(terminate(kWeb)));
  EXPECT_THAT(ended(kWeb), ElementsAre(terminate(kStore)));
  EXPECT_FALSE(supervisor.done());
  EXPECT_THAT(ended(kStore), IsEmpty());
  EXPECT_TRUE(supervisor.done());
  EXPECT_FALSE(supervisor.forced());
}

TEST_F(Supervision, one_that_does_not_stop_in_time_is_killed) {
  all_ready();
  stop();
  EXPECT_THAT(after(30s), ElementsAre(kill(kWorker, Why::kDidNotStop)));
  EXPECT_THAT(ended(kWorker), ElementsAre(terminate(kWeb)));
  EXPECT_TRUE(supervisor.forced());
}

TEST_F(Supervision, asked_twice_everything_is_killed_at_once) {
  all_ready();
  stop();
  EXPECT_THAT(stop(), ElementsAre(kill(kStore, Why::kAskedTwice), kill(kWeb, Why::kAskedTwice),
                                  kill(kWorker, Why::kAskedTwice)));
  EXPECT_THAT(stop(), IsEmpty());
  for (const Id id : {kStore, kWeb, kWorker}) EXPECT_THAT(ended(id), IsEmpty());
  EXPECT_TRUE(supervisor.done());
}

TEST_F(Supervision, what_never_started_or_pauses_is_stopped_at_once) {
  supervisor.begin(now);
  ended(kStore);
  EXPECT_THAT(stop(), IsEmpty());
  EXPECT_TRUE(supervisor.done());
}

TEST_F(Supervision, one_that_ends_by_itself_while_stopping_is_not_started_again) {
  all_ready();
  stop();
  EXPECT_THAT(ended(kStore), IsEmpty());
  EXPECT_EQ(supervisor.state(kStore), State::kStopped);
  EXPECT_THAT(after(1ms), IsEmpty());
}

TEST_F(Supervision, a_misconfigured_one_ends_everything) {
  supervisor.begin(now);
  ready(kStore);
  EXPECT_THAT(on(Event::Kind::kEnded, kWeb, true),
              ElementsAre(Action{.kind = Kind::kGiveUp, .service = kWeb}, terminate(kStore)));
  EXPECT_TRUE(supervisor.given_up());
  ended(kStore);
  EXPECT_TRUE(supervisor.done());
}

TEST_F(Supervision, one_that_has_been_ready_is_never_taken_for_misconfigured) {
  all_ready();
  EXPECT_THAT(on(Event::Kind::kEnded, kWeb, true), ElementsAre(pause(kWeb, 100ms)));
  EXPECT_FALSE(supervisor.given_up());
}

TEST_F(Supervision, an_order_that_cannot_be_kept_is_refused) {
  EXPECT_EQ(Supervisor::make({{.name = "a"}, {.name = "a"}}).error().message, "two services are called a");
  EXPECT_EQ(Supervisor::make({{.name = "a", .after = {"b"}}}).error().message,
            "a comes after b: no such service");
  EXPECT_EQ(Supervisor::make({{.name = "c"}, {.name = "a", .after = {"b"}}, {.name = "b", .after = {"a"}}})
                .error()
                .message,
            "a comes after itself");
}

TEST_F(Supervision, without_services_it_is_ready_and_done_at_once) {
  Supervisor none = *Supervisor::make({});
  EXPECT_THAT(none.begin(now), IsEmpty());
  EXPECT_TRUE(none.all_ready());
  none.handle({.kind = Event::Kind::kStop}, now);
  EXPECT_TRUE(none.done());
}

}  // namespace
}  // namespace hr::supervise
