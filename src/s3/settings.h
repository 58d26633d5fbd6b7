// What a bucket is set to: tags, cross-origin rules and the like, each kept as the document that a GET
// answers with. Handlers of S3Front; each answers with a response or one of S3's errors.
#pragma once

#include "s3/request.h"

#include <optional>
#include <string>

namespace hr::s3 {

AnswerTask get_bucket_tagging(Services& services, Request& request);
AnswerTask put_bucket_tagging(Services& services, Request& request);
AnswerTask get_bucket_cors(Services& services, Request& request);
AnswerTask put_bucket_cors(Services& services, Request& request);

// Removes a setting; there may have been none.
AnswerTask delete_setting(Services& services, Request& request, object::Setting setting);

// The document of a setting, or the error that says there is none.
Answer get_setting(Services& services, const Request& request, object::Setting setting, wire::S3Code none);

// Through the commit path. None: the setting goes.
AnswerTask write_setting(Services& services, const Request& request, object::BucketId bucket,
                         object::Setting setting, std::optional<std::string> text, int status);

}  // namespace hr::s3
