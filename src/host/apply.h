// A host's files brought from what is there to what the configuration says, and back: plan, apply, rollback.
// Everything that a killed run leaves is either not used yet or written down in a journal; the next run, of
// either direction, ends where an undisturbed one would have ended. One run at a time (the caller holds the
// lock).
#pragma once

#include "base/result.h"
#include "host/render/file.h"
#include "host/tree.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

// Where a run keeps what it must remember: root's own.
inline constexpr std::string_view kKept = "/var/lib/headrace/host";

struct Change {
  enum class Kind : std::uint8_t { kAdd, kChange, kRemove };
  std::string path;
  Kind kind = Kind::kAdd;
  std::string before = {}, after = {};  // texts
  bool by_hand = false;                 // what is there is not what the last apply wrote
  bool operator==(const Change&) const = default;
};

struct Plan {
  std::vector<Change> changes;  // in the order of their paths
  bool interrupted = false;     // a run was killed in the middle
};

// What apply() would change. Reads only.
Result<Plan> plan(const Tree& host, const std::vector<File>& files);

// Called before each step that another run could find half done.
using Reached = std::function<void(std::string_view step)>;

// Writes the files, removes those of an earlier apply that are no more, and keeps what was there before. The
// journal stays until settle(): the caller reloads services and looks whether they work, then settles or
// rolls back.
Status apply(const Tree& host, const std::vector<File>& files, const Reached& reached);
Status settle(const Tree& host, const Reached& reached);

// Brings back what was there before the last apply, settled or not. kNotFound: there is nothing to bring
// back. The journal stays until forget(): the caller loads files again first, so that a run that is killed
// in between is done again whole.
Status rollback(const Tree& host, const Reached& reached);
Status forget(const Tree& host, const Reached& reached);

// What the last apply made different, settled or not; also while it, or its rollback, is half done: what has
// to be loaded again is known from what was written down, not from files that may be either: `after` is what
// is there now, the text before it where that is back already.
Result<std::vector<Change>> last_changes(const Tree& host);

std::string_view name_of(Change::Kind kind);

}  // namespace hr::host
