#include "headrace/host_look.h"

#include "headrace/bus_units.h"
#include "host/apply.h"

#include <algorithm>

namespace hr {

host::Observation look_at_host(const HostGround& ground) {
  const auto bus = ground.live() ? open_bus_units() : fail(Errc::kUnavailable, "a folder has no bus");
  auto out = host::observe(ground.machine, *ground.tools, *ground.tree, bus ? bus->get() : nullptr);
  if (const auto plan = host::plan(*ground.tree, ground.files); plan && !plan->interrupted) {
    auto& others = out.other_files.emplace();
    for (const host::Change& each : plan->changes) others.push_back(each.path);
  }
  return out;
}

void add_queues(host::Observation& out, const ServicesSeen& services, Time now) {
  if (!services.queues) return;
  auto& queues = out.queues.emplace();
  for (const QueueRow& each : *services.queues) {
    host::QueueSeen seen{.name = each.counts.name,
                         .waiting = each.counts.visible,
                         .in_work = each.counts.in_flight,
                         .delayed = each.counts.delayed,
                         .dead = each.dead};
    if (each.oldest != 0) seen.oldest_s = std::max<std::int64_t>(0, (to_ms(now) - each.oldest) / 1'000);
    queues.push_back(std::move(seen));
  }
}

}  // namespace hr
