// What a bucket is set to besides: tags, cross-origin rules, lifecycle, policy, public access block,
// ownership; each kept as the document that a GET answers with. A handler of S3Front.
#pragma once

#include "s3/request.h"

namespace hr::s3 {

// GET, PUT or DELETE of one of them, by the request's operation; NotImplemented: it is about none of them.
AnswerTask answer_setting(Services& services, Request& request);

}  // namespace hr::s3
