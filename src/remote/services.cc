#include "remote/services.h"

#include "codec/digest.h"
#include "codec/json.h"
#include "codec/xml.h"
#include "os/linux/linux.h"
#include "remote/credentials.h"
#include "remote/host_outside.h"
#include "remote/refusal.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace hr::remote {
namespace {

constexpr Duration kBusyBase = 500ms, kBrokenBase = 50ms, kPauseMax = 20s;
constexpr int kRepeatsMax = 4;

// Which are HTTP 400 or 403 here and there.
constexpr ByteView kThrottleCodes[] = {"Throttling",
                                       "ThrottlingException",
                                       "ThrottledException",
                                       "RequestThrottledException",
                                       "RequestThrottled",
                                       "TooManyRequestsException",
                                       "RequestLimitExceeded",
                                       "BandwidthLimitExceeded",
                                       "LimitExceededException",
                                       "SlowDown",
                                       "PriorRequestNotComplete",
                                       "EC2ThrottledException",
                                       "KmsThrottled",
                                       "KMS.ThrottlingException",
                                       "ServiceUnavailable"};

}  // namespace

FaultKind fault_kind(int status, ByteView code) {
  if (code == "OverLimit") return FaultKind::kOverLimit;
  if (status == 429 || std::ranges::find(kThrottleCodes, code) != std::end(kThrottleCodes)) {
    return FaultKind::kThrottled;
  }
  if (code == "OperationAborted" || code == "ConditionalRequestConflict") return FaultKind::kServer;  // 409
  if (status >= 500 || status == 408 || code == "RequestTimeout" || code == "RequestTimeoutException") {
    return FaultKind::kServer;
  }
  if (status == 404 || code == "QueueDoesNotExist") return FaultKind::kMissing;
  if (status == 409 || status == 412 || code == "QueueNameExists") return FaultKind::kConflict;
  return FaultKind::kRefused;
}

Bytes Fault::text() const {
  if (code.empty()) return message;
  return message.empty() ? code : fmt::format("{}: {}", code, message);
}

Fault fault_of_sqs(const codec::Response& response) {
  Fault out{.kind = {}, .status = response.status, .code = {}, .message = {}};
  if (const auto body = codec::parse_json(response.body)) {
    if (const auto* type = body->find("__type"); type != nullptr && type->as_string() != nullptr) {
      out.code = type->as_string()->substr(type->as_string()->find('#') + 1);
    }
    for (const ByteView name : {"message", "Message"}) {
      if (const auto* text = body->find(name); text != nullptr && text->as_string() != nullptr) {
        out.message = *text->as_string();
      }
    }
  }
  if (out.code.empty()) out.code = fmt::format("HTTP {}", response.status);
  out.kind = fault_kind(out.status, out.code);
  return out;
}

Fault fault_of_s3(const codec::Response& response) {
  Fault out{.kind = {}, .status = response.status, .code = {}, .message = {}};
  if (const auto body = response.body.empty() ? fail(Errc::kInvalid, "") : codec::parse_xml(response.body)) {
    if (const Bytes* code = body->child_text("Code")) out.code = *code;
    if (const Bytes* message = body->child_text("Message")) out.message = *message;
  }
  if (out.code.empty()) out.code = fmt::format("HTTP {}", response.status);
  out.kind = fault_kind(out.status, out.code);
  return out;
}

Fault fault_of_error(const Error& error, bool cancelled) {
  Fault out{.kind = FaultKind::kServer, .status = 0, .code = {}, .message = error.message};
  if (cancelled) {
    out.kind = FaultKind::kCancelled;
  } else if (error.code == Errc::kTimeout) {
    out.kind = FaultKind::kTimeout;
  } else if (error.code == Errc::kUnavailable || error.code == Errc::kClosed) {
    out.kind = FaultKind::kUnreachable;
  }
  return out;
}

