// What the logs tell of one job, in time order: its own lines, those of the request that sent it, and nginx's
// line of that request. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hr {

class JobStory {
 public:
  explicit JobStory(std::string job) : job_(std::move(job)) {}

  void request(const std::string& id);  // one that is known to belong to it
  // Every line of the logs, twice over and in order: the first time to learn of requests, then to keep lines.
  void learn(std::string_view log_line);
  void take(std::string_view log_line);          // of headrace.log
  void take_access(std::string_view json_line);  // of nginx's access.jsonl
  std::vector<std::string> lines() const;

 private:
  std::string job_;
  std::set<std::string, std::less<>> requests_;
  std::string last_time_;                          // for a line that has none of its own
  std::multimap<std::string, std::string> lines_;  // by time; those of one time as they came
};

}  // namespace hr
