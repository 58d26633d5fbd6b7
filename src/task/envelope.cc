#include "task/envelope.h"

#include "codec/digest.h"
#include "codec/json.h"
#include "task/json_slices.h"
#include "task/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::task {
namespace {

constexpr std::size_t kTaskNameBytesMax = 255;

Status check_version(const JsonSlices& in) {
  const auto version = in.integer("headrace");
  if (!version || !*version) return fail(Errc::kInvalid, "not an envelope: \"headrace\" is missing");
  if (**version != 1) {
    return fail(Errc::kUnsupported, fmt::format("envelope version {} is not known here", **version));
  }
  HR_ASSIGN(const auto once, in.boolean("once"));
  if (once.value_or(false)) return fail(Errc::kUnsupported, "\"once\" is not supported by this version");
  if (in.raw("flow").value_or("null") != "null") {
    return fail(Errc::kUnsupported, "flows are not supported by this version");
  }
  return {};
}

Result<Bytes> container(const JsonSlices& in, ByteView name, char bracket, ByteView otherwise) {
  const ByteView raw = in.raw(name).value_or("null");
  if (raw == "null") return Bytes(otherwise);
  if (!raw.starts_with(bracket)) {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" must be {}", name, bracket == '[' ? "an array" : "an object"));
  }
  return Bytes(raw);
}

Result<std::optional<BodyRef>> body_ref(const JsonSlices& in) {
  const ByteView raw = in.raw("body").value_or("null");
  if (raw == "null") return std::nullopt;
  HR_ASSIGN(const auto ref, JsonSlices::read(raw));
  HR_ASSIGN(const auto key, ref.text("key"));
  HR_ASSIGN(const auto size, ref.integer("size"));
  HR_ASSIGN(const auto sha256, ref.text("sha256"));
  if (!key || !key->starts_with("body/") || !valid_job_id(ByteView(*key).substr(5))) {
    return fail(Errc::kInvalid, "\"body.key\" must be body/ and a job's id");
  }
  if (!size || *size < 0 || static_cast<std::uint64_t>(*size) > kBodyBytesMax) {
    return fail(Errc::kInvalid, fmt::format("\"body.size\" must be 0 to {}", kBodyBytesMax));
  }
  if (!sha256 || sha256->size() != 64) return fail(Errc::kInvalid, "\"body.sha256\" must be 64 digits");
  return BodyRef{.key = *key, .size = static_cast<std::uint64_t>(*size), .sha256 = *sha256};
}

// W3C Trace Context, 3.2: version 00, an id of 16 bytes and one of 8, neither all zeros, and a byte of flags,
// in lower-case hexadecimal. What is not that is nobody's business to hand on.
bool is_traceparent(ByteView text) {
  constexpr std::size_t kTraceDigits = 32, kSpanDigits = 16, kFlagsDigits = 2;
  if (!text.starts_with("00-")) return false;
  text.remove_prefix(3);
  for (const std::size_t digits : {kTraceDigits, kSpanDigits, kFlagsDigits}) {
    const ByteView field = text.substr(0, digits);
    if (field.size() != digits || field.find_first_not_of("0123456789abcdef") != ByteView::npos) return false;
    if (digits != kFlagsDigits && field.find_first_not_of('0') == ByteView::npos) return false;
    text.remove_prefix(digits);
    if (digits == kFlagsDigits) break;
    if (!text.starts_with('-')) return false;
    text.remove_prefix(1);
  }
  return text.empty();
}

Status read_trace(const JsonSlices& in, Envelope& out) {
  const ByteView raw = in.raw("trace").value_or("null");
  if (raw == "null") return {};
  HR_ASSIGN(const auto trace, JsonSlices::read(raw));
  HR_ASSIGN(auto id, trace.text("request_id"));
  HR_ASSIGN(auto parent, trace.text("traceparent"));
  out.request_id = std::move(id).value_or(Bytes());
  if (parent && is_traceparent(*parent)) out.traceparent = std::move(*parent);
  return {};
}

