// The actions on message move tasks. A task's handle is opaque to its holder: base64 of its id and its
// source.
#include "codec/base64.h"
#include "codec/json.h"
#include "sqs/commit.h"
#include "sqs/service.h"

#include <algorithm>
#include <string_view>

namespace hr::sqs {
namespace {

using storage::Release;
using storage::Space;
using wire::sqs::Action;
using wire::sqs::Answer;
using wire::sqs::ErrorCode;
using wire::sqs::refuse;

std::string_view to_text(queue::MoveStatus status) {
  switch (status) {
    case queue::MoveStatus::kRunning:
      return "RUNNING";
    case queue::MoveStatus::kCompleted:
      return "COMPLETED";
    case queue::MoveStatus::kCancelled:
      return "CANCELLED";
    case queue::MoveStatus::kFailed:
      return "FAILED";
  }
  return "FAILED";
}

Bytes handle_of(const Uuid& task, ByteView source_arn) {
  Bytes text;
  codec::JsonWriter(text)
      .begin_object()
      .field("taskId", task.text())
      .field("sourceArn", source_arn)
      .end_object();
  return codec::base64_encode(text);
}

struct Handle {
  Bytes task, source_arn;
};

Outcome<Handle> parse_handle(ByteView handle) {
  const auto bad = [&] {
    return wire::sqs::invalid_value(handle.substr(0, 128), "TaskHandle", "It is not one.");
  };
  const auto text = codec::base64_decode(handle);
  const auto json = text ? codec::parse_json(*text, {.bytes_max = wire::sqs::kReceiptBytesMax})
                         : Result<codec::Json>(std::unexpected(text.error()));
  if (!json) return bad();
  const auto* task = json->find("taskId");
  const auto* source = json->find("sourceArn");
  if (task == nullptr || source == nullptr || task->as_string() == nullptr ||
      source->as_string() == nullptr) {
    return bad();
  }
  return Handle{*task->as_string(), *source->as_string()};
}

}  // namespace

Outcome<const queue::Queue*> Service::find_arn(const Caller& caller, ByteView arn, ByteView parameter,
                                               Action action) const {
  const auto name = parse_queue_arn(arn, parts_.region);
  if (!name)
    return wire::sqs::invalid_value(arn.substr(0, 256), parameter, "It is not the ARN of a queue here.");
  const auto* queue = parts_.store.queues().find(name->account, name->name);
  if (!access_.allows(caller, action, *name, queue)) {
    return refuse(ErrorCode::kAccessDenied,
                  "Access to the resource " + Bytes(arn.substr(0, 256)) + " is denied.");
  }
  if (queue != nullptr) return queue;
  return refuse(ErrorCode::kResourceNotFound,
                "The resource that you specified for the " + Bytes(parameter) + " parameter doesn't exist.");
}

Answered Service::run(const Caller& caller, wire::sqs::StartMessageMoveTask& request) {
  const auto source = find_arn(caller, request.source_arn, "SourceArn", caller.action);
  if (!source) co_return std::unexpected(source.error());
  queue::StartMove move{.id = parts_.entropy.uuid(), .source = (*source)->id};
  move.per_second = static_cast<std::uint32_t>(request.per_second.value_or(0));
  if (!request.destination_arn.empty()) {
    const auto destination =
        find_arn(caller, request.destination_arn, "DestinationArn", Action::kSendMessage);
    if (!destination) co_return std::unexpected(destination.error());
    if (*destination == *source || queue::is_fifo(**destination) != queue::is_fifo(**source)) {
      co_return wire::sqs::invalid_value(request.destination_arn, "DestinationArn",
                                         "It must be another queue, of the same type as the source.");
    }
    move.destination = (*destination)->id;
  }
  const auto started =
      co_await commit<void>(cost_of(parts_.store.queues().bound(std::size_t{1}), Space::kGrow),
                            Release::kDurable, [&](queue::Engine& engine, Time now, queue::Effects& out) {
                              return engine.start_move(move, now, out);
                            });
  if (!started) co_return std::unexpected(started.error());
  co_return wire::sqs::MoveStartedAnswer{handle_of(move.id, request.source_arn)};
}

Answered Service::run(const Caller& caller, wire::sqs::CancelMessageMoveTask& request) {
  const auto handle = parse_handle(request.handle);
  if (!handle) co_return std::unexpected(handle.error());
  const auto source = find_arn(caller, handle->source_arn, "TaskHandle", caller.action);
  if (!source) co_return std::unexpected(source.error());
  const auto tasks = parts_.store.queues().moves((*source)->id);
  const auto task = std::ranges::find(tasks, handle->task, [](const auto& t) { return t.asked.id.text(); });
  if (task == tasks.end()) co_return std::unexpected(to_error(queue::Fault::kNoSuchMove));
  const auto moved = co_await commit<std::uint64_t>(
      cost_of(parts_.store.queues().bound(std::size_t{1}), Space::kShrink), Release::kDurable,
      [id = task->asked.id](queue::Engine& engine, Time now, queue::Effects& out) {
        return engine.cancel_move(id, now, out);
      });
  if (!moved) co_return std::unexpected(moved.error());
  co_return wire::sqs::MoveCancelledAnswer{static_cast<std::int64_t>(*moved)};
}

Answered Service::run(const Caller& caller, wire::sqs::ListMessageMoveTasks& request) {
  const auto source = find_arn(caller, request.source_arn, "SourceArn", caller.action);
  if (!source) co_return std::unexpected(source.error());
  wire::sqs::MovesAnswer answer;
  for (const auto& task : parts_.store.queues().moves((*source)->id)) {
    if (answer.tasks.size() >= static_cast<std::size_t>(request.max.value_or(1))) break;
    wire::sqs::MoveTask& out = answer.tasks.emplace_back();
    const bool running = task.status == queue::MoveStatus::kRunning;
    if (running) out.handle = handle_of(task.asked.id, request.source_arn);
    out.status = to_text(task.status);
    out.source_arn = request.source_arn;
    const auto* destination = parts_.store.queues().find(task.asked.destination);
    if (destination != nullptr) {
      out.destination_arn = queue_arn(parts_.region, destination->account, destination->name);
    }
    out.per_second = static_cast<std::int64_t>(task.asked.per_second);
    out.moved = static_cast<std::int64_t>(task.moved);
    out.to_move = static_cast<std::int64_t>(task.to_move);
    out.failure = task.failure;
    out.started_ms = to_ms(task.started);
  }
  co_return answer;
}

}  // namespace hr::sqs
