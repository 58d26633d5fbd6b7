// What the readers and writers of S3's documents share: the root of one that came, and the beginning of one
// that goes out.
#pragma once

#include "codec/xml.h"
#include "wire/s3_error.h"

#include <string_view>

namespace hr::wire {

// MalformedXML: not XML, larger or deeper than any document of S3, or of another root.
S3Result<codec::XmlNode> parse_s3_document(ByteView xml, std::string_view root);

// The declaration and the root, open, in S3's namespace.
codec::XmlWriter& begin_s3_document(codec::XmlWriter& xml, std::string_view root);

}  // namespace hr::wire
