// The head of a response as bytes. The writer decides framing and closes the door to response splitting: a
// header that could end its line early is never written.
#pragma once

#include "net/http.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace hr::net {

std::string_view reason_phrase(int status);

struct HeadContext {
  std::string_view date;  // as in the Date header
  std::string_view request_id;
  bool to_head = false;  // the request was a HEAD: no body follows
  bool close = false;
  bool http_1_0 = false;
};

struct WrittenHead {
  std::uint64_t body_bytes = 0;  // how many bytes of the body must follow
};

// Appends to `out`. kInvalid, and nothing appended: a status out of range or a header that must not be sent.
Result<WrittenHead> append_head(std::string& out, const Response& response, const HeadContext& context);

// The whole answer to a request that no handler sees; always ends the connection.
void append_refusal(std::string& out, int status, std::string_view reason, const HeadContext& context);

}  // namespace hr::net
