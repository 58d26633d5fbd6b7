#include "headrace/job_story.h"

#include "codec/json.h"
#include "codec/time_text.h"
#include "headrace/log_text.h"
#include "headrace/operator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace hr {
namespace {

// The value of "name=value" where that is a whole word of the line; "" if there is none.
std::string_view field_of(std::string_view line, std::string_view name) {
  for (std::size_t at = line.find(name); at != line.npos; at = line.find(name, at + 1)) {
    const std::size_t value = at + name.size();
    if ((at != 0 && line[at - 1] != ' ') || value >= line.size() || line[value] != '=') continue;
    return line.substr(value + 1, line.find(' ', value + 1) - value - 1);
  }
  return {};
}

// "store | 2026-11-23T00:27:43.092Z info ..." -> its time; "" if the line has none.
std::string_view time_of(std::string_view line) {
  constexpr std::string_view kBar = " | ";
  constexpr std::size_t kBytes = 24;
  const std::size_t bar = line.find(kBar);
  if (bar == line.npos) return {};
  const std::string_view time = line.substr(bar + kBar.size(), kBytes);
  return time.size() == kBytes && time[4] == '-' && time[10] == 'T' && time.back() == 'Z'
             ? time
             : std::string_view();
}

double real_member(const codec::Json& json, std::string_view name) {
  const codec::Json* member = json.find(name);
  return member != nullptr ? member->as_double().value_or(0) : 0;
}

}  // namespace

void JobStory::request(const std::string& id) {
  if (!id.empty() && id != "-") requests_.insert(id);
}

void JobStory::learn(std::string_view log_line) {
  if (field_of(log_line, "job") == job_) request(std::string(field_of(log_line, "request")));
}

void JobStory::take(std::string_view log_line) {
  if (const auto time = time_of(log_line); !time.empty()) last_time_ = time;
  if (field_of(log_line, "job") != job_ && !requests_.contains(field_of(log_line, "request"))) return;
  lines_.emplace(last_time_, std::string(log_line));
}

void JobStory::take_access(std::string_view json_line) {
  const bool ours = std::ranges::any_of(requests_, [&](const auto& id) { return json_line.contains(id); });
  if (!ours) return;
  const auto json = codec::parse_json(json_line);
  if (!json || !requests_.contains(text_member(*json, "request_id"))) return;
  const auto ended = from_ms(std::llround(real_member(*json, "unix") * 1000));
  const std::string time = codec::iso8601(ended);
  lines_.emplace(
      time, fmt::format("nginx | {} info access request={} method={} path={} status={} seconds={:.3f}", time,
                        visible(text_member(*json, "request_id")), visible(text_member(*json, "method")),
                        visible(text_member(*json, "path")), real_member(*json, "status"),
                        real_member(*json, "seconds")));
}

std::vector<std::string> JobStory::lines() const {
  std::vector<std::string> out;
  for (const auto& [time, text] : lines_) out.push_back(text);
  return out;
}

}  // namespace hr
