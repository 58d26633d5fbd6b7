#include "remote/credentials.h"

#include "remote/credential_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace hr::remote {
namespace {

Bytes session_name_of(Outside& outside, const Bytes& named) {
  return named.empty() ? fmt::format("headrace-{}", to_ms(outside.wall())) : named;
}

// A command line as a shell would split it, without anything else that a shell does. Empty: a quote stays
// open.
std::vector<Bytes> split_command(ByteView line) {
  std::vector<Bytes> out;
  bool inside = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && (c == ' ' || c == '\t')) {
      inside = false;
      continue;
    }
    if (!inside) out.emplace_back();
    inside = true;
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      out.back() += line[++i];
    } else {
      out.back() += c;
    }
  }
  if (quote != 0) out.clear();
  return out;
}

Result<Keys> environment_keys(Outside& outside) {
  const Bytes key = outside.variable("AWS_ACCESS_KEY_ID"), secret = outside.variable("AWS_SECRET_ACCESS_KEY");
  if (key.empty() && secret.empty()) return fail(Errc::kNotFound, "AWS_ACCESS_KEY_ID is not set");
  if (key.empty() || secret.empty()) {
    return fail(Errc::kInvalid, "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set");
  }
  return Keys{.credentials = {key, secret, outside.variable("AWS_SESSION_TOKEN")},
              .expires = {},
              .source = "environment"};
}

