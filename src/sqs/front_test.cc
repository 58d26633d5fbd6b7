// The front end over a real commit path, on a disk and a clock that are simulated.
#include "sqs/front.h"

#include "codec/digest.h"
#include "codec/json.h"
#include "codec/sigv4.h"
#include "codec/uri.h"
#include "codec/xml.h"
#include "commit/recovery.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace hr::sqs {
namespace {

class Silence final : public LogSink {
 public:
  bool wants(Severity) const override { return false; }
  void write(Severity, std::string_view, std::span<const Field>) override {}
};

class FixedBody final : public net::RequestBody {
 public:
  explicit FixedBody(std::string bytes) : bytes_(std::move(bytes)) {}
  net::Task<Result<std::string_view>> read() override { co_return std::string_view(bytes_); }
  net::Task<Result<std::string>> read_all(std::size_t bytes_max) override {
    if (bytes_.size() > bytes_max) co_return fail(Errc::kLimit, "too large");
    co_return bytes_;
  }
  std::optional<std::uint64_t> content_length() const override { return bytes_.size(); }
  void on_disconnect(std::function<void()> gone) override { gone_ = std::move(gone); }

  void disconnect() {
    if (gone_) gone_();
  }

 private:
  std::string bytes_;
  std::function<void()> gone_;
};

// One request on its way.
struct Call {
  net::RequestHead head;
  FixedBody body;
  std::optional<net::Response> response;

  explicit Call(std::string bytes) : body(std::move(bytes)) {}
  int status() const { return response->status; }
  std::string text() const { return std::get<std::string>(response->body); }
  codec::Json json() const { return codec::parse_json(text().empty() ? "{}" : text()).value(); }
  codec::XmlNode xml() const { return codec::parse_xml(text()).value(); }
  std::string error() const {
    const auto header = response->headers.find("x-amzn-query-error").value_or("");
    return std::string(header.substr(0, header.find(';')));
  }
};
using CallPtr = std::shared_ptr<Call>;

class SqsFrontTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kUid = 1000;
  static constexpr std::string_view kAccount = "000000000000";

