// Diagrams from a model and observations made up here. After a change that is meant: HEADRACE_WRITE_GOLDEN=1
// test_host, and read the difference.
#include "host/diagram.h"

#include "host/folder_test.h"
#include "host/render/nginx_host.h"
#include "host/render/systemd.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace hr::host {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Machine machine() {
  Config config = *parse_config(R"(
[web]
app = "shop:app"
[worker.default]
modules = ["shop"]
[site]
names = ["shop.example"]
[host]
operators = "ops"
)",
                                "/etc/headrace/headrace.toml");
  config.app.root = "/srv/shop";
  return *machine_of(config, {});
}

// A host on which everything runs as it was declared.
Observation healthy() {
  const Machine of = machine();
  Observation out{.units = std::map<std::string, UnitSeen>(),
                  .unix_sockets = std::set<std::string>{std::string(kLogSocket)},
                  .open_tcp = std::set<std::uint16_t>{22, 80, 443},
                  .open_udp = std::set<std::uint16_t>{68},
                  .routed = std::set<std::string>{"eth0"},
                  .system = "debian",
                  .firewall = true,
                  .synchronised = true,
                  .nginx = parse_nginx(render_nginx_host(of).text),
                  .peers = std::vector<PeerSeen>(),
                  .queues = std::vector<QueueSeen>{{.name = "default"}},
                  .other_files = std::vector<std::string>()};
  for (const Node& node : of.nodes) {
    if (!node.unit.empty()) (*out.units)[node.unit] = {.active = true, .state = "active", .pid = "7"};
    for (const Socket& socket : node.sockets)
      if (!socket.path.empty()) out.unix_sockets->insert(socket.path);
  }
  for (const std::string& unit : own_units(of))
    (*out.units)[unit] = {.active = true, .state = "active", .pid = "7"};
  return out;
}

std::string page(const Observation& seen) { return markdown_page(diagrams_of(machine(), seen), false); }

TEST(Diagram, a_host_that_runs_as_declared_is_as_it_was_drawn) {
  expect_golden(std::string(HR_TESTDATA) + "/diagrams.md", page(healthy()));
  EXPECT_FALSE(drifted(diagrams_of(machine(), healthy())));
}

TEST(Diagram, pids_and_the_order_of_observation_change_nothing) {
  Observation other = healthy();
  for (auto& [name, unit] : *other.units) unit.pid = "12345";
  EXPECT_EQ(page(other), page(healthy()));
}

// Drawn otherwise while `change` holds, and the same bytes again when it is undone.
void expect_seen(const std::function<void(Observation&)>& change, const std::string& text) {
  Observation seen = healthy();
  change(seen);
  EXPECT_NE(page(seen), page(healthy()));
  EXPECT_THAT(page(seen), HasSubstr(text));
  EXPECT_TRUE(drifted(diagrams_of(machine(), seen)));
}

TEST(Diagram, a_killed_worker_is_missing) {
  expect_seen([](Observation& seen) { (*seen.units)["headrace-web@2.service"] = {.state = "failed"}; },
              "[\"Application Worker 2<br/>(missing)\"]:::missing");
}

TEST(Diagram, a_stopped_rsyslog_takes_its_arrows_with_it) {
  expect_seen(
      [](Observation& seen) {
        (*seen.units)["rsyslog.service"] = {.state = "inactive"};
        seen.unix_sockets->erase(std::string(kLogSocket));
      },
      "[\"Logging<br/>Rsyslog<br/>(missing)\"]:::missing");
}

