#include "host/confirm.h"

#include "codec/json.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::host {
namespace {

const std::string kWaiting = std::string(kKept) + "/confirm.json";

}  // namespace

Status write_waiting(const Tree& host, const Waiting& waiting) {
  std::string text;
  codec::JsonWriter(text)
      .begin_object()
      .field("window_ms", static_cast<std::int64_t>(waiting.window.count()))
      .field("boot", waiting.boot)
      .field("deadline_ns", static_cast<std::int64_t>(waiting.deadline.count()))
      .field("works", waiting.works)
      .end_object();
  return host.write(kWaiting, text + "\n", 0600);
}

Result<std::optional<Waiting>> read_waiting(const Tree& host) {
  HR_ASSIGN(const auto seen, host.read(kWaiting));
  if (!seen) return std::optional<Waiting>();
  const auto json = codec::parse_json(seen->text);
  const auto number = [&](std::string_view name) -> std::optional<std::int64_t> {
    const codec::Json* value = json ? json->find(name) : nullptr;
    return value != nullptr ? value->as_int() : std::nullopt;
  };
  const codec::Json* boot = json ? json->find("boot") : nullptr;
  const codec::Json* works = json ? json->find("works") : nullptr;
  const auto window = number("window_ms"), deadline = number("deadline_ns");
  if (!window || !deadline || boot == nullptr || boot->as_string() == nullptr || works == nullptr)
    return fail(Errc::kCorrupt,
                kWaiting + ": is damaged; run `headrace host apply` or `headrace host rollback`");
  return std::optional(Waiting{.window = Duration(*window),
                               .boot = *boot->as_string(),
                               .deadline = Nanos(*deadline),
                               .works = works->as_bool().value_or(false)});
}

Status remove_waiting(const Tree& host) { return host.remove(kWaiting); }

Duration left_of(const Waiting& waiting, const std::string& boot, Nanos watching_since, Nanos now) {
  const Nanos deadline = waiting.boot == boot ? waiting.deadline : watching_since + waiting.window;
  return std::max(Duration(0), std::chrono::ceil<Duration>(deadline - now));
}

Status confirm(const Tree& host, const Reached& reached) {
  HR_ASSIGN(const auto waiting, read_waiting(host));
  if (!waiting) return fail(Errc::kNotFound, "no apply waits to be confirmed");
  if (!waiting->works)
    return fail(Errc::kInvalid, "the apply that waits was interrupted; run `headrace host apply` again");
  reached("nothing waits");
  HR_TRY(remove_waiting(host));
  return settle(host, reached);
}

}  // namespace hr::host