  // Sends and runs until nothing moves any more; `run` false leaves the log unsynced.
  CallPtr start(std::string method, std::string target, std::string body,
                std::vector<std::pair<std::string, std::string>> headers, bool run = true) {
    auto call = std::make_shared<Call>(std::move(body));
    call->head.method = std::move(method);
    call->head.target = std::move(target);
    call->head.headers.add("Host", "store.test:9324");
    for (auto& [name, value] : headers) call->head.headers.add(name, value);
    call->head.peer = {.unix_socket = unix_, .address = "unix", .uid = kUid};
    call->head.request_id = "request-1";
    boost::asio::co_spawn(io_, answer(call), [](const std::exception_ptr& thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
    if (run) {
      settle();
    } else {
      poll();
    }
    return call;
  }
  net::Task<void> answer(CallPtr call) { call->response = co_await front_.handle(call->head, call->body); }

  CallPtr json(std::string_view action, std::string body, bool run = true) {
    return start("POST", "/", std::move(body), {{"X-Amz-Target", fmt::format("AmazonSQS.{}", action)}}, run);
  }
  CallPtr form(std::string target, std::string body) {
    return start("POST", std::move(target), std::move(body),
                 {{"Content-Type", "application/x-www-form-urlencoded"}});
  }

  void poll() {
    io_.restart();
    io_.poll();
  }
  // Everything appended becomes durable, and every answer that can leave does.
  void settle() {
    poll();
    while (parts_.log->wait(0ms)) {
      store_.on_written(parts_.log->write().value());
      if (parts_.log->wants_sync()) store_.on_durable(parts_.log->sync().value());
      poll();
    }
  }
  void pass(Duration time) {
    clock_.advance(time);
    store_.tick();
    settle();
  }

  std::string create(std::string_view name, std::string_view attributes = "{}") {
    const auto call =
        json("CreateQueue", fmt::format(R"({{"QueueName":"{}","Attributes":{}}})", name, attributes));
    EXPECT_EQ(call->status(), 200) << call->text();
    return url(name);
  }
  static std::string url(std::string_view name) {
    return fmt::format("http://store.test:9324/{}/{}", kAccount, name);
  }
  CallPtr send(std::string_view queue, std::string_view body) {
    return json("SendMessage", fmt::format(R"({{"QueueUrl":"{}","MessageBody":"{}"}})", queue, body));
  }
  CallPtr receive(std::string_view queue, std::string_view more = "") {
    return json("ReceiveMessage", fmt::format(R"({{"QueueUrl":"{}"{}}})", queue, more));
  }
  CallPtr with_receipt(std::string_view action, std::string_view queue, std::string_view receipt,
                       std::string_view more = "") {
    return json(action, fmt::format(R"({{"QueueUrl":"{}","ReceiptHandle":"{}"{}}})", queue, receipt, more));
  }
  static std::string member(const codec::Json& json, std::string_view name) {
    const auto* found = json.find(name);
    return found != nullptr && found->as_string() != nullptr ? *found->as_string() : "";
  }
  static codec::Json message(const CallPtr& call) {
    const auto json = call->json();
    const auto* messages = json.find("Messages");
    return messages == nullptr ? codec::Json() : messages->as_array()->front();
  }
  std::string attribute(std::string_view queue, std::string_view name) {
    const auto call = json("GetQueueAttributes",
                           fmt::format(R"({{"QueueUrl":"{}","AttributeNames":["{}"]}})", queue, name));
    const auto json = call->json();
    const auto* attributes = json.find("Attributes");
    return attributes == nullptr ? "" : member(*attributes, name);
  }

  boost::asio::io_context io_;
  bool unix_ = true;
  sim::SimDisk disk_;
  sim::SimClock clock_;
  sim::SimEntropy entropy_{1};
  Silence silence_;
  commit::Recovered parts_ =
      commit::recover(disk_, entropy_, storage::make_memory_index(), {.log = {}, .queues = {}, .objects = {}})
          .value();
  commit::Store store_{{.log = *parts_.log,
                        .queues = *parts_.queues,
                        .objects = *parts_.objects,
                        .clock = clock_,
                        .entropy = entropy_,
                        .diary = Log(silence_),
                        .deadline_moved = [](Time) {}}};
  wire::KeyRing keys_ = wire::KeyRing::make({{"AKIDEXAMPLE", "secret", "000000000000", "test"},
                                             {"AKIDOTHER", "another", "111111111111", "other"}})
                            .value();
  SqsFront front_{{.store = store_,
                   .keys = keys_,
                   .trusted = {.uids = {kUid}, .account = Bytes(kAccount)},
                   .receipt_key = std::string(32, 'k'),
                   .clock = clock_,
                   .region = "us-east-1",
                   .entropy = entropy_,
                   .diary = Log(silence_)}};
};

TEST_F(SqsFrontTest, a_message_is_sent_received_and_deleted) {
  const auto queue = create("q");
  const auto sent = send(queue, "hello");
  ASSERT_EQ(sent->status(), 200) << sent->text();
  EXPECT_EQ(member(sent->json(), "MD5OfMessageBody"), "5d41402abc4b2a76b9719d911017c592");
  const auto got = message(receive(queue));
  EXPECT_EQ(member(got, "Body"), "hello");
  EXPECT_EQ(member(got, "MessageId"), member(sent->json(), "MessageId"));
  EXPECT_EQ(with_receipt("DeleteMessage", queue, member(got, "ReceiptHandle"))->status(), 200);
  pass(1h);
  EXPECT_EQ(receive(queue)->text(), "{}");
  EXPECT_EQ(front_.messages().sent, 1U);
  EXPECT_EQ(front_.messages().received, 1U);
  EXPECT_EQ(front_.messages().deleted, 1U);
}

TEST_F(SqsFrontTest, a_send_is_not_answered_before_it_is_durable) {
  const auto queue = create("q");
  const auto call =
      json("SendMessage", fmt::format(R"({{"QueueUrl":"{}","MessageBody":"x"}})", queue), false);
  EXPECT_FALSE(call->response);
  store_.on_written(parts_.log->write().value());
  poll();
  EXPECT_FALSE(call->response);
  store_.on_durable(parts_.log->sync().value());
  poll();
  ASSERT_TRUE(call->response);
  EXPECT_EQ(call->status(), 200);
}

TEST_F(SqsFrontTest, the_query_protocol_finds_the_queue_in_its_path) {
  create("q");
  const auto sent = form("/000000000000/q", "Action=SendMessage&MessageBody=a+b%26c&Version=2012-11-05");
  ASSERT_EQ(sent->status(), 200) << sent->text();
  EXPECT_EQ(sent->xml().name, "SendMessageResponse");
  const auto got = start("GET", "/000000000000/q?Action=ReceiveMessage&AttributeName.1=All", "", {});
  const auto xml = got->xml();
  const auto* received = xml.child("ReceiveMessageResult")->child("Message");
  ASSERT_NE(received, nullptr) << got->text();
  EXPECT_EQ(*received->child_text("Body"), "a b&c");
  EXPECT_EQ(received->children.size(), 8U);  // id, handle, MD5, body, four attributes
  EXPECT_EQ(*xml.child("ResponseMetadata")->child_text("RequestId"), "request-1");
}

TEST_F(SqsFrontTest, a_waiting_receive_gets_the_message_that_comes) {
  const auto queue = create("q");
  const auto waiting = receive(queue, R"(,"WaitTimeSeconds":20)");
  EXPECT_FALSE(waiting->response);
  send(queue, "late");
  ASSERT_TRUE(waiting->response);
  EXPECT_EQ(member(message(waiting), "Body"), "late");
}

TEST_F(SqsFrontTest, a_waiting_receive_ends_with_nothing_when_its_time_is_up) {
  const auto queue = create("q");
  const auto waiting = receive(queue, R"(,"WaitTimeSeconds":5)");
  pass(4999ms);
  EXPECT_FALSE(waiting->response);
  pass(1ms);
  ASSERT_TRUE(waiting->response);
  EXPECT_EQ(waiting->text(), "{}");
  EXPECT_EQ(front_.messages().empty_receives, 1U);
}

TEST_F(SqsFrontTest, the_queues_own_wait_counts_where_the_request_names_none) {
  const auto queue = create("q", R"({"ReceiveMessageWaitTimeSeconds":"3"})");
  const auto waiting = receive(queue);
  EXPECT_FALSE(waiting->response);
  EXPECT_TRUE(receive(queue, R"(,"WaitTimeSeconds":0)")->response);
  pass(3s);
  EXPECT_TRUE(waiting->response);
}

TEST_F(SqsFrontTest, a_receiver_that_went_away_takes_no_message) {
  const auto queue = create("q");
  const auto waiting = receive(queue, R"(,"WaitTimeSeconds":20)");
  waiting->body.disconnect();
  settle();
  ASSERT_TRUE(waiting->response);
  send(queue, "kept");
  EXPECT_EQ(member(message(receive(queue)), "Body"), "kept");
  waiting->body.disconnect();  // again, late: nothing happens
}

TEST_F(SqsFrontTest, a_waiting_receive_of_a_deleted_queue_ends) {
  const auto queue = create("q");
  const auto waiting = receive(queue, R"(,"WaitTimeSeconds":20)");
  json("DeleteQueue", fmt::format(R"({{"QueueUrl":"{}"}})", queue));
  EXPECT_TRUE(waiting->response);
  EXPECT_EQ(send(queue, "x")->error(), "AWS.SimpleQueueService.NonExistentQueue");
}

TEST_F(SqsFrontTest, a_batch_fails_by_entry) {
  const auto queue = create("q", R"({"MaximumMessageSize":"1024"})");
  const auto call = json("SendMessageBatch", fmt::format(R"({{"QueueUrl":"{}","Entries":[
      {{"Id":"good","MessageBody":"x"}},{{"Id":"large","MessageBody":"{}"}},
      {{"Id":"empty","MessageBody":""}}]}})",
                                                         queue, std::string(1025, 'x')));
  ASSERT_EQ(call->status(), 200) << call->text();
  const auto answer = call->json();
  ASSERT_EQ(answer.find("Successful")->as_array()->size(), 1U);
  const auto& failed = *answer.find("Failed")->as_array();
  ASSERT_EQ(failed.size(), 2U);
  EXPECT_EQ(member(failed[0], "Id"), "large");
  EXPECT_EQ(member(failed[0], "Code"), "InvalidParameterValue");
  EXPECT_EQ(member(failed[1], "Code"), "MissingParameter");
  EXPECT_EQ(send(queue, std::string(1024, 'x'))->status(), 200);
  EXPECT_EQ(send(queue, std::string(1025, 'x'))->error(), "InvalidParameterValue");
}

