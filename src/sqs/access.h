// Who may do what with a queue: the rules of the caller's key, then the queue's policy. The owner's account
// may do everything that its policy does not deny, and may always read and mend the policy; another account
// may do what the policy allows, of the actions that can be shared. Source: Developer Guide, "Using custom
// policies with the Amazon SQS access policy language" and "Limitations of custom policies".
#pragma once

#include "base/bytes.h"
#include "codec/policy.h"
#include "queue/queue.h"
#include "sqs/caller.h"
#include "sqs/names.h"
#include "wire/sqs_request.h"

#include <map>
#include <optional>

namespace hr::sqs {

class Access {
 public:
  explicit Access(Bytes region) : region_(std::move(region)) {}

  // `queue`: null when there is none of that name. Then the answer is the one for a queue without a policy,
  // so that it tells nobody whether the queue exists.
  bool allows(const Caller& caller, wire::sqs::Action action, const QueueName& name,
              const queue::Queue* queue) const;

 private:
  codec::PolicyDecision judge(const Caller& caller, wire::sqs::Action action, const QueueName& name,
                              const queue::Queue* queue) const;
  const std::optional<codec::Policy>& read(const Bytes& text) const;

  Bytes region_;
  // Policies that were asked about lately, by their text. None: it cannot be read, and allows nothing.
  mutable std::map<Bytes, std::optional<codec::Policy>> read_;
};

}  // namespace hr::sqs
