#include "headrace/routes.h"

#include "codec/uri.h"
#include "sqs/front.h"

#include <optional>
#include <string_view>

namespace hr {
namespace {

// "AKID/20260102/us-east-1/sqs/aws4_request", its slashes perhaps percent-encoded: the fourth part.
std::optional<Service> service_in_scope(std::string_view credential) {
  const bool encoded = credential.find('/') == credential.npos;
  const std::string_view slash = encoded ? "%2F" : "/";
  for (int part = 0; part < 3; ++part) {
    std::size_t at = credential.find(slash);
    if (encoded && at == credential.npos) at = credential.find("%2f");
    if (at == credential.npos) return {};
    credential.remove_prefix(at + slash.size());
  }
  if (credential.starts_with("sqs")) return Service::kSqs;
  if (credential.starts_with("s3")) return Service::kS3;
  return {};
}

std::optional<std::string_view> after(std::string_view text, std::string_view mark) {
  const std::size_t at = text.find(mark);
  if (at == text.npos) return {};
  return text.substr(at + mark.size());
}

// Whether the query has a parameter of this name.
bool has_parameter(std::string_view query, std::string_view name) {
  for (std::size_t at = query.find(name); at != query.npos; at = query.find(name, at + 1)) {
    const bool begins = at == 0 || query[at - 1] == '&';
    const std::size_t end = at + name.size();
    if (begins && (end == query.size() || query[end] == '=' || query[end] == '&')) return true;
  }
  return false;
}

}  // namespace

Service service_of(const net::RequestHead& head) {
  const std::string_view target = head.target;
  if (target.starts_with("/_headrace/")) return Service::kOwn;
  if (target.starts_with(sqs::kPeekPath)) return Service::kSqs;
  if (head.headers.find("x-amz-target").value_or("").starts_with("AmazonSQS.")) return Service::kSqs;
  const std::size_t mark = target.find('?');
  const std::string_view query = mark == target.npos ? std::string_view() : target.substr(mark + 1);
  if (auto credential = after(head.headers.find("authorization").value_or(""), "Credential=")) {
    if (auto service = service_in_scope(*credential)) return *service;
  }
  if (auto credential = after(query, "X-Amz-Credential=")) {
    if (auto service = service_in_scope(credential->substr(0, credential->find('&')))) return *service;
  }
  const std::string_view type = head.headers.find("content-type").value_or("");
  if (head.method == "POST" && type.starts_with("application/x-www-form-urlencoded")) return Service::kSqs;
  if (head.method == "GET" && has_parameter(query, "Action") && has_parameter(query, "Version"))
    return Service::kSqs;
  return Service::kS3;
}

}  // namespace hr