TEST_F(SqsFrontTest, receipts_that_are_forged_or_of_another_queue_are_invalid) {
  const auto queue = create("q");
  const auto other = create("other");
  send(queue, "x");
  const auto receipt = member(message(receive(queue)), "ReceiptHandle");
  EXPECT_EQ(with_receipt("DeleteMessage", other, receipt)->error(), "ReceiptHandleIsInvalid");
  EXPECT_EQ(with_receipt("DeleteMessage", queue, "Zm9yZ2Vk")->status(), 404);
  const auto batch = json("DeleteMessageBatch", fmt::format(R"({{"QueueUrl":"{}","Entries":[
      {{"Id":"1","ReceiptHandle":"bad"}},{{"Id":"2","ReceiptHandle":"{}"}}]}})",
                                                            queue, receipt));
  EXPECT_EQ(member(batch->json().find("Failed")->as_array()->front(), "Code"), "ReceiptHandleIsInvalid");
  EXPECT_EQ(member(batch->json().find("Successful")->as_array()->front(), "Id"), "2");
}

TEST_F(SqsFrontTest, an_overtaken_receipt_deletes_nothing_and_is_fine) {
  const auto queue = create("q");
  send(queue, "x");
  const auto first = member(message(receive(queue, R"(,"VisibilityTimeout":1)")), "ReceiptHandle");
  pass(1s);
  const auto second = member(message(receive(queue)), "ReceiptHandle");
  ASSERT_NE(first, second);
  EXPECT_EQ(with_receipt("DeleteMessage", queue, first)->status(), 200);
  EXPECT_EQ(attribute(queue, "ApproximateNumberOfMessagesNotVisible"), "1");
  EXPECT_EQ(with_receipt("ChangeMessageVisibility", queue, first, R"(,"VisibilityTimeout":0)")->error(),
            "InvalidParameterValue");
  EXPECT_EQ(with_receipt("ChangeMessageVisibility", queue, second, R"(,"VisibilityTimeout":0)")->status(),
            200);
  EXPECT_EQ(with_receipt("ChangeMessageVisibility", queue, second, R"(,"VisibilityTimeout":9)")->error(),
            "AWS.SimpleQueueService.MessageNotInflight");
}

