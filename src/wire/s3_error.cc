#include "wire/s3_error.h"

#include "codec/xml.h"

#include <cstddef>
#include <iterator>

namespace hr::wire {
namespace {

struct Meaning {
  S3Code code;
  std::string_view text;
  int status;
  std::string_view message;
};

// By code, in the order of the enum (checked below).
constexpr Meaning kMeanings[] = {
    {S3Code::kAccessDenied, "AccessDenied", 403, "Access Denied"},
    {S3Code::kAccessForbidden, "AccessForbidden", 403, "CORSResponse: CORS is not enabled for this bucket."},
    {S3Code::kAuthorizationHeaderMalformed, "AuthorizationHeaderMalformed", 400,
     "The authorization header is malformed."},
    {S3Code::kAuthorizationQueryParametersError, "AuthorizationQueryParametersError", 400,
     "The authorization query parameters are malformed."},
    {S3Code::kBadDigest, "BadDigest", 400, "The Content-MD5 you specified did not match what we received."},
    {S3Code::kBadRequest, "BadRequest", 400, "Bad Request"},
    {S3Code::kBucketAlreadyExists, "BucketAlreadyExists", 409,
     "The requested bucket name is not available. The bucket namespace is shared by all users of the "
     "system. Please select a different name and try again."},
    {S3Code::kBucketAlreadyOwnedByYou, "BucketAlreadyOwnedByYou", 409,
     "Your previous request to create the named bucket succeeded and you already own it."},
    {S3Code::kBucketNotEmpty, "BucketNotEmpty", 409, "The bucket you tried to delete is not empty"},
    {S3Code::kConditionalRequestConflict, "ConditionalRequestConflict", 409,
     "The conditional request cannot succeed due to a conflicting operation against this resource."},
    {S3Code::kEntityTooLarge, "EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"},
    {S3Code::kEntityTooSmall, "EntityTooSmall", 400,
     "Your proposed upload is smaller than the minimum allowed size"},
    {S3Code::kIllegalLocationConstraint, "IllegalLocationConstraintException", 400,
     "The location constraint is incompatible for the region specific endpoint this request was sent "
     "to."},
    {S3Code::kIllegalVersioningConfiguration, "IllegalVersioningConfigurationException", 400,
     "The versioning configuration specified in the request is invalid."},
    {S3Code::kIncompleteBody, "IncompleteBody", 400,
     "You did not provide the number of bytes specified by the Content-Length HTTP header"},
    {S3Code::kInternalError, "InternalError", 500, "We encountered an internal error. Please try again."},
    {S3Code::kInvalidAccessKeyId, "InvalidAccessKeyId", 403,
     "The AWS Access Key Id you provided does not exist in our records."},
    {S3Code::kInvalidArgument, "InvalidArgument", 400, "Invalid Argument"},
    {S3Code::kInvalidBucketName, "InvalidBucketName", 400, "The specified bucket is not valid."},
    {S3Code::kInvalidBucketState, "InvalidBucketState", 409,
     "The request is not valid with the current state of the bucket."},
    {S3Code::kInvalidDigest, "InvalidDigest", 400, "The Content-MD5 you specified was invalid."},
    {S3Code::kInvalidPart, "InvalidPart", 400,
     "One or more of the specified parts could not be found.  The part may not have been uploaded, or "
     "the specified entity tag may not match the part's entity tag."},
    {S3Code::kInvalidPartNumber, "InvalidPartNumber", 416, "The requested partnumber is not satisfiable"},
    {S3Code::kInvalidPartOrder, "InvalidPartOrder", 400,
     "The list of parts was not in ascending order. Parts must be ordered by part number."},
    {S3Code::kInvalidPolicyDocument, "InvalidPolicyDocument", 400,
     "The content of the form does not meet the conditions specified in the policy document."},
    {S3Code::kInvalidRange, "InvalidRange", 416, "The requested range is not satisfiable"},
    {S3Code::kInvalidRequest, "InvalidRequest", 400, "Invalid Request"},
    {S3Code::kInvalidTag, "InvalidTag", 400, "The tag provided was not a valid tag."},
    {S3Code::kInvalidToken, "InvalidToken", 400, "The provided token is malformed or otherwise invalid."},
    {S3Code::kInvalidUri, "InvalidURI", 400, "Couldn't parse the specified URI."},
    {S3Code::kKeyTooLong, "KeyTooLongError", 400, "Your key is too long"},
    {S3Code::kMalformedPolicy, "MalformedPolicy", 400,
     "Policies must be valid JSON and the first byte must be '{'"},
    {S3Code::kMalformedPost, "MalformedPOSTRequest", 400,
     "The body of your POST request is not well-formed multipart/form-data."},
    {S3Code::kMalformedXml, "MalformedXML", 400,
     "The XML you provided was not well-formed or did not validate against our published schema"},
    {S3Code::kMaxMessageLengthExceeded, "MaxMessageLengthExceeded", 400, "Your request was too big."},
    {S3Code::kMaxPostPreDataLengthExceeded, "MaxPostPreDataLengthExceeded", 400,
     "Your POST request fields preceding the upload file were too large."},
    {S3Code::kMetadataTooLarge, "MetadataTooLarge", 400,
     "Your metadata headers exceed the maximum allowed metadata size"},
    {S3Code::kMethodNotAllowed, "MethodNotAllowed", 405,
     "The specified method is not allowed against this resource."},
    {S3Code::kMissingContentLength, "MissingContentLength", 411,
     "You must provide the Content-Length HTTP header."},
    {S3Code::kMissingSecurityHeader, "MissingSecurityHeader", 400,
     "Your request was missing a required header"},
    {S3Code::kNoSuchBucket, "NoSuchBucket", 404, "The specified bucket does not exist"},
    {S3Code::kNoSuchBucketPolicy, "NoSuchBucketPolicy", 404, "The bucket policy does not exist"},
    {S3Code::kNoSuchCors, "NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"},
    {S3Code::kNoSuchKey, "NoSuchKey", 404, "The specified key does not exist."},
    {S3Code::kNoSuchLifecycle, "NoSuchLifecycleConfiguration", 404,
     "The lifecycle configuration does not exist"},
    {S3Code::kNoSuchPublicAccessBlock, "NoSuchPublicAccessBlockConfiguration", 404,
     "The public access block configuration was not found"},
    {S3Code::kNoSuchTagSet, "NoSuchTagSet", 404, "The TagSet does not exist"},
    {S3Code::kNoSuchUpload, "NoSuchUpload", 404,
     "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
     "aborted or completed."},
    {S3Code::kNoSuchVersion, "NoSuchVersion", 404, "The specified version does not exist."},
    {S3Code::kNotImplemented, "NotImplemented", 501,
     "A header you provided implies functionality that is not implemented"},
    {S3Code::kOwnershipControlsNotFound, "OwnershipControlsNotFoundError", 404,
     "The bucket ownership controls were not found"},
    {S3Code::kPreconditionFailed, "PreconditionFailed", 412,
     "At least one of the pre-conditions you specified did not hold"},
    {S3Code::kRequestTimeTooSkewed, "RequestTimeTooSkewed", 403,
     "The difference between the request time and the current time is too large."},
    {S3Code::kRequestTimeout, "RequestTimeout", 400,
     "Your socket connection to the server was not read from or written to within the timeout "
     "period. Idle connections will be closed."},
    {S3Code::kServiceUnavailable, "ServiceUnavailable", 503, "Service is unable to handle request."},
    {S3Code::kSignatureDoesNotMatch, "SignatureDoesNotMatch", 403,
     "The request signature we calculated does not match the signature you provided. Check your key "
     "and signing method."},
    {S3Code::kSlowDown, "SlowDown", 503, "Please reduce your request rate."},
    {S3Code::kTooManyBuckets, "TooManyBuckets", 400,
     "You have attempted to create more buckets than allowed"},
    {S3Code::kXAmzContentSha256Mismatch, "XAmzContentSHA256Mismatch", 400,
     "The provided 'x-amz-content-sha256' header does not match what was computed."},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < std::size(kMeanings); ++i) {
    if (kMeanings[i].code != static_cast<S3Code>(i)) return false;
  }
  return std::size(kMeanings) == static_cast<std::size_t>(S3Code::kXAmzContentSha256Mismatch) + 1;
}
static_assert(in_order());

const Meaning& meaning(S3Code code) { return kMeanings[static_cast<std::size_t>(code)]; }

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
