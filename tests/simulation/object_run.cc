#include "object_run.h"

#include "object/coding.h"
#include "object/notification.h"
#include "object_life.h"
#include "object_model.h"
#include "sim/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace hr::sim {

std::string ObjectLife::random_text() {
  constexpr std::string_view kLetters("ab/\xff\x01", 5);
  std::string text;
  for (std::uint64_t n = random_.below(3); n > 0; --n) text += kLetters[random_.below(kLetters.size())];
  return text;
}

std::string ObjectLife::random_key() { return "ab"[random_.below(2)] + random_text(); }

void ObjectLife::live(std::uint64_t operations) {
  while (result.operations < operations) {
    step();
    if (random_.below(400) == 0) {
      flush_pipeline();
      compare_all();
    }
    if (random_.below(500) == 0) crash();
  }
  flush_pipeline();
  compare_all();
}

void ObjectLife::step() {
  now_ += Duration(random_.below(40));
  const std::uint64_t choice = random_.below(100);
  if (choice < 62) return advance(clients_.at(random_.below(kClients)));
  if (choice < 64) return create_bucket();
  if (choice < 65) return set_rules();
  if (choice < 75) return read_object();
  if (choice < 76) return random_.percent(50) ? list_bucket() : list_versions();
  if (choice < 77) return create_upload();
  if (choice < 82) return put_part();
  if (choice < 83) return random_.percent(30) ? abort_upload() : close_abandoned();
  pipeline();
}

void ObjectLife::pipeline() {
  switch (random_.below(5)) {
    case 0:
      subject_->append(step_);
      break;
    case 1:
      subject_->sync(random_.between(subject_->durable(), subject_->next_lsn() - 1));
      break;
    case 2: {
      const Status applied = subject_->apply(1 + random_.below(6));
      check(applied.has_value(), applied ? "" : applied.error().message);
      break;
    }
    case 3:
      subject_->report();
      break;
    default: {
      if (random_.percent(5)) now_ += 61s;
      const Status flushed = random_.percent(10) ? subject_->index().flush() : subject_->maybe_flush(now_);
      check(flushed.has_value(), "a flush failed");
    }
  }
  model_.applied(subject_->index().applied());
}

void ObjectLife::flush_pipeline() {
  subject_->append(step_);
  subject_->sync(subject_->next_lsn() - 1);
  const Status applied = subject_->apply(1U << 20);
  check(applied.has_value(), applied ? "" : applied.error().message);
  subject_->report();
  model_.applied(subject_->index().applied());
}

void ObjectLife::crash() {
  ++result.crashes;
  for (Client& client : clients_) client = {};  // its watch must go before the engine
  step_ = {};
  const Lsn cut = random_.between(subject_->durable(), subject_->next_lsn() - 1);
  const Lsn from = random_.below(subject_->index().durable() + 1);
  const Status recovered = subject_->crash(cut, from);
  check(recovered.has_value(), recovered ? "" : "after a crash: " + recovered.error().message);
  std::size_t events = 0;
  for (const auto& group : subject_->log()) events += group.events;
  model_.crash(cut, subject_->index().applied());
  check(events == model_.events(),
        fmt::format("after a crash the log has {} events for {} expected", events, model_.events()));
  // A new upload while the sweep is at work.
  const auto writer = *subject_->blobs().create();
  check(writer->append("new").has_value(), "append");
  const BlobName fresh = *writer->commit();
  const auto swept = subject_->sweep();
  check(swept.has_value(), "the sweep failed");
  result.swept += swept->removed;
  check(subject_->blobs().files().contains(fresh), "the sweep took a blob of an upload under way");
  check(subject_->blobs().remove(fresh).has_value(), "remove");
  compare_all();
}

// --- clients ---

void ObjectLife::advance(Client& client) {
  switch (client.stage) {
    case Client::Stage::kIdle:
      return begin(client);
    case Client::Stage::kWatching:
      return read_index(client);
    case Client::Stage::kRead:
      return decide(client);
  }
}

