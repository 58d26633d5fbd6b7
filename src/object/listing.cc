#include "object/listing.h"

#include "object/coding.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

namespace hr::object {
namespace {

constexpr std::size_t kPageMax = 1000;

// The common prefix that `key` falls under, delimiter included; none: the key is listed by itself.
std::optional<std::string_view> common_prefix(const ListRequest& request, std::string_view key) {
  if (request.delimiter.empty() || !key.starts_with(request.prefix)) return std::nullopt;
  const std::size_t at = key.find(request.delimiter, request.prefix.size());
  if (at == std::string_view::npos) return std::nullopt;
  return key.substr(0, at + request.delimiter.size());
}

// The first index key that may be on the page; empty: none can be.
Bytes first_key(const ListRequest& request) {
  Bytes begin = object_key(request.bucket, request.prefix);
  if (request.after.empty()) return begin;
  // A page that ended with a common prefix, or inside one, continues behind all its keys.
  if (const auto prefix = common_prefix(request, request.after)) {
    return key_after_prefix(object_key(request.bucket, *prefix));
  }
  Bytes next = object_key(request.bucket, request.after);
  next.push_back('\0');
  return std::max(begin, next);
}

}  // namespace

Result<ListPage> list_objects(const storage::Index& index, const ListRequest& request) {
  if (request.max > kPageMax) {
    return fail(Errc::kLimit, fmt::format("a page of {} keys is more than {}", request.max, kPageMax));
  }
  ListPage page;
  if (request.max == 0) return page;
  const Bytes range = object_key(request.bucket, request.prefix);
  const Bytes first = first_key(request);
  if (first.empty()) return page;
  const auto cursor = index.cursor(storage::Table::kObjects);
  HR_TRY(cursor->seek(first));
  while (cursor->valid() && cursor->key().starts_with(range)) {
    if (page.objects.size() + page.common_prefixes.size() == request.max) {
      page.truncated = true;
      return page;
    }
    const std::string key(key_in_bucket(cursor->key()));
    if (const auto prefix = common_prefix(request, key)) {
      page.next_after = *prefix;
      page.common_prefixes.emplace_back(*prefix);
      const Bytes behind = key_after_prefix(object_key(request.bucket, *prefix));
      if (behind.empty()) break;
      HR_TRY(cursor->seek(behind));
      continue;
    }
    HR_ASSIGN(Object object, decode_object(cursor->value()));
    page.next_after = key;
    page.objects.push_back({key, std::move(object)});
    HR_TRY(cursor->next());
  }
  page.next_after.clear();
  return page;
}

Result<bool> bucket_is_empty(const storage::Index& index, BucketId bucket) {
  const Bytes range = object_key(bucket, "");
  const auto cursor = index.cursor(storage::Table::kObjects);
  HR_TRY(cursor->seek(range));
  return !cursor->valid() || !cursor->key().starts_with(range);
}

}  // namespace hr::object
