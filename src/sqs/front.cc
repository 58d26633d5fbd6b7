#include "sqs/front.h"

#include "codec/digest.h"
#include "codec/header_field.h"
#include "codec/sigv4.h"
#include "codec/uri.h"
#include "sqs/names.h"
#include "wire/sqs_answer.h"
#include "wire/sqs_members.h"
#include "wire/sqs_parse.h"

#include <fmt/format.h>

#include <charconv>

namespace hr::sqs {
namespace {

using wire::sqs::Action;
using wire::sqs::ErrorCode;
using wire::sqs::refuse;

constexpr std::string_view kTargetPrefix = "AmazonSQS.";
constexpr std::string_view kVersion = "2012-11-05";
constexpr std::string_view kBatchHeader = "x-headrace-batch-max";
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";
// 10 entries with 10 attributes of 3 members each, and some; 50 tags are 100.
constexpr codec::PairLimits kFormLimits{.bytes_max = wire::sqs::kRequestBytesMax, .pairs_max = 1'024};

ErrorCode code_of(codec::AuthErrc code) {
  using enum codec::AuthErrc;
  switch (code) {
    case kMissing:
      return ErrorCode::kMissingAuthenticationToken;
    case kAmbiguous:
    case kMalformed:
    case kUnsupported:
    case kExpiryTooLong:
      return ErrorCode::kIncompleteSignature;
    case kUnknownKey:
    case kTokenMissing:
    case kTokenInvalid:
      return ErrorCode::kInvalidClientTokenId;
    case kSkewed:
    case kExpired:
    case kNotYetValid:
      return ErrorCode::kRequestExpired;
    case kBadSignature:
    case kWrongScope:
    case kHeadersNotSigned:
    case kPayloadHash:
      return ErrorCode::kSignatureDoesNotMatch;
  }
  return ErrorCode::kIncompleteSignature;
}

Outcome<codec::Pairs> read_pairs(Result<codec::Pairs> pairs) {
  if (!pairs) return refuse(ErrorCode::kInvalidQueryParameter, pairs.error().message);
  return std::move(*pairs);
}

std::unexpected<wire::sqs::Error> no_such_action(ByteView action) {
  return refuse(ErrorCode::kInvalidAction,
                fmt::format("The action {} is not valid for this endpoint.", action.substr(0, 128)));
}

// How many entries and messages a client wants to be allowed; none: it did not say.
Outcome<std::optional<std::size_t>> batch_max(const net::RequestHead& head) {
  const auto said = head.headers.find(kBatchHeader);
  if (!said) return std::nullopt;
  std::size_t most = 0;
  const auto [end, error] = std::from_chars(said->data(), said->data() + said->size(), most);
  if (error != std::errc() || end != said->data() + said->size() || most < wire::sqs::kBatchEntriesMax ||
      most > wire::sqs::kLargeBatchMax) {
    return refuse(ErrorCode::kInvalidParameterValue,
                  fmt::format("{} is a number from {} to {}.", kBatchHeader, wire::sqs::kBatchEntriesMax,
                              wire::sqs::kLargeBatchMax));
  }
  return most;
}

wire::sqs::Error body_error(const Error& error) {
  if (error.code == Errc::kLimit) {
    return {ErrorCode::kRequestEntityTooLarge,
            fmt::format("The request must be at most {} bytes.", wire::sqs::kRequestBytesMax)};
  }
  return {ErrorCode::kInvalidQueryParameter, "The request's body did not arrive in full."};
}

}  // namespace

SqsFront::SqsFront(Parts parts)
    : clock_(parts.clock),
      authenticator_(parts.keys, std::move(parts.trusted), "sqs", parts.region),
      service_({.store = parts.store,
                .entropy = parts.entropy,
                .seal = ReceiptSeal(std::move(parts.receipt_key)),
                .region = parts.region,
                .strict = parts.strict,
                .diary = parts.diary}),
      counts_{} {}

net::Task<net::Response> SqsFront::handle(net::RequestHead& head, net::RequestBody& body) {
  Exchange exchange{
      .head = head, .path = {}, .query = {}, .body = {}, .caller = {}, .action = {}, .batch_max = {}};
  if (head.headers.find("x-amz-target")) exchange.protocol = Protocol::kJson;
  auto bytes = co_await body.read_all(wire::sqs::kRequestBytesMax);
  if (!bytes) {
    auto response = answer(exchange, std::unexpected(body_error(bytes.error())));
    response.close = true;  // the rest of the body is still to come
    co_return response;
  }
  exchange.body = std::move(*bytes);
  exchange.caller.body = &body;
  if (ByteView(head.target).starts_with(kPeekPath)) co_return peek(exchange);
  auto request = admit(exchange);
  if (exchange.action) exchange.caller.action = *exchange.action;
  if (!request) co_return answer(exchange, std::unexpected(std::move(request).error()));
  const auto answered = co_await service_.call(exchange.caller, *request);
  co_return answer(exchange, answered);
}

net::Response SqsFront::peek(Exchange& exchange) {
  const auto accept = exchange.head.headers.find("accept").value_or("");
  if (accept.find("json") != accept.npos) exchange.protocol = Protocol::kJson;
  const auto request = parse_peek(exchange);
  if (!request) return answer(exchange, std::unexpected(request.error()));
  exchange.caller.action = Action::kReceiveMessage;  // whose rights it needs
  auto peeked = service_.peek(exchange.caller, *request);
  if (!peeked) return answer(exchange, std::unexpected(peeked.error()));
  exchange.action = Action::kReceiveMessage;  // and whose form the answer has
  auto response = answer(exchange, wire::sqs::Answer(std::move(peeked->answer)));
  if (peeked->next) response.headers.add("x-headrace-next", std::to_string(*peeked->next));
  return response;
}

Outcome<PeekRequest> SqsFront::parse_peek(Exchange& exchange) {
  HR_TRY(begin(exchange));
  if (exchange.path != kPeekPath || exchange.head.method != "GET") {
    return refuse(ErrorCode::kInvalidAction, fmt::format("Messages are looked at with GET {}.", kPeekPath));
  }
  HR_ASSIGN(const auto parameters, read_pairs(codec::parse_query(exchange.query)));
  PeekRequest request;
  const auto flag = [&](ByteView name, bool& value) -> Outcome<void> {
    const Bytes* text = codec::find(parameters, name);
    if (text == nullptr) return {};
    if (*text != "true" && *text != "false")
      return wire::sqs::invalid_value(*text, name, "It is true or false.");
    value = *text == "true";
    return {};
  };
  const auto number = [&](ByteView name, std::int64_t least, std::int64_t most,
                          std::int64_t otherwise) -> Outcome<std::int64_t> {
    const Bytes* text = codec::find(parameters, name);
    if (text == nullptr) return otherwise;
    const auto value = wire::sqs::parse_integer(*text);
    if (value && *value >= least && *value <= most) return *value;
    return wire::sqs::invalid_value(*text, name, fmt::format("It is a number from {} to {}.", least, most));
  };
  HR_TRY(flag("ShowInvisible", request.leased));
  HR_TRY(flag("ShowDelayed", request.delayed));
  HR_ASSIGN(const auto max, number("MaxResults", 1, 1'000, 100));
  HR_ASSIGN(const auto after, number("After", 0, INT64_MAX, 0));
  request.max = static_cast<std::size_t>(max);
  request.after = queue::Seq{static_cast<std::uint64_t>(after)};
  const Bytes* url = codec::find(parameters, "QueueUrl");
  if (url == nullptr || url->empty()) return wire::sqs::missing("QueueUrl");
  request.queue_url = *url;
  return request;
}

// Everything that comes before the action itself.
Outcome<wire::sqs::Request> SqsFront::admit(Exchange& exchange) {
  HR_TRY(begin(exchange));
  return parse(exchange);
}

// Who asks, and by which address.
Outcome<void> SqsFront::begin(Exchange& exchange) {
  const auto target = codec::split_target(exchange.head.target);
  if (!target) return refuse(ErrorCode::kInvalidQueryParameter, target.error().message);
  exchange.path = target->path;
  exchange.query = target->query;
  exchange.caller.base_url = base_url(exchange.head.headers.find("host").value_or(""));
  exchange.caller.dedup_id = exchange.head.headers.find("x-headrace-dedup-id").value_or("");
  if (exchange.caller.dedup_id.size() > wire::sqs::kGroupIdBytesMax) {
    return refuse(ErrorCode::kInvalidParameterValue, "x-headrace-dedup-id has at most 128 bytes.");
  }
  HR_ASSIGN(exchange.batch_max, batch_max(exchange.head));
  HR_ASSIGN(exchange.caller.identity, authenticate(exchange));
  const auto& peer = exchange.head.peer;
  exchange.caller.source_ip = peer.unix_socket ? ByteView() : ByteView(peer.address);
  exchange.caller.user_agent = exchange.head.headers.find("user-agent").value_or("");
  return {};
}

Outcome<wire::Identity> SqsFront::authenticate(const Exchange& exchange) {
  std::vector<codec::HeaderField> headers;
  headers.reserve(exchange.head.headers.size());
  for (const auto& header : exchange.head.headers) headers.push_back({header.name, header.value});
  const Bytes digest = codec::sha256_hex(exchange.body);
  const codec::SignedRequest request{.method = exchange.head.method,
                                     .path = exchange.path,
                                     .query = exchange.query,
                                     .headers = headers,
                                     .body_sha256 = digest};
  const auto& peer = exchange.head.peer;
  const auto uid = peer.unix_socket ? std::optional(peer.uid) : std::nullopt;
  auto authenticated = authenticator_.authenticate(request, uid, clock_.wall());
  if (!authenticated) {
    auto& refused = authenticated.error();
    return refuse(code_of(refused.code), std::move(refused.message));
  }
  return std::move(authenticated->identity);
}

Outcome<wire::sqs::Request> SqsFront::parse(Exchange& exchange) {
  const auto& head = exchange.head;
  if (exchange.protocol == Protocol::kQuery) return parse_query(exchange);
  ByteView target = head.headers.find("x-amz-target").value_or("");
  if (head.method != "POST" || head.headers.count("x-amz-target") != 1 ||
      !target.starts_with(kTargetPrefix)) {
    return no_such_action(target);
  }
  target.remove_prefix(kTargetPrefix.size());
  exchange.action = wire::sqs::parse_action(target);
  if (!exchange.action) return no_such_action(target);
  return wire::sqs::parse_json_request(*exchange.action, exchange.body,
                                       exchange.batch_max.value_or(wire::sqs::kBatchEntriesMax));
}

// Parameters stand in the query, or in a form, or in both.
Outcome<wire::sqs::Request> SqsFront::parse_query(Exchange& exchange) {
  const auto& head = exchange.head;
  if (head.method != "GET" && head.method != "POST") {
    return refuse(ErrorCode::kInvalidAction,
                  fmt::format("The method {} is not valid for this endpoint.", head.method));
  }
  HR_ASSIGN(auto parameters, read_pairs(codec::parse_query(exchange.query)));
  if (head.method == "POST" && head.headers.find("content-type").value_or("").starts_with(kFormType)) {
    HR_ASSIGN(auto form, read_pairs(codec::parse_form(exchange.body, kFormLimits)));
    parameters.insert(parameters.end(), std::make_move_iterator(form.begin()),
                      std::make_move_iterator(form.end()));
  }
  const Bytes* action = codec::find(parameters, "Action");
  if (action == nullptr)
    return refuse(ErrorCode::kMissingAction, "The request must contain the parameter Action.");
  exchange.action = wire::sqs::parse_action(*action);
  if (!exchange.action) return no_such_action(*action);
  const Bytes* version = codec::find(parameters, "Version");
  if (version != nullptr && *version != kVersion) {
    return refuse(ErrorCode::kNoSuchVersion,
                  fmt::format("The requested version ( {} ) of service AmazonSQS does not exist",
                              ByteView(*version).substr(0, 64)));
  }
  exchange.caller.path = exchange.path;
  return wire::sqs::parse_query_request(*exchange.action, parameters);
}

net::Response SqsFront::answer(const Exchange& exchange, const Outcome<wire::sqs::Answer>& answered) {
  auto& count = counts_[exchange.action ? static_cast<std::size_t>(*exchange.action) : wire::sqs::kActions];
  ++count.requests;
  const bool json = exchange.protocol == Protocol::kJson;
  net::Response response;
  response.headers.add("Content-Type", json ? "application/x-amz-json-1.0" : "text/xml");
  response.headers.add("x-amzn-RequestId", exchange.head.request_id);
  if (exchange.batch_max) {
    response.headers.add(std::string(kBatchHeader), std::to_string(wire::sqs::kLargeBatchMax));
  }
  if (answered) {
    response.body = json ? to_json(*answered) : to_xml(*exchange.action, *answered, exchange.head.request_id);
    return response;
  }
  ++count.errors;
  const auto& error = answered.error();
  response.status = form_of(error.code).status;
  if (json) response.headers.add("x-amzn-query-error", query_error_header(error));
  response.body = json ? to_json(error) : to_xml(error, exchange.head.request_id);
  return response;
}

std::vector<std::pair<std::string_view, ActionCount>> SqsFront::counters() const {
  std::vector<std::pair<std::string_view, ActionCount>> out;
  for (std::size_t i = 0; i < wire::sqs::kActions; ++i) {
    out.emplace_back(wire::sqs::to_string(static_cast<Action>(i)), counts_[i]);
  }
  out.emplace_back("Unknown", counts_[wire::sqs::kActions]);
  return out;
}

}  // namespace hr::sqs
