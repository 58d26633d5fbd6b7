#include "headrace/doctor_services.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>

namespace hr {
namespace {

// SQS itself delays a message by up to a quarter of an hour; its age counts from when it was sent.
constexpr Duration kWaitMax = std::chrono::minutes(30);
constexpr Duration kAheadMax = 2s;
// Amazon has the next ones at least that long before the old ones end.
constexpr Duration kKeysMin = std::chrono::minutes(5);

Hop clock_hop(const ServiceSeen& service) {
  Hop out{.name = fmt::format("the clocks of this host and of {} agree", service.name),
          .wrong = {},
          .mend = "chronyc sources -v",
          .why = "a request that is signed minutes off is refused"};
  if (!service.ahead) {
    out.wrong = fmt::format("{}: {}", service.endpoint, service.ahead.error().message);
    out.mend = "systemctl status headrace-store; headrace queues";
  } else if (std::chrono::abs(*service.ahead) > kAheadMax) {
    out.wrong = fmt::format("this one is {:.1f} s {}",
                            static_cast<double>(std::chrono::abs(*service.ahead).count()) / 1'000,
                            *service.ahead > Duration(0) ? "ahead" : "behind");
  }
  return out;
}

Hop keys_hop(const KeysSeen& keys, Time now) {
  Hop out{
      .name = fmt::format("the credentials for Amazon that {} finds are there and last", keys.user),
      .wrong = keys.error,
      .mend = "look at the instance's role, or at the environment of the units; then: headrace keys amazon",
      .why = "without them, or when they end, no request is taken"};
  if (!keys.error.empty()) return out;
  if (!keys.expires && keys.temporary) {
    out.wrong = fmt::format("those of {} are temporary, and nothing says until when", keys.source);
  } else if (keys.expires && *keys.expires - now < kKeysMin) {
    const auto left = std::chrono::floor<std::chrono::seconds>(*keys.expires - now).count();
    out.wrong = left < 0
                    ? fmt::format("those of {} ended {} s ago", keys.source, -left)
                    : fmt::format("those of {} end in {} s, and there are no newer ones", keys.source, left);
  }
  return out;
}

Hop queue_hop(const std::string& name, const std::vector<QueueRow>& rows, Time now) {
  Hop out{.name = fmt::format("nothing waits in queue {} for longer than {} min", name,
                              std::chrono::floor<std::chrono::minutes>(kWaitMax).count()),
          .wrong = {},
          .mend = "headrace workers; headrace queues " + name,
          .why = "tasks come too late, and are lost when the queue's retention ends"};
  const auto row = std::ranges::find(rows, name, [](const QueueRow& each) { return each.counts.name; });
  if (row == rows.end()) {
    out.wrong = "there is no such queue";
    out.mend = "systemctl status 'headrace-worker@*'; headrace host cloudformation makes those of Amazon";
    return out;
  }
  const Duration age = now - from_ms(row->oldest_untouched);
  if (row->oldest_untouched == 0 || age <= kWaitMax) return out;
  out.wrong = fmt::format("the oldest of {} waits for {} min{}", row->counts.visible,
                          std::chrono::floor<std::chrono::minutes>(age).count(),
                          row->paused ? "; the queue is paused" : "");
  if (row->paused) out.mend = "headrace resume " + name;
  return out;
}

}  // namespace

std::vector<Hop> service_hops(const Config& config, const ServicesSeen& seen, Time now) {
  std::vector<Hop> out;
  out.push_back({.name = "SQS and S3 take this host's keys",
                 .wrong = seen.queues ? "" : seen.queues.error().message,
                 .mend = "headrace queues; journalctl -b -u headrace-store",
                 .why = "nothing can be sent, and nothing stored"});
  for (const KeysSeen& each : seen.keys) out.push_back(keys_hop(each, now));
  for (const ServiceSeen& each : seen.services) out.push_back(clock_hop(each));
  if (!seen.queues) return out;
  std::set<std::string> queues;
  for (const PoolConfig& pool : config.pools) queues.insert(pool.queues.begin(), pool.queues.end());
  for (const std::string& each : queues) out.push_back(queue_hop(each, *seen.queues, now));
  return out;
}

}  // namespace hr
