#include "host/topology.h"

#include <fmt/format.h>

#include <utility>

namespace hr::host {
namespace {

constexpr Duration kHandsBack = 10s;  // what a pool needs to give back the tasks it has stopped

Role store_role(const Config& config, const Place& place, const Paths& paths) {
  return {.name = "store",
          .command = {place.program, "store", "--config", config.file, "--path", paths.store(), "--listen",
                      address_text(place.store), "--socket", paths.store_socket()},
          .sockets = {{.name = "tcp", .path = "", .tcp = place.store},
                      {.name = "unix", .path = paths.store_socket()}}};
}

Role nginx_role(const Place& place, const Paths& paths) {
  return {
      .name = "nginx",
      .command = {place.nginx, "-e", "stderr", "-p", paths.nginx_folder() + "/", "-c", paths.nginx_file()},
      .sockets = {{.name = "http", .path = "", .tcp = place.http},
                  {.name = "https", .path = "", .tcp = place.https}},
      .after = {"store"},
      .readiness = Readiness::kAnswers,
      .ready_path = "/_headrace/nginx",
      .is_nginx = true,
      .stop_limit = 15s};
}

Role api_role(const Config& config, const Place& place, const Paths& paths) {
  return {.name = "api",
          .command = {place.program, "api", "--config", config.file},
          .sockets = {{.name = "unix", .path = paths.api_socket()}},
          .after = {"store"},
          .stop_limit = 15s};
}

// A command of the user's own gets the socket in the same way; whether it says that it is ready is up to it.
Role web_role(const Config& config, const Place& place, const Paths& paths, std::uint32_t instance) {
  Role role{
      .name = fmt::format("web-{}", instance),
      .command = {place.program, "web", "--config", config.file, "--instance", std::to_string(instance)},
      .folder = config.app.root,
      .sockets = {{.name = "unix", .path = paths.web_socket(instance)}},
      .after = {"store"},
      .stop_limit = config.web.timeout + 5s};
  if (!config.web.command.empty()) {
    role.command = config.web.command;
    role.readiness = Readiness::kAnswers;
    role.ready_path = "/";
  }
  return role;
}

}  // namespace

bool has_store(const Config& config) { return config.services.local_sqs || config.services.local_s3; }

std::vector<Role> topology_of(const Config& config, const Place& place) {
  const Paths paths(place.state);
  std::vector<Role> roles;
  if (has_store(config)) roles.push_back(store_role(config, place, paths));
  roles.push_back(nginx_role(place, paths));
  roles.push_back(api_role(config, place, paths));
  std::vector<std::string> level = {"nginx", "api"};
  if (!config.web.app.empty() || !config.web.command.empty()) {
    for (std::uint32_t instance = 1; instance <= config.web.processes; ++instance) {
      roles.push_back(web_role(config, place, paths, instance));
      level.push_back(roles.back().name);
    }
  }
  for (const PoolConfig& pool : config.pools) {
    roles.push_back({.name = "worker-" + pool.name,
                     .command = {place.program, "worker", "--config", config.file, "--pool", pool.name,
                                 "--drain", fmt::format("{}ms", pool.drain.count())},
                     .folder = config.app.root,
                     .after = level,
                     .stop_limit = pool.drain + kHandsBack});
  }
  if (!has_store(config))
    for (Role& role : roles) std::erase(role.after, "store");
  return roles;
}

}  // namespace hr::host
