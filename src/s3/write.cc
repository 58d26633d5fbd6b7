#include "s3/write.h"

#include "object/coding.h"
#include "s3/versions.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace hr::s3 {
namespace {

using object::Fault;
using wire::S3Code;
using wire::S3Result;
using Outcome = object::Outcome<object::WriteDone>;

constexpr std::uint64_t kBucketBytes = 4096;  // without its settings and rules
constexpr std::uint64_t kRecordSlack = 1024;  // of a record and the counter that may precede it

// One attempt. No outcome: the log refused before the engine decided, and `status` says why.
struct Attempt {
  std::optional<Outcome> outcome;
  Status status;
};

net::Task<Attempt> attempt_put(Services& services, object::BucketId bucket, object::PutObject& put,
                               const object::Watch& watch, const std::optional<object::Object>& known) {
  Attempt attempt;
  const commit::Cost cost{.records = 2,
                          .bytes = cost_of(put),
                          .space = storage::Space::kGrow,
                          .events = events_per_change(services, put.bucket)};
  // A write without a condition is never stale, so nothing is needed for another attempt, and nobody has to
  // see it in the index first: reads of its key wait (front.cc). One that is stale waits for what it met.
  const bool again = has_condition(put);
  const auto decide = [&](object::Engine& engine, Time now, object::Effects& out) {
    if (!same_bucket(engine, put.bucket, bucket)) {
      attempt.outcome = std::unexpected(Fault::kNoSuchBucket);
    } else {
      attempt.outcome = engine.put(again ? object::PutObject(put) : std::move(put), watch, known, now, out);
    }
  };
  const auto when = again ? commit::Store::Answered::kApplied : commit::Store::Answered::kDurable;
  attempt.status = co_await net::await_call<Status>(
      [&](auto done) { services.store.change_objects(cost, decide, std::move(done), when); });
  co_return attempt;
}

Written written(const Attempt& attempt) {
  if (!attempt.outcome) return {std::unexpected(error_of(attempt.status.error())), false};
  if (!*attempt.outcome) return {std::unexpected(error_of(attempt.outcome->error())), false};
  if (!attempt.status) return {std::unexpected(error_of(attempt.status.error())), true};
  return {**attempt.outcome, false};
}

bool is_stale(const std::optional<Outcome>& outcome) {
  return outcome && !*outcome && outcome->error() == Fault::kStale;
}

// --- deletes ---

struct Deleting {
  object::DeleteObject request;
  object::Watch watch;
  std::optional<object::Object> known;
  std::optional<Outcome> outcome;
  std::optional<wire::S3Error> failed;  // before the engine was asked
};

std::uint64_t cost_of(const object::DeleteObject& request, std::size_t events) {
  constexpr std::uint64_t kEventBytes = 8U << 10;  // as the store counts them
  return kRecordSlack + request.key.size() + events * kEventBytes;
}

net::Task<bool> look_up(Services& services, object::BucketId bucket, std::vector<Deleting*>& todo) {
  for (Deleting* one : todo) {
    one->watch = watch_version(services, bucket, one->request.key, one->request.version);
    auto known = co_await read_version(services, bucket, one->request.key, one->request.version);
    if (known) {
      one->known = std::move(*known);
    } else {
      one->failed = std::move(known).error();
    }
  }
  co_return true;
}

void decide_deletes(object::Engine& engine, object::BucketId bucket, std::span<Deleting*> group, Time now,
                    object::Effects& out) {
  for (Deleting* one : group) {
    one->outcome = same_bucket(engine, one->request.bucket, bucket)
                       ? engine.remove(one->request, one->watch, one->known, now, out)
                       : Outcome(std::unexpected(Fault::kNoSuchBucket));
  }
}

// The next keys that fit one record group; at least one.
std::size_t group_size(std::span<Deleting*> todo, std::size_t events, std::uint64_t bytes_max) {
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  while (count < todo.size()) {
    bytes += cost_of(todo[count]->request, events);
    if (count > 0 && bytes > bytes_max) break;
    ++count;
  }
  return count;
}

// Submits every group at once and waits for all of them: one wait for the disk, not one for each.
net::Task<bool> commit_deletes(Services& services, object::BucketId bucket, std::vector<Deleting*>& todo) {
  const std::size_t events = todo.empty() ? 0 : events_per_change(services, todo.front()->request.bucket);
  co_return co_await net::await_call<bool>([&](auto done) {
    struct Waiting {
      std::size_t left = 1;  // the submitter itself
      decltype(done) back;
    };
    auto waiting = std::make_shared<Waiting>(Waiting{1, std::move(done)});  // shared by the groups' answers
    const auto arrived = [](const std::shared_ptr<Waiting>& all) {
      if (--all->left == 0) all->back(true);
    };
    for (std::span<Deleting*> rest = todo; !rest.empty();) {
      const auto group = rest.first(group_size(rest, events, services.limits.delete_group_bytes_max));
      rest = rest.subspan(group.size());
      ++waiting->left;
      commit::Cost cost{.records = group.size() + 1, .bytes = kRecordSlack, .space = storage::Space::kShrink};
      cost.events = events * group.size();
      for (const Deleting* one : group) cost.bytes += cost_of(one->request, 0);
      services.store.change_objects(
          cost,
          [&, group](object::Engine& engine, Time now, object::Effects& out) {
            decide_deletes(engine, bucket, group, now, out);
          },
          [group, waiting, arrived](Status status) {
            if (!status) {
              for (Deleting* one : group) one->failed = error_of(status.error());
            }
            arrived(waiting);
          });
    }
    arrived(waiting);
  });
}

S3Result<object::WriteDone> result_of(Deleting& one) {
  if (one.failed) return std::unexpected(std::move(*one.failed));
  if (!one.outcome) return wire::s3_fail(S3Code::kInternalError);
  if (!*one.outcome) return std::unexpected(error_of(one.outcome->error()));
  return **one.outcome;
}

}  // namespace

