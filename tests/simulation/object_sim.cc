// sim_object: object engine, applier and listing against their model, seed after seed; with --planted,
// whether the planted bugs are found. The exit code is 1 when something differs, and the seed that is printed
// fails again.
#include "object_plants.h"
#include "object_run.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace hr::sim {
namespace {

struct Options {
  std::uint64_t seeds = 150;
  std::uint64_t from = 1;
  std::uint64_t operations = 2000;
};

bool simulate(const Options& o) {
  const MakeObjectSubject make = [](object::Limits limits) {
    return std::make_unique<ObjectSubject>(limits);
  };
  ObjectRun total;
  for (std::uint64_t seed = o.from; seed < o.from + o.seeds; ++seed) {
    const ObjectRun run = run_objects(seed, o.operations, make);
    if (run.difference) {
      fmt::print("seed {}: {}\n", seed, *run.difference);
      return false;
    }
    total.operations += run.operations;
    total.stale += run.stale;
    total.crashes += run.crashes;
    total.swept += run.swept;
  }
  fmt::print("{} seeds, {} operations, {} of them stale at first, {} crashes, {} orphans swept: all agree\n",
             o.seeds, total.operations, total.stale, total.crashes, total.swept);
  return true;
}

bool find_planted(const Options& o) {
  bool all = true;
  fmt::print("{:<46} {:>6}  {}\n", "planted bug", "seed", "found by");
  for (const ObjectPlant& plant : object_plants()) {
    std::uint64_t seed = o.from;
    ObjectRun run;
    while (seed < o.from + o.seeds && !(run = run_objects(seed, o.operations, plant.make)).difference) ++seed;
    all = all && run.difference;
    fmt::print("{:<46} {:>6}  {}\n", plant.name, run.difference ? std::to_string(seed) : "-",
               run.difference.value_or("NOT FOUND"));
  }
  return all;
}

int main(int argc, char** argv) {
  CLI::App app("The object engine against its model.");
  Options options;
  bool planted = false;
  app.add_option("--seeds", options.seeds, "how many seeds")->capture_default_str();
  app.add_option("--from", options.from, "the first seed")->capture_default_str();
  app.add_option("--ops", options.operations, "operations for each seed")->capture_default_str();
  app.add_flag("--planted", planted, "look for the planted bugs instead");
  CLI11_PARSE(app, argc, argv);
  const bool good = planted ? find_planted(options) : simulate(options);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace hr::sim

int main(int argc, char** argv) { return hr::sim::main(argc, argv); }
