#include "wire/sqs_answer.h"

#include "codec/json.h"
#include "codec/xml.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace hr::wire::sqs {
namespace {

ReceivedAnswer received() {
  ReceivedMessage message{.id = "id-1",
                          .receipt = "handle",
                          .md5_of_body = "m",
                          .md5_of_attributes = "a",
                          .body = "<\r\"&\xc3\xa4",
                          .system_attributes = {{"SenderId", "me"}},
                          .attributes = {{"b", "Binary", std::string("\0\x01", 2)}, {"s", "String", "v"}}};
  return {.messages = {std::move(message)}};
}

TEST(SqsJsonAnswer, empty_lists_are_left_out) {
  EXPECT_EQ(to_json(Answer(Nothing{})), "");
  EXPECT_EQ(to_json(Answer(ReceivedAnswer{})), "{}");
  EXPECT_EQ(to_json(Answer(QueueUrlsAnswer{})), "{}");
  EXPECT_EQ(to_json(Answer(AttributesAnswer{})), "{}");
  EXPECT_EQ(to_json(Answer(BatchAnswer<Nothing>{})), "{}");
}

TEST(SqsJsonAnswer, a_sent_message_shows_only_the_md5s_it_has) {
  EXPECT_EQ(to_json(Answer(SentAnswer{"id", "body", "", ""})),
            R"({"MD5OfMessageBody":"body","MessageId":"id"})");
  EXPECT_EQ(to_json(Answer(SentAnswer{"id", "body", "attributes", "system"})),
            R"({"MD5OfMessageAttributes":"attributes","MD5OfMessageBody":"body",)"
            R"("MD5OfMessageSystemAttributes":"system","MessageId":"id"})");
}

TEST(SqsJsonAnswer, a_batch_has_both_lists) {
  BatchAnswer<Nothing> batch{.done = {{"1", Nothing{}}},
                             .failed = {{"2", {ErrorCode::kReceiptHandleIsInvalid, "bad"}}}};
  EXPECT_EQ(to_json(Answer(batch)),
            R"({"Failed":[{"Code":"ReceiptHandleIsInvalid","Id":"2","Message":"bad","SenderFault":true}],)"
            R"("Successful":[{"Id":"1"}]})");
}

TEST(SqsJsonAnswer, a_received_message_is_whole) {
  const auto json = codec::parse_json(to_json(Answer(received()))).value();
  const auto& message = json.find("Messages")->as_array()->front();
  EXPECT_EQ(*message.find("Body")->as_string(), "<\r\"&\xc3\xa4");
  EXPECT_EQ(*message.find("Attributes")->find("SenderId")->as_string(), "me");
  EXPECT_EQ(*message.find("MessageAttributes")->find("b")->find("BinaryValue")->as_string(), "AAE=");
  EXPECT_EQ(*message.find("MessageAttributes")->find("s")->find("StringValue")->as_string(), "v");
  EXPECT_EQ(*message.find("ReceiptHandle")->as_string(), "handle");
}

TEST(SqsXmlAnswer, a_received_message_is_whole_and_keeps_its_carriage_return) {
  const auto xml = codec::parse_xml(to_xml(Action::kReceiveMessage, Answer(received()), "r-1")).value();
  EXPECT_EQ(xml.name, "ReceiveMessageResponse");
  const auto* message = xml.child("ReceiveMessageResult")->child("Message");
  EXPECT_EQ(*message->child_text("Body"), "<\r\"&\xc3\xa4");
  EXPECT_EQ(*message->child("Attribute")->child_text("Name"), "SenderId");
  EXPECT_EQ(*message->child("MessageAttribute")->child("Value")->child_text("BinaryValue"), "AAE=");
  EXPECT_EQ(*xml.child("ResponseMetadata")->child_text("RequestId"), "r-1");
}

TEST(SqsXmlAnswer, an_answer_without_members_has_no_result) {
  const auto text = to_xml(Action::kDeleteMessage, Answer(Nothing{}), "r");
  EXPECT_EQ(text.find("Result>"), Bytes::npos);
  EXPECT_NE(text.find("xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\""), Bytes::npos);
  const auto empty = codec::parse_xml(to_xml(Action::kReceiveMessage, Answer(ReceivedAnswer{}), "r")).value();
  EXPECT_TRUE(empty.child("ReceiveMessageResult")->children.empty());
}

TEST(SqsXmlAnswer, batches_repeat_their_entries) {
  BatchAnswer<SentAnswer> batch{.done = {{"1", {"id", "m", "", ""}}, {"2", {"id2", "m", "", ""}}},
                                .failed = {{"3", {ErrorCode::kInvalidParameterValue, "bad"}}}};
  const auto xml = codec::parse_xml(to_xml(Action::kSendMessageBatch, Answer(batch), "r")).value();
  const auto* result = xml.child("SendMessageBatchResult");
  ASSERT_EQ(result->children.size(), 3U);
  EXPECT_EQ(result->children[1].name, "SendMessageBatchResultEntry");
  EXPECT_EQ(*result->children[1].child_text("Id"), "2");
  EXPECT_EQ(*result->child("BatchResultErrorEntry")->child_text("SenderFault"), "true");
}

TEST(SqsErrors, have_a_form_in_each_protocol) {
  const Error error{ErrorCode::kQueueDoesNotExist, "The specified queue does not exist."};
  EXPECT_EQ(
      to_json(error),
      R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."})");
  EXPECT_EQ(query_error_header(error), "AWS.SimpleQueueService.NonExistentQueue;Sender");
  const auto xml = codec::parse_xml(to_xml(error, "r-2")).value();
  EXPECT_EQ(*xml.child("Error")->child_text("Code"), "AWS.SimpleQueueService.NonExistentQueue");
  EXPECT_EQ(*xml.child("Error")->child_text("Type"), "Sender");
  EXPECT_EQ(*xml.child_text("RequestId"), "r-2");
  EXPECT_EQ(query_error_header({ErrorCode::kServiceUnavailable, ""}), "ServiceUnavailable;Receiver");
}

TEST(SqsErrors, no_two_share_a_code) {
  std::set<std::string_view> types, codes;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(ErrorCode::kLast_); ++i) {
    const auto& form = form_of(static_cast<ErrorCode>(i));
    EXPECT_TRUE(types.insert(form.type).second) << form.type;
    EXPECT_TRUE(codes.insert(form.query_code).second) << form.query_code;
    EXPECT_EQ(form.sender, form.status < 500) << form.query_code;
  }
}

}  // namespace
}  // namespace hr::wire::sqs
