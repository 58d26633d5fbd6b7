#include "headrace/store_repair.h"

#include "base/result.h"
#include "codec/json.h"
#include "codec/time_text.h"
#include "commit/check.h"
#include "commit/repair.h"
#include "headrace/commands.h"
#include "headrace/store_copy.h"
#include "headrace/store_inspect.h"
#include "os/linux/linux.h"
#include "storage/index/index.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace hr {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolders[] = {"log", "state"};
// While files change their places: any start refuses a log with this name in it. What is in it names the
// folder; the first while the old ones go there, the second while the new ones come.
constexpr std::string_view kGoing = "log/repair.going";
constexpr std::string_view kComing = "log/repair.coming";

// What was found, what is done, what is left.
struct Told {
  commit::RepairReport found;
  std::vector<std::string> steps;
  std::string aside;  // the folder's name; empty: nothing is put aside
  bool done = false;
  std::vector<std::string> left;  // damage that is there after it
};

std::vector<std::string> steps_of(const commit::RepairReport& found, const std::string& aside) {
  std::vector<std::string> steps;
  for (const std::string& path : found.strangers) steps.push_back(fmt::format("move {} to {}/", path, aside));
  if (found.reindex)
    steps.push_back(fmt::format("move index/ to {}/, and make it again from the log", aside));
  if (found.rewrite) {
    steps.push_back(
        fmt::format("write a new log with the {} messages that are there, and a checkpoint of {} queues",
                    found.messages, found.queues));
    steps.push_back(
        fmt::format("move log/ and state/ to {}/, and put the new ones into their places", aside));
  }
  return steps;
}

void strings(codec::JsonWriter& out, const char* name, const std::vector<std::string>& all) {
  out.key(name).begin_array();
  for (const std::string& one : all) out.string(one);
  out.end_array();
}

Bytes json_of(const Told& told) {
  Bytes text;
  codec::JsonWriter out(text);
  out.begin_object();
  strings(out, "damage", told.found.damage);
  out.key("lost").begin_array();
  for (const commit::LostMessage& m : told.found.lost) {
    out.begin_object();
    out.field("queue", m.queue);
    out.field("number", static_cast<std::int64_t>(m.number));
    out.field("id", m.id);
    out.end_object();
  }
  out.end_array();
  strings(out, "unknown", told.found.unknown);
  out.field("cannot", told.found.hopeless);
  strings(out, "steps", told.steps);
  out.field("aside", told.aside);
  out.field("done", told.done);
  strings(out, "left", told.left);
  out.end_object();
  return text;
}

void print_found(const Told& told) {
  for (const std::string& what : told.found.damage) fmt::print("DAMAGED  {}\n", what);
  for (const commit::LostMessage& m : told.found.lost) fmt::print("LOST     {}\n", m.text());
  for (const std::string& what : told.found.unknown) fmt::print("UNKNOWN  {}\n", what);
  if (!told.found.hopeless.empty()) {
    fmt::print("CANNOT   {}; go back to a backup (headrace store restore); nothing was changed\n",
               told.found.hopeless);
    return;
  }
  for (const std::string& step : told.steps) fmt::print("{}  {}\n", told.done ? "DONE   " : "WOULD  ", step);
}

void print_text(const Told& told) {
  print_found(told);
  for (const std::string& what : told.left) fmt::print("STILL    {}\n", what);
  if (told.done && told.left.empty()) {
    fmt::print("mended; what was there before is in {}\n", told.aside);
  } else if (told.steps.empty() && told.left.empty() && told.found.hopeless.empty()) {
    fmt::print("all is well: nothing to mend\n");
  } else if (!told.done && !told.steps.empty()) {
    fmt::print("nothing was changed; --yes does it\n");
  }
}

// --- moving files ---

bool is_mark(std::string_view name) { return name.starts_with("repair."); }
bool is_spare(std::string_view name) { return name.starts_with("spare.") || name == "create.tmp"; }

Result<std::vector<os::DirEntry>> list(os::Disk& disk, const std::string& folder) {
  auto entries = disk.list(folder, "repair.list");
  if (!entries && entries.error().code == Errc::kNotFound) return std::vector<os::DirEntry>();
  return entries;
}

