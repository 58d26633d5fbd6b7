// CopyObject and UploadPartCopy: bytes that the store has already. The source is read as a GET would read it,
// under the same authorisation, and written as a PUT would be, on the pool, in pieces. Handlers of S3Front.
#pragma once

#include "s3/request.h"

namespace hr::s3 {

AnswerTask copy_object(Services& services, Request& request);
AnswerTask copy_part(Services& services, Request& request);

}  // namespace hr::s3
