#include "headrace/doctor_canary.h"

#include "codec/json.h"
#include "headrace/client_settings.h"
#include "headrace/host_services.h"
#include "headrace/log_sinks.h"
#include "headrace/role_source.h"
#include "host/site_answer.h"
#include "net/runtime.h"
#include "task/envelope.h"
#include "task/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <poll.h>
#include <utility>

namespace hr {
namespace {

constexpr int kPauseMs = 200;
constexpr Duration kJobWithin = 30s, kLogWithin = 5s;
constexpr Duration kPatience = 60s;   // beyond the longest time that a unit may take to stop
constexpr Duration kWebWithin = 60s;  // once its unit is active; a server of one's own tells nothing more

bool eventually(const os::Clock& clock, Duration within, const std::function<bool()>& done) {
  const Nanos begun = clock.boottime();
  while (!done()) {
    if (clock.boottime() - begun > within) return false;
    ::poll(nullptr, 0, kPauseMs);
  }
  return true;
}

// --- nginx -> application worker

Result<host::SiteAnswer> ask_site(const host::Machine& machine) {
  return host::ask_site(machine.https.port, machine.config.site.names.front());
}

// Asked from this host; a site on another address than every one is not reached from here.
bool reaches_site(const host::Machine& machine) {
  const HostPort& https = machine.https;
  return machine.has_web() && (https.host == "0.0.0.0" || https.loopback);
}

Hop site_hop(const Result<host::SiteAnswer>& answer) {
  return {.name = "a request goes through nginx to an application worker",
          .wrong = answer ? "" : answer.error().message,
          .mend = "journalctl -b -u nginx -u 'headrace-web@*'",
          .why = "visitors see an error"};
}

void add_site(const HostGround& ground, std::vector<Hop>& out) {
  const auto answer = ask_site(ground.machine);
  Hop site = site_hop(answer);
  if (answer && (answer->status >= 500 || answer->status == 429))
    site.wrong = fmt::format("the answer is {}", answer->status);
  const bool answered = site.wrong.empty();
  out.push_back(std::move(site));
  if (!answered) return;
  Hop log{.name = "the request is in the access log, with who answered",
          .wrong = {},
          .mend = "journalctl -b -u rsyslog; rsyslogd -N1",
          .why = "nobody could tell afterwards what was asked"};
  const std::string id = fmt::format("\"request_id\":\"{}\"", answer->request_id);
  if (answer->request_id.empty()) {
    log.wrong = "the answer has no X-Request-Id";
  } else if (!eventually(*ground.clock, kLogWithin, [&] {
               return logged(*ground.tree, "access.jsonl", {id, "unix:/run/headrace/web-"});
             })) {
    log.wrong =
        fmt::format("no record of request {} in {}/access.jsonl", answer->request_id, host::kLogFolder);
  }
  out.push_back(std::move(log));
}

// --- queue -> worker -> object

struct Sent {
  std::string id, wrong;
  bool late = false;  // that is all that is wrong
};

net::Task<void> send_job(RoleSource& source, const os::Clock& clock, Bytes queue, Sent& job) {
  const auto url = co_await source.sqs().queue_url(queue);
  if (!url) {
    job.wrong = fmt::format("the queue {} cannot be asked for: {}", queue, url.error().text());
    co_return;
  }
  const task::Envelope envelope{.id = job.id,
                                .task = Bytes(task::kCanaryTask),
                                .args = fmt::format(R"(["{}"])", job.id),
                                .sent = clock.now().time_since_epoch().count(),
                                .request_id = {},
                                .traceparent = {},
                                .body = {}};
  const auto sent = co_await source.sqs().send(
      {.queue_url = *url, .body = task::write_envelope(envelope), .attributes = {}, .dedup_id = {}});
  if (!sent) job.wrong = fmt::format("the queue {} takes nothing: {}", queue, sent.error().text());
}

net::Task<void> send_and_wait(net::Runtime& runtime, RoleSource& source, const os::Clock& clock, Bytes queue,
                              Sent& job) {
  co_await send_job(source, clock, std::move(queue), job);
  const Nanos begun = clock.boottime();
  while (job.wrong.empty()) {
    const auto objects = co_await source.job(job.id);
    if (!objects) job.wrong = objects.error().message;
    if (objects && objects->result) {
      if (!objects->result->contains(R"("result":")" + job.id)) job.wrong = "it failed: " + *objects->result;
      break;
    }
    job.late = clock.boottime() - begun > kJobWithin;
    if (job.late)
      job.wrong = fmt::format("no result after {} s: no worker takes it, or others wait before it",
                              std::chrono::ceil<std::chrono::seconds>(kJobWithin).count());
    ::poll(nullptr, 0, kPauseMs);  // nothing else runs here
  }
  runtime.stop();
}

Status run_job(const ClientSettings& settings, const std::string& queue, const os::Clock& clock, Sent& job) {
  const auto sink = make_sink({.role = "doctor", .to = LogTo::kTerminal});
  net::Runtime runtime(1, hr::Log(*sink));
  const auto source = std::make_unique<RoleSource>(runtime, clock, settings, hr::Log(*sink));
  net::Gate gate;
  runtime.spawn(gate, "doctor", send_and_wait(runtime, *source, clock, queue, job));
  runtime.run();
  return {};
}

Sent send_job(const HostGround& ground, const PoolConfig& pool) {
  std::array<std::uint8_t, 16> random{};
  ground.entropy->fill(random);
  Sent job{.id = "canary-" + Uuid::v4(random).text(), .wrong = {}};
  const auto settings = find_services(service_flags(ground));
  if (!settings) {
    job.wrong = settings.error().message;
  } else if (const auto ran = run_job(*settings, pool.queues.front(), *ground.clock, job); !ran) {
    job.wrong = ran.error().message;
  }
  return job;
}

Hop job_hop(const PoolConfig& pool, const Sent& job) {
  const std::string unit = fmt::format("headrace-worker@{}", pool.name);
  return {.name = fmt::format("a job goes through queue {} and pool {} and comes back as an object",
                              pool.queues.front(), pool.name),
          .wrong = job.wrong,
          .mend = fmt::format("systemctl status {0}; journalctl -b -u {0} -u headrace-store", unit),
          .why = "tasks wait, or are lost to sight"};
}

void add_job(const HostGround& ground, const PoolConfig& pool, std::vector<Hop>& out) {
  const Sent job = send_job(ground, pool);
  out.push_back(job_hop(pool, job));
  if (!job.wrong.empty()) return;
  const bool told =
      eventually(*ground.clock, kLogWithin, [&] { return logged(*ground.tree, "headrace.jsonl", {job.id}); });
  out.push_back(
      {.name = fmt::format("the job's record of pool {} is in the log", pool.name),
       .wrong = told ? "" : fmt::format("no record of {} in {}/headrace.jsonl", job.id, host::kLogFolder),
       .mend = "journalctl -b -u rsyslog; rsyslogd -N1",
       .why = "nobody could tell afterwards what ran"});
}

// --- after a change

// What an application answers is its own: only that nobody of it answers comes of the host.
void add_way_to_web(const HostGround& ground, std::vector<Hop>& out) {
  if (!reaches_site(ground.machine)) return;
  const auto answer = ask_site(ground.machine);
  Hop site = site_hop(answer);
  if (answer && (answer->status == 502 || answer->status == 504))
    site.wrong = fmt::format("the answer is {}", answer->status);
  out.push_back(std::move(site));
}

Duration unit_patience(const host::Machine& machine) {
  Duration out = kPatience;
  for (const host::Node& node : machine.nodes) out = std::max(out, kPatience + node.stop_limit);
  return out;
}

bool works(const std::vector<Hop>& hops) {
  return std::ranges::all_of(hops, [](const Hop& hop) { return hop.wrong.empty(); });
}

}  // namespace

std::vector<Hop> send_canaries(const HostGround& ground) {
  std::vector<Hop> out;
  if (reaches_site(ground.machine)) add_site(ground, out);
  for (const PoolConfig& pool : ground.machine.config.pools) add_job(ground, pool, out);
  return out;
}

Duration canary_patience(const host::Machine& machine) {
  return unit_patience(machine) + kWebWithin + kJobWithin * static_cast<int>(machine.config.pools.size());
}

std::vector<Hop> ask_until_it_works(const HostGround& ground) {
  Nanos until = ground.clock->boottime() + unit_patience(ground.machine);
  bool all_active = false;
  std::vector<Hop> hops;
  for (;;) {
    hops = ask_hops(ground.machine, *ground.tree, *ground.tools, *ground.clock);
    if (works(hops)) {
      if (!std::exchange(all_active, true)) until = ground.clock->boottime() + kWebWithin;
      add_way_to_web(ground, hops);
    }
    const bool hopeless = std::ranges::any_of(hops, [](const Hop& hop) { return hop.wrong == "failed"; });
    if (works(hops)) break;
    if (hopeless || ground.clock->boottime() > until) return hops;
    ::poll(nullptr, 0, kPauseMs);
  }
  for (const PoolConfig& pool : ground.machine.config.pools) {
    Sent job = send_job(ground, pool);
    Hop hop = job_hop(pool, job);
    // Others may wait before it, or the queue be paused: no reason to go back.
    if (job.late) {
      fmt::print(stderr, "headrace: warning: {}: {}\n    look with: {}\n", hop.name, hop.wrong, hop.mend);
      hop.wrong.clear();
    }
    hops.push_back(std::move(hop));
  }
  return hops;
}

}  // namespace hr
