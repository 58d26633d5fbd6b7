#include "headrace/host_services.h"

#include "codec/json.h"
#include "codec/time_text.h"
#include "headrace/operator.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <pwd.h>
#include <sstream>
#include <utility>

namespace hr {
namespace {

constexpr Duration kPatience = 5s;

// Any answer has a Date, a refusal too: what is asked for does not matter.
remote::Services::Request question(bool sqs) {
  if (!sqs) return {.service = "s3", .method = "GET"};
  return {
      .service = "sqs",
      .method = "POST",
      .headers = {{"x-amz-target", "AmazonSQS.ListQueues"}, {"content-type", "application/x-amz-json-1.0"}},
      .body = R"({"MaxResults":1})"};
}

net::Task<Result<Duration>> ask_clock(Operator& here, bool sqs) {
  const Time before = here.now();
  const auto answer = co_await here.source().services().call(question(sqs), {.timeout = kPatience});
  const Time after = here.now();
  if (!answer) co_return fail(Errc::kUnavailable, answer.error().text());
  const Bytes* said = answer->header("date");
  if (said == nullptr) co_return fail(Errc::kInvalid, "its answer has no Date");
  const auto date = codec::parse_http_date(*said);
  if (!date) co_return std::unexpected(date.error());
  co_return clock_ahead(before, after, *date);
}

net::Task<int> ask_all(Operator& here, ServicesSeen& seen) {
  seen.queues = co_await queue_rows(here, {});
  const remote::ServicesSetup& setup = here.settings().services;
  for (const bool sqs : {true, false}) {
    const std::string& endpoint = (sqs ? setup.sqs : setup.s3).endpoint.text;
    const bool same = !sqs && setup.s3.endpoint.text == setup.sqs.endpoint.text;
    if (same) continue;
    auto ahead = co_await ask_clock(here, sqs);
    seen.services.push_back({.name = sqs ? "SQS" : "S3", .endpoint = endpoint, .ahead = std::move(ahead)});
  }
  co_return 0;
}

// The environment that systemd gives to a unit, as words; a value with a space would be quoted, and none of
// AWS's has one.
std::vector<std::string> unit_environment(const HostGround& ground, const std::string& unit) {
  std::vector<std::string> out;
  const auto said = ground.tools->run({"systemctl", "show", "--value", "--property=Environment", unit});
  if (!said || said->code != 0) return out;
  std::istringstream words(said->text);
  for (std::string word; words >> word;)
    if (word.contains('=') && !word.contains('"')) out.push_back(std::move(word));
  return out;
}

KeysSeen keys_of(const HostGround& ground, const std::string& user) {
  const auto node = std::ranges::find(ground.machine.nodes, user, &host::Node::user);
  std::vector<std::string> command = {"runuser", "-u", user, "--", "env", "-i", "PATH=/usr/bin:/bin"};
  const passwd* account = ::getpwnam(user.c_str());
  if (account != nullptr) command.push_back(fmt::format("HOME={}", account->pw_dir));
  std::ranges::move(unit_environment(ground, node->unit), std::back_inserter(command));
  const std::string config = host::role_config(ground.machine);
  command.insert(command.end(), {ground.machine.facts.program, "keys", "amazon", "--config", config});
  const auto said = ground.tools->run(command);
  if (!said) return {.user = user, .error = said.error().message};
  return parse_found_keys(user, said->code, said->text);
}

}  // namespace

std::string found_keys_text(const remote::Keys& keys) {
  std::string out;
  codec::JsonWriter json(out);
  json.begin_object()
      .field("source", keys.source)
      .field("temporary", !keys.credentials.session_token.empty())
      .field("expires", keys.expires ? to_ms(*keys.expires) : std::int64_t{0})
      .end_object();
  return out;
}

KeysSeen parse_found_keys(std::string user, int code, std::string_view said) {
  KeysSeen out{.user = std::move(user)};
  while (said.ends_with('\n')) said.remove_suffix(1);
  const auto json = codec::parse_json(said, {});
  if (code != 0 || !json) {
    if (said.starts_with("headrace: ")) said.remove_prefix(10);
    out.error = said;
    return out;
  }
  out.source = text_member(*json, "source");
  const codec::Json* temporary = json->find("temporary");
  out.temporary = temporary != nullptr && temporary->as_bool().value_or(false);
  if (const std::int64_t ends = number_member(*json, "expires"); ends != 0) out.expires = from_ms(ends);
  return out;
}

ClientFlags service_flags(const HostGround& ground) {
  const host::Paths paths(host::kHostState);
  ClientFlags out{.config_file = ground.machine.config.file, .endpoint = {}, .keys = {}};
  if (ground.machine.of(host::Kind::kStore).empty()) return out;
  out.endpoint = "unix:" + paths.store_socket();
  out.keys = paths.keys();
  return out;
}

ServicesSeen ask_services(const HostGround& ground) {
  ServicesSeen out;
  const auto here = Operator::make(service_flags(ground));
  if (!here) {
    out.queues = std::unexpected(here.error());
    return out;
  }
  (*here)->run(ask_all(**here, out));
  const ClientSettings& settings = (*here)->settings();
  if (settings.services.sqs.searched || settings.services.s3.searched)
    for (const std::string& user : ground.machine.credentialed()) out.keys.push_back(keys_of(ground, user));
  return out;
}

Duration clock_ahead(Time before, Time after, Time date) {
  if (before >= date + 1s) return before - (date + 1s);
  return std::min(after - date, Duration(0));
}

}  // namespace hr
