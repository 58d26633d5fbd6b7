// Tags of objects: handlers of S3Front; each answers with a response or one of S3's errors.
#pragma once

#include "s3/request.h"

namespace hr::s3 {

AnswerTask get_object_tagging(Services& services, Request& request);
AnswerTask put_object_tagging(Services& services, Request& request);
AnswerTask delete_object_tagging(Services& services, Request& request);

}  // namespace hr::s3
