#include "wire/sqs_parse.h"

#include "codec/base64.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>

namespace hr::wire::sqs {
namespace {

template <class T>
Outcome<T> json(Action action, ByteView body) {
  auto request = parse_json_request(action, body);
  if (!request) return std::unexpected(request.error());
  return std::get<T>(std::move(*request));
}

template <class T>
Outcome<T> query(Action action, ByteView form) {
  auto request = parse_query_request(action, codec::parse_form(form).value());
  if (!request) return std::unexpected(request.error());
  return std::get<T>(std::move(*request));
}

template <class T>
ErrorCode code_of(const Outcome<T>& result) {
  EXPECT_FALSE(result);
  return result ? ErrorCode::kInternalFailure : result.error().code;
}

ErrorCode json_error(Action action, ByteView body) { return code_of(parse_json_request(action, body)); }
ErrorCode query_error(Action action, ByteView form) {
  return code_of(parse_query_request(action, codec::parse_form(form).value()));
}

TEST(SqsActions, every_name_parses_to_itself_and_nothing_else_does) {
  for (std::size_t i = 0; i < kActions; ++i) {
    const auto action = static_cast<Action>(i);
    EXPECT_EQ(parse_action(to_string(action)), action);
  }
  EXPECT_EQ(parse_action("sendMessage"), std::nullopt);
  EXPECT_EQ(parse_action(""), std::nullopt);
}

TEST(SqsActions, a_move_task_needs_a_source_and_a_rate_that_exists) {
  const auto parse = [](ByteView body) { return parse_json_request(Action::kStartMessageMoveTask, body); };
  EXPECT_EQ(code_of(parse("{}")), ErrorCode::kMissingParameter);
  EXPECT_EQ(code_of(parse(R"({"SourceArn":"a","MaxNumberOfMessagesPerSecond":0})")),
            ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(parse(R"({"SourceArn":"a","MaxNumberOfMessagesPerSecond":501})")),
            ErrorCode::kInvalidParameterValue);
  const auto good = parse(R"({"SourceArn":"a","DestinationArn":"b","MaxNumberOfMessagesPerSecond":500})");
  ASSERT_TRUE(good);
  const auto& request = std::get<StartMessageMoveTask>(*good);
  EXPECT_EQ(request.source_arn, "a");
  EXPECT_EQ(request.destination_arn, "b");
  EXPECT_EQ(request.per_second, 500);
  EXPECT_EQ(json_error(Action::kCancelMessageMoveTask, "{}"), ErrorCode::kMissingParameter);
  EXPECT_EQ(json_error(Action::kListMessageMoveTasks, R"({"SourceArn":"a","MaxResults":11})"),
            ErrorCode::kInvalidParameterValue);
}

TEST(SqsJson, what_is_not_an_object_is_a_serialization_error) {
  for (const auto* body :
       {"[]", "1", "{", "{}x", "{\"a\":1,\"a\":2}", "\"x\"", "{\"QueueUrl\":\"\\ud800\"}"}) {
    EXPECT_EQ(json_error(Action::kSendMessage, body), ErrorCode::kSerialization) << body;
  }
  EXPECT_TRUE(parse_json_request(Action::kListQueues, ""));
}

TEST(SqsJson, deep_nesting_is_refused_at_its_limit) {
  const auto nested = [](int depth) {
    return fmt::format(R"({{"x":{}{}}})", std::string(static_cast<std::size_t>(depth), '['),
                       std::string(static_cast<std::size_t>(depth), ']'));
  };
  EXPECT_TRUE(parse_json_request(Action::kListQueues, nested(63)));
  EXPECT_EQ(json_error(Action::kListQueues, nested(64)), ErrorCode::kSerialization);
}

TEST(SqsJson, a_member_of_another_type_is_a_serialization_error) {
  EXPECT_EQ(json_error(Action::kReceiveMessage, R"({"QueueUrl":1})"), ErrorCode::kSerialization);
  EXPECT_EQ(json_error(Action::kReceiveMessage, R"({"MaxNumberOfMessages":[1]})"), ErrorCode::kSerialization);
  EXPECT_EQ(json_error(Action::kReceiveMessage, R"({"AttributeNames":"All"})"), ErrorCode::kSerialization);
  EXPECT_EQ(json_error(Action::kReceiveMessage, R"({"AttributeNames":[1]})"), ErrorCode::kSerialization);
  EXPECT_EQ(json_error(Action::kSetQueueAttributes, R"({"Attributes":[]})"), ErrorCode::kSerialization);
  EXPECT_EQ(json_error(Action::kSetQueueAttributes, R"({"Attributes":{"DelaySeconds":1}})"),
            ErrorCode::kSerialization);
  EXPECT_EQ(json_error(Action::kSendMessageBatch, R"({"Entries":["x"]})"), ErrorCode::kSerialization);
}

TEST(SqsQuery, a_message_means_the_same_as_in_json) {
  const auto from_query = query<SendMessage>(
      Action::kSendMessage,
      "Action=SendMessage&Version=2012-11-05&QueueUrl=http%3A%2F%2Fh%2F1%2Fq&MessageBody=hello+world%21&"
      "DelaySeconds=5"
      "&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=Number&MessageAttribute.1.Value."
      "StringValue=7"
      "&MessageAttribute.2.Name=b&MessageAttribute.2.Value.DataType=Binary&MessageAttribute.2.Value."
      "BinaryValue=AAE%3D"
      "&MessageSystemAttribute.1.Name=AWSTraceHeader&MessageSystemAttribute.1.Value.DataType=String"
      "&MessageSystemAttribute.1.Value.StringValue=Root%3D1&MessageGroupId=g");
  const auto from_json = json<SendMessage>(Action::kSendMessage, R"({"QueueUrl":"http://h/1/q",
    "MessageBody":"hello world!","DelaySeconds":5,"MessageGroupId":"g",
    "MessageAttributes":{"n":{"DataType":"Number","StringValue":"7"},
                         "b":{"DataType":"Binary","BinaryValue":"AAE="}},
    "MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"Root=1"}}})");
  ASSERT_TRUE(from_query) << from_query.error().message;
  ASSERT_TRUE(from_json) << from_json.error().message;
  EXPECT_EQ(from_query->message, from_json->message);
  EXPECT_EQ(from_query->queue_url, from_json->queue_url);
}

TEST(SqsQuery, lists_follow_their_numbers) {
  const auto request = query<GetQueueAttributes>(
      Action::kGetQueueAttributes,
      "AttributeName.10=Policy&AttributeName.2=DelaySeconds&AttributeName.1=QueueArn&QueueUrl=u");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->names, (std::vector<Bytes>{"QueueArn", "DelaySeconds", "Policy"}));
  EXPECT_EQ(query<GetQueueAttributes>(Action::kGetQueueAttributes, "AttributeName=All")->names,
            std::vector<Bytes>{"All"});
}

TEST(SqsQuery, attributes_and_tags_are_maps_with_or_without_a_number) {
  const auto create = query<CreateQueue>(Action::kCreateQueue,
                                         "QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=7"
                                         "&Attribute.2.Name=VisibilityTimeout&Attribute.2.Value=9"
                                         "&Tag.1.Key=team&Tag.1.Value=a+b");
  ASSERT_TRUE(create) << create.error().message;
  EXPECT_EQ(create->attributes.delay, 7U);
  EXPECT_EQ(create->attributes.visibility_timeout, 9U);
  EXPECT_EQ(create->tags, (Map{{"team", "a b"}}));
  const auto set = query<SetQueueAttributes>(Action::kSetQueueAttributes,
                                             "QueueUrl=u&Attribute.Name=DelaySeconds&Attribute.Value=8");
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->attributes.delay, 8U);
}

