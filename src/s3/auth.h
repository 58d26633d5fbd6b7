// Authorisation of S3 requests: SigV4 in header or query, V2 in the query, unsigned requests of trusted
// peers; and the names AWS has for each way it can fail. One per reactor. Nothing here knows whether a bucket
// exists.
#pragma once

#include "base/time.h"
#include "codec/sigv4.h"
#include "s3/request.h"
#include "wire/auth.h"
#include "wire/s3_error.h"
#include "wire/s3_post.h"

#include <string>

namespace hr::s3 {

class Authorizer {
 public:
  // `keys` must outlive this.
  Authorizer(const wire::KeyRing& keys, wire::TrustedPeers trusted, std::string region);

  // Fills in identity, payload form and body hash of the request.
  wire::S3Result<void> authorize(Request& request, std::span<const codec::HeaderField> sent, Time wall);

  // The same by the fields of a POST form: V4 or V2 over its policy. Who signs nothing is nobody.
  wire::S3Result<void> authorize_form(Request& request, const wire::S3FormFields& fields, Time wall) const;

 private:
  wire::S3Result<void> by_v4_form(Request& request, const wire::S3FormFields& fields, Time wall) const;
  wire::S3Result<void> by_v2_form(Request& request, const wire::S3FormFields& fields) const;
  wire::S3Result<void> accept_form(Request& request, const wire::AccessKey* key, bool good) const;
  std::expected<void, codec::AuthError> by_v2_url(Request& request, std::span<const codec::HeaderField> sent,
                                                  Time wall) const;
  std::expected<void, codec::AuthError> by_v4(Request& request, std::span<const codec::HeaderField> sent,
                                              Time wall);

  const wire::KeyRing& keys_;
  std::string region_;
  wire::Authenticator authenticator_;
};

// Whether the operation takes a body of that form, and from there.
wire::S3Result<void> check_payload_form(const Request& request);

// `presigned`: the signature was in the query.
wire::S3Error error_of(const codec::AuthError& error, bool presigned, std::string_view region, Time wall);

}  // namespace hr::s3
