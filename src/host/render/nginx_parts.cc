#include "host/render/nginx_parts.h"

#include <fmt/format.h>

namespace hr::host {
namespace {

// How long nginx waits past the application's own limit, so that the application answers first.
constexpr Duration kPatience = 5s;

}  // namespace

std::string nginx_log_format() {
  return R"(  map $request_uri $request_path {  # without the query, which may hold a signature
    ~^(?<path_alone>[^?]*) $path_alone;
  }
  map $status $status_number {  # a peer that went away counts as 000, which is no JSON number
    ~^0+$ 0;
    default $status;
  }
  log_format headrace escape=json '{"time":"$time_iso8601","unix":$msec,'
    '"request_id":"$request_id",'
    '"remote":"$remote_addr","method":"$request_method","host":"$host","path":"$request_path",'
    '"status":$status_number,"bytes":$body_bytes_sent,"seconds":$request_time,'
    '"upstream":"$upstream_addr","upstream_status":"$upstream_status",'
    '"upstream_seconds":"$upstream_response_time","tls":"$ssl_protocol",'
    '"agent":"$http_user_agent"}';
)";
}

std::string nginx_upgrade_map() {
  return R"(  map $http_upgrade $connection_upgrade {  # empty: the connection to the application is kept
    default upgrade;
    '' '';
  }
)";
}

// Mozilla's intermediate list of 2026 (guideline 6.0): six suites of TLS 1.2, all of TLS 1.3.
std::string nginx_tls() {
  return "    ssl_protocols TLSv1.2 TLSv1.3;\n"
         "    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
         "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
         "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;\n"
         "    ssl_prefer_server_ciphers off;\n"
         "    ssl_session_cache shared:headrace:1m;\n"
         "    ssl_session_tickets off;\n";
}

// Said once for all locations of a server: a location that sets one header itself would inherit none.
std::string nginx_proxy(Duration application_limit) {
  const auto patience = std::chrono::ceil<std::chrono::seconds>(application_limit + kPatience).count();
  std::string out = R"(    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Request-Id $request_id;
    proxy_hide_header X-Request-Id;
)";
  out += fmt::format("    proxy_read_timeout {}s;\n    proxy_send_timeout {}s;\n", patience, patience);
  return out +
         "    proxy_next_upstream error;  # only what is sent again without harm: no POST\n"
         "    proxy_next_upstream_tries 2;\n";
}

}  // namespace hr::host
