// GetObjectAttributes: what is known of an object without its bytes.
#include "codec/time_text.h"
#include "s3/read.h"
#include "s3/versions.h"
#include "wire/s3_documents.h"
#include "wire/s3_headers.h"
#include "wire/s3_multipart.h"

#include <algorithm>
#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Result;

constexpr std::size_t kPartsPageMax = 1000;

struct Asked {
  bool etag = false, checksum = false, parts = false, storage_class = false, bytes = false;
  std::size_t max_parts = kPartsPageMax;
  std::uint32_t marker = 0;
};

S3Result<void> take_name(std::string_view name, Asked& asked) {
  const std::pair<std::string_view, bool*> known[] = {{"ETag", &asked.etag},
                                                      {"Checksum", &asked.checksum},
                                                      {"ObjectParts", &asked.parts},
                                                      {"StorageClass", &asked.storage_class},
                                                      {"ObjectSize", &asked.bytes}};
  for (const auto& [text, flag] : known) {
    if (name != text) continue;
    *flag = true;
    return {};
  }
  return wire::s3_bad_argument("x-amz-object-attributes", name, "Invalid attribute name specified.");
}

// A list in one header, or a header for each.
S3Result<void> take_names(std::string_view list, Asked& asked) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    std::string_view name = list.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    HR_TRY(take_name(name, asked));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
  return {};
}

S3Result<Asked> parse_asked(const Request& request) {
  Asked out;
  bool any = false;
  for (const auto& [name, value] : request.headers) {
    if (codec::lower_case(name) != "x-amz-object-attributes") continue;
    HR_TRY(take_names(value, out));
    any = any || !value.empty();
  }
  if (!any) {
    return wire::s3_bad_argument(
        "x-amz-object-attributes", "",
        "The x-amz-object-attributes header specifying the attributes to be retrieved "
        "is either missing or empty");
  }
  if (const auto max = wire::header(request.headers, "x-amz-max-parts")) {
    HR_ASSIGN(const std::uint64_t value, wire::parse_length("x-amz-max-parts", *max));
    out.max_parts = static_cast<std::size_t>(std::min<std::uint64_t>(value, kPartsPageMax));
  }
  if (const auto marker = wire::header(request.headers, "x-amz-part-number-marker")) {
    HR_ASSIGN(const std::uint64_t value, wire::parse_length("x-amz-part-number-marker", *marker));
    out.marker = static_cast<std::uint32_t>(std::min<std::uint64_t>(value, wire::kS3PartsMax));
  }
  return out;
}

// Parts are listed where they have checksums of their own; how many there are is always told.
wire::S3PartsAttributes parts_of(const object::Manifest& manifest, const Asked& asked) {
  wire::S3PartsAttributes out{.count = static_cast<std::uint32_t>(manifest.size()),
                              .marker = asked.marker,
                              .max_parts = asked.max_parts};
  if (manifest.front().checksum.empty()) return out;
  for (std::size_t i = asked.marker; i < manifest.size(); ++i) {
    out.truncated = out.parts.size() == asked.max_parts;
    if (out.truncated) break;
    out.parts.push_back({.number = static_cast<std::uint32_t>(i + 1),
                         .bytes = manifest[i].bytes,
                         .checksum = manifest[i].checksum});
  }
  return out;
}

wire::S3Attributes attributes_of(const Found& found, const Asked& asked) {
  const object::Object& object = found.object;
  wire::S3Attributes out{.storage_class = asked.storage_class};
  if (asked.etag) out.etag = object.etag;
  if (asked.bytes) out.bytes = object.bytes;
  if (object.checksum) {
    out.checksum_algorithm = object.checksum->algorithm;
    out.checksum_composite = object.checksum->composite();
    if (asked.checksum) out.checksum = object.checksum->value.substr(0, object.checksum->value.find('-'));
  }
  if (asked.parts && found.manifest) out.parts = parts_of(*found.manifest, asked);
  return out;
}

}  // namespace

AnswerTask get_object_attributes(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto version = asked_version(request);
  if (!version) co_return std::unexpected(version.error());
  const auto asked = parse_asked(request);
  if (!asked) co_return std::unexpected(asked.error());
  const Want want = asked->parts ? Want::kBody : Want::kHead;
  const auto found = co_await find_object(services, (*bucket)->id, request.target.key, want, *version);
  if (!found) co_return std::unexpected(found.error());
  net::Response response = xml_response(wire::write_attributes(attributes_of(*found, *asked)));
  response.headers.add("Last-Modified", codec::http_date(found->object.modified));
  add_version(response, services.store.objects().bucket(request.target.bucket), found->object);
  co_return response;
}

}  // namespace hr::s3
