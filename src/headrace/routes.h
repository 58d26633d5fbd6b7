// Which service a request on the store's listener is for. Pure.
#pragma once

#include "net/http.h"

#include <cstdint>

namespace hr {

enum class Service : std::uint8_t { kOwn, kSqs, kS3 };

// "/_headrace/..." is ours; else the X-Amz-Target, else the service in the credential scope (header or
// query), else a form-encoded POST, or a GET with Action and Version, is SQS; everything else is S3.
Service service_of(const net::RequestHead& head);

}  // namespace hr
