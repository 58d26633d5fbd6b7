#include "codec/policy.h"

#include <algorithm>
#include <optional>

namespace hr::codec {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_any_case(ByteView a, ByteView b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// Goes back to the last '*' only: at most pattern times text steps.
bool match(ByteView pattern, ByteView text, auto&& same) {
  std::size_t p = 0, t = 0;
  std::size_t star = pattern.npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || same(pattern[p], text[t]))) {
      ++p, ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

// The next part of an ARN: up to a colon, the last one to the end. None: there is no more.
std::optional<ByteView> next_part(ByteView& rest, bool& ended, bool last) {
  if (ended) return std::nullopt;
  const std::size_t colon = last ? rest.npos : rest.find(':');
  const ByteView part = rest.substr(0, colon);
  ended = colon == rest.npos;
  rest = ended ? ByteView() : rest.substr(colon + 1);
  return part;
}

bool speaks_of(const PolicyPrincipals& who, const PolicyRequest& request) {
  if (!request.service.empty() && std::ranges::find(who.services, request.service) != who.services.end()) {
    return true;
  }
  if (who.anyone) return true;
  return !request.account.empty() && std::ranges::find(who.accounts, request.account) != who.accounts.end();
}

std::optional<ByteView> fact_of(const PolicyRequest& request, ByteView key) {
  for (const auto& fact : request.facts) {
    if (same_any_case(fact.key, key)) return fact.value;
  }
  if (key == "aws:principalaccount" && !request.account.empty()) return request.account;
  return std::nullopt;
}

bool is_within(const IpRange& one, const IpRange& range) {
  for (std::size_t bit = 0; bit < range.bits; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    if ((one.address[bit / 8] & mask) != (range.address[bit / 8] & mask)) return false;
  }
  return true;
}

bool meets_one(const PolicyCondition& condition, ByteView value) {
  const auto any = [&](auto&& rule) { return std::ranges::any_of(condition.values, rule); };
  switch (condition.test) {
    case PolicyTest::kEquals:
      return any([&](ByteView want) { return want == value; });
    case PolicyTest::kEqualsAnyCase:
    case PolicyTest::kBool:
      return any([&](ByteView want) { return same_any_case(want, value); });
    case PolicyTest::kLike:
      return any([&](ByteView want) { return wildcard_match(want, value); });
    case PolicyTest::kArn:
      return any([&](ByteView want) { return arn_match(want, value); });
    case PolicyTest::kIp: {
      const auto ip = parse_ip_range(value);
      return ip && std::ranges::any_of(condition.ranges, [&](const auto& r) { return is_within(*ip, r); });
    }
    case PolicyTest::kNull:
      break;
  }
  return false;
}

bool holds(const PolicyCondition& condition, const PolicyRequest& request) {
  const auto value = fact_of(request, condition.key);
  if (condition.test == PolicyTest::kNull) {
    const ByteView is_null = value ? "false" : "true";
    return std::ranges::any_of(condition.values, [&](ByteView want) { return want == is_null; });
  }
  if (!value) return condition.negated || condition.if_exists;
  return meets_one(condition, *value) != condition.negated;
}

bool applies(const PolicyStatement& statement, const PolicyRequest& request) {
  const bool action = std::ranges::any_of(
      statement.actions, [&](ByteView p) { return wildcard_match_any_case(p, request.action); });
  const bool resource =
      std::ranges::any_of(statement.resources, [&](ByteView p) { return arn_match(p, request.resource); });
  return action != statement.not_actions && resource != statement.not_resources &&
         speaks_of(statement.principals, request) &&
         std::ranges::all_of(statement.conditions, [&](const auto& c) { return holds(c, request); });
}

}  // namespace

bool wildcard_match(ByteView pattern, ByteView text) {
  return match(pattern, text, [](char a, char b) { return a == b; });
}

bool wildcard_match_any_case(ByteView pattern, ByteView text) {
  return match(pattern, text, [](char a, char b) { return lower(a) == lower(b); });
}

bool arn_match(ByteView pattern, ByteView arn) {
  if (pattern == "*") return true;
  constexpr int kParts = 6;
  bool pattern_ended = false, arn_ended = false;
  for (int i = 0; i < kParts; ++i) {
    const auto want = next_part(pattern, pattern_ended, i == kParts - 1);
    if (!want) return true;
    const auto has = next_part(arn, arn_ended, i == kParts - 1);
    if (!has || !wildcard_match(*want, *has)) return false;
  }
  return true;
}

PolicyDecision evaluate(const Policy& policy, const PolicyRequest& request) {
  auto decision = PolicyDecision::kNone;
  for (const auto& statement : policy.statements) {
    if (!applies(statement, request)) continue;
    if (statement.effect == PolicyEffect::kDeny) return PolicyDecision::kDeny;
    decision = PolicyDecision::kAllow;
  }
  return decision;
}

// Conditions that hold values fixed make it less than public; how AWS judges "fixed": no wildcard in them.
bool allows_anyone(const Policy& policy) {
  const auto narrows = [](const PolicyCondition& condition) {
    if (condition.negated || condition.if_exists) return false;
    if (condition.key == "aws:sourceip") return true;
    const bool names_one = condition.key == "aws:sourcearn" || condition.key == "aws:sourceaccount" ||
                           condition.key == "aws:principalaccount";
    return names_one && std::ranges::all_of(condition.values, [](ByteView value) {
             return value.find_first_of("*?") == value.npos;
           });
  };
  return std::ranges::any_of(policy.statements, [&](const PolicyStatement& statement) {
    return statement.effect == PolicyEffect::kAllow && statement.principals.anyone &&
           std::ranges::none_of(statement.conditions, narrows);
  });
}

}  // namespace hr::codec
