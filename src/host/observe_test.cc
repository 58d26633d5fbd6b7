// The readers of what other programs print, on text that was captured, cut off, and made up.
#include "host/observe.h"

#include "host/folder_test.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <unistd.h>
#include <utility>

namespace hr::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kNginx = R"(nginx: [warn] the "listen ... http2" directive is deprecated
# configuration file /etc/headrace/nginx.conf:
user www-data headrace;
events { worker_connections 8192; }
http {
  map $status $number { ~^0+$ 0; default "a;b{c}"; }  # { server_name comment.example; }
  log_format main escape=json '{"a":"$b",' '"c":"d\'e"}';
  upstream web { least_conn; server unix:/run/a.sock max_fails=0; server "unix:/run/b.sock"; keepalive 4; }
  include /etc/nginx/conf.d/*.conf;
  server {
    listen 0.0.0.0:443 ssl default_server;
    listen [::]:443 ssl;
    server_name shop.example "*.shop.example";
    if ($host ~ ${x}y) { return 444; }
    location / { proxy_pass http://web; }
  }
}

# configuration file /etc/nginx/conf.d/other.conf:
server { listen 8080; server_name other.example; location /x { fastcgi_pass unix:/run/php.sock; } }
)";

TEST(NginxSeen, addresses_names_and_where_requests_go_are_read_from_all_files) {
  const auto seen = parse_nginx(kNginx);
  ASSERT_TRUE(seen);
  EXPECT_THAT(seen->listens, ElementsAre("0.0.0.0:443", "8080", "[::]:443"));
  EXPECT_THAT(seen->names, ElementsAre("*.shop.example", "other.example", "shop.example"));
  EXPECT_THAT(seen->servers, ElementsAre("web unix:/run/a.sock", "web unix:/run/b.sock"));
  EXPECT_THAT(seen->passes, ElementsAre("http://web", "unix:/run/php.sock"));
  EXPECT_THAT(seen->files, ElementsAre("/etc/headrace/nginx.conf", "/etc/nginx/conf.d/other.conf"));
}

TEST(NginxSeen, what_is_no_whole_configuration_is_none) {
  for (const std::string_view text : {"", "nginx: [emerg] open() \"/etc/x\" failed\n", "http {", "http { } }",
                                      "a", "a; {", "x \"y;", "a }", "http { a }"})
    EXPECT_FALSE(parse_nginx(text)) << text;
}

TEST(NginxSeen, text_that_is_cut_anywhere_or_broken_anywhere_is_read_without_harm) {
  std::mt19937_64 random(7);
  for (std::size_t i = 0; i < kNginx.size(); ++i) {
    parse_nginx(kNginx.substr(0, i));
    std::string broken(kNginx);
    broken[i] = static_cast<char>(random());
    parse_nginx(broken);
  }
}

TEST(NginxSeen, the_file_of_a_master_process_is_in_its_title) {
  EXPECT_EQ(nginx_file("nginx: master process /usr/sbin/nginx -c /etc/headrace/nginx.conf -g daemon on;"),
            "/etc/headrace/nginx.conf");
  EXPECT_EQ(nginx_file(std::string_view("nginx\0-c\0/a.conf\0", 17)), "/a.conf");
  EXPECT_EQ(nginx_file("nginx: master process /usr/sbin/nginx -g daemon on;"), "");
  EXPECT_EQ(nginx_file("nginx -c "), "");
  EXPECT_EQ(nginx_file(""), "");
}

constexpr std::string_view kConnections =
    "u_str ESTAB 0      0                               * 101 * 102 users:((\"python3\",pid=7,fd=4),"
    "(\"python3\",pid=8,fd=4))\n"
    "u_str ESTAB 0      0        /run/headrace/store.sock 102 * 101 users:((\"headrace\",pid=3,fd=5))\n"
    "u_str ESTAB 0      0        /run/headrace/store.sock 104 * 103 users:((\"headrace\",pid=3,fd=6))\n"
    "u_str LISTEN 0     128      /run/headrace/store.sock 100 * 0 users:((\"headrace\",pid=3,fd=3))\n"
    "u_dgr UNCONN 0     0               /run/headrace/log 200 * 0 users:((\"rsyslogd\",pid=9,fd=3))\n"
    "u_str ESTAB 0      0                               * 301 * 302\n"
    "u_str ESTAB 0      0        /run/headrace/web-1.sock 302 * 301\n";

TEST(Peers, whoever_is_at_the_other_end_of_a_socket_is_named) {
  EXPECT_EQ(parse_connections(kConnections, "/run/headrace/store"),
            (std::vector<Connection>{{"/run/headrace/store.sock", "python3", "7"}}));
}

TEST(Peers, where_it_cannot_be_seen_who_is_at_the_other_end_nobody_is_known) {
  EXPECT_EQ(parse_connections(kConnections, "/run/headrace/"), std::nullopt);
  EXPECT_EQ(parse_connections("", "/run/headrace/"), std::vector<Connection>());
}

TEST(Peers, lines_that_are_cut_anywhere_or_broken_anywhere_are_read_without_harm) {
  std::mt19937_64 random(7);
  for (std::size_t i = 0; i < kConnections.size(); ++i) {
    parse_connections(kConnections.substr(0, i), "/run");
    std::string broken(kConnections);
    broken[i] = static_cast<char>(random());
    parse_connections(broken, "/run");
    unit_of_cgroup(broken);
  }
}

TEST(Peers, a_process_belongs_to_the_unit_of_its_group_and_a_person_s_to_none) {
  EXPECT_EQ(unit_of_cgroup("0::/headrace.slice/headrace-worker.slice/headrace-worker@default.service\n"),
            "headrace-worker@default.service");
  EXPECT_EQ(unit_of_cgroup("0::/system.slice/opened.service/inner\n"), "opened.service");
  EXPECT_EQ(unit_of_cgroup("12:cpu:/x.service\n1:name=systemd:/system.slice/cron.service\n"), "cron.service");
  EXPECT_EQ(unit_of_cgroup("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n"), "");
  EXPECT_EQ(unit_of_cgroup("0::/user.slice/user-0.slice/session-3.scope\n"), "");
  EXPECT_EQ(unit_of_cgroup("0::/\n"), "");
  EXPECT_EQ(unit_of_cgroup(""), "");
}

TEST(Observe, bound_udp_ports_are_seen_but_for_loopback_and_those_that_the_kernel_gave_out) {
  const auto line = [](std::string_view address, std::string_view state) {
    return fmt::format("  12: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000 0 0 1 2 0 0\n",
                       address, state);
  };
  const std::string text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n" +
                           line("00000000:0035", "07") + line("0100007F:0143", "07") +
                           line("00000000:9C40", "07") + line("0100A8C0:0202", "01");
  EXPECT_THAT(parse_udp(text, 32'768), ElementsAre(53));
}

TEST(Observe, interfaces_with_a_route_are_those_that_lead_somewhere) {
  const std::string v4 =
      "Iface\tDestination\tGateway "
      "\tFlags\tRefCnt\neth0\t00000000\t010200C0\t0003\t0\neth0\t000200C0\t0\t0001\t0\n";
  const auto v6 = [](std::string_view to, std::string_view flags, std::string_view by) {
    return fmt::format("{:0<32} 40 {:0<32} 00 {:0<32} 00000100 00000001 00000000 {} {:>8}\n", to, "", "",
                       flags, by);
  };
  EXPECT_THAT(parse_routes(v4, ""), ElementsAre("eth0"));
  EXPECT_THAT(parse_routes("Iface\tDestination\tGateway \tFlags\n",
                           v6("fd00", "00000001", "eth1") + v6("fe80", "00000001", "eth2") +
                               v6("", "00200200", "lo") + v6("fd01", "00000201", "eth3")),
              ElementsAre("eth1"));
  EXPECT_THAT(parse_routes("", ""), IsEmpty());
}

TEST(Observe, a_process_began_when_its_stat_says) {
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  constexpr std::string_view kStat =
      "66 (ngi) nx) S 1 66 66 0 -1 4194560 900 0 0 0 1 2 3 4 20 0 1 0 54321 12345 678 1844 1 1 0 0 0 0\n";
  EXPECT_EQ(began(kStat), 54321 / ticks);
  for (std::size_t i = 0; i < kStat.size(); ++i) began(kStat.substr(0, i));
  EXPECT_EQ(began("66 (nginx) S 1 2 3"), std::nullopt);
  EXPECT_EQ(began(""), std::nullopt);
}

// Programs of which every answer is made up here; others are not installed.
class Answers final : public Tools {
 public:
  Result<Said> run(const std::vector<std::string>& command) override {
    asked.push_back(command);
    const auto found = says.find(command.front());
    if (found == says.end()) return fail(Errc::kNotFound, command.front() + " is not installed");
    return found->second;
  }
  std::map<std::string, Said> says;
  std::vector<std::vector<std::string>> asked;
};

class Bus final : public Units {
 public:
  Result<UnitsSeen> units(std::vector<std::string>, std::vector<std::string>) override { return answer; }
  Result<UnitsSeen> answer = fail(Errc::kUnavailable, "no bus");
};

Machine machine() {
  Config config = *parse_config("[site]\nnames = [\"a.example\"]\n", "/h.toml");
  config.app.root = "/srv";
  return *machine_of(config, {});
}

TEST(Observe, units_are_asked_over_the_bus_and_of_systemctl_where_there_is_none) {
  const TestFolder folder;
  const Tree tree = *Tree::open(folder.path);
  Answers tools;
  tools.says["systemctl"] = {.code = 0, .text = "Id=nginx.service\nActiveState=failed\nMainPID=0\n"};
  Bus bus;
  EXPECT_EQ(observe(machine(), tools, tree, &bus).units_by, "systemctl");
  EXPECT_EQ(observe(machine(), tools, tree).units->at("nginx.service").state, "failed");
  bus.answer = UnitsSeen{{"nginx.service", {.active = true, .state = "active", .pid = "66"}}};
  const Observation seen = observe(machine(), tools, tree, &bus);
  EXPECT_EQ(seen.units_by, "D-Bus");
  EXPECT_EQ(seen.units->at("nginx.service").pid, "66");
}

TEST(Observe, nginx_is_asked_for_the_files_that_it_runs_with_and_only_while_it_runs) {
  const TestFolder folder;
  Tree tree = *Tree::open(folder.path);
  ASSERT_TRUE(tree.write("/proc/66/cmdline", "nginx: master process nginx -c /srv/my.conf", 0644));
  Answers tools;
  tools.says["nginx"] = {.code = 0, .text = std::string(kNginx)};
  Bus bus;
  bus.answer = UnitsSeen{{"nginx.service", {.active = true, .state = "active", .pid = "66"}}};
  EXPECT_EQ(observe(machine(), tools, tree, &bus).nginx, parse_nginx(kNginx));
  EXPECT_THAT(tools.asked.front(), ElementsAre("nginx", "-T", "-q", "-c", "/srv/my.conf"));
  tools.asked.clear();
  bus.answer = UnitsSeen{{"nginx.service", {.state = "failed"}}};
  EXPECT_EQ(observe(machine(), tools, tree, &bus).nginx, std::nullopt);
  for (const auto& command : tools.asked) EXPECT_NE(command.front(), "nginx");
}

// nginx with one worker, which began ten seconds after the machine did.
Observation nginx_seen(const TestFolder& folder, std::string_view title) {
  Tree tree = *Tree::open(folder.path);
  const std::string ticks = std::to_string(::sysconf(_SC_CLK_TCK) * 10);
  const std::map<std::string, std::string> files = {
      {"/proc/66/cmdline", "nginx: master"},
      {"/proc/66/task/66/children", "67 "},
      {"/proc/67/cmdline", std::string(title)},
      {"/proc/67/stat",
       fmt::format("67 (nginx) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {} 0\n", ticks)}};
  for (const auto& [path, text] : files) EXPECT_TRUE(tree.write(path, text, 0644));
  Answers tools;
  tools.says["nginx"] = {.code = 0, .text = "# configuration file /etc/n.conf:\nevents { }\n"};
  Bus bus;
  bus.answer = UnitsSeen{{"nginx.service", {.active = true, .state = "active", .pid = "66"}}};
  return observe(machine(), tools, tree, &bus);
}

TEST(Observe, a_file_that_is_newer_than_nginx_s_workers_was_not_loaded) {
  const TestFolder folder;
  write_file(folder.path + "/etc/n.conf", "events { }\n");
  write_file(folder.path + "/proc/stat", "cpu 1 2\nbtime 1000\n");
  EXPECT_EQ(nginx_seen(folder, "nginx: worker process").nginx_stale, "/etc/n.conf");
  EXPECT_EQ(nginx_seen(folder, "nginx: worker process is shutting down").nginx_stale, "");
  write_file(folder.path + "/proc/stat", "cpu 1 2\nbtime 99999999999\n");
  EXPECT_EQ(nginx_seen(folder, "nginx: worker process").nginx_stale, "");
}

TEST(Observe, peers_are_named_by_their_units) {
  const TestFolder folder;
  Tree tree = *Tree::open(folder.path);
  ASSERT_TRUE(tree.write("/proc/7/cgroup", "0::/system.slice/opened.service\n", 0644));
  Answers tools;
  const std::string known(
      kConnections.substr(0, kConnections.find("u_str ESTAB 0      0                               * 301")));
  tools.says["ss"] = {.code = 0, .text = known};
  const Observation seen = observe(machine(), tools, tree);
  ASSERT_TRUE(seen.peers);
  ASSERT_EQ(seen.peers->size(), 1U);
  EXPECT_EQ(seen.peers->front().unit, "opened.service");
  tools.says.clear();
  EXPECT_FALSE(observe(machine(), tools, tree).peers);
}

TEST(Observe, a_host_on_which_nothing_can_be_asked_is_unknown_in_every_part) {
  const TestFolder folder;
  Answers tools;
  const Observation seen = observe(machine(), tools, *Tree::open(folder.path));
  EXPECT_FALSE(seen.units || seen.unix_sockets || seen.open_tcp || seen.firewall || seen.synchronised ||
               seen.nginx || seen.peers || seen.queues || seen.open_udp || seen.routed || seen.system ||
               seen.other_files);
  EXPECT_THAT(seen.counters, IsEmpty());
}

}  // namespace
}  // namespace hr::host