void ObjectLife::begin(Client& client) {
  client = {};
  client.bucket = kBuckets.at(random_.below(kBuckets.size()));
  const bool small = client.bucket == kBuckets.back();  // of one key: it is empty often
  client.key = small ? "a" : random_key();
  const std::uint64_t verb = random_.below(100);
  client.verb = verb < (small ? 30 : 55)   ? Verb::kPut
                : verb < (small ? 80 : 85) ? Verb::kRemove
                : verb < (small ? 82 : 92) ? Verb::kComplete
                : verb < (small ? 85 : 97) ? Verb::kTag
                                           : Verb::kDeleteBucket;
  if (client.verb == Verb::kComplete) begin_completion(client);
  const auto etag = [&] {
    const auto bucket = model_.now().buckets.find(client.bucket);
    const ModelObject* there =
        bucket == model_.now().buckets.end() ? nullptr : model_.now().find(bucket->second.id, client.key);
    return there != nullptr && random_.percent(70) ? there->etag : random_.percent(50) ? "*" : "other";
  };
  if (client.verb == Verb::kRemove && random_.percent(30)) client.if_match = etag();
  if (client.verb == Verb::kRemove || client.verb == Verb::kTag) client.version = random_version(client);
  if (client.verb == Verb::kComplete) {
    if (random_.percent(20)) client.request.condition.if_none_match_any = true;
    if (random_.percent(20)) client.request.condition.if_match = etag();
  }
  if (client.verb == Verb::kPut) {
    client.request = {.bucket = client.bucket, .key = client.key, .event_name = "ObjectCreated:Put"};
    client.request.object.etag = fmt::format("e{}", ++etags_);
    if (random_.percent(30)) client.request.condition.if_none_match_any = true;
    if (random_.percent(30)) client.request.condition.if_match = etag();
    if (random_.percent(30)) {
      const auto writer = *subject_->blobs().create();
      check(writer->append(client.request.object.etag).has_value(), "append");
      client.request.object.blob = *writer->commit();
    } else {
      client.request.inline_body = fmt::format("body of {}", client.request.object.etag);
    }
  }
  client.stage = Client::Stage::kWatching;
  watch(client);
}

void ObjectLife::watch(Client& client) {
  const object::Bucket* bucket = subject_->engine().bucket(client.bucket);
  if (bucket == nullptr) return;
  client.id = bucket->id;
  client.watch = client.verb == Verb::kDeleteBucket ? subject_->engine().watch_bucket(bucket->id)
                 : client.version && !client.version->null
                     ? subject_->engine().watch_version(bucket->id, client.key, client.version->version)
                     : subject_->watch_key(bucket->id, client.key);
  if (client.verb == Verb::kComplete) client.parts_watch = subject_->watch_parts(client.upload);
}

std::optional<object::Object> ObjectLife::look_up(object::BucketId id, const std::string& key) {
  const auto value =
      subject_->index().get(storage::Table::kObjects, object::object_key(id, key), storage::Patience::kAny);
  check(value.has_value(), "the index cannot be read");
  if (!*value) return std::nullopt;
  auto object = object::decode_object(**value);
  check(object.has_value(), "the index holds an object that cannot be read");
  return *object;
}

