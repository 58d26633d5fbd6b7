// Every operation of S3 by name, and which one a request asks for. The table knows more than is supported, so
// that what is not done here is refused under its own name and never taken for something else: PUT
// ?versioning is PutBucketVersioning, not CreateBucket. Pure; the errors are what the client is told.
#pragma once

#include "base/result.h"
#include "codec/uri.h"
#include "wire/s3_error.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace hr::wire {

// clang-format off
#define HR_S3_OPERATIONS(X) \
  X(AbortMultipartUpload) X(CompleteMultipartUpload) X(CopyObject) X(CreateBucket) \
  X(CreateBucketMetadataConfiguration) X(CreateBucketMetadataTableConfiguration) \
  X(CreateMultipartUpload) X(CreateSession) X(DeleteBucket) X(DeleteBucketAnalyticsConfiguration) \
  X(DeleteBucketCors) X(DeleteBucketEncryption) X(DeleteBucketIntelligentTieringConfiguration) \
  X(DeleteBucketInventoryConfiguration) X(DeleteBucketLifecycle) X(DeleteBucketMetadataConfiguration) \
  X(DeleteBucketMetadataTableConfiguration) X(DeleteBucketMetricsConfiguration) \
  X(DeleteBucketOwnershipControls) X(DeleteBucketPolicy) X(DeleteBucketReplication) \
  X(DeleteBucketTagging) X(DeleteBucketWebsite) X(DeleteObject) X(DeleteObjectTagging) X(DeleteObjects) \
  X(DeletePublicAccessBlock) X(GetBucketAbac) X(GetBucketAccelerateConfiguration) X(GetBucketAcl) \
  X(GetBucketAnalyticsConfiguration) X(GetBucketCors) X(GetBucketEncryption) \
  X(GetBucketIntelligentTieringConfiguration) X(GetBucketInventoryConfiguration) \
  X(GetBucketLifecycleConfiguration) X(GetBucketLocation) X(GetBucketLogging) \
  X(GetBucketMetadataConfiguration) X(GetBucketMetadataTableConfiguration) \
  X(GetBucketMetricsConfiguration) X(GetBucketNotificationConfiguration) X(GetBucketOwnershipControls) \
  X(GetBucketPolicy) X(GetBucketPolicyStatus) X(GetBucketReplication) X(GetBucketRequestPayment) \
  X(GetBucketTagging) X(GetBucketVersioning) X(GetBucketWebsite) X(GetObject) X(GetObjectAcl) \
  X(GetObjectAttributes) X(GetObjectLegalHold) X(GetObjectLockConfiguration) X(GetObjectRetention) \
  X(GetObjectTagging) X(GetObjectTorrent) X(GetPublicAccessBlock) X(HeadBucket) X(HeadObject) \
  X(ListBucketAnalyticsConfigurations) X(ListBucketIntelligentTieringConfigurations) \
  X(ListBucketInventoryConfigurations) X(ListBucketMetricsConfigurations) X(ListBuckets) \
  X(ListMultipartUploads) X(ListObjectVersions) X(ListObjects) X(ListObjectsV2) X(ListParts) \
  X(OptionsObject) X(PostObject) X(PutBucketAbac) X(PutBucketAccelerateConfiguration) X(PutBucketAcl) \
  X(PutBucketAnalyticsConfiguration) X(PutBucketCors) X(PutBucketEncryption) \
  X(PutBucketIntelligentTieringConfiguration) X(PutBucketInventoryConfiguration) \
  X(PutBucketLifecycleConfiguration) X(PutBucketLogging) X(PutBucketMetricsConfiguration) \
  X(PutBucketNotificationConfiguration) X(PutBucketOwnershipControls) X(PutBucketPolicy) \
  X(PutBucketReplication) X(PutBucketRequestPayment) X(PutBucketTagging) X(PutBucketVersioning) \
  X(PutBucketWebsite) X(PutObject) X(PutObjectAcl) X(PutObjectLegalHold) X(PutObjectLockConfiguration) \
  X(PutObjectRetention) X(PutObjectTagging) X(PutPublicAccessBlock) X(RenameObject) X(RestoreObject) \
  X(SelectObjectContent) X(UpdateBucketMetadataInventoryTableConfiguration) \
  X(UpdateBucketMetadataJournalTableConfiguration) X(UpdateObjectEncryption) X(UploadPart) \
  X(UploadPartCopy)
// clang-format on

enum class S3Op : std::uint8_t {
#define X(name) k##name,
  HR_S3_OPERATIONS(X)
#undef X
};

#define X(name) +1
inline constexpr std::size_t kS3Ops = 0 HR_S3_OPERATIONS(X);
#undef X

std::string_view to_string(S3Op op);  // "PutBucketVersioning"
bool is_supported(S3Op op);           // the others answer NotImplemented

// What the router looks at.
struct S3Route {
  std::string_view method;
  bool has_bucket = false;
  bool has_key = false;
  const codec::Pairs& query;
  bool has_copy_source = false;  // the header x-amz-copy-source is there
};

// MethodNotAllowed, NotImplemented (a sub-resource nobody knows), InvalidArgument (two of them at once, or a
// parameter the operation does not take).
S3Result<S3Op> route(const S3Route& request);

}  // namespace hr::wire
