#include "wire/s3_xml.h"

#include "wire/s3_requests.h"

#include <utility>

namespace hr::wire {

S3Result<codec::XmlNode> parse_s3_document(ByteView xml, std::string_view root) {
  auto node = codec::parse_xml(xml, {.bytes_max = kS3XmlBytesMax, .depth_max = 16, .nodes_max = 10'000});
  if (!node) {
    if (node.error().code == Errc::kLimit) return s3_fail(S3Code::kMalformedXml, node.error().message);
    return s3_fail(S3Code::kMalformedXml);
  }
  if (node->name != root) return s3_fail(S3Code::kMalformedXml);
  return std::move(*node);
}

codec::XmlWriter& begin_s3_document(codec::XmlWriter& xml, std::string_view root) {
  return xml.declaration().open(root, {{"xmlns", "http://s3.amazonaws.com/doc/2006-03-01/"}});
}

}  // namespace hr::wire
