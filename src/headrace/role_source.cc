#include "headrace/role_source.h"

#include "host/topology.h"
#include "task/names.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <utility>

namespace hr {
namespace {

constexpr Duration kPeerPatience = 2s;

std::int64_t number_of(const codec::Pairs& attributes, std::string_view name) {
  std::int64_t out = 0;
  for (const auto& [key, value] : attributes)
    if (key == name) std::from_chars(value.data(), value.data() + value.size(), out);
  return out;
}

// Which queue is asked for does not matter: that there is none is an answer.
constexpr const char* kAnyQueue = "default";

}  // namespace

std::string queue_name(const std::string& url) { return url.substr(url.rfind('/') + 1); }

RoleSource::RoleSource(net::Runtime& runtime, const os::Clock& clock, const ClientSettings& settings,
                       hr::Log log)
    : runtime_(runtime),
      clock_(clock),
      config_(settings.config),
      state_(settings.state),
      endpoint_(settings.endpoint),
      services_(runtime, clock, settings.services, log) {}

std::unexpected<Error> RoleSource::unavailable(const remote::Fault& fault) const {
  if (fault.status != 0)
    return fail(Errc::kUnavailable,
                fmt::format("the store at {} does not answer as it should: {}", endpoint_, fault.text()));
  return fail(Errc::kUnavailable, fmt::format("the store at {} does not answer: {}; does `headrace up` run? "
                                              "--endpoint and HEADRACE_ENDPOINT name another",
                                              endpoint_, fault.text()));
}

net::Task<Status> RoleSource::reach() {
  const auto url = co_await sqs_.queue_url(kAnyQueue);
  if (!url && url.error().kind != remote::FaultKind::kMissing) co_return unavailable(url.error());
  co_return Status();
}

net::Task<Result<std::vector<api::QueueCounts>>> RoleSource::queues() {
  const auto urls = co_await sqs_.list_queues("");
  if (!urls) co_return unavailable(urls.error());
  std::vector<api::QueueCounts> out;
  for (const Bytes& url : *urls) {
    const auto attributes =
        co_await sqs_.attributes(url, {"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
                                       "ApproximateNumberOfMessagesDelayed"});
    if (!attributes && attributes.error().kind == remote::FaultKind::kMissing) continue;  // deleted meanwhile
    if (!attributes) co_return unavailable(attributes.error());
    out.push_back({.name = queue_name(url),
                   .visible = number_of(*attributes, "ApproximateNumberOfMessages"),
                   .in_flight = number_of(*attributes, "ApproximateNumberOfMessagesNotVisible"),
                   .delayed = number_of(*attributes, "ApproximateNumberOfMessagesDelayed")});
  }
  co_return out;
}

net::Task<Result<std::optional<Bytes>>> RoleSource::object(Bytes key) {
  auto found = co_await s3_.get(task::system_bucket(config_.app.name), key);
  if (found) co_return std::optional(std::move(*found));
  if (found.error().kind == remote::FaultKind::kMissing) co_return std::optional<Bytes>();
  co_return unavailable(found.error());
}

net::Task<Result<api::JobObjects>> RoleSource::job(Bytes id) {
  auto result = co_await object(task::result_key(id));
  if (!result) co_return std::unexpected(result.error());
  auto mark = co_await object(task::mark_key(id));
  if (!mark) co_return std::unexpected(mark.error());
  co_return api::JobObjects{.result = std::move(*result), .mark = std::move(*mark)};
}

// Both are the frame's of ask_all(), which waits for this.
net::Task<void> RoleSource::ask(const Question& question, api::Peer& out) {
  std::error_code ignored;
  if (!std::filesystem::exists(question.socket, ignored)) co_return;
  const auto endpoint = remote::parse_endpoint("unix:" + question.socket);
  if (!endpoint) co_return;
  remote::HttpClient client(runtime_, clock_, *endpoint);
  auto answer = co_await client.call({.method = "GET",
                                      .target = question.path,
                                      .headers = {{"host", "localhost"}, {"connection", "close"}},
                                      .body = {},
                                      .timeout = kPeerPatience});
  out.answers = answer.has_value();
  if (answer && answer->status == 200 && answer->body.starts_with('{')) out.says = std::move(answer->body);
}

net::Task<std::vector<api::Peer>> RoleSource::ask_all(std::vector<Question> questions) {
  std::vector<api::Peer> out;
  for (const Question& each : questions) out.push_back({.name = each.name, .answers = false, .says = {}});
  net::Gate gate;
  for (std::size_t i = 0; i < questions.size(); ++i)
    runtime_.spawn(gate, "api.peer", ask(questions[i], out[i]));
  co_await runtime_.finish(gate);
  co_return out;
}

net::Task<std::vector<api::Peer>> RoleSource::web() {
  std::vector<Question> out;
  const host::Paths paths(state_);
  const bool serves = !config_.web.app.empty() || !config_.web.command.empty();
  for (std::uint32_t i = 1; serves && i <= config_.web.processes; ++i)
    out.push_back({"web-" + std::to_string(i), paths.web_socket(i), "/_headrace/ping"});
  co_return co_await ask_all(std::move(out));
}

net::Task<std::vector<api::Peer>> RoleSource::workers() {
  std::vector<Question> out;
  const host::Paths paths(state_);
  for (const PoolConfig& pool : config_.pools)
    out.push_back({"worker-" + pool.name, paths.worker_socket(pool.name), "/status"});
  co_return co_await ask_all(std::move(out));
}

}  // namespace hr
