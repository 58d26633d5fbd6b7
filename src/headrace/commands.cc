#include "headrace/commands.h"

#include "headrace/command.h"
#include "headrace/operator_commands.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <csignal>
#include <string>
#include <vector>

namespace hr {

const char* const kVersion = "0.1.0";

int usage_error(const std::string& message) {
  fmt::print(stderr, "headrace: {}\n", message);
  return kExitUsage;
}

int run_command_line(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Headrace: queues, objects and workers for one Linux host", "headrace");
  app.set_version_flag("--version", std::string("headrace ") + kVersion);
  app.require_subcommand(1);
  const std::vector<Command> commands = {
      up_command(app),      store_command(app),     api_command(app),    jobs_command(app),
      keys_command(app),    web_command(app),       worker_command(app), python_command(app),
      host_command(app),    diagram_command(app),   doctor_command(app), manual_command(app),
      workers_command(app), queues_command(app),    dead_command(app),   top_command(app),
      pause_command(app),   resume_command(app),    drain_command(app),  reload_command(app),
      cancel_command(app),  log_level_command(app),
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return kExitUsage;
  }
  for (const Command& command : commands) {
    if (command.line->parsed()) return command.run();
  }
  return kExitUsage;
}

}  // namespace hr
