#include "wire/sqs_message.h"

#include "codec/json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hr::wire::sqs {
namespace {

Outcome<Message> read(ByteView json) { return read_message(codec::parse_json(json).value()); }

ErrorCode code_of(const Outcome<Message>& result) {
  EXPECT_FALSE(result);
  return result ? ErrorCode::kInternalFailure : result.error().code;
}

Outcome<Message> with_attribute(ByteView name, ByteView value) {
  return read(fmt::format(R"({{"MessageBody":"b","MessageAttributes":{{"{}":{}}}}})", name, value));
}

const std::vector<MessageAttribute> kRecorded = {
    {"General", "String", "Kenobi"}, {"Hello", "String", "There"}, {"Help.Me", "String", "Me"}};

TEST(SqsMessage, attribute_md5s_are_those_that_aws_returned) {
  EXPECT_EQ(md5_of_attributes(kRecorded), "4c360f3fdafd970e05fae2f149d997f5");
  EXPECT_EQ(md5_of_attributes(std::span(kRecorded).first(2)), "fca026605781cb4126a1e9044df24232");
  EXPECT_EQ(md5_of_attributes(std::span(kRecorded).subspan(1)), "83fee93c1bcd8b9a5a923ffacdc636c7");
  EXPECT_EQ(md5_of_attributes(std::span(kRecorded).subspan(1, 1)), "a311262e065454b75da111d535b8dacd");
  const MessageAttribute binary{"attr1", "Binary",
                                "traceparent\x1e"
                                "00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"};
  EXPECT_EQ(md5_of_attributes({&binary, 1}), "8cbe4db156db8a94db8b801b7addb984");
  EXPECT_EQ(md5_of_attributes({}), "");
}

TEST(SqsMessage, attributes_come_out_in_name_order) {
  const auto message = read(R"({"MessageBody":"b","MessageAttributes":{
    "b":{"DataType":"String","StringValue":"2"},"a":{"DataType":"Binary.gif","BinaryValue":"AAE="}}})");
  ASSERT_TRUE(message) << message.error().message;
  ASSERT_EQ(message->attributes.size(), 2U);
  EXPECT_EQ(message->attributes[0], (MessageAttribute{"a", "Binary.gif", std::string("\0\x01", 2)}));
  EXPECT_EQ(message->attributes[1], (MessageAttribute{"b", "String", "2"}));
}

TEST(SqsMessage, size_counts_body_names_types_and_values) {
  Message message;
  message.body = "12345";
  message.attributes = {{"ab", "String", "xyz"}};
  EXPECT_EQ(message_bytes(message), 5U + 2 + 6 + 3);
}

TEST(SqsMessage, an_empty_or_missing_body_is_a_missing_parameter) {
  EXPECT_EQ(code_of(read("{}")), ErrorCode::kMissingParameter);
  EXPECT_EQ(code_of(read(R"({"MessageBody":""})")), ErrorCode::kMissingParameter);
  EXPECT_EQ(code_of(read(R"({"MessageBody":null})")), ErrorCode::kMissingParameter);
  EXPECT_EQ(code_of(read(R"({"MessageBody":7})")), ErrorCode::kSerialization);
}

TEST(SqsMessage, characters_outside_of_xml_are_refused) {
  EXPECT_TRUE(read(R"({"MessageBody":"\t\n\r \ud7ff\ue000\ufffd\ud83d\ude00"})"));
  EXPECT_EQ(code_of(read(R"({"MessageBody":"a\u0000"})")), ErrorCode::kInvalidMessageContents);
  EXPECT_EQ(code_of(read(R"({"MessageBody":"\u001f"})")), ErrorCode::kInvalidMessageContents);
  EXPECT_EQ(code_of(read(R"({"MessageBody":"\uffff"})")), ErrorCode::kInvalidMessageContents);
}

TEST(SqsMessage, attribute_names_follow_the_rules) {
  const auto fine = [](ByteView name) {
    return with_attribute(name, R"({"DataType":"String","StringValue":"x"})").has_value();
  };
  EXPECT_TRUE(fine("a"));
  EXPECT_TRUE(fine("A-b_c.9"));
  EXPECT_TRUE(fine(std::string(256, 'n')));
  EXPECT_TRUE(fine("aws"));
  for (const auto& name : {std::string(), std::string(257, 'n'), std::string(".a"), std::string("a."),
                           std::string("a..b"), std::string("a b"), std::string("AWS.x"),
                           std::string("aws.x"), std::string("Amazon.x"), std::string("\\u00e4")}) {
    EXPECT_FALSE(fine(name)) << name;
  }
}

TEST(SqsMessage, attribute_types_are_string_number_and_binary_with_a_label) {
  const auto fine = [](ByteView type) {
    return with_attribute("a",
                          fmt::format(R"({{"DataType":"{}","StringValue":"1","BinaryValue":"AA=="}})", type))
        .has_value();
  };
  for (const auto* type : {"String", "Number", "Binary", "String.json", "Number.int", "Binary.png"}) {
    EXPECT_TRUE(fine(type)) << type;
  }
  for (const auto* type : {"", "string", "Stringy", "Int", "String.", "Number."})
    EXPECT_FALSE(fine(type)) << type;
  EXPECT_TRUE(fine("String." + std::string(249, 't')));
  EXPECT_FALSE(fine("String." + std::string(250, 't')));
}

