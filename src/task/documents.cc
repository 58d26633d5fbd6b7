#include "task/documents.h"

#include "codec/json.h"
#include "codec/utf8.h"
#include "task/json_slices.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace hr::task {
namespace {

constexpr std::array<std::string_view, 3> kStates = {"retrying", "started", "dead"};
constexpr std::array<std::string_view, 3> kJobStates = {"done", "dead", "cancelled"};

Bytes shortened(const Bytes& text) {
  if (text.size() <= kTracebackBytesMax) return text;
  const ByteView all = text;
  return fmt::format("{}\n[... {} bytes left out ...]\n{}", all.substr(0, kTracebackBytesMax / 4),
                     text.size() - kTracebackBytesMax, all.substr(all.size() - kTracebackBytesMax / 4 * 3));
}

void write_error(codec::JsonWriter& out, ByteView name, const TaskError& error) {
  out.key(name);
  if (error.empty()) {
    out.null();
    return;
  }
  out.begin_object().field("type", error.type).field("message", shortened(error.message));
  out.field("traceback", shortened(error.traceback));
  if (!error.log.empty()) out.field("log", shortened(error.log));
  out.end_object();
}

Result<std::uint32_t> count(const JsonSlices& in, ByteView name) {
  HR_ASSIGN(const auto value, in.integer(name));
  if (!value || *value < 0 || *value > 1'000'000'000) {
    return fail(Errc::kInvalid, fmt::format("\"{}\" must be a count", name));
  }
  return static_cast<std::uint32_t>(*value);
}

Result<TaskError> read_error(const JsonSlices& in, ByteView name) {
  const ByteView raw = in.raw(name).value_or("null");
  if (raw == "null") return TaskError{};
  HR_ASSIGN(const auto members, JsonSlices::read(raw));
  TaskError out;
  for (const auto& [key, into] : {std::pair("type", &out.type), std::pair("message", &out.message),
                                  std::pair("traceback", &out.traceback), std::pair("log", &out.log)}) {
    HR_ASSIGN(auto value, members.text(key));
    *into = std::move(value).value_or(Bytes());
  }
  return out;
}

}  // namespace

Bytes error_text(const TaskError& error) {
  Bytes out = codec::repaired_utf8(error.type + ": " + error.message);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  for (const ByteView bad : {ByteView("\xEF\xBF\xBE"), ByteView("\xEF\xBF\xBF")}) {  // U+FFFE, U+FFFF
    for (auto at = out.find(bad); at != out.npos; at = out.find(bad)) out.replace(at, 3, "?");
  }
  if (out.size() > kErrorTextBytesMax) {
    out.resize(codec::valid_utf8_prefix(ByteView(out).substr(0, kErrorTextBytesMax)));
  }
  return out;
}

Bytes write_mark(const Mark& mark) {
  Bytes text;
  codec::JsonWriter out(text);
  out.begin_object().field("v", 1).field("id", mark.id);
  out.field("receives", std::int64_t{mark.receives}).field("attempts", std::int64_t{mark.attempts});
  out.field("crashes", std::int64_t{mark.crashes}).field("releases", std::int64_t{mark.releases});
  out.field("not_before", mark.not_before);
  write_error(out, "last_error", mark.last_error);
  out.field("state", kStates[static_cast<std::size_t>(mark.state)]);
  if (!mark.reason.empty()) out.field("reason", mark.reason);
  out.end_object();
  return text;
}

Result<Mark> parse_mark(ByteView text) {
  HR_ASSIGN(const auto in, JsonSlices::read(text));
  Mark out;
  HR_ASSIGN(const auto version, in.integer("v"));
  if (version.value_or(0) != 1) return fail(Errc::kUnsupported, "a mark of another version");
  HR_ASSIGN(auto id, in.text("id"));
  out.id = std::move(id).value_or(Bytes());
  HR_ASSIGN(out.receives, count(in, "receives"));
  HR_ASSIGN(out.attempts, count(in, "attempts"));
  HR_ASSIGN(out.crashes, count(in, "crashes"));
  HR_ASSIGN(out.releases, count(in, "releases"));
  HR_ASSIGN(const auto not_before, in.integer("not_before"));
  out.not_before = not_before.value_or(0);
  HR_ASSIGN(out.last_error, read_error(in, "last_error"));
  HR_ASSIGN(auto reason, in.text("reason"));
  out.reason = std::move(reason).value_or(Bytes());
  HR_ASSIGN(const auto state, in.text("state"));
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    if (state == kStates[i]) {
      out.state = static_cast<MarkState>(i);
      return out;
    }
  }
  return fail(Errc::kInvalid, "\"state\" of a mark is not known");
}

Bytes write_result(const JobResult& result) {
  Bytes text;
  codec::JsonWriter out(text);
  out.begin_object().field("v", 1).field("id", result.id).field("task", result.task);
  out.field("queue", result.queue).field("state", kJobStates[static_cast<std::size_t>(result.state)]);
  out.key("result").raw(result.state == JobState::kDone ? ByteView(result.result) : ByteView("null"));
  write_error(out, "error", result.error);
  out.field("attempts", std::int64_t{result.attempts}).field("sent", result.sent);
  out.field("started", result.started).field("ended", result.ended);
  out.field("request_id", result.request_id).field("host", result.host).field("worker", result.worker);
  out.end_object();
  return text;
}

Bytes write_later(const Later& later) {
  Bytes text;
  codec::JsonWriter out(text);
  out.begin_object().field("v", 1).field("queue", later.queue).field("due", later.due);
  if (later.claimed != 0) out.field("claimed", later.claimed).field("by", later.by);
  out.field("message", later.message).end_object();
  return text;
}

Result<Later> parse_later(ByteView text) {
  HR_ASSIGN(const auto in, JsonSlices::read(text));
  HR_ASSIGN(auto queue, in.text("queue"));
  HR_ASSIGN(auto message, in.text("message"));
  HR_ASSIGN(const auto due, in.integer("due"));
  if (!queue || !message || !due) {
    return fail(Errc::kInvalid, "\"queue\", \"message\" and \"due\" must be there");
  }
  HR_ASSIGN(const auto claimed, in.integer("claimed"));
  HR_ASSIGN(auto by, in.text("by"));
  return Later{.queue = std::move(*queue),
               .message = std::move(*message),
               .due = *due,
               .claimed = claimed.value_or(0),
               .by = std::move(by).value_or(Bytes())};
}

}  // namespace hr::task