TEST(SqsQuery, malformed_names_are_refused) {
  for (const auto* form :
       {"QueueUrl=u&AttributeName.x=All", "QueueUrl=u&AttributeName.0=All", "QueueUrl=u&AttributeName.01=All",
        "QueueUrl=u&AttributeName.99999=All", "QueueUrl=u&AttributeName.1=All&AttributeName.1=All",
        "QueueUrl=u&QueueUrl=v", "Attribute.1.Value=7",
        "Attribute.1.Name=a&Attribute.1.Value=1&Attribute.2.Name=a", "a.1.2.3.4.5.6.7.8=x"}) {
    EXPECT_EQ(query_error(Action::kGetQueueAttributes, form), ErrorCode::kInvalidQueryParameter) << form;
  }
}

TEST(SqsQuery, empty_lists_come_under_either_name) {
  for (const auto* form : {"QueueUrl=u&Entries=", "QueueUrl=u&SendMessageBatchRequestEntry="}) {
    EXPECT_EQ(query_error(Action::kSendMessageBatch, form), ErrorCode::kEmptyBatchRequest) << form;
  }
  EXPECT_TRUE(
      query<ReceiveMessage>(Action::kReceiveMessage, "QueueUrl=u&MessageAttributeNames=&AttributeName="));
}

