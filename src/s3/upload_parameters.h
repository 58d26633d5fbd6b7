// What the requests about one multipart upload share: which it is, and what is known of it.
#pragma once

#include "object/engine.h"
#include "s3/request.h"

#include <string>
#include <string_view>

namespace hr::s3 {

std::string parameter(const Request& request, std::string_view name);  // of the query; empty: none
std::string shown(object::UploadId id);

struct AskedUpload {
  object::UploadId id{};
  const object::OpenUpload* open = nullptr;  // of the engine, until the next co_await
};
// NoSuchUpload: there is none of that id, or it is of another key.
wire::S3Result<AskedUpload> asked_upload(Services& services, const Request& request, object::BucketId bucket);

net::Task<wire::S3Result<object::Upload>> read_upload(const Services& services, object::BucketId bucket,
                                                      const std::string& key, object::UploadId id);

}  // namespace hr::s3
