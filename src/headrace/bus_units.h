// systemd's units as its manager tells them over D-Bus. Blocks; every call has a deadline.
#pragma once

#include "base/result.h"
#include "host/units.h"

#include <memory>

struct sd_bus;

namespace hr {

// Over the system's bus. kUnavailable: there is none.
Result<std::unique_ptr<host::Units>> open_bus_units();

// Over a connection, which is given away.
std::unique_ptr<host::Units> bus_units(sd_bus* bus);

}  // namespace hr
