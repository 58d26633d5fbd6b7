#include "headrace/request_log.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace hr {
namespace {

std::uint64_t bytes_of(const net::Response& response) {
  if (const auto* file = std::get_if<net::FileBody>(&response.body)) return file->bytes;
  return std::get<std::string>(response.body).size();
}

}  // namespace

net::Task<net::Response> RequestLog::handle(net::RequestHead& head, net::RequestBody& body) {
  if (!diary_.wants(Severity::kDebug)) co_return co_await inner_.handle(head, body);
  const auto began = clock_.boottime();
  const std::string method = head.method, path = head.target.substr(0, head.target.find('?'));
  const std::string action(head.headers.find("x-amz-target").value_or("-")), id = head.request_id;
  auto response = co_await inner_.handle(head, body);
  const auto took = std::chrono::duration<double>(clock_.boottime() - began).count();
  diary_(Severity::kDebug, "request",
         {{"request_id", id},
          {"method", method},
          {"path", path},
          {"action", action},
          {"status", response.status},
          {"seconds", fmt::format("{:.6f}", took)},
          {"bytes_in", body.content_length() ? std::to_string(*body.content_length()) : "-"},
          {"bytes_out", bytes_of(response)}});
  co_return response;
}

}  // namespace hr
