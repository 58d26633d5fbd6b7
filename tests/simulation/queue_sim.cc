// sim_queue: the queue engine against its model, seed after seed; with --planted, whether the planted bugs
// are found; damaged logs. The exit code is 1 when something differs, and the seed that is printed fails
// again.
#include "queue_plants.h"
#include "queue_run.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>

namespace hr::sim {
namespace {

struct Options {
  std::uint64_t seeds = 600;
  std::uint64_t from = 1;
  std::uint64_t operations = 2000;
};

bool simulate(const Options& o) {
  const MakeSubject make = [](queue::Limits limits) { return std::make_unique<QueueSubject>(limits); };
  QueueRun total;
  for (std::uint64_t seed = o.from; seed < o.from + o.seeds; ++seed) {
    const QueueRun run = run_queue(seed, o.operations, make);
    if (run.difference) {
      fmt::print("seed {}: {}\n", seed, *run.difference);
      return false;
    }
    total.operations += run.operations;
    total.messages += run.messages;
    total.restarts += run.restarts;
  }
  fmt::print("{} seeds, {} operations, {} messages, {} restarts: engine and model agree\n", o.seeds,
             total.operations, total.messages, total.restarts);
  return true;
}

bool damage(const Options& o) {
  DamageRun total;
  for (std::uint64_t seed = o.from; seed < o.from + o.seeds; ++seed) {
    const DamageRun run = run_damage(seed, 300);
    total.tried += run.tried;
    total.accepted += run.accepted;
    if (!run.difference) continue;
    fmt::print("seed {}: damaged log: {}\n", seed, *run.difference);
    return false;
  }
  fmt::print("{} damaged records: {} refused, {} taken for true, the state always sound\n", total.tried,
             total.tried - total.accepted, total.accepted);
  return true;
}

bool find_planted(const Options& o) {
  bool all = true;
  fmt::print("{:<46} {:>6}  {}\n", "planted bug", "seed", "found by");
  for (const QueuePlant& plant : queue_plants()) {
    std::uint64_t seed = o.from;
    QueueRun run;
    while (seed < o.from + o.seeds && !(run = run_queue(seed, o.operations, plant.make)).difference) ++seed;
    all = all && run.difference;
    fmt::print("{:<46} {:>6}  {}\n", plant.name, run.difference ? std::to_string(seed) : "-",
               run.difference.value_or("NOT FOUND"));
  }
  return all;
}

int main(int argc, char** argv) {
  CLI::App app("The queue engine against its model.");
  Options options;
  bool planted = false;
  app.add_option("--seeds", options.seeds, "how many seeds")->capture_default_str();
  app.add_option("--from", options.from, "the first seed")->capture_default_str();
  app.add_option("--ops", options.operations, "operations for each seed")->capture_default_str();
  app.add_flag("--planted", planted, "look for the planted bugs instead");
  CLI11_PARSE(app, argc, argv);
  const bool good = planted ? find_planted(options) : simulate(options) && damage(options);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace hr::sim

int main(int argc, char** argv) { return hr::sim::main(argc, argv); }