TEST_F(SqsFrontTest, a_delete_that_changes_nothing_is_answered_though_only_a_receive_came_before) {
  const auto queue = create("q");
  send(queue, "x");
  const auto first = member(message(receive(queue, R"(,"VisibilityTimeout":0)")), "ReceiptHandle");
  receive(queue);
  const auto deleted = with_receipt("DeleteMessage", queue, first);
  ASSERT_TRUE(deleted->response);
  EXPECT_EQ(deleted->status(), 200);
}

TEST_F(SqsFrontTest, attributes_of_a_message_come_as_they_are_asked_for) {
  const auto queue = create("q");
  json("SendMessage",
       fmt::format(R"({{"QueueUrl":"{}","MessageBody":"x","MessageGroupId":"g","MessageAttributes":{{
      "Hello":{{"DataType":"String","StringValue":"There"}},
      "General":{{"DataType":"String","StringValue":"Kenobi"}}}},
      "MessageSystemAttributes":{{"AWSTraceHeader":{{"DataType":"String","StringValue":"Root=1"}}}}}})",
                   queue));
  const auto got =
      message(receive(queue, R"(,"MessageAttributeNames":["Hell.*"],"MessageSystemAttributeNames":["All"])"));
  EXPECT_EQ(got.find("MessageAttributes")->as_object()->size(), 1U);
  EXPECT_EQ(member(got, "MD5OfMessageAttributes"), "a311262e065454b75da111d535b8dacd");
  const auto& system = *got.find("Attributes");
  EXPECT_EQ(member(system, "AWSTraceHeader"), "Root=1");
  EXPECT_EQ(member(system, "MessageGroupId"), "g");
  EXPECT_EQ(member(system, "ApproximateReceiveCount"), "1");
  EXPECT_EQ(member(system, "SenderId"), kAccount);
  EXPECT_EQ(member(system, "SentTimestamp"), "1700000000000");
}

