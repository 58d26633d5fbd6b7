#include "host/activate.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hr::host {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

Machine machine() {
  Config config = *parse_config("[web]\napp = \"a:b\"\n[worker.mail]\nmodules = [\"a\"]\n", "/h.toml");
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
