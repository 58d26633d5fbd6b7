#include "codec/digest.h"
#include "codec/json.h"
#include "task/documents.h"
#include "task/envelope.h"
#include "task/json_slices.h"
#include "task/names.h"
#include "task/retry.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <string>

namespace hr::task {
namespace {

const std::string kCall =
    R"({"headrace":1,"id":"01-a","task":"t.parse","args":[123456789012345678901234567890,1e400],)"
    R"("kwargs":{"a":null},"sent":5,"not_before":null,"expires":null,"attempt":0,"keep_result":false,)"
    R"("once":false,"flow":null,"trace":{"request_id":"r-1"},"body":null})";

TEST(JsonSlices, numbers_of_any_size_stay_as_they_were_sent) {
  const auto in = JsonSlices::read(R"({"a":123456789012345678901234567890, "b" : [1e999,-0.0] })");
  ASSERT_TRUE(in);
  EXPECT_EQ(in->raw("a"), "123456789012345678901234567890");
  EXPECT_EQ(in->raw("b"), "[1e999,-0.0]");
}

TEST(JsonSlices, what_is_not_json_is_refused) {
  for (const char* text : {"", "{", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":01}", "{\"a\":[1,]}",
                           "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}", "{\"a\":tru}", "{\"a\":1}x", "{\"a\":+1}",
                           "{\"a\":1,\"a\":2}", "{\"a\":{\"b\" 1}}", "{\"a\":\"\xff\"}", "{\"a\":NaN}"}) {
    EXPECT_FALSE(JsonSlices::read(text)) << text;
  }
}

TEST(JsonSlices, the_depth_has_a_limit) {
  const auto nested = [](std::size_t depth) {
    return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(JsonSlices::read(nested(500)));
  EXPECT_EQ(JsonSlices::read(nested(501)).error().code, Errc::kLimit);
}

TEST(JsonSlices, a_name_may_be_escaped) {
  const auto in = JsonSlices::read(R"({"\u0061b":1})");
  ASSERT_TRUE(in);
  EXPECT_EQ(in->raw("ab"), "1");
}

RC_GTEST_PROP(JsonSlices, whatever_the_reader_of_documents_takes_is_taken, (std::string text)) {
  const std::string object = "{\"k\":" + text + "}";
  if (codec::parse_json(object)) RC_ASSERT(JsonSlices::read(object).has_value());
}

TEST(Envelope, is_read_and_written_without_touching_the_arguments) {
  const auto call = parse_envelope(kCall);
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(call->id, "01-a");
  EXPECT_EQ(call->args, "[123456789012345678901234567890,1e400]");
  EXPECT_FALSE(call->keep_result);
  EXPECT_EQ(call->request_id, "r-1");
  EXPECT_EQ(write_envelope(*call), kCall);
}

TEST(Envelope, each_broken_rule_is_named) {
  EXPECT_NE(parse_envelope("{}").error().message.find("headrace"), std::string::npos);
  EXPECT_EQ(parse_envelope(R"({"headrace":2})").error().code, Errc::kUnsupported);
  EXPECT_NE(parse_envelope(R"({"headrace":1,"id":"a/b","task":"t"})").error().message.find("\"id\""),
            std::string::npos);
  EXPECT_NE(parse_envelope(R"({"headrace":1,"id":"a","task":""})").error().message.find("\"task\""),
            std::string::npos);
  EXPECT_NE(parse_envelope(R"({"headrace":1,"id":"a","task":"t","args":{}})").error().message.find("array"),
            std::string::npos);
  EXPECT_EQ(parse_envelope(R"({"headrace":1,"id":"a","task":"t","once":true})").error().code,
            Errc::kUnsupported);
}

TEST(Envelope, a_trace_is_handed_on_when_it_is_one) {
  const Bytes parent = "00-" + Bytes(32, 'a') + "-" + Bytes(16, '1') + "-01";
  const auto traced = [](const Bytes& text) {
    const auto call =
        parse_envelope(R"({"headrace":1,"id":"a","task":"t","trace":{"traceparent":")" + text + "\"}}");
    return call ? call->traceparent : "refused";
  };
  EXPECT_EQ(traced(parent), parent);
  const Bytes no_trace = "00-" + Bytes(32, '0') + parent.substr(35);
  const Bytes no_span = parent.substr(0, 36) + Bytes(16, '0') + "-01";
  const Bytes upper = "00-" + Bytes(32, 'A') + parent.substr(35);
  for (const Bytes& text : {Bytes(), parent + "0", parent + "-", parent.substr(1), parent.substr(0, 54),
                            Bytes(55, 'a'), Bytes(55, '0'), no_trace, no_span, upper}) {
    EXPECT_EQ(traced(text), "") << text;
  }
  auto call = *parse_envelope(kCall);
  call.traceparent = parent;
  EXPECT_EQ(*parse_envelope(write_envelope(call)), call);
}

TEST(Envelope, attempts_before_it_was_sent_again_are_counted_within_bounds) {
  const auto attempt = [](const Bytes& text) {
    return parse_envelope(R"({"headrace":1,"id":"a","task":"t","attempt":)" + text + "}")->attempt;
  };
  EXPECT_EQ(attempt("3"), 3U);
  EXPECT_EQ(attempt("-1"), 0U);
  EXPECT_EQ(attempt("1000000001"), 1'000'000'000U);
  auto call = *parse_envelope(kCall);
  call.attempt = 3;
  EXPECT_EQ(*parse_envelope(write_envelope(call)), call);
}

TEST(Envelope, an_id_has_at_most_128_bytes) {
  EXPECT_TRUE(valid_job_id(std::string(128, 'a')));
  EXPECT_FALSE(valid_job_id(std::string(129, 'a')));
  EXPECT_FALSE(valid_job_id(""));
  EXPECT_FALSE(valid_job_id("../x"));
}

TEST(Envelope, a_long_body_must_be_the_bytes_that_were_announced) {
  const std::string object = R"({"args":[1],"kwargs":{}})";
  const BodyRef ref{.key = "body/x", .size = object.size(), .sha256 = codec::sha256_hex(object)};
  const auto arguments = parse_body(object, ref);
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->args, "[1]");
  EXPECT_EQ(parse_body(object + " ", ref).error().code, Errc::kCorrupt);
}

const std::string kRecord =
    R"({"eventTime":"2026-01-02T03:04:05.678Z","eventName":"ObjectCreated:Put",)"
    R"("responseElements":{"x-amz-request-id":"req-9"},"s3":{"configurationId":"headrace-app.index",)"
    R"("bucket":{"name":"inbox"},)"
    R"("object":{"key":"a+b%2Bc/%C3%A4.pdf","size":7,"eTag":"e","sequencer":"0A"}}})";

TEST(Notification, each_record_is_a_job_whose_id_a_redelivery_repeats) {
  const std::string body = "{\"Records\":[" + kRecord + "," + kRecord + "]}";
  const auto first = read_message(body, "message-1");
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_EQ(first->jobs.size(), 2U);
  EXPECT_NE(first->jobs[0].call.id, first->jobs[1].call.id);
  EXPECT_EQ(first->jobs, read_message(body, "message-1")->jobs);
  EXPECT_NE(first->jobs[0].call.id, read_message(body, "message-2")->jobs[0].call.id);
  EXPECT_EQ(first->jobs[1].dead_body, "{\"Records\":[" + kRecord + "]}");
}

TEST(Notification, a_record_becomes_an_event_with_its_key_decoded) {
  const auto message = read_message("{\"Records\":[" + kRecord + "]}", "m");
  ASSERT_TRUE(message);
  const Job& job = message->jobs[0];
  const auto event = codec::parse_json(job.event);
  ASSERT_TRUE(event);
  EXPECT_EQ(*event->find("key")->as_string(), "a b+c/\xC3\xA4.pdf");
  EXPECT_EQ(event->find("size")->as_int(), 7);
  EXPECT_EQ(job.call.request_id, "req-9");
  EXPECT_EQ(job.configuration, "headrace-app.index");
  EXPECT_EQ(job.call.sent, 1767323045678);
}

TEST(Notification, a_test_event_asks_for_nothing) {
  const auto message = read_message(R"({"Service":"Amazon S3","Event":"s3:TestEvent"})", "m");
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->jobs.empty());
}

TEST(Names, a_version_5_id_is_the_one_that_everybody_computes) {
  // uuid.uuid5(uuid.NAMESPACE_OID, "m#0") of Python.
  EXPECT_EQ(name_uuid("m#0").text(), "29166fdd-9627-5448-9e35-6e0bf3279a36");
}

TEST(Names, a_trigger_queue_fits_into_a_queue_name_with_its_dead_letter_queue) {
  EXPECT_EQ(trigger_queue("app.tasks.index"), "on-app-tasks-index");
  const Bytes longest = trigger_queue(std::string(72, 'x'));
  EXPECT_EQ(longest, "on-" + std::string(72, 'x'));
  const Bytes cut = trigger_queue(std::string(73, 'x'));
  EXPECT_EQ(cut.size(), 75U);
  EXPECT_NE(cut, trigger_queue(std::string(74, 'x')));
}

TEST(Names, what_waits_is_named_by_its_minute_so_that_keys_sort_by_time) {
  EXPECT_EQ(later_key(1'767'323'045'678, "j"), "later/202601020304/j");
  EXPECT_LT(later_key(1'767'323'045'678, "z"), later_key(1'767'323'100'000, "a"));
}

TEST(Retry, the_bound_doubles_up_to_its_cap) {
  const RetryPolicy policy{.retries = 5, .backoff = 1s, .backoff_cap = 10s};
  EXPECT_EQ(retry_bound(policy, 1), 1s);
  EXPECT_EQ(retry_bound(policy, 2), 2s);
  EXPECT_EQ(retry_bound(policy, 4), 8s);
  EXPECT_EQ(retry_bound(policy, 5), 10s);
  EXPECT_EQ(retry_bound(policy, 4'000'000'000U), 10s);
}

RC_GTEST_PROP(Retry, a_delay_is_within_its_bound, (std::uint32_t failures, std::uint64_t random)) {
  const RetryPolicy policy{.retries = 5, .backoff = 700ms, .backoff_cap = 600s};
  const Duration delay = retry_delay(policy, failures, random);
  RC_ASSERT(delay >= 0ms);
  RC_ASSERT(delay <= retry_bound(policy, failures));
}

TEST(Documents, a_mark_is_read_back_as_it_was_written) {
  const Mark mark{.id = "j",
                  .receives = 3,
                  .attempts = 2,
                  .crashes = 1,
                  .releases = 4,
                  .not_before = 99,
                  .last_error = {.type = "ValueError", .message = "x", .traceback = "t"},
                  .state = MarkState::kStarted,
                  .reason = ""};
  const auto again = parse_mark(write_mark(mark));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, mark);
  EXPECT_FALSE(parse_mark("{}"));
  EXPECT_FALSE(parse_mark(R"({"v":1,"id":"j","receives":-1,"attempts":0,"crashes":0,"releases":0})"));
}

TEST(Documents, a_result_is_json_with_the_returned_text_inside) {
  JobResult result;
  result.id = "j";
  result.result = "[1,2]";
  const auto text = write_result(result);
  const auto json = codec::parse_json(text);
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find("state")->as_string(), "done");
  EXPECT_EQ(json->find("result")->as_array()->size(), 2U);
  EXPECT_TRUE(json->find("error")->is_null());
}

TEST(Documents, a_cancelled_job_has_no_value_and_no_error) {
  JobResult result;
  result.id = "j";
  result.state = JobState::kCancelled;
  const auto json = codec::parse_json(write_result(result));
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find("state")->as_string(), "cancelled");
  EXPECT_TRUE(json->find("result")->is_null() && json->find("error")->is_null());
}

TEST(Documents, a_message_that_waits_is_read_back_as_it_was_written) {
  const auto later = parse_later(write_later({.queue = "q", .message = "{\"a\":1}", .due = 99}));
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_EQ(later->queue, "q");
  EXPECT_EQ(later->message, "{\"a\":1}");
  EXPECT_EQ(later->due, 99);
  EXPECT_EQ(later->claimed, 0);
  const auto claimed =
      parse_later(write_later({.queue = "q", .message = "m", .due = 99, .claimed = 7, .by = "host:pool:1"}));
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->claimed, 7);
  EXPECT_EQ(claimed->by, "host:pool:1");
  EXPECT_FALSE(parse_later("{}"));
  EXPECT_FALSE(parse_later(R"({"queue":"q","message":"m","due":"soon"})"));
}

TEST(Documents, the_text_of_an_error_fits_into_an_attribute) {
  const Bytes text =
      error_text({.type = "E", .message = "a\nb\xEF\xBF\xBF" + std::string(2'000, 'x'), .traceback = ""});
  EXPECT_EQ(text.size(), kErrorTextBytesMax);
  EXPECT_TRUE(text.starts_with("E: a b?x"));
}

}  // namespace
}  // namespace hr::task
