#include "wire/s3_access.h"

#include "base/result.h"
#include "wire/s3_xml.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace hr::wire {
namespace {

constexpr std::string_view kOwnerEnforced = "BucketOwnerEnforced";

template <class Block>
auto flags_of(Block& block) {
  return std::to_array(
      {std::pair{std::string_view("BlockPublicAcls"), &block.block_public_acls},
       std::pair{std::string_view("IgnorePublicAcls"), &block.ignore_public_acls},
       std::pair{std::string_view("BlockPublicPolicy"), &block.block_public_policy},
       std::pair{std::string_view("RestrictPublicBuckets"), &block.restrict_public_buckets}});
}

S3Result<bool> flag(std::string_view text) {
  if (text == "true" || text == "TRUE") return true;
  if (text == "false" || text == "FALSE") return false;
  return s3_fail(S3Code::kMalformedXml);
}

S3Result<void> take_flag(const codec::XmlNode& node, S3AccessBlock& out) {
  for (const auto& [name, value] : flags_of(out)) {
    if (node.name != name) continue;
    HR_ASSIGN(*value, flag(node.text));
    return {};
  }
  return s3_fail(S3Code::kMalformedXml);
}

}  // namespace

S3Result<S3AccessBlock> parse_access_block(ByteView xml) {
  HR_ASSIGN(const codec::XmlNode root, parse_s3_document(xml, "PublicAccessBlockConfiguration"));
  S3AccessBlock out;
  if (root.children.empty()) return s3_fail(S3Code::kMalformedXml);
  for (const codec::XmlNode& node : root.children) HR_TRY(take_flag(node, out));
  return out;
}

Bytes write_access_block(const S3AccessBlock& block) {
  Bytes out;
  codec::XmlWriter xml(out);
  begin_s3_document(xml, "PublicAccessBlockConfiguration");
  for (const auto& [name, value] : flags_of(block)) xml.element(name, *value);
  xml.close();
  return out;
}

S3Result<void> check_ownership(ByteView xml) {
  HR_ASSIGN(const codec::XmlNode root, parse_s3_document(xml, "OwnershipControls"));
  if (root.children.size() != 1 || root.children.front().name != "Rule")
    return s3_fail(S3Code::kMalformedXml);
  const Bytes* ownership = root.children.front().child_text("ObjectOwnership");
  if (!ownership) return s3_fail(S3Code::kMalformedXml);
  if (*ownership == kOwnerEnforced) return {};
  if (*ownership != "BucketOwnerPreferred" && *ownership != "ObjectWriter") {
    return s3_fail(S3Code::kMalformedXml);
  }
  return s3_fail(
      S3Code::kNotImplemented,
      fmt::format("ObjectOwnership can only be {}, not {}: there are no ACLs.", kOwnerEnforced, *ownership));
}

Bytes write_ownership() {
  Bytes out;
  codec::XmlWriter xml(out);
  begin_s3_document(xml, "OwnershipControls").open("Rule").element("ObjectOwnership", kOwnerEnforced);
  xml.close().close();
  return out;
}

Bytes write_policy_status(bool is_public) {
  Bytes out;
  codec::XmlWriter xml(out);
  begin_s3_document(xml, "PolicyStatus").element("IsPublic", is_public ? "true" : "false").close();
  return out;
}

}  // namespace hr::wire
