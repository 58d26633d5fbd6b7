#include "wire/s3_operation.h"

#include "codec/header_field.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace hr::wire {
namespace {

using enum S3Op;

enum class Scope : std::uint8_t { kBucket, kObject };

struct Row {
  std::string_view sub_resource;
  Scope scope;
  std::string_view method;
  S3Op op;
};

constexpr Scope kB = Scope::kBucket;
constexpr Scope kO = Scope::kObject;

constexpr Row kRows[] = {
    {"abac", kB, "GET", kGetBucketAbac},
    {"abac", kB, "PUT", kPutBucketAbac},
    {"accelerate", kB, "GET", kGetBucketAccelerateConfiguration},
    {"accelerate", kB, "PUT", kPutBucketAccelerateConfiguration},
    {"acl", kB, "GET", kGetBucketAcl},
    {"acl", kB, "PUT", kPutBucketAcl},
    {"acl", kO, "GET", kGetObjectAcl},
    {"acl", kO, "PUT", kPutObjectAcl},
    {"analytics", kB, "DELETE", kDeleteBucketAnalyticsConfiguration},
    {"analytics", kB, "GET", kGetBucketAnalyticsConfiguration},
    {"analytics", kB, "PUT", kPutBucketAnalyticsConfiguration},
    {"attributes", kO, "GET", kGetObjectAttributes},
    {"cors", kB, "DELETE", kDeleteBucketCors},
    {"cors", kB, "GET", kGetBucketCors},
    {"cors", kB, "PUT", kPutBucketCors},
    {"delete", kB, "POST", kDeleteObjects},
    {"encryption", kB, "DELETE", kDeleteBucketEncryption},
    {"encryption", kB, "GET", kGetBucketEncryption},
    {"encryption", kB, "PUT", kPutBucketEncryption},
    {"encryption", kO, "PUT", kUpdateObjectEncryption},
    {"intelligent-tiering", kB, "DELETE", kDeleteBucketIntelligentTieringConfiguration},
    {"intelligent-tiering", kB, "GET", kGetBucketIntelligentTieringConfiguration},
    {"intelligent-tiering", kB, "PUT", kPutBucketIntelligentTieringConfiguration},
    {"inventory", kB, "DELETE", kDeleteBucketInventoryConfiguration},
    {"inventory", kB, "GET", kGetBucketInventoryConfiguration},
    {"inventory", kB, "PUT", kPutBucketInventoryConfiguration},
    {"legal-hold", kO, "GET", kGetObjectLegalHold},
    {"legal-hold", kO, "PUT", kPutObjectLegalHold},
    {"lifecycle", kB, "DELETE", kDeleteBucketLifecycle},
    {"lifecycle", kB, "GET", kGetBucketLifecycleConfiguration},
    {"lifecycle", kB, "PUT", kPutBucketLifecycleConfiguration},
    {"location", kB, "GET", kGetBucketLocation},
    {"logging", kB, "GET", kGetBucketLogging},
    {"logging", kB, "PUT", kPutBucketLogging},
    {"metadataConfiguration", kB, "DELETE", kDeleteBucketMetadataConfiguration},
    {"metadataConfiguration", kB, "GET", kGetBucketMetadataConfiguration},
    {"metadataConfiguration", kB, "POST", kCreateBucketMetadataConfiguration},
    {"metadataInventoryTable", kB, "PUT", kUpdateBucketMetadataInventoryTableConfiguration},
    {"metadataJournalTable", kB, "PUT", kUpdateBucketMetadataJournalTableConfiguration},
    {"metadataTable", kB, "DELETE", kDeleteBucketMetadataTableConfiguration},
    {"metadataTable", kB, "GET", kGetBucketMetadataTableConfiguration},
    {"metadataTable", kB, "POST", kCreateBucketMetadataTableConfiguration},
    {"metrics", kB, "DELETE", kDeleteBucketMetricsConfiguration},
    {"metrics", kB, "GET", kGetBucketMetricsConfiguration},
    {"metrics", kB, "PUT", kPutBucketMetricsConfiguration},
    {"notification", kB, "GET", kGetBucketNotificationConfiguration},
    {"notification", kB, "PUT", kPutBucketNotificationConfiguration},
    {"object-lock", kB, "GET", kGetObjectLockConfiguration},
    {"object-lock", kB, "PUT", kPutObjectLockConfiguration},
    {"ownershipControls", kB, "DELETE", kDeleteBucketOwnershipControls},
    {"ownershipControls", kB, "GET", kGetBucketOwnershipControls},
    {"ownershipControls", kB, "PUT", kPutBucketOwnershipControls},
    {"policy", kB, "DELETE", kDeleteBucketPolicy},
    {"policy", kB, "GET", kGetBucketPolicy},
    {"policy", kB, "PUT", kPutBucketPolicy},
    {"policyStatus", kB, "GET", kGetBucketPolicyStatus},
    {"publicAccessBlock", kB, "DELETE", kDeletePublicAccessBlock},
    {"publicAccessBlock", kB, "GET", kGetPublicAccessBlock},
    {"publicAccessBlock", kB, "PUT", kPutPublicAccessBlock},
    {"renameObject", kO, "PUT", kRenameObject},
    {"replication", kB, "DELETE", kDeleteBucketReplication},
    {"replication", kB, "GET", kGetBucketReplication},
    {"replication", kB, "PUT", kPutBucketReplication},
    {"requestPayment", kB, "GET", kGetBucketRequestPayment},
    {"requestPayment", kB, "PUT", kPutBucketRequestPayment},
    {"restore", kO, "POST", kRestoreObject},
    {"retention", kO, "GET", kGetObjectRetention},
    {"retention", kO, "PUT", kPutObjectRetention},
    {"select", kO, "POST", kSelectObjectContent},
    {"session", kB, "GET", kCreateSession},
    {"tagging", kB, "DELETE", kDeleteBucketTagging},
    {"tagging", kB, "GET", kGetBucketTagging},
    {"tagging", kB, "PUT", kPutBucketTagging},
    {"tagging", kO, "DELETE", kDeleteObjectTagging},
    {"tagging", kO, "GET", kGetObjectTagging},
    {"tagging", kO, "PUT", kPutObjectTagging},
    {"torrent", kO, "GET", kGetObjectTorrent},
    {"uploadId", kO, "DELETE", kAbortMultipartUpload},
    {"uploadId", kO, "GET", kListParts},
    {"uploadId", kO, "POST", kCompleteMultipartUpload},
    {"uploadId", kO, "PUT", kUploadPart},
    {"uploads", kB, "GET", kListMultipartUploads},
    {"uploads", kO, "POST", kCreateMultipartUpload},
    {"versioning", kB, "GET", kGetBucketVersioning},
    {"versioning", kB, "PUT", kPutBucketVersioning},
    {"versions", kB, "GET", kListObjectVersions},
    {"website", kB, "DELETE", kDeleteBucketWebsite},
    {"website", kB, "GET", kGetBucketWebsite},
    {"website", kB, "PUT", kPutBucketWebsite},
};

constexpr Row kPlain[] = {
    {"", kB, "DELETE", kDeleteBucket},   {"", kB, "GET", kListObjects},
    {"", kB, "HEAD", kHeadBucket},       {"", kB, "POST", kPostObject},
    {"", kB, "PUT", kCreateBucket},      {"", kB, "OPTIONS", kOptionsObject},
    {"", kO, "DELETE", kDeleteObject},   {"", kO, "GET", kGetObject},
    {"", kO, "HEAD", kHeadObject},       {"", kO, "PUT", kPutObject},
    {"", kO, "OPTIONS", kOptionsObject},
};

// Parameters that refine an operation and never choose one.
constexpr std::string_view kParameters[] = {
    "AWSAccessKeyId",
    "Expires",
    "Signature",
    "bucket-region",
    "content-md5",
    "content-type",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "id",
    "key-marker",
    "list-type",
    "marker",
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "prefix",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "select-type",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "versionId",
};

bool is_parameter(std::string_view name) {
  const Bytes lower = codec::lower_case(name);
  if (lower.starts_with("x-")) return true;  // X-Amz-*, x-id, and x-* of the user's own, which S3 ignores
  if (lower == "content-type" || lower == "content-md5") return true;  // of V2 presigned URLs
  return std::ranges::find(kParameters, name) != std::end(kParameters);
}

bool is_sub_resource(std::string_view name) {
  return std::ranges::any_of(kRows, [&](const Row& row) { return row.sub_resource == name; });
}

std::unexpected<S3Error> method_not_allowed(std::string_view method, std::string_view resource) {
  return s3_fail(S3Code::kMethodNotAllowed, {},
                 {{"Method", std::string(method)}, {"ResourceType", std::string(resource)}});
}

// The one sub-resource of the query; empty when there is none.
S3Result<std::string_view> sub_resource_of(const S3Route& request) {
  std::string_view found;
  const bool reads = request.method == "GET" || request.method == "HEAD";
  for (const auto& [name, value] : request.query) {
    if (is_sub_resource(name)) {
      if (!found.empty() && found != name) {
        return s3_bad_argument("ResourceType", name,
                               fmt::format("Conflicting query string parameters: {}, {}", found, name));
      }
      found = name;
    } else if (!is_parameter(name) && (!reads || value.empty())) {
      return s3_fail(S3Code::kNotImplemented,
                     fmt::format("The query parameter {} is not one this server implements.", name),
                     {{"ArgumentName", name}});
    }
  }
  return found;
}

const Row* find_row(std::span<const Row> rows, std::string_view sub, Scope scope, std::string_view method) {
  const auto at = std::ranges::find_if(rows, [&](const Row& row) {
    return row.sub_resource == sub && row.scope == scope && row.method == method;
  });
  return at == rows.end() ? nullptr : &*at;
}

// The four configurations that come by id or as a list.
S3Op without_id(S3Op op) {
  switch (op) {
    case kGetBucketAnalyticsConfiguration:
      return kListBucketAnalyticsConfigurations;
    case kGetBucketIntelligentTieringConfiguration:
      return kListBucketIntelligentTieringConfigurations;
    case kGetBucketInventoryConfiguration:
      return kListBucketInventoryConfigurations;
    case kGetBucketMetricsConfiguration:
      return kListBucketMetricsConfigurations;
    default:
      return op;
  }
}

S3Result<S3Op> refine(const S3Route& request, S3Op op) {
  if (op == kPutObject && request.has_copy_source) return kCopyObject;
  if (op == kUploadPart && request.has_copy_source) return kUploadPartCopy;
  if (op == kListObjects) {
    const Bytes* type = codec::find(request.query, "list-type");
    if (!type) return op;
    if (*type != "2")
      return s3_bad_argument("list-type", *type, "Invalid List Type specified in List request");
    return kListObjectsV2;
  }
  if (!codec::find(request.query, "id")) return without_id(op);
  return op;
}

bool takes_version(S3Op op) {
  constexpr S3Op kTakers[] = {kGetObject,           kHeadObject,          kDeleteObject,
                              kGetObjectAcl,        kPutObjectAcl,        kGetObjectTagging,
                              kPutObjectTagging,    kDeleteObjectTagging, kGetObjectLegalHold,
                              kPutObjectLegalHold,  kGetObjectRetention,  kPutObjectRetention,
                              kGetObjectAttributes, kRestoreObject,       kUpdateObjectEncryption};
  return std::ranges::find(kTakers, op) != std::end(kTakers);
}

S3Result<S3Op> check_parameters(const S3Route& request, S3Op op) {
  const Bytes* version = codec::find(request.query, "versionId");
  if (version && !takes_version(op)) {
    return s3_bad_argument("versionId", *version, "This operation does not accept a version-id.");
  }
  const Bytes* part = codec::find(request.query, "partNumber");
  if (part && (op == kPutObject || op == kCopyObject || op == kDeleteObject)) {
    return s3_bad_argument("partNumber", *part, "This operation does not accept a part number.");
  }
  return op;
}

}  // namespace

