// Cross-origin rules of a bucket: the CORSConfiguration document and which rule speaks for a request ("Using
// cross-origin resource sharing" in the Amazon S3 User Guide). Pure.
#pragma once

#include "base/bytes.h"
#include "wire/s3_error.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hr::wire {

inline constexpr std::size_t kS3CorsRulesMax = 100;
inline constexpr std::size_t kS3CorsXmlBytesMax = 64U << 10;

struct S3CorsRule {
  std::string id{};
  std::vector<std::string> origins{};  // each with at most one '*'
  std::vector<std::string> methods{};
  std::vector<std::string> headers{};  // likewise
  std::vector<std::string> expose{};
  std::optional<std::int64_t> max_age_s{};
  bool operator==(const S3CorsRule&) const = default;
};

S3Result<std::vector<S3CorsRule>> parse_cors(ByteView xml);
Bytes write_cors(std::span<const S3CorsRule> rules);

// The first rule that allows the origin to send that method with those headers (a list as in
// Access-Control-Request-Headers; empty for a request that is no preflight); null: none does.
const S3CorsRule* find_cors_rule(std::span<const S3CorsRule> rules, std::string_view origin,
                                 std::string_view method, std::string_view headers);

}  // namespace hr::wire
