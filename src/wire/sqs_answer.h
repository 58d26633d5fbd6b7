// What SQS answers, as values, and both texts of each: JSON 1.0 and the Query protocol's XML. Lists that are
// empty are left out, as AWS leaves them out.
#pragma once

#include "base/bytes.h"
#include "wire/sqs_error.h"
#include "wire/sqs_request.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace hr::wire::sqs {

struct Nothing {};
struct QueueUrlAnswer {
  Bytes url;
};
struct QueueUrlsAnswer {
  std::vector<Bytes> urls;
  Bytes next_token;      // may be empty
  bool sources = false;  // of ListDeadLetterSourceQueues, which spells its member "queueUrls"
};
struct AttributesAnswer {
  std::vector<std::pair<Bytes, Bytes>> attributes;
};
struct TagsAnswer {
  Map tags;
};
struct SentAnswer {
  Bytes id;
  Bytes md5_of_body;
  Bytes md5_of_attributes;         // empty: none were sent
  Bytes md5_of_system_attributes;  // empty: none were sent
  Bytes sequence_number{};         // of FIFO queues, else empty
};
// The sent ones and the failed ones of a batch, each with its entry's id.
template <class T>
struct BatchAnswer {
  std::vector<std::pair<Bytes, T>> done;
  std::vector<std::pair<Bytes, Error>> failed;
};
struct ReceivedMessage {
  Bytes id;
  Bytes receipt;
  Bytes md5_of_body;
  Bytes md5_of_attributes;
  Bytes body;
  std::vector<std::pair<Bytes, Bytes>> system_attributes;
  std::vector<MessageAttribute> attributes;
};
struct ReceivedAnswer {
  std::vector<ReceivedMessage> messages;
};

struct MoveStartedAnswer {
  Bytes handle;
};
struct MoveCancelledAnswer {
  std::int64_t moved = 0;
};
struct MoveTask {
  Bytes handle;  // of a running one, else empty
  Bytes status;
  Bytes source_arn;
  Bytes destination_arn;  // may be empty
  std::int64_t per_second = 0, moved = 0, to_move = 0;
  Bytes failure;  // may be empty
  std::int64_t started_ms = 0;
};
struct MovesAnswer {
  std::vector<MoveTask> tasks;
};

using Answer = std::variant<Nothing, QueueUrlAnswer, QueueUrlsAnswer, AttributesAnswer, TagsAnswer,
                            SentAnswer, BatchAnswer<SentAnswer>, BatchAnswer<Nothing>, ReceivedAnswer,
                            MoveStartedAnswer, MoveCancelledAnswer, MovesAnswer>;

Bytes to_json(const Answer& answer);
Bytes to_xml(Action action, const Answer& answer, ByteView request_id);

Bytes to_json(const Error& error);
Bytes to_xml(const Error& error, ByteView request_id);
Bytes query_error_header(const Error& error);  // "AWS.SimpleQueueService.NonExistentQueue;Sender"

}  // namespace hr::wire::sqs
