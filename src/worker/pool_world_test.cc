// The world that pools are simulated in: two services, hosts, and children that behave as real ones do.
#include "worker/pool_world.h"

#include "codec/json.h"
#include "task/names.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace hr::worker::testing {
namespace {

constexpr std::int64_t kVisibility = 60'000;
const std::vector<Bytes> kQueues = {"default", "on-app-index"};

constexpr ByteView kReady =
    R"({"op":"ready","version":"0.1.0","python":"3.11.2","tasks":[)"
    R"({"name":"app.work","queue":"default","retries":3,"backoff":1.0,"backoff_cap":60.0,"timeout":90.0},)"
    R"({"name":"app.quick","queue":"default","retries":3,"backoff":1.0,"backoff_cap":60.0,"timeout":90.0},)"
    R"({"name":"app.index","queue":"default","retries":1,"backoff":1.0,"backoff_cap":5.0,"timeout":30.0}],)"
    R"("triggers":[{"task":"app.index","event":"s3:ObjectCreated:*","bucket":"inbox"}]})";

Bytes member(ByteView json, ByteView name) {
  const auto value = codec::parse_json(json, {.bytes_max = 1U << 20, .depth_max = 64});
  const auto* found = value ? value->find(name) : nullptr;
  return found != nullptr && found->as_string() != nullptr ? *found->as_string() : Bytes();
}

}  // namespace

