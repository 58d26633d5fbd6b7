#include "s3/cors.h"

#include "wire/s3_cors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Code;
using wire::S3CorsRule;

std::vector<S3CorsRule> rules_of(const Services& services, const std::string& name) {
  const object::Bucket* bucket = services.store.objects().bucket(name);
  if (!bucket) return {};
  const auto found = bucket->settings.find(object::Setting::kCors);
  if (found == bucket->settings.end()) return {};
  auto rules = wire::parse_cors(found->second);
  if (rules) return std::move(*rules);
  services.diary.error("s3.cors_corrupt", {{"bucket", name}});
  return {};
}

void add_rule(net::Response& response, const S3CorsRule& rule, std::string_view origin) {
  const bool any = std::ranges::find(rule.origins, "*") != rule.origins.end();
  response.headers.add("Access-Control-Allow-Origin", any ? "*" : std::string(origin));
  if (!any) response.headers.add("Access-Control-Allow-Credentials", "true");
  response.headers.add("Access-Control-Allow-Methods", fmt::format("{}", fmt::join(rule.methods, ", ")));
  if (!rule.expose.empty()) {
    response.headers.add("Access-Control-Expose-Headers", fmt::format("{}", fmt::join(rule.expose, ", ")));
  }
  if (rule.max_age_s) response.headers.add("Access-Control-Max-Age", std::to_string(*rule.max_age_s));
  response.headers.add("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
}

}  // namespace

Answer answer_preflight(const Services& services, const net::RequestHead& head,
                        const wire::S3Target& target) {
  const auto origin = head.headers.find("origin");
  if (!origin) {
    return wire::s3_fail(S3Code::kBadRequest, "Insufficient information. Origin request header needed.");
  }
  const auto method = head.headers.find("access-control-request-method");
  if (!method) return wire::s3_fail(S3Code::kBadRequest, "Invalid Access-Control-Request-Method: null");
  const std::vector<std::pair<std::string, std::string>> about = {
      {"Method", std::string(*method)}, {"ResourceType", target.key.empty() ? "BUCKET" : "OBJECT"}};
  const auto rules = rules_of(services, target.bucket);
  if (rules.empty()) return wire::s3_fail(S3Code::kAccessForbidden, {}, about);
  const std::string wanted(head.headers.find("access-control-request-headers").value_or(""));
  const S3CorsRule* rule = wire::find_cors_rule(rules, *origin, *method, wanted);
  if (!rule) {
    return wire::s3_fail(S3Code::kAccessForbidden,
                         "CORSResponse: This CORS request is not allowed. This is usually because the "
                         "evalution of Origin, request method / Access-Control-Request-Method or "
                         "Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
                         about);
  }
  net::Response response = empty_response(200);
  add_rule(response, *rule, *origin);
  if (!wanted.empty()) response.headers.add("Access-Control-Allow-Headers", codec::lower_case(wanted));
  return response;
}

void add_cors_headers(const Services& services, const net::RequestHead& head, const wire::S3Target& target,
                      net::Response& response) {
  const auto origin = head.headers.find("origin");
  if (!origin || head.method == "OPTIONS") return;
  const auto rules = rules_of(services, target.bucket);
  if (const S3CorsRule* rule = wire::find_cors_rule(rules, *origin, head.method, {})) {
    add_rule(response, *rule, *origin);
  }
}

}  // namespace hr::s3
