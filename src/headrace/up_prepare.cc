#include "headrace/up_prepare.h"

#include "headrace/client_settings.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/config_file.h"
#include "host/certificate.h"
#include "host/render/nginx.h"
#include "net/socket.h"
#include "os/linux/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace hr {
namespace {

constexpr std::string_view kHttpDefault = "127.0.0.1:8080", kHttpsDefault = "127.0.0.1:8443";
constexpr std::uint32_t kSocketMode = 0660;
constexpr std::uintmax_t kAccessLogBytesMax = 64U << 20;

using Refused = std::unexpected<UpRefusal>;
template <class T>
using Step = std::expected<T, UpRefusal>;

Refused refuse(int exit_code, std::string sentence) { return Refused({exit_code, std::move(sentence)}); }

// HR_TRY and HR_ASSIGN for a failure that needs its exit code.
#define HR_OR_REFUSE(declaration, expression, exit_code)                     \
  auto HR_CONCAT(hr_step_, __LINE__) = (expression);                         \
  if (!HR_CONCAT(hr_step_, __LINE__))                                        \
    return refuse(exit_code, HR_CONCAT(hr_step_, __LINE__).error().message); \
  declaration = std::move(*HR_CONCAT(hr_step_, __LINE__))

std::string absolute(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).lexically_normal().string();
}

Step<Config> configuration(const UpFlags& flags) {
  const std::string file = flags.config_file.empty() ? locate_config() : flags.config_file;
  if (file.empty())
    return refuse(kExitUsage, "no headrace.toml in this folder or above; name one with --config FILE");
  HR_OR_REFUSE(Config config, read_config(absolute(file)), kExitUsage);
  config.file = absolute(file);
  return config;
}

// What the file asks for and only an installed host does: said, so that nobody relies on it here.
void say_what_is_left(const Config& config) {
  constexpr std::string_view kHosts[] = {
      "app.user",         "app.writable", "app.allow",        "site.files",    "site.console",
      "site.store_names", "site.rate",    "site.connections", "site.body_max", "site.trusted_proxies"};
  for (const auto& [key, where] : config.where) {
    const bool network = key.ends_with(".network") && (key.starts_with("web.") || key.starts_with("worker."));
    if (key.starts_with("host.") || network || std::ranges::count(kHosts, key) != 0)
      fmt::print(stderr, "headrace: {} is not enforced by `headrace up`\n", place_of(config, key));
  }
}

