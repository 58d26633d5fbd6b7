// What runs on a host, as a value computed from the configuration: roles, their sockets, order and paths.
// Declared once, here; the supervisor of `up` starts it, renderers write it as other programs' configuration.
// Pure: nothing is looked up and nothing is made.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "codec/config.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

// Where things are: what the configuration does not say.
struct Place {
  std::string state;    // the state folder, absolute
  std::string program;  // what `headrace ROLE` is started with
  std::string nginx = "nginx";
  HostPort store, http, https;  // with the ports they really have
};

// The state folder of a host that systemd runs: its sockets are in /run, as those of every service there.
inline constexpr std::string_view kHostState = "/var/lib/headrace", kHostRun = "/run/headrace";

// Every file of a state folder that more than one part knows.
struct Paths {
  explicit Paths(std::string_view state_folder) : state(state_folder) {}

  std::string run(std::string_view name) const {
    return (state == kHostState ? std::string(kHostRun) : state + "/run") + "/" + std::string(name);
  }
  std::string store() const { return state + "/store"; }
  std::string keys() const { return state + "/store/keys.toml"; }
  std::string store_socket() const { return run("store.sock"); }
  std::string api_socket() const { return run("api.sock"); }
  std::string web_socket(std::uint32_t instance) const {
    return run("web-" + std::to_string(instance) + ".sock");
  }
  std::string worker_socket(std::string_view pool) const {
    const std::string name = "worker-" + std::string(pool);
    return run(state == kHostState ? name + "/control.sock" : name + ".sock");
  }
  std::string certificate() const { return state + "/tls/cert.pem"; }
  std::string certificate_key() const { return state + "/tls/key.pem"; }
  std::string nginx_folder() const { return state + "/nginx"; }
  std::string nginx_file() const { return state + "/nginx/nginx.conf"; }
  std::string log() const { return state + "/log/headrace.log"; }
  std::string access_log() const { return state + "/log/access.jsonl"; }
  std::string client() const { return state + "/client.json"; }

  std::string state;
};

struct Socket {
  std::string name;  // as LISTEN_FDNAMES says it
  std::string path;  // of a unix socket; empty: TCP
  HostPort tcp = {};
};

enum class Readiness : std::uint8_t {
  kNotifies,  // it sends READY=1
  kAnswers,   // it answers HTTP on its first socket; what it sends counts too
};

struct Role {
  std::string name;  // "store", "nginx", "api", "web-1", "worker-default"
  std::vector<std::string> command;
  std::string folder = {};  // where it runs; empty: anywhere
  std::vector<Socket> sockets = {};
  std::vector<std::string> after = {};  // names of roles that are ready first
  Readiness readiness = Readiness::kNotifies;
  std::string ready_path = {};  // of the request that asks, where it answers
  bool is_nginx = false;        // takes its sockets by its own variable, and SIGQUIT to stop
  Duration stop_limit = 35s;
};

// Whether one of the two services is answered here.
bool has_store(const Config& config);

// In starting order: the store; nginx, the API, each application worker; each pool of workers. Without an
// application there are no application workers, without pools no workers, with services
// of AWS alone no store.
std::vector<Role> topology_of(const Config& config, const Place& place);

}  // namespace hr::host
