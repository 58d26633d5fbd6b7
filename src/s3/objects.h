// The writes of objects: put, delete and the batch delete. Handlers of S3Front; each answers
// with a response or one of S3's errors. `steps` counts an upload's work on the pool and outlives it.
#pragma once

#include "net/runtime.h"
#include "s3/request.h"

namespace hr::s3 {

AnswerTask put_object(Services& services, net::Gate& steps, Request& request);
AnswerTask delete_object(Services& services, Request& request);
AnswerTask delete_objects(Services& services, Request& request);

}  // namespace hr::s3
