// headrace.toml as values. Reading refuses what it does not know: an error names file, line, column, the key
// and the nearest valid one. Every table of the file is known here; a role uses its own.
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <cstdint>
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
  std::vector<std::uint32_t> trusted_uids;  // unix peers that need no signature, beside the store's own user
  std::uint32_t segment_mib = 64;           // 1 to 1,024
  std::uint32_t reserve_segments = 2;       // 1 to 16
  std::uint64_t object_bytes_max = 5ULL << 30;  // per PutObject, 1 MiB to 5 GiB
  std::uint32_t connections_max = 16'000;       // 16 to 100,000
};

struct Config {
  std::string file;  // where it was read from; empty: defaults
  StoreConfig store;
};

// Reads and checks a whole file. kInvalid: "FILE:LINE:COLUMN: what is wrong; the mend". kNotFound.
Result<Config> read_config(const std::string& path);
// The same from text; `name` stands for the file in errors.
Result<Config> parse_config(std::string_view text, const std::string& name);

// "127.0.0.1:9324", "[::1]:9324".
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  bool loopback = false;
};
Result<HostPort> parse_listen(std::string_view text);

// The known word closest to `word`, or empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace hr