bool same_bucket(const object::Engine& engine, std::string_view name, object::BucketId id) {
  const object::Bucket* bucket = engine.bucket(name);
  return !bucket || bucket->id == id;
}

AnswerTask change_bucket(Services& services, std::string name, object::BucketId id, commit::Cost cost,
                         BucketChange change, int status) {
  std::optional<object::Outcome<void>> outcome;
  const auto decide = [&](object::Engine& engine, Time now, object::Effects& out) {
    outcome = same_bucket(engine, name, id)
                  ? change(engine, now, out)
                  : object::Outcome<void>(std::unexpected(object::Fault::kNoSuchBucket));
  };
  const Status written = co_await net::await_call<Status>(
      [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
  if (outcome && !*outcome) co_return std::unexpected(error_of(outcome->error()));
  if (!written) co_return std::unexpected(error_of(written.error()));
  co_return empty_response(status);
}

std::uint64_t cost_of(const object::PutObject& put) {
  std::uint64_t bytes =
      kRecordSlack + put.key.size() + put.inline_body.size() + put.object.content_type.size();
  for (const auto& [name, value] : put.object.headers) bytes += name.size() + value.size() + 16;
  for (const auto& [name, value] : put.object.metadata) bytes += name.size() + value.size() + 16;
  for (const auto& [name, value] : put.object.tags) bytes += name.size() + value.size() + 16;
  return bytes;
}

// Rules that a key and an event could both match are refused when they are set, so it is one at most.
std::size_t events_per_change(const Services& services, std::string_view bucket) {
  const object::Bucket* found = services.store.objects().bucket(bucket);
  return found && !found->notifications.empty() ? 1 : 0;
}

std::uint64_t bucket_cost(const object::Bucket& bucket) {
  std::uint64_t bytes = kBucketBytes;
  for (const auto& [setting, value] : bucket.settings) bytes += value.size() + 16;
  for (const auto& rule : bucket.notifications) {
    bytes += rule.id.size() + rule.queue_arn.size() + rule.prefix.size() + rule.suffix.size() + 64;
    for (const auto& event : rule.events) bytes += event.size() + 8;
  }
  return bytes;
}

bool has_condition(const object::PutObject& put) {
  return put.condition.if_none_match_any || put.condition.if_match.has_value();
}

net::Task<bool> drop_blob(Services& services, storage::BlobName name) {
  storage::BlobStore& blobs = services.blobs;
  auto removed = co_await services.runtime.on_pool([&blobs, name] { return blobs.remove(name); });
  if (!removed) services.diary.warning("s3.blob_not_removed", {{"reason", removed.error().message}});
  co_return removed.has_value();
}

void describe(object::Object& object, wire::S3ObjectHeaders headers) {
  object.content_type = std::move(headers.content_type);
  object.headers = std::move(headers.headers);
  object.metadata = std::move(headers.metadata);
}

wire::S3Error error_of(Fault fault) {
  switch (fault) {
    case Fault::kNoSuchBucket:
      return {S3Code::kNoSuchBucket, {}, {}};
    case Fault::kBucketExists:
      return {S3Code::kBucketAlreadyExists, {}, {}};
    case Fault::kBucketOwned:
      return {S3Code::kBucketAlreadyOwnedByYou, {}, {}};
    case Fault::kBucketNotEmpty:
      return {S3Code::kBucketNotEmpty, {}, {}};
    case Fault::kTooManyBuckets:
      return {S3Code::kTooManyBuckets, {}, {}};
    case Fault::kNoSuchKey:
      return {S3Code::kNoSuchKey, {}, {}};
    case Fault::kPreconditionFailed:
      return {S3Code::kPreconditionFailed, {}, {}};
    case Fault::kStale:
      return {S3Code::kConditionalRequestConflict, {}, {}};
    case Fault::kSlowDown:
      return {S3Code::kSlowDown, {}, {}};
    case Fault::kNoSuchUpload:
      return {S3Code::kNoSuchUpload, {}, {}};
    case Fault::kTooManyUploads:
      return {S3Code::kServiceUnavailable,
              "Too many multipart uploads are going on: complete or abort some of them.",
              {}};
  }
  return {S3Code::kInternalError, {}, {}};
}

net::Task<Written> write_put(Services& services, object::BucketId bucket, object::PutObject put) {
  Attempt attempt;
  for (int tries = 0; tries <= services.limits.stale_retries_max; ++tries) {
    object::Watch watch;
    std::optional<object::Object> known;
    if (has_condition(put)) {
      watch = services.store.objects().watch_key(bucket, put.key);
      auto read = co_await read_version(services, bucket, put.key);
      if (!read) co_return Written{std::unexpected(std::move(read).error()), false};
      known = std::move(*read);
    }
    attempt = co_await attempt_put(services, bucket, put, watch, known);
    if (!is_stale(attempt.outcome)) break;
  }
  co_return written(attempt);
}

net::Task<std::vector<S3Result<object::WriteDone>>> write_deletes(Services& services, object::BucketId bucket,
                                                                  std::vector<object::DeleteObject> deletes) {
  std::vector<Deleting> all;
  all.reserve(deletes.size());
  for (auto& one : deletes)
    all.push_back({.request = std::move(one), .watch = {}, .known = {}, .outcome = {}, .failed = {}});
  std::vector<Deleting*> todo;
  for (Deleting& one : all) todo.push_back(&one);
  for (int tries = 0; tries <= services.limits.stale_retries_max && !todo.empty(); ++tries) {
    co_await look_up(services, bucket, todo);
    std::erase_if(todo, [](const Deleting* one) { return one->failed.has_value(); });
    co_await commit_deletes(services, bucket, todo);
    std::erase_if(todo, [](const Deleting* one) { return one->failed || !is_stale(one->outcome); });
  }
  std::vector<S3Result<object::WriteDone>> results;
  results.reserve(all.size());
  for (Deleting& one : all) results.push_back(result_of(one));
  co_return results;
}

}  // namespace hr::s3
