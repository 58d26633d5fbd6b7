// sim_log: the log against its oracle, seed after seed; with --planted, whether the planted bugs are found.
// The exit code is 1 when something differs, and the seed that is printed fails again.
#include "log_plants.h"
#include "log_run.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <ctime>

namespace hr::sim {
namespace {

struct Options {
  std::uint64_t seeds = 6000;
  std::uint64_t from = 1;
  std::uint64_t operations = 120;
};

bool simulate(const Options& o) {
  const std::clock_t start = std::clock();
  LogRun total;
  for (std::uint64_t seed = o.from; seed < o.from + o.seeds; ++seed) {
    const LogRun run = run_log(seed, o.operations, {});
    total.add(run);
    if (!run.difference) continue;
    fmt::print("seed {}, after {} operations: {}\n", seed, run.operations, *run.difference);
    return false;
  }
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  fmt::print(
      "{} seeds, {} operations, {} groups; {} power cuts, {} kills, {} faults, {} full disks, {} damages of "
      "which {} "
      "refused by name: nothing acknowledged was lost. {:.0f} seeds, {:.0f} operations a CPU second\n",
      o.seeds, total.operations, total.groups, total.cuts, total.kills, total.faults, total.full,
      total.damages, total.refused, static_cast<double>(o.seeds) / seconds,
      static_cast<double>(total.operations) / seconds);
  return true;
}

bool find_planted(const Options& o) {
  bool all = true;
  fmt::print("{:<42} {:>6} {:>6}  {}\n", "planted bug", "seed", "tried", "found by");
  for (const LogPlant& plant : log_plants()) {
    std::uint64_t seed = o.from;
    LogRun run;
    while (seed < o.from + o.seeds && !(run = run_log(seed, o.operations, plant.subject)).difference) ++seed;
    const bool found = run.difference.has_value();
    const std::string how =
        found ? run.difference->substr(0, run.difference->find("; last operations")) : "NOT FOUND";
    fmt::print("{:<42} {:>6} {:>6}  {}\n", plant.name, found ? std::to_string(seed) : "-",
               seed - o.from + (found ? 1 : 0), how);
    all = all && found;
  }
  return all;
}

}  // namespace
}  // namespace hr::sim

int main(int argc, char** argv) {
  hr::sim::Options options;
  bool planted = false;
  CLI::App app("The log on a disk that lies, checked by an oracle.");
  app.add_option("--seeds", options.seeds, "how many seeds");
  app.add_option("--from", options.from, "the first seed");
  app.add_option("--operations", options.operations, "operations a seed");
  app.add_flag("--planted", planted, "run the planted bugs instead, each until it is found");
  CLI11_PARSE(app, argc, argv);
  return (planted ? hr::sim::find_planted(options) : hr::sim::simulate(options)) ? 0 : 1;
}
