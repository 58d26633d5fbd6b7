// What an object becomes of the parts that a request lists: its length, ETag, checksum and manifest; or why
// the list does not fit the parts that are there. Pure.
#pragma once

#include "codec/header_field.h"
#include "object/listing.h"
#include "object/object.h"
#include "wire/s3_error.h"
#include "wire/s3_multipart.h"

#include <optional>
#include <span>
#include <string>

namespace hr::s3 {

struct Assembled {
  std::uint64_t bytes = 0;
  std::string etag;  // MD5 of the parts' MD5s, and how many
  std::optional<object::Checksum> checksum;
  object::Manifest manifest;
};

// `there`: all parts of the upload, ascending. InvalidPart, EntityTooSmall, InvalidRequest, BadDigest.
wire::S3Result<Assembled> assemble(const object::Upload& upload, std::span<const object::ListedPart> there,
                                   std::span<const wire::S3CompletedPart> listed,
                                   codec::HeaderFields headers);

// As the client's list has it; empty where an ETag is no MD5.
std::string etag_of_parts(std::span<const wire::S3CompletedPart> listed);

}  // namespace hr::s3
