// `headrace web`: finds the socket and the interpreter, and becomes that interpreter, which runs
// python/headrace/_web.py. The same process id: whoever started it watches the right one.
#include "headrace/client_settings.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/config_file.h"
#include "headrace/notify.h"
#include "headrace/python_program.h"
#include "net/socket.h"
#include "os/linux/program.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace hr {
namespace {

namespace fs = std::filesystem;

struct WebFlags {
  std::string config_file, state, socket;
  unsigned instance = 1;
};

// Says what is missing instead of Python's own words, which do not say what to do.
constexpr const char* kStart = R"(
import sys
try:
    from headrace._web import main
except ImportError as error:
    if isinstance(error, ModuleNotFoundError) and (error.name or '').split('.')[0] == 'headrace':
        python = sys.executable
        error = '%s has no package headrace; run: headrace python install %s' % (python, python)
    sys.stderr.write('headrace: %s\n' % error)
    sys.exit(2)
sys.exit(main())
)";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

void set_default(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 0); }
void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

int exit_code(const Error& error) {
  return error.code == Errc::kBusy || error.code == Errc::kIo ? kExitUnavailable : kExitUsage;
}

// The one that was passed, else a new one; it survives exec.
Result<int> listening_socket(const std::string& path) {
  const std::vector<int> passed = passed_sockets();
  if (passed.size() > 1) {
    return fail(Errc::kInvalid,
                fmt::format("{} sockets were passed; an application worker has one", passed.size()));
  }
  if (passed.size() == 1) return passed.front();
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  HR_ASSIGN(net::Listening listening, net::listen_on(net::UnixAddress{.path = path, .mode = 0660}));
  return listening.fd.release();
}

int become(const std::string& program, std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execv(program.c_str(), pointers.data());
  return usage_error(fmt::format("{} cannot be run: {}", program, std::strerror(errno)));
}

int become_command(const WebConfig& web, int socket) {
  const auto program = os::find_program(web.command.front(), environment("PATH"));
  if (!program) return usage_error("web.command: " + program.error().message);
  // As systemd passes it: descriptor 3, and it blocks.
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) & ~O_NONBLOCK);
  if (socket == 3) {
    ::fcntl(socket, F_SETFD, 0);
  } else {
    ::dup2(socket, 3);
  }
  set("LISTEN_FDS", "1");
  set("LISTEN_FDNAMES", "web");
  set("LISTEN_PID", std::to_string(::getpid()));
  return become(*program, web.command);
}

int become_python(const Config& config, int socket) {
  const auto python = find_python(config.app.python);
  if (!python) {
    return usage_error(
        fmt::format("app.python: {}; make one with: python3 -m venv FOLDER, then headrace python "
                    "install FOLDER",
                    python.error().message));
  }
  ::fcntl(socket, F_SETFD, 0);
  set("HEADRACE_WEB_FD", std::to_string(socket));
  set("HEADRACE_APP", config.web.app);
  set("HEADRACE_THREADS", std::to_string(config.web.threads));
  set("HEADRACE_TIMEOUT_MS", std::to_string(config.web.timeout.count()));
  set_default("PYTHONUNBUFFERED", "1");
  return become(*python, {*python, "-c", kStart});
}

int run(const WebFlags& flags) {
  const std::string file = flags.config_file.empty() ? locate_config() : flags.config_file;
  if (file.empty()) {
    return usage_error("no headrace.toml in this folder or above; name one with --config FILE");
  }
  std::error_code ignored;
  const std::string absolute = fs::absolute(file, ignored).lexically_normal().string();
  const auto config = read_config(absolute);
  if (!config) return usage_error(config.error().message);
  if (config->web.app.empty() && config->web.command.empty()) {
    return usage_error(
        fmt::format("{} has no [web] app = \"module:attribute\"; there is nothing to serve", file));
  }
  std::string state = flags.state.empty() ? environment("HEADRACE_STATE") : flags.state;
  if (state.empty()) state = fs::path(absolute).parent_path() / ".headrace";
  state = fs::absolute(state, ignored).lexically_normal().string();
  const std::string path = flags.socket.empty()
                               ? fmt::format("{}/run/web-{}.sock", state, flags.instance)
                               : fs::absolute(flags.socket, ignored).lexically_normal().string();
  const auto socket = listening_socket(path);
  if (!socket) {
    usage_error(socket.error().message);
    return exit_code(socket.error());
  }
  if (::chdir(config->app.root.c_str()) != 0) {
    return usage_error(fmt::format("app.root is {}: {}", config->app.root, std::strerror(errno)));
  }
  set_default("HEADRACE_CONFIG", absolute);
  set_default("HEADRACE_STATE", state);
  set_default("HEADRACE_VERSION", kVersion);
  return config->web.command.empty() ? become_python(*config, *socket) : become_command(config->web, *socket);
}

}  // namespace

Command web_command(CLI::App& app) {
  const auto flags = std::make_shared<WebFlags>();
  CLI::App* web = app.add_subcommand("web", "Run one application worker: the WSGI application of [web]");
  web->add_option("--config", flags->config_file,
                  "Configuration file (default: HEADRACE_CONFIG, else the nearest headrace.toml)");
  web->add_option("--state", flags->state,
                  "State folder (default: HEADRACE_STATE, else .headrace beside it)");
  web->add_option("--instance", flags->instance, "Which of the workers, from 1: part of the socket's name")
      ->check(CLI::Range(1U, 64U));
  web->add_option(
      "--socket", flags->socket,
      "Unix socket to make (default: STATE/run/web-N.sock); not used when one is passed (LISTEN_FDS)");
  web->footer(
      "Exit codes: 0 ended as asked, 1 failed or a request ran into web.timeout, 2 usage, configuration or "
      "the "
      "application cannot be loaded, 4 the socket is in use.");
  return {web, [flags] { return run(*flags); }};
}

}  // namespace hr
