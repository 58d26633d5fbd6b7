// What each program thinks of the files made for it, before they are used: `nginx -t`, `nft -c`, `rsyslogd
// -N1`, `systemd-analyze verify` and `security`, ... A check writes into the scratch folder it is given,
// nowhere else.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"
#include "host/tools.h"
#include "host/tree.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

enum class Check : std::uint8_t {
  kUnits,     // every unit loads, with its drop-ins
  kExposure,  // no unit is more exposed than its limit
  kNginx,
  kLogging,
  kRotation,
  kTime,
  kFirewall,  // needs root
  kAccounts,
};

std::string_view name_of(Check check);

// Those that this machine's files call for.
std::vector<Check> checks_of(const Machine& machine);

// A certificate as nginx reads it, both in PEM; where the host's own are not there yet.
struct Stand {
  std::string certificate, key;
};

struct CheckGround {
  const Machine& machine;
  const std::vector<File>& files;  // of the host, as they would be
  const Tree& scratch;
  Tools& tools;
  Stand stand = {};
};

// What the tool says is wrong, "" for nothing. kNotFound: the tool is not installed; kPermission: it needs
// root.
Result<std::string> run_check(Check check, const CheckGround& ground);

// The most exposure that a unit may have, times ten, as `systemd-analyze security --threshold` takes it.
int exposure_limit(const Machine& machine, std::string_view unit);

}  // namespace hr::host