std::string_view to_string(S3Op op) {
  constexpr std::string_view kNames[] = {
#define X(name) #name,
      HR_S3_OPERATIONS(X)
#undef X
  };
  return kNames[static_cast<std::size_t>(op)];
}

bool is_supported(S3Op op) {
  constexpr S3Op kSupported[] = {kListBuckets,
                                 kCreateBucket,
                                 kHeadBucket,
                                 kDeleteBucket,
                                 kGetBucketLocation,
                                 kPutObject,
                                 kPostObject,
                                 kGetObject,
                                 kHeadObject,
                                 kDeleteObject,
                                 kDeleteObjects,
                                 kCreateMultipartUpload,
                                 kUploadPart,
                                 kListParts,
                                 kListMultipartUploads,
                                 kCompleteMultipartUpload,
                                 kAbortMultipartUpload,
                                 kCopyObject,
                                 kUploadPartCopy,
                                 kGetObjectAttributes,
                                 kListObjects,
                                 kListObjectsV2,
                                 kListObjectVersions,
                                 kGetBucketAcl,
                                 kGetObjectAcl,
                                 kGetBucketVersioning,
                                 kPutBucketVersioning,
                                 kPutObjectTagging,
                                 kGetObjectTagging,
                                 kDeleteObjectTagging,
                                 kPutBucketTagging,
                                 kGetBucketTagging,
                                 kDeleteBucketTagging,
                                 kPutBucketPolicy,
                                 kGetBucketPolicy,
                                 kDeleteBucketPolicy,
                                 kGetBucketPolicyStatus,
                                 kPutPublicAccessBlock,
                                 kGetPublicAccessBlock,
                                 kDeletePublicAccessBlock,
                                 kPutBucketOwnershipControls,
                                 kGetBucketOwnershipControls,
                                 kDeleteBucketOwnershipControls,
                                 kPutBucketLifecycleConfiguration,
                                 kGetBucketLifecycleConfiguration,
                                 kDeleteBucketLifecycle,
                                 kPutBucketCors,
                                 kGetBucketCors,
                                 kDeleteBucketCors,
                                 kGetBucketNotificationConfiguration,
                                 kPutBucketNotificationConfiguration};
  return std::ranges::find(kSupported, op) != std::end(kSupported);
}

S3Result<S3Op> route(const S3Route& request) {
  HR_ASSIGN(const std::string_view sub, sub_resource_of(request));
  if (!request.has_bucket) {
    if (request.method != "GET" || !sub.empty()) return method_not_allowed(request.method, "SERVICE");
    return kListBuckets;
  }
  const Scope scope = request.has_key ? Scope::kObject : Scope::kBucket;
  const Row* row = find_row(sub.empty() ? std::span<const Row>(kPlain) : std::span<const Row>(kRows), sub,
                            scope, request.method);
  if (!row)
    return method_not_allowed(request.method, sub.empty() ? (request.has_key ? "OBJECT" : "BUCKET") : sub);
  HR_ASSIGN(const S3Op op, refine(request, row->op));
  return check_parameters(request, op);
}

}  // namespace hr::wire
