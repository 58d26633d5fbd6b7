// The Policy attribute: what it may say, and how AddPermission and RemovePermission write it: one statement
// for each label (its Sid), in a document that is made with the first one. Text in, text out; policies that
// were set as a whole keep what they hold. Source: SQS API Reference, AddPermission and RemovePermission;
// Developer Guide, "Amazon SQS policy quotas" and "Limitations of custom policies".
#pragma once

#include "base/bytes.h"
#include "codec/policy.h"
#include "wire/sqs_error.h"
#include "wire/sqs_request.h"

namespace hr::wire::sqs {

const codec::PolicyRules& policy_rules();
// What another account can be allowed. Everything else is the owner's alone; batches go by their action.
bool can_be_shared(Action action);
// InvalidAttributeValue: AWS would refuse it too. UnsupportedOperation: what is not kept to here. OverLimit:
// one of the quotas.
Outcome<void> check_policy(ByteView text);

// `policy`: the attribute as it is, empty when there is none. `arn`: of the queue.
Outcome<Bytes> with_permission(ByteView policy, const AddPermission& permission, ByteView arn);
// Empty when the last statement has gone.
Outcome<Bytes> without_permission(ByteView policy, ByteView label);

}  // namespace hr::wire::sqs
