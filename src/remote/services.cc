#include "remote/services.h"

#include "codec/digest.h"
#include "codec/json.h"
#include "codec/xml.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace hr::remote {
namespace {

FaultKind kind_of(int status, ByteView code) {
  if (code.contains("Throttl") || code == "SlowDown" || code == "OverLimit" || status == 429) {
    return FaultKind::kThrottled;
  }
  if (status >= 500 || status == 408) return FaultKind::kServer;
  if (status == 404 || code == "QueueDoesNotExist") return FaultKind::kMissing;
  if (status == 409 || status == 412 || code == "QueueNameExists") return FaultKind::kConflict;
  return FaultKind::kRefused;
}

}  // namespace

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
  out.kind = kind_of(out.status, out.code);
  return out;
}

Fault fault_of_s3(const codec::Response& response) {
  Fault out{.kind = {}, .status = response.status, .code = {}, .message = {}};
  if (const auto body = response.body.empty() ? fail(Errc::kInvalid, "") : codec::parse_xml(response.body)) {
    if (const Bytes* code = body->child_text("Code")) out.code = *code;
    if (const Bytes* message = body->child_text("Message")) out.message = *message;
  }
  if (out.code.empty()) out.code = fmt::format("HTTP {}", response.status);
  out.kind = kind_of(out.status, out.code);
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

Services::Services(net::Runtime& runtime, const os::Clock& clock, Endpoint endpoint,
                   codec::Credentials credentials, std::string region)
    : runtime_(runtime),
      clock_(clock),
      http_(runtime, clock, std::move(endpoint)),
      credentials_(std::move(credentials)),
      region_(std::move(region)) {}

net::Task<Answer<codec::Response>> Services::call(Request request, CallOptions options, Cancel* cancel) {
  const Bytes query = codec::write_pairs(request.query);
  const Bytes hash = codec::sha256_hex(request.body);
  codec::Pairs headers = std::move(request.headers);
  headers.emplace_back("host", http_.endpoint().host_header);
  std::vector<codec::HeaderField> fields;
  for (const auto& [name, value] : headers) fields.push_back({.name = name, .value = value});
  const auto signature = codec::sign(
      request.method, request.path, query, fields, credentials_,
      {.service = request.service, .region = region_, .now = clock_.wall(), .payload_hash = hash});
  if (!signature) co_return std::unexpected(Fault{FaultKind::kRefused, 0, "", signature.error().message});
  headers.insert(headers.end(), signature->add.begin(), signature->add.end());
  // Unsigned: it names the request and decides nothing.
  if (!options.request_id.empty()) headers.emplace_back("x-request-id", options.request_id);
  HttpCall call{.method = std::move(request.method),
                .target = query.empty() ? request.path : request.path + "?" + query,
                .headers = std::move(headers),
                .body = std::move(request.body),
                .timeout = options.timeout};
  auto answer = co_await http_.call(std::move(call), cancel);
  if (!answer) {
    co_return std::unexpected(fault_of_error(answer.error(), cancel != nullptr && cancel->asked()));
  }
  co_return std::move(*answer);
}

}  // namespace hr::remote
