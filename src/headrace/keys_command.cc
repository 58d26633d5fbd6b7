// `headrace keys`: who may ask the store, and one key more.
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/config_file.h"
#include "headrace/host_services.h"
#include "headrace/keys.h"
#include "os/linux/linux.h"
#include "remote/host_outside.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hr {
namespace {

struct KeysFlags {
  std::string config_file;
  std::optional<std::string> path;
  const CLI::App *add = nullptr, *amazon = nullptr;
  NewKey key;
  std::vector<std::string> queues, buckets, may;
};

std::string shown(const wire::KeyRule& rule) {
  std::vector<std::string> may, names;
  if (rule.read) may.emplace_back("read");
  if (rule.write) may.emplace_back("write");
  if (rule.admin) may.emplace_back("admin");
  for (const auto& queue : rule.queues) names.push_back("queue " + queue);
  for (const auto& bucket : rule.buckets) names.push_back("bucket " + bucket);
  return fmt::format("{}: {}", fmt::join(may, ","), fmt::join(names, ", "));
}

std::string shown(const std::optional<wire::KeyRules>& rules) {
  if (!rules) return "everything";
  std::vector<std::string> out;
  for (const auto& rule : *rules) out.push_back(shown(rule));
  return out.empty() ? "nothing" : fmt::format("{}", fmt::join(out, "; "));
}

int list(const std::string& path) {
  const auto secrets = load_keys(path);
  if (!secrets) return usage_error(secrets.error().message);
  for (const auto& key : secrets->keys.keys()) {
    fmt::print("{}  {}  {}  {}\n", key.id, key.account, key.name, shown(key.rules));
  }
  return kExitOk;
}

// What the flags ask for beside the name; none: everything.
Result<std::optional<wire::KeyRule>> rule_of(const KeysFlags& flags) {
  if (flags.queues.empty() && flags.buckets.empty() && flags.may.empty()) return std::nullopt;
  wire::KeyRule rule{.queues = {flags.queues.begin(), flags.queues.end()},
                     .buckets = {flags.buckets.begin(), flags.buckets.end()}};
  for (const auto& word : flags.may) {
    rule.read |= word == "read";
    rule.write |= word == "write";
    rule.admin |= word == "admin";
  }
  if (rule.read || rule.write || rule.admin) return rule;
  return fail(Errc::kInvalid, "--may must say what the key may do: read, write, admin, or some of them");
}

int add(const std::string& path, KeysFlags& flags) {
  auto rule = rule_of(flags);
  if (!rule) return usage_error(rule.error().message);
  flags.key.rule = std::move(*rule);
  const auto entropy = os::make_entropy();
  const auto made = add_key(path, flags.key, *entropy);
  if (!made) return usage_error(made.error().message);
  fmt::print("AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\n", made->id, made->secret);
  fmt::print(stderr, "Written to {}. A store that runs takes it when it starts again.\n", path);
  return kExitOk;
}

// As whoever asks: in their environment, with what they may read.
int tell_amazon(const std::string& config_file) {
  const auto settings = find_services({.config_file = config_file, .endpoint = {}, .keys = {}});
  if (!settings) return usage_error(settings.error().message);
  const auto keys = remote::find_keys(*remote::make_host_outside(), settings->services.aws);
  if (!keys) return say_error(kExitFailed, keys.error().message);
  fmt::print("{}\n", found_keys_text(*keys));
  return kExitOk;
}

int run(KeysFlags& flags) {
  if (flags.amazon->parsed()) return tell_amazon(flags.config_file);
  const auto config = find_config(flags.config_file);
  if (!config) return usage_error(config.error().message);
  const std::string path = flags.path.value_or(config->store.path) + "/keys.toml";
  return flags.add->parsed() ? add(path, flags) : list(path);
}

}  // namespace

Command keys_command(CLI::App& app) {
  const auto flags = std::make_shared<KeysFlags>();
  CLI::App* keys = app.add_subcommand("keys", "Show the store's access keys, or make another");
  keys->add_option("--config", flags->config_file,
                   "Configuration file (default: headrace.toml of this folder, if any)");
  keys->add_option("--path", flags->path, "Data folder (store.path; default: /var/lib/headrace)");
  keys->footer(
      "Secrets are shown once, by add. Exit codes: 0 done, 1 amazon found none, 2 usage, or a file that "
      "cannot be used.");
  CLI::App* const make = keys->add_subcommand("add", "Make a key; without patterns it may do everything");
  make->add_option("name", flags->key.name, "What people and logs call it")->required();
  make->add_option("--account", flags->key.account, "12 digits (default: that of the first key)");
  make->add_option("--queue", flags->queues, "A pattern of queues it may use; again for more")
      ->allow_extra_args(false);
  make->add_option("--bucket", flags->buckets, "A pattern of buckets it may use; again for more")
      ->allow_extra_args(false);
  make->add_option("--may", flags->may, "read, write, admin, or some of them: read,write")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"read", "write", "admin"}));
  make->fallthrough();  // --path and --config of keys
  flags->add = make;
  flags->amazon = keys->add_subcommand(
      "amazon", "Where you find credentials for Amazon, and until when (ms since 1970; 0: nothing says)");
  keys->get_subcommand("amazon")->fallthrough();
  return {keys, [flags] { return run(*flags); }};
}

}  // namespace hr
