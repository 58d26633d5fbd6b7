// XML 1.0, both ways, as S3 and SQS's Query protocol use it. Reading refuses document types and every entity
// but the five predefined ones, so nothing can expand or be fetched. Namespaces are ignored: names are local.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace hr::codec {

struct XmlNode {
  Bytes name;  // without a prefix
  Bytes text;  // all character data directly inside, joined
  std::vector<XmlNode> children;
  std::vector<std::pair<Bytes, Bytes>> attributes;  // without xmlns declarations

  const XmlNode* child(ByteView child_name) const;  // the first of that name, or null
  const Bytes* child_text(ByteView child_name) const;

  bool operator==(const XmlNode&) const = default;
};

struct XmlLimits {
  std::size_t bytes_max = 2 * 1024 * 1024;
  std::size_t depth_max = 32;      // elements within each other
  std::size_t nodes_max = 50'000;  // elements and attributes in all
};

// UTF-8 only. The error names line and column.
Result<XmlNode> parse_xml(ByteView text, XmlLimits limits = {});

// Appends XML to a string the caller owns. Names are taken on trust. In text, control characters are written
// as &#x..; even where XML 1.0 has no way to carry them (S3 does the same; a caller that needs better encodes
// the text first); bytes that are not UTF-8 are repaired to U+FFFD.
class XmlWriter {
 public:
  using Attribute = std::pair<ByteView, ByteView>;

  explicit XmlWriter(Bytes& out) : out_(out) {}

  XmlWriter& declaration();  // <?xml version="1.0" encoding="UTF-8"?> and a line end
  XmlWriter& open(ByteView name, std::initializer_list<Attribute> attributes = {});
  XmlWriter& close();  // the innermost open element
  XmlWriter& text(ByteView v);
  XmlWriter& raw(ByteView xml);  // as it is, elements of its own in balance or not: for what is written often
  XmlWriter& element(ByteView name, ByteView v);
  XmlWriter& element(ByteView name, const Bytes& v) { return element(name, ByteView(v)); }
  XmlWriter& element(ByteView name, const char* v) { return element(name, ByteView(v)); }
  XmlWriter& element(ByteView name, std::int64_t v);
  XmlWriter& element(ByteView name, int v) { return element(name, std::int64_t{v}); }
  XmlWriter& element(ByteView name, bool v) { return element(name, ByteView(v ? "true" : "false")); }

 private:
  Bytes& out_;
  std::vector<Bytes> open_;
};

// The rule for SQS message bodies: UTF-8 made of #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD #x10000-#x10FFFF.
bool valid_xml_chars(ByteView utf8);

}  // namespace hr::codec