World::World(std::uint64_t seed, std::size_t hosts, Chances chances, Plant plant)
    : batch_max_(seed % 2 == 0 ? 10 : 1'000),
      plant_(plant),
      random_(seed),
      chances_(chances),
      queues_(kQueues.size()),
      hosts_(hosts) {
  for (std::size_t host = 0; host < hosts; ++host) boot(host);
  at(1'000, [this] { every_second(); });
}

void World::send(const Bytes& body) {
  const bool event = body.contains("Records");
  queues_[event ? 1 : 0].push_back({.id = next_message_++, .body = body, .visible_at = now_, .receipt = {}});
}

void World::send_task(const Bytes& id, bool keep) {
  sent_.push_back(id);
  const bool quick = id.starts_with("quick");
  const Bytes body = fmt::format(
      R"({{"headrace":1,"id":"{}","task":"app.{}","args":[],"kwargs":{{}},"sent":{},"keep_result":{}}})", id,
      quick ? "quick" : "work", now_ + 1, keep);
  send(body);
  if (!chance(chances_.duplicate)) return;
  copies_[id] = 2;
  send(body);
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
  for (const auto& [id, process] : hosts_[host].processes) {
    if (process.job.empty()) continue;
    ++cut_off_[process.job];
    excuse(process.job);
  }
  hosts_[host] = {};
  hosts_[host].life = next_life_++;
  at(now_ + between(100, 5'000), [this, host] { boot(host); });
}

// Hosts look at the list every second, as far as they run.
void World::cancel_one() {
  if (!sent_.empty() && chance(chances_.cancels)) {
    const Bytes& job = sent_[random_() % sent_.size()];
    if (runs_done[job] == 0 && !cancelled(job)) objects.emplace("cancel/" + job, "{}");
  }
  std::set<Bytes> jobs;
  for (auto at = objects.lower_bound("cancel/"); at != objects.end() && at->first.starts_with("cancel/");
       ++at) {
    jobs.insert(at->first.substr(7));
  }
  for (std::size_t host = 0; host < hosts_.size() && !jobs.empty(); ++host) {
    tell(host, now_ + between(1, 20), [this, jobs](Pool& pool) { pool.cancel(jobs, instant()); });
  }
}

bool World::cancelled(const Bytes& job) const {
  const auto result = objects.find("result/" + job);
  return result != objects.end() && result->second.contains(R"("state":"cancelled")");
}

void World::every_second() {
  cancel_one();
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
  for (auto actions = hosts_[host].pool->take(); !actions.empty(); actions = hosts_[host].pool->take()) {
    for (const Action& action : actions) {
      std::visit([&](const auto& what) { act(host, what); }, action);
      if (hosts_[host].life != life) return;
    }
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
    if (std::exchange(message.leased, true)) lease_ran_out(message);
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
    message.leased = entry.seconds * 1'000 == kVisibility;  // renewed
    return {};
  }
  return std::unexpected(Failure{Failure::Kind::kLost, "MessageNotInflight"});
}

// Carries the entries of a batch out after a while, or not, and answers, or not.
void World::batch(std::size_t host, std::size_t entries, std::function<Outcome<void>(std::size_t)> change,
                  std::function<void(Pool&, Outcome<std::vector<Outcome<void>>>)> report) {
  const Lives life = hosts_[host].life;
  const bool never = chance(chances_.request_fails);
  const std::int64_t took = chance(30) ? between(100, 9'000) : between(1, 20);
  at(now_ + took, [this, host, life, entries, what = std::move(change), tells = std::move(report), never] {
    // A host that died may have sent it or not.
    if (hosts_[host].life != life && (never || chance(500))) return;
    std::vector<Outcome<void>> outcomes(entries);
    for (std::size_t i = 0; i < entries && !never; ++i) {
      if (chance(chances_.request_fails)) {
        outcomes[i] = std::unexpected(Failure{Failure::Kind::kTransient, "one of a batch"});
      } else {
        outcomes[i] = what(i);
      }
    }
    Outcome<std::vector<Outcome<void>>> answer = std::move(outcomes);
    if (never || chance(chances_.answer_lost)) {
      answer = std::unexpected(Failure{Failure::Kind::kTransient, "lost"});
    }
    if (hosts_[host].life != life) return;
    tell(host, now_ + between(1, 20), [tells, answer](Pool& pool) { tells(pool, answer); });
  });
}

void World::act(std::size_t host, const ChangeVisibility& action) {
  if (action.entries.empty() || action.entries.size() > batch_max_) broke("a batch of the wrong size");
  batch(
      host, action.entries.size(),
      [this, action](std::size_t i) { return change_visibility(action.queue, action.entries[i]); },
      [this, op = action.op](Pool& pool, auto answer) {
        pool.visibility_changed(op, std::move(answer), instant());
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
    if (!done && !dead.contains(id) && state != "cancelled") {
      broke("a message was deleted before the end of " + id + " was stored");
    }
    if (kept && done && dead.contains(id)) broke(id + " is both done and dead");
  }
}

Outcome<void> World::erase(std::size_t in, const Bytes& receipt) {
  auto& queue = queues_[in];
  const auto found = std::ranges::find(queue, receipt, &Message::receipt);
  if (found == queue.end() || plant_ == Plant::kNotDeleted) return {};  // SQS says fine
  check_deleted(*found);
  queue.erase(found);
  return {};
}

void World::act(std::size_t host, const DeleteMessages& action) {
  if (action.receipts.empty() || action.receipts.size() > batch_max_) broke("a batch of the wrong size");
  batch(
      host, action.receipts.size(),
      [this, action](std::size_t i) { return erase(action.queue, action.receipts[i]); },
      [this, op = action.op](Pool& pool, auto answer) { pool.deleted(op, std::move(answer), instant()); });
}

void World::act(std::size_t host, const SendDead& action) {
  request(host, action.op, action.timeout, [this, action]() -> Outcome<Bytes> {
    const auto result = objects.find(task::result_key(action.job));
    const auto mark = objects.find(task::mark_key(action.job));
    if (result == objects.end() || member(result->second, "state") != "dead") {
      broke("a dead letter of " + action.job + " was sent before its result was stored");
    }
    if (mark == objects.end() || member(mark->second, "state") != "dead") {
      broke("a dead letter of " + action.job + " was sent before its mark was stored");
    }
    dead.emplace(action.job, *codec::find(action.attributes, "headrace-reason"));
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
    if (action.key.starts_with("mark/")) check_mark(action.body);
    if (plant_ == Plant::kResultNotStored && action.key.starts_with("result/")) return Bytes();
    objects[action.key] = action.body;
    return Bytes();
  });
}

// A crash is an attempt that was cut off, or that a mark called started: nothing else is counted as one.
void World::check_mark(const Bytes& text) {
  const auto mark = task::parse_mark(text);
  if (!mark) return broke("a mark that cannot be read");
  if (mark->state == task::MarkState::kStarted) ++cut_off_[mark->id];
  if (static_cast<int>(mark->crashes) > cut_off_[mark->id]) {
    broke(mark->id + " is blamed for a crash that was none");
  }
}

void World::act(std::size_t host, const GetObject& action) {
  request(host, action.op, action.timeout, [this, action]() -> Outcome<Bytes> {
    const auto found = objects.find(action.key);
    if (found == objects.end()) return std::unexpected(Failure{Failure::Kind::kMissing, "NoSuchKey"});
    return found->second;
  });
}

// Only the mark of a job whose end is known otherwise.
void World::act(std::size_t host, const EraseObject& action) {
  request(host, action.op, action.timeout, [this, action]() -> Outcome<Bytes> {
    const Bytes job = action.key.substr(action.key.find('/') + 1);
    if (runs_done[job] == 0 && !cancelled(job)) broke(action.key + " was erased before the job's end");
    objects.erase(action.key);
    return Bytes();
  });
}

// ---- children

void World::act(std::size_t host, const Prepare&) {
  tell(host, now_ + 50, [this](Pool& pool) { pool.prepared(kQueues, batch_max_, instant()); });
}

void World::act(std::size_t host, const Spawn& action) {
  const ChildId child = action.child;
  hosts_[host].processes[child];
  tell(host, now_ + between(50, 500), [this, host, child](Pool& pool) {
    if (hosts_[host].processes.contains(child)) pool.child_said(child, {&kReady, 1}, instant());
  });
}

void World::act(std::size_t host, const Kill& action) { end_process(host, action.child, {.signal = 9}); }

void World::end_process(std::size_t host, ChildId child, ChildEnd how) {
  const auto found = hosts_[host].processes.find(child);
  if (found == hosts_[host].processes.end()) return;
  const Process process = std::move(found->second);
  hosts_[host].processes.erase(found);
  if (!process.job.empty()) {
    ++cut_off_[process.job];
    excuse(process.job);
  }
  how.begun = plant_ == Plant::kAllBegun ? ~0ULL : process.begun;
  tell(host, now_ + between(1, 20), [this, child, how, process](Pool& pool) {
    if (plant_ == Plant::kAllDone) {
      for (const auto& [ordinal, job] : process.inbox) said(pool, child, done_frame(job, 1));
    }
    pool.child_ended(child, how, instant());
  });
}

// Its answer is read from memory that both share: at once, whatever the child does.
void World::act(std::size_t host, const Recall& action) {
  const auto found = hosts_[host].processes.find(action.child);
  if (found == hosts_[host].processes.end()) return;
  Process& process = found->second;
  const std::uint64_t begun = process.begun;
  if (plant_ != Plant::kRecallNotHeard) process.begun = std::max(begun, action.given);
  const std::uint64_t told = plant_ == Plant::kRecallTellsLess && begun > 0 ? begun - 1 : begun;
  hosts_[host].pool->recalled(action.child, told, instant());
}

void World::act(std::size_t host, const SetLease& action) {
  const auto found = hosts_[host].processes.find(action.child);
  if (found == hosts_[host].processes.end()) return;
  const bool longer = plant_ == Plant::kLeaseTooLong && action.end != Nanos{};
  found->second.lease = longer ? action.end + Nanos(20s) : action.end;
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
  if (member(action.frame, "op") == "cancel") {
    return told_to_end(host, action.child, member(action.frame, "id"));
  }
  if (found->second.lease == Nanos{}) broke("a job was given to a child without a lease");
  const auto frame = codec::parse_json(action.frame);
  const auto ordinal = static_cast<std::uint64_t>(frame->find("n")->as_int().value_or(0));
  found->second.inbox.emplace_back(ordinal, member(action.frame, "id"));
  if (found->second.job.empty()) begin_next(host, action.child);
}

// Half of the handlers listen.
void World::told_to_end(std::size_t host, ChildId child, const Bytes& job) {
  const Process& process = hosts_[host].processes.at(child);
  if (process.job != job || chance(500)) return;
  at(now_ + between(1, 3'000), [this, host, life = hosts_[host].life, child, job, run = process.run] {
    if (hosts_[host].life != life) return;
    const auto found = hosts_[host].processes.find(child);
    if (found == hosts_[host].processes.end() || found->second.run != run || found->second.job != job) return;
    found->second.job.clear();
    excuse(job);
    const Bytes frame =
        fmt::format(R"({{"op":"failed","id":"{}","type":"C","message":"m","retry":true}})", job);
    tell(host, now_ + 1, [this, child, frame](Pool& pool) { said(pool, child, frame); });
    begin_next(host, child);
  });
}

void World::begin_next(std::size_t host, ChildId child) {
  Process& process = hosts_[host].processes.at(child);
  while (!process.inbox.empty()) {
    const auto [ordinal, job] = process.inbox.front();
    process.inbox.pop_front();
    if (ordinal <= process.begun) continue;  // taken back
    process.begun = ordinal;
    return begin_run(host, child, job);
  }
}

// Somebody holds the message of a job that begins.
void World::check_lease(const Bytes& job) {
  if (!job.contains("job-")) return;  // an event's job has no id of its own in its message
  const Bytes named = fmt::format("\"id\":\"{}\"", job);
  const auto held = [&](const Message& message) {
    return message.visible_at > now_ && message.body.contains(named);
  };
  for (const auto& queue : queues_) {
    if (std::ranges::any_of(queue, held)) return;
  }
  broke(job + " begins after its lease");
}

// A run that failed, or was cut off, or whose message came again because its lease ran out.
void World::excuse(const Bytes& job) {
  if (excuses_[job] < runs_begun[job]) ++excuses_[job];
}

void World::lease_ran_out(const Message& message) {
  const auto read = task::read_message(message.body, std::to_string(message.id));
  if (!read) return;
  for (const task::Job& job : read->jobs) excuse(job.call.id);
}

void World::check_reason(const Bytes& job) {
  const auto copies = copies_.find(job);
  const int free = copies == copies_.end() ? 1 : copies->second;
  if (runs_begun[job] > free + excuses_[job]) broke(job + " runs once more without a reason");
}

void World::begin_run(std::size_t host, ChildId child, const Bytes& job) {
  for (const Host& there : hosts_) {
    for (const auto& [id, process] : there.processes) {
      if (process.job == job) broke(job + " runs twice at once");
    }
  }
  check_lease(job);
  Process& process = hosts_[host].processes.at(child);
  process.job = job;
  process.run = next_run_++;
  ++runs_begun[job];
  check_reason(job);
  const int draw = static_cast<int>(random_() % 1000);
  if (draw < chances_.task_hangs) return;  // its time limit or its lease ends it
  const bool crashes = draw < chances_.task_hangs + chances_.task_crashes;
  const bool fails = draw < chances_.task_hangs + chances_.task_crashes + chances_.task_fails;
  const bool quick = job.starts_with("quick");
  const std::int64_t usual = quick ? between(0, 2) : between(1, 800);
  const std::int64_t takes = chance(quick ? 5 : 50) ? between(1'000, 80'000) : usual;
  at(now_ + takes,
     [this, host, life = hosts_[host].life, child, job, run = process.run, crashes, fails, takes] {
       if (hosts_[host].life != life) return;
       const auto found = hosts_[host].processes.find(child);
       if (found == hosts_[host].processes.end() || found->second.run != run) return;
       if (crashes) return end_process(host, child, {.signal = 11});
       found->second.job.clear();
       if (fails) {
         excuse(job);
       } else {
         ++runs_done[job];
       }
       const Bytes frame =
           fails ? fmt::format(R"({{"op":"failed","id":"{}","type":"E","message":"m","retry":true}})", job)
                 : done_frame(job, takes);
       tell(host, now_ + 1, [this, child, frame](Pool& pool) { said(pool, child, frame); });
       begin_next(host, child);
     });
}

Bytes World::done_frame(const Bytes& job, std::int64_t took) {
  return fmt::format(R"({{"op":"done","id":"{}","result":1,"seconds":{}.{:03}}})", job, took / 1'000,
                     took % 1'000);
}

void World::said(Pool& pool, ChildId child, ByteView frame) {
  pool.child_said(child, {&frame, 1}, instant());
}

}  // namespace hr::worker::testing