// All files of `from`, but marks and spares, which are nothing and go.
Status move_files(os::Disk& disk, const std::string& from, const std::string& to) {
  HR_ASSIGN(const auto entries, list(disk, from));
  HR_TRY(disk.make_dir(to, "repair.create"));
  for (const os::DirEntry& entry : entries) {
    if (is_mark(entry.name)) continue;
    const std::string path = from + "/" + entry.name;
    HR_TRY(is_spare(entry.name) ? disk.remove(path, "repair.remove")
                                : disk.rename(path, to + "/" + entry.name, "repair.rename"));
  }
  HR_TRY(disk.sync_dir(to, "repair.syncdir"));
  return entries.empty() ? Status() : disk.sync_dir(from, "repair.syncdir");
}

Status mark(os::Disk& disk, const std::string& aside) {
  HR_TRY(disk.make_dir("log", "repair.create"));
  HR_ASSIGN(const auto file, disk.open(kGoing, os::OpenMode::kCreate, "repair.create"));
  HR_TRY(file->write_at(0, aside, "repair.write"));
  HR_TRY(file->sync("repair.sync"));
  return disk.sync_dir("log", "repair.syncdir");
}

Status old_ones_go(os::Disk& disk, const std::string& aside) {
  for (const std::string_view folder : kFolders)
    HR_TRY(move_files(disk, std::string(folder), fmt::format("{}/{}", aside, folder)));
  HR_TRY(disk.sync_dir(aside, "repair.syncdir"));
  HR_TRY(disk.rename(kGoing, kComing, "repair.rename"));
  return disk.sync_dir("log", "repair.syncdir");
}

Status new_ones_come(os::Disk& disk, const std::string& aside) {
  for (const std::string_view folder : kFolders)
    HR_TRY(move_files(disk, fmt::format("{}/new/{}", aside, folder), std::string(folder)));
  HR_TRY(disk.sync_dir("", "repair.syncdir"));
  HR_TRY(disk.remove(kComing, "repair.remove"));
  return disk.sync_dir("log", "repair.syncdir");
}

Result<std::optional<std::string>> marked(os::Disk& disk, std::string_view mark) {
  const auto file = disk.open(mark, os::OpenMode::kRead, "repair.open");
  if (!file && file.error().code == Errc::kNotFound) return std::nullopt;
  if (!file) return std::unexpected(file.error());
  std::string aside(256, '\0');
  HR_ASSIGN(const std::size_t got, (*file)->read_at(0, aside, "repair.read"));
  aside.resize(got);
  if (!aside.starts_with("repair-") || aside.find('/') != aside.npos)
    return fail(Errc::kCorrupt, fmt::format("{} does not name the folder of a repair", mark));
  return aside;
}

// A repair that was interrupted while files changed their places goes on where it was.
Result<std::optional<std::string>> unfinished(os::Disk& disk) {
  HR_ASSIGN(auto aside, marked(disk, kComing));
  if (aside) return aside;
  return marked(disk, kGoing);
}

Status finish(os::Disk& disk, const std::string& aside) {
  HR_ASSIGN(const auto going, marked(disk, kGoing));
  if (going) HR_TRY(old_ones_go(disk, aside));
  return new_ones_come(disk, aside);
}

// --- the repair ---

class StoreRepair {
 public:
  StoreRepair(const RepairOptions& options, os::Disk& disk) : options_(options), disk_(disk), repair_(disk) {}

  Status run(Told& told);

 private:
  std::string in_store(std::string_view name) const { return fmt::format("{}/{}", options_.path, name); }
  Status look(Told& told);
  Status carry_out(const Told& told);
  Status put_strangers_aside(const Told& told);
  Status check(Told& told);

  const RepairOptions& options_;
  os::Disk& disk_;
  commit::Repair repair_;
};

