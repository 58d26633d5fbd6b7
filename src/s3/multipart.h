// Multipart uploads: handlers of S3Front; each answers with a response or one of S3's errors. A part is a
// durable blob before it is answered; completing makes an object of the parts without copying a byte.
#pragma once

#include "net/runtime.h"
#include "s3/request.h"
#include "s3/upload.h"

#include <cstdint>

namespace hr::s3 {

AnswerTask create_multipart_upload(Services& services, Request& request);
AnswerTask upload_part(Services& services, net::Gate& steps, Request& request);
AnswerTask list_parts(Services& services, Request& request);
AnswerTask list_multipart_uploads(Services& services, Request& request);
AnswerTask complete_multipart_upload(Services& services, Request& request);
AnswerTask abort_multipart_upload(Services& services, Request& request);

// Adds a part whose bytes are durable to its upload, and says when; or removes them again.
net::Task<wire::S3Result<Time>> write_part(Services& services, const Request& request,
                                           object::UploadId upload, std::uint32_t number, std::uint64_t bytes,
                                           const Uploaded& uploaded);

// Closes a few of the uploads that nobody has completed within Limits::upload_age_max.
void close_abandoned_uploads(Services& services);

}  // namespace hr::s3
