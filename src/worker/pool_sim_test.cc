// Whole histories of pools from seeds: requests that fail before or after they were carried out, children
// that fail, crash and hang, hosts that die, stall and drain, messages that come twice.
#include "codec/json.h"
#include "task/names.h"
#include "worker/pool_world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace hr::worker::testing {
namespace {

constexpr std::int64_t kVisibility = 60'000;
const std::vector<Bytes> kQueues = {"default", "on-app-index"};

constexpr ByteView kReady =
    R"({"op":"ready","version":"0.1.0","python":"3.11.2","tasks":[)"
    R"({"name":"app.work","queue":"default","retries":3,"backoff":1.0,"backoff_cap":60.0,"timeout":90.0},)"
    R"({"name":"app.index","queue":"default","retries":1,"backoff":1.0,"backoff_cap":5.0,"timeout":30.0}],)"
    R"("triggers":[{"task":"app.index","event":"s3:ObjectCreated:*","bucket":"inbox"}]})";

Bytes member(ByteView json, ByteView name) {
  const auto value = codec::parse_json(json, {.bytes_max = 1U << 20, .depth_max = 64});
  const auto* found = value ? value->find(name) : nullptr;
  return found != nullptr && found->as_string() != nullptr ? *found->as_string() : Bytes();
}

}  // namespace

