// Where a listing goes on: continuation tokens, which say the last key shown, and the parameters that all
// listings share. A token is no secret; a mistyped one is an error, not another place in the list.
#pragma once

#include "base/bytes.h"
#include "codec/uri.h"
#include "wire/s3_error.h"

#include <cstddef>
#include <string>

namespace hr::s3 {

Bytes make_token(ByteView after);
wire::S3Result<Bytes> read_token(ByteView token);

struct ListPageQuery {
  std::size_t max = 0;
  std::string after;  // from continuation-token
  std::string token;  // as sent
};
// `max_name` is the parameter that bounds the page; what is larger than `max` means `max`.
wire::S3Result<ListPageQuery> page_query(const codec::Pairs& query, std::string_view max_name,
                                         std::size_t max);

}  // namespace hr::s3