Result<Envelope> envelope_of(const JsonSlices& in) {
  HR_TRY(check_version(in));
  Envelope out;
  HR_ASSIGN(auto id, in.text("id"));
  if (!id || !valid_job_id(*id)) {
    return fail(Errc::kInvalid, "\"id\" must be 1 to 128 of A-Z a-z 0-9 . _ : -");
  }
  out.id = std::move(*id);
  HR_ASSIGN(auto name, in.text("task"));
  if (!name || name->empty() || name->size() > kTaskNameBytesMax) {
    return fail(Errc::kInvalid, "\"task\" must be a name of 1 to 255 bytes");
  }
  out.task = std::move(*name);
  HR_ASSIGN(out.args, container(in, "args", '[', "[]"));
  HR_ASSIGN(out.kwargs, container(in, "kwargs", '{', "{}"));
  HR_ASSIGN(const auto sent, in.integer("sent"));
  HR_ASSIGN(const auto not_before, in.integer("not_before"));
  HR_ASSIGN(const auto expires, in.integer("expires"));
  out.sent = sent.value_or(0);
  out.not_before = not_before.value_or(0);
  out.expires = expires.value_or(0);
  HR_ASSIGN(const auto keep, in.boolean("keep_result"));
  out.keep_result = keep.value_or(true);
  HR_ASSIGN(const auto attempt, in.integer("attempt"));
  out.attempt = static_cast<std::uint32_t>(std::clamp<std::int64_t>(attempt.value_or(0), 0, 1'000'000'000));
  HR_TRY(read_trace(in, out));
  HR_ASSIGN(out.body, body_ref(in));
  return out;
}

void time_or_null(codec::JsonWriter& out, ByteView name, std::int64_t ms) {
  out.key(name);
  if (ms == 0) {
    out.null();
  } else {
    out.integer(ms);
  }
}

}  // namespace

Result<Envelope> parse_envelope(ByteView text) {
  HR_ASSIGN(const auto in, JsonSlices::read(text));
  return envelope_of(in);
}

Bytes write_envelope(const Envelope& envelope) {
  Bytes text;
  codec::JsonWriter out(text);
  out.begin_object().field("headrace", 1).field("id", envelope.id).field("task", envelope.task);
  out.key("args").raw(envelope.body ? ByteView("null") : ByteView(envelope.args));
  out.key("kwargs").raw(envelope.body ? ByteView("null") : ByteView(envelope.kwargs));
  out.field("sent", envelope.sent);
  time_or_null(out, "not_before", envelope.not_before);
  time_or_null(out, "expires", envelope.expires);
  out.field("attempt", std::int64_t{envelope.attempt})
      .field("keep_result", envelope.keep_result)
      .field("once", false);
  out.key("flow").null();
  out.key("trace").begin_object().field("request_id", envelope.request_id);
  if (!envelope.traceparent.empty()) out.field("traceparent", envelope.traceparent);
  out.end_object();
  out.key("body");
  if (envelope.body) {
    out.begin_object().field("key", envelope.body->key);
    out.field("size", static_cast<std::int64_t>(envelope.body->size));
    out.field("sha256", envelope.body->sha256).end_object();
  } else {
    out.null();
  }
  out.end_object();
  return text;
}

Result<Arguments> parse_body(ByteView object, const BodyRef& expected) {
  if (object.size() != expected.size || codec::sha256_hex(object) != expected.sha256) {
    return fail(Errc::kCorrupt, fmt::format("{} is not the body that was announced", expected.key));
  }
  HR_ASSIGN(const auto in, JsonSlices::read(object));
  Arguments out;
  HR_ASSIGN(out.args, container(in, "args", '[', "[]"));
  HR_ASSIGN(out.kwargs, container(in, "kwargs", '{', "{}"));
  return out;
}

Bytes job_id_of_unreadable(ByteView body, ByteView message_id) {
  if (const auto in = JsonSlices::read(body)) {
    const auto id = in->text("id");
    if (id && *id && valid_job_id(**id)) return **id;
  }
  return name_uuid(Bytes(message_id) + "#0").text();
}

Result<std::vector<Job>> read_notification(const JsonSlices& in, ByteView message_id);

Result<MessageJobs> read_message(ByteView body, ByteView message_id) {
  HR_ASSIGN(const auto in, JsonSlices::read(body));
  if (const auto event = in.text("Event"); event && *event == "s3:TestEvent") return MessageJobs{};
  if (in.raw("Records")) {
    HR_ASSIGN(auto jobs, read_notification(in, message_id));
    return MessageJobs{std::move(jobs)};
  }
  HR_ASSIGN(auto call, envelope_of(in));
  MessageJobs out;
  out.jobs.push_back({.call = std::move(call), .event = {}, .configuration = {}, .dead_body = {}});
  return out;
}

}  // namespace hr::task