World::World(std::uint64_t seed, std::size_t hosts, Chances chances)
    : random_(seed), chances_(chances), queues_(kQueues.size()), hosts_(hosts) {
  for (std::size_t host = 0; host < hosts; ++host) boot(host);
  at(1'000, [this] { every_second(); });
}

void World::send(const Bytes& body) {
  const bool event = body.contains("Records");
  queues_[event ? 1 : 0].push_back({.id = next_message_++, .body = body, .visible_at = now_, .receipt = {}});
}

void World::send_task(const Bytes& id, bool keep) {
  const Bytes body = fmt::format(
      R"({{"headrace":1,"id":"{}","task":"app.work","args":[],"kwargs":{{}},"sent":{},"keep_result":{}}})",
      id, now_ + 1, keep);
  send(body);
  if (chance(chances_.duplicate)) send(body);
}

std::size_t World::messages_left() const {
  std::size_t out = 0;
  for (const auto& queue : queues_) out += queue.size();
  return out;
}

void World::run_for(Duration time) {
  const std::int64_t until = now_ + time.count();
  while (!events_.empty() && events_.begin()->first <= until && breach.empty()) {
    auto first = events_.extract(events_.begin());
    now_ = std::max(now_, first.key());
    first.mapped()();
    ++steps;
  }
  now_ = until;
}

void World::tell(std::size_t host, std::int64_t when, std::function<void(Pool&)> what) {
  at(when, [this, host, life = hosts_[host].life, call = std::move(what)] { deliver(host, life, call); });
}

void World::deliver(std::size_t host, Lives life, const std::function<void(Pool&)>& what) {
  Host& there = hosts_[host];
  if (there.life != life || !there.pool) return;
  if (now_ < there.stalled_until) {
    at(there.stalled_until, [this, host, life, what] { deliver(host, life, what); });
    return;
  }
  what(*there.pool);
  carry_out(host);
}

// ---- hosts

void World::boot(std::size_t host) {
  Host& there = hosts_[host];
  there = {};
  there.life = next_life_++;
  there.entropy = std::make_unique<SeededEntropy>(random_());
  PoolOptions options;
  options.name = "default";
  options.host = "host-" + std::to_string(host);
  options.processes = {2, 4};
  there.pool = std::make_unique<Pool>(options, *there.entropy);
  there.pool->start(instant());
  carry_out(host);
}

// kill -9 of the parent: its children go with it.
void World::die(std::size_t host) {
  hosts_[host] = {};
  hosts_[host].life = next_life_++;
  at(now_ + between(100, 5'000), [this, host] { boot(host); });
}

void World::every_second() {
  for (std::size_t host = 0; host < hosts_.size(); ++host) {
    if (!hosts_[host].pool) continue;
    if (chance(chances_.host_dies)) die(host);
    if (chance(chances_.host_stalls)) hosts_[host].stalled_until = now_ + between(1'000, 150'000);
    if (chance(chances_.host_drains)) {
      tell(host, now_, [this](Pool& pool) { pool.drain(Duration(between(0, 40'000)), instant()); });
    }
  }
  at(now_ + 1'000, [this] { every_second(); });
}

void World::carry_out(std::size_t host) {
  const Lives life = hosts_[host].life;
  for (const Action& action : hosts_[host].pool->take()) {
    std::visit([&](const auto& what) { act(host, what); }, action);
    if (hosts_[host].life != life) return;
  }
  const Nanos next = hosts_[host].pool->next_deadline();
  if (next == Nanos::max()) return;
  const auto when = std::max(now_ + 20, std::chrono::ceil<Duration>(next).count() - 1);
  Nanos& wanted = hosts_[host].wanted_tick;
  if (wanted > Nanos(Duration(now_)) && wanted <= Nanos(Duration(when))) return;
  wanted = Nanos(Duration(when));
  tell(host, when, [this](Pool& pool) { pool.tick(instant()); });
}

void World::act(std::size_t host, const Exit& action) {
  if (action.how != Exit::How::kDone) broke("a pool gave up: " + action.message);
  die(host);
}

// ---- SQS

void World::act(std::size_t host, const Receive& action) {
  const Lives life = hosts_[host].life;
  at(now_ + between(1, 20), [this, host, life, action] { poll(host, life, action, now_ + 20'000); });
}

void World::act(std::size_t host, const CancelReceive& action) { hosts_[host].cancelled.insert(action.op); }

void World::poll(std::size_t host, Lives life, Receive action, std::int64_t until) {
  const bool gone = hosts_[host].life != life;
  std::vector<worker::Message> taken;
  for (Message& message : queues_[action.queue]) {
    if (message.visible_at > now_ || static_cast<int>(taken.size()) >= action.max) continue;
    if (gone) break;
    ++message.receives;
    message.visible_at = now_ + kVisibility;
    message.receipt = "r" + std::to_string(next_receipt_++);
    taken.push_back({std::to_string(message.id), message.receipt, message.body, message.receives});
  }
  const bool over = gone || !taken.empty() || now_ >= until || hosts_[host].cancelled.contains(action.op);
  if (!over) {
    at(now_ + 250, [this, host, life, action, until] { poll(host, life, action, until); });
    return;
  }
  if (gone) return;
  Outcome<std::vector<worker::Message>> answer = std::move(taken);
  if (chance(chances_.answer_lost)) answer = std::unexpected(Failure{Failure::Kind::kTransient, "lost"});
  tell(host, now_ + between(1, 20),
       [this, op = action.op, answer](Pool& pool) { pool.received(op, answer, instant()); });
}

Outcome<void> World::change_visibility(std::size_t queue, const Visibility& entry) {
  for (Message& message : queues_[queue]) {
    if (message.receipt != entry.receipt) continue;
    if (message.visible_at <= now_) break;
    message.visible_at = now_ + entry.seconds * 1'000;
    return {};
  }
  return std::unexpected(Failure{Failure::Kind::kLost, "MessageNotInflight"});
}

void World::act(std::size_t host, const ChangeVisibility& action) {
  const Lives life = hosts_[host].life;
  const bool never = chance(chances_.request_fails);
  const std::int64_t took = chance(30) ? between(100, 9'000) : between(1, 20);
  at(now_ + took, [this, host, life, action, never] {
    if (hosts_[host].life != life && !never) return;
    std::vector<Outcome<void>> entries;
    for (const Visibility& entry : action.entries) {
      entries.push_back(never ? Outcome<void>() : change_visibility(action.queue, entry));
    }
    Outcome<std::vector<Outcome<void>>> answer = std::move(entries);
    if (never || chance(chances_.answer_lost)) {
      answer = std::unexpected(Failure{Failure::Kind::kTransient, "lost"});
    }
    tell(host, now_ + between(1, 20),
         [this, op = action.op, answer](Pool& pool) { pool.visibility_changed(op, answer, instant()); });
  });
}

// Nothing may be deleted whose end is not written down.
void World::check_deleted(const Message& message) {
  const auto read = task::read_message(message.body, std::to_string(message.id));
  if (!read) {
    if (!dead.contains(task::job_id_of_unreadable(message.body, std::to_string(message.id)))) {
      broke("an invalid message was deleted and is not among the dead letters");
    }
    return;
  }
  for (const task::Job& job : read->jobs) {
    const Bytes& id = job.call.id;
    const bool kept = job.call.keep_result;
    const auto result = objects.find(task::result_key(id));
    const Bytes state = result != objects.end() ? member(result->second, "state") : Bytes();
    const bool done = kept ? state == "done" : runs_done[id] > 0;
    if (!done && !dead.contains(id)) broke("a message was deleted before the end of " + id + " was stored");
    if (kept && done && dead.contains(id)) broke(id + " is both done and dead");
  }
}

void World::act(std::size_t host, const DeleteMessage& action) {
  request(host, action.op, action.timeout, [this, action]() -> Outcome<Bytes> {
    auto& queue = queues_[action.queue];
    const auto found = std::ranges::find(queue, action.receipt, &Message::receipt);
    if (found == queue.end()) return Bytes();  // SQS says fine
    check_deleted(*found);
    queue.erase(found);
    return Bytes();
  });
}

void World::act(std::size_t host, const SendDead& action) {
  request(host, action.op, action.timeout, [this, action]() -> Outcome<Bytes> {
    const auto result = objects.find(task::result_key(action.dedup_id));
    const auto mark = objects.find(task::mark_key(action.dedup_id));
    if (result == objects.end() || member(result->second, "state") != "dead") {
      broke("a dead letter of " + action.dedup_id + " was sent before its result was stored");
    }
    if (mark == objects.end() || member(mark->second, "state") != "dead") {
      broke("a dead letter of " + action.dedup_id + " was sent before its mark was stored");
    }
    dead.emplace(action.dedup_id, *codec::find(action.attributes, "headrace-reason"));
    return Bytes();
  });
}

// ---- S3

void World::request(std::size_t host, OpId op, Duration timeout, std::function<Outcome<Bytes>()> change) {
  const Lives life = hosts_[host].life;
  const bool never = chance(chances_.request_fails);
  const std::int64_t took = std::min(chance(30) ? between(100, 9'000) : between(1, 20), timeout.count() - 1);
  at(now_ + std::max<std::int64_t>(took, 0), [this, host, life, op, never, what = std::move(change)] {
    // A host that died may have sent it or not.
    if (hosts_[host].life != life && (never || chance(500))) return;
    Outcome<Bytes> answer = std::unexpected(Failure{Failure::Kind::kTransient, "lost"});
    if (!never) {
      Outcome<Bytes> changed = what();
      if (!chance(chances_.answer_lost)) answer = std::move(changed);
    }
    if (hosts_[host].life != life) return;
    tell(host, now_ + between(1, 20),
         [this, op, answer](Pool& pool) { pool.finished(op, answer, instant()); });
  });
}

void World::act(std::size_t host, const PutObject& action) {
  request(host, action.op, action.timeout, [this, action]() -> Outcome<Bytes> {
    objects[action.key] = action.body;
    return Bytes();
  });
}

void World::act(std::size_t host, const GetObject& action) {
  request(host, action.op, action.timeout, [this, action]() -> Outcome<Bytes> {
    const auto found = objects.find(action.key);
    if (found == objects.end()) return std::unexpected(Failure{Failure::Kind::kMissing, "NoSuchKey"});
    return found->second;
  });
}

// ---- children

void World::act(std::size_t host, const Prepare&) {
  tell(host, now_ + 50, [this](Pool& pool) { pool.prepared(kQueues, instant()); });
}

void World::act(std::size_t host, const Spawn& action) {
  const ChildId child = action.child;
  hosts_[host].processes[child];
  tell(host, now_ + between(50, 500), [this, host, child](Pool& pool) {
    if (hosts_[host].processes.contains(child)) pool.child_said(child, kReady, instant());
  });
}

void World::act(std::size_t host, const Kill& action) { end_process(host, action.child, {.signal = 9}); }

void World::end_process(std::size_t host, ChildId child, ChildEnd how) {
  if (hosts_[host].processes.erase(child) == 0) return;
  tell(host, now_ + between(0, 20),
       [this, child, how](Pool& pool) { pool.child_ended(child, how, instant()); });
}

void World::act(std::size_t host, const SetLease& action) {
  const auto found = hosts_[host].processes.find(action.child);
  if (found == hosts_[host].processes.end()) return;
  found->second.lease = action.end;
  watch_lease(host, action.child);
}

// The child's own timer: it runs whether its parent does or not.
void World::watch_lease(std::size_t host, ChildId child) {
  const Process& process = hosts_[host].processes.at(child);
  if (process.lease == Nanos{}) return;
  const auto end = std::chrono::floor<Duration>(process.lease - Nanos(5s)).count() - 1;
  at(end, [this, host, life = hosts_[host].life, child, lease = process.lease] {
    if (hosts_[host].life != life) return;
    const auto found = hosts_[host].processes.find(child);
    if (found != hosts_[host].processes.end() && found->second.lease == lease) {
      end_process(host, child, {.signal = 9});
    }
  });
}

void World::act(std::size_t host, const WriteFrame& action) {
  const auto found = hosts_[host].processes.find(action.child);
  if (found == hosts_[host].processes.end()) return;
  if (member(action.frame, "op") == "stop") return end_process(host, action.child, {});
  if (found->second.lease == Nanos{}) broke("a job was given to a child without a lease");
  begin_run(host, action.child, member(action.frame, "id"));
}

void World::begin_run(std::size_t host, ChildId child, const Bytes& job) {
  for (const Host& there : hosts_) {
    for (const auto& [id, process] : there.processes) {
      if (process.job == job) broke(job + " runs twice at once");
    }
  }
  Process& process = hosts_[host].processes.at(child);
  process.job = job;
  process.run = next_run_++;
  ++runs_begun[job];
  const int draw = static_cast<int>(random_() % 1000);
  if (draw < chances_.task_hangs) return;  // its time limit or its lease ends it
  const bool crashes = draw < chances_.task_hangs + chances_.task_crashes;
  const bool fails = draw < chances_.task_hangs + chances_.task_crashes + chances_.task_fails;
  const std::int64_t takes = chance(50) ? between(1'000, 80'000) : between(1, 800);
  at(now_ + takes, [this, host, life = hosts_[host].life, child, job, run = process.run, crashes, fails] {
    if (hosts_[host].life != life) return;
    const auto found = hosts_[host].processes.find(child);
    if (found == hosts_[host].processes.end() || found->second.run != run) return;
    if (crashes) return end_process(host, child, {.signal = 11});
    found->second.job.clear();
    if (!fails) ++runs_done[job];
    const Bytes frame =
        fails ? fmt::format(R"({{"op":"failed","id":"{}","type":"E","message":"m","retry":true}})", job)
              : fmt::format(R"({{"op":"done","id":"{}","result":1,"seconds":0.1}})", job);
    tell(host, now_ + 1, [this, child, frame](Pool& pool) { pool.child_said(child, frame, instant()); });
  });
}

// ---- histories

namespace {

constexpr ByteView kRecord =
    R"({"eventTime":"2026-01-02T03:04:05Z","eventName":"ObjectCreated:Put","s3":{"configurationId":)"
    R"("headrace-app.index","bucket":{"name":"inbox"},"object":{"key":"k"}}})";

void history(std::uint64_t seed, std::size_t hosts, Chances chances) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  World world(seed, hosts, chances);
  constexpr int kTasks = 60;
  for (int i = 0; i < kTasks; ++i) {
    world.send_task(fmt::format("job-{}", i), i % 2 == 0);
    if (i % 10 == 3) world.send(fmt::format(R"({{"Records":[{},{}]}})", kRecord, kRecord));
    if (i % 20 == 7) world.send(R"({"Service":"Amazon S3","Event":"s3:TestEvent","Records":null})");
    if (i % 20 == 9) world.send("not an envelope");
    world.run_for(5s);
  }
  world.run_for(600s);
  world.calm();
  for (int i = 0; i < 200 && world.messages_left() > 0 && world.breach.empty(); ++i) world.run_for(60s);
  ASSERT_EQ(world.breach, "");
  ASSERT_EQ(world.messages_left(), 0U) << "a message never came to an end";
  for (int i = 0; i < kTasks; ++i) {
    const Bytes id = fmt::format("job-{}", i);
    EXPECT_TRUE(world.runs_done[id] > 0 || world.dead.contains(id)) << id;
  }
}

std::uint64_t first_seed() {
  const char* named = std::getenv("HEADRACE_SEED");
  return named != nullptr ? std::strtoull(named, nullptr, 10) : 1;
}

int seeds() {
  const char* named = std::getenv("HEADRACE_SEEDS");
  return named != nullptr ? std::atoi(named) : 60;
}

TEST(PoolSimulation, two_hosts_with_every_fault_end_each_message_once) {
  const std::uint64_t first = first_seed();
  for (int i = 0; i < seeds() && !HasFatalFailure(); ++i)
    history(first + static_cast<std::uint64_t>(i), 2, {});
}

TEST(PoolSimulation, messages_that_come_twice_never_run_twice_at_once_on_a_host) {
  Chances chances;
  chances.duplicate = 300;
  chances.host_dies = 0;
  const std::uint64_t first = first_seed();
  for (int i = 0; i < seeds() && !HasFatalFailure(); ++i) {
    history(first + static_cast<std::uint64_t>(i), 1, chances);
  }
}

TEST(PoolSimulation, without_faults_every_task_runs_once) {
  World world(1, 2, {0, 0, 0, 0, 0, 0, 0, 0, 0});
  for (int i = 0; i < 200; ++i) world.send_task(fmt::format("job-{}", i), true);
  for (int i = 0; i < 100 && world.messages_left() > 0; ++i) world.run_for(60s);
  EXPECT_EQ(world.breach, "");
  EXPECT_EQ(world.messages_left(), 0U);
  EXPECT_EQ(world.runs_begun.size(), 200U);
  for (const auto& [job, runs] : world.runs_begun) EXPECT_EQ(runs, 1) << job;
}

}  // namespace
}  // namespace hr::worker::testing
