#include "api/front.h"

#include "codec/json.h"
#include "task/names.h"

#include <string_view>
#include <utility>

namespace hr::api {
namespace {

using codec::JsonWriter;

constexpr std::string_view kRoot = "/_headrace/";
constexpr std::string_view kJobs = "jobs/";

net::Response json_response(int status, std::string body) {
  body += '\n';
  net::Response response{.status = status, .headers = {}, .body = std::move(body), .announced_length = {}};
  response.headers.add("Content-Type", "application/json");
  response.headers.add("Cache-Control", "no-store");
  return response;
}

net::Response problem(int status, std::string_view message) {
  std::string body;
  JsonWriter(body).begin_object().field("error", message).end_object();
  return json_response(status, std::move(body));
}

// A text that somebody else made: taken over only if it is JSON.
void append_json(JsonWriter& writer, ByteView text) {
  if (codec::parse_json(text, {.bytes_max = 64 * 1024 * 1024})) {
    writer.raw(text);
  } else {
    writer.null();
  }
}

void append_peers(JsonWriter& writer, ByteView name, const std::vector<Peer>& peers) {
  writer.key(name).begin_array();
  for (const Peer& peer : peers) {
    writer.begin_object().field("name", peer.name).field("answers", peer.answers);
    if (!peer.says.empty()) append_json(writer.key("status"), peer.says);
    writer.end_object();
  }
  writer.end_array();
}

void append_queues(JsonWriter& writer, const std::vector<QueueCounts>& queues) {
  writer.key("queues").begin_array();
  for (const QueueCounts& queue : queues) {
    writer.begin_object()
        .field("name", queue.name)
        .field("visible", queue.visible)
        .field("in_flight", queue.in_flight)
        .field("delayed", queue.delayed)
        .end_object();
  }
  writer.end_array();
}

}  // namespace

net::Task<net::Response> Front::handle(net::RequestHead& head, net::RequestBody& /*body*/) {
  std::string_view path = head.target;
  path = path.substr(0, path.find('?'));
  if (!path.starts_with(kRoot)) co_return problem(404, "paths here begin with /_headrace/");
  path.remove_prefix(kRoot.size());
  if (head.method != "GET" && head.method != "HEAD") {
    net::Response response = problem(405, "GET and HEAD only");
    response.headers.add("Allow", "GET, HEAD");
    co_return response;
  }
  if (path == "health") co_return json_response(200, R"({"status":"ok"})");
  if (path == "ready") co_return co_await ready();
  if (path == "status") co_return co_await status();
  if (path.starts_with(kJobs)) co_return co_await job(Bytes(path.substr(kJobs.size())));
  co_return problem(404, "known here: /_headrace/ health, ready, status, jobs/ID");
}

// Ready is: the services answer.
net::Task<net::Response> Front::ready() {
  const auto reached = co_await source_.reach();
  if (!reached) co_return problem(503, reached.error().message);
  co_return json_response(200, R"({"status":"ready"})");
}

net::Task<net::Response> Front::status() {
  const auto queues = co_await source_.queues();
  const auto web = co_await source_.web();
  const auto workers = co_await source_.workers();
  std::string body;
  JsonWriter writer(body);
  writer.begin_object().field("app", app_).field("version", version_).field("store", queues.has_value());
  if (!queues) writer.field("error", queues.error().message);
  append_queues(writer, queues ? *queues : std::vector<QueueCounts>());
  append_peers(writer, "web", web);
  append_peers(writer, "workers", workers);
  writer.end_object();
  co_return json_response(200, std::move(body));
}

net::Task<net::Response> Front::job(Bytes id) {
  if (!task::valid_job_id(id)) co_return problem(400, "not the id of a job");
  const auto found = co_await source_.job(id);
  if (!found) co_return problem(503, found.error().message);
  if (!found->result && !found->mark)
    co_return problem(404, "nothing is kept of this job: it has not ended, or keeps no result, or never was");
  std::string body;
  JsonWriter writer(body);
  writer.begin_object().field("id", id);
  append_json(writer.key("result"), found->result.value_or("null"));
  append_json(writer.key("mark"), found->mark.value_or("null"));
  writer.end_object();
  co_return json_response(200, std::move(body));
}

}  // namespace hr::api
