#include "headrace/client_settings.h"

#include "codec/json.h"
#include "headrace/config_file.h"
#include "headrace/keys.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace hr {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string first_of(std::initializer_list<std::string> choices) {
  for (const std::string& choice : choices) {
    if (!choice.empty()) return choice;
  }
  return "";
}

std::string absolute(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).lexically_normal().string();
}

// What `headrace up` left for commands that it did not start. Missing or unreadable: nothing is known.
struct Client {
  std::string socket, endpoint, keys, region;
};
Client read_client(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return {};
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  const auto json = codec::parse_json(text);
  if (!json) return {};
  const auto member = [&](ByteView name) {
    const codec::Json* value = json->find(name);
    return value != nullptr && value->as_string() != nullptr ? *value->as_string() : std::string();
  };
  return {member("socket"), member("endpoint"), member("keys"), member("region")};
}

// Keys that somebody named are meant; those of AWS in the environment may be there for something else, so
// they count only where there are no others.
Status add_credentials(ClientSettings& settings, const std::string& named) {
  settings.keys = first_of({named, settings.config.store.path + "/keys.toml"});
  std::error_code ignored;
  if (named.empty() && !std::filesystem::exists(settings.keys, ignored)) {
    settings.credentials = {.access_key = environment("AWS_ACCESS_KEY_ID"),
                            .secret = environment("AWS_SECRET_ACCESS_KEY"),
                            .session_token = environment("AWS_SESSION_TOKEN")};
    if (!settings.credentials.access_key.empty() && !settings.credentials.secret.empty()) {
      settings.keys.clear();
      return {};
    }
  }
  HR_ASSIGN(const Secrets secrets, load_keys(settings.keys));
  const wire::AccessKey& key = *secrets.keys.find(secrets.first);
  settings.credentials = {.access_key = key.id, .secret = key.secret, .session_token = {}};
  return {};
}

}  // namespace

std::string locate_config() {
  if (const std::string named = environment("HEADRACE_CONFIG"); !named.empty()) return named;
  std::error_code ignored;
  for (auto folder = std::filesystem::current_path(ignored); !folder.empty(); folder = folder.parent_path()) {
    const auto file = folder / "headrace.toml";
    if (std::filesystem::exists(file, ignored)) return file.string();
    if (folder == folder.root_path()) break;
  }
  return "";
}

Result<ClientSettings> find_services(const ClientFlags& flags) {
  const std::string file = first_of({flags.config_file, locate_config()});
  if (file.empty()) {
    return fail(Errc::kNotFound, "no headrace.toml in this folder or above; name one with --config FILE");
  }
  ClientSettings out;
  HR_ASSIGN(out.config, read_config(absolute(file)));
  const Config& config = out.config;
  if (!config.services.local_sqs || !config.services.local_s3) {
    return fail(Errc::kUnsupported,
                place_of(config, config.services.local_sqs ? "services.s3" : "services.sqs") +
                    ": \"aws\" is not in this version; say \"local\"");
  }
  const std::string beside = std::filesystem::path(absolute(file)).parent_path() / ".headrace";
  out.state = absolute(first_of({environment("HEADRACE_STATE"), beside}));
  const Client client = read_client(out.state + "/client.json");
  out.endpoint = first_of({flags.endpoint, environment("HEADRACE_ENDPOINT"),
                           client.socket.empty() ? "" : "unix:" + client.socket, client.endpoint,
                           config.services.endpoint, "http://" + config.store.listen});
  out.region =
      first_of({environment("HEADRACE_REGION"), client.region, config.services.region, config.store.region});
  HR_TRY(add_credentials(out, first_of({flags.keys, environment("HEADRACE_KEYS"), client.keys})));
  return out;
}

}  // namespace hr
