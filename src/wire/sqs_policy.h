// The Policy attribute as AddPermission and RemovePermission write it: one statement for each label (its
// Sid), in a document that is made with the first one. Text in, text out; policies that were set as a whole
// keep what they hold. Source: SQS API Reference, AddPermission and RemovePermission.
#pragma once

#include "base/bytes.h"
#include "wire/sqs_error.h"
#include "wire/sqs_request.h"

namespace hr::wire::sqs {

// `policy`: the attribute as it is, empty when there is none. `arn`: of the queue.
Outcome<Bytes> with_permission(ByteView policy, const AddPermission& permission, ByteView arn);
// Empty when the last statement has gone.
Outcome<Bytes> without_permission(ByteView policy, ByteView label);

}  // namespace hr::wire::sqs
