// What headrace.toml makes of a whole host, as one value: nodes with their units, users, sockets, order and
// limits, and the flows between them. Every rendered file, plan, check and diagram is a function of it. Pure.
#pragma once

#include "base/result.h"
#include "codec/config.h"
#include "host/topology.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

// What the host has, looked up once by whoever asks for its files.
struct HostFacts {
  std::array<int, 3> nginx = {1, 22, 0};
  std::array<int, 3> openssl = {3, 0, 0};  // the one nginx uses
  int systemd = 252;
  bool ec2 = false;
  bool ubuntu = false;  // rsyslog gives its rights away there; another pool of clocks
  std::string program = "/usr/bin/headrace";
  std::string config_digest = {};  // of the configuration's text and the program's version
  std::string config_text = {};    // itself: roles read a copy, which changes with the other files
};

enum class Kind : std::uint8_t {
  kOutside,   // the Internet
  kFirewall,  // nftables
  kLog,       // rsyslog
  kTime,      // chrony
  kPolicy,    // polkit
  kStore,
  kNginx,
  kApi,
  kWeb,
  kWorker,
};

struct Node {
  std::string name;  // "web-1"
  Kind kind = Kind::kOutside;
  std::string unit = {};  // "headrace-web@1.service"; empty: systemd does not run it
  std::string user = {};
  std::vector<Socket> sockets = {};     // that it listens on
  std::vector<std::string> after = {};  // names of nodes that are ready first
  std::vector<std::string> command = {};
  Duration stop_limit = 30s;
  std::uint64_t memory_bytes = 0;  // of the whole unit; 0: no limit
  std::uint32_t cpu_percent = 0;   // of one processor, of the whole unit; 0: no limit
  bool user_code = false;
  Network network = Network::kInternet;
};

// Who speaks to whom, and over what.
struct Flow {
  std::string from, to;  // names of nodes
  std::string over;      // "443", "/run/headrace/web-1.sock", "order"
  bool operator==(const Flow&) const = default;
};

struct Machine {
  Config config;
  HostFacts facts;
  std::string app_user = {};
  HostPort http = {}, https = {};
  bool any_address = true;       // http and https are on every address, IPv6 too
  std::vector<Node> nodes = {};  // in starting order
  std::vector<Flow> flows = {};  // in the nodes' order

  const Node* find(std::string_view name) const;
  std::vector<const Node*> of(Kind kind) const;
  bool has_store() const { return host::has_store(config); }
  // Who gets the host's own credentials from the metadata service, beside root: none where a store is all.
  std::vector<std::string> credentialed() const;
  bool has_web() const { return !of(Kind::kWeb).empty(); }
  bool keeps_time() const { return config.host.time != "off"; }
};

// Files and folders of the host that more than one part knows.
inline constexpr std::string_view kSharedGroup = "headrace", kLogSocket = "/run/headrace/log";
inline constexpr std::string_view kEtc = "/etc/headrace", kLogFolder = "/var/log/headrace";
inline constexpr std::string_view kAppliedConfig = "/etc/headrace/applied.toml";
// At the end of that copy: where paths of the configuration begin, since it may lie elsewhere.
inline constexpr std::string_view kPathsBegin = "# relative paths begin at ";
std::string role_config(const Machine& machine);  // the configuration that roles read
std::string certificate_of(const Machine& machine);
std::string certificate_key_of(const Machine& machine);

// kInvalid: "FILE:LINE:COLUMN: KEY: ..." for a value that a host cannot take; kUnsupported: services of AWS.
Result<Machine> machine_of(const Config& config, const HostFacts& facts);

}  // namespace hr::host
