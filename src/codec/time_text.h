// The written forms of time that HTTP, S3 and SQS use. Reading is strict (a day that its month has not is an
// error); years are 1 to 9999, and a time outside them is written as the nearest one inside.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace hr::codec {

Bytes http_date(Time t);                      // "Fri, 02 Jan 2026 03:04:05 GMT" (RFC 9110, section 5.6.7)
Result<Time> parse_http_date(ByteView text);  // that, RFC 850's form (years 1970 to 2069) and asctime's

Bytes iso8601(Time t);                      // "2026-01-02T03:04:05.678Z"
Result<Time> parse_iso8601(ByteView text);  // fraction optional (1 to 9 digits, cut to ms); Z or +hh:mm

Bytes amz_date(Time t);                      // "20260102T030405Z"
Result<Time> parse_amz_date(ByteView text);  // exactly that

Bytes date_stamp(Time t);  // "20260102"

}  // namespace hr::codec
