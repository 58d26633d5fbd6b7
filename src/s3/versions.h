// Versions of objects: which one a request names, how an answer names it, and the requests about them alone.
// Handlers of S3Front; each answers with a response or one of S3's errors.
#pragma once

#include "object/engine.h"
#include "s3/request.h"

#include <optional>
#include <string>

namespace hr::s3 {

// The id of a version: its own, or "null".
std::string version_id(const object::Object& object);

// The version that a text names. InvalidArgument (of `argument`): no id of this server's.
wire::S3Result<object::VersionName> parse_version_name(std::string_view argument, const std::string& text);
// The versionId of the query; none: the key's object.
wire::S3Result<std::optional<object::VersionName>> asked_version(const Request& request);

// One version, or delete marker, of the index, and where it stands; none: it is not there. No name: the key's
// object.
struct VersionRow {
  storage::Table table = storage::Table::kObjects;
  Bytes key;
  Bytes value;
  object::Object object;
};
net::Task<wire::S3Result<std::optional<VersionRow>>> read_row(
    const Services& services, object::BucketId bucket, const std::string& key,
    const std::optional<object::VersionName>& version);
net::Task<wire::S3Result<std::optional<object::Object>>> read_version(
    const Services& services, object::BucketId bucket, const std::string& key,
    const std::optional<object::VersionName>& version = std::nullopt);

// What moves when that changes: taken before it is read.
object::Watch watch_version(Services& services, object::BucketId bucket, const std::string& key,
                            const std::optional<object::VersionName>& version);

// x-amz-version-id of an object that was read, where its bucket has versions.
void add_version(net::Response& response, const object::Bucket* bucket, const object::Object& object);

// NoSuchKey, with what is told of a delete marker if that is why.
net::Task<wire::S3Error> no_such_key(const Services& services, object::BucketId bucket,
                                     const std::string& key);
// MethodNotAllowed: a delete marker was named.
wire::S3Error is_delete_marker(const object::Object& marker);
wire::S3Error no_such_version(const std::string& key, const object::VersionName& version);

Answer get_bucket_versioning(Services& services, const Request& request);
AnswerTask put_bucket_versioning(Services& services, Request& request);
AnswerTask list_object_versions(Services& services, Request& request);

}  // namespace hr::s3
