// Requests of S3: lines of method, target, host and headers, an empty line, and a document. A key that is
// accepted must come back from its own encoding, and rules from the document they are kept in.
#include "base/check.h"
#include "codec/base64.h"
#include "codec/header_field.h"
#include "codec/uri.h"
#include "wire/s3_access.h"
#include "wire/s3_cors.h"
#include "wire/s3_headers.h"
#include "wire/s3_lifecycle.h"
#include "wire/s3_operation.h"
#include "wire/s3_post.h"
#include "wire/s3_requests.h"
#include "wire/s3_tagging.h"
#include "wire/s3_target.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using namespace hr::wire;

hr::ByteView line_of(hr::ByteView& text) {
  const std::size_t end = text.find('\n');
  const hr::ByteView line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

void documents(hr::ByteView xml) {
  static_cast<void>(parse_delete(xml));
  static_cast<void>(parse_create_bucket(xml));
  static_cast<void>(parse_notification(xml));
  static_cast<void>(parse_access_block(xml));
  static_cast<void>(check_ownership(xml));
  static_cast<void>(parse_tagging(xml, kS3ObjectTagsMax));
  static_cast<void>(parse_post_policy(hr::codec::base64_encode(xml)));
  if (const auto rules = parse_cors(xml)) HR_CHECK(parse_cors(write_cors(*rules)) == rules);
  if (const auto rules = parse_lifecycle(xml)) HR_CHECK(parse_lifecycle(write_lifecycle(*rules)) == rules);
}

void headers(S3Op op, const std::vector<hr::codec::HeaderField>& fields) {
  static_cast<void>(refuse_unsupported(op, fields));
  static_cast<void>(judge_read(fields, "\"d41d8cd98f00b204e9800998ecf8427e\"", hr::Time{}));
  static_cast<void>(parse_write_condition(fields));
  static_cast<void>(parse_object_headers(fields));
  static_cast<void>(parse_body_checks(fields));
  for (const auto& field : fields) static_cast<void>(parse_range(field.value, 1'000));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hr::ByteView text(reinterpret_cast<const char*>(data), size);
  const hr::ByteView method = line_of(text);
  const hr::ByteView target_text = line_of(text);
  const hr::ByteView host = line_of(text);
  const std::vector<std::string> domains{"localhost"};
  std::vector<hr::codec::HeaderField> fields;
  while (!text.empty()) {
    const hr::ByteView line = line_of(text);
    const std::size_t colon = line.find(':');
    if (colon == line.npos) break;
    fields.push_back({line.substr(0, colon), line.substr(colon + 1)});
  }
  documents(text);
  const auto target = parse_s3_target(target_text, host, domains);
  if (!target) return 0;
  static_cast<void>(check_bucket_name(target->bucket));
  if (!target->key.empty()) {
    const auto again =
        parse_s3_target("/bucket/" + hr::codec::percent_encode(target->key), "127.0.0.1", domains);
    HR_CHECK(again && again->key == target->key);
  }
  const auto op = route({.method = method,
                         .has_bucket = !target->bucket.empty(),
                         .has_key = !target->key.empty(),
                         .query = target->query,
                         .has_copy_source = false});
  if (op) headers(*op, fields);
  return 0;
}