std::string own_program() {
  const char* told = std::getenv("HEADRACE_PROGRAM");
  if (told != nullptr && *told != '\0') return told;
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

// --- nginx

// Debian keeps it where an ordinary user's PATH does not look.
std::string find_nginx() {
  const char* path = std::getenv("PATH");
  const auto found =
      os::find_program("nginx", fmt::format("{}:{}", path != nullptr ? path : "/bin", os::kUsualPath));
  return found.value_or("");
}

struct Said {
  int code = -1;
  std::string text;
};
// What a short command prints, through a file: nothing can fill up and wait.
Result<Said> ask(os::Processes& processes, std::vector<std::string> command, const std::string& file) {
  const os::Fd output(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!output.open()) return fail(Errc::kIo, file + ": cannot be written");
  HR_ASSIGN(const int pid, processes.spawn({.command = std::move(command), .output = output.get()}));
  int status = 0;
  os::retried([&] { return ::waitpid(pid, &status, 0); });
  HR_ASSIGN(std::string text, read_text(file));
  return Said{.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .text = std::move(text)};
}

Step<host::NginxFacts> nginx_facts(os::Processes& processes, const host::Place& place) {
  const std::string output = place.state + "/nginx/said";
  HR_OR_REFUSE(const Said said, ask(processes, {place.nginx, "-v"}, output), kExitUnavailable);
  HR_OR_REFUSE(const auto version, host::parse_nginx_version(said.text), kExitUnavailable);
  return host::NginxFacts{
      .version = version, .processors = std::thread::hardware_concurrency(), .root = ::geteuid() == 0};
}

Step<bool> prepare_nginx(os::Processes& processes, const UpGround& ground) {
  const auto facts = nginx_facts(processes, ground.place);
  if (!facts) return Refused(facts.error());
  const host::Paths paths(ground.place.state);
  HR_OR_REFUSE(const std::string text, host::render_nginx(ground.config, ground.place, *facts), kExitUsage);
  const auto written = write_private(paths.nginx_file(), text);
  if (!written) return refuse(kExitUnavailable, written.error().message);
  rotate(paths.access_log(), kAccessLogBytesMax);
  HR_OR_REFUSE(const Said said,
               ask(processes,
                   {ground.place.nginx, "-t", "-q", "-e", "stderr", "-p", paths.nginx_folder() + "/", "-c",
                    paths.nginx_file()},
                   paths.nginx_folder() + "/said"),
               kExitUnavailable);
  if (said.code != 0)
    return refuse(kExitUsage, fmt::format("nginx does not take the configuration made from {}: {}",
                                          ground.config.file, said.text.substr(0, 1'000)));
  return true;
}

Step<bool> prepare_certificate(const UpGround& ground, const os::Clock& clock, os::Entropy& entropy) {
  const auto& site = ground.config.site;
  if (!site.certificate.empty()) return true;  // nginx says what is wrong with the user's own
  const host::Paths paths(ground.place.state);
  HR_OR_REFUSE(const std::string old, read_text(paths.certificate()), kExitUnavailable);
  if (::access(paths.certificate_key().c_str(), R_OK) == 0 &&
      host::still_serves(old, site.names, clock.wall()))
    return true;
  HR_OR_REFUSE(const auto made, host::make_self_signed(site.names, clock.wall(), entropy), kExitUsage);
  for (const auto& [path, text] :
       {std::pair(paths.certificate_key(), made.key), std::pair(paths.certificate(), made.certificate)}) {
    if (auto written = write_private(path, text); !written)
      return refuse(kExitUnavailable, written.error().message);
  }
  return true;
}

// --- sockets

struct TcpSocket {
  HostPort address;  // with the port it has
  os::Fd fd;
};

Step<TcpSocket> listen_tcp(const std::string& text, std::string_view mend) {
  HR_OR_REFUSE(HostPort address, parse_listen(text), kExitUsage);
  auto listening = net::listen_on(net::TcpAddress{address.host, address.port});
  if (!listening) {
    const bool busy = listening.error().code == Errc::kBusy;
    return refuse(
        kExitUnavailable,
        busy ? fmt::format("{} is in use by another program; stop it, or choose another with {}", text, mend)
             : fmt::format("{}; choose another with {}", listening.error().message, mend));
  }
  address.port = listening->port;
  return TcpSocket{.address = address, .fd = os::Fd(listening->fd.release())};
}

Step<os::Fd> listen_unix(const std::string& path) {
  auto listening = net::listen_on(net::UnixAddress{path, kSocketMode});
  if (!listening) return refuse(kExitUnavailable, listening.error().message);
  return os::Fd(listening->fd.release());
}

// A unix socket's path has 107 bytes at most: known before anything starts.
Step<bool> check_lengths(const Config& config, const host::Paths& paths) {
  std::vector<std::string> all = {paths.store_socket(), paths.web_socket(config.web.processes)};
  for (const PoolConfig& pool : config.pools) all.push_back(paths.worker_socket(pool.name));
  for (const std::string& path : all) {
    if (path.size() >= sizeof(sockaddr_un{}.sun_path))
      return refuse(kExitUsage,
                    fmt::format("{}: too long for a unix socket ({} bytes, at most {}); give a shorter "
                                "folder with --state",
                                path, path.size(), sizeof(sockaddr_un{}.sun_path) - 1));
  }
  return true;
}

// --- environment

// Said by whoever started us, to us alone; or of another store; or credentials of AWS, which ours does not
// know.
bool passed_on(std::string_view entry, const ServicesConfig& services) {
  static constexpr std::string_view kOurs[] = {
      "NOTIFY_SOCKET=",  "WATCHDOG_USEC=", "WATCHDOG_PID=",   "LISTEN_FDS=",   "LISTEN_PID=",
      "LISTEN_FDNAMES=", "NGINX=",         "JOURNAL_STREAM=", "INVOCATION_ID="};
  static constexpr std::string_view kOfAmazon[] = {
      "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN="};
  static constexpr std::string_view kOfAStore[] = {"HEADRACE_ENDPOINT=", "HEADRACE_KEYS="};
  const auto named = [&](std::string_view name) { return entry.starts_with(name); };
  if (services.local_sqs && services.local_s3 && std::ranges::any_of(kOfAmazon, named)) return false;
  if ((services.local_sqs || services.local_s3) && std::ranges::any_of(kOfAStore, named)) return false;
  return std::ranges::none_of(kOurs, named);
}

// Roles find our store by what is said here; where one of the services is Amazon's, by STATE/client.json, and
// Amazon's as they would without us.
std::vector<std::string> environment_of(const UpGround& ground) {
  const host::Paths paths(ground.place.state);
  const ServicesConfig& services = ground.config.services;
  std::vector<std::pair<std::string, std::string>> ours = {
      {"HEADRACE_CONFIG", ground.config.file},
      {"HEADRACE_STATE", ground.place.state},
      {"HEADRACE_VERSION", kVersion},
      {"HEADRACE_LOG", "stderr"},
  };
  if (services.local_sqs && services.local_s3) {
    ours.insert(ours.end(), {{"HEADRACE_ENDPOINT", "unix:" + paths.store_socket()},
                             {"HEADRACE_KEYS", paths.keys()},
                             {"HEADRACE_REGION", ground.config.store.region}});
  }
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool replaced =
        std::ranges::any_of(ours, [&](const auto& each) { return text.starts_with(each.first + "="); });
    if (passed_on(text, services) && !replaced) out.emplace_back(text);
  }
  for (const auto& [name, value] : ours) out.push_back(name + "=" + value);
  return out;
}

struct Ports {
  TcpSocket store, http, https;
};

// Said before one of them is "in use by another program".
std::string same_address(const std::string& http, const std::string& https, const std::string& store) {
  const auto both = [](const std::string& a, const std::string& b) { return a == b && !a.ends_with(":0"); };
  if (both(http, https)) return fmt::format("HTTP and HTTPS are both to be served at {}", http);
  if (both(http, store)) return fmt::format("HTTP and the store are both to be served at {}", http);
  if (both(https, store)) return fmt::format("HTTPS and the store are both to be served at {}", https);
  return "";
}

Step<Ports> listen_ports(const UpFlags& flags, const Config& config) {
  const auto first = [](const std::string& a, const std::string& b, std::string_view c) {
    return !a.empty() ? a : !b.empty() ? b : std::string(c);
  };
  const std::string http = first(flags.http, config.site.http, kHttpDefault);
  const std::string https = first(flags.https, config.site.https, kHttpsDefault);
  const std::string store = host::has_store(config) ? config.store.listen : "";
  if (std::string same = same_address(http, https, store); !same.empty())
    return refuse(kExitUsage, same + "; give one of them another address");
  Ports out;
  for (const auto& [to, text, mend] :
       {std::tuple(&out.store, store, "store.listen in the configuration file"),
        std::tuple(&out.http, http, "--http ADDRESS:PORT"),
        std::tuple(&out.https, https, "--https ADDRESS:PORT")}) {
    if (text.empty()) continue;
    auto listening = listen_tcp(text, mend);
    if (!listening) return Refused(listening.error());
    *to = std::move(*listening);
  }
  if (!store.empty() && !out.store.address.loopback && !config.store.allow_remote)
    return refuse(kExitUsage,
                  fmt::format("store.listen {} is not a loopback address: requests would travel without "
                              "TLS; set store.allow_remote = true if that is meant",
                              config.store.listen));
  return out;
}

Step<bool> make_roles(UpGround& ground, Ports ports) {
  auto roles = host::topology_of(ground.config, ground.place);
  const auto environment = environment_of(ground);
  for (host::Role& role : roles) {
    UpRole each{.role = std::move(role), .sockets = {}, .environment = environment};
    for (const host::Socket& socket : each.role.sockets) {
      if (socket.path.empty()) {
        TcpSocket& tcp = socket.name == "http"    ? ports.http
                         : socket.name == "https" ? ports.https
                                                  : ports.store;
        each.sockets.push_back(std::move(tcp.fd));
        continue;
      }
      auto listening = listen_unix(socket.path);
      if (!listening) return Refused(listening.error());
      each.sockets.push_back(std::move(*listening));
    }
    ground.roles.push_back(std::move(each));
  }
  return true;
}

#undef HR_OR_REFUSE

}  // namespace

std::expected<UpGround, UpRefusal> prepare_up(const UpFlags& flags, os::Processes& processes,
                                              const os::Clock& clock, os::Entropy& entropy) {
  auto config = configuration(flags);
  if (!config) return Refused(config.error());
  say_what_is_left(*config);
  UpGround ground;
  ground.config = std::move(*config);
  const auto beside = std::filesystem::path(ground.config.file).parent_path() / ".headrace";
  ground.place.state = absolute(flags.state.empty() ? beside.string() : flags.state);
  ground.place.program = own_program();
  ground.place.nginx = find_nginx();
  if (ground.place.nginx.empty())
    return refuse(kExitUnavailable, "nginx is not installed; install it with: apt install nginx-light");
  if (auto long_one = check_lengths(ground.config, host::Paths(ground.place.state)); !long_one)
    return Refused(long_one.error());
  auto lock = StateFolder::open(ground.place.state);
  if (!lock) return refuse(kExitUnavailable, lock.error().message);
  ground.lock = std::move(*lock);
  auto ports = listen_ports(flags, ground.config);
  if (!ports) return Refused(ports.error());
  ground.place.store = ports->store.address;
  ground.place.http = ports->http.address;
  ground.place.https = ports->https.address;
  if (auto made = prepare_certificate(ground, clock, entropy); !made) return Refused(made.error());
  if (auto made = prepare_nginx(processes, ground); !made) return Refused(made.error());
  if (auto made = make_roles(ground, std::move(*ports)); !made) return Refused(made.error());
  return ground;
}

}  // namespace hr
