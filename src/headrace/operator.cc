#include "headrace/operator.h"

#include "headrace/commands.h"
#include "headrace/log_sinks.h"
#include "headrace/log_text.h"
#include "host/topology.h"
#include "os/linux/linux.h"
#include "task/names.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace hr {
namespace {

constexpr Duration kPoolPatience = 5s;

}  // namespace

Operator::Operator(ClientSettings settings)
    : settings_(std::move(settings)),
      sink_(make_sink({.role = "operator", .to = LogTo::kTerminal})),
      clock_(os::make_clock(Time{})),
      runtime_(std::make_unique<net::Runtime>(1, hr::Log(*sink_))),
      source_(std::make_unique<RoleSource>(*runtime_, *clock_, settings_, hr::Log(*sink_))) {}

Operator::~Operator() = default;

Result<std::unique_ptr<Operator>> Operator::make(const ClientFlags& flags) {
  HR_ASSIGN(auto settings, find_services(flags));
  return std::unique_ptr<Operator>(new Operator(std::move(settings)));
}

Bytes Operator::bucket() const { return task::system_bucket(settings_.config.app.name); }

net::Task<void> Operator::end_with(net::Task<int> command, int& exit_code) {
  exit_code = co_await std::move(command);
  runtime_->stop();
}

int Operator::run(net::Task<int> command) {
  int exit_code = kExitFailed;
  net::Gate gate;
  runtime_->spawn(gate, "operator", end_with(std::move(command), exit_code));
  runtime_->run();
  return exit_code;
}

Result<std::vector<std::string>> Operator::pools(const std::string& only) const {
  std::vector<std::string> names;
  for (const PoolConfig& pool : settings_.config.pools) names.push_back(pool.name);
  if (only.empty()) return names;
  if (std::ranges::find(names, only) != names.end()) return std::vector{only};
  const std::string near = nearest(only, names);
  return fail(Errc::kNotFound, fmt::format("{}: there is no [worker.{}]{}", settings_.config.file, only,
                                           near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
}

net::Task<void> Operator::ask_one(PoolSays& out, std::string method, std::string target, std::string body) {
  const auto endpoint = remote::parse_endpoint("unix:" + out.socket);
  if (!endpoint) co_return;
  remote::HttpClient client(*runtime_, *clock_, *endpoint);
  auto answer = co_await client.call({.method = std::move(method),
                                      .target = std::move(target),
                                      .headers = {{"host", "localhost"}, {"connection", "close"}},
                                      .body = std::move(body),
                                      .timeout = kPoolPatience});
  out.answers = answer.has_value();
  if (!answer) {
    out.error = answer.error().message;
    co_return;
  }
  out.status = answer->status;
  if (auto json = codec::parse_json(answer->body, {.bytes_max = 16U << 20})) out.says = std::move(*json);
  if (out.status != 200) out.error = text_member(out.says, "error");
}

net::Task<std::vector<PoolSays>> Operator::ask(std::vector<std::string> pools, std::string method,
                                               std::string target, std::string body) {
  std::vector<PoolSays> out;
  const host::Paths paths(settings_.state);
  for (std::string& pool : pools) {
    const std::string socket = paths.worker_socket(pool);
    out.push_back({.pool = std::move(pool), .socket = socket, .says = {}, .error = {}});
  }
  net::Gate gate;
  for (PoolSays& each : out) runtime_->spawn(gate, "operator.ask", ask_one(each, method, target, body));
  co_await runtime_->finish(gate);
  co_return out;
}

int Operator::none_runs(const std::vector<PoolSays>& answers) const {
  if (answers.empty())
    return say_error(kExitUnavailable,
                     fmt::format("no worker runs here: {} has no [worker.NAME]", settings_.config.file));
  std::vector<std::string> sockets;
  for (const PoolSays& each : answers) sockets.push_back(each.socket);
  return say_error(kExitUnavailable,
                   fmt::format("no worker runs here: nobody answers at {}", fmt::join(sockets, ", ")));
}

// ---- small things

std::string text_member(const codec::Json& from, std::string_view name) {
  const codec::Json* member = from.find(name);
  return member != nullptr && member->as_string() != nullptr ? *member->as_string() : "";
}

std::int64_t number_member(const codec::Json& from, std::string_view name) {
  const codec::Json* member = from.find(name);
  return member != nullptr ? member->as_int().value_or(0) : 0;
}

const std::vector<codec::Json>& list_member(const codec::Json& from, std::string_view name) {
  static const std::vector<codec::Json> kNone;
  const codec::Json* member = from.find(name);
  return member != nullptr && member->as_array() != nullptr ? *member->as_array() : kNone;
}

void add_client_options(CLI::App& command, ClientFlags& flags) {
  command.add_option("--config", flags.config_file,
                     "Configuration file (default: headrace.toml of this folder or the nearest one above)");
  command.add_option("--endpoint", flags.endpoint, "Of the store: http://ADDRESS:PORT or unix:/PATH");
  command.add_option("--keys", flags.keys, "The store's keys.toml");
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  std::vector<std::vector<std::string>> shown;
  for (const auto& row : rows) {
    auto& cells = shown.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      cells.push_back(visible(row[i]));
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], cells.back().size());
    }
  }
  std::string out;
  for (const auto& row : shown) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i + 1 == row.size()) {
        out += row[i];
      } else {
        out += fmt::format("{:<{}}  ", row[i], widths[i]);
      }
    }
    out += '\n';
  }
  return out;
}

std::string ago(std::int64_t since_ms, Time now) {
  if (since_ms == 0) return "-";
  const std::int64_t seconds = std::max<std::int64_t>(0, (to_ms(now) - since_ms) / 1'000);
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 120 * 60) return fmt::format("{}m", seconds / 60);
  if (seconds < 48 * 3'600) return fmt::format("{}h", seconds / 3'600);
  return fmt::format("{}d", seconds / 86'400);
}

std::string size_text(std::int64_t bytes) { return fmt::format("{}M", bytes >> 20); }

int say_error(int exit_code, std::string_view message) {
  fmt::print(stderr, "headrace: {}\n", message);
  return exit_code;
}

}  // namespace hr
