#include "headrace/job_story.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hr {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> story(JobStory story, const std::vector<std::string>& log,
                               const std::vector<std::string>& access = {}) {
  for (const auto& line : log) story.learn(line);
  for (const auto& line : log) story.take(line);
  for (const auto& line : access) story.take_access(line);
  return story.lines();
}

const std::string kRequest =
    "web-1 | 2026-11-23T00:00:01.500Z info request request=r1 method=POST status=200";
const std::string kStarted =
    "worker-a | 2026-11-23T00:00:02.000Z info job_started job=j1 request=r1 attempt=1";
const std::string kOther = "worker-a | 2026-11-23T00:00:02.100Z info job_started job=j11 request=r11";
const std::string kDone = "worker-a | 2026-11-23T00:00:03.000Z info job_done seconds=1 job=j1";

TEST(JobStory, has_the_lines_of_the_job_and_of_its_request) {
  EXPECT_THAT(story(JobStory("j1"), {kRequest, kStarted, kOther, kDone}),
              ElementsAre(kRequest, kStarted, kDone));
}

TEST(JobStory, takes_whole_words_only) {
  EXPECT_THAT(story(JobStory("j"), {kRequest, kStarted, kDone}), IsEmpty());
  EXPECT_THAT(story(JobStory("1"), {"a | x_job=1", "a | job=12", "a | job=", "a | job"}), IsEmpty());
}

TEST(JobStory, puts_the_line_of_nginx_in_its_place) {
  const std::string access =
      R"({"time":"2026-11-23T00:00:01+00:00","unix":1795392001.750,"request_id":"r1","method":"POST",)"
      R"("path":"/upload","status":303,"seconds":0.250})";
  EXPECT_THAT(story(JobStory("j1"), {kRequest, kStarted}, {access, "{\"request_id\":\"r11\"}", "r1 garbled"}),
              ElementsAre(kRequest,
                          "nginx | 2026-11-23T00:00:01.750Z info access request=r1 method=POST path=/upload "
                          "status=303 seconds=0.250",
                          kStarted));
}

TEST(JobStory, a_request_that_is_known_brings_its_lines) {
  JobStory known("j9");
  known.request("r1");
  known.request("");
  EXPECT_THAT(story(known, {kRequest, kOther, "nginx | without fields"}), ElementsAre(kRequest));
}

TEST(JobStory, a_line_without_a_time_stays_behind_the_one_before_it) {
  const std::string untimed = "worker-a | says job=j1 without a time";
  EXPECT_THAT(story(JobStory("j1"), {kStarted, untimed, kDone}), ElementsAre(kStarted, untimed, kDone));
}

}  // namespace
}  // namespace hr
