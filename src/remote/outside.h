// What the search for credentials and regions may ask of the host it runs on. Blocking; the real one is
// host_outside.h, tests bring their own.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "codec/http_response.h"
#include "codec/uri.h"

#include <string>
#include <vector>

namespace hr::remote {

struct HttpAsk {
  Bytes method = "GET";
  Bytes url;  // "http://169.254.169.254/latest/api/token"
  codec::Pairs headers = {};
  Bytes body = {};
  Duration timeout = 1s;
};

class Outside {
 public:
  virtual ~Outside() = default;
  virtual Bytes variable(const std::string& name) = 0;               // of the environment; empty: not set
  virtual Result<Bytes> read_file(const std::string& path) = 0;      // kNotFound; kLimit: over a MiB
  virtual Result<Bytes> run(const std::vector<Bytes>& command) = 0;  // its standard output, up to 64 KiB
  virtual Result<codec::Response> http(const HttpAsk& ask) = 0;      // redirects are not followed
  virtual Time wall() = 0;
};

}  // namespace hr::remote