TEST_F(SqsFrontTest, queue_attributes_are_set_and_shown) {
  const auto queue = create("q", R"({"DelaySeconds":"5","KmsMasterKeyId":"k"})");
  EXPECT_EQ(attribute(queue, "DelaySeconds"), "5");
  EXPECT_EQ(attribute(queue, "QueueArn"), "arn:aws:sqs:us-east-1:000000000000:q");
  EXPECT_EQ(attribute(queue, "MaximumMessageSize"), "1048576");
  EXPECT_EQ(attribute(queue, "CreatedTimestamp"), "1700000000");
  EXPECT_EQ(attribute(queue, "Policy"), "");
  send(queue, "x");
  EXPECT_EQ(attribute(queue, "ApproximateNumberOfMessagesDelayed"), "1");
  clock_.advance(2s);
  json("SetQueueAttributes",
       fmt::format(R"({{"QueueUrl":"{}","Attributes":{{"DelaySeconds":"0","KmsMasterKeyId":""}}}})", queue));
  EXPECT_EQ(attribute(queue, "DelaySeconds"), "0");
  EXPECT_EQ(attribute(queue, "KmsMasterKeyId"), "");
  EXPECT_EQ(attribute(queue, "LastModifiedTimestamp"), "1700000002");
}

TEST_F(SqsFrontTest, creating_again_answers_the_same_queue_or_names_what_differs) {
  const auto queue = create("q", R"({"DelaySeconds":"5"})");
  EXPECT_EQ(create("q"), queue);
  EXPECT_EQ(create("q", R"({"DelaySeconds":"5"})"), queue);
  const auto refused = json("CreateQueue", R"({"QueueName":"q","Attributes":{"DelaySeconds":"6"}})");
  EXPECT_EQ(refused->error(), "QueueAlreadyExists");
  EXPECT_EQ(member(refused->json(), "message"),
            "A queue already exists with the same name and a different value for attribute DelaySeconds");
}

TEST_F(SqsFrontTest, a_message_received_too_often_goes_to_the_dead_letter_queue) {
  const auto dead = create("dead");
  const auto refused = json("CreateQueue", R"({"QueueName":"x","Attributes":{"RedrivePolicy":
      "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:none\",\"maxReceiveCount\":1}"}})");
  EXPECT_EQ(refused->error(), "InvalidParameterValue");
  const auto queue = create("q", R"({"VisibilityTimeout":"1","RedrivePolicy":
      "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\",\"maxReceiveCount\":\"1\"}"})");
  EXPECT_EQ(attribute(queue, "RedrivePolicy"),
            R"({"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1})");
  send(queue, "poison");
  EXPECT_EQ(member(message(receive(queue)), "Body"), "poison");
  pass(1s);
  EXPECT_EQ(receive(queue)->text(), "{}");
  EXPECT_EQ(member(message(receive(dead)), "Body"), "poison");
  const auto sources = json("ListDeadLetterSourceQueues", fmt::format(R"({{"QueueUrl":"{}"}})", dead));
  EXPECT_EQ(*sources->json().find("queueUrls")->as_array()->front().as_string(), queue);
}

TEST_F(SqsFrontTest, queues_are_listed_in_pages) {
  for (const auto* name : {"a1", "a2", "a3", "b1"}) create(name);
  const auto page = json("ListQueues", R"({"QueueNamePrefix":"a","MaxResults":2})")->json();
  EXPECT_EQ(page.find("QueueUrls")->as_array()->size(), 2U);
  const auto rest =
      json("ListQueues", fmt::format(R"({{"QueueNamePrefix":"a","MaxResults":2,"NextToken":"{}"}})",
                                     member(page, "NextToken")))
          ->json();
  ASSERT_EQ(rest.find("QueueUrls")->as_array()->size(), 1U);
  EXPECT_EQ(*rest.find("QueueUrls")->as_array()->front().as_string(), url("a3"));
  EXPECT_EQ(rest.find("NextToken"), nullptr);
  EXPECT_EQ(json("ListQueues", R"({"QueueNamePrefix":"z"})")->text(), "{}");
}

