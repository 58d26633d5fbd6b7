#include "headrace/doctor_canary.h"

#include "codec/json.h"
#include "headrace/client_settings.h"
#include "headrace/host_services.h"
#include "headrace/log_sinks.h"
#include "headrace/role_source.h"
#include "host/site_answer.h"
#include "net/runtime.h"
#include "task/envelope.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <poll.h>

namespace hr {
namespace {

constexpr int kPauseMs = 200;
constexpr Duration kJobWithin = 30s, kLogWithin = 5s;

bool eventually(const os::Clock& clock, Duration within, const std::function<bool()>& done) {
  const Nanos begun = clock.boottime();
  while (!done()) {
    if (clock.boottime() - begun > within) return false;
    ::poll(nullptr, 0, kPauseMs);
  }
  return true;
}

// A line of a log that has all of these; the file may be too long to be read whole: then its end counts.
bool logged(const HostGround& ground, const std::string& file,
            std::initializer_list<std::string_view> parts) {
  const std::string path = ground.tree->at(fmt::format("{}/{}", host::kLogFolder, file));
  std::FILE* log = std::fopen(path.c_str(), "re");
  if (log == nullptr) return false;
  std::string text(4U << 20, '\0');
  std::fseek(log, 0, SEEK_END);
  const long end = std::ftell(log);
  std::fseek(log, std::max(0L, end - static_cast<long>(text.size())), SEEK_SET);
  text.resize(std::fread(text.data(), 1, text.size(), log));
  std::fclose(log);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t stop = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, stop - at);
    if (std::ranges::all_of(parts, [&](std::string_view part) { return line.contains(part); })) return true;
    at = stop + 1;
  }
  return false;
}

// --- nginx -> application worker

void add_site(const HostGround& ground, std::vector<Hop>& out) {
  const auto answer = host::ask_site(ground.machine.https.port, ground.machine.config.site.names.front());
  Hop site{.name = "a request goes through nginx to an application worker",
           .wrong = answer ? "" : answer.error().message,
           .mend = "journalctl -b -u nginx -u 'headrace-web@*'",
           .why = "visitors see an error"};
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
  } else if (!eventually(*ground.clock, kLogWithin,
                         [&] { return logged(ground, "access.jsonl", {id, "unix:/run/headrace/web-"}); })) {
    log.wrong =
        fmt::format("no record of request {} in {}/access.jsonl", answer->request_id, host::kLogFolder);
  }
  out.push_back(std::move(log));
}

// --- queue -> worker -> object

struct Sent {
  std::string id, wrong;
};

net::Task<void> send_job(RoleSource& source, const os::Clock& clock, Bytes queue, Sent& job) {
  const auto url = co_await source.sqs().queue_url(queue);
  if (!url) {
    job.wrong = fmt::format("the queue {} cannot be asked for: {}", queue, url.error().text());
    co_return;
  }
  const task::Envelope envelope{.id = job.id,
                                .task = "headrace.canary",
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
    if (clock.boottime() - begun > kJobWithin)
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

void add_job(const HostGround& ground, const PoolConfig& pool, std::vector<Hop>& out) {
  std::array<std::uint8_t, 16> random{};
  ground.entropy->fill(random);
  Sent job{.id = "canary-" + Uuid::v4(random).text(), .wrong = {}};
  const auto settings = find_services(service_flags(ground));
  if (!settings) {
    job.wrong = settings.error().message;
  } else if (const auto ran = run_job(*settings, pool.queues.front(), *ground.clock, job); !ran) {
    job.wrong = ran.error().message;
  }
  const std::string unit = fmt::format("headrace-worker@{}", pool.name);
  const bool done = job.wrong.empty();
  out.push_back({.name = fmt::format("a job goes through queue {} and pool {} and comes back as an object",
                                     pool.queues.front(), pool.name),
                 .wrong = job.wrong,
                 .mend = fmt::format("systemctl status {0}; journalctl -b -u {0} -u headrace-store", unit),
                 .why = "tasks wait, or are lost to sight"});
  if (!done) return;
  const bool told =
      eventually(*ground.clock, kLogWithin, [&] { return logged(ground, "headrace.jsonl", {job.id}); });
  out.push_back(
      {.name = fmt::format("the job's record of pool {} is in the log", pool.name),
       .wrong = told ? "" : fmt::format("no record of {} in {}/headrace.jsonl", job.id, host::kLogFolder),
       .mend = "journalctl -b -u rsyslog; rsyslogd -N1",
       .why = "nobody could tell afterwards what ran"});
}

}  // namespace

std::vector<Hop> send_canaries(const HostGround& ground) {
  std::vector<Hop> out;
  // Asked from this host; a site on another address than every one is not reached from here.
  const HostPort& https = ground.machine.https;
  const bool reached = https.host == "0.0.0.0" || https.loopback;
  if (ground.machine.has_web() && reached) add_site(ground, out);
  for (const PoolConfig& pool : ground.machine.config.pools) add_job(ground, pool, out);
  return out;
}

}  // namespace hr
