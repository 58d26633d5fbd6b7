// Reading objects: finding one with its body, and the operations that answer with it. An object is read again
// when it changes meanwhile, a bounded number of times.
#pragma once

#include "net/http.h"
#include "object/object.h"
#include "os/disk.h"
#include "s3/request.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hr::s3 {

struct Found {
  object::Object object;
  std::string inline_body;
  std::shared_ptr<os::File> file;            // shared with the answer that sends it
  std::optional<object::Manifest> manifest;  // of one that was uploaded in parts
};

enum class Want : bool { kHead, kBody };

// No version named: the key's object. NoSuchKey, NoSuchVersion; MethodNotAllowed where a delete marker is
// named.
net::Task<wire::S3Result<Found>> find_object(const Services& services, object::BucketId bucket,
                                             const std::string& key, Want want,
                                             std::optional<object::VersionName> version = {});

std::string quoted(std::string_view etag);
void add_checksum(net::Response& response, const std::optional<object::Checksum>& checksum);

AnswerTask get_object(Services& services, Request& request);  // and HeadObject
AnswerTask get_object_attributes(Services& services, Request& request);
AnswerTask get_object_acl(Services& services, Request& request);

}  // namespace hr::s3
