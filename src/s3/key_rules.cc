#include "s3/key_rules.h"

#include "wire/key_rules.h"
#include "wire/s3_headers.h"
#include "wire/s3_target.h"

namespace hr::s3 {
namespace {

using wire::Access;
using wire::Granted;
using wire::S3Op;

bool allowed(const Request& request) {
  const wire::KeyRules* rules = request.identity.rules;
  const auto& bucket = request.target.bucket;
  switch (request.op) {
    case S3Op::kListBuckets:
      return true;  // it shows those alone that the key may see
    case S3Op::kHeadBucket:
    case S3Op::kGetBucketLocation:
      return wire::may_see(rules, Granted::kBucket, bucket);
    default:
      return wire::may(rules, Granted::kBucket, bucket, wire::access_of(request.op));
  }
}

}  // namespace

wire::S3Result<void> check_key_rules(const Request& request) {
  if (request.identity.rules == nullptr) return {};
  if (!allowed(request)) return wire::s3_fail(wire::S3Code::kAccessDenied);
  const auto source = wire::header(request.headers, "x-amz-copy-source");
  const bool copies = request.op == S3Op::kCopyObject || request.op == S3Op::kUploadPartCopy;
  if (!copies || !source) return {};
  HR_ASSIGN(const auto from, wire::parse_copy_source(*source));
  if (wire::may(request.identity.rules, Granted::kBucket, from.bucket, Access::kRead)) return {};
  return wire::s3_fail(wire::S3Code::kAccessDenied);
}

}  // namespace hr::s3
