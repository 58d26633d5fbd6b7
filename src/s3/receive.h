// Brings the body of a PutObject through an Upload: small ones on the reactor, larger ones in steps on the
// pool while the next step is being read. Memory is bounded by two steps whatever the body's size.
#pragma once

#include "net/runtime.h"
#include "s3/request.h"
#include "s3/upload.h"

namespace hr::s3 {

// What the request promises about its body, before a byte of it is read: MissingContentLength,
// EntityTooLarge, InvalidDigest, ...
wire::S3Result<UploadSpec> upload_spec(const Services& services, const Request& request);

// SlowDown when too many large uploads are going on; IncompleteBody, RequestTimeout when the peer fails.
net::Task<wire::S3Result<Uploaded>> receive_upload(Services& services, net::Gate& steps, Request& request,
                                                   UploadSpec spec);

// A body whose length nobody has announced: spec.open_ended. EntityTooLarge, EntityTooSmall.
net::Task<wire::S3Result<Uploaded>> receive_open_ended(Services& services, net::Gate& steps,
                                                       net::RequestBody& body, UploadSpec spec);

}  // namespace hr::s3