Result<Keys> web_identity_keys(Outside& outside, const AwsSettings& settings) {
  const Bytes file = outside.variable("AWS_WEB_IDENTITY_TOKEN_FILE");
  if (file.empty()) return fail(Errc::kNotFound, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
  const Bytes role = outside.variable("AWS_ROLE_ARN");
  if (role.empty()) return fail(Errc::kInvalid, "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
  const Bytes name = session_name_of(outside, outside.variable("AWS_ROLE_SESSION_NAME"));
  return assume_role_with_token(outside, settings, {.arn = role, .session_name = name}, file);
}

// The keys of a profile, through as many others as it names.
class ProfileSearch {
 public:
  ProfileSearch(Outside& outside, const AwsSettings& settings) : outside_(outside), settings_(settings) {}

  Result<Keys> find(const Bytes& name) {
    if (!settings_.files.profiles.contains(name)) {
      return fail(seen_.empty() ? Errc::kNotFound : Errc::kInvalid,
                  fmt::format("there is no profile \"{}\" in the shared files", name));
    }
    const bool again = std::ranges::find(seen_, name) != seen_.end();
    if (seen_.size() >= kProfilesMax) {
      return fail(Errc::kLimit, fmt::format("more than {} profiles name one another", kProfilesMax));
    }
    seen_.push_back(name);
    // A role may be assumed with the keys that stand beside it.
    if (!again && value(name, "role_arn") != nullptr) return role_keys(name);
    if (again && value(name, "aws_access_key_id") == nullptr) {
      return fail(Errc::kInvalid,
                  fmt::format("the profile \"{}\" comes back to itself by source_profile", name));
    }
    return own_keys(name);
  }

 private:
  const Bytes* value(const Bytes& profile, const Bytes& name) const {
    return settings_.files.find(profile, name);
  }
  Bytes text(const Bytes& profile, const Bytes& name) const {
    const Bytes* found = value(profile, name);
    return found != nullptr ? *found : Bytes();
  }

  Result<Keys> own_keys(const Bytes& name) {
    const Bytes key = text(name, "aws_access_key_id"), secret = text(name, "aws_secret_access_key");
    if (!key.empty() && !secret.empty()) {
      return Keys{.credentials = {key, secret, text(name, "aws_session_token")},
                  .expires = {},
                  .source = fmt::format("profile \"{}\"", name)};
    }
    if (!key.empty() || !secret.empty()) {
      return fail(Errc::kInvalid, fmt::format("the profile \"{}\" has half a key", name));
    }
    if (const Bytes* command = value(name, "credential_process")) return process_keys(name, *command);
    for (const char* sign_in : {"sso_session", "sso_start_url", "login_session"}) {
      if (value(name, sign_in) == nullptr) continue;
      return fail(
          Errc::kUnsupported,
          fmt::format("the profile \"{}\" signs a person in ({}), which a service cannot: give it a role, "
                      "or credential_process = aws configure export-credentials",
                      name, sign_in));
    }
    return fail(seen_.size() > 1 ? Errc::kInvalid : Errc::kNotFound,
                fmt::format("the profile \"{}\" has no keys", name));
  }

  Result<Keys> process_keys(const Bytes& name, const Bytes& line) {
    const auto command = split_command(line);
    if (command.empty()) {
      return fail(Errc::kInvalid,
                  fmt::format("credential_process of the profile \"{}\" is no command", name));
    }
    auto output = outside_.run(command);
    if (!output) {
      return std::unexpected(
          std::move(output).error().in(fmt::format("credential_process of the profile \"{}\"", name)));
    }
    auto keys = parse_keys(*output, fmt::format("credential_process of profile \"{}\"", name));
    if (!keys) {
      return std::unexpected(
          std::move(keys).error().in(fmt::format("credential_process of the profile \"{}\"", name)));
    }
    return keys;
  }

  Result<RoleAsk> role_of(const Bytes& name) {
    RoleAsk ask{.arn = text(name, "role_arn"),
                .session_name = session_name_of(outside_, text(name, "role_session_name")),
                .external_id = text(name, "external_id")};
    if (value(name, "mfa_serial") != nullptr) {
      return fail(
          Errc::kUnsupported,
          fmt::format("the profile \"{}\" wants a code from a person (mfa_serial), and there is none", name));
    }
    const Bytes seconds = text(name, "duration_seconds");
    if (seconds.empty()) return ask;
    const auto [end, error] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), ask.seconds);
    if (error != std::errc() || end != seconds.data() + seconds.size() || ask.seconds < 900 ||
        ask.seconds > 43'200) {
      return fail(Errc::kInvalid,
                  fmt::format("duration_seconds of the profile \"{}\" is not 900 to 43200", name));
    }
    return ask;
  }

  Result<Keys> role_keys(const Bytes& name) {
    HR_ASSIGN(const RoleAsk ask, role_of(name));
    if (const Bytes* file = value(name, "web_identity_token_file")) {
      return assume_role_with_token(outside_, settings_, ask, *file);
    }
    const Bytes source = text(name, "source_profile"), place = text(name, "credential_source");
    if (source.empty() == place.empty()) {
      return fail(Errc::kInvalid,
                  fmt::format("the profile \"{}\" has a role_arn and needs either source_profile or "
                              "credential_source",
                              name));
    }
    HR_ASSIGN(const Keys by, source.empty() ? keys_from(name, place) : find(source));
    auto keys = assume_role(outside_, settings_, ask, by.credentials);
    if (!keys)
      return std::unexpected(std::move(keys).error().in(fmt::format("role of the profile \"{}\"", name)));
    return keys;
  }

  Result<Keys> keys_from(const Bytes& name, const Bytes& place) {
    if (place == "Environment") return environment_keys(outside_);
    if (place == "Ec2InstanceMetadata") return instance_keys(outside_);
    if (place == "EcsContainer") return container_keys(outside_);
    return fail(Errc::kInvalid, fmt::format("credential_source of the profile \"{}\" is not Environment, "
                                            "Ec2InstanceMetadata or EcsContainer",
                                            name));
  }

  Outside& outside_;
  const AwsSettings& settings_;
  std::vector<Bytes> seen_;
};

}  // namespace

Result<Keys> find_keys(Outside& outside, const AwsSettings& settings) {
  std::string tried;
  for (const char* place : {"environment", "web identity", "profile", "container", "instance metadata"}) {
    const std::string_view name = place;
    auto keys = name == "environment"    ? environment_keys(outside)
                : name == "web identity" ? web_identity_keys(outside, settings)
                : name == "profile"      ? ProfileSearch(outside, settings).find(settings.profile)
                : name == "container"    ? container_keys(outside)
                                         : instance_keys(outside);
    if (keys) return keys;
    tried += fmt::format("{}{}: {}", tried.empty() ? "" : "; ", name, keys.error().message);
    if (keys.error().code != Errc::kNotFound) {
      return fail(keys.error().code, "credentials of Amazon cannot be had: " + tried);
    }
  }
  return fail(Errc::kNotFound, "there are no credentials for Amazon: " + tried);
}

}  // namespace hr::remote
