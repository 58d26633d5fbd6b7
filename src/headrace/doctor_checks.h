// What `headrace doctor` looks at without sending anything: files, permissions, certificate, disk, kernel,
// clock, firewall, polkit. Each finding says what was seen, why it matters, and the command that mends it.
#pragma once

#include "headrace/host_canary.h"
#include "headrace/host_ground.h"
#include "host/observe.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr {

std::vector<Hop> file_checks(const HostGround& ground);     // files, certificate, keys, sockets, folders
std::vector<Hop> machine_checks(const HostGround& ground);  // disks and the kernel's limits
std::vector<Hop> service_checks(const HostGround& ground, const host::Observation& seen);

// What `chronyc -c tracking` says of the clock: "" where it is right. `source`: the id that it must follow,
// empty for any but itself. Pure.
std::string clock_wrong(std::string_view tracking, std::string_view source);

// Whether something that answers a synced write within `median` can be a disk. Pure.
bool too_fast_for_a_disk(Nanos median);

}  // namespace hr
