// `headrace store`: its command line.
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/config_file.h"
#include "headrace/log_sinks.h"
#include "headrace/store_backup.h"
#include "headrace/store_inspect.h"
#include "headrace/store_repair.h"
#include "headrace/store_role.h"
#include "headrace/store_salvage.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace hr {
namespace {

// Options of a command line that stand above the configuration file.
struct StoreFlags {
  std::string config_file;
  std::optional<std::string> path, listen, socket;
  std::string ready_file;
  bool verbose = false;
  bool bodies = false, json = false, yes = false, dry_run = false;
  const CLI::App* check = nullptr;
  const CLI::App* dump = nullptr;
  const CLI::App* repair = nullptr;
  const CLI::App* backup = nullptr;
  const CLI::App* restore = nullptr;
  std::string copy;  // of backup and restore
  const CLI::App* scrub = nullptr;
  const CLI::App* salvage = nullptr;
  bool scrub_now = false;
  SalvageOptions saved;
};

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

void add_backup(CLI::App& store, const std::shared_ptr<StoreFlags>& flags) {
  CLI::App* const backup =
      store.add_subcommand("backup", "Copy a store, running or stopped, as of one moment");
  backup->add_option("DEST", flags->copy, "A new or empty folder")->required();
  CLI::App* const restore = store.add_subcommand("restore", "Bring a backup back, into an empty data folder");
  restore->add_option("SRC", flags->copy, "A backup's folder")->required();
  for (CLI::App* const each : {backup, restore}) {
    each->fallthrough();  // --path and --config of the store
    each->footer(
        "Overwrites nothing. Exit codes: 0 done, verified and durable, 1 failed or damaged, 2 nothing to "
        "copy, or "
        "the folder is not empty, 4 no room, or the store does not answer.");
  }
  flags->backup = backup;
  flags->restore = restore;
}

void add_scrub(CLI::App& store, const std::shared_ptr<StoreFlags>& flags) {
  CLI::App* const scrub = store.add_subcommand("scrub", "What the running store knows of damaged bodies");
  scrub->add_flag("--now", flags->scrub_now, "Begin to read all of them again now");
  scrub->add_flag("--json", flags->json, "As one JSON object");
  scrub->footer("Exit codes: 0 no damage is known, 1 some is, 4 the store does not answer.");
  CLI::App* const salvage =
      store.add_subcommand("salvage", "Write the bytes that are left of an object, damaged or not");
  salvage->add_option("BUCKET", flags->saved.bucket, "Its bucket")->required();
  salvage->add_option("KEY", flags->saved.key, "Its key")->required();
  salvage->add_option("FILE", flags->saved.destination, "A new file")->required();
  salvage->add_option("--version-id", flags->saved.version, "A version of it (default: the newest)");
  salvage->footer(
      "Reads the folder, whether its store runs or not, and changes nothing there. What cannot be read is "
      "zeros. Exit codes: 0 it is what was stored, 1 it is not, 2 no such object, or FILE is there, 4 the "
      "folder cannot be read.");
  for (CLI::App* const each : {scrub, salvage}) each->fallthrough();  // --path and --config of the store
  flags->scrub = scrub;
  flags->salvage = salvage;
}

int run(const StoreFlags& flags) {
  auto config = find_config(flags.config_file);
  if (!config) return usage_error(config.error().message);
  StoreOptions options{.config = config->store, .ready_file = flags.ready_file};
  if (flags.path) options.config.path = *flags.path;
  if (flags.listen) options.config.listen = *flags.listen;
  if (flags.socket) options.config.socket = *flags.socket;
  if (auto listen = parse_listen(options.config.listen); !listen) return usage_error(listen.error().message);
  std::error_code ignored;
  std::string copy = flags.copy;
  for (std::string* path : {&options.config.path, &options.config.socket, &options.ready_file, &copy}) {
    if (!path->empty()) *path = std::filesystem::absolute(*path, ignored).lexically_normal().string();
  }
  const InspectOptions inspect{.path = options.config.path, .bodies = flags.bodies, .json = flags.json};
  if (flags.check->parsed()) return check_store(inspect);
  if (flags.dump->parsed()) return dump_store(inspect);
  if (flags.repair->parsed()) {
    return repair_store({.path = options.config.path,
                         .yes = flags.yes && !flags.dry_run,
                         .json = flags.json,
                         .log = log_options(options.config)});
  }
  const std::string socket =
      options.config.socket.empty() ? options.config.path + "/store.sock" : options.config.socket;
  if (flags.scrub->parsed())
    return scrub_store({.socket = socket, .now = flags.scrub_now, .json = flags.json});
  if (flags.salvage->parsed()) {
    SalvageOptions saved = flags.saved;
    saved.path = options.config.path;
    return salvage_object(saved);
  }
  const BackupOptions backup{.path = options.config.path, .socket = socket, .copy = without_slashes(copy)};
  if (flags.backup->parsed()) return backup_store(backup);
  if (flags.restore->parsed()) return restore_store(backup);
  const auto sink = make_sink({.role = "store", .verbose = flags.verbose});
  return run_store(options, hr::Log(*sink));
}

}  // namespace

Command store_command(CLI::App& app) {
  const auto flags = std::make_shared<StoreFlags>();
  CLI::App* store = app.add_subcommand("store", "Serve SQS and S3 from a folder of this host");
  store->add_option("--config", flags->config_file,
                    "Configuration file (default: headrace.toml of this folder, if any)");
  store->add_option("--path", flags->path, "Data folder (store.path; default: /var/lib/headrace)");
  store->add_option("--listen", flags->listen,
                    "Address and port (store.listen; default: 127.0.0.1:9324); port 0: any free one");
  store->add_option("--socket", flags->socket,
                    "Unix socket (store.socket; default: store.sock in the data folder)");
  store->add_option("--ready-file", flags->ready_file,
                    "Write endpoint, socket and pid here as JSON when ready");
  store->add_flag("--verbose", flags->verbose, "Log requests too");
  store->footer(
      "Exit codes: 0 ended as asked, 1 failed, 2 usage or configuration, 4 unavailable (port or folder in "
      "use, disk full).");

  CLI::App* const check =
      store->add_subcommand("check", "Read all of a stopped store and tell what is damaged");
  check->add_flag("--bodies", flags->bodies, "Compare every object's body with its MD5 too");
  check->add_flag("--json", flags->json, "As one JSON object");
  CLI::App* const dump = store->add_subcommand("dump", "Print a stopped store's log, a line for each record");
  for (CLI::App* const inspect : {check, dump}) {
    inspect->fallthrough();  // --path and --config of the store
    inspect->footer(
        "Changes nothing. Exit codes: 0 all is well, 1 damaged, 2 no store, 4 a store runs there.");
  }
  CLI::App* const repair =
      store->add_subcommand("repair", "Tell what of a stopped store can be mended, and with --yes mend it");
  repair->add_flag("--yes", flags->yes, "Do it; without it nothing is changed");
  repair->add_flag("--dry-run", flags->dry_run, "Only tell, as without --yes");
  repair->add_flag("--json", flags->json, "As one JSON object");
  repair->fallthrough();
  repair->footer(
      "What it replaces stays in repair-TIME/ in the data folder. Exit codes: 0 nothing to mend, or mended, "
      "1 "
      "something cannot be mended, 2 no store, 3 there is something to mend, 4 a store runs there.");
  flags->repair = repair;
  add_backup(*store, flags);
  add_scrub(*store, flags);
  flags->check = check;
  flags->dump = dump;
  return {store, [flags] { return run(*flags); }};
}

}  // namespace hr
