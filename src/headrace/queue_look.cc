#include "headrace/queue_look.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace hr {
namespace {

constexpr std::string_view kPath = "/_aws/sqs/messages";
constexpr std::size_t kPage = 1'000;
// A receive that makes nothing invisible may show what was seen before: it ends after a batch without
// anything new, and after this many in any case.
constexpr int kReceivesMax = 200;

std::int64_t number_text(const codec::Json& from, std::string_view name) {
  const std::string text = text_member(from, name);
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

SeenMessage seen(const codec::Json& json) {
  SeenMessage out{.id = text_member(json, "MessageId"), .body = text_member(json, "Body"), .attributes = {}};
  if (const codec::Json* system = json.find("Attributes")) {
    out.sent = number_text(*system, "SentTimestamp");
    out.receives = static_cast<std::uint32_t>(number_text(*system, "ApproximateReceiveCount"));
  }
  const codec::Json* attributes = json.find("MessageAttributes");
  if (attributes == nullptr || attributes->as_object() == nullptr) return out;
  for (const auto& [name, value] : *attributes->as_object()) {
    if (auto text = text_member(value, "StringValue"); !text.empty()) out.attributes.emplace_back(name, text);
  }
  return out;
}

net::Task<Result<std::vector<SeenMessage>>> receive_all(Operator& here, std::string url, std::size_t most) {
  std::map<std::string, SeenMessage> by_id;
  for (int i = 0; i < kReceivesMax && by_id.size() < most; ++i) {
    const auto batch =
        co_await here.sqs().receive({.queue_url = url, .max = 10, .visibility_s = 0, .wait_s = 0});
    if (!batch) co_return fail(Errc::kUnavailable, batch.error().text());
    bool any_new = false;
    for (const auto& message : *batch) {
      any_new = by_id
                    .emplace(message.id, SeenMessage{message.id, message.body, message.sent, message.receives,
                                                     message.attributes})
                    .second ||
                any_new;
    }
    if (!any_new) break;
  }
  std::vector<SeenMessage> out;
  for (auto& [id, message] : by_id) out.push_back(std::move(message));
  std::ranges::sort(out, {}, &SeenMessage::sent);
  co_return out;
}

}  // namespace

std::string SeenMessage::attribute(std::string_view name) const {
  for (const auto& [key, value] : attributes) {
    if (key == name) return value;
  }
  return "";
}

Result<std::vector<SeenMessage>> read_seen(std::string_view text) {
  HR_ASSIGN(const auto json, codec::parse_json(text, {.bytes_max = 64U << 20}));
  std::vector<SeenMessage> out;
  for (const codec::Json& message : list_member(json, "Messages")) out.push_back(seen(message));
  return out;
}

net::Task<Result<std::vector<SeenMessage>>> look(Operator& here, std::string url, LookOptions options) {
  std::vector<SeenMessage> out;
  std::string after;
  do {
    codec::Pairs query = {{"MaxResults", std::to_string(std::min(kPage, options.most - out.size()))},
                          {"QueueUrl", url},
                          {"ShowDelayed", options.delayed ? "true" : "false"},
                          {"ShowInvisible", options.in_work ? "true" : "false"}};
    if (!after.empty()) query.insert(query.begin(), {"After", after});
    auto answer = co_await here.source().services().call({.service = "sqs",
                                                          .method = "GET",
                                                          .path = std::string(kPath),
                                                          .query = std::move(query),
                                                          .headers = {{"accept", "application/json"}}});
    if (!answer) co_return fail(Errc::kUnavailable, answer.error().text());
    if (answer->status != 200) {
      const auto fault = remote::fault_of_sqs(*answer);
      if (fault.code.contains("QueueDoesNotExist") || fault.code.contains("NonExistentQueue"))
        co_return fail(Errc::kNotFound, url + ": there is no such queue");
      if (options.by_receiving) co_return co_await receive_all(here, url, options.most);
      co_return fail(Errc::kUnsupported, "this service does not show messages that wait: " + fault.text());
    }
    auto page = read_seen(answer->body);
    if (!page) co_return std::unexpected(page.error());
    std::ranges::move(*page, std::back_inserter(out));
    const Bytes* next = answer->header("x-headrace-next");
    after = next != nullptr && !page->empty() ? *next : Bytes();
  } while (!after.empty() && out.size() < options.most);
  co_return out;
}

}  // namespace hr
