// From a policy's text to its statements. Every member is looked at, and one that is not known is refused.
#include "codec/json.h"
#include "codec/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

namespace hr::codec {
namespace {

constexpr std::size_t kSidBytesMax = 256;
constexpr std::string_view kVariables = "2012-10-17";  // since which ${...} is a variable

constexpr std::array kGlobalKeys = {
    PolicyKey{"aws:SecureTransport", PolicyKeyType::kBool},
    PolicyKey{"aws:SourceIp", PolicyKeyType::kIp},
    PolicyKey{"aws:SourceArn", PolicyKeyType::kArn},
    PolicyKey{"aws:SourceAccount"},
    PolicyKey{"aws:PrincipalAccount"},
    PolicyKey{"aws:UserAgent"},
    PolicyKey{"aws:Referer"},
};

struct Operator {
  std::string_view name;
  PolicyTest test;
  bool negated = false;
};
constexpr std::array kOperators = {
    Operator{"StringEquals", PolicyTest::kEquals},
    Operator{"StringNotEquals", PolicyTest::kEquals, true},
    Operator{"StringEqualsIgnoreCase", PolicyTest::kEqualsAnyCase},
    Operator{"StringNotEqualsIgnoreCase", PolicyTest::kEqualsAnyCase, true},
    Operator{"StringLike", PolicyTest::kLike},
    Operator{"StringNotLike", PolicyTest::kLike, true},
    Operator{"ArnEquals", PolicyTest::kArn},  // wildcards too, says IAM: the same as ArnLike
    Operator{"ArnLike", PolicyTest::kArn},
    Operator{"ArnNotEquals", PolicyTest::kArn, true},
    Operator{"ArnNotLike", PolicyTest::kArn, true},
    Operator{"Bool", PolicyTest::kBool},
    Operator{"IpAddress", PolicyTest::kIp},
    Operator{"NotIpAddress", PolicyTest::kIp, true},
    Operator{"Null", PolicyTest::kNull},
};

std::string lower(ByteView text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string names(const auto& list) {
  std::string out;
  for (const auto& item : list) {
    if (!out.empty()) out += ", ";
    out += item.name;
  }
  return out;
}

ByteView shown(ByteView text) { return text.substr(0, 128); }

std::unexpected<Error> invalid(std::string message) { return fail(Errc::kInvalid, std::move(message)); }
std::unexpected<Error> unsupported(std::string message) {
  return fail(Errc::kUnsupported, std::move(message));
}

bool is_account(ByteView text) {
  return text.size() == 12 && text.find_first_not_of("0123456789") == text.npos;
}

// A string, or a list of at least one.
Result<std::vector<Bytes>> one_or_many(const Json& value, std::string_view what, bool booleans = false) {
  std::vector<Bytes> out;
  const auto add = [&](const Json& item) -> Status {
    if (const Bytes* text = item.as_string()) {
      out.push_back(*text);
    } else if (const auto flag = item.as_bool(); flag && booleans) {
      out.emplace_back(*flag ? "true" : "false");
    } else {
      return invalid(fmt::format("{} must be a string or a list of strings", what));
    }
    return {};
  };
  if (const auto* list = value.as_array()) {
    for (const Json& item : *list) HR_TRY(add(item));
  } else {
    HR_TRY(add(value));
  }
  if (out.empty()) return invalid(fmt::format("{} must not be an empty list", what));
  return out;
}

class Reader {
 public:
  Reader(const PolicyRules& rules, bool variables) : rules_(rules), variables_(variables) {}

  Result<PolicyStatement> statement(const Json& json) const;

 private:
  Status member(const JsonMember& member, PolicyStatement& out) const;
  Status effect(const Json& json, PolicyStatement& out) const;
  Status principals(const Json& json, PolicyPrincipals& out) const;
  Status principal(ByteView kind, Bytes value, PolicyPrincipals& out) const;
  Status actions(const Json& json, PolicyStatement& out) const;
  Status resources(const Json& json, PolicyStatement& out) const;
  Status conditions(const Json& json, PolicyStatement& out) const;
  Result<PolicyCondition> condition(ByteView name, const JsonMember& member) const;
  Status values(const Json& json, PolicyKeyType type, PolicyCondition& out) const;
  Status no_variable(ByteView text) const;
  const PolicyKey* key(ByteView name) const;

  const PolicyRules& rules_;
  const bool variables_;
};

Status Reader::no_variable(ByteView text) const {
  if (!variables_ || text.find("${") == text.npos) return {};
  return unsupported(fmt::format("policy variables are not supported here: {}", shown(text)));
}

const PolicyKey* Reader::key(ByteView name) const {
  const std::string wanted = lower(name);
  const auto same = [&](const PolicyKey& key) { return lower(key.name) == wanted; };
  const auto global = std::ranges::find_if(kGlobalKeys, same);
  if (global != kGlobalKeys.end()) return &*global;
  const auto own = std::ranges::find_if(rules_.keys, same);
  return own == rules_.keys.end() ? nullptr : &*own;
}

Status Reader::effect(const Json& json, PolicyStatement& out) const {
  const Bytes* text = json.as_string();
  if (text == nullptr || (*text != "Allow" && *text != "Deny")) {
    return invalid("Effect must be \"Allow\" or \"Deny\"");
  }
  out.effect = *text == "Allow" ? PolicyEffect::kAllow : PolicyEffect::kDeny;
  return {};
}

Status Reader::principal(ByteView kind, Bytes value, PolicyPrincipals& out) const {
  if (kind == "Service") {
    if (!value.ends_with(".amazonaws.com") || value.find('*') != value.npos) {
      return invalid(fmt::format("{} is not the name of a service", shown(value)));
    }
    out.services.push_back(std::move(value));
    return {};
  }
  constexpr std::string_view kArn = "arn:aws:iam::";
  constexpr std::string_view kRoot = ":root";
  ByteView account = value;
  if (value == "*") {
    out.anyone = true;
    return {};
  }
  if (account.starts_with(kArn) && account.ends_with(kRoot)) {
    account.remove_prefix(kArn.size());
    account.remove_suffix(kRoot.size());
  } else if (account.starts_with("arn:")) {
    return unsupported(
        fmt::format("{}: a principal is an account here (12 digits, or arn:aws:iam::ACCOUNT:root); users and "
                    "roles are not known",
                    shown(value)));
  }
  if (!is_account(account)) {
    return invalid(
        fmt::format("{} is no principal: it must be *, an account of 12 digits or "
                    "arn:aws:iam::ACCOUNT:root",
                    shown(value)));
  }
  out.accounts.emplace_back(account);
  return {};
}

Status Reader::principals(const Json& json, PolicyPrincipals& out) const {
  if (const Bytes* text = json.as_string(); text != nullptr && *text == "*") {
    out.anyone = true;
    return {};
  }
  const auto* kinds = json.as_object();
  if (kinds == nullptr || kinds->empty()) {
    return invalid(R"(Principal must be "*", {"AWS": ...} or {"Service": ...})");
  }
  for (const auto& [kind, value] : *kinds) {
    if (kind != "AWS" && kind != "Service") {
      return unsupported(fmt::format("principals of the kind {} are not supported", shown(kind)));
    }
    HR_ASSIGN(auto list, one_or_many(value, fmt::format("Principal.{}", kind)));
    for (auto& text : list) HR_TRY(principal(kind, std::move(text), out));
  }
  return {};
}

Status Reader::actions(const Json& json, PolicyStatement& out) const {
  HR_ASSIGN(out.actions, one_or_many(json, "Action"));
  for (const auto& pattern : out.actions) {
    const auto known = [&](std::string_view action) {
      return wildcard_match_any_case(pattern, fmt::format("{}:{}", rules_.service, action));
    };
    if (std::ranges::any_of(rules_.actions, known)) continue;
    return invalid(
        fmt::format("{} matches no action that a policy of {} can name", shown(pattern), rules_.service));
  }
  return {};
}

Status Reader::resources(const Json& json, PolicyStatement& out) const {
  HR_ASSIGN(out.resources, one_or_many(json, "Resource"));
  for (const auto& pattern : out.resources) {
    if (pattern == "*") continue;
    HR_TRY(no_variable(pattern));
    std::size_t end = 0;  // of the third part
    for (int colons = 0; colons < 3 && end != pattern.npos; ++colons) end = pattern.find(':', end + 1);
    const auto own = fmt::format("arn:aws:{}", rules_.service);
    if (pattern.starts_with("arn:") && arn_match(pattern.substr(0, end), own)) continue;
    return invalid(
        fmt::format("{} is no resource of {}: it must be an ARN or *", shown(pattern), rules_.service));
  }
  return {};
}

Status Reader::values(const Json& json, PolicyKeyType type, PolicyCondition& out) const {
  HR_ASSIGN(out.values, one_or_many(json, "a condition's value", true));
  for (auto& value : out.values) {
    HR_TRY(no_variable(value));
    if (out.test == PolicyTest::kIp) {
      HR_ASSIGN(const auto range, parse_ip_range(value));
      out.ranges.push_back(range);
    }
    const bool flag = out.test == PolicyTest::kBool || out.test == PolicyTest::kNull;
    if (flag) value = lower(value);
    if (flag && value != "true" && value != "false") {
      return invalid(fmt::format("{} must be true or false", shown(value)));
    }
  }
  if (out.test == PolicyTest::kIp) out.values.clear();
  const bool fits = (out.test != PolicyTest::kIp || type == PolicyKeyType::kIp) &&
                    (out.test != PolicyTest::kBool || type == PolicyKeyType::kBool) &&
                    (out.test != PolicyTest::kArn || type == PolicyKeyType::kArn);
  if (fits) return {};
  return invalid(fmt::format("the key {} has not the type of this operator", out.key));
}

Result<PolicyCondition> Reader::condition(ByteView name, const JsonMember& member) const {
  constexpr std::string_view kIfExists = "IfExists";
  PolicyCondition out;
  ByteView bare = name;
  if (bare.ends_with(kIfExists)) {
    bare.remove_suffix(kIfExists.size());
    out.if_exists = true;
  }
  const auto op = std::ranges::find(kOperators, bare, &Operator::name);
  if (op == kOperators.end() || (out.if_exists && op->test == PolicyTest::kNull)) {
    return unsupported(fmt::format("the condition operator {} is not supported; these are: {}", shown(name),
                                   names(kOperators)));
  }
  const PolicyKey* known = key(member.name);
  if (known == nullptr) {
    return unsupported(fmt::format("the condition key {} is not supported; these are: {}{}{}",
                                   shown(member.name), names(kGlobalKeys), rules_.keys.empty() ? "" : ", ",
                                   names(rules_.keys)));
  }
  out.test = op->test;
  out.negated = op->negated;
  out.key = lower(member.name);
  HR_TRY(values(member.value, known->type, out));
  return out;
}

Status Reader::conditions(const Json& json, PolicyStatement& out) const {
  const auto* operators = json.as_object();
  if (operators == nullptr) return invalid("Condition must be an object");
  for (const auto& [name, block] : *operators) {
    const auto* keys = block.as_object();
    if (keys == nullptr || keys->empty()) {
      return invalid(fmt::format("Condition.{} must be an object with at least one key", shown(name)));
    }
    for (const auto& member : *keys) {
      HR_ASSIGN(out.conditions.emplace_back(), condition(name, member));
    }
  }
  return {};
}

Status Reader::member(const JsonMember& member, PolicyStatement& out) const {
  const auto& [name, value] = member;
  if (name == "Sid") {
    const Bytes* sid = value.as_string();
    if (sid == nullptr || sid->size() > kSidBytesMax) {
      return invalid(fmt::format("Sid must be a string of at most {} bytes", kSidBytesMax));
    }
    out.sid = *sid;
    return {};
  }
  if (name == "Effect") return effect(value, out);
  if (name == "Principal") return principals(value, out.principals);
  if (name == "Action" || name == "NotAction") {
    out.not_actions = name == "NotAction";
    return actions(value, out);
  }
  if (name == "Resource" || name == "NotResource") {
    out.not_resources = name == "NotResource";
    return resources(value, out);
  }
  if (name == "Condition") return conditions(value, out);
  if (name == "NotPrincipal") {
    return unsupported("NotPrincipal is not supported: name those whom the statement is for in Principal");
  }
  return invalid(fmt::format("{} is no element of a statement", shown(name)));
}

Result<PolicyStatement> Reader::statement(const Json& json) const {
  if (!json.is_object()) return invalid("a statement must be an object");
  for (const std::string_view name : {"Effect", "Principal"}) {
    if (json.find(name) == nullptr && json.find("NotPrincipal") == nullptr) {
      return invalid(fmt::format("{} is missing", name));
    }
  }
  for (const auto& [name, other] : {std::pair("Action", "NotAction"), std::pair("Resource", "NotResource")}) {
    if ((json.find(name) == nullptr) == (json.find(other) == nullptr)) {
      return invalid(fmt::format("there must be {} or {}, and not both", name, other));
    }
  }
  PolicyStatement out;
  for (const auto& each : *json.as_object()) HR_TRY(member(each, out));
  return out;
}

Result<Bytes> text_of(const Json& document, std::string_view name, Bytes otherwise) {
  const Json* value = document.find(name);
  if (value == nullptr) return otherwise;
  if (const Bytes* text = value->as_string()) return *text;
  return invalid(fmt::format("{} must be a string", name));
}

std::string place(std::size_t number, ByteView sid) {
  return sid.empty() ? fmt::format("statement {}", number)
                     : fmt::format("statement {} ({})", number, shown(sid));
}

ByteView sid_of(const Json& statement) {
  const Json* sid = statement.find("Sid");
  const Bytes* text = sid == nullptr ? nullptr : sid->as_string();
  return text == nullptr ? ByteView() : ByteView(*text);
}

Status read_statements(const Json& value, const PolicyRules& rules, Policy& out) {
  const Reader reader(rules, out.version == kVariables);
  const auto* list = value.as_array();
  const std::span<const Json> all = list == nullptr ? std::span(&value, 1) : std::span(*list);
  if (all.empty()) return invalid("Statement must not be an empty list");
  if (all.size() > rules.statements_max) {
    return fail(Errc::kLimit, fmt::format("{} Statements were found, maximum allowed is {}.", all.size(),
                                          rules.statements_max));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto statement = reader.statement(all[i]);
    if (!statement) return std::unexpected(std::move(statement).error().in(place(i + 1, sid_of(all[i]))));
    const bool twice =
        std::ranges::find(out.statements, statement->sid, &PolicyStatement::sid) != out.statements.end();
    if (twice && !statement->sid.empty()) {
      return invalid(fmt::format("the Sid {} is there twice", shown(statement->sid)));
    }
    out.statements.push_back(std::move(*statement));
  }
  return {};
}

}  // namespace

Result<IpRange> parse_ip_range(ByteView text) {
  const auto bad = [text] {
    return invalid(fmt::format("{} is no IP address or range such as 10.0.0.0/8", shown(text)));
  };
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  IpRange out;
  const bool v4 = address.find(':') == address.npos;
  std::uint8_t* const at = out.address.data() + (v4 ? 12 : 0);
  if (address.find('\0') != address.npos || ::inet_pton(v4 ? AF_INET : AF_INET6, address.c_str(), at) != 1) {
    return bad();
  }
  if (v4) out.address[10] = out.address[11] = 0xff;
  if (slash == text.npos) return out;
  const ByteView digits = text.substr(slash + 1);
  const unsigned most = v4 ? 32 : 128;
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc() || end != digits.data() + digits.size() || bits > most) return bad();
  out.bits = static_cast<std::uint8_t>(128 - most + bits);
  return out;
}

Result<Policy> parse_policy(ByteView text, const PolicyRules& rules) {
  auto json = parse_json(text, {.bytes_max = rules.bytes_max, .depth_max = 16});
  if (!json) return std::unexpected(std::move(json).error().in("the policy"));
  if (!json->is_object()) return invalid("a policy must be a JSON object");
  for (const auto& [name, value] : *json->as_object()) {
    if (name == "Version" || name == "Id" || name == "Statement") continue;
    return invalid(fmt::format("{} is no element of a policy", shown(name)));
  }
  Policy out;
  HR_ASSIGN(out.version, text_of(*json, "Version", "2008-10-17"));
  if (out.version != kVariables && out.version != "2008-10-17") {
    return invalid("Version must be \"2012-10-17\" or \"2008-10-17\"");
  }
  HR_ASSIGN(out.id, text_of(*json, "Id", ""));
  const Json* statements = json->find("Statement");
  if (statements == nullptr) return invalid("Statement is missing");
  HR_TRY(read_statements(*statements, rules, out));
  return out;
}

}  // namespace hr::codec