void ObjectLife::read_index(Client& client) {
  if (client.verb == Verb::kDeleteBucket) {
    client.index_empty = *object::bucket_is_empty(subject_->index(), client.id);
  } else {
    client.known = look_up(client.id, client.key, client.version);
  }
  if (client.verb == Verb::kComplete) {
    client.parts = object::list_parts(subject_->index(), client.upload, 0, 10'000)->parts;
  }
  client.stage = Client::Stage::kRead;
}

void ObjectLife::decide(Client& client) {
  ++result.operations;
  // The bucket may be another by now: then what was read is not about it, as a front end knows by its id.
  const object::Bucket* bucket = subject_->engine().bucket(client.bucket);
  if (bucket != nullptr && bucket->id != client.id) client.watch = {};
  switch (client.verb) {
    case Verb::kPut:
      decide_put(client);
      break;
    case Verb::kRemove:
      decide_remove(client);
      break;
    case Verb::kDeleteBucket:
      decide_delete_bucket(client);
      break;
    case Verb::kComplete:
      decide_complete(client);
      break;
    case Verb::kTag:
      decide_tags(client);
      break;
  }
  client = {};
  if (random_.percent(70)) subject_->append(step_);
}

std::optional<Fault> ObjectLife::expected_of_write(const Client& client) {
  const auto bucket = model_.now().buckets.find(client.bucket);
  if (bucket == model_.now().buckets.end()) return Fault::kNoSuchBucket;
  const auto refused =
      ObjectModel::refused(client.request.condition, model_.now().find(bucket->second.id, client.key));
  if (refused) return refused;
  return full() ? std::optional(Fault::kSlowDown) : std::nullopt;
}

void ObjectLife::decide_put(Client& client) {
  const auto bucket = model_.now().buckets.find(client.bucket);
  std::optional<Fault> expected;
  object::Effects command;
  const auto outcome = decide_again_if_stale(client, [&] {
    expected = expected_of_write(client);
    return subject_->put(client.request, client.watch, client.known, now_, command);
  });
  check(
      outcome ? !expected : expected == outcome.error(),
      fmt::format("a put was {}, expected {}", name_of(outcome), expected ? name_of(*expected) : "accepted"));
  if (!outcome) return give_up(client);
  number_grows(outcome->sequencer);
  compare_events(command, "ObjectCreated:Put", bucket->second, client.key, outcome->sequencer);
  accept(command, {.number = outcome->sequencer,
                   .bucket = {},
                   .bucket_set = {},
                   .key = {bucket->second.id, client.key},
                   .object_set = ModelObject{.etag = client.request.object.etag,
                                             .body = client.request.inline_body,
                                             .blob = client.request.object.blob,
                                             .sequencer = outcome->sequencer,
                                             .version = outcome->version,
                                             .numbered = outcome->numbered}});
}

void ObjectLife::decide_delete_bucket(Client& client) {
  const auto bucket = model_.now().buckets.find(client.bucket);
  object::Effects command;
  const auto outcome = decide_again_if_stale(client, [&] {
    return subject_->delete_bucket(client.bucket, client.watch, client.index_empty, command);
  });
  if (bucket == model_.now().buckets.end()) {
    return check(!outcome && outcome.error() == Fault::kNoSuchBucket,
                 "a bucket that is not there was deleted");
  }
  const bool empty = model_.now().empty(bucket->second.id);
  check(!outcome || empty, "a bucket was deleted with objects in it");
  // Removals that are not applied yet still show in the index: NotEmpty is true of what the caller could see.
  const bool seen_empty = client.index_empty && empty;
  // What became of a version that was removed is known when it is applied.
  const bool unsure =
      bucket->second.versioning != object::Versioning::kNever && subject_->engine().pending() > 0;
  check(outcome.has_value() || (outcome.error() == Fault::kBucketNotEmpty && (!seen_empty || unsure)),
        "an empty bucket was not deleted: " + name_of(outcome));
  if (outcome) accept(command, {.bucket = client.bucket, .bucket_set = {}, .key = {}, .object_set = {}});
}

void ObjectLife::give_up(Client& client) {
  const auto& blob = client.request.object.blob;
  if (blob) check(subject_->blobs().remove(*blob).has_value(), "remove");
}

void ObjectLife::create_bucket() {
  ++result.operations;
  const std::string name = kBuckets.at(random_.below(kBuckets.size()));
  const std::string account = kAccounts.at(random_.below(kAccounts.size()));
  const auto there = model_.now().buckets.find(name);
  std::optional<Fault> expected;
  if (there != model_.now().buckets.end()) {
    expected = there->second.account == account ? Fault::kBucketOwned : Fault::kBucketExists;
  } else if (model_.now().buckets.size() >= kLimits.buckets_max) {
    expected = Fault::kTooManyBuckets;
  }
  object::Effects command;
  const auto outcome = subject_->engine().create_bucket(name, account, "us-east-1", now_, command);
  check(outcome ? !expected : expected == outcome.error(), "create bucket: " + name_of(outcome));
  if (!outcome) return;
  const object::Bucket* made = subject_->engine().bucket(name);
  check(made != nullptr && made->account == account && made->created == now_, "a new bucket is not as asked");
  const auto id = static_cast<std::uint64_t>(made->id);
  number_grows(id);
  accept(command, {.number = id, .bucket = name, .bucket_set = *made, .key = {}, .object_set = {}});
}

void ObjectLife::set_rules() {
  ++result.operations;
  const std::string name = kBuckets.at(random_.below(kBuckets.size()));
  const auto there = model_.now().buckets.find(name);
  if (random_.percent(40)) return set_versioning(name);
  std::vector<object::NotificationRule> rules;
  const std::array<std::vector<std::string>, 3> events = {{{"s3:ObjectCreated:*", "s3:ObjectTagging:*"},
                                                           {"s3:ObjectRemoved:Delete"},
                                                           {"s3:ObjectCreated:Put", "s3:ObjectRemoved:*"}}};
  for (std::uint64_t n = random_.below(3); n > 0; --n) {
    rules.push_back({.id = fmt::format("r{}", n),
                     .queue_arn = fmt::format("arn:q{}", random_.below(2)),
                     .events = events.at(random_.below(events.size())),
                     .prefix = n == 1 ? "a" : "b",
                     .suffix = random_text().substr(0, 1)});
  }
  object::Effects command;
  const auto outcome = subject_->engine().set_notifications(name, rules, "id", now_, command);
  check(outcome.has_value() == (there != model_.now().buckets.end()),
        "set notifications: " + name_of(outcome));
  if (!outcome) return;
  std::set<std::string> told;
  for (const auto& rule : rules) {
    const auto& before = there->second.notifications;
    if (std::ranges::count(before, rule) == 0) told.insert(rule.queue_arn);
  }
  check(command.events.size() == told.size(), "test events");
  object::Bucket changed = there->second;
  changed.notifications = std::move(rules);
  accept(command, {.bucket = name, .bucket_set = changed, .key = {}, .object_set = {}});
}

void ObjectLife::accept(object::Effects& command, ModelChange change) {
  check(!command.records.empty(), "an accepted change left no record");
  change.lsn = subject_->next_lsn();
  change.events = command.events.size();
  model_.change(std::move(change));
  std::ranges::move(command.records, std::back_inserter(step_.records));
  std::ranges::move(command.events, std::back_inserter(step_.events));
}

void ObjectLife::number_grows(std::uint64_t number) {
  check(number > model_.highest_number(),
        fmt::format("the number {} after {}", number, model_.highest_number()));
}

// --- looking ---

void ObjectLife::compare_events(const object::Effects& command, const std::string& event,
                                const object::Bucket& bucket, const std::string& key,
                                std::uint64_t sequencer) {
  std::vector<std::string> queues;
  const std::string named = fmt::format(R"("key":"{}")", object::event_key(key));
  for (const auto& sent : command.events) {
    queues.push_back(sent.queue_arn);
    check(sent.body.contains(fmt::format(R"("eventName":"{}")", event)), "an event of another name");
    check(sent.body.contains(named), "an event of another key");
    check(event.starts_with("ObjectTagging") ||
              sent.body.contains(fmt::format(R"("sequencer":"{:018X}")", sequencer)),
          "another sequencer");
  }
  check(queues == ObjectModel::wanted_by(bucket, event, key),
        fmt::format("{} events of {} for a key that {} rules want", queues.size(), event,
                    ObjectModel::wanted_by(bucket, event, key).size()));
}

void ObjectLife::read_object() {
  ++result.operations;
  if (model_.shown().buckets.empty()) return;
  auto bucket = model_.shown().buckets.begin();
  std::advance(bucket, static_cast<std::ptrdiff_t>(random_.below(model_.shown().buckets.size())));
  const std::string key = random_key();
  const object::BucketId id = bucket->second.id;
  const auto got = look_up(id, key);
  const ModelObject* expected = model_.shown().find(id, key);
  check(got.has_value() == (expected != nullptr), "a read: the object is there or not");
  if (!got) return;
  check(got->etag == expected->etag && got->sequencer == expected->sequencer, "a read: another object");
  check(got->blob == expected->blob, "a read: another blob");
  if (got->blob) {
    const auto& files = subject_->blobs().files();
    const auto file = files.find(*got->blob);
    return check(file != files.end() && file->second == expected->etag,
                 "a read: the blob is gone or another");
  }
  const auto body = subject_->index().get(storage::Table::kBodies, object::body_key(id, key, got->version),
                                          storage::Patience::kAny);
  check(body->has_value(), "a read: no body");
  if (expected->pieces.empty()) return check(**body == expected->body, "a read: another body");
  const auto manifest = object::decode_manifest(**body);
  check(manifest && manifest->size() == expected->pieces.size(), "a read: another number of parts");
  for (std::size_t i = 0; i < manifest->size(); ++i) {
    check((*manifest)[i].blob == expected->pieces[i], "a read: another part");
    check(subject_->blobs().files().contains(expected->pieces[i]), "a read: a part is gone");
  }
}

void ObjectLife::list_bucket() {
  ++result.operations;
  if (model_.shown().buckets.empty()) return;
  const object::BucketId id = model_.shown().buckets.begin()->second.id;
  object::ListRequest request{.bucket = id, .prefix = random_text(), .delimiter = random_text()};
  request.max = 1 + random_.below(8);
  std::vector<std::string> expected;
  for (const auto& [where, versions] : model_.shown().keys) {
    const std::string& key = where.second;
    if (where.first != id || !key.starts_with(request.prefix) || versions.back().delete_marker) continue;
    const std::size_t at =
        request.delimiter.empty() ? key.npos : key.find(request.delimiter, request.prefix.size());
    std::string shown = at == key.npos ? key : key.substr(0, at + request.delimiter.size());
    if (expected.empty() || expected.back() != shown) expected.push_back(std::move(shown));
  }
  std::vector<std::string> got;
  object::ListPage page;
  do {
    const auto listed = subject_->list(request);
    check(listed.has_value(), "a listing failed");
    page = *listed;
    std::vector<std::string> shown = page.common_prefixes;
    for (const auto& object : page.objects) shown.push_back(object.key);
    std::ranges::sort(shown);
    got.insert(got.end(), shown.begin(), shown.end());
    check(got.size() <= expected.size(), "a listing shows too much");
    request.after = page.next_after;
  } while (page.truncated);
  check(got == expected, "a listing shows something else");
}

// Adds what they refer to.
void ObjectLife::compare_uploads(std::set<BlobName>& blobs) {
  std::size_t parts = 0;
  for (const auto& [id, upload] : model_.shown().uploads) {
    const object::OpenUpload* open = subject_->engine().upload(id);
    check(open != nullptr && open->key == upload.key && open->bucket == upload.bucket &&
              open->initiated == upload.initiated && open->pending_parts == 0,
          "at rest: an upload is gone or another");
    const auto there = object::list_parts(subject_->index(), id, 0, 10'000);
    check(there && there->parts.size() == upload.parts.size(), "at rest: other parts");
    for (const auto& [number, part] : there->parts) {
      const auto expected = upload.parts.find(number);
      check(expected != upload.parts.end() && part.etag == expected->second.etag &&
                part.blob == expected->second.blob,
            "at rest: another part");
      blobs.insert(*part.blob);
    }
    parts += upload.parts.size();
  }
  check(rows_of(storage::Table::kUploads) == model_.shown().uploads.size(), "at rest: uploads too many");
  check(rows_of(storage::Table::kParts) == parts, "at rest: parts too many");
}

// Everything at rest: the index, the files and the engine are what the model says, and nothing else.
void ObjectLife::compare_all() {
  const ModelState& expected = model_.shown();
  check(subject_->engine().pending() == 0, "something is pending at rest");
  std::set<BlobName> blobs;
  for (const Client& client : clients_) {
    if (client.request.object.blob) blobs.insert(*client.request.object.blob);
  }
  for (const auto& [where, versions] : expected.keys) {
    for (const ModelObject& object : versions) {
      const object::VersionName name{.null = !object.numbered, .version = object.version};
      const auto got = look_up(where.first, where.second, name);
      check(got && got->etag == object.etag && got->sequencer == object.sequencer &&
                got->version == object.version && got->delete_marker == object.delete_marker,
            "at rest: another object");
      if (object.blob) blobs.insert(*object.blob);
      blobs.insert(object.pieces.begin(), object.pieces.end());
    }
  }
  compare_uploads(blobs);
  compare_rows(expected);
  std::set<BlobName> files;
  for (const auto& [name, content] : subject_->blobs().files()) files.insert(name);
  check(std::ranges::includes(files, blobs), "at rest: a blob is missing");
  check(files == blobs, fmt::format("at rest: {} blobs for {} references", files.size(), blobs.size()));
  for (const char* name : kBuckets) {
    const object::Bucket* got = subject_->engine().bucket(name);
    const auto bucket = expected.buckets.find(name);
    check((got != nullptr) == (bucket != expected.buckets.end()), "at rest: a bucket is there or not");
    check(got == nullptr || *got == bucket->second, "at rest: another bucket");
  }
}

ObjectRun run_objects(std::uint64_t seed, std::uint64_t operations, const MakeObjectSubject& make) {
  ObjectLife run(seed, make(kLimits));
  try {
    run.live(operations);
  } catch (const Difference& difference) {
    run.result.difference = difference.text;
  }
  return run.result;
}

}  // namespace hr::sim
