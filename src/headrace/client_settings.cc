#include "headrace/client_settings.h"

#include "codec/json.h"
#include "headrace/config_file.h"
#include "headrace/keys.h"
#include "host/machine.h"
#include "remote/host_outside.h"

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
Result<codec::Credentials> find_credentials(ClientSettings& settings, const std::string& named) {
  settings.keys = first_of({named, settings.config.store.path + "/keys.toml"});
  std::error_code ignored;
  if (named.empty() && !std::filesystem::exists(settings.keys, ignored)) {
    codec::Credentials found{.access_key = environment("AWS_ACCESS_KEY_ID"),
                             .secret = environment("AWS_SECRET_ACCESS_KEY"),
                             .session_token = environment("AWS_SESSION_TOKEN")};
    if (!found.access_key.empty() && !found.secret.empty()) {
      settings.keys.clear();
      return found;
    }
  }
  HR_ASSIGN(const Secrets secrets, load_keys(settings.keys));
  const wire::AccessKey& key = *secrets.keys.find(secrets.first);
  return codec::Credentials{.access_key = key.id, .secret = key.secret, .session_token = {}};
}

Result<remote::ServicePlace> local_place(ClientSettings& settings, const std::string& endpoint,
                                         const std::string& keys) {
  remote::ServicePlace out;
  out.region = settings.region;
  HR_ASSIGN(out.endpoint, remote::parse_endpoint(endpoint));
  HR_ASSIGN(out.credentials, find_credentials(settings, keys));
  return out;
}

// What somebody said of Amazon's services; what is empty is searched for.
struct SaidOfAws {
  std::string endpoint, region, keys;
};
Status add_aws(ClientSettings& settings, const SaidOfAws& named) {
  const ServicesConfig& said = settings.config.services;
  const auto outside = remote::make_host_outside();
  auto found = remote::find_aws_settings(
      *outside,
      {.region = named.region, .endpoint = named.endpoint, .fips = said.fips, .dual_stack = said.dual_stack});
  if (!found) return std::unexpected(std::move(found).error().in("[services] of " + settings.config.file));
  settings.services.aws = std::move(*found);
  const remote::AwsSettings& aws = settings.services.aws;
  for (const bool sqs : {true, false}) {
    if (sqs ? said.local_sqs : said.local_s3) continue;
    remote::ServicePlace& place = sqs ? settings.services.sqs : settings.services.s3;
    place.region = aws.region;
    place.searched = named.keys.empty();
    HR_ASSIGN(place.endpoint, remote::parse_endpoint(sqs ? aws.sqs : aws.s3));
    if (named.keys.empty()) continue;
    HR_ASSIGN(place.credentials, find_credentials(settings, named.keys));
  }
  return {};
}

// Of the host that this is, if it is one.
std::string installed_config() {
  const std::string file = std::string(host::kEtc) + "/headrace.toml";
  std::error_code ignored;
  return std::filesystem::exists(file, ignored) ? file : "";
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
  const std::string file = first_of({flags.config_file, locate_config(), installed_config()});
  if (file.empty()) {
    return fail(Errc::kNotFound, "no headrace.toml in this folder or above; name one with --config FILE");
  }
  ClientSettings out;
  HR_ASSIGN(out.config, read_config(absolute(file)));
  const Config& config = out.config;
  const std::filesystem::path folder = std::filesystem::path(absolute(file)).parent_path();
  const bool installed = folder == host::kEtc;
  const std::string state = installed ? std::string(host::kHostState) : (folder / ".headrace").string();
  out.state = absolute(first_of({environment("HEADRACE_STATE"), state}));
  const Client client = read_client(out.state + "/client.json");
  const std::string named = first_of({flags.endpoint, environment("HEADRACE_ENDPOINT")});
  const std::string keys = first_of({flags.keys, environment("HEADRACE_KEYS")});
  const ServicesConfig& said = config.services;
  out.aws = !said.local_sqs || !said.local_s3;
  const bool each_its_own = said.local_sqs != said.local_s3;
  const std::string region = environment("HEADRACE_REGION");
  out.told_endpoint = first_of({named, said.endpoint});
  out.region = first_of({region, client.region, each_its_own ? "" : said.region, config.store.region});
  if (said.local_sqs || said.local_s3) {
    const std::string endpoint = first_of({named, client.socket.empty() ? "" : "unix:" + client.socket,
                                           client.endpoint, said.endpoint, "http://" + config.store.listen});
    const std::string own = installed ? host::Paths(out.state).keys() : "";
    HR_ASSIGN(const remote::ServicePlace place,
              local_place(out, endpoint, first_of({keys, client.keys, own})));
    out.told_endpoint = place.endpoint.text;
    if (said.local_sqs) out.services.sqs = place;
    if (said.local_s3) out.services.s3 = place;
  }
  if (each_its_own) {
    HR_TRY(add_aws(out, {.endpoint = "", .region = said.region, .keys = ""}));
  } else if (out.aws) {
    HR_TRY(add_aws(out,
                   {.endpoint = out.told_endpoint, .region = first_of({region, said.region}), .keys = keys}));
    out.region = out.services.aws.region;
  }
  out.endpoint = out.services.sqs.endpoint.text;
  return out;
}

}  // namespace hr
