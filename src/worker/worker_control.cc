// The control socket: what this pool does, for whoever may connect; and changes, for its own user, root and
// the operators' group.
#include "codec/json.h"
#include "task/names.h"
#include "worker/memory.h"
#include "worker/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <grp.h>
#include <map>
#include <pwd.h>
#include <unistd.h>

namespace hr::worker {
namespace {

constexpr std::size_t kBodyBytesMax = 65'536;
// Whoever has no name in our user namespace looks like this one; an installed host's units have their own.
constexpr std::uint32_t kNobodyKnown = 65'534;
constexpr std::uint64_t kNeverExactly = ~std::uint64_t{0};  // memory is told roughly, and at once

net::Response json_response(int status, const Bytes& body) {
  net::Response response{.status = status, .headers = {}, .body = body + "\n", .announced_length = {}};
  response.headers.add("Content-Type", "application/json");
  response.headers.add("Cache-Control", "no-store");
  return response;
}

net::Response problem(int status, std::string_view message) {
  Bytes body;
  codec::JsonWriter(body).begin_object().field("error", message).end_object();
  return json_response(status, body);
}

net::Response done() { return json_response(200, "{}"); }

bool in_group(std::uint32_t uid, const std::string& group) {
  if (group.empty() || uid == kNobodyKnown) return false;
  const ::group* wanted = ::getgrnam(group.c_str());
  const gid_t gid = wanted != nullptr ? wanted->gr_gid : 0;
  const ::passwd* user = wanted != nullptr ? ::getpwuid(uid) : nullptr;
  if (user == nullptr) return false;
  int count = 1'024;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (::getgrouplist(user->pw_name, user->pw_gid, groups.data(), &count) < 0) return false;
  return std::ranges::find(groups.begin(), groups.begin() + count, gid) != groups.begin() + count;
}

std::optional<Severity> severity_named(ByteView name) {
  const std::map<ByteView, Severity> known = {{"error", Severity::kError},
                                              {"warning", Severity::kWarning},
                                              {"notice", Severity::kNotice},
                                              {"info", Severity::kInfo},
                                              {"debug", Severity::kDebug}};
  const auto found = known.find(name);
  return found != known.end() ? std::optional(found->second) : std::nullopt;
}

void write_names(codec::JsonWriter& out, ByteView key, const std::vector<Bytes>& names) {
  out.key(key).begin_array();
  for (const Bytes& name : names) out.string(name);
  out.end_array();
}

void write_counts(codec::JsonWriter& out, const PoolCounts& counts) {
  out.key("counts").begin_object();
  for (const auto& [name, count] :
       {std::pair("received", counts.received), std::pair("done", counts.done),
        std::pair("failed", counts.failed), std::pair("dead", counts.dead),
        std::pair("cancelled", counts.cancelled), std::pair("crashed", counts.crashed),
        std::pair("released", counts.released), std::pair("lost", counts.lost),
        std::pair("parked", counts.parked)}) {
    out.field(name, static_cast<std::int64_t>(count));
  }
  out.end_object();
}

void write_requests(codec::JsonWriter& out, const remote::RequestCounts& asked, std::uint64_t ended) {
  out.key("requests").begin_object().field("sqs", static_cast<std::int64_t>(asked.sqs));
  out.field("s3", static_cast<std::int64_t>(asked.s3))
      .field("repeated", static_cast<std::int64_t>(asked.repeated));
  out.field("throttled", static_cast<std::int64_t>(asked.throttled)).key("per_job");
  if (ended == 0) {
    out.null();
  } else {
    out.number(static_cast<double>(asked.sqs + asked.s3) / static_cast<double>(ended));
  }
  out.end_object();
}

}  // namespace

net::Task<net::Response> Worker::handle(net::RequestHead& head, net::RequestBody& body) {
  const bool looks = head.method == "GET" || head.method == "HEAD";
  if (looks && head.target == "/status") co_return json_response(200, status_text());
  if (looks && head.target == "/jobs") co_return json_response(200, jobs_text());
  if (head.method != "POST") {
    co_return problem(404, "known here: GET /status, /jobs; POST /look, /rest, /resume, /reload, /log-level");
  }
  if (head.peer.uid != 0 && head.peer.uid != ::geteuid() && !in_group(head.peer.uid, setup_.operators)) {
    co_return problem(403, fmt::format("user {} may look and change nothing: this worker listens to its own "
                                       "user, root and members of host.operators",
                                       head.peer.uid));
  }
  const auto text = co_await body.read_all(kBodyBytesMax);
  if (!text) co_return problem(400, text.error().message);
  const auto asked = codec::parse_json(text->empty() ? ByteView("{}") : ByteView(*text));
  if (!asked || !asked->is_object()) co_return problem(400, "the body must be a JSON object");
  co_return co_await change(head.target, *asked, head.peer.pid);
}

net::Task<net::Response> Worker::change(std::string_view what, const codec::Json& asked,
                                        std::uint32_t peer_pid) {
  if (what == "/reload") {
    const auto begun = start_successor();
    if (!begun) co_return problem(409, begun.error().message);
    co_return json_response(200, fmt::format("{{\"successor\":{}}}", successor_));
  }
  if (what == "/handed-over") co_return co_await handed_over(peer_pid);
  if (what == "/look") {
    co_await caretaker_.look();
    co_return done();
  }
  if (what == "/rest" || what == "/resume") {
    pool_.rest(what == "/rest", now());
    carry_out();
    co_return done();
  }
  if (what == "/log-level") {
    const codec::Json* level = asked.find("level");
    const auto severity = level != nullptr && level->as_string() != nullptr
                              ? severity_named(*level->as_string())
                              : std::nullopt;
    if (!severity) co_return problem(400, "\"level\" must be error, warning, notice, info or debug");
    hooks_.log_level(*severity);
    pool_.set_log_level(*severity);
    carry_out();
    co_return done();
  }
  co_return problem(404, "known here: POST /look, /rest, /resume, /reload, /log-level");
}

Bytes Worker::status_text() const {
  const PoolStatus status = pool_.status();
  Bytes text;
  codec::JsonWriter out(text);
  out.begin_object().field("pool", setup_.pool.name).field("pid", std::int64_t{::getpid()});
  out.field("host", setup_.pool.host).field("successor", std::int64_t{successor_});
  out.field("draining", status.draining).field("resting", status.resting);
  write_names(out, "queues", status.queues);
  write_names(out, "paused", status.paused);
  out.key("children").begin_array();
  for (const ChildStatus& child : status.children) {
    const int pid = pid_of(child.id);
    out.begin_object().field("child", std::int64_t{child.id}).field("pid", std::int64_t{pid});
    out.field("state", to_string(child.state)).field("job", child.job).field("task", child.task);
    out.field("running", static_cast<std::int64_t>(child.running));
    out.field("ahead", static_cast<std::int64_t>(child.ahead));
    const std::uint64_t memory = pid != 0 ? tree_bytes(pid, kNeverExactly) : 0;
    out.field("memory", static_cast<std::int64_t>(memory));
    out.field("since", to_ms(child.since)).end_object();
  }
  out.end_array();
  write_counts(out, status.counts);
  out.field("held", static_cast<std::int64_t>(status.held));
  write_requests(out, services_.counts(), status.counts.done + status.counts.dead);
  out.field("conditional_writes", conditional_writes_).end_object();
  return text;
}

Bytes Worker::jobs_text() const {
  Bytes text;
  codec::JsonWriter out(text);
  out.begin_object().field("pool", setup_.pool.name).key("jobs").begin_array();
  for (const HeldStatus& held : pool_.jobs()) {
    const int pid = pid_of(held.child);
    out.begin_object().field("job", held.job).field("task", held.task).field("queue", held.queue);
    out.field("state", held.state).field("attempt", std::int64_t{held.attempt});
    out.field("receives", std::int64_t{held.receives}).field("child", std::int64_t{held.child});
    out.field("pid", std::int64_t{pid}).field("since", to_ms(held.since)).field("sent", held.sent);
    out.end_object();
  }
  out.end_array().end_object();
  return text;
}

}  // namespace hr::worker
