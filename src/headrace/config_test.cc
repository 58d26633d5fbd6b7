#include "headrace/config.h"

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
  EXPECT_EQ(error_of("[store]\nsegment_mib = 1\n"), "");
  EXPECT_EQ(error_of("[store]\nsegment_mib = 1024\n"), "");
  EXPECT_EQ(error_of("[store]\nsegment_mib = 1025\n"),
            "headrace.toml:2:15: store.segment_mib: 1025 is not in 1 to 1024");
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
