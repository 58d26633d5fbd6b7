#include "wire/s3_error.h"

#include "codec/xml.h"

namespace hr::wire {
namespace {

struct Meaning {
  std::string_view text;
  int status;
  std::string_view message;
};

// A switch, so that the compiler names a code that has no meaning.
Meaning meaning(S3Code code) {
  switch (code) {
    case S3Code::kAccessDenied:
      return {"AccessDenied", 403, "Access Denied"};
    case S3Code::kAccessForbidden:
      return {"AccessForbidden", 403, "CORSResponse: CORS is not enabled for this bucket."};
    case S3Code::kAuthorizationHeaderMalformed:
      return {"AuthorizationHeaderMalformed", 400, "The authorization header is malformed."};
    case S3Code::kAuthorizationQueryParametersError:
      return {"AuthorizationQueryParametersError", 400, "The authorization query parameters are malformed."};
    case S3Code::kBadDigest:
      return {"BadDigest", 400, "The Content-MD5 you specified did not match what we received."};
    case S3Code::kBucketAlreadyExists:
      return {
          "BucketAlreadyExists", 409,
          "The requested bucket name is not available. The bucket namespace is shared by all users of the "
          "system. Please select a different name and try again."};
    case S3Code::kBucketAlreadyOwnedByYou:
      return {"BucketAlreadyOwnedByYou", 409,
              "Your previous request to create the named bucket succeeded and you already own it."};
    case S3Code::kBucketNotEmpty:
      return {"BucketNotEmpty", 409, "The bucket you tried to delete is not empty"};
    case S3Code::kConditionalRequestConflict:
      return {"ConditionalRequestConflict", 409,
              "The conditional request cannot succeed due to a conflicting operation against this resource."};
    case S3Code::kEntityTooLarge:
      return {"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"};
    case S3Code::kEntityTooSmall:
      return {"EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"};
    case S3Code::kIllegalLocationConstraint:
      return {
          "IllegalLocationConstraintException", 400,
          "The location constraint is incompatible for the region specific endpoint this request was sent "
          "to."};
    case S3Code::kIncompleteBody:
      return {"IncompleteBody", 400,
              "You did not provide the number of bytes specified by the Content-Length HTTP header"};
    case S3Code::kInternalError:
      return {"InternalError", 500, "We encountered an internal error. Please try again."};
    case S3Code::kInvalidAccessKeyId:
      return {"InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."};
    case S3Code::kInvalidArgument:
      return {"InvalidArgument", 400, "Invalid Argument"};
    case S3Code::kInvalidBucketName:
      return {"InvalidBucketName", 400, "The specified bucket is not valid."};
    case S3Code::kInvalidDigest:
      return {"InvalidDigest", 400, "The Content-MD5 you specified was invalid."};
    case S3Code::kInvalidRange:
      return {"InvalidRange", 416, "The requested range is not satisfiable"};
    case S3Code::kInvalidRequest:
      return {"InvalidRequest", 400, "Invalid Request"};
    case S3Code::kInvalidToken:
      return {"InvalidToken", 400, "The provided token is malformed or otherwise invalid."};
    case S3Code::kInvalidUri:
      return {"InvalidURI", 400, "Couldn't parse the specified URI."};
    case S3Code::kKeyTooLong:
      return {"KeyTooLongError", 400, "Your key is too long"};
    case S3Code::kMalformedXml:
      return {"MalformedXML", 400,
              "The XML you provided was not well-formed or did not validate against our published schema"};
    case S3Code::kMaxMessageLengthExceeded:
      return {"MaxMessageLengthExceeded", 400, "Your request was too big."};
    case S3Code::kMetadataTooLarge:
      return {"MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size"};
    case S3Code::kMethodNotAllowed:
      return {"MethodNotAllowed", 405, "The specified method is not allowed against this resource."};
    case S3Code::kMissingContentLength:
      return {"MissingContentLength", 411, "You must provide the Content-Length HTTP header."};
    case S3Code::kMissingSecurityHeader:
      return {"MissingSecurityHeader", 400, "Your request was missing a required header"};
    case S3Code::kNoSuchBucket:
      return {"NoSuchBucket", 404, "The specified bucket does not exist"};
    case S3Code::kNoSuchKey:
      return {"NoSuchKey", 404, "The specified key does not exist."};
    case S3Code::kNoSuchVersion:
      return {"NoSuchVersion", 404, "The specified version does not exist."};
    case S3Code::kNotImplemented:
      return {"NotImplemented", 501, "A header you provided implies functionality that is not implemented"};
    case S3Code::kPreconditionFailed:
      return {"PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"};
    case S3Code::kRequestTimeTooSkewed:
      return {"RequestTimeTooSkewed", 403,
              "The difference between the request time and the current time is too large."};
    case S3Code::kRequestTimeout:
      return {"RequestTimeout", 400,
              "Your socket connection to the server was not read from or written to within the timeout "
              "period. Idle connections will be closed."};
    case S3Code::kServiceUnavailable:
      return {"ServiceUnavailable", 503, "Service is unable to handle request."};
    case S3Code::kSignatureDoesNotMatch:
      return {"SignatureDoesNotMatch", 403,
              "The request signature we calculated does not match the signature you provided. Check your key "
              "and signing method."};
    case S3Code::kSlowDown:
      return {"SlowDown", 503, "Please reduce your request rate."};
    case S3Code::kTooManyBuckets:
      return {"TooManyBuckets", 400, "You have attempted to create more buckets than allowed"};
    case S3Code::kXAmzContentSha256Mismatch:
      return {"XAmzContentSHA256Mismatch", 400,
              "The provided 'x-amz-content-sha256' header does not match what was computed."};
  }
  return {"InternalError", 500, "We encountered an internal error. Please try again."};
}

}  // namespace

std::string_view to_string(S3Code code) { return meaning(code).text; }
int http_status(S3Code code) { return meaning(code).status; }
std::string_view default_message(S3Code code) { return meaning(code).message; }

std::unexpected<S3Error> s3_fail(S3Code code, std::string message,
                                 std::vector<std::pair<std::string, std::string>> fields) {
  return std::unexpected(S3Error{code, std::move(message), std::move(fields)});
}

std::unexpected<S3Error> s3_bad_argument(std::string_view name, std::string_view value, std::string message) {
  return s3_fail(S3Code::kInvalidArgument, std::move(message),
                 {{"ArgumentName", std::string(name)}, {"ArgumentValue", std::string(value)}});
}

std::unexpected<S3Error> s3_no_header(std::string_view header, std::string_view value) {
  return s3_fail(S3Code::kNotImplemented, {},
                 {{"Header", std::string(header)}, {"additionalMessage", std::string(value)}});
}

Bytes write_error(const S3Error& error, std::string_view resource, std::string_view request_id,
                  std::string_view host_id) {
  Bytes out;
  codec::XmlWriter xml(out);
  xml.declaration().open("Error");
  xml.element("Code", to_string(error.code));
  xml.element("Message", error.message.empty() ? default_message(error.code) : ByteView(error.message));
  for (const auto& [name, value] : error.fields) xml.element(name, value);
  xml.element("Resource", resource).element("RequestId", request_id).element("HostId", host_id).close();
  return out;
}

}  // namespace hr::wire
