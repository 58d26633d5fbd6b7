#include "remote/credential_calls.h"

#include "codec/digest.h"
#include "codec/flat_json.h"
#include "codec/header_field.h"
#include "codec/time_text.h"
#include "net/endpoint.h"
#include "net/look_up.h"
#include "remote/refusal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hr::remote {
namespace {

constexpr Duration kStsTimeout = 10s;
constexpr Duration kContainerTimeout = 2s;
constexpr std::size_t kTokenBytesMax = 64 * 1024;
constexpr ByteView kEcsHost = "http://169.254.170.2";
constexpr ByteView kMetadataV4 = "http://169.254.169.254", kMetadataV6 = "http://[fd00:ec2::254]";

bool is_plain(ByteView text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

ByteView trimmed(ByteView text) {
  const auto from = text.find_first_not_of(" \t\r\n");
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

Result<Bytes> token_of(Outside& outside, const Bytes& path) {
  HR_ASSIGN(const Bytes text, outside.read_file(path));
  const ByteView token = trimmed(text);
  if (token.empty() || token.size() > kTokenBytesMax || !is_plain(token)) {
    return fail(Errc::kInvalid, path + " does not hold one token");
  }
  return Bytes(token);
}

Status checked(Keys& keys, std::string_view expires) {
  if (keys.credentials.access_key.empty())
    return fail(Errc::kInvalid, "there is no AccessKeyId in the answer");
  if (keys.credentials.secret.empty())
    return fail(Errc::kInvalid, "there is no SecretAccessKey in the answer");
  for (const Bytes* text :
       {&keys.credentials.access_key, &keys.credentials.secret, &keys.credentials.session_token}) {
    if (!is_plain(*text)) return fail(Errc::kInvalid, "a key in the answer holds what no header may");
  }
  if (expires.empty()) return {};
  const auto time = codec::parse_iso8601(expires);
  if (!time) return fail(Errc::kInvalid, "Expiration in the answer is no time");
  keys.expires = *time;
  return {};
}

// ---- STS

// What stands in the first element of that name. No XML parser: the Python module, which asks STS too, has
// none; all that is taken from here is checked below, character by character.
ByteView inside(ByteView text, const Bytes& name) {
  const auto from = text.find("<" + name + ">");
  if (from == text.npos) return {};
  text.remove_prefix(from + name.size() + 2);
  const auto to = text.find("</" + name + ">");
  return to == text.npos ? ByteView() : text.substr(0, to);
}

Result<Keys> keys_of_sts(const codec::Response& answer, const Bytes& action, std::string source) {
  if (answer.status != 200) {
    const ByteView error = inside(answer.body, "Error");
    const ByteView code = inside(error, "Code"), message = inside(error, "Message");
    return fail(
        answer.status >= 500 ? Errc::kUnavailable : Errc::kPermission,
        fmt::format("STS answers {}: {}", code.empty() ? fmt::format("HTTP {}", answer.status) : Bytes(code),
                    message.empty() ? "no reason is given" : message.substr(0, 1000)));
  }
  const ByteView given = inside(inside(answer.body, action + "Result"), "Credentials");
  if (given.empty()) return fail(Errc::kInvalid, "STS gives an answer without credentials");
  Keys keys{.credentials = {Bytes(inside(given, "AccessKeyId")), Bytes(inside(given, "SecretAccessKey")),
                            Bytes(inside(given, "SessionToken"))},
            .expires = {},
            .source = std::move(source)};
  HR_TRY(checked(keys, inside(given, "Expiration")));
  return keys;
}

Status sign_for_sts(HttpAsk& ask, const Bytes& region, const codec::Credentials& by, Time now) {
  std::vector<codec::HeaderField> fields;
  for (const auto& [name, value] : ask.headers) fields.push_back({name, value});
  const Bytes hash = codec::sha256_hex(ask.body);
  HR_ASSIGN(const auto added,
            codec::sign("POST", "/", "", fields, by,
                        {.service = "sts", .region = region, .now = now, .payload_hash = hash}));
  ask.headers.insert(ask.headers.end(), added.add.begin(), added.add.end());
  return {};
}

// A clock that is wrong is told by the first answer.
Result<codec::Response> ask_sts(Outside& outside, const AwsSettings& settings, const codec::Pairs& form,
                                const codec::Credentials* by) {
  HR_ASSIGN(const auto endpoint, net::parse_endpoint(settings.sts));
  HttpAsk ask{.method = "POST",
              .url = endpoint.text + (endpoint.text.ends_with('/') ? "" : "/"),
              .headers = {{"host", endpoint.host_header},
                          {"content-type", "application/x-www-form-urlencoded; charset=utf-8"}},
              .body = codec::write_pairs(form),
              .timeout = kStsTimeout};
  const Time local = outside.wall();
  Duration skew{};
  for (bool again = true;; again = false) {
    HttpAsk one = ask;
    if (by != nullptr) HR_TRY(sign_for_sts(one, settings.region, *by, local + skew));
    auto answer = outside.http(one);
    if (!answer) return std::unexpected(std::move(answer).error().in("STS"));
    const auto off = by != nullptr && again
                         ? skew_of(*answer, error_code("s3", *answer), local + skew, outside.wall())
                         : std::nullopt;
    if (!off) return answer;
    skew = *off;
  }
}

codec::Pairs role_form(ByteView action, const RoleAsk& ask) {
  return {{"Action", Bytes(action)},
          {"Version", "2011-06-15"},
          {"RoleArn", ask.arn},
          {"RoleSessionName", ask.session_name},
          {"DurationSeconds", std::to_string(ask.seconds)}};
}

// ---- the container's agent

// Keys over plain HTTP only from this host, or from the agents' own addresses.
bool may_be_plain(const std::string& host) {
  const auto numeric = net::numeric_address(host, 0);
  return numeric && (host.starts_with("127.") || host == "::1" || host == "169.254.170.2" ||
                     host == "169.254.170.23" || host == "fd00:ec2::23");
}

struct Url {
  std::string origin;  // scheme and host
  std::string path;
};

Result<Url> split_url(const Bytes& url) {
  const auto scheme = url.find("://");
  if (scheme == url.npos || !is_plain(url) || url.contains('#')) return fail(Errc::kInvalid, "it is no URL");
  const auto slash = std::min(url.find_first_of("/?", scheme + 3), url.size());
  Url out{url.substr(0, slash), url.substr(slash)};
  if (!out.path.starts_with('/')) out.path.insert(0, "/");
  return out;
}

Result<Bytes> container_url(Outside& outside) {
  const Bytes relative = outside.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!relative.empty()) {
    if (!relative.starts_with('/')) {
      return fail(Errc::kInvalid, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /");
    }
    return Bytes(kEcsHost) + relative;
  }
  const Bytes full = outside.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (full.empty()) {
    return fail(Errc::kNotFound, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set");
  }
  const auto url = split_url(full);
  const auto endpoint = url ? net::parse_endpoint(url->origin) : fail(Errc::kInvalid, "");
  if (!endpoint || !endpoint->unix_path.empty()) {
    return fail(Errc::kInvalid, "AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL of http or https");
  }
  if (!endpoint->tls && !may_be_plain(endpoint->host)) {
    return fail(Errc::kPermission,
                fmt::format("AWS_CONTAINER_CREDENTIALS_FULL_URI names {}: over plain HTTP keys "
                            "are taken from this host and the agents' addresses only",
                            endpoint->host_header));
  }
  return url->origin + url->path;
}

Status add_token(Outside& outside, HttpAsk& ask) {
  Bytes token = outside.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const Bytes file = outside.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    HR_ASSIGN(token, token_of(outside, file));
  }
  if (token.empty()) return {};
  // "Basic ..." has a space; a line break would be a header of somebody else's.
  if (!std::ranges::all_of(token, [](char c) { return c >= 0x20 && c < 0x7f; })) {
    return fail(Errc::kInvalid, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds what no header may");
  }
  ask.headers.emplace_back("authorization", std::move(token));
  return {};
}

// ---- the instance's metadata

struct Metadata {
  Bytes origin;
  Duration timeout = 1s;
  int attempts = 1;
};

int number_of(Outside& outside, const std::string& name, int otherwise) {
  const Bytes text = outside.variable(name);
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool good = error == std::errc() && end == text.data() + text.size() && out >= 1 && out <= 60;
  return good ? out : otherwise;
}

Result<Metadata> metadata_of(Outside& outside) {
  if (codec::lower_case(outside.variable("AWS_EC2_METADATA_DISABLED")) == "true") {
    return fail(Errc::kNotFound, "AWS_EC2_METADATA_DISABLED is true");
  }
  Metadata out{.origin = outside.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
               .timeout = std::chrono::seconds(number_of(outside, "AWS_METADATA_SERVICE_TIMEOUT", 1)),
               .attempts = number_of(outside, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", 1)};
  if (out.origin.empty()) {
    const bool v6 = codec::lower_case(outside.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")) == "ipv6";
    out.origin = v6 ? kMetadataV6 : kMetadataV4;
  }
  while (out.origin.ends_with('/')) out.origin.pop_back();
  HR_TRY(net::parse_endpoint(out.origin));
  return out;
}

Result<codec::Response> ask_metadata(Outside& outside, const Metadata& metadata, HttpAsk ask) {
  HR_ASSIGN(const auto endpoint, net::parse_endpoint(metadata.origin));
  ask.url = metadata.origin + ask.url;
  ask.headers.emplace_back("host", endpoint.host_header);
  ask.timeout = metadata.timeout;
  auto answer = outside.http(ask);
  for (int i = 1; i < metadata.attempts && (!answer || answer->status >= 500); ++i)
    answer = outside.http(ask);
  return answer;
}

Result<Bytes> metadata_token(Outside& outside, const Metadata& metadata) {
  const auto answer = ask_metadata(outside, metadata,
                                   {.method = "PUT",
                                    .url = "/latest/api/token",
                                    .headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}}});
  if (!answer && answer.error().code == Errc::kUnavailable) {
    return fail(Errc::kNotFound,
                fmt::format("{} does not answer: this is no instance of EC2", metadata.origin));
  }
  if (!answer) {
    return fail(
        Errc::kNotFound,
        fmt::format("{} gives no token ({}); in a container the instance's metadata needs a hop limit of 2",
                    metadata.origin, answer.error().message));
  }
  if (answer->status != 200 || answer->body.empty() || answer->body.size() > 1024 ||
      !is_plain(answer->body)) {
    return fail(Errc::kUnavailable,
                fmt::format("{} gives no token: HTTP {}", metadata.origin, answer->status));
  }
  return answer->body;
}

}  // namespace

Result<Keys> parse_keys(ByteView document, std::string source) {
  const auto read = codec::parse_flat_json(document);
  if (!read) return fail(Errc::kInvalid, "the answer is not a JSON object");
  const auto text = [&](ByteView name) {
    const Bytes* found = codec::find(*read, name);
    return found != nullptr ? *found : Bytes();
  };
  if (const Bytes code = text("Code"); !code.empty() && code != "Success") {
    return fail(Errc::kUnavailable, is_plain(code) && code.size() <= 64 ? "the answer says " + code
                                                                        : "the answer says that it failed");
  }
  const Bytes token = text("Token").empty() ? text("SessionToken") : text("Token");
  Keys keys{.credentials = {text("AccessKeyId"), text("SecretAccessKey"), token},
            .expires = {},
            .source = std::move(source)};
  HR_TRY(checked(keys, text("Expiration")));
  return keys;
}

Result<Keys> assume_role(Outside& outside, const AwsSettings& settings, const RoleAsk& ask,
                         const codec::Credentials& by) {
  codec::Pairs form = role_form("AssumeRole", ask);
  if (!ask.external_id.empty()) form.emplace_back("ExternalId", ask.external_id);
  HR_ASSIGN(const auto answer, ask_sts(outside, settings, form, &by));
  return keys_of_sts(answer, "AssumeRole", "the role " + ask.arn);
}

Result<Keys> assume_role_with_token(Outside& outside, const AwsSettings& settings, const RoleAsk& ask,
                                    const Bytes& token_file) {
  codec::Pairs form = role_form("AssumeRoleWithWebIdentity", ask);
  HR_ASSIGN(Bytes token, token_of(outside, token_file));
  form.emplace_back("WebIdentityToken", std::move(token));
  HR_ASSIGN(const auto answer, ask_sts(outside, settings, form, nullptr));
  return keys_of_sts(answer, "AssumeRoleWithWebIdentity", "the role " + ask.arn + " by web identity");
}

Result<Keys> container_keys(Outside& outside) {
  HR_ASSIGN(const Bytes url, container_url(outside));
  HR_ASSIGN(const Url parts, split_url(url));
  HR_ASSIGN(const auto endpoint, net::parse_endpoint(parts.origin));
  HttpAsk ask{.url = url, .headers = {{"host", endpoint.host_header}}, .timeout = kContainerTimeout};
  HR_TRY(add_token(outside, ask));
  HR_ASSIGN(const auto answer, outside.http(ask));
  if (answer.status != 200) {
    return fail(answer.status >= 500 ? Errc::kUnavailable : Errc::kPermission,
                fmt::format("{} answers HTTP {}", parts.origin, answer.status));
  }
  return parse_keys(answer.body, "the container's agent");
}

Result<Keys> instance_keys(Outside& outside) {
  HR_ASSIGN(const Metadata metadata, metadata_of(outside));
  HR_ASSIGN(const Bytes token, metadata_token(outside, metadata));
  const auto get = [&](const Bytes& path) {
    return ask_metadata(outside, metadata, {.url = path, .headers = {{"x-aws-ec2-metadata-token", token}}});
  };
  constexpr ByteView kPath = "/latest/meta-data/iam/security-credentials/";
  HR_ASSIGN(const auto roles, get(Bytes(kPath)));
  if (roles.status == 404) return fail(Errc::kNotFound, "the instance has no role");
  const ByteView role = trimmed(roles.body);
  if (roles.status != 200 || role.empty() || role.size() > 128 || !is_plain(role) ||
      role.find_first_of("/?#%") != role.npos) {
    return fail(Errc::kUnavailable, fmt::format("the instance's role is not told: HTTP {}", roles.status));
  }
  HR_ASSIGN(const auto answer, get(Bytes(kPath) + Bytes(role)));
  if (answer.status != 200) {
    return fail(Errc::kUnavailable, fmt::format("the instance's keys are not told: HTTP {}", answer.status));
  }
  HR_ASSIGN(Keys keys, parse_keys(answer.body, "instance metadata"));
  keys.outlive = true;  // Amazon keeps taking them while its own metadata service is down
  return keys;
}

}  // namespace hr::remote
