// The commands with which people look at a running application and change it. Each adds its subcommand to
// `app`.
#pragma once

#include "headrace/command.h"

namespace hr {

Command workers_command(CLI::App& app);
Command queues_command(CLI::App& app);
Command dead_command(CLI::App& app);
Command top_command(CLI::App& app);
Command pause_command(CLI::App& app);
Command resume_command(CLI::App& app);
Command drain_command(CLI::App& app);
Command reload_command(CLI::App& app);
Command cancel_command(CLI::App& app);
Command log_level_command(CLI::App& app);

}  // namespace hr
