#include "worker/child_protocol.h"

#include "codec/json.h"
#include "task/json_slices.h"
#include "task/names.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

namespace hr::worker {
namespace {

using task::JsonSlices;

constexpr std::size_t kLengthBytes = 4;

Status take(const JsonSlices& in, ByteView name, Bytes& into) {
  HR_ASSIGN(auto value, in.text(name));
  if (value) into = std::move(*value);
  return {};
}

Status required(const JsonSlices& in, ByteView name, Bytes& into) {
  HR_TRY(take(in, name, into));
  if (into.empty()) return fail(Errc::kInvalid, fmt::format("\"{}\" is missing", name));
  return {};
}

Result<std::optional<Duration>> seconds(const JsonSlices& in, ByteView name) {
  HR_ASSIGN(const auto value, in.number(name));
  if (!value) return std::nullopt;
  constexpr double kMax = 1e9;
  if (!(*value >= 0) || *value > kMax) {
    return fail(Errc::kInvalid, fmt::format("\"{}\" must be a number of seconds", name));
  }
  return Duration(std::llround(*value * 1000));
}

Result<Nanos> took(const JsonSlices& in) {
  HR_ASSIGN(const auto value, in.number("seconds"));
  if (!value) return Nanos{};
  if (!(*value >= 0) || *value > 1e6) return fail(Errc::kInvalid, "\"seconds\" must be a time");
  return Nanos(std::llround(*value * 1e9));
}

Result<std::vector<ByteView>> list(const JsonSlices& in, ByteView name) {
  const ByteView raw = in.raw(name).value_or("null");
  if (raw == "null") return std::vector<ByteView>{};
  return task::read_array(raw, {.members_max = kTasksMax});
}

Result<TaskSpec> read_task(ByteView text) {
  HR_ASSIGN(const auto in, JsonSlices::read(text));
  TaskSpec out;
  HR_TRY(required(in, "name", out.name));
  HR_TRY(take(in, "queue", out.queue));
  HR_ASSIGN(const auto retries, in.integer("retries"));
  if (retries && (*retries < 0 || *retries > 10'000)) {
    return fail(Errc::kInvalid, fmt::format("task {}: retries must be 0 to 10,000", out.name));
  }
  if (retries) out.retry.retries = static_cast<std::uint32_t>(*retries);
  HR_ASSIGN(const auto backoff, seconds(in, "backoff"));
  HR_ASSIGN(const auto cap, seconds(in, "backoff_cap"));
  HR_ASSIGN(const auto timeout, seconds(in, "timeout"));
  HR_ASSIGN(const auto keep, in.boolean("keep_result"));
  HR_ASSIGN(const auto async, in.boolean("async"));
  out.async = async.value_or(false);
  out.retry.backoff = backoff.value_or(out.retry.backoff);
  out.retry.backoff_cap = cap.value_or(out.retry.backoff_cap);
  out.timeout = timeout.value_or(kTimeoutMax);
  out.keep_result = keep.value_or(true);
  if (out.timeout > kTimeoutMax || out.timeout <= 0ms) {
    return fail(Errc::kInvalid,
                fmt::format("task {}: timeout must be more than 0 and at most 11 h 30 min, since SQS ends a "
                            "message's lease after 12 h",
                            out.name));
  }
  HR_ASSIGN(const auto aliases, list(in, "aliases"));
  for (const ByteView alias : aliases) {
    HR_ASSIGN(const auto value, codec::parse_json(alias));
    if (value.as_string() == nullptr) return fail(Errc::kInvalid, "\"aliases\" must be names");
    out.aliases.push_back(*value.as_string());
  }
  return out;
}

Result<TriggerSpec> read_trigger(ByteView text) {
  HR_ASSIGN(const auto in, JsonSlices::read(text));
  TriggerSpec out;
  HR_TRY(required(in, "task", out.task));
  HR_TRY(required(in, "event", out.event));
  HR_TRY(required(in, "bucket", out.bucket));
  HR_TRY(take(in, "prefix", out.prefix));
  HR_TRY(take(in, "suffix", out.suffix));
  HR_TRY(take(in, "queue", out.queue));
  if (out.queue.empty()) out.queue = task::trigger_queue(out.task);
  return out;
}

Result<ConsumerSpec> read_consumer(ByteView text) {
  HR_ASSIGN(const auto in, JsonSlices::read(text));
  ConsumerSpec out;
  HR_TRY(required(in, "task", out.task));
  HR_TRY(required(in, "queue", out.queue));
  return out;
}

Status check_consumers(const Ready& ready) {
  std::set<ByteView> taken;
  for (const TriggerSpec& trigger : ready.triggers) taken.insert(trigger.queue);
  for (const ConsumerSpec& consumer : ready.consumers) {
    if (taken.insert(consumer.queue).second) continue;
    return fail(
        Errc::kInvalid,
        fmt::format("the queue {} of the consumer {} has another consumer or trigger; a message has one",
                    consumer.queue, consumer.task));
  }
  return {};
}

Result<ChildMessage> read_ready(const JsonSlices& in) {
  Ready out;
  HR_TRY(required(in, "version", out.version));
  HR_TRY(take(in, "python", out.python));
  HR_ASSIGN(const auto tasks, list(in, "tasks"));
  for (const ByteView text : tasks) {
    HR_ASSIGN(auto task, read_task(text));
    out.tasks.push_back(std::move(task));
  }
  HR_ASSIGN(const auto triggers, list(in, "triggers"));
  for (const ByteView text : triggers) {
    HR_ASSIGN(auto trigger, read_trigger(text));
    out.triggers.push_back(std::move(trigger));
  }
  HR_ASSIGN(const auto consumers, list(in, "consumers"));
  for (const ByteView text : consumers) {
    HR_ASSIGN(auto consumer, read_consumer(text));
    out.consumers.push_back(std::move(consumer));
  }
  HR_TRY(check_consumers(out));
  return out;
}

Result<ChildMessage> read_failed_start(const JsonSlices& in) {
  FailedStart out;
  HR_TRY(take(in, "message", out.message));
  HR_TRY(take(in, "file", out.file));
  HR_TRY(take(in, "traceback", out.traceback));
  HR_ASSIGN(const auto line, in.integer("line"));
  out.line = line.value_or(0);
  return out;
}

Result<ChildMessage> read_done(const JsonSlices& in) {
  Done out;
  HR_TRY(required(in, "id", out.id));
  out.result = in.raw("result").value_or("null");
  HR_ASSIGN(out.took, took(in));
  return out;
}

Result<ChildMessage> read_failed(const JsonSlices& in) {
  Failed out;
  HR_TRY(required(in, "id", out.id));
  HR_TRY(take(in, "type", out.error.type));
  HR_TRY(take(in, "message", out.error.message));
  HR_TRY(take(in, "traceback", out.error.traceback));
  HR_ASSIGN(const auto retry, in.boolean("retry"));
  out.retry = retry.value_or(true);
  HR_ASSIGN(const auto late, in.boolean("late"));
  out.late = late.value_or(false);
  HR_ASSIGN(const auto tired, in.boolean("tired"));
  out.tired = tired.value_or(false);
  HR_ASSIGN(out.delay, seconds(in, "delay"));
  HR_ASSIGN(out.took, took(in));
  return out;
}

Result<ChildMessage> read_log(const JsonSlices& in) {
  LogLine out;
  HR_TRY(take(in, "id", out.id));
  HR_TRY(take(in, "level", out.level));
  HR_TRY(take(in, "logger", out.logger));
  HR_TRY(take(in, "message", out.message));
  return out;
}

}  // namespace

Result<ChildMessage> parse_child_message(ByteView frame) {
  HR_ASSIGN(const auto in, JsonSlices::read(frame, {.bytes_max = kFrameBytesMax}));
  Bytes op;
  HR_TRY(required(in, "op", op));
  if (op == "ready") return read_ready(in);
  if (op == "failed_start") return read_failed_start(in);
  if (op == "done") return read_done(in);
  if (op == "failed") return read_failed(in);
  if (op == "log") return read_log(in);
  return fail(Errc::kInvalid, fmt::format("a child says \"{}\", which is not known", op));
}

Bytes write_run(const RunCall& call) {
  constexpr std::size_t kUsualBytes = 384;  // of all but these
  Bytes text;
  text.reserve(kUsualBytes + call.args.size() + call.kwargs.size() + call.event.size());
  codec::JsonWriter out(text);
  out.begin_object().field("op", "run").field("n", static_cast<std::int64_t>(call.ordinal));
  out.field("id", call.id).field("task", call.task);
  out.key("args").raw(call.args).key("kwargs").raw(call.kwargs);
  out.key("event").raw(call.event.empty() ? "null" : call.event);
  out.field("attempt", std::int64_t{call.attempt});
  out.key("timeout").number(static_cast<double>(call.timeout.count()) / 1000);
  out.field("keep_result", call.keep_result).field("queue", call.queue);
  out.field("request_id", call.request_id);
  if (!call.traceparent.empty()) out.field("traceparent", call.traceparent);
  out.end_object();
  return text;
}

Bytes write_stop() { return R"({"op":"stop"})"; }

Bytes write_cancel(const Bytes& job) {
  Bytes text;
  codec::JsonWriter(text).begin_object().field("op", "cancel").field("id", job).end_object();
  return text;
}

Bytes write_log_level(Severity least) {
  Bytes text;
  const ByteView name = least >= Severity::kDebug     ? "DEBUG"
                        : least >= Severity::kNotice  ? "INFO"
                        : least == Severity::kWarning ? "WARNING"
                                                      : "ERROR";
  codec::JsonWriter(text).begin_object().field("op", "log_level").field("level", name).end_object();
  return text;
}

void append_frame(Bytes& out, ByteView frame) {
  Writer(out).u32(static_cast<std::uint32_t>(frame.size()));
  out.append(frame);
}

Result<std::optional<ByteView>> take_frame(ByteView buffer, std::size_t& at) {
  const ByteView rest = buffer.substr(at);
  if (rest.size() < kLengthBytes) return std::nullopt;
  const std::size_t bytes = Reader(rest).u32();
  if (bytes > kFrameBytesMax) {
    return fail(Errc::kLimit, fmt::format("a frame of {} bytes; at most {}", bytes, kFrameBytesMax));
  }
  if (rest.size() - kLengthBytes < bytes) return std::nullopt;
  at += kLengthBytes + bytes;
  return rest.substr(kLengthBytes, bytes);
}

}  // namespace hr::worker
