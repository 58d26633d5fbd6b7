// sim_store: the whole commit path against its oracle, seed after seed; with --planted, whether the planted
// bugs are found. The exit code is 1 when a promise is broken, and the seed that is printed breaks it again.
#include "store_plants.h"
#include "store_world.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>

namespace hr::sim {
namespace {

struct Options {
  std::uint64_t seeds = 150;
  std::uint64_t from = 1;
  std::uint64_t operations = 2'000;
};

bool simulate(const Options& o) {
  StoreRun total;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t seed = o.from; seed < o.from + o.seeds; ++seed) {
    const StoreRun run = run_store_world(seed, o.operations, {});
    if (run.difference) {
      fmt::print("seed {}: after {} operations: {}\n", seed, run.operations, *run.difference);
      return false;
    }
    total.operations += run.operations;
    total.crashes += run.crashes;
    total.acknowledged += run.acknowledged;
    total.rounds += run.rounds;
    total.dropped += run.dropped;
    total.clock_jumps += run.clock_jumps;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print(
      "{} seeds ({:.0f}/s), {} operations, {} acknowledged, {} crashes, {} jumps of the clock, {} "
      "checkpoints, {} "
      "segments gone: every promise kept\n",
      o.seeds, static_cast<double>(o.seeds) / took.count(), total.operations, total.acknowledged,
      total.crashes, total.clock_jumps, total.rounds, total.dropped);
  return true;
}

bool find_planted(const Options& o) {
  bool all = true;
  fmt::print("{:<46} {:>6}  {}\n", "planted bug", "seed", "found by");
  for (const StorePlant& plant : store_plants()) {
    std::uint64_t seed = o.from;
    StoreRun run;
    while (seed < o.from + o.seeds && !(run = run_store_world(seed, o.operations, plant.parts)).difference)
      ++seed;
    all = all && run.difference.has_value();
    fmt::print("{:<46} {:>6}  {}\n", plant.name, run.difference ? std::to_string(seed) : "none",
               run.difference.value_or("NOT FOUND"));
  }
  return all;
}

}  // namespace
}  // namespace hr::sim

int main(int argc, char** argv) {
  hr::sim::Options options;
  bool planted = false;
  CLI::App app("Simulates the whole store over a disk that lies");
  app.add_option("--seeds", options.seeds);
  app.add_option("--from", options.from);
  app.add_option("--operations", options.operations, "of each seed");
  app.add_flag("--planted", planted, "look for the planted bugs instead");
  CLI11_PARSE(app, argc, argv);
  return (planted ? hr::sim::find_planted(options) : hr::sim::simulate(options)) ? 0 : 1;
}
