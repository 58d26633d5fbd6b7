// One GET of a site's first page on this host, over TLS, by the site's name: what came back. Whose
// certificate it is was asked elsewhere. Blocks, for some seconds at most.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace hr::host {

struct SiteAnswer {
  int status = 0;
  std::string request_id;  // X-Request-Id; empty: there was none
};

// `name` may begin with "*.": any such name is meant. kUnavailable says what was refused.
Result<SiteAnswer> ask_site(std::uint16_t port, const std::string& name);

// The head of an HTTP/1.1 answer, read. kInvalid: it is none. Pure.
Result<SiteAnswer> read_site_answer(std::string_view head);

}  // namespace hr::host
