// What is read as XML, written again, reads the same.
#include "base/check.h"
#include "codec/xml.h"

#include <cstddef>
#include <cstdint>

namespace {

// Attributes are left out: their local names may collide.
void write(hr::codec::XmlWriter& xml, const hr::codec::XmlNode& node) {
  xml.open(node.name).text(node.text);
  for (const auto& child : node.children) write(xml, child);
  xml.close();
}

void drop_attributes(hr::codec::XmlNode& node) {
  node.attributes.clear();
  for (auto& child : node.children) drop_attributes(child);
}

// A local name may be what no name can begin with ("a:-b"), or empty ("a:"), and is not written back.
bool writable(const hr::codec::XmlNode& node) {
  if (node.name.empty()) return false;
  const auto first = static_cast<unsigned char>(node.name.front());
  if (first == '-' || first == '.' || (first >= '0' && first <= '9') || first >= 0x80) return false;
  for (const auto& child : node.children) {
    if (!writable(child)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const hr::ByteView text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(hr::codec::valid_xml_chars(text));
  auto root = hr::codec::parse_xml(text);
  if (!root || !writable(*root)) return 0;
  drop_attributes(*root);
  hr::Bytes out;
  hr::codec::XmlWriter xml(out);
  write(xml, *root);
  const auto again = hr::codec::parse_xml(out, {.bytes_max = 1 << 29});
  HR_CHECK(again && *again == *root);
  return 0;
}
