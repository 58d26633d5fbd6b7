#include "host/render/nginx_host.h"

#include "host/render/nginx_parts.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>
#include <utility>

namespace hr::host {
namespace {

class Writer {
 public:
  explicit Writer(const Machine& machine) : machine_(machine), config_(machine.config) {}

  std::string text() {
    process();
    out_ += "http {\n";
    logs();
    limits();
    upstreams();
    refuse_strangers();
    redirect();
    site();
    if (!config_.site.store_names.empty()) store();
    out_ += "}\n";
    return std::move(out_);
  }

 private:
  template <class... Args>
  void line(int depth, fmt::format_string<Args...> format, Args&&... args) {
    out_.append(static_cast<std::size_t>(depth) * 2, ' ');
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  void process() {
    line(0, "# Made from {} by `headrace host apply`: a change here does not last.", config_.file);
    out_ += R"(include /etc/nginx/modules-enabled/*.conf;
user www-data headrace;
worker_processes auto;
worker_rlimit_nofile 65536;
)";
    const auto limit = std::chrono::ceil<std::chrono::seconds>(config_.web.timeout + 5s).count();
    line(0, "worker_shutdown_timeout {}s;", limit);
    line(0, "pid /run/nginx.pid;");
    line(0, "error_log syslog:server=unix:{},tag=nginx warn;", kLogSocket);
    out_ += "\nevents {\n  worker_connections 8192;\n}\n\n";
  }

  void logs() {
    out_ += "  include /etc/nginx/mime.types;\n  default_type application/octet-stream;\n";
    out_ += nginx_log_format();
    line(1, "access_log syslog:server=unix:{},tag=nginx_access headrace;", kLogSocket);
    out_ += '\n';
  }

  // Who sends slowly is let go; who comes too often or too many at once gets 429.
  void limits() {
    out_ += R"(  server_tokens off;
  server_names_hash_bucket_size 256;
  client_header_timeout 15s;
  client_body_timeout 30s;
  send_timeout 30s;
  reset_timedout_connection on;
  keepalive_timeout 65s;
  large_client_header_buffers 4 16k;
  sendfile on;
  tcp_nopush on;
  limit_req_status 429;
  limit_conn_status 429;
)";
    line(1, "client_max_body_size {};", config_.site.body_bytes_max);
    const auto& site = config_.site;
    if (site.rate != 0)
      line(1, "limit_req_zone $binary_remote_addr zone=requests:10m rate={}r/s;", site.rate);
    if (site.connections != 0) line(1, "limit_conn_zone $binary_remote_addr zone=connections:10m;");
    for (const std::string& each : site.trusted_proxies) line(1, "set_real_ip_from {};", each);
    if (!site.trusted_proxies.empty()) out_ += "  real_ip_header X-Forwarded-For;\n  real_ip_recursive on;\n";
    headers();
    out_ += '\n';
  }

  // An application that sends one of these itself is left alone: an empty value sends nothing.
  void headers() {
    for (const auto& [variable, name, value] :
         {std::tuple("content_security_policy", "csp", "frame-ancestors 'self'"),
          std::tuple("x_content_type_options", "nosniff", "nosniff"),
          std::tuple("referrer_policy", "referrer", "strict-origin-when-cross-origin")}) {
      line(1, "map $upstream_http_{} $headrace_{} {{", variable, name);
      line(2, "'' \"{}\";", value);
      line(2, "default '';");
      line(1, "}}");
    }
  }

  void upstream(std::string_view name, const std::vector<const Node*>& nodes, int kept) {
    if (nodes.empty()) return;
    line(1, "upstream {} {{", name);
    if (nodes.size() > 1) line(2, "least_conn;");
    for (const Node* node : nodes) line(2, "server unix:{} max_fails=0;", node->sockets.back().path);
    line(2, "keepalive {};", kept);
    line(2, "keepalive_timeout 30s;");
    line(1, "}}");
  }

  void upstreams() {
    upstream("web", machine_.of(Kind::kWeb), 16);
    upstream("headrace_api", machine_.of(Kind::kApi), 4);
    if (!config_.site.store_names.empty()) upstream("headrace_store", machine_.of(Kind::kStore), 16);
    out_ += nginx_upgrade_map();
    out_ += '\n';
  }

  void listen(const HostPort& address, std::string_view more) {
    line(2, "listen {}{};", address_text(address), more);
    if (address.host == "0.0.0.0") line(2, "listen [::]:{}{};", address.port, more);
  }

