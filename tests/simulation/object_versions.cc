// Versions in a simulated life: removed by name or hidden by a delete marker, tagged, listed.
#include "object/coding.h"
#include "object_life.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::sim {

using object::VersionName;
using storage::Patience;
using storage::Table;

// Mostly one that is there; sometimes "null", or one that never was.
std::optional<VersionName> ObjectLife::random_version(const Client& client) {
  if (random_.percent(50)) return std::nullopt;
  if (random_.percent(15)) return VersionName{.null = true};
  const auto bucket = model_.now().buckets.find(client.bucket);
  if (bucket == model_.now().buckets.end()) return std::nullopt;
  const auto key = model_.now().keys.find({bucket->second.id, client.key});
  if (key == model_.now().keys.end() || random_.percent(10)) return VersionName{.version = 1};
  const ModelObject& one = key->second[random_.below(key->second.size())];
  return VersionName{.null = !one.numbered, .version = one.numbered ? one.version : 0};
}

std::optional<object::Object> ObjectLife::look_up(object::BucketId id, const std::string& key,
                                                  const std::optional<VersionName>& version) {
  auto current = look_up(id, key);
  if (!version) return current;
  if (current && (version->null ? !current->numbered : current->version == version->version)) return current;
  std::uint64_t number = version->version;
  if (version->null) {
    const auto null = subject_->index().get(Table::kNulls, object::object_key(id, key), Patience::kAny);
    check(null.has_value(), "the index cannot be read");
    if (!*null) return std::nullopt;
    number = *object::decode_null(**null);
  }
  const auto row =
      subject_->index().get(Table::kVersions, object::version_key(id, key, number), Patience::kAny);
  check(row.has_value(), "the index cannot be read");
  if (!*row) return std::nullopt;
  auto found = object::decode_object(**row);
  check(found.has_value(), "the index holds a version that cannot be read");
  if (found->numbered == version->null) return std::nullopt;
  return *found;
}

void ObjectLife::set_versioning(const std::string& name) {
  const auto there = model_.now().buckets.find(name);
  const auto versioning = random_.percent(60) ? object::Versioning::kEnabled : object::Versioning::kSuspended;
  object::Effects command;
  const auto outcome = subject_->engine().set_versioning(name, versioning, command);
  check(outcome.has_value() == (there != model_.now().buckets.end()), "set versioning: " + name_of(outcome));
  if (!outcome || there->second.versioning == versioning) return;
  object::Bucket changed = there->second;
  changed.versioning = versioning;
  accept(command, {.bucket = name, .bucket_set = changed, .key = {}, .object_set = {}});
}

std::optional<Fault> ObjectLife::expected_of_removal(const Client& client) {
  const auto bucket = model_.now().buckets.find(client.bucket);
  if (bucket == model_.now().buckets.end()) return Fault::kNoSuchBucket;
  const object::BucketId id = bucket->second.id;
  const ModelObject* target =
      client.version ? model_.now().find(id, client.key, *client.version) : model_.now().find(id, client.key);
  const auto refused = ObjectModel::refused({.if_match = client.if_match}, target);
  if (refused) return refused;
  const bool marker = !client.version && bucket->second.versioning != object::Versioning::kNever;
  if ((target != nullptr || marker) && full()) return Fault::kSlowDown;
  return std::nullopt;
}

void ObjectLife::decide_remove(Client& client) {
  object::Effects command;
  const object::DeleteObject request{
      .bucket = client.bucket, .key = client.key, .if_match = client.if_match, .version = client.version};
  std::optional<Fault> expected;
  const auto outcome = decide_again_if_stale(client, [&] {
    expected = expected_of_removal(client);  // before: it may be the one that fills the engine
    return subject_->remove(request, client.watch, client.known, now_, command);
  });
  check(outcome ? !expected : expected == outcome.error(),
        fmt::format("a removal was {}, expected {}", name_of(outcome),
                    expected ? name_of(*expected) : "accepted"));
  if (!outcome) return;
  const object::Bucket& bucket = model_.now().buckets.at(client.bucket);
  const ModelObject* there = client.version ? model_.now().find(bucket.id, client.key, *client.version)
                                            : model_.now().find(bucket.id, client.key);
  const bool marks = !client.version && bucket.versioning != object::Versioning::kNever;
  check(outcome->existed == (there != nullptr || marks), "a removal was wrong about what was there");
  if (!outcome->existed) {
    return check(command.records.empty() && command.events.empty(), "a removal of nothing");
  }
  number_grows(outcome->sequencer);
  compare_events(command, marks ? "ObjectRemoved:DeleteMarkerCreated" : "ObjectRemoved:Delete", bucket,
                 client.key, outcome->sequencer);
  ModelChange change{.number = outcome->sequencer, .key = {bucket.id, client.key}};
  if (marks) {
    change.object_set = ModelObject{.etag = {},
                                    .body = {},
                                    .blob = {},
                                    .sequencer = outcome->sequencer,
                                    .version = outcome->version,
                                    .numbered = bucket.versioning == object::Versioning::kEnabled,
                                    .delete_marker = true};
  } else {
    check(outcome->delete_marker == there->delete_marker, "a removal took an object for a delete marker");
    change.version_removed = there->version;
  }
  accept(command, std::move(change));
}

