// The command line: what each command takes, and the exit codes every command shares.
#pragma once

namespace hr {

// What every command ends with; drift belongs to commands that compare.
enum ExitCode : int { kExitOk = 0, kExitFailed = 1, kExitUsage = 2, kExitDrift = 3, kExitUnavailable = 4 };

int run_command_line(int argc, char** argv);

}  // namespace hr