TEST_F(SqsFrontTest, what_names_no_queue_or_somebody_elses_is_refused) {
  create("q");
  const auto error = [&](std::string_view queue) { return send(queue, "x")->error(); };
  EXPECT_EQ(error(""), "MissingParameter");
  EXPECT_EQ(error("http://store.test/"), "InvalidAddress");
  EXPECT_EQ(error("http://store.test/0/q"), "InvalidAddress");
  EXPECT_EQ(error(url("none")), "AWS.SimpleQueueService.NonExistentQueue");
  EXPECT_EQ(error("http://store.test/111111111111/q"), "AccessDenied");
  EXPECT_EQ(json("GetQueueUrl", R"({"QueueName":"q","QueueOwnerAWSAccountId":"111111111111"})")->error(),
            "AWS.SimpleQueueService.NonExistentQueue");
  EXPECT_EQ(member(json("GetQueueUrl", R"({"QueueName":"q"})")->json(), "QueueUrl"), url("q"));
}

TEST_F(SqsFrontTest, a_message_sent_twice_to_a_fifo_queue_is_answered_as_the_first) {
  const auto queue = create("q.fifo", R"({"FifoQueue":"true","ContentBasedDeduplication":"true"})");
  const auto send_to = [&](std::string_view body, std::string_view group) {
    return json("SendMessage", fmt::format(R"({{"QueueUrl":"{}","MessageBody":"{}","MessageGroupId":"{}"}})",
                                           queue, body, group))
        ->json();
  };
  const auto first = send_to("x", "g"), again = send_to("x", "h"), other = send_to("y", "g");
  EXPECT_EQ(*again.find("MessageId"), *first.find("MessageId"));
  EXPECT_EQ(*again.find("SequenceNumber"), *first.find("SequenceNumber"));
  EXPECT_EQ(first.find("SequenceNumber")->as_string()->size(), 20U);
  EXPECT_LT(*first.find("SequenceNumber")->as_string(), *other.find("SequenceNumber")->as_string());
  EXPECT_EQ(front_.messages().sent, 2U);
  pass(300s);
  EXPECT_NE(*send_to("x", "g").find("MessageId"), *first.find("MessageId"));
}

TEST_F(SqsFrontTest, a_receive_attempt_repeated_has_the_same_receipts) {
  const auto queue = create("q.fifo", R"({"FifoQueue":"true","ContentBasedDeduplication":"true"})");
  json("SendMessage", fmt::format(R"({{"QueueUrl":"{}","MessageBody":"x","MessageGroupId":"g"}})", queue));
  const auto ask = [&] { return receive(queue, R"(,"ReceiveRequestAttemptId":"a")")->json(); };
  const auto first = ask();
  ASSERT_NE(first.find("Messages"), nullptr);
  EXPECT_EQ(ask(), first);
  EXPECT_EQ(receive(create("plain"), R"(,"ReceiveRequestAttemptId":"a")")->error(), "InvalidParameterValue");
}

TEST_F(SqsFrontTest, requests_that_are_not_sqs_are_told_so) {
  EXPECT_EQ(json("NoSuchThing", "{}")->error(), "InvalidAction");
  EXPECT_EQ(start("GET", "/", "", {{"X-Amz-Target", "AmazonSQS.ListQueues"}})->error(), "InvalidAction");
  EXPECT_EQ(*form("/", "Version=2012-11-05")->xml().child("Error")->child_text("Code"), "MissingAction");
  EXPECT_EQ(*form("/", "Action=ListQueues&Version=2000-01-01")->xml().child("Error")->child_text("Code"),
            "NoSuchVersion");
  EXPECT_EQ(*form("/", "Action=ListQueues&x=%zz")->xml().child("Error")->child_text("Code"),
            "InvalidQueryParameter");
  EXPECT_EQ(*start("PUT", "/?Action=ListQueues", "", {})->xml().child("Error")->child_text("Code"),
            "InvalidAction");
}

TEST_F(SqsFrontTest, a_body_over_the_maximum_is_refused_and_the_connection_closed) {
  const auto at_most = json("SendMessage", std::string(wire::sqs::kRequestBytesMax, ' '));
  EXPECT_EQ(at_most->status(), 400);
  const auto over = json("SendMessage", std::string(wire::sqs::kRequestBytesMax + 1, ' '));
  EXPECT_EQ(over->status(), 413);
  EXPECT_TRUE(over->response->close);
}