void ObjectLife::decide_tags(Client& client) {
  const auto bucket = model_.now().buckets.find(client.bucket);
  if (client.known && client.known->delete_marker) return;  // a front end refuses it
  const object::SetTags request{.bucket = client.bucket,
                                .key = client.key,
                                .tags = {{"n", std::to_string(etags_)}},
                                .version = client.version,
                                .event_name = "ObjectTagging:Put"};
  object::Effects command;
  const auto outcome = decide_again_if_stale(client, [&] {
    // Read again, it may be a delete marker by now; or one still, if what was decided since is not applied.
    if (client.known && client.known->delete_marker) {
      const bool settled = subject_->engine().pending() == 0;
      return object::Outcome<object::WriteDone>(std::unexpected(settled ? Fault::kNoSuchKey : Fault::kStale));
    }
    return subject_->set_tags(request, client.watch, client.known, now_, command);
  });
  if (bucket == model_.now().buckets.end()) {
    return check(!outcome && outcome.error() == Fault::kNoSuchBucket, "tags where there is no bucket");
  }
  const ModelObject* there = client.version
                                 ? model_.now().find(bucket->second.id, client.key, *client.version)
                                 : model_.now().find(bucket->second.id, client.key);
  const bool is_object = there != nullptr && !there->delete_marker;
  if (!outcome) {
    return check(
        is_object ? outcome.error() == Fault::kSlowDown && full() : outcome.error() == Fault::kNoSuchKey,
        "tags were refused: " + name_of(outcome));
  }
  check(is_object && outcome->version == there->version, "tags of what is not there");
  number_grows(outcome->sequencer);
  compare_events(command, "ObjectTagging:Put", bucket->second, client.key, outcome->sequencer);
  ModelObject tagged = *there;
  tagged.sequencer = outcome->sequencer;
  accept(command, {.number = outcome->sequencer,
                   .bucket = {},
                   .bucket_set = {},
                   .key = {bucket->second.id, client.key},
                   .object_set = std::move(tagged)});
}

void ObjectLife::list_versions() {
  ++result.operations;
  if (model_.shown().buckets.empty()) return;
  const object::BucketId id = model_.shown().buckets.begin()->second.id;
  object::ListVersionsRequest request{.bucket = id, .prefix = random_text(), .delimiter = random_text()};
  request.max = 1 + random_.below(6);
  std::vector<std::string> expected;
  for (const auto& [where, versions] : model_.shown().keys) {
    const std::string& key = where.second;
    if (where.first != id || !key.starts_with(request.prefix)) continue;
    const std::size_t at =
        request.delimiter.empty() ? key.npos : key.find(request.delimiter, request.prefix.size());
    if (at != key.npos) {
      std::string shown = key.substr(0, at + request.delimiter.size());
      if (expected.empty() || expected.back() != shown) expected.push_back(std::move(shown));
      continue;
    }
    for (auto one = versions.rbegin(); one != versions.rend(); ++one) {
      expected.push_back(fmt::format("{} {} {}", key, one->version, one == versions.rbegin()));
    }
  }
  std::vector<std::string> got;
  object::VersionPage page;
  do {
    const auto listed = object::list_versions(subject_->index(), request);
    check(listed.has_value(), "a listing of versions failed");
    page = *listed;
    std::vector<std::string> shown = page.common_prefixes;
    for (const auto& one : page.versions) {
      shown.push_back(fmt::format("{} {} {}", one.key, one.object.version, one.latest));
    }
    // Common prefixes stand apart from the versions: bring each page into order by key.
    std::ranges::stable_sort(shown, {},
                             [](const std::string& text) { return text.substr(0, text.find(' ')); });
    got.insert(got.end(), shown.begin(), shown.end());
    check(got.size() <= expected.size(), "a listing of versions shows too much");
    request.after = page.next_after;
    request.after_version = page.next_after_version;
  } while (page.truncated);
  check(got == expected, "a listing of versions shows something else");
}

std::size_t ObjectLife::rows_of(Table table) {
  std::size_t rows = 0;
  const auto cursor = subject_->index().cursor(table);
  check(cursor->seek({}).has_value(), "seek");
  for (; cursor->valid(); ++rows) check(cursor->next().has_value(), "next");
  return rows;
}

void ObjectLife::compare_rows(const ModelState& expected) {
  std::size_t current = 0, others = 0, nulls = 0, bodies = 0;
  for (const auto& [where, versions] : expected.keys) {
    const bool live = !versions.back().delete_marker;
    current += live ? 1 : 0;
    others += versions.size() - (live ? 1 : 0);
    for (const ModelObject& one : versions) {
      const bool archived = &one != &versions.back() || !live;
      nulls += archived && !one.numbered ? 1 : 0;
      bodies += one.delete_marker || one.blob ? 0 : 1;
    }
  }
  const auto compare = [&](const char* what, Table table, std::size_t rows) {
    check(rows_of(table) == rows, fmt::format("at rest: {} {} of {}", rows_of(table), what, rows));
  };
  compare("objects", Table::kObjects, current);
  compare("other versions", Table::kVersions, others);
  compare("null versions", Table::kNulls, nulls);
  compare("bodies", Table::kBodies, bodies);
}

}  // namespace hr::sim
