#include "headrace/store_routes.h"

#include "headrace/notify.h"
#include "headrace/routes.h"
#include "headrace/unix_http.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr {
namespace {

net::Response text_response(int status, std::string type, std::string body) {
  net::Response response{.status = status, .headers = {}, .body = std::move(body), .announced_length = {}};
  response.headers.add("Content-Type", std::move(type));
  response.headers.add("Cache-Control", "no-store");
  return response;
}

bool local(const net::Peer& peer) {
  return peer.unix_socket || peer.address.starts_with("127.") || peer.address == "::1";
}

// A control answers with the error as it is; its text is one line.
net::Response answer_of(const Error& error) {
  const int status = error.code == Errc::kBusy       ? 409
                     : error.code == Errc::kNotFound ? 404
                     : error.code == Errc::kNoSpace  ? 507
                                                     : 500;
  return text_response(status, "text/plain", error.message + "\n");
}

Status is_healthy(const Result<UnixAnswer>& answer, const std::string& name) {
  if (!answer) return std::unexpected(answer.error());
  if (answer->status == 200) return {};
  return fail(Errc::kUnavailable, fmt::format("{}: answers {}", name, answer->status));
}

constexpr Duration kHealthPatience = 5s;
constexpr std::string_view kHealth = "/_headrace/health";
constexpr std::string_view kSnapshots = "/_headrace/snapshots";
constexpr std::string_view kScrub = "/_headrace/scrub";
constexpr std::string_view kOperatorsOnly = "for the store's own user on its unix socket\n";

}  // namespace

net::Task<net::Response> StoreRoutes::handle(net::RequestHead& head, net::RequestBody& body) {
  switch (service_of(head)) {
    case Service::kOwn:
      if (head.method == "POST" && head.target.starts_with(kSnapshots)) co_return co_await snapshots(head);
      if (head.target == kScrub && (head.method == "GET" || head.method == "POST")) co_return scrub(head);
      co_return own(head);
    case Service::kSqs:
      co_return co_await parts_.sqs.handle(head, body);
    case Service::kS3:
      co_return co_await parts_.s3.handle(head, body);
  }
  co_return text_response(500, "text/plain", "no such service\n");
}

bool StoreRoutes::operates(const net::Peer& peer) const {
  return peer.unix_socket &&
         (peer.uid == 0 || std::ranges::find(parts_.operators, peer.uid) != parts_.operators.end());
}

// GET /_headrace/scrub tells of it, POST begins a pass. It names keys: for operators.
net::Response StoreRoutes::scrub(const net::RequestHead& head) {
  if (!operates(head.peer)) return text_response(403, "text/plain", std::string(kOperatorsOnly));
  if (head.method == "POST") {
    if (const Status begun = parts_.scrub.begin(); !begun)
      return text_response(409, "text/plain", begun.error().message + "\n");
  }
  return text_response(200, "application/json", parts_.scrub.json());
}

// POST /_headrace/snapshots takes one, .../ID/keep and .../ID/end tell of it. For the store's operators: who
// may read its folder anyway.
net::Task<net::Response> StoreRoutes::snapshots(const net::RequestHead& head) {
  if (!operates(head.peer)) co_return text_response(403, "text/plain", std::string(kOperatorsOnly));
  std::string_view rest = std::string_view(head.target).substr(kSnapshots.size());
  if (rest.empty()) {
    const auto taken = co_await parts_.runtime.on_pool([this] { return parts_.snapshots.take(); });
    if (!taken) co_return answer_of(taken.error());
    co_return text_response(200, "application/json", to_json(*taken) + "\n");
  }
  rest.remove_prefix(1);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string id(rest.substr(0, slash));
  const std::string_view verb = rest.substr(std::min(slash + 1, rest.size()));
  if (verb != "keep" && verb != "end") co_return text_response(404, "text/plain", "known here: keep, end\n");
  const auto done = co_await parts_.runtime.on_pool([this, &id, keep = verb == "keep"] {
    return keep ? parts_.snapshots.keep(id) : parts_.snapshots.end(id);
  });
  if (!done) co_return answer_of(done.error());
  co_return text_response(200, "text/plain", "done\n");
}

