// What one life is made of: its clients, and the steps that object_run.cc (objects, crashes, comparing) and
// object_uploads.cc (multipart uploads) take with them.
#pragma once

#include "object_model.h"
#include "object_run.h"
#include "object_subject.h"
#include "sim/random.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace hr::sim {

using object::Fault;

inline constexpr object::Limits kLimits{
    .buckets_max = 4, .pending_max = 24, .uploads_max = 6, .upload_age_max = 20s};
inline constexpr std::array<const char*, 5> kBuckets = {"one", "two", "three", "four", "five"};
inline constexpr std::array<const char*, 2> kAccounts = {"000000000000", "111111111111"};
inline constexpr std::size_t kClients = 6;

// A difference ends the run; thrown by check() and caught by run_objects() only.
struct Difference {
  std::string text;
};

inline void check(bool good, const std::string& text) {
  if (!good) throw Difference{text};
}

inline std::string name_of(Fault fault) {
  constexpr std::array<const char*, 11> kNames = {
      "NoSuchBucket", "BucketExists", "BucketOwned", "NotEmpty",     "TooManyBuckets", "NoSuchKey",
      "Precondition", "Stale",        "SlowDown",    "NoSuchUpload", "TooManyUploads"};
  return kNames.at(static_cast<std::size_t>(fault));
}

template <class T>
std::string name_of(const object::Outcome<T>& outcome) {
  return outcome ? "accepted" : name_of(outcome.error());
}

enum class Verb : std::uint8_t { kPut, kRemove, kDeleteBucket, kComplete, kTag };

// One request on its way: watch, then read, then decide; anything may happen in between.
struct Client {
  enum class Stage : std::uint8_t { kIdle, kWatching, kRead } stage = Stage::kIdle;
  Verb verb = Verb::kPut;
  std::string bucket, key;
  object::BucketId id{};
  object::Watch watch;
  std::optional<object::Object> known;
  bool index_empty = false;
  object::PutObject request;
  std::optional<std::string> if_match;         // of a removal
  std::optional<object::VersionName> version;  // of a removal, or of tags
  object::UploadId upload{};                   // of a completion, with what was read of it:
  object::Watch parts_watch;
  std::vector<object::ListedPart> parts;
};

class ObjectLife {
 public:
  ObjectLife(std::uint64_t seed, std::unique_ptr<ObjectSubject> subject)
      : random_(seed), subject_(std::move(subject)) {}

  void live(std::uint64_t operations);
  ObjectRun result;

 private:
  void step();
  void pipeline();

  // Clients.
  void advance(Client& client);
  void begin(Client& client);
  void watch(Client& client);
  void read_index(Client& client);
  void decide(Client& client);
  std::optional<object::Fault> expected_of_write(const Client& client);
  void decide_put(Client& client);
  void decide_remove(Client& client);
  void decide_delete_bucket(Client& client);
  void decide_tags(Client& client);
  std::optional<object::VersionName> random_version(const Client& client);
  std::optional<Fault> expected_of_removal(const Client& client);
  void begin_completion(Client& client);
  void decide_complete(Client& client);
  object::CompleteUpload completion_of(const Client& client);
  void create_upload();
  void put_part();
  void abort_upload();
  void close_abandoned();
  void give_up(Client& client);
  void create_bucket();
  void set_rules();
  void set_versioning(const std::string& name);

  // The pipeline and its end.
  void flush_pipeline();
  void crash();

  // Looking.
  void read_object();
  void list_bucket();
  void list_versions();
  void compare_rows(const ModelState& expected);
  void compare_all();
  void compare_uploads(std::set<BlobName>& blobs);
  void compare_events(const object::Effects& command, const std::string& event, const object::Bucket& bucket,
                      const std::string& key, std::uint64_t sequencer);
  std::optional<object::Object> look_up(object::BucketId id, const std::string& key);
  std::optional<object::Object> look_up(object::BucketId id, const std::string& key,
                                        const std::optional<object::VersionName>& version);
  std::size_t rows_of(storage::Table table);

  template <class Decide>
  auto decide_again_if_stale(Client& client, const Decide& once);
  bool full() { return subject_->engine().pending() >= kLimits.pending_max; }
  void accept(object::Effects& command, ModelChange change);
  void number_grows(std::uint64_t number);
  std::string random_key();
  std::string random_text();

  Random random_;
  std::unique_ptr<ObjectSubject> subject_;
  ObjectModel model_;
  std::array<Client, kClients> clients_;
  object::Effects step_;  // decided, not appended
  Time now_ = from_ms(1'700'000'000'000);
  std::uint64_t etags_ = 0;
};

// Stale is an answer that may come at any time, but not twice without a change in between.
template <class Decide>
auto ObjectLife::decide_again_if_stale(Client& client, const Decide& once) {
  auto outcome = once();
  if (outcome || outcome.error() != Fault::kStale) return outcome;
  ++result.stale;
  if (client.verb == Verb::kComplete) flush_pipeline();  // as a front end waits for what was decided
  watch(client);
  read_index(client);
  outcome = once();
  // With versions, who asks about what is not applied yet has to wait for it.
  const auto bucket = model_.now().buckets.find(client.bucket);
  const bool versioned =
      bucket != model_.now().buckets.end() &&
      (bucket->second.versioning != object::Versioning::kNever || client.verb == Verb::kTag);
  if (!outcome && outcome.error() == Fault::kStale && versioned) {
    flush_pipeline();
    watch(client);
    read_index(client);
    outcome = once();
  }
  check(outcome.has_value() || outcome.error() != Fault::kStale, "stale again with nothing in between");
  return outcome;
}

}  // namespace hr::sim