Services::Services(net::Runtime& runtime, const os::Clock& clock, ServicesSetup setup, hr::Log log)
    : runtime_(runtime),
      clock_(clock),
      setup_(std::move(setup)),
      log_(log),
      sqs_http_(runtime, clock, setup_.sqs.endpoint, setup_.aws.authorities),
      random_(static_cast<std::uint32_t>(os::make_entropy()->u64())) {
  if (setup_.s3.endpoint != setup_.sqs.endpoint) {
    s3_http_ = std::make_unique<HttpClient>(runtime, clock, setup_.s3.endpoint, setup_.aws.authorities);
  }
  if (!setup_.sqs.searched && !setup_.s3.searched) return;
  const auto search = [outside = std::shared_ptr<Outside>(make_host_outside(setup_.aws.authorities)),
                       aws = setup_.aws] { return find_keys(*outside, aws); };
  keys_ = std::make_unique<KeySource>(
      runtime, search,
      [this](const KeySource::Heard& heard) {
        if (heard.failed) {
          log_.warning("credentials_failed", {{"reason", heard.text}});
        } else {
          log_.info("credentials_found", {{"source", heard.text}});
        }
      },
      static_cast<std::uint32_t>(random_()));
}

Services::~Services() = default;

net::Task<Result<codec::Credentials>> Services::credentials_for(const ServicePlace& place, Duration timeout) {
  if (!place.searched) co_return place.credentials;
  co_return co_await keys_->get(now(), timeout);
}

net::Task<Answer<codec::Response>> Services::call(Request request, CallOptions options, Cancel* cancel) {
  const Nanos deadline = clock_.boottime() + options.timeout;
  for (int repeats = 0;; ++repeats) {
    if (const Status turn = co_await wait_for_turn(request, deadline); !turn) {
      co_return std::unexpected(Fault{FaultKind::kThrottled, 0, "", turn.error().message});
    }
    options.timeout = std::max(1ms, std::chrono::duration_cast<Duration>(deadline - clock_.boottime()));
    auto answer = co_await mended(request, options, cancel);
    if (cancel != nullptr && cancel->asked()) co_return answer;
    const auto pause_for = pause_before_repeat(request, answer, repeats);
    if (!pause_for || clock_.boottime() + *pause_for >= deadline) co_return answer;
    ++counts_.repeated;
    co_await pause(*pause_for);
  }
}

