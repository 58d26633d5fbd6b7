#include "codec/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hr {
namespace {

std::string error_of(std::string_view text) {
  auto config = parse_config(text, "headrace.toml");
  return config ? "" : config.error().message;
}

TEST(Config, the_whole_contract_is_known) {
  EXPECT_EQ(error_of(R"(
[app]
name = "shop"
root = "."
python = "venv/bin/python"
user = "shop"
[web]
app = "shop.wsgi:app"
processes = 2
threads = 4
timeout = "30s"
[worker.default]
modules = ["shop.tasks"]
queues = ["default"]
processes = "1..4"
memory = "512M"
[services]
sqs = "local"
s3 = "local"
[store]
path = "data"
listen = "127.0.0.1:9324"
[site]
names = ["shop.example"]
tls = "self-signed"
[host]
operators = "ops"
firewall = true
time = "auto"
)"),
            "");
}

TEST(Config, every_table_becomes_values) {
  auto read = parse_config(R"(
[app]
name = "shop"
[web]
app = "shop.wsgi:app"
processes = 3
timeout = "500ms"
)",
                           "headrace.toml");
  EXPECT_EQ(read.error().message, "headrace.toml:7:11: web.timeout: 500ms is not in 1s to 1h");
  read = parse_config(R"(
[web]
app = "shop.wsgi:app"
timeout = "2m"
[worker.default]
modules = ["shop.tasks"]
processes = "1..4"
memory = "512M"
cpu = "150%"
recycle = 1000
concurrency = 50
[worker.documents]
modules = ["shop.documents"]
queues = ["documents", "slow"]
processes = 2
[services]
sqs = "aws"
[site]
names = ["shop.example"]
)",
                      "headrace.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->web.timeout, 2min);
  ASSERT_EQ(read->pools.size(), 2U);
  EXPECT_EQ(read->pools[0].name, "default");
  EXPECT_EQ(read->pools[0].processes, (Bounds{1, 4}));
  EXPECT_EQ(read->pools[0].memory_bytes, 512ULL << 20);
  EXPECT_EQ(read->pools[0].cpu_percent, 150U);
  EXPECT_EQ(read->pools[1].cpu_percent, 0U);
  EXPECT_EQ(read->pools[0].recycle, 1'000U);
  EXPECT_EQ(read->pools[0].concurrency, 50U);
  EXPECT_EQ(read->pools[1].queues, (std::vector<std::string>{"documents", "slow"}));
  EXPECT_EQ(read->pools[1].processes, (Bounds{2, 2}));
  EXPECT_FALSE(read->services.local_sqs);
  EXPECT_TRUE(read->services.local_s3);
}

TEST(Config, a_value_out_of_its_rule_is_refused_with_its_place) {
  for (const char* text :
       {"[app]\nname = \"Shop\"\n", "[web]\napp = \"shop\"\n", "[web]\nprocesses = 65\n",
        "[worker.a]\nmodules = [\"a b\"]\n", "[worker.a]\nqueues = []\n",
        "[worker.a]\nprocesses = \"4..1\"\n", "[worker.a]\nprocesses = 257\n",
        "[worker.a]\nmemory = \"15M\"\n", "[worker.a]\ncpu = \"0%\"\n", "[worker.a]\ncpu = \"25601%\"\n",
        "[worker.a]\ncpu = \"50\"\n", "[worker.a]\ncpu = \"-1%\"\n", "[worker.a]\ncpu = \"5%%\"\n",
        "[worker.a]\nconcurrency = 0\n", "[worker.a]\nrecycle = -1\n", "[services]\nsqs = \"azure\"\n",
        "[site]\ntls = \"none\"\n", "[site]\nhttp = \"8080\"\n"}) {
    EXPECT_TRUE(error_of(text).starts_with("headrace.toml:2:")) << text << error_of(text);
  }
  EXPECT_EQ(error_of("[worker.a]\nqueues = [\"q\"]\n"),
            "headrace.toml:1:9: worker.a.modules is missing: which modules hold its tasks?");
  EXPECT_EQ(error_of("[web]\napp = \"shop:app\"\ncommand = [\"x\"]\n"),
            "headrace.toml:3:11: web.command and web.app exclude each other");
  EXPECT_EQ(error_of("[site]\ncertificate = \"c.pem\"\n"),
            "headrace.toml:2:15: site.certificate needs site.key beside it");
}

TEST(Config, results_are_kept_for_a_week_or_as_said) {
  const auto kept = [](const std::string& value) {
    const auto read = parse_config("[app]\nresults_kept = \"" + value + "\"\n", "headrace.toml");
    return read ? read->app.results_kept : Duration(-1);
  };
  EXPECT_EQ(parse_config("", "headrace.toml")->app.results_kept, 7 * 24h);
  EXPECT_EQ(kept("1s"), 1s);
  EXPECT_EQ(kept("366d"), 366 * 24h);
  EXPECT_EQ(kept("0s"), 0s);
  EXPECT_TRUE(error_of("[app]\nresults_kept = \"999ms\"\n").starts_with("headrace.toml:2:"));
  EXPECT_TRUE(error_of("[app]\nresults_kept = \"367d\"\n").starts_with("headrace.toml:2:"));
}

TEST(Config, a_lease_is_a_minute_or_as_said) {
  const auto lease = [](const std::string& more) {
    return parse_config("[worker.a]\nmodules = [\"m\"]\n" + more, "headrace.toml")->pools.at(0).lease;
  };
  EXPECT_EQ(lease(""), 60s);
  EXPECT_EQ(lease("lease = \"15s\"\n"), 15s);
  EXPECT_EQ(lease("lease = \"1h\"\n"), 1h);
  EXPECT_TRUE(error_of("[worker.a]\nlease = \"14999ms\"\n").starts_with("headrace.toml:2:"));
  EXPECT_TRUE(error_of("[worker.a]\nlease = \"61m\"\n").starts_with("headrace.toml:2:"));
}

TEST(Config, names_of_users_and_groups_are_as_systemd_takes_them) {
  const auto read = [](const std::string& name) {
    return parse_config(fmt::format("[app]\nuser = \"{0}\"\n[host]\noperators = \"{0}\"\n", name), "h.toml");
  };
  for (const std::string& good : {std::string("shop-2"), std::string("_shop"), std::string(31, 'a')})
    EXPECT_TRUE(read(good)) << good;
  for (const std::string& bad : {std::string("a.b"), std::string("2shop"), std::string("-shop"),
                                 std::string(32, 'a'), std::string("sh op"), std::string()})
    EXPECT_FALSE(read(bad)) << bad;
}

TEST(Config, a_value_that_another_program_would_read_in_its_own_way_is_refused_with_its_place) {
  for (const char* key :
       {"[app]\nroot", "[app]\npython", "[app]\nname", "[app]\nuser", "[store]\npath", "[store]\nregion",
        "[site]\ncertificate", "[site]\nfiles", "[host]\noperators", "[host]\ntime", "[host]\nlogs_to",
        "[host]\nlogs_authority", "[services]\nendpoint"}) {
    for (const char* value :
         {"a;b", "a{b", "a}b", "a\\nb", "a$b", "a%b", "a\\\"b", "a\\\\b", "a'b", "a`b", ""}) {
      const std::string text = std::string(key) + " = \"" + value + "\"\n";
      EXPECT_TRUE(error_of(text).starts_with("headrace.toml:2:")) << text << error_of(text);
    }
  }
}

TEST(Config, the_user_s_code_never_runs_as_root_nor_as_another_part_of_the_host) {
  for (const char* user : {"root", "0", "1000", "headrace-store", "headrace-api", "www-data"})
    EXPECT_TRUE(
        error_of(fmt::format("[app]\nuser = \"{}\"\n", user)).starts_with("headrace.toml:2:8: app.user"));
  EXPECT_EQ(error_of("[app]\nuser = \"shop\"\n"), "");
}

TEST(Config, what_a_host_is_told_becomes_values) {
  auto read = parse_config(R"(
[worker.default]
modules = ["shop"]
drain = "15m"
network = "none"
[site]
names = ["shop.example", "*.shop.example"]
trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
body_max = "5G"
[host]
ssh = [2222, 22, 22]
time = "ec2"
logs_to = "logs.example:6514"
)",
                           "headrace.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->pools[0].drain, 15min);
  EXPECT_EQ(read->pools[0].network, Network::kNone);
  EXPECT_EQ(read->host.ssh, (std::vector<std::uint32_t>{22, 2222}));
  EXPECT_EQ(read->site.body_bytes_max, 5ULL << 30);
  EXPECT_EQ(place_of(*read, "host.time"), "headrace.toml:12:8: host.time");
  EXPECT_EQ(place_of(*read, "host.operators"), "headrace.toml: host.operators");
}

TEST(Config, networks_and_names_have_their_form) {
  for (const char* good : {"10.0.0.0/8", "192.0.2.1", "::1", "fd00::/8", "0.0.0.0/0", "::/128"})
    EXPECT_TRUE(is_network(good)) << good;
  for (const char* bad : {"", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/", "10.0.0.0/08", "a"})
    EXPECT_FALSE(is_network(bad)) << bad;
  for (const char* bad : {"shop..example", "-shop.example", "shop.*.example", "*", "*.", "shop_1", ".shop"})
    EXPECT_TRUE(error_of(fmt::format("[site]\nnames = [\"{}\"]\n", bad)).starts_with("headrace.toml:2:"))
        << bad;
  for (const char* bad : {"logs.example", "logs.example:0", "logs.example:65536", ":6514", "a b:1"})
    EXPECT_TRUE(error_of(fmt::format("[host]\nlogs_to = \"{}\"\n", bad)).starts_with("headrace.toml:2:"))
        << bad;
  EXPECT_TRUE(error_of("[host]\nssh = [0]\n").starts_with("headrace.toml:2:"));
  EXPECT_TRUE(error_of("[worker.a]\ndrain = \"13h\"\n").starts_with("headrace.toml:2:"));
}

TEST(Config, sizes_and_times_have_units) {
  EXPECT_EQ(parse_size("1").value(), 1U);
  EXPECT_EQ(parse_size("2K").value(), 2'048U);
  EXPECT_EQ(parse_size("17179869183G").value(), 17179869183ULL << 30);
  for (const char* text : {"", "K", "1k", "-1", "1.5G", "17179869184G", "99999999999999999999"})
    EXPECT_FALSE(parse_size(text)) << text;
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("1d").value(), 24h);
  for (const char* text : {"", "s", "1", "1 s", "-1s", "4294967296s"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Config, an_unknown_key_is_named_with_its_place_and_the_nearest_valid_one) {
  EXPECT_EQ(error_of("[store]\nlistn = \"127.0.0.1:1\"\n"),
            "headrace.toml:2:1: unknown key in [store]: \"listn\"; did you mean \"listen\"?");
}

TEST(Config, an_unknown_table_is_named_with_the_nearest_valid_one) {
  EXPECT_EQ(error_of("[stor]\n"), "headrace.toml:1:2: unknown table \"stor\"; did you mean \"store\"?");
}

TEST(Config, a_wrong_type_names_the_value_s_place) {
  EXPECT_EQ(error_of("[store]\npath = 7\n"),
            "headrace.toml:2:8: store.path is a whole number, but must be a string");
}

TEST(Config, a_number_outside_its_range_is_refused_at_the_edges) {
  for (const char* good : {"auto", "0", "1024G"})
    EXPECT_EQ(error_of(fmt::format("[store]\nkeep_free = \"{}\"\n", good)), "") << good;
  EXPECT_NE(error_of("[store]\nkeep_free = \"1025G\"\n"), "");
  for (const char* good : {"0", "64K", "1G"})
    EXPECT_EQ(error_of(fmt::format("[store]\nscrub_rate = \"{}\"\n", good)), "") << good;
  for (const char* bad : {"63K", "1073741825", "-1", "4 MB"})
    EXPECT_NE(error_of(fmt::format("[store]\nscrub_rate = \"{}\"\n", bad)), "") << bad;
  EXPECT_EQ(error_of("[store]\nsegment_mib = 4\n"), "");
  EXPECT_NE(error_of("[store]\nsegment_mib = 3\n"), "");
  EXPECT_EQ(error_of("[store]\nsegment_mib = 1024\n"), "");
  EXPECT_EQ(error_of("[store]\nsegment_mib = 1025\n"),
            "headrace.toml:2:15: store.segment_mib: 1025 is not in 4 to 1024");
}

TEST(Config, broken_syntax_names_line_and_column) {
  EXPECT_TRUE(error_of("[store]\npath = \n").starts_with("headrace.toml:2:"));
}

TEST(Config, a_listen_address_must_be_numeric) {
  EXPECT_TRUE(error_of("[store]\nlisten = \"localhost:1\"\n").find("is not an address and port") !=
              std::string::npos);
  EXPECT_TRUE(parse_listen("127.0.0.1:0")->loopback);
  EXPECT_TRUE(parse_listen("[::1]:9324")->loopback);
  EXPECT_FALSE(parse_listen("0.0.0.0:9324")->loopback);
  EXPECT_FALSE(parse_listen("127.0.0.1:65536"));
  EXPECT_FALSE(parse_listen("127.0.0.1:"));
}

}  // namespace
}  // namespace hr