TEST(SqsMessage, attribute_values_must_be_there_and_of_their_type) {
  const auto code = [](ByteView value) { return code_of(with_attribute("a", value)); };
  EXPECT_EQ(code(R"({"DataType":"String"})"), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code(R"({"DataType":"String","StringValue":""})"), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code(R"({"DataType":"Binary","StringValue":"x"})"), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code(R"({"DataType":"Binary","BinaryValue":"not base64"})"), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code(R"({"DataType":"String","StringValue":"\u0001"})"), ErrorCode::kInvalidMessageContents);
  EXPECT_EQ(code(R"({"DataType":"String","StringListValues":["x"]})"), ErrorCode::kUnsupportedOperation);
  EXPECT_EQ(code(R"("x")"), ErrorCode::kInvalidParameterValue);
}

TEST(SqsMessage, numbers_have_38_digits_at_most) {
  const auto fine = [](ByteView number) {
    return with_attribute("a", fmt::format(R"({{"DataType":"Number","StringValue":"{}"}})", number))
        .has_value();
  };
  for (const auto* number : {"0", "-1", "+1.5", ".5", "5.", "1e10", "1E-128", "00012"})
    EXPECT_TRUE(fine(number)) << number;
  for (const auto* number : {"", "-", ".", "1x", "0x10", "1e", "NaN", " 1", "1e1000"})
    EXPECT_FALSE(fine(number)) << number;
  EXPECT_TRUE(fine(std::string(38, '9')));
  EXPECT_FALSE(fine(std::string(39, '9')));
}

TEST(SqsMessage, takes_ten_attributes_and_not_eleven) {
  const auto with = [](int n) {
    std::string attributes;
    for (int i = 0; i < n; ++i) {
      attributes += fmt::format(R"({}"a{}":{{"DataType":"String","StringValue":"x"}})", i == 0 ? "" : ",", i);
    }
    return read(fmt::format(R"({{"MessageBody":"b","MessageAttributes":{{{}}}}})", attributes));
  };
  EXPECT_TRUE(with(10));
  const auto eleven = with(11);
  EXPECT_EQ(code_of(eleven), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(eleven.error().message, "Number of message attributes [11] exceeds the allowed maximum [10].");
}

TEST(SqsMessage, only_the_trace_header_can_be_sent_as_a_system_attribute) {
  const auto with = [](ByteView attributes) {
    return read(fmt::format(R"({{"MessageBody":"b","MessageSystemAttributes":{}}})", attributes));
  };
  const auto traced = with(R"({"AWSTraceHeader":{"DataType":"String","StringValue":"Root=1"}})");
  ASSERT_TRUE(traced);
  EXPECT_EQ(traced->trace_header, "Root=1");
  EXPECT_EQ(md5_of_system_attributes(*traced).size(), 32U);
  EXPECT_EQ(md5_of_system_attributes(Message{}), "");
  EXPECT_EQ(code_of(with(R"({"SenderId":{"DataType":"String","StringValue":"x"}})")),
            ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(with(R"({"AWSTraceHeader":{"DataType":"Number","StringValue":"1"}})")),
            ErrorCode::kInvalidParameterValue);
  EXPECT_TRUE(with("{}"));
}

TEST(SqsMessage, delay_is_0_to_900_seconds) {
  const auto with = [](ByteView delay) {
    return read(fmt::format(R"({{"MessageBody":"b","DelaySeconds":{}}})", delay));
  };
  EXPECT_EQ(with("0")->delay, 0);
  EXPECT_EQ(with("900")->delay, 900);
  EXPECT_EQ(with("\"900\"")->delay, 900);
  EXPECT_EQ(with("null")->delay, std::nullopt);
  EXPECT_EQ(with("901").error().message,
            "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.");
  EXPECT_EQ(code_of(with("-1")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(with("\"ten\"")), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(with("1.5")), ErrorCode::kSerialization);
}

TEST(SqsMessage, a_group_id_is_128_printable_characters_at_most) {
  const auto with = [](ByteView group) {
    return read(fmt::format(R"({{"MessageBody":"b","MessageGroupId":"{}"}})", group));
  };
  EXPECT_EQ(with("tenant-1!")->group, "tenant-1!");
  EXPECT_TRUE(with(std::string(128, 'g')));
  EXPECT_EQ(code_of(with(std::string(129, 'g'))), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(with("a b")), ErrorCode::kInvalidParameterValue);
}

TEST(SqsMessage, attribute_names_are_asked_for_by_name_prefix_or_all) {
  const auto asked = [](std::vector<Bytes> patterns, ByteView name) { return wanted(patterns, name); };
  EXPECT_TRUE(asked({"All"}, "x"));
  EXPECT_TRUE(asked({".*"}, "x"));
  EXPECT_TRUE(asked({"foo.*"}, "foo.bar"));
  EXPECT_TRUE(asked({"Hel.*"}, "Hello"));
  EXPECT_TRUE(asked({"a", "b"}, "b"));
  EXPECT_FALSE(asked({"foo.*"}, "fo"));
  EXPECT_FALSE(asked({"*"}, "x"));
  EXPECT_FALSE(asked({"all"}, "x"));
  EXPECT_FALSE(asked({}, "x"));
}

}  // namespace
}  // namespace hr::wire::sqs