TEST_F(SqsFrontTest, a_signed_request_acts_for_its_keys_account) {
  unix_ = false;
  const auto signed_call = [&](std::string id, std::string secret, std::string body) {
    const std::vector<codec::HeaderField> fields = {{"host", "store.test:9324"},
                                                    {"x-amz-target", "AmazonSQS.CreateQueue"}};
    const auto digest = codec::sha256_hex(body);
    const auto added =
        codec::sign("POST", "/", "", fields, {std::move(id), std::move(secret), ""},
                    {.service = "sqs", .region = "us-east-1", .now = clock_.wall(), .payload_hash = digest});
    std::vector<std::pair<std::string, std::string>> headers = {{"X-Amz-Target", "AmazonSQS.CreateQueue"}};
    for (const auto& pair : added->add) headers.push_back(pair);
    return start("POST", "/", std::move(body), std::move(headers));
  };
  const auto created = signed_call("AKIDOTHER", "another", R"({"QueueName":"q"})");
  EXPECT_EQ(member(created->json(), "QueueUrl"), "http://store.test:9324/111111111111/q") << created->text();
  EXPECT_EQ(signed_call("AKIDOTHER", "wrong", "{}")->error(), "SignatureDoesNotMatch");
  EXPECT_EQ(signed_call("AKIDNOBODY", "secret", "{}")->error(), "InvalidClientTokenId");
  const auto unsigned_call = json("ListQueues", "{}");
  EXPECT_EQ(unsigned_call->status(), 403);
  EXPECT_EQ(unsigned_call->error(), "MissingAuthenticationToken");
}

TEST_F(SqsFrontTest, requests_and_errors_are_counted_by_action) {
  create("q");
  send(url("q"), "x");
  send(url("none"), "x");
  json("Nothing", "{}");
  std::map<std::string_view, ActionCount> counts;
  for (const auto& [name, count] : front_.counters()) counts[name] = count;
  EXPECT_EQ(counts["CreateQueue"].requests, 1U);
  EXPECT_EQ(counts["SendMessage"].requests, 2U);
  EXPECT_EQ(counts["SendMessage"].errors, 1U);
  EXPECT_EQ(counts["Unknown"].errors, 1U);
}

TEST_F(SqsFrontTest, a_full_disk_refuses_sends_and_still_lets_messages_go) {
  const auto queue = create("q");
  const auto large = std::string(1U << 20, 'x');
  disk_.set_capacity(disk_.used_bytes());
  CallPtr sent;
  for (int i = 0; i < 400 && (!sent || sent->status() == 200); ++i) sent = send(queue, large);
  EXPECT_EQ(sent->status(), 503);
  const auto got = message(receive(queue));
  EXPECT_EQ(with_receipt("DeleteMessage", queue, member(got, "ReceiptHandle"))->status(), 200);
}

// ---- beyond AWS

TEST_F(SqsFrontTest, a_client_that_asks_may_send_and_receive_a_thousand) {
  const std::string q = create("q");
  const auto call = [&](std::string_view action, std::string body, std::string most) {
    return start("POST", "/", std::move(body),
                 {{"X-Amz-Target", fmt::format("AmazonSQS.{}", action)}, {"X-Headrace-Batch-Max", most}});
  };
  std::string entries;
  for (int i = 0; i < 1'000; ++i) {
    entries += fmt::format(R"({}{{"Id":"{}","MessageBody":"b"}})", i == 0 ? "" : ",", i);
  }
  const std::string batch = fmt::format(R"({{"QueueUrl":"{}","Entries":[{}]}})", q, entries);
  const auto sent = call("SendMessageBatch", batch, "1000");
  EXPECT_EQ(sent->status(), 200) << sent->text();
  EXPECT_EQ(sent->response->headers.find("x-headrace-batch-max"), "1000");
  const auto received =
      call("ReceiveMessage", fmt::format(R"({{"QueueUrl":"{}","MaxNumberOfMessages":1000}})", q), "1000");
  EXPECT_EQ(received->json().find("Messages")->as_array()->size(), 1'000U);
  EXPECT_EQ(call("SendMessageBatch", batch, "999")->status(), 400);
  EXPECT_EQ(json("SendMessageBatch", batch)->status(), 400) << "who does not ask has AWS's ten";
  EXPECT_FALSE(json("ListQueues", "{}")->response->headers.find("x-headrace-batch-max"));
  for (const char* wrong : {"9", "1001", "", "1000x"})
    EXPECT_EQ(call("ListQueues", "{}", wrong)->status(), 400);
}

}  // namespace
}  // namespace hr::sqs
