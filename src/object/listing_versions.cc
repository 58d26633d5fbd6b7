// A page of versions: the current objects and the other versions, both in key order, read as one list.
#include "object/coding.h"
#include "object/listing.h"
#include "object/listing_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::object {
namespace {

using storage::Cursor;
using storage::Table;

class VersionWalk {
 public:
  VersionWalk(const storage::Index& index, const ListVersionsRequest& request)
      : request_(request), range_(object_key(request.bucket, request.prefix)) {
    constexpr Table kTables[] = {Table::kObjects, Table::kVersions};
    auto cursors = index.cursors(kTables);
    current_ = std::move(cursors[0]);
    others_ = std::move(cursors[1]);
  }

  Result<VersionPage> page() {
    HR_ASSIGN(const bool any, seek_first());
    while (any) {
      HR_ASSIGN(const bool more, next());
      if (!more) break;
    }
    if (!page_.truncated) {
      page_.next_after.clear();
      page_.next_after_version.reset();
    }
    return std::move(page_);
  }

 private:
  Status seek(const Bytes& key) {
    HR_TRY(current_->seek(key));
    return others_->seek(key);
  }

  Result<bool> seek_first() {
    if (request_.after.empty()) {
      HR_TRY(seek(range_));
      return true;
    }
    if (request_.after_version) return seek_within();
    if (const auto prefix = common_prefix(request_, request_.after)) return seek_behind(*prefix);
    Bytes next = object_key(request_.bucket, request_.after);
    next.push_back('\x01');  // behind the NUL of its versions, and no key holds anything lower
    HR_TRY(seek(std::max(range_, next)));
    return true;
  }

  // The current object is newer than all others of its key.
  Result<bool> seek_within() {
    const Bytes key = object_key(request_.bucket, request_.after);
    last_key_ = request_.after;
    last_modified_ = request_.after_modified;
    Bytes behind = version_key(request_.bucket, request_.after, *request_.after_version);
    behind.push_back('\0');
    HR_TRY(current_->seek(std::max(range_, key)));
    if (current_->valid() && current_->key() == key) {
      HR_ASSIGN(const Object object, decode_object(current_->value()));
      if (object.version >= *request_.after_version) HR_TRY(current_->next());
    }
    HR_TRY(others_->seek(std::max(range_, behind)));
    return true;
  }

  Result<bool> seek_behind(std::string_view prefix) {
    const Bytes behind = key_after_prefix(object_key(request_.bucket, prefix));
    if (behind.empty()) return false;
    HR_TRY(seek(behind));
    return true;
  }

  bool inside(const Cursor& cursor) const { return cursor.valid() && cursor.key().starts_with(range_); }

  // Shows one more. False: the page is full, or nothing is left.
  Result<bool> next() {
    std::optional<std::string> current;
    std::optional<VersionPlace> other;
    if (inside(*current_)) current.emplace(key_in_bucket(current_->key()));
    if (inside(*others_)) {
      HR_ASSIGN(other, decode_version_key(others_->key()));
    }
    if (!current && !other) return false;
    const bool is_current = current && (!other || *current <= other->key);
    std::string key = is_current ? *std::move(current) : std::move(other->key);
    if (page_.versions.size() + page_.common_prefixes.size() == request_.max) {
      page_.truncated = request_.max > 0;
      return false;
    }
    if (const auto prefix = common_prefix(request_, key)) {
      page_.next_after = *prefix;
      page_.next_after_version.reset();
      page_.common_prefixes.emplace_back(*prefix);
      return seek_behind(page_.next_after);
    }
    Cursor& cursor = is_current ? *current_ : *others_;
    HR_ASSIGN(Object object, decode_object(cursor.value()));
    show(std::move(key), std::move(object));
    HR_TRY(cursor.next());
    return true;
  }

  void show(std::string key, Object object) {
    const bool latest = key != last_key_;
    if (latest) last_modified_.reset();
    page_.next_after = last_key_ = key;
    page_.next_after_version = object.version;
    const auto superseded = std::exchange(last_modified_, object.modified);
    page_.versions.push_back({.key = std::move(key),
                              .object = std::move(object),
                              .latest = latest,
                              .superseded = latest ? std::nullopt : superseded});
  }

  const ListVersionsRequest& request_;
  const Bytes range_;
  std::unique_ptr<Cursor> current_, others_;
  VersionPage page_;
  std::string last_key_;
  std::optional<Time> last_modified_;
};

}  // namespace

Result<VersionPage> list_versions(const storage::Index& index, const ListVersionsRequest& request) {
  if (request.max > kPageMax) {
    return fail(Errc::kLimit, fmt::format("a page of {} versions is more than {}", request.max, kPageMax));
  }
  return VersionWalk(index, request).page();
}

}  // namespace hr::object
