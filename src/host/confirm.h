// An apply that must be confirmed: what is written down until somebody says that the host still lets them in,
// and when it is taken back otherwise. Time is an argument; a boot has an id, since its clock begins again.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "host/apply.h"
#include "host/tree.h"

#include <optional>
#include <string>

namespace hr::host {

struct Waiting {
  Duration window = 0s;  // how long somebody has, from the moment the host was found to work
  std::string boot;      // in which it was written
  Nanos deadline{};      // of the boot's clock
  bool works = false;    // every hop has answered: it may be confirmed
  bool operator==(const Waiting&) const = default;
};

// Synced before the first file of the host is changed, and again when the host works.
Status write_waiting(const Tree& host, const Waiting& waiting);
// None: nothing waits. kCorrupt: what is written cannot be read.
Result<std::optional<Waiting>> read_waiting(const Tree& host);
Status remove_waiting(const Tree& host);

// How much is left at `now` of boot `boot`, at least 0: a boot that did not see the apply begins the window
// anew when it starts to watch, at `watching_since`.
Duration left_of(const Waiting& waiting, const std::string& boot, Nanos watching_since, Nanos now);

// Confirms: first there is no more that would be taken back, then the apply is settled. kNotFound: nothing
// waits; kInvalid: the apply that waits was interrupted before it was known to work.
Status confirm(const Tree& host, const Reached& reached);

}  // namespace hr::host
