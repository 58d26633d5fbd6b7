#include "object/listing.h"

#include "object/coding.h"
#include "object/listing_page.h"

#include <fmt/format.h>

#include <string_view>

namespace hr::object {
namespace {

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

// Likewise in kUploads, where a NUL and the upload's id follow the key.
Bytes first_upload(const ListUploadsRequest& request) {
  Bytes begin = object_key(request.bucket, request.prefix);
  if (request.after.empty()) return begin;
  if (request.after_upload != UploadId{}) {
    const UploadId next{static_cast<std::uint64_t>(request.after_upload) + 1};
    return std::max(begin, upload_key(request.bucket, request.after, next));
  }
  if (const auto prefix = common_prefix(request, request.after)) {
    return key_after_prefix(object_key(request.bucket, *prefix));
  }
  Bytes next = object_key(request.bucket, request.after);
  next.push_back('\x01');  // behind the NUL of this key, and no key holds anything lower
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
  if (request.delimiter.empty()) page.objects.reserve(request.max);
  const auto cursor = index.cursor(storage::Table::kObjects);
  bool ends_with_prefix = false;
  HR_TRY(cursor->seek(first));
  while (cursor->valid() && cursor->key().starts_with(range)) {
    if (page.objects.size() + page.common_prefixes.size() == request.max) {
      page.truncated = true;
      page.next_after = ends_with_prefix ? page.common_prefixes.back() : page.objects.back().key;
      return page;
    }
    const std::string_view key = key_in_bucket(cursor->key());
    const auto prefix = common_prefix(request, key);
    ends_with_prefix = prefix.has_value();
    if (prefix) {
      page.common_prefixes.emplace_back(*prefix);
      const Bytes behind = key_after_prefix(object_key(request.bucket, page.common_prefixes.back()));
      if (behind.empty()) break;
      HR_TRY(cursor->seek(behind));
      continue;
    }
    HR_ASSIGN(Outline object, decode_outline(cursor->value()));
    page.objects.push_back({std::string(key), std::move(object)});
    HR_TRY(cursor->next());
  }
  return page;
}

Result<UploadPage> list_uploads(const storage::Index& index, const ListUploadsRequest& request) {
  if (request.max > kPageMax) {
    return fail(Errc::kLimit, fmt::format("a page of {} uploads is more than {}", request.max, kPageMax));
  }
  UploadPage page;
  if (request.max == 0 || request.prefix.contains('\0')) return page;  // no key has a NUL
  const Bytes range = object_key(request.bucket, request.prefix);
  const Bytes first = first_upload(request);
  if (first.empty()) return page;
  const auto cursor = index.cursor(storage::Table::kUploads);
  HR_TRY(cursor->seek(first));
  while (cursor->valid() && cursor->key().starts_with(range)) {
    if (page.uploads.size() + page.common_prefixes.size() == request.max) {
      page.truncated = true;
      return page;
    }
    HR_ASSIGN(UploadName name, decode_upload_key(cursor->key()));
    if (const auto prefix = common_prefix(request, name.key)) {
      page.next_after = *prefix;
      page.next_after_upload = {};
      page.common_prefixes.emplace_back(*prefix);
      const Bytes behind = key_after_prefix(object_key(request.bucket, *prefix));
      if (behind.empty()) break;
      HR_TRY(cursor->seek(behind));
      continue;
    }
    HR_ASSIGN(Upload upload, decode_upload(cursor->value()));
    page.next_after = name.key;
    page.next_after_upload = name.upload;
    page.uploads.push_back({std::move(name.key), std::move(upload)});
    HR_TRY(cursor->next());
  }
  page.next_after.clear();
  page.next_after_upload = {};
  return page;
}

Result<PartPage> list_parts(const storage::Index& index, UploadId upload, std::uint32_t after,
                            std::size_t max) {
  PartPage page;
  if (after >= kPartNumberMax) return page;
  const Bytes range = parts_prefix(upload);
  const auto cursor = index.cursor(storage::Table::kParts);
  for (Status at = cursor->seek(part_key(upload, after + 1));; at = cursor->next()) {
    HR_TRY(std::move(at));
    if (!cursor->valid() || !cursor->key().starts_with(range)) return page;
    if (page.parts.size() == max) {
      page.truncated = max > 0;
      return page;
    }
    HR_ASSIGN(const std::uint32_t number, part_number(cursor->key()));
    HR_ASSIGN(Part part, decode_part(cursor->value()));
    page.parts.push_back({number, std::move(part)});
  }
}

Result<bool> bucket_is_empty(const storage::Index& index, BucketId bucket) {
  constexpr storage::Table kTables[] = {storage::Table::kObjects, storage::Table::kVersions};
  const Bytes range = object_key(bucket, "");
  for (const auto& cursor : index.cursors(kTables)) {
    HR_TRY(cursor->seek(range));
    if (cursor->valid() && cursor->key().starts_with(range)) return false;
  }
  return true;
}

}  // namespace hr::object
