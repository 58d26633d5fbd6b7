#include "sqs/service.h"

#include "sqs/commit.h"

#include <variant>

namespace hr::sqs {

using wire::sqs::ErrorCode;
using wire::sqs::refuse;

Service::Service(Parts parts) : parts_(std::move(parts)), access_(parts_.region), recent_(parts_.strict) {}

Answered Service::call(const Caller& caller, wire::sqs::Request& request) {
  return std::visit([&](auto& typed) { return run(caller, typed); }, request);
}

Outcome<const queue::Queue*> Service::find(const Caller& caller, ByteView url) const {
  if (url.empty() && caller.path.size() <= 1) return wire::sqs::missing("QueueUrl");
  const auto name = parse_queue_url(url.empty() ? ByteView(caller.path) : url);
  if (!name || !wire::valid_account(name->account)) {
    return refuse(ErrorCode::kInvalidAddress,
                  "The address " + Bytes(url.substr(0, 1024)) + " is not valid for this endpoint.");
  }
  const queue::Queue* queue = parts_.store.queues().find(name->account, name->name);
  if (!access_.allows(caller, caller.action, *name, queue)) {
    return refuse(ErrorCode::kAccessDenied,
                  "Access to the resource " + Bytes(url.substr(0, 1024)) + " is denied.");
  }
  if (queue == nullptr) return std::unexpected(to_error(queue::Fault::kNoSuchQueue));
  return queue;
}

Bytes Service::url_of(const Caller& caller, const queue::Queue& queue) const {
  return queue_url(caller.base_url, queue.account, queue.name);
}

}  // namespace hr::sqs