  bool own_http2_directive() const { return machine_.facts.nginx >= std::array{1, 25, 1}; }

  void listen_tls() {
    listen(machine_.https, own_http2_directive() ? " ssl" : " ssl http2");
    if (own_http2_directive()) line(2, "http2 on;");
  }

  // A name that nobody asked for gets no certificate and no page; health may be asked under any.
  void refuse_strangers() {
    line(1, "server {{");
    listen(machine_.http, " default_server");
    listen(machine_.https, " ssl default_server");
    out_ += R"(    server_name _;
    ssl_reject_handshake on;
    access_log off;
    location = /_headrace/nginx {
      return 204;
    }
    location / {
      return 444;
    }
  }
)";
  }

  void redirect() {
    line(1, "server {{");
    listen(machine_.http, "");
    line(2, "server_name {}{}{};", fmt::join(config_.site.names, " "),
         config_.site.store_names.empty() ? "" : " ", fmt::join(config_.site.store_names, " "));
    const std::string port = machine_.https.port == 443 ? "" : fmt::format(":{}", machine_.https.port);
    line(2, "return 308 https://$host{}$request_uri;", port);
    line(1, "}}");
  }

  void certificate() {
    line(2, "ssl_certificate {};", certificate_of(machine_));
    line(2, "ssl_certificate_key {};", certificate_key_of(machine_));
    out_ += nginx_tls();
    const bool hybrid = machine_.facts.openssl >= std::array{3, 5, 0};
    line(2, "ssl_ecdh_curve {}X25519:prime256v1:secp384r1;", hybrid ? "X25519MLKEM768:" : "");
    // Browsers let nobody past a self-signed certificate once they have seen this header.
    if (!config_.site.certificate.empty())
      line(2, "add_header Strict-Transport-Security \"max-age=63072000\" always;");
  }

  void address_limits() {
    const auto& site = config_.site;
    if (site.rate != 0) line(2, "limit_req zone=requests burst={} nodelay;", site.rate * 2);
    if (site.connections != 0) line(2, "limit_conn connections {};", site.connections);
  }

  void site() {
    line(1, "server {{");
    listen_tls();
    line(2, "server_name {};", fmt::join(config_.site.names, " "));
    certificate();
    line(2, "add_header X-Request-Id $request_id always;");
    line(2, "add_header Content-Security-Policy $headrace_csp always;");
    line(2, "add_header X-Content-Type-Options $headrace_nosniff always;");
    line(2, "add_header Referrer-Policy $headrace_referrer always;");
    address_limits();
    out_ += nginx_proxy(config_.web.timeout);
    own_paths();
    if (!config_.site.files.empty()) files();
    line(2, "location / {{");
    line(3, "{};", machine_.has_web() ? "proxy_pass http://web" : "return 404");
    line(2, "}}");
    line(1, "}}");
  }

  void own_paths() {
    out_ += R"(    location = /_headrace/nginx {  # nginx itself, for a load balancer's health check
      access_log off;
      return 204;
    }
    location /_headrace/ {  # it shows queues and results
      allow 127.0.0.0/8;
      allow ::1;
)";
    for (const std::string& each : config_.site.console) line(3, "allow {};", each);
    line(3, "deny all;");
    line(3, "proxy_pass http://headrace_api;");
    line(2, "}}");
  }

  void files() {
    line(2, "location /static/ {{");
    line(3, "alias {}/;", config_.site.files);
    line(3, "disable_symlinks if_not_owner;");
    line(3, "expires 1h;");
    line(2, "}}");
  }

  // SQS and S3 as they are: what a client signed (path, query, every header) reaches the store byte for byte.
  void store() {
    line(1, "server {{");
    listen_tls();
    line(2, "server_name {};", fmt::join(config_.site.store_names, " "));
    certificate();
    address_limits();
    out_ += R"(    client_max_body_size 0;
    merge_slashes off;
    underscores_in_headers on;
    ignore_invalid_headers off;
    location / {
      proxy_pass http://headrace_store;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_read_timeout 90s;
      proxy_send_timeout 90s;
      proxy_next_upstream off;
    }
    location /_headrace/ {
      return 404;
    }
  }
)";
  }

  const Machine& machine_;
  const Config& config_;
  std::string out_;
};

}  // namespace

File render_nginx_host(const Machine& machine) {
  return {.path = std::string(kEtc) + "/nginx.conf", .text = Writer(machine).text()};
}

}  // namespace hr::host