net::Task<void> Services::pause(Duration time) {
  boost::asio::steady_timer timer(runtime_.context(), time);
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

net::Task<Status> Services::wait_for_turn(const Request& request, Nanos deadline) {
  const Nanos here = clock_.boottime();
  Pacer& pacer = effort_of(request).pacer;
  if (request.pace == Pace::kNone) {
    pacer.sent(here);
    co_return Status();
  }
  const auto turn = pacer.reserve(here, deadline);
  if (!turn) co_return fail(Errc::kBusy, "not sent: the service takes no more requests than it gets");
  if (*turn > here) co_await pause(std::chrono::ceil<Duration>(*turn - here));
  co_return Status();
}

std::optional<Duration> Services::pause_before_repeat(const Request& request,
                                                      const Answer<codec::Response>& answer, int repeats) {
  Effort& effort = effort_of(request);
  FaultKind kind = FaultKind::kRefused;
  if (!answer) {
    kind = answer.error().kind;
  } else if (answer->status >= 400) {
    kind = fault_kind(answer->status, error_code(request.service, *answer));
  }
  const bool throttled = kind == FaultKind::kThrottled;
  counts_.throttled += throttled ? 1 : 0;
  if (answer) effort.pacer.answered(throttled, clock_.boottime());
  if (answer && answer->status < 400) {
    effort.budget.give(repeats == 0 ? RetryBudget::kSuccess : RetryBudget::kRepeat);
    return std::nullopt;
  }
  const bool broken =
      kind == FaultKind::kUnreachable || kind == FaultKind::kTimeout || kind == FaultKind::kServer;
  const bool may =
      (throttled && request.repeat != Repeat::kNever) || (broken && request.repeat == Repeat::kAlways);
  const int cost = kind == FaultKind::kTimeout ? RetryBudget::kAfterTimeout : RetryBudget::kRepeat;
  if (!may || repeats >= kRepeatsMax || !effort.budget.take(cost)) return std::nullopt;
  return backoff(throttled ? kBusyBase : kBrokenBase, repeats, kPauseMax, random_());
}

net::Task<Answer<codec::Response>> Services::mended(const Request& request, const CallOptions& options,
                                                    Cancel* cancel) {
  const ServicePlace& place = request.service == "s3" ? setup_.s3 : setup_.sqs;
  for (bool again = true;; again = false) {
    const auto credentials = co_await credentials_for(place, options.timeout);
    if (!credentials) {
      Fault fault = fault_of_error(credentials.error(), false);
      if (fault.kind == FaultKind::kServer)
        fault.kind = FaultKind::kUnreachable;  // the next search may find some
      co_return std::unexpected(std::move(fault));
    }
    const Time signed_at = now();
    (request.service == "s3" ? counts_.s3 : counts_.sqs) += 1;
    auto answer = co_await attempt(request, options, cancel, *credentials);
    if (!answer || !again || answer->status < 400 || !learn(request, *answer, *credentials, signed_at)) {
      co_return answer;
    }
  }
}

// Such a request was refused before anything was done: it may be sent again, whatever it is.
bool Services::learn(const Request& request, const codec::Response& response, const codec::Credentials& used,
                     Time signed_at) {
  const bool s3 = request.service == "s3";
  const Bytes code = error_code(request.service, response);
  if ((s3 ? setup_.s3 : setup_.sqs).searched && is_expired_key(code)) {
    keys_->refused(used, now());
    return true;
  }
  const auto skew = skew_of(response, code, signed_at, clock_.wall());
  if (!skew) return false;
  // Said once for each clock that is wrong, and again when it moved.
  if (std::chrono::abs(*skew - skew_) >= kSkewMin) {
    log_.error("clock_wrong",
               {{"off_by_s", std::chrono::duration_cast<std::chrono::seconds>(-*skew).count()},
                {"mend", std::string_view("set this host's clock; requests are signed with the "
                                          "service's time meanwhile")}});
  }
  skew_ = *skew;
  if (keys_) keys_->clock_moved(now());
  return true;
}

net::Task<Answer<codec::Response>> Services::attempt(const Request& request, const CallOptions& options,
                                                     Cancel* cancel, const codec::Credentials& credentials) {
  const bool s3 = request.service == "s3";
  HttpClient& http = s3 && s3_http_ ? *s3_http_ : sqs_http_;
  const Bytes query = codec::write_pairs(request.query);
  const Bytes hash = codec::sha256_hex(request.body);
  codec::Pairs headers = request.headers;
  headers.emplace_back("host", http.endpoint().host_header);
  std::vector<codec::HeaderField> fields;
  for (const auto& [name, value] : headers) fields.push_back({.name = name, .value = value});
  const auto signature = codec::sign(request.method, request.path, query, fields, credentials,
                                     {.service = request.service,
                                      .region = s3 ? setup_.s3.region : setup_.sqs.region,
                                      .now = now(),
                                      .payload_hash = hash});
  if (!signature) co_return std::unexpected(Fault{FaultKind::kRefused, 0, "", signature.error().message});
  headers.insert(headers.end(), signature->add.begin(), signature->add.end());
  // Unsigned: it names the request and decides nothing.
  if (!options.request_id.empty()) headers.emplace_back("x-request-id", options.request_id);
  HttpCall call{.method = request.method,
                .target = query.empty() ? request.path : request.path + "?" + query,
                .headers = std::move(headers),
                .body = request.body,
                .timeout = options.timeout};
  auto answer = co_await http.call(std::move(call), cancel);
  if (!answer) {
    co_return std::unexpected(fault_of_error(answer.error(), cancel != nullptr && cancel->asked()));
  }
  co_return std::move(*answer);
}

}  // namespace hr::remote