net::Response StoreRoutes::own(const net::RequestHead& head) const {
  const std::string_view path = std::string_view(head.target).substr(0, head.target.find('?'));
  if (!local(head.peer)) return text_response(403, "text/plain", "for peers on this host only\n");
  if (head.method != "GET" && head.method != "HEAD") {
    auto response = text_response(405, "text/plain", "GET and HEAD only\n");
    response.headers.add("Allow", "GET, HEAD");
    return response;
  }
  if (path == "/_headrace/health") {
    // It is well, and takes deletes: whoever starts unhealthy services again would not make room.
    const bool full = parts_.store.space_low() || parts_.log.stats().space_refused;
    return text_response(
        200, "application/json",
        full ? "{\"status\":\"ok\",\"disk\":\"full: only deletes are taken\"}\n" : "{\"status\":\"ok\"}\n");
  }
  if (path == "/_headrace/ready") {
    return ready_ ? text_response(200, "application/json", "{\"status\":\"ready\"}\n")
                  : text_response(503, "application/json", "{\"status\":\"not ready\"}\n");
  }
  if (path == "/_headrace/metrics")
    return text_response(200, "text/plain; version=0.0.4; charset=utf-8", metrics());
  return text_response(404, "text/plain",
                       "known here: /_headrace/health /_headrace/ready /_headrace/metrics\n");
}

