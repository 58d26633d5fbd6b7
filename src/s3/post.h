// PostObject: an upload from a browser's form, authorised by the form's own fields. Handler of S3Front.
#pragma once

#include "net/runtime.h"
#include "s3/auth.h"
#include "s3/request.h"

namespace hr::s3 {

AnswerTask post_object(Services& services, net::Gate& steps, const Authorizer& authorizer, Request& request,
                       Time wall);

}  // namespace hr::s3
