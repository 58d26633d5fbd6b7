// headrace.toml as values. Reading refuses what it does not know: an error names file, line, column, the key
// and the nearest valid one. Every table of the file is known here; a role uses its own. Relative paths
// become absolute, from the file's folder, but for a python without a slash: PATH finds that one.
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr {

struct StoreConfig {
  std::string path = "/var/lib/headrace";  // the data folder, absolute or relative to the file
  std::string listen = "127.0.0.1:9324";   // numeric address and port; port 0: any free one
  std::string socket;                      // unix socket; empty: "store.sock" in `path`
  std::string region = "us-east-1";
  std::string account = "000000000000";     // of the keys made at first start; 12 digits
  std::string domain = "localhost";         // buckets are also reached as BUCKET.DOMAIN
  bool allow_remote = false;                // listen on other addresses than loopback
  bool strict_aws = false;                  // waiting times that AWS has and we do not need
  std::vector<std::uint32_t> trusted_uids;  // unix peers that need no signature, beside the store's own user
  std::uint32_t segment_mib = 64;           // 4 to 1,024
  std::uint32_t reserve_segments = 2;       // 1 to 16
  std::uint64_t object_bytes_max = 5ULL << 30;  // sent at once, 1 MiB to 5 GiB
  std::uint32_t connections_max = 16'000;       // 16 to 100,000
  // Free bytes of the file system below which only deletes are taken; none: 2 % of it, at most 1 GiB.
  std::optional<std::uint64_t> keep_free;
  std::uint64_t scrub_rate = 4U << 20;  // bytes a second, at most 1 GiB; 0: bodies are not scrubbed
};

// How many, between two bounds: "2" is both; "1..4" is from the first to the second as load asks.
struct Bounds {
  std::uint32_t least = 1;
  std::uint32_t most = 1;
  bool operator==(const Bounds&) const = default;
};

struct AppConfig {
  std::string name = "app";        // a-z, 0-9 and '-', at most 32: part of bucket and unit names
  std::string root = ".";          // the folder the user's modules are imported from
  std::string python = "python3";  // the interpreter: a path, or a name that PATH finds
  std::string user;                // who runs the user's code on a host; empty: whoever starts it
  Duration results_kept = std::chrono::days(7);  // how long a job's result stays, 1 s to 366 d; 0: for ever
  std::vector<std::string>
      writable;                    // folders that the user's code may write on a host, beside its own state
  std::vector<std::string> allow;  // what its sandbox on a host lets through: "jit", "proc", "nice"
};

// What the sandbox of a host gives a unit that runs the user's code.
enum class Network : std::uint8_t {
  kInternet,  // all of it
  kNone,      // unix sockets only
};

struct WebConfig {
  std::string app;                   // "module:attribute"; empty with an empty command: no site of the user's
  std::vector<std::string> command;  // any other server instead: program and arguments
  std::uint32_t processes = 2;       // 1 to 64
  std::uint32_t threads = 4;         // of each process, 1 to 256
  Duration timeout = 30s;            // of one request, 1 s to 1 h
  Network network = Network::kInternet;
};

struct PoolConfig {
  std::string name;                  // of [worker.NAME]
  std::vector<std::string> modules;  // imported by each child, in order
  std::vector<std::string> queues = {"default"};
  Bounds processes = {1, 1};       // children, 1 to 256
  std::uint64_t memory_bytes = 0;  // of one child with its descendants; 0: no limit; at least 16 MiB
  std::uint32_t cpu_percent = 0;   // of one processor, for the whole pool on a host: 1 to 25,600; 0: no limit
  Duration lease = 60s;            // of a message, renewed at a third, 15 s to 1 h
  Duration drain = 30s;            // how long running tasks may go on at a stop: its longest task, 0 to 12 h
  Network network = Network::kInternet;
  std::uint64_t recycle = 0;        // a child is replaced after so many jobs, at most 1,000,000,000; 0: never
  std::uint32_t concurrency = 100;  // async jobs of one child at a time, 1 to 10,000
};

struct ServicesConfig {
  bool local_sqs = true, local_s3 = true;  // "local" or "aws"
  std::string region;                      // empty: the store's
  std::string endpoint;                    // of both services, instead of AWS's own
  bool fips = false, dual_stack = false;   // which of AWS's own
};

struct SiteConfig {
  std::vector<std::string> names = {"localhost"};
  std::string certificate, key;  // PEM files; both empty: a self-signed certificate is made
  std::string http, https;       // address and port; empty: what the command that serves the site says
  std::string files;             // a folder whose files are served under /static/; empty: none
  std::vector<std::string> store_names;      // host names under which the store is public; none: it is not
  std::vector<std::string> trusted_proxies;  // networks whose X-Forwarded-For is believed
  std::vector<std::string> console;          // networks that may reach /_headrace/, beside this host
  std::uint32_t rate = 50;                   // requests a second of one address, 1 to 100,000; 0: no limit
  std::uint32_t connections = 64;            // of one address, 1 to 100,000; 0: no limit
  std::uint64_t body_bytes_max = 256ULL << 20;
};

struct HostConfig {
  std::string operators;  // a group that may start and stop our units; empty: none
  bool firewall = true;
  std::string time = "auto";              // "auto", "ec2", "pool", "off", or an NTP server's name
  std::vector<std::uint32_t> ssh = {22};  // ports that the firewall never closes
  std::vector<std::uint32_t> ports;       // more open TCP ports
  std::uint32_t syn_rate = 50;            // new connections a second of one address, 1 to 100,000
  std::string logs_to;                    // HOST:PORT: records go there too, over TLS; empty: nowhere
  std::string logs_authority;             // PEM file of who vouches for that host
};

// Where a value stands in its file, from 1; line 0: it does not.
struct Where {
  std::uint32_t line = 0, column = 0;
  bool operator==(const Where&) const = default;
};

struct Config {
  std::string file;  // where it was read from; empty: defaults
  AppConfig app;
  WebConfig web;
  std::vector<PoolConfig> pools;  // in the order of their names
  ServicesConfig services;
  StoreConfig store;
  SiteConfig site;
  HostConfig host;
  std::map<std::string, Where>
      where;  // "site.names" -> the place of its value, for keys that are in the file
};

// "FILE:LINE:COLUMN: KEY" where the file has the key, else "FILE: KEY".
std::string place_of(const Config& config, const std::string& key);

// Reads and checks a whole file's text; `name` stands for the file in errors. Paths stay as they are written.
// kInvalid: "FILE:LINE:COLUMN: what is wrong; the mend".
Result<Config> parse_config(std::string_view text, const std::string& name);

// "90s", "15m", "2h", "500ms": digits and a unit. kInvalid says what is wrong.
Result<Duration> parse_duration(std::string_view text);
// "512M", "2G", "65536": bytes, with K, M or G for powers of 1,024.
Result<std::uint64_t> parse_size(std::string_view text);

// "127.0.0.1:9324", "[::1]:9324".
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  bool loopback = false;
};
Result<HostPort> parse_listen(std::string_view text);
std::string address_text(const HostPort& address);  // the same, back

// "10.0.0.0/8", "fd00::/8", "192.0.2.1": an address, or a network by its prefix length.
bool is_network(std::string_view text);

// The known word closest to `word`, or empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace hr
