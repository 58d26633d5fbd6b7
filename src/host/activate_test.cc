#include "host/activate.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hr::host {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

Machine machine(bool firewall = true) {
  Config config = *parse_config("[web]\napp = \"a:b\"\n[worker.mail]\nmodules = [\"a\"]\n", "/h.toml");
  config.host.firewall = firewall;
  config.app.root = "/srv";
  return *machine_of(config, {});
}

std::vector<std::string> lines(const std::vector<Change>& changes,
                               const std::vector<std::string>& running = {}) {
  std::vector<std::string> out;
  for (const auto& command : activation_of(machine(), changes, running))
    out.push_back(fmt::format("{}", fmt::join(command, " ")));
  return out;
}

TEST(Activation, with_no_change_makes_sure_of_users_folders_and_the_target) {
  EXPECT_THAT(lines({}),
              ElementsAre("systemd-sysusers /etc/sysusers.d/headrace.conf",
                          "systemd-tmpfiles --create /etc/tmpfiles.d/headrace.conf",
                          "systemctl daemon-reload", "systemctl --no-block start headrace.target"));
}

TEST(Activation, another_nginx_configuration_is_loaded_again_and_nothing_is_restarted) {
  EXPECT_THAT(lines({{.path = "/etc/headrace/nginx.conf"}}),
              Contains("systemctl reload-or-restart nginx.service"));
  EXPECT_THAT(lines({{.path = "/etc/systemd/system/nginx.service.d/headrace.conf"},
                     {.path = "/etc/headrace/nginx.conf"}}),
              Contains("systemctl restart nginx.service"));
}

TEST(Activation, nginx_keeps_its_ports_open_where_systemd_takes_over_what_changed_in_its_unit) {
  const std::string path = "/etc/systemd/system/nginx.service.d/headrace.conf";
  const auto unit = [](std::string_view after, std::string_view stop, std::string_view files) {
    return fmt::format("[Unit]\nAfter={}\n[Service]\nTimeoutStopSec={}\nLimitNOFILE={}\n", after, stop,
                       files);
  };
  const std::vector<Change> changes = {{.path = path,
                                        .kind = Change::Kind::kChange,
                                        .before = unit("a", "40", "9"),
                                        .after = unit("b", "70", "9")},
                                       {.path = "/etc/headrace/nginx.conf"}};
  EXPECT_THAT(lines(changes), Contains("systemctl reload-or-restart nginx.service"));
  const std::vector<Change> more = {{.path = path,
                                     .kind = Change::Kind::kChange,
                                     .before = unit("a", "40", "9"),
                                     .after = unit("a", "40", "10")}};
  EXPECT_THAT(lines(more), Contains("systemctl restart nginx.service"));
  const std::vector<Change> back = {{.path = path,
                                     .kind = Change::Kind::kChange,
                                     .before = unit("a", "40", "9"),
                                     .after = unit("a", "40", "9")}};
  EXPECT_THAT(lines(back), Contains("systemctl restart nginx.service")) << "killed while it went back";
}

TEST(Activation, a_firewall_that_is_no_more_takes_its_table_along_before_systemd_forgets_its_unit) {
  std::vector<std::string> said;
  for (const auto& command : activation_of(machine(false), {}, {"headrace-firewall.service"}))
    said.push_back(fmt::format("{}", fmt::join(command, " ")));
  EXPECT_EQ(said.front(), "systemctl stop headrace-firewall.service");
  EXPECT_THAT(lines({}, {"headrace-firewall.service"}), Not(Contains(testing::HasSubstr("stop"))));
}

TEST(Activation, a_pool_s_own_file_restarts_that_pool_alone) {
  EXPECT_THAT(lines({{.path = "/etc/systemd/system/headrace-worker@mail.service.d/headrace.conf"}}),
              Contains("systemctl --no-block try-restart headrace-worker@mail.service"));
}

TEST(Activation, a_template_restarts_every_instance_in_order_and_keeps_their_sockets) {
  EXPECT_THAT(lines({{.path = "/etc/systemd/system/headrace-web@.service"}}),
              Contains("systemctl --no-block try-restart headrace-web@1.service headrace-web@2.service"));
}

TEST(Activation, a_socket_is_replaced_together_with_its_service) {
  EXPECT_THAT(lines({{.path = "/etc/systemd/system/headrace-api.socket"}}),
              Contains("systemctl --no-block try-restart headrace-api.socket headrace-api.service"));
}

TEST(Activation, an_instance_that_is_no_more_is_stopped) {
  EXPECT_THAT(lines({}, {"headrace-web@1.service", "headrace-web@3.service", "headrace-worker@old.service"}),
              Contains("systemctl --no-block stop headrace-web@3.service headrace-worker@old.service"));
  EXPECT_THAT(lines({}, {"headrace-web@1.service"}), Not(Contains(testing::HasSubstr("stop"))));
}

}  // namespace
}  // namespace hr::host
