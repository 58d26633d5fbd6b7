#include "remote/aws_settings.h"

#include "remote/aws_endpoints.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::remote {
namespace {

Bytes upper_case(Bytes text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

Bytes first_of(std::initializer_list<Bytes> choices) {
  const auto found = std::ranges::find_if(choices, [](const Bytes& choice) { return !choice.empty(); });
  return found == choices.end() ? Bytes() : *found;
}

Bytes file_path(Outside& outside, const std::string& variable, std::string_view beside) {
  const Bytes named = outside.variable(variable);
  const Bytes home = outside.variable("HOME");
  if (named.starts_with("~/")) return home + named.substr(1);
  if (!named.empty()) return named;
  return home.empty() ? Bytes() : fmt::format("{}/.aws/{}", home, beside);
}

Result<Bytes> text_of(Outside& outside, const Bytes& path) {
  if (path.empty()) return Bytes();
  auto text = outside.read_file(path);
  if (!text && text.error().code == Errc::kNotFound) return Bytes();
  return text;
}

class Finder {
 public:
  Finder(Outside& outside, const AwsAsked& asked, AwsSettings& out)
      : outside_(outside), asked_(asked), out_(out) {}

  Status read_files() {
    const Bytes config = file_path(outside_, "AWS_CONFIG_FILE", "config");
    const Bytes credentials = file_path(outside_, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    HR_ASSIGN(const Bytes config_text, text_of(outside_, config));
    HR_ASSIGN(const Bytes credentials_text, text_of(outside_, credentials));
    HR_ASSIGN(out_.files, parse_aws_files(config_text, config, credentials_text, credentials));
    const Bytes named =
        first_of({outside_.variable("AWS_PROFILE"), outside_.variable("AWS_DEFAULT_PROFILE")});
    out_.profile = named.empty() ? "default" : named;
    if (named.empty() || out_.files.profiles.contains(named)) return {};
    return fail(Errc::kInvalid, fmt::format("AWS_PROFILE names \"{}\", which neither {} nor {} has", named,
                                            config, credentials));
  }

  Status find_region() {
    out_.region = first_of({asked_.region, outside_.variable("AWS_REGION"),
                            outside_.variable("AWS_DEFAULT_REGION"), value("region")});
    if (!out_.region.empty()) return {};
    return fail(Errc::kInvalid,
                "no region is said: set services.region in headrace.toml, AWS_REGION, or region in "
                "the profile \"" +
                    out_.profile + "\"");
  }

  Status find_endpoint(const Bytes& service, std::string& place) {
    place = service != "sts" && !asked_.endpoint.empty() ? asked_.endpoint : configured(service);
    if (!place.empty()) return check_unchosen(service, place);
    const EndpointChoice choice{
        .region = out_.region,
        .fips = asked_.fips || truth("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
        .dual_stack = asked_.dual_stack || truth("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")};
    HR_ASSIGN(place, aws_endpoint(service, choice));
    return {};
  }

  void find_authorities() {
    out_.authorities = first_of({outside_.variable("AWS_CA_BUNDLE"), value("ca_bundle")});
  }

 private:
  // Somebody who asks for FIPS is not to be given something else in silence.
  Status check_unchosen(const Bytes& service, const std::string& place) const {
    if (!asked_.fips && !asked_.dual_stack) return {};
    return fail(
        Errc::kInvalid,
        fmt::format("services.{} chooses among Amazon's own endpoints, and {} is named for {}: leave one "
                    "of the two out",
                    asked_.fips ? "fips" : "dual_stack", place, service));
  }

  Bytes value(const Bytes& name) const {
    const Bytes* found = out_.files.find(out_.profile, name);
    return found != nullptr ? *found : Bytes();
  }

  bool truth(const std::string& variable, const Bytes& name) const {
    return upper_case(first_of({outside_.variable(variable), value(name)})) == "TRUE";
  }

  Bytes configured(const Bytes& service) const {
    if (truth("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls")) return "";
    Bytes special;
    if (const auto section = out_.files.services.find(value("services"));
        section != out_.files.services.end()) {
      const auto found = section->second.find(service + ".endpoint_url");
      if (found != section->second.end()) special = found->second;
    }
    return first_of({outside_.variable("AWS_ENDPOINT_URL_" + upper_case(service)),
                     outside_.variable("AWS_ENDPOINT_URL"), special, value("endpoint_url")});
  }

  Outside& outside_;
  const AwsAsked& asked_;
  AwsSettings& out_;
};

}  // namespace

Result<AwsSettings> find_aws_settings(Outside& outside, const AwsAsked& asked) {
  AwsSettings out;
  Finder finder(outside, asked, out);
  HR_TRY(finder.read_files());
  HR_TRY(finder.find_region());
  HR_TRY(finder.find_endpoint("sqs", out.sqs));
  HR_TRY(finder.find_endpoint("s3", out.s3));
  HR_TRY(finder.find_endpoint("sts", out.sts));
  finder.find_authorities();
  return out;
}

}  // namespace hr::remote
