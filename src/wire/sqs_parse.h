// Requests of both protocols into the same values. JSON 1.0 is read as it is; the Query protocol's parameters
// ("SendMessageBatchRequestEntry.1.MessageBody=...") are first brought into the JSON protocol's shape, so
// that every rule exists once. Anything that breaks a rule is SQS's own error.
#pragma once

#include "base/bytes.h"
#include "codec/json.h"
#include "codec/uri.h"
#include "wire/sqs_error.h"
#include "wire/sqs_request.h"

namespace hr::wire::sqs {

// kUnsupportedOperation: an action of SQS that is not done here.
// `batch_max`: entries of a batch and messages of a receive, 10 to kLargeBatchMax.
Outcome<Request> parse_json_request(Action action, ByteView body, std::size_t batch_max = kBatchEntriesMax);

// The parameters of a form or of a query. Names that belong to no parameter of the action are ignored, as are
// Action, Version and those of the signature.
Outcome<Request> parse_query_request(Action action, const codec::Pairs& parameters);

// --- the parts ---

// Numbers stay text: read_request() takes either.
Outcome<codec::Json> query_to_json(const codec::Pairs& parameters);
Outcome<Request> read_request(Action action, const codec::Json& members,
                              std::size_t batch_max = kBatchEntriesMax);

}  // namespace hr::wire::sqs