TEST(Diagram, an_opened_port_and_a_unit_that_nobody_declared_are_strangers) {
  expect_seen([](Observation& seen) { seen.open_tcp->insert(8'080); },
              "[\"Port 8080<br/>(stranger)\"]:::stranger");
  expect_seen([](Observation& seen) { seen.open_udp->insert(53); },
              "[\"UDP port 53<br/>(stranger)\"]:::stranger");
  expect_seen(
      [](Observation& seen) {
        (*seen.units)["headrace-web@9.service"] = {.active = true, .state = "active", .pid = "9"};
      },
      "[\"headrace-web@9.service<br/>(stranger)\"]:::stranger");
}

TEST(Diagram, files_that_are_others_and_a_network_that_leads_nowhere_are_missing) {
  expect_seen([](Observation& seen) { seen.other_files->push_back("/etc/headrace/nginx.conf"); },
              "[\"Configuration Files<br/>(missing)\"]:::missing");
  expect_seen([](Observation& seen) { seen.routed->clear(); }, "[\"Internet<br/>(missing)\"]:::missing");
}

TEST(Diagram, what_nginx_does_not_have_is_missing_and_what_it_has_beside_is_a_stranger) {
  expect_seen([](Observation& seen) { seen.nginx->names.erase("shop.example"); },
              "[\"Web Server<br/>Port 80/443<br/>(missing)\"]:::missing");
  expect_seen([](Observation& seen) { seen.nginx->servers.erase("web unix:/run/headrace/web-2.sock"); },
              "n1 -. missing .-> n3");
  expect_seen([](Observation& seen) { seen.nginx->names.insert("other.example"); },
              "[\"Nginx serves other.example<br/>(stranger)\"]:::stranger");
  expect_seen([](Observation& seen) { seen.nginx->passes.insert("http://10.0.0.9"); },
              "[\"Nginx hands on to http://10.0.0.9<br/>(stranger)\"]:::stranger");
}

TEST(Diagram, what_nginx_serves_is_unknown_until_it_has_loaded_its_files) {
  expect_seen([](Observation& seen) { seen.nginx_stale = "/etc/headrace/nginx.conf"; },
              "[\"Web Server<br/>Port 80/443<br/>(unknown)\"]:::unknown");
}

TEST(Diagram, connections_are_evidence_and_change_no_byte_of_the_page) {
  Observation seen = healthy();
  seen.peers->push_back({{"/run/headrace/store.sock", "headrace", "66"}, "headrace-web@1.service"});
  seen.peers->push_back({{"/run/headrace/store.sock", "python3", "67"}, ""});
  (*seen.queues)[0] = {.name = "default", .waiting = 3, .in_work = 1, .delayed = 2, .oldest_s = 5, .dead = 4};
  seen.counters = {{"refused", 12}};
  EXPECT_EQ(page(seen), page(healthy()));
  const std::string evidence = markdown_page(diagrams_of(machine(), seen), true);
  EXPECT_THAT(evidence, HasSubstr("connected to /run/headrace/store.sock: headrace-web@1.service (pid 66), "
                                  "python3 (pid 67)"));
}

TEST(Diagram, what_was_counted_is_numbers_with_names_and_changes_no_byte_of_the_page) {
  Observation seen = healthy();
  (*seen.queues)[0] = {.name = "default", .waiting = 3, .in_work = 1, .delayed = 2, .oldest_s = 5, .dead = 4};
  seen.counters = {{"refused", 12}};
  EXPECT_EQ(page(seen), page(healthy()));
  const std::string evidence = markdown_page(diagrams_of(machine(), seen), true);
  const std::string json = diagrams_json(diagrams_of(machine(), seen));
  for (const auto& [name, value] : {std::pair("waiting", 3), std::pair("in_work", 1), std::pair("delayed", 2),
                                    std::pair("oldest_s", 5), std::pair("dead", 4)}) {
    EXPECT_THAT(evidence,
                HasSubstr(fmt::format("| SQS, by the store | queue default | {} | {} |\n", name, value)));
    EXPECT_THAT(json,
                HasSubstr(fmt::format(R"({{"of":"queue default","name":"{}","value":{}}})", name, value)));
  }
  EXPECT_THAT(evidence, HasSubstr("| Firewall | packets | refused | 12 |\n"));
  EXPECT_THAT(json, HasSubstr(R"({"of":"packets","name":"refused","value":12})"));
}

TEST(Diagram, a_unit_that_nobody_declared_and_is_connected_is_a_stranger) {
  expect_seen(
      [](Observation& seen) {
        seen.peers->push_back({{"/run/headrace/store.sock", "cat", "9"}, "opened.service"});
      },
      "[\"opened.service<br/>(stranger)\"]:::stranger");
}

TEST(Diagram, a_queue_of_a_pool_that_is_not_there_is_missing) {
  expect_seen([](Observation& seen) { seen.queues->clear(); },
              "[\"SQS, by the store<br/>(missing)\"]:::missing");
}

TEST(Diagram, each_part_that_could_not_be_looked_at_is_unknown) {
  expect_seen([](Observation& seen) { seen.nginx.reset(); }, "(unknown)");
  expect_seen([](Observation& seen) { seen.peers.reset(); }, "Other programs<br/>(unknown)");
  expect_seen([](Observation& seen) { seen.queues.reset(); }, "SQS, by the store<br/>(unknown)");
}

TEST(Diagram, what_was_observed_does_not_end_its_cell) {
  const Diagram hostile{.title = "x",
                        .direction = "TB",
                        .boxes = {{.label = "a", .group = "", .observed = "b | c\nd <br>"}},
                        .arrows = {}};
  EXPECT_THAT(markdown_page({hostile}, true), HasSubstr("| a | there |  | b \\| c d \\<br> |\n"));
}

TEST(Diagram, what_could_not_be_looked_at_is_unknown_and_never_healthy) {
  for (const Diagram& each : diagrams_of(machine(), {})) {
    EXPECT_THAT(mermaid(each), HasSubstr("unknown")) << each.title;
    for (const Box& box : each.boxes) EXPECT_NE(box.state, State::kThere) << each.title << box.label;
    for (const Arrow& arrow : each.arrows)
      EXPECT_NE(arrow.state, State::kThere) << each.title << arrow.from << arrow.to;
  }
}

TEST(Diagram, every_box_of_the_five_that_it_began_with_is_drawn) {
  const auto diagrams = diagrams_of(machine(), healthy());
  const std::vector<std::vector<std::string>> boxes = {
      {"Web Server<br/>Nginx", "Application Worker 1", "Application Worker 2", "Logging<br/>Rsyslog",
       "Time Sync<br/>Chrony", "Policy Kit"},
      {"System Boot", "Init System", "Infrastructure Services", "Web Services", "Application Services",
       "Background Workers", "Task Processing"},
      {"External Services", "Network", "File System", "Logging", "Web Server", "Worker 1", "Worker 2"},
      {"Internet", "Load Balancer", "Web Server<br/>Port 80/443", "Application Layer", "Worker Processes",
       "Firewall", "SSL/TLS"},
      {"Systemd Services", "Python Runtime", "Nginx", "Python Workers", "Configuration Files"}};
  ASSERT_EQ(diagrams.size(), boxes.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    std::vector<std::string> drawn;
    for (const Box& each : diagrams[i].boxes) drawn.push_back(each.label);
    for (const std::string& box : boxes[i]) EXPECT_THAT(drawn, Contains(box)) << diagrams[i].title;
  }
}

TEST(Diagram, labels_cannot_end_their_quotes) {
  const Diagram hostile{.title = "x",
                        .direction = "TB",
                        .boxes = {{.label = "a\"]; click n1 \"x\"<b>#", .group = "g\"]"}},
                        .arrows = {}};
  EXPECT_THAT(mermaid(hostile), HasSubstr("n1[\"a#34;]#59; click n1 #34;x#34;#60;b#62;#35;\"]:::there"));
  EXPECT_THAT(mermaid(hostile), HasSubstr("subgraph g1[\"g#34;]\"]"));
}

TEST(Observe, units_are_read_from_what_systemctl_shows) {
  const auto units = parse_units(
      "Id=a.service\nActiveState=active\nMainPID=12\n\nMainPID=0\nId=b.socket\n"
      "ActiveState=failed\n");
  EXPECT_EQ(units.at("a.service"), (UnitSeen{.active = true, .state = "active", .pid = "12"}));
  EXPECT_EQ(units.at("b.socket"), (UnitSeen{.active = false, .state = "failed", .pid = ""}));
}

TEST(Observe, listening_sockets_are_told_from_connected_ones) {
  EXPECT_THAT(parse_unix("Num RefCount Protocol Flags Type St Inode Path\n"
                         "0: 00000002 00000000 00010000 0001 01 100 /run/a.sock\n"
                         "0: 00000003 00000000 00000000 0001 03 101 /run/b.sock\n"
                         "0: 00000002 00000000 00000000 0002 01 102 /run/log\n"
                         "0: 00000002 00000000 00010000 0001 01 103 @abstract\n"),
              ElementsAre("/run/a.sock", "/run/log"));
}

TEST(Observe, ports_of_loopback_are_nobody_else_s) {
  EXPECT_THAT(parse_tcp("  sl  local_address rem_address   st\n"
                        "   0: 0100007F:246C 00000000:0000 0A 0\n"
                        "   1: 00000000:0050 00000000:0000 0A 0\n"
                        "   2: 00000000:0016 0100000A:0001 01 0\n"
                        "   3: 00000000000000000000000001000000:1F90 0:0 0A 0\n"
                        "   4: 00000000000000000000000000000000:01BB 0:0 0A 0\n"),
              ElementsAre(80, 443));
}

TEST(Observe, what_the_firewall_has_counted_is_read_by_name) {
  const auto counted = parse_counters(
      R"({"nftables":[{"counter":{"name":"refused","packets":12,"bytes":600}},{"counter":{"name":7}},{}]})");
  EXPECT_EQ(counted, (std::map<std::string, std::int64_t>{{"refused", 12}}));
  EXPECT_TRUE(parse_counters("nothing").empty());
}

TEST(Observe, the_table_must_drop_by_default) {
  EXPECT_EQ(parse_table(R"({"nftables":[{"chain":{"hook":"input","policy":"drop"}}]})"), true);
  EXPECT_EQ(parse_table(R"({"nftables":[{"chain":{"hook":"input","policy":"accept"}}]})"), false);
  EXPECT_EQ(parse_table("nothing"), std::nullopt);
}

TEST(Observe, a_clock_that_follows_itself_is_not_synchronised) {
  EXPECT_EQ(parse_tracking("A9FEA97B,169.254.169.123,4,1,0,0,0,0,0,0,0,0,16,Normal"), true);
  EXPECT_EQ(parse_tracking("7F7F0101,,10,1,0,0,0,0,0,0,0,0,16,Normal"), false);
  EXPECT_EQ(parse_tracking("00000000,,0,0,0,0,0,0,0,0,0,0,0,Not synchronised"), false);
  EXPECT_EQ(parse_tracking("506 Cannot talk to daemon"), std::nullopt);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t out = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++out;
  return out;
}

TEST(Diagram, the_picture_has_each_box_and_each_arrow_once_and_in_its_state) {
  Observation seen = healthy();
  (*seen.units)["headrace-web@2.service"] = {.state = "failed"};
  seen.open_tcp->insert(8'080);
  seen.synchronised.reset();
  const auto diagrams = diagrams_of(machine(), seen);
  const std::string picture = svg(diagrams);
  for (const State state : {State::kThere, State::kMissing, State::kStranger, State::kUnknown}) {
    std::size_t boxes = 0, arrows = 0;
    for (const Diagram& each : diagrams) {
      boxes += static_cast<std::size_t>(std::ranges::count(each.boxes, state, &Box::state));
      arrows += static_cast<std::size_t>(std::ranges::count(each.arrows, state, &Arrow::state));
    }
    EXPECT_EQ(count(picture, fmt::format("<g class=\"box {}\">", name_of(state))), boxes) << name_of(state);
    EXPECT_EQ(count(picture, fmt::format("<g class=\"arrow {}\">", name_of(state))), arrows)
        << name_of(state);
    EXPECT_GT(boxes + arrows, 0U) << name_of(state);
  }
  EXPECT_EQ(svg(diagrams), picture);
}

TEST(Diagram, a_label_in_the_picture_is_text_and_nothing_else) {
  const std::string picture = svg({{.title = "<&\">",
                                    .direction = "TB",
                                    .boxes = {{.label = "a<b>&\"c", .group = "</svg>"}},
                                    .arrows = {}}});
  EXPECT_THAT(picture, HasSubstr("a&lt;b&gt;&amp;&quot;c"));
  EXPECT_EQ(count(picture, "</svg>"), 1U);
}

}  // namespace
}  // namespace hr::host