Status StoreRepair::look(Told& told) {
  const auto index = storage::open_rocksdb_index_read_only(in_store("index"));
  if (!index && (index.error().code == Errc::kPermission || index.error().code == Errc::kBusy))
    return std::unexpected(index.error());
  HR_ASSIGN(told.found,
            repair_.look(index ? index->get() : nullptr, index ? std::string() : index.error().message));
  if (told.found.whole() || !told.found.hopeless.empty()) return {};
  const Bytes now = codec::amz_date(os::make_clock({})->now());
  told.aside = "repair-" + now;
  for (int n = 2; fs::exists(in_store(told.aside)); ++n) told.aside = fmt::format("repair-{}-{}", now, n);
  told.steps = steps_of(told.found, told.aside);
  return {};
}

Status StoreRepair::put_strangers_aside(const Told& told) {
  for (const std::string& path : told.found.strangers) {
    const std::string name = path.substr(path.find('/') + 1);
    HR_TRY(disk_.rename(path, fmt::format("{}/{}", told.aside, name), "repair.rename"));
    HR_TRY(disk_.sync_dir(path.substr(0, path.find('/')), "repair.syncdir"));
  }
  return {};
}

Status StoreRepair::carry_out(const Told& told) {
  HR_TRY(disk_.make_dir(told.aside, "repair.create"));
  HR_TRY(disk_.sync_dir("", "repair.syncdir"));
  HR_TRY(write_durably(in_store(told.aside + "/repair.json"), json_of(told) + "\n"));
  HR_TRY(put_strangers_aside(told));
  if (told.found.reindex && fs::exists(in_store("index"))) {
    HR_TRY(disk_.rename("index", told.aside + "/index", "repair.rename"));
    HR_TRY(disk_.sync_dir("", "repair.syncdir"));
  }
  if (!told.found.rewrite && !told.found.reindex) return {};
  {
    HR_ASSIGN(const auto index, storage::open_rocksdb_index(in_store("index")));
    HR_ASSIGN(const auto target, os::open_disk(in_store(told.aside + "/new")));
    const auto entropy = os::make_entropy();
    HR_TRY(repair_.write(*target, *entropy, options_.log, *index));
  }
  if (!told.found.rewrite) return {};
  HR_TRY(mark(disk_, told.aside));
  return finish(disk_, told.aside);
}

// What no repair can bring back, as bodies that are gone, is named.
Status StoreRepair::check(Told& told) {
  HR_ASSIGN(const auto index, storage::open_rocksdb_index_read_only(in_store("index")));
  HR_ASSIGN(const auto report, commit::check(disk_, *index, {}));
  told.left = report.damage;
  return {};
}

Status StoreRepair::run(Told& told) {
  HR_ASSIGN(const auto begun, unfinished(disk_));
  if (begun) {
    told.aside = *begun;
    told.found.damage.emplace_back("a repair was interrupted while it put files into their places");
    told.steps.push_back(fmt::format("put the rest of the files of {}/ into their places", *begun));
    if (!options_.yes) return {};
    HR_TRY(finish(disk_, *begun));
  } else {
    HR_TRY(look(told));
    if (!told.found.hopeless.empty()) return {};
    if (told.found.whole()) return check(told);
    if (!options_.yes) return {};
    HR_TRY(carry_out(told));
  }
  told.done = true;
  std::error_code ignored;
  fs::remove_all(in_store(told.aside + "/new"), ignored);  // its folders are empty now
  HR_TRY(check(told));
  return give_to_owner(options_.path);
}

int exit_code_of(const Told& told) {
  if (!told.found.hopeless.empty() || !told.left.empty()) return kExitFailed;
  return told.steps.empty() || told.done ? kExitOk : kExitDrift;
}

}  // namespace

int repair_store(const RepairOptions& options) {
  const auto store = open_stopped_store(options.path);
  if (!store) return inspection_refused(store.error());
  Told told;
  if (const Status done = StoreRepair(options, *store->disk).run(told); !done) {
    print_found(told);
    return inspection_refused(done.error());
  }
  if (options.json) {
    fmt::print("{}\n", json_of(told));
  } else {
    print_text(told);
  }
  return exit_code_of(told);
}

}  // namespace hr
