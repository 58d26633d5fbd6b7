#include "host/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace hr::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Place place() {
  return {.state = "/srv/shop/.headrace",
          .program = "/usr/bin/headrace",
          .store = {.host = "127.0.0.1", .port = 9324, .loopback = true},
          .http = {.host = "127.0.0.1", .port = 8080, .loopback = true},
          .https = {.host = "::1", .port = 8443, .loopback = true}};
}

Config config(const std::string& text) { return *parse_config(text, "/srv/shop/headrace.toml"); }

std::vector<std::string> names(const std::vector<Role>& roles) {
  std::vector<std::string> out;
  for (const Role& role : roles) out.push_back(role.name);
  return out;
}

const Role& role(const std::vector<Role>& roles, const std::string& name) {
  return *std::ranges::find(roles, name, &Role::name);
}

TEST(Topology, every_role_comes_after_what_it_needs) {
  const auto roles = topology_of(config("[web]\napp = \"shop:app\"\n[worker.default]\nmodules = [\"shop\"]\n"
                                        "[worker.mail]\nmodules = [\"shop\"]\n"),
                                 place());
  EXPECT_THAT(names(roles),
              ElementsAre("store", "nginx", "api", "web-1", "web-2", "worker-default", "worker-mail"));
  EXPECT_THAT(role(roles, "store").after, IsEmpty());
  for (const char* middle : {"nginx", "api", "web-1", "web-2"})
    EXPECT_THAT(role(roles, middle).after, ElementsAre("store")) << middle;
  EXPECT_THAT(role(roles, "worker-mail").command,
              ElementsAre("/usr/bin/headrace", "worker", "--config", "/srv/shop/headrace.toml", "--pool",
                          "mail", "--drain", "30000ms"));
  EXPECT_THAT(role(roles, "worker-mail").after, ElementsAre("nginx", "api", "web-1", "web-2"));
}

TEST(Topology, without_an_application_and_pools_there_is_no_role_for_them) {
  EXPECT_THAT(names(topology_of(config(""), place())), ElementsAre("store", "nginx", "api"));
}

TEST(Topology, the_store_keeps_its_data_in_the_state_folder) {
  const auto roles = topology_of(config("[store]\npath = \"/elsewhere\"\n"), place());
  const Role& store = role(roles, "store");
  EXPECT_THAT(store.command, ElementsAre("/usr/bin/headrace", "store", "--config", "/srv/shop/headrace.toml",
                                         "--path", "/srv/shop/.headrace/store", "--listen", "127.0.0.1:9324",
                                         "--socket", "/srv/shop/.headrace/run/store.sock"));
  ASSERT_EQ(store.sockets.size(), 2U);
  EXPECT_EQ(store.sockets[0].name, "tcp");
  EXPECT_EQ(store.sockets[0].tcp.port, 9324);
  EXPECT_EQ(store.sockets[1].path, "/srv/shop/.headrace/run/store.sock");
}

TEST(Topology, another_server_gets_the_same_socket_and_is_asked) {
  const auto roles =
      topology_of(config("[web]\ncommand = [\"gunicorn\", \"shop:app\"]\nprocesses = 1\n"), place());
  const Role& web = role(roles, "web-1");
  EXPECT_THAT(web.command, ElementsAre("gunicorn", "shop:app"));
  EXPECT_EQ(web.sockets.at(0).path, "/srv/shop/.headrace/run/web-1.sock");
  EXPECT_EQ(web.readiness, Readiness::kAnswers);
  EXPECT_EQ(web.ready_path, "/");
}

TEST(Topology, an_application_worker_may_finish_its_longest_request) {
  const auto roles = topology_of(config("[web]\napp = \"shop:app\"\ntimeout = \"10m\"\n"), place());
  EXPECT_EQ(role(roles, "web-1").stop_limit, 605s);
}

TEST(Topology, a_pool_may_finish_its_longest_task) {
  const auto roles = topology_of(config("[worker.slow]\nmodules = [\"shop\"]\ndrain = \"2h\"\n"), place());
  EXPECT_EQ(role(roles, "worker-slow").stop_limit, 2h + 10s);
}

TEST(Topology, the_sockets_of_a_host_that_systemd_runs_are_in_run) {
  EXPECT_EQ(Paths(kHostState).api_socket(), "/run/headrace/api.sock");
  EXPECT_EQ(Paths("/srv/shop/.headrace").api_socket(), "/srv/shop/.headrace/run/api.sock");
}

TEST(Topology, with_both_services_of_aws_there_is_no_store_and_nobody_waits_for_one) {
  const auto roles = topology_of(
      config("[services]\nsqs = \"aws\"\ns3 = \"aws\"\n[worker.default]\nmodules = [\"shop\"]\n"), place());
  EXPECT_THAT(names(roles), ElementsAre("nginx", "api", "worker-default"));
  EXPECT_THAT(role(roles, "api").after, IsEmpty());
  EXPECT_THAT(role(roles, "worker-default").after, ElementsAre("nginx", "api"));
}

TEST(Topology, with_one_service_of_aws_the_store_serves_the_other) {
  const auto roles = topology_of(config("[services]\ns3 = \"aws\"\n"), place());
  EXPECT_THAT(names(roles), ElementsAre("store", "nginx", "api"));
  EXPECT_THAT(role(roles, "api").after, ElementsAre("store"));
}

}  // namespace
}  // namespace hr::host
