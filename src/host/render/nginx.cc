#include "host/render/nginx.h"

#include "host/render/nginx_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace hr::host {
namespace {

bool quotable(std::string_view path) {
  return std::ranges::none_of(
      path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == '$'; });
}

std::string quoted(std::string_view path) { return fmt::format("\"{}\"", path); }

class Writer {
 public:
  Writer(const Config& config, const Place& place, const NginxFacts& facts)
      : config_(config), place_(place), facts_(facts), paths_(place.state) {}

  std::string text() {
    process();
    line(0, "http {{");
    logs();
    limits();
    upstreams();
    server();
    line(0, "}}");
    return out_;
  }

 private:
  template <class... Args>
  void line(int depth, fmt::format_string<Args...> format, Args&&... args) {
    out_.append(static_cast<std::size_t>(depth) * 2, ' ');
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }
  void gap() { out_ += '\n'; }

  void process() {
    line(0, "# Made from {} at every start: a change here does not last.", config_.file);
    if (facts_.root) {
      line(0,
           "# Its workers stay root, as everything this supervisor starts: another user could not reach the");
      line(0, "# sockets in the state folder, which is its owner's alone.");
      line(0, "user root;");
    }
    line(0, "daemon off;");
    line(0, "worker_processes {};", std::clamp(facts_.processors, 1U, 2U));
    line(0, "worker_shutdown_timeout 10s;");
    line(0, "pid {};", quoted(paths_.nginx_folder() + "/nginx.pid"));
    line(0, "error_log stderr warn;");
    gap();
    line(0, "events {{");
    line(1, "worker_connections 1024;");
    line(0, "}}");
    gap();
  }

  void logs() {
    out_ += nginx_log_format();
    line(1, "access_log {} headrace;", quoted(paths_.access_log()));
    gap();
  }

  void limits() {
    for (const std::string_view kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      line(1, "{}_temp_path {};", kind, quoted(fmt::format("{}/{}", paths_.nginx_folder(), kind)));
    line(1, "server_tokens off;");
    line(1, "client_max_body_size 256m;");
    line(1, "client_header_timeout 15s;");
    line(1, "client_body_timeout 30s;");
    line(1, "send_timeout 30s;");
    line(1, "reset_timedout_connection on;");
    line(1, "keepalive_timeout 65s;");
    gap();
  }

  void upstreams() {
    if (has_web()) {
      line(1, "upstream web {{");
      line(2, "least_conn;");
      for (std::uint32_t i = 1; i <= config_.web.processes; ++i)
        line(2, "server {} max_fails=0;", quoted("unix:" + paths_.web_socket(i)));
      line(2, "keepalive 16;");
      line(2, "keepalive_timeout 30s;");
      line(1, "}}");
    }
    line(1, "upstream headrace_api {{");
    line(2, "server {} max_fails=0;", quoted("unix:" + paths_.api_socket()));
    line(2, "keepalive 4;");
    line(2, "keepalive_timeout 30s;");
    line(1, "}}");
    out_ += nginx_upgrade_map();
    gap();
  }

  void server() {
    line(1, "server {{");
    line(2, "listen {};", address_text(place_.http));
    const bool own_directive = facts_.version >= std::array{1, 25, 1};
    line(2, "listen {} ssl{};", address_text(place_.https), own_directive ? "" : " http2");
    if (own_directive) line(2, "http2 on;");
    line(2, "server_name {};", fmt::join(config_.site.names, " "));
    tls();
    gap();
    line(2, "add_header X-Request-Id $request_id always;");
    out_ += nginx_proxy(config_.web.timeout);
    gap();
    own_paths();
    line(2, "location / {{");
    if (has_web()) {
      line(3, "proxy_pass http://web;");
    } else {
      line(3, "return 404;");
    }
    line(2, "}}");
    line(1, "}}");
  }

  void tls() {
    const bool own = !config_.site.certificate.empty();
    line(2, "ssl_certificate {};", quoted(own ? config_.site.certificate : paths_.certificate()));
    line(2, "ssl_certificate_key {};", quoted(own ? config_.site.key : paths_.certificate_key()));
    out_ += nginx_tls();
  }

  void own_paths() {
    line(2, "location = /_headrace/nginx {{  # nginx itself: how the supervisor knows that it is ready");
    line(3, "access_log off;");
    line(3, "return 204;");
    line(2, "}}");
    line(2, "location /_headrace/ {{  # for this host only: it shows queues and results");
    line(3, "allow 127.0.0.0/8;");
    line(3, "allow ::1;");
    line(3, "deny all;");
    line(3, "proxy_pass http://headrace_api;");
    line(2, "}}");
  }

  bool has_web() const { return !config_.web.app.empty() || !config_.web.command.empty(); }

  const Config& config_;
  const Place& place_;
  const NginxFacts& facts_;
  const Paths paths_;
  std::string out_;
};

}  // namespace

Result<std::string> render_nginx(const Config& config, const Place& place, const NginxFacts& facts) {
  for (const std::string& path : {place.state, config.site.certificate, config.site.key, config.file}) {
    if (!quotable(path))
      return fail(
          Errc::kInvalid,
          fmt::format("{}: nginx takes no path with a quote, a backslash, '$' or a control character", path));
  }
  return Writer(config, place, facts).text();
}

Result<std::array<int, 3>> parse_nginx_version(std::string_view text) {
  constexpr std::string_view kBefore = "nginx/";
  const std::size_t at = text.find(kBefore);
  std::array<int, 3> out{};
  if (at != text.npos) {
    const char* next = text.data() + at + kBefore.size();
    const char* const end = text.data() + text.size();
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto [stop, error] = std::from_chars(next, end, out[i]);
      if (error != std::errc()) break;
      if (i + 1 == out.size()) return out;
      if (stop == end || *stop != '.') break;
      next = stop + 1;
    }
  }
  return fail(Errc::kInvalid, fmt::format("\"{}\" names no version of nginx", text.substr(0, 80)));
}

}  // namespace hr::host
