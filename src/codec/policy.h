// AWS's policy documents: JSON text to statements, and statements to a decision about one request. Both front
// ends use it for the policies of their resources. What this reader does not know (an operator, a key, an
// element) is refused when a policy is set, never ignored: a policy that is kept is a policy that is kept to.
// Pure. Source: IAM User Guide, "IAM JSON policy elements" and "Policy evaluation logic".
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace hr::codec {

// '*' stands for any characters, '?' for one.
bool wildcard_match(ByteView pattern, ByteView text);
// The same where upper and lower case are one, as in the names of actions.
bool wildcard_match_any_case(ByteView pattern, ByteView text);
// Part by part of arn:partition:service:region:account:resource: no wildcard reaches over a colon of the
// first five. Parts that the pattern leaves out at its end are any.
bool arn_match(ByteView pattern, ByteView arn);

enum class PolicyKeyType : std::uint8_t { kText, kArn, kBool, kIp };

// A condition key of one service ("s3:prefix"), beside the ones that all have: aws:SecureTransport,
// aws:SourceIp, aws:SourceArn, aws:SourceAccount, aws:PrincipalAccount, aws:UserAgent, aws:Referer.
struct PolicyKey {
  std::string_view name;
  PolicyKeyType type = PolicyKeyType::kText;
};

// What the policies of one service may say.
struct PolicyRules {
  std::string_view service;                   // "sqs": the prefix of its actions
  std::span<const std::string_view> actions;  // all that a policy can name, without the prefix
  std::span<const PolicyKey> keys;
  std::size_t bytes_max = 20'480;
  std::size_t statements_max = 1'000;
};

enum class PolicyEffect : std::uint8_t { kDeny, kAllow };

// Whom a statement speaks of.
struct PolicyPrincipals {
  bool anyone = false;          // "*": every account, and who has none
  std::vector<Bytes> accounts;  // 12 digits each
  std::vector<Bytes> services;  // "s3.amazonaws.com"

  bool operator==(const PolicyPrincipals&) const = default;
};

enum class PolicyTest : std::uint8_t { kEquals, kEqualsAnyCase, kLike, kArn, kBool, kIp, kNull };

struct IpRange {
  std::array<std::uint8_t, 16> address{};  // IPv4 as ::ffff:a.b.c.d
  std::uint8_t bits = 128;                 // of them, those that count

  bool operator==(const IpRange&) const = default;
};
Result<IpRange> parse_ip_range(ByteView text);  // "10.0.0.0/8", "::1"

// True when the request's value of `key` meets any of the values; `negated`: none of them.
struct PolicyCondition {
  PolicyTest test{};
  bool negated = false;
  bool if_exists = false;       // true where the request has no such value
  Bytes key;                    // in lower case
  std::vector<Bytes> values;    // at least one
  std::vector<IpRange> ranges;  // of kIp, instead of values

  bool operator==(const PolicyCondition&) const = default;
};

struct PolicyStatement {
  Bytes sid;
  PolicyEffect effect = PolicyEffect::kDeny;
  PolicyPrincipals principals;
  bool not_actions = false;  // NotAction: all but these
  std::vector<Bytes> actions;
  bool not_resources = false;
  std::vector<Bytes> resources;             // ARNs with wildcards, or "*"
  std::vector<PolicyCondition> conditions;  // all of them must hold

  bool operator==(const PolicyStatement&) const = default;
};

struct Policy {
  Bytes version;  // "2012-10-17" or "2008-10-17"
  Bytes id;
  std::vector<PolicyStatement> statements;

  bool operator==(const Policy&) const = default;
};

// kInvalid: AWS would refuse it too. kUnsupported: AWS knows it and this store does not. kLimit: too long, or
// too many statements. The message names the statement, the word and what would be good.
Result<Policy> parse_policy(ByteView text, const PolicyRules& rules);

// What is known of a request besides who sends it: "aws:SourceIp" and its value. Names in any case.
struct PolicyFact {
  std::string_view key;
  ByteView value;
};

struct PolicyRequest {
  ByteView account;                   // of the sender; empty: unsigned
  ByteView service;                   // "s3.amazonaws.com" where a service itself asks; else empty
  ByteView action;                    // "sqs:SendMessage"
  ByteView resource;                  // its ARN
  std::span<const PolicyFact> facts;  // aws:PrincipalAccount is known without being said
};

enum class PolicyDecision : std::uint8_t { kNone, kAllow, kDeny };

// One statement that denies outweighs all that allow; kNone: no statement speaks of this request.
PolicyDecision evaluate(const Policy& policy, const PolicyRequest& request);

// May somebody without an account do anything by it, whatever the request? What "public" means for a bucket.
bool allows_anyone(const Policy& policy);

}  // namespace hr::codec
