#include "headrace/host_services.h"

#include "codec/time_text.h"
#include "remote/host_outside.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
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

}  // namespace

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
    out.keys = remote::find_keys(*remote::make_host_outside(), settings.services.aws);
  return out;
}

Duration clock_ahead(Time before, Time after, Time date) {
  if (before >= date + 1s) return before - (date + 1s);
  return std::min(after - date, Duration(0));
}

}  // namespace hr
