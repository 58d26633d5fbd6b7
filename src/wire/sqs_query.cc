// The Query protocol's flattened names, brought into the shape of the JSON protocol:
//   AttributeName.2=X                    AttributeNames: [.., "X"]
//   Attribute.1.Name=X  .Value=Y         Attributes: {"X": "Y"}
//   SendMessageBatchRequestEntry.1.Id=X  Entries: [{"Id": "X"}]
#include "codec/json.h"
#include "wire/sqs_parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

namespace hr::wire::sqs {
namespace {

constexpr std::size_t kSegmentsMax = 8;
constexpr std::size_t kIndexDigitsMax = 4;

enum class Kind : std::uint8_t { kList, kMap };

struct Flattened {
  std::string_view name;    // as the parameter begins
  std::string_view member;  // as JSON calls it
  Kind kind;
  std::string_view key;  // of a map: what holds the key; the value is in "Value"
};
constexpr std::array kFlattened = {
    Flattened{"AttributeName", "AttributeNames", Kind::kList, ""},
    Flattened{"MessageAttributeName", "MessageAttributeNames", Kind::kList, ""},
    Flattened{"MessageSystemAttributeName", "MessageSystemAttributeNames", Kind::kList, ""},
    Flattened{"AWSAccountId", "AWSAccountIds", Kind::kList, ""},
    Flattened{"ActionName", "Actions", Kind::kList, ""},
    Flattened{"TagKey", "TagKeys", Kind::kList, ""},
    Flattened{"StringListValue", "StringListValues", Kind::kList, ""},
    Flattened{"BinaryListValue", "BinaryListValues", Kind::kList, ""},
    Flattened{"SendMessageBatchRequestEntry", "Entries", Kind::kList, ""},
    Flattened{"DeleteMessageBatchRequestEntry", "Entries", Kind::kList, ""},
    Flattened{"ChangeMessageVisibilityBatchRequestEntry", "Entries", Kind::kList, ""},
    Flattened{"Attribute", "Attributes", Kind::kMap, "Name"},
    Flattened{"MessageAttribute", "MessageAttributes", Kind::kMap, "Name"},
    Flattened{"MessageSystemAttribute", "MessageSystemAttributes", Kind::kMap, "Name"},
    Flattened{"Tag", "Tags", Kind::kMap, "Key"},
};

const Flattened* flattened(ByteView name) {
  const auto at = std::ranges::find(kFlattened, name, &Flattened::name);
  return at == kFlattened.end() ? nullptr : &*at;
}

// Shorter names first, so that indexes are in the order of their numbers.
struct ByNumber {
  bool operator()(ByteView a, ByteView b) const { return a.size() != b.size() ? a.size() < b.size() : a < b; }
};

struct Node {
  const Bytes* value = nullptr;
  std::map<ByteView, std::unique_ptr<Node>, ByNumber> children;
};

std::unexpected<Error> malformed(ByteView name, ByteView what) {
  return refuse(ErrorCode::kInvalidQueryParameter,
                fmt::format("The parameter {} {}.", name.substr(0, 256), what));
}

bool is_index(ByteView text) {
  return !text.empty() && text.size() <= kIndexDigitsMax && text.front() != '0' &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Outcome<void> plant(Node& root, const Bytes& name, const Bytes& value) {
  Node* node = &root;
  std::size_t segments = 0;
  for (ByteView rest = name;;) {
    if (++segments > kSegmentsMax) return malformed(name, "is nested too deeply");
    const std::size_t dot = rest.find('.');
    auto& child = node->children[rest.substr(0, dot)];
    if (!child) child = std::make_unique<Node>();
    node = child.get();
    if (dot == rest.npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (node->value != nullptr) return malformed(name, "is there twice");
  node->value = &value;
  return {};
}

Outcome<codec::Json> to_json(const Node& node);

Outcome<codec::Json> list_to_json(ByteView name, const Node& node) {
  codec::Json::Array list;
  // Without an index: a list of one, or of none (so clients write an empty list).
  if (node.value != nullptr && !node.value->empty()) list.emplace_back(*node.value);
  for (const auto& [index, item] : node.children) {
    if (!is_index(index)) return malformed(name, "needs an index from 1 on");
    HR_ASSIGN(auto json, to_json(*item));
    list.push_back(std::move(json));
  }
  return codec::Json(std::move(list));
}

Outcome<codec::JsonMember> entry_to_json(const Flattened& rule, const Node& entry) {
  const auto key = entry.children.find(rule.key);
  if (key == entry.children.end() || key->second->value == nullptr) {
    return malformed(rule.name, fmt::format("needs a {} in each entry", rule.key));
  }
  codec::Json value("");
  if (const auto found = entry.children.find("Value"); found != entry.children.end()) {
    HR_ASSIGN(value, to_json(*found->second));
  }
  return codec::JsonMember{.name = *key->second->value, .value = std::move(value)};
}

Outcome<codec::Json> map_to_json(const Flattened& rule, const Node& node) {
  codec::Json::Object map;
  if (node.children.contains(rule.key)) {  // without an index: a map of one
    HR_ASSIGN(auto entry, entry_to_json(rule, node));
    map.push_back(std::move(entry));
    return codec::Json(std::move(map));
  }
  for (const auto& [index, entry] : node.children) {
    if (!is_index(index)) return malformed(rule.name, "needs an index from 1 on");
    HR_ASSIGN(auto member, entry_to_json(rule, *entry));
    if (std::ranges::find(map, member.name, &codec::JsonMember::name) != map.end()) {
      return malformed(rule.name, fmt::format("names {} twice", ByteView(member.name).substr(0, 256)));
    }
    map.push_back(std::move(member));
  }
  return codec::Json(std::move(map));
}

// botocore writes an empty list or map under its own name: "AttributeNames=".
bool is_empty_list(ByteView name, const Node& node) {
  return node.children.empty() && node.value != nullptr && node.value->empty() &&
         std::ranges::find(kFlattened, name, &Flattened::member) != kFlattened.end();
}

Outcome<codec::Json> to_json(const Node& node) {
  if (node.children.empty()) return codec::Json(node.value == nullptr ? Bytes() : *node.value);
  codec::Json::Object members;
  for (const auto& [name, child] : node.children) {
    const Flattened* rule = flattened(name);
    if (is_empty_list(name, *child)) continue;
    if (rule == nullptr) {
      HR_ASSIGN(auto json, to_json(*child));
      members.push_back({Bytes(name), std::move(json)});
    } else if (rule->kind == Kind::kList) {
      HR_ASSIGN(auto json, list_to_json(name, *child));
      members.push_back({Bytes(rule->member), std::move(json)});
    } else {
      HR_ASSIGN(auto json, map_to_json(*rule, *child));
      members.push_back({Bytes(rule->member), std::move(json)});
    }
  }
  return codec::Json(std::move(members));
}

}  // namespace

Outcome<codec::Json> query_to_json(const codec::Pairs& parameters) {
  Node root;
  for (const auto& [name, value] : parameters) HR_TRY(plant(root, name, value));
  if (root.children.empty()) return codec::Json(codec::Json::Object());
  return to_json(root);
}

}  // namespace hr::wire::sqs