TEST(SqsQuery, unknown_parameters_are_ignored) {
  const auto request = query<ListQueues>(
      Action::kListQueues, "Action=ListQueues&Version=2012-11-05&X-Amz-Date=d&Foo.Bar=1&MaxResults=3");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->max, 3);
}

TEST(SqsCreateQueue, a_name_is_80_of_the_allowed_characters) {
  const auto named = [](ByteView name) {
    return parse_json_request(Action::kCreateQueue, fmt::format(R"({{"QueueName":"{}"}})", name));
  };
  EXPECT_TRUE(named("a"));
  EXPECT_TRUE(named("A-b_9"));
  EXPECT_TRUE(named(std::string(80, 'q')));
  EXPECT_EQ(code_of(named(std::string(81, 'q'))), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(named("a b")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(named("a/b")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(named("a.b")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(named("\\r\\n")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(named("")), ErrorCode::kMissingParameter);
}

TEST(SqsCreateQueue, a_fifo_name_and_the_attribute_go_together) {
  const auto made =
      json<CreateQueue>(Action::kCreateQueue, R"({"QueueName":"q.fifo","Attributes":{"FifoQueue":"true"}})");
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->attributes.fifo);
  EXPECT_EQ(json_error(Action::kCreateQueue, R"({"QueueName":"q","Attributes":{"FifoQueue":"true"}})"),
            ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(json_error(Action::kCreateQueue, R"({"QueueName":"q.fifo"})"), ErrorCode::kInvalidParameterValue);
}

TEST(SqsCreateQueue, tags_are_50_at_most) {
  const auto with = [](int n) {
    std::string tags;
    for (int i = 0; i < n; ++i) tags += fmt::format(R"({}"k{}":"v")", i == 0 ? "" : ",", i);
    return parse_json_request(Action::kCreateQueue,
                              fmt::format(R"({{"QueueName":"q","tags":{{{}}}}})", tags));
  };
  EXPECT_TRUE(with(50));
  EXPECT_EQ(code_of(with(51)), ErrorCode::kInvalidParameterValue);
}

TEST(SqsTags, keys_have_1_to_128_characters_and_values_256_at_most) {
  const auto tag = [](const std::string& key, const std::string& value) {
    return json<TagQueue>(Action::kTagQueue,
                          fmt::format(R"({{"QueueUrl":"u","Tags":{{"{}":"{}"}}}})", key, value));
  };
  std::string umlauts;
  for (int i = 0; i < 128; ++i) umlauts += "\u00fc";  // characters count, not bytes
  EXPECT_TRUE(tag(umlauts, std::string(256, 'v')));
  EXPECT_EQ(code_of(tag(umlauts + "x", "")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(tag("", "v")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(tag("k", std::string(257, 'v'))), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(tag("AWS:k", "v")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(tag("k\\u0001", "v")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(json_error(Action::kTagQueue, R"({"QueueUrl":"u"})"), ErrorCode::kMissingParameter);
}

TEST(SqsTags, to_be_removed_come_as_a_list) {
  const auto untag =
      query<UntagQueue>(Action::kUntagQueue, "QueueUrl=u&TagKey.1=a&TagKey.2=b&Action=UntagQueue");
  ASSERT_TRUE(untag);
  EXPECT_EQ(untag->keys, (std::vector<Bytes>{"a", "b"}));
  EXPECT_EQ(query_error(Action::kUntagQueue, "QueueUrl=u"), ErrorCode::kInvalidParameterValue);
}

TEST(SqsPermissions, name_a_label_accounts_and_up_to_seven_actions) {
  const auto add = [](const std::string& form) {
    return query<AddPermission>(Action::kAddPermission, "QueueUrl=u&" + form);
  };
  const auto good = add("Label=share&AWSAccountId.1=111111111111&AWSAccountId.2=222222222222&ActionName.1=*");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->label, "share");
  EXPECT_EQ(good->accounts, (std::vector<Bytes>{"111111111111", "222222222222"}));
  EXPECT_EQ(good->actions, (std::vector<Bytes>{"*"}));
  std::string actions;
  for (int i = 1; i <= 8; ++i) actions += fmt::format("&ActionName.{}=SendMessage", i);
  EXPECT_EQ(add("Label=l&AWSAccountId.1=111111111111" + actions).error().message,
            "8 Actions were found, maximum allowed is 7.");
  EXPECT_TRUE(add("Label=l&AWSAccountId.1=111111111111" + actions.substr(0, actions.size() - 25)));
  EXPECT_EQ(add("Label=l&AWSAccountId.1=111111111111&ActionName.1=DeleteQueue").error().message,
            "Value SQS:DeleteQueue for parameter ActionName is invalid. Reason: Only the queue owner is "
            "allowed to invoke this action.");
  EXPECT_EQ(add("Label=l&ActionName.1=*").error().message,
            "Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.");
  EXPECT_EQ(code_of(add("Label=l&AWSAccountId.1=1&ActionName.1=*")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(add("Label=a%20b&AWSAccountId.1=111111111111&ActionName.1=*")),
            ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(add("AWSAccountId.1=111111111111&ActionName.1=*")), ErrorCode::kMissingParameter);
}

TEST(SqsListQueues, pages_are_of_1_to_1000) {
  const auto with = [](ByteView max) {
    return parse_json_request(Action::kListQueues, fmt::format(R"({{"MaxResults":{}}})", max));
  };
  EXPECT_TRUE(with("1"));
  EXPECT_TRUE(with("1000"));
  EXPECT_EQ(code_of(with("0")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(with("1001")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(with("9999999999999")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(json_error(Action::kListQueues, R"({"NextToken":"not a token!"})"),
            ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(json<ListQueues>(Action::kListQueues, R"({"NextToken":"cQ=="})")->after, "q");
}

TEST(SqsReceive, numbers_are_checked_at_their_edges) {
  const auto with = [](ByteView member, int value) {
    return parse_json_request(Action::kReceiveMessage,
                              fmt::format(R"({{"QueueUrl":"u","{}":{}}})", member, value));
  };
  for (const auto& [member, low, high] :
       {std::tuple("MaxNumberOfMessages", 1, 10), std::tuple("WaitTimeSeconds", 0, 20),
        std::tuple("VisibilityTimeout", 0, 43'200)}) {
    EXPECT_TRUE(with(member, low)) << member;
    EXPECT_TRUE(with(member, high)) << member;
    EXPECT_EQ(code_of(with(member, low - 1)), ErrorCode::kInvalidParameterValue) << member;
    EXPECT_EQ(code_of(with(member, high + 1)), ErrorCode::kInvalidParameterValue) << member;
  }
  EXPECT_EQ(with("MaxNumberOfMessages", 11).error().message,
            "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if "
            "provided.");
}

TEST(SqsReceive, both_names_for_system_attributes_count) {
  const auto request = json<ReceiveMessage>(
      Action::kReceiveMessage,
      R"({"QueueUrl":"u","AttributeNames":["SenderId"],"MessageSystemAttributeNames":["SentTimestamp"]})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->system_names, (std::vector<Bytes>{"SenderId", "SentTimestamp"}));
  EXPECT_EQ(json_error(Action::kReceiveMessage, R"({"QueueUrl":"u","AttributeNames":["Foo"]})"),
            ErrorCode::kInvalidAttributeName);
}

std::string batch(int entries, std::string_view id = "") {
  std::string list;
  for (int i = 0; i < entries; ++i) {
    const std::string name = id.empty() ? fmt::format("m{}", i) : std::string(id);
    list += fmt::format(R"({}{{"Id":"{}","MessageBody":"b"}})", i == 0 ? "" : ",", name);
  }
  return fmt::format(R"({{"QueueUrl":"u","Entries":[{}]}})", list);
}

TEST(SqsBatch, has_1_to_10_entries) {
  EXPECT_TRUE(parse_json_request(Action::kSendMessageBatch, batch(1)));
  EXPECT_TRUE(parse_json_request(Action::kSendMessageBatch, batch(10)));
  EXPECT_EQ(json_error(Action::kSendMessageBatch, batch(0)), ErrorCode::kEmptyBatchRequest);
  EXPECT_EQ(json_error(Action::kSendMessageBatch, R"({"QueueUrl":"u"})"), ErrorCode::kEmptyBatchRequest);
  const auto eleven = parse_json_request(Action::kSendMessageBatch, batch(11));
  EXPECT_EQ(code_of(eleven), ErrorCode::kTooManyEntriesInBatchRequest);
  EXPECT_EQ(eleven.error().message, "Maximum number of entries per request are 10. You have sent 11.");
}

TEST(SqsBatch, has_1_to_1000_entries_for_a_client_that_asked) {
  const auto with = [](int entries) {
    return parse_json_request(Action::kSendMessageBatch, batch(entries), kLargeBatchMax);
  };
  EXPECT_TRUE(with(1'000));
  EXPECT_EQ(with(1'001).error().message,
            "Maximum number of entries per request are 1000. You have sent 1001.");
  const auto receive = [](int most) {
    return parse_json_request(Action::kReceiveMessage,
                              fmt::format(R"({{"QueueUrl":"u","MaxNumberOfMessages":{}}})", most),
                              kLargeBatchMax);
  };
  EXPECT_TRUE(receive(1'000));
  EXPECT_EQ(code_of(receive(1'001)), ErrorCode::kInvalidParameterValue);
}

TEST(SqsBatch, ids_are_distinct_and_of_80_letters_at_most) {
  EXPECT_TRUE(parse_json_request(Action::kSendMessageBatch, batch(1, std::string(80, 'x'))));
  EXPECT_EQ(json_error(Action::kSendMessageBatch, batch(1, std::string(81, 'x'))),
            ErrorCode::kInvalidBatchEntryId);
  EXPECT_EQ(json_error(Action::kSendMessageBatch, batch(1, "a:b")), ErrorCode::kInvalidBatchEntryId);
  const auto twice = parse_json_request(Action::kSendMessageBatch, batch(2, "same"));
  EXPECT_EQ(code_of(twice), ErrorCode::kBatchEntryIdsNotDistinct);
  EXPECT_EQ(twice.error().message, "Id same repeated.");
}

TEST(SqsBatch, a_bad_entry_fails_alone) {
  const auto request = json<SendMessageBatch>(Action::kSendMessageBatch,
                                              R"({"QueueUrl":"u","Entries":[{"Id":"1","MessageBody":"a"},)"
                                              R"({"Id":"2","MessageBody":"b","DelaySeconds":901}]})");
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->entries[0].value);
  EXPECT_EQ(code_of(request->entries[1].value), ErrorCode::kInvalidParameterValue);
}

TEST(SqsBatch, is_a_mebibyte_in_all) {
  const auto of = [](std::size_t bytes) {
    const std::string half(bytes / 2, 'a');
    const std::string rest(bytes - bytes / 2, 'b');
    return parse_json_request(Action::kSendMessageBatch,
                              fmt::format(R"({{"QueueUrl":"u","Entries":[{{"Id":"1","MessageBody":"{}"}},)"
                                          R"({{"Id":"2","MessageBody":"{}"}}]}})",
                                          half, rest));
  };
  EXPECT_TRUE(of(kMessageBytesMax));
  const auto over = of(kMessageBytesMax + 1);
  EXPECT_EQ(code_of(over), ErrorCode::kBatchRequestTooLong);
  EXPECT_EQ(over.error().message,
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.");
}

TEST(SqsVisibility, needs_a_receipt_and_0_to_43200_seconds) {
  const auto with = [](ByteView members) {
    return parse_json_request(Action::kChangeMessageVisibility,
                              fmt::format(R"({{"QueueUrl":"u"{}}})", members));
  };
  EXPECT_TRUE(with(R"(,"ReceiptHandle":"r","VisibilityTimeout":0)"));
  EXPECT_TRUE(with(R"(,"ReceiptHandle":"r","VisibilityTimeout":43200)"));
  EXPECT_EQ(code_of(with(R"(,"ReceiptHandle":"r","VisibilityTimeout":43201)")),
            ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(with(R"(,"ReceiptHandle":"r")")), ErrorCode::kMissingParameter);
  EXPECT_EQ(code_of(with(R"(,"VisibilityTimeout":1)")), ErrorCode::kMissingParameter);
}

TEST(SqsReceipts, longer_than_any_of_ours_are_invalid) {
  const auto with = [](std::size_t bytes) {
    return parse_json_request(
        Action::kDeleteMessage,
        fmt::format(R"({{"QueueUrl":"u","ReceiptHandle":"{}"}})", std::string(bytes, 'r')));
  };
  EXPECT_TRUE(with(1024));
  EXPECT_EQ(code_of(with(1025)), ErrorCode::kReceiptHandleIsInvalid);
}

}  // namespace
}  // namespace hr::wire::sqs
