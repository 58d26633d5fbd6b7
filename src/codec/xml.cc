#include "codec/xml.h"

#include "base/check.h"
#include "codec/utf8.h"

#include <expat.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>

namespace hr::codec {

const XmlNode* XmlNode::child(ByteView child_name) const {
  for (const XmlNode& node : children) {
    if (node.name == child_name) return &node;
  }
  return nullptr;
}

const Bytes* XmlNode::child_text(ByteView child_name) const {
  const XmlNode* node = child(child_name);
  return node != nullptr ? &node->text : nullptr;
}

namespace {

ByteView local_name(ByteView name) {
  const std::size_t colon = name.rfind(':');
  return colon == ByteView::npos ? name : name.substr(colon + 1);
}

bool declares_namespace(ByteView name) { return name == "xmlns" || name.starts_with("xmlns:"); }

// Builds the tree from expat's callbacks.
class XmlReader {
 public:
  explicit XmlReader(XmlLimits limits) : limits_(limits), parser_(XML_ParserCreate("UTF-8")) {
    if (!parser_) throw std::bad_alloc();
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(parser_.get(), on_start, on_end);
    XML_SetCharacterDataHandler(parser_.get(), on_text);
    XML_SetStartDoctypeDeclHandler(parser_.get(), on_doctype);
  }

  Result<XmlNode> read(ByteView text) {
    const auto status = XML_Parse(parser_.get(), text.data(), static_cast<int>(text.size()), XML_TRUE);
    if (status == XML_STATUS_OK) return std::move(root_);
    if (!refusal_) refusal_ = Error{Errc::kInvalid, XML_ErrorString(XML_GetErrorCode(parser_.get()))};
    refusal_->message =
        fmt::format("not acceptable XML at line {}, column {}: {}", XML_GetCurrentLineNumber(parser_.get()),
                    XML_GetCurrentColumnNumber(parser_.get()), refusal_->message);
    return std::unexpected(std::move(*refusal_));
  }

 private:
  static XmlReader& self(void* user_data) { return *static_cast<XmlReader*>(user_data); }

  static void XMLCALL on_start(void* user_data, const XML_Char* name, const XML_Char** attributes) {
    self(user_data).start(name, attributes);
  }
  // expat may still call these two once after it was told to stop.
  static void XMLCALL on_end(void* user_data, const XML_Char*) {
    XmlReader& reader = self(user_data);
    if (!reader.refusal_) reader.open_.pop_back();
  }
  static void XMLCALL on_text(void* user_data, const XML_Char* text, int length) {
    XmlReader& reader = self(user_data);
    if (!reader.refusal_) reader.open_.back()->text.append(text, static_cast<std::size_t>(length));
  }
  static void XMLCALL on_doctype(void* user_data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    self(user_data).refuse(Errc::kInvalid, "a document type is not accepted");
  }

  void refuse(Errc code, std::string message) {
    if (!refusal_) refusal_ = Error{code, std::move(message)};
    XML_StopParser(parser_.get(), XML_FALSE);
  }

  void start(const XML_Char* name, const XML_Char** attributes) {
    if (open_.size() == limits_.depth_max) {
      return refuse(Errc::kLimit, fmt::format("elements deeper than {}", limits_.depth_max));
    }
    // Only the last child of an open element is ever open, so a pointer to it stays good until it is closed.
    XmlNode& node = open_.empty() ? root_ : open_.back()->children.emplace_back();
    node.name = local_name(name);
    open_.push_back(&node);
    count_node();
    for (const XML_Char** at = attributes; *at != nullptr && !refusal_; at += 2) {
      if (declares_namespace(at[0])) continue;
      node.attributes.emplace_back(local_name(at[0]), at[1]);
      count_node();
    }
  }

  void count_node() {
    if (++nodes_ > limits_.nodes_max) {
      refuse(Errc::kLimit, fmt::format("more than {} elements and attributes", limits_.nodes_max));
    }
  }

