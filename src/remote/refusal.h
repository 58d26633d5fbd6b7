// What a refusal of SQS or S3 says about the request's signature: the code in it, whether the keys are of no
// more use, how far the clock is off. Pure, and without the big parsers: the Python module asks too.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "codec/http_response.h"

#include <optional>

namespace hr::remote {

inline constexpr Duration kSkewMin = 4min;  // services allow 5

// "QueueDoesNotExist", "NoSuchKey"; empty: it says none that can be read.
Bytes error_code(ByteView service, const codec::Response& response);

// The keys ran out, or are not known (yet, or any more).
bool is_expired_key(ByteView code);

// How much to add to the local time, when `response` refuses a request for its time and its Date says so;
// `used` is the time that the request was signed with. None: that is not the reason.
std::optional<Duration> skew_of(const codec::Response& response, ByteView code, Time used, Time local);

}  // namespace hr::remote
