#include "s3/lifecycle.h"

#include "codec/time_text.h"
#include "object/listing.h"
#include "s3/write.h"

#include <fmt/format.h>

#include <utility>

namespace hr::s3 {
namespace {

using object::Setting;
using wire::S3Code;
using Rules = std::vector<wire::S3LifecycleRule>;

constexpr std::size_t kPageMax = 1'000;
constexpr std::size_t kRulesKeptMax = 1'000;  // of how many buckets they are kept read
constexpr std::string_view kSender = "s3.amazonaws.com";
constexpr std::uint64_t kAbortRecordBytes = 4096;

// Kept from one request to the next while the text stays the same; null: the bucket has none.
const Rules* rules_of(Services& services, const object::Bucket& bucket) {
  const auto text = bucket.settings.find(Setting::kLifecycle);
  if (text == bucket.settings.end()) return nullptr;
  if (services.lifecycles.size() > kRulesKeptMax) services.lifecycles.clear();
  auto& kept = services.lifecycles[bucket.name];
  if (kept.first != text->second) {
    auto rules = wire::parse_lifecycle(text->second);
    if (!rules) {
      services.diary.error("s3.lifecycle_corrupt", {{"bucket", bucket.name}});
      return nullptr;
    }
    kept = {text->second, std::move(*rules)};
  }
  return &kept.second;
}

wire::S3LifecycleObject shown(std::string_view key, const object::Object& object) {
  return {.key = key, .tags = &object.tags, .bytes = object.bytes, .modified = object.modified};
}

// One bucket in one pass.
class Pass {
 public:
  Pass(Services& services, std::string name, object::BucketId id, Rules rules, Time now)
      : services_(services), name_(std::move(name)), id_(id), rules_(std::move(rules)), now_(now) {}

  net::Task<void> run() {
    object::ListVersionsRequest query{.bucket = id_, .max = kPageMax};
    for (bool more = true; more;) {
      const storage::Index& index = services_.index;
      const auto page =
          co_await services_.runtime.on_pool([&index, query] { return object::list_versions(index, query); });
      if (!page) {
        services_.diary.warning("s3.lifecycle_failed", {{"bucket", name_}, {"reason", page.error().message}});
        co_return;
      }
      for (const object::ListedVersion& one : page->versions) look_at(one);
      more = page->truncated;
      if (!more) settle_marker({});
      query.after = page->next_after;
      query.after_version = page->next_after_version;
      if (!page->versions.empty()) query.after_modified = page->versions.back().object.modified;
      co_await remove_found();
    }
    co_await abort_uploads();
  }

 private:
  void look_at(const object::ListedVersion& one) {
    settle_marker(one.key);
    if (one.latest) newer_ = 0;
    if (one.latest && one.object.delete_marker) {
      marker_ = one;
    } else if (one.latest) {
      const auto expiry = wire::expiry_of(rules_, shown(one.key, one.object));
      if (expiry && expiry->at <= now_) remove(one, false);
    } else if (one.superseded) {
      const auto expiry =
          wire::noncurrent_expiry_of(rules_, shown(one.key, one.object), *one.superseded, newer_++);
      if (expiry && expiry->at <= now_) remove(one, true);
    }
  }

  // A delete marker hides nothing if the next row is of another key.
  void settle_marker(std::string_view next_key) {
    const auto marker = std::exchange(marker_, std::nullopt);
    if (!marker || marker->key == next_key) return;
    if (wire::removes_marker(rules_, marker->key, marker->object.modified, now_)) remove(*marker, true);
  }

  void remove(const object::ListedVersion& one, bool by_version) {
    object::DeleteObject request{.bucket = name_, .key = one.key};
    request.sequencer = one.object.sequencer;
    request.principal = kSender;
    request.source_ip = kSender;
    request.event_family = "LifecycleExpiration";
    if (by_version) {
      request.version = object::VersionName{.null = !one.object.numbered, .version = one.object.version};
    }
    found_.push_back(std::move(request));
  }

  net::Task<bool> remove_found() {
    if (found_.empty()) co_return true;
    const std::size_t count = found_.size();
    const auto results = co_await write_deletes(services_, id_, std::exchange(found_, {}));
    std::size_t gone = 0;
    for (const auto& one : results) gone += one && one->existed ? 1 : 0;
    services_.diary.info("s3.lifecycle_expired", {{"bucket", name_}, {"due", count}, {"gone", gone}});
    co_return true;
  }

  net::Task<bool> abort_uploads() {
    object::ListUploadsRequest query{.bucket = id_, .max = kPageMax};
    for (bool more = true; more;) {
      const storage::Index& index = services_.index;
      const auto page =
          co_await services_.runtime.on_pool([&index, query] { return object::list_uploads(index, query); });
      if (!page) co_return false;
      for (const auto& [key, upload] : page->uploads) {
        const auto at = wire::abort_of(rules_, key, upload.initiated);
        if (at && *at <= now_) co_await close(key, upload.id);
      }
      more = page->truncated;
      query.after = page->next_after;
      query.after_upload = page->next_after_upload;
    }
    co_return true;
  }

  net::Task<bool> close(const std::string& key, object::UploadId upload) {
    const commit::Cost cost{.records = 1, .bytes = kAbortRecordBytes, .space = storage::Space::kShrink};
    const auto decide = [&](object::Engine& engine, Time, object::Effects& out) {
      if (same_bucket(engine, name_, id_)) static_cast<void>(engine.abort_upload(name_, key, upload, out));
    };
    const Status done = co_await net::await_call<Status>(
        [&](auto back) { services_.store.change_objects(cost, decide, std::move(back)); });
    co_return done.has_value();
  }

  Services& services_;
  const std::string name_;
  const object::BucketId id_;
  const Rules rules_;
  const Time now_;
  std::size_t newer_ = 0;  // old versions of the key so far
  std::optional<object::ListedVersion> marker_;
  std::vector<object::DeleteObject> found_;
};

}  // namespace

void add_expiration(Services& services, net::Response& response, const object::Bucket* bucket,
                    std::string_view key, const object::Object& object) {
  const Rules* rules = bucket ? rules_of(services, *bucket) : nullptr;
  if (!rules) return;
  const auto expiry = wire::expiry_of(*rules, shown(key, object));
  if (!expiry) return;
  response.headers.add("x-amz-expiration",
                       fmt::format("expiry-date=\"{}\", rule-id=\"{}\"", codec::http_date(expiry->at),
                                   codec::percent_encode(expiry->rule)));
}

net::Task<void> carry_out_lifecycles(Services& services, Time now) {
  for (const std::string& name : services.store.objects().buckets_with(Setting::kLifecycle)) {
    const object::Bucket* bucket = services.store.objects().bucket(name);
    const Rules* rules = bucket ? rules_of(services, *bucket) : nullptr;
    if (!rules) continue;
    Pass pass(services, name, bucket->id, *rules, now);
    co_await pass.run();
  }
}

}  // namespace hr::s3