  struct Free {
    void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
  };

  XmlLimits limits_;
  std::unique_ptr<std::remove_pointer_t<XML_Parser>, Free> parser_;
  XmlNode root_;
  std::vector<XmlNode*> open_;
  std::size_t nodes_ = 0;
  std::optional<Error> refusal_;
};

}  // namespace

Result<XmlNode> parse_xml(ByteView text, XmlLimits limits) {
  static constexpr std::size_t kExpatMax = 1u << 30;  // it counts in int
  if (text.size() > std::min(limits.bytes_max, kExpatMax)) {
    return fail(Errc::kLimit, fmt::format("an XML text of more than {} bytes", limits.bytes_max));
  }
  // Before expat looks for byte order marks: it would also read UTF-16.
  if (!valid_xml_chars(text)) return fail(Errc::kInvalid, "XML must be UTF-8 without control characters");
  return XmlReader(limits).read(text);
}

namespace {

// Appends what stands for one byte, if it cannot stand for itself. Line ends are kept in text only: in an
// attribute a reader would turn them into spaces.
enum class Place : std::uint8_t { kText, kAttribute };

// Printable ASCII without markup, as most texts are. No branch for each byte: it is compiled to a few for
// all.
bool stands_for_itself(ByteView v) {
  bool plain = true;
  for (const char c : v) {
    const auto byte = static_cast<unsigned char>(c);
    plain &= (byte >= 0x20) & (byte < 0x7F) & (c != '&') & (c != '<') & (c != '>') & (c != '"');
  }
  return plain;
}

void append_escaped(Bytes& out, ByteView v, Place place) {
  if (stands_for_itself(v)) {
    out.append(v);
    return;
  }
  if (!valid_utf8(v)) return append_escaped(out, repaired_utf8(v), place);
  for (const char c : v) {
    const auto byte = static_cast<unsigned char>(c);
    const bool kept_control = (c == '\n' || c == '\t') && place == Place::kText;
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if ((byte < 0x20 && !kept_control) || byte == 0x7F) {
          fmt::format_to(std::back_inserter(out), "&#x{:X};", static_cast<unsigned>(byte));
        } else {
          out.push_back(c);
        }
    }
  }
}

}  // namespace

XmlWriter& XmlWriter::declaration() {
  out_ += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  return *this;
}

XmlWriter& XmlWriter::open(ByteView name, std::initializer_list<Attribute> attributes) {
  out_.append("<").append(name);
  for (const auto& [key, value] : attributes) {
    out_.append(" ").append(key).append("=\"");
    append_escaped(out_, value, Place::kAttribute);
    out_.push_back('"');
  }
  out_.push_back('>');
  open_.emplace_back(name);
  return *this;
}

XmlWriter& XmlWriter::close() {
  HR_CHECK(!open_.empty());
  out_.append("</").append(open_.back()).append(">");
  open_.pop_back();
  return *this;
}

XmlWriter& XmlWriter::text(ByteView v) {
  append_escaped(out_, v, Place::kText);
  return *this;
}

XmlWriter& XmlWriter::raw(ByteView xml) {
  out_.append(xml);
  return *this;
}

XmlWriter& XmlWriter::element(ByteView name, ByteView v) {
  out_.append("<").append(name).append(">");
  text(v);
  out_.append("</").append(name).append(">");
  return *this;
}

XmlWriter& XmlWriter::element(ByteView name, std::int64_t v) {
  const fmt::format_int digits(v);
  return element(name, ByteView(digits.data(), digits.size()));
}

bool valid_xml_chars(ByteView utf8) {
  if (!valid_utf8(utf8)) return false;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
    if (c == 0xEF && utf8.substr(i).starts_with("\xEF\xBF") &&
        static_cast<unsigned char>(utf8[i + 2]) >= 0xBE) {
      return false;
    }
  }
  return true;
}

}  // namespace hr::codec