std::string StoreRoutes::metrics() const {
  Exposition out;
  const auto log = parts_.log.stats();
  out.gauge("headrace_ready", "1 when the store takes requests", ready_ ? 1 : 0);
  out.gauge("headrace_log_bytes", "Bytes of the log's segments on disk", static_cast<double>(log.bytes));
  out.gauge("headrace_log_segments", "Segments of the log", static_cast<double>(log.segments));
  out.gauge("headrace_log_pending_bytes", "Bytes appended and not yet written",
            static_cast<double>(log.pending_bytes));
  out.gauge("headrace_log_space_refused", "1 when only the reserve segments are left",
            log.space_refused ? 1 : 0);
  out.gauge("headrace_disk_free_bytes", "Bytes free on the data folder's file system",
            static_cast<double>(parts_.space.free_bytes()));
  out.gauge("headrace_disk_keep_bytes", "Free bytes below which only deletes are taken",
            static_cast<double>(parts_.space.mark()));
  out.gauge("headrace_disk_low", "1 while only deletes are taken because the disk is nearly full",
            parts_.space.low() ? 1 : 0);
  out.gauge("headrace_log_live_bytes", "Bytes of the log's records in which messages stand",
            static_cast<double>(parts_.store.queues().live_bytes()));
  out.counter("headrace_checkpoints_total",
              "Checkpoints of the queues' state, each followed by a cut of the log",
              parts_.threads.checkpoints());
  out.counter("headrace_log_groups_total", "Record groups appended", log.groups);
  out.counter("headrace_log_batches_total", "Batches written", log.batches);
  out.counter("headrace_log_syncs_total", "fdatasync calls on the log", log.syncs);
  const auto store = parts_.store.stats();
  out.counter("headrace_commands_total", "Commands sequenced", store.commands);
  out.counter("headrace_commands_refused_total", "Commands the log had no room for", store.refused);
  out.counter("headrace_events_undeliverable_total", "Object events whose queue was gone",
              store.events_undeliverable);
  out.gauge("headrace_answers_waiting", "Answers waiting for their release point",
            static_cast<double>(store.waiting_answers));
  out.gauge("headrace_receivers_waiting", "Long polls that wait", static_cast<double>(store.waiters));
  out.gauge("headrace_index_lag_groups", "Groups the durable index is behind the log",
            static_cast<double>(log.groups > 0 ? parts_.index.applied() - parts_.index.durable() : 0));
  if (server_ != nullptr) {
    const auto http = server_->stats();
    out.gauge("headrace_http_connections", "Open connections", static_cast<double>(http.open));
    out.counter("headrace_http_connections_total", "Connections accepted", http.accepted);
    out.counter("headrace_http_requests_total", "Requests whose framing was good", http.requests);
    out.counter("headrace_http_refused_total", "Requests refused for their framing or limits", http.refused);
    out.counter("headrace_http_timeouts_total", "Connections ended by a deadline", http.timeouts);
    out.counter("headrace_http_received_bytes_total", "Bytes received", http.bytes_in);
    out.counter("headrace_http_sent_bytes_total", "Bytes sent", http.bytes_out);
    for (int kind = 1; kind <= 5; ++kind) {
      out.counter("headrace_http_responses_total", "Responses by status class", http.responses_by_class[kind],
                  {{"class", fmt::format("{}xx", kind)}});
    }
  }
  const auto& messages = parts_.sqs.messages();
  out.counter("headrace_sqs_messages_sent_total", "Messages sent over SQS", messages.sent);
  out.counter("headrace_sqs_messages_received_total", "Messages handed to receivers", messages.received);
  out.counter("headrace_sqs_messages_deleted_total", "Messages deleted with a receipt", messages.deleted);
  out.counter("headrace_sqs_empty_receives_total", "Receives answered without a message",
              messages.empty_receives);
  out.counter("headrace_sqs_sent_bytes_total", "Bytes of bodies and attributes sent", messages.sent_bytes);
  for (const auto& [name, count] : parts_.sqs.counters()) {
    out.counter("headrace_sqs_requests_total", "SQS requests by action", count.requests, {{"action", name}});
  }
  for (const auto& [name, count] : parts_.sqs.counters()) {
    out.counter("headrace_sqs_errors_total", "SQS requests answered with an error", count.errors,
                {{"action", name}});
  }
  for (const auto& [name, count] : parts_.s3.counters()) {
    out.counter("headrace_s3_requests_total", "S3 requests by operation", count.requests,
                {{"operation", name}});
  }
  for (const auto& [name, count] : parts_.s3.counters()) {
    out.counter("headrace_s3_errors_total", "S3 requests answered with an error", count.errors,
                {{"operation", name}});
  }
  const auto unrouted = parts_.s3.unrouted();
  out.counter("headrace_s3_unrouted_total", "Requests that were no operation of S3", unrouted.requests);
  out.counter("headrace_s3_body_received_bytes_total", "Bytes of objects' bodies stored",
              parts_.s3.body_bytes_in());
  out.counter("headrace_s3_body_sent_bytes_total", "Bytes of objects' bodies sent",
              parts_.s3.body_bytes_out());
  add_scrub(out);
  return out.text();
}

void StoreRoutes::add_scrub(Exposition& out) const {
  const auto scrub = parts_.scrub.state().stats();
  out.gauge("headrace_damaged_objects", "Objects of which a body is known to be damaged",
            static_cast<double>(parts_.scrub.damage().size()));
  out.counter("headrace_scrub_bodies_total", "Bodies read by the scrub", scrub.bodies);
  out.counter("headrace_scrub_bytes_total", "Bytes of bodies read by the scrub", scrub.bytes);
  out.counter("headrace_scrub_errors_total", "Times the scrub could not read the index", scrub.errors);
  out.gauge("headrace_scrub_passed_seconds", "When a pass of the scrub last ended, in Unix time; 0: none did",
            static_cast<double>(to_ms(scrub.ended)) / 1000.0);
}

Status ask_health(int listening_socket) {
  const Reach where = reach_of(listening_socket);
  if (where.size == 0) return fail(Errc::kIo, "a socket that was passed has no address");
  const std::string path = where.unix_path();
  const std::string name = path.empty() ? "the socket that was passed" : path;
  return is_healthy(ask(where, name, "GET", kHealth, kHealthPatience), name);
}

Status ask_health(const std::string& socket) {
  return is_healthy(ask(socket, "GET", kHealth, kHealthPatience), socket);
}

}  // namespace hr
