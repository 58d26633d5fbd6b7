// From the engine's and the store's refusals to SQS's errors.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "queue/engine.h"
#include "wire/sqs_error.h"

namespace hr::sqs {

wire::sqs::Error to_error(queue::Fault fault);
// The same, where the words name the receipt handle.
wire::sqs::Error to_error(queue::Fault fault, ByteView receipt_handle);
// What the commit path could not do: nothing was changed, or nobody can know.
wire::sqs::Error to_error(const Error& error);

}  // namespace hr::sqs
