#include "codec/form_data.h"

#include "codec/header_field.h"

#include <algorithm>

namespace hr::codec {
namespace {

constexpr std::size_t kBoundaryBytesMax = 70;  // RFC 2046, section 5.1.1

ByteView trimmed(ByteView text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == ByteView::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_boundary(ByteView text) {
  return !text.empty() && text.size() <= kBoundaryBytesMax && text.back() != ' ' &&
         std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

// A token, or a quoted string whose backslashes escape quotes only: browsers send Windows paths as they are.
Bytes take_value(ByteView& rest) {
  if (!rest.starts_with('"')) {
    const auto end = rest.find(';');
    const ByteView token = trimmed(rest.substr(0, end));
    rest = end == ByteView::npos ? ByteView() : rest.substr(end);
    return Bytes(token);
  }
  Bytes out;
  std::size_t at = 1;
  for (; at < rest.size() && rest[at] != '"'; ++at) {
    if (rest[at] == '\\' && at + 1 < rest.size() && rest[at + 1] == '"') ++at;
    out += rest[at];
  }
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return out;
}

// The parameters behind the first ';' of a header's value, names in lower case.
std::vector<std::pair<Bytes, Bytes>> parameters(ByteView value) {
  std::vector<std::pair<Bytes, Bytes>> out;
  auto semicolon = value.find(';');
  ByteView rest = semicolon == ByteView::npos ? ByteView() : value.substr(semicolon);
  while (rest.starts_with(';')) {
    rest = rest.substr(1);
    const auto equals = rest.find('=');
    if (equals == ByteView::npos) break;
    const Bytes name = lower_case(trimmed(rest.substr(0, equals)));
    rest = rest.substr(equals + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    Bytes text = take_value(rest);
    rest.remove_prefix(std::min(rest.find(';'), rest.size()));
    out.emplace_back(name, std::move(text));
  }
  return out;
}

const Bytes* find_parameter(const std::vector<std::pair<Bytes, Bytes>>& all, ByteView name) {
  const auto at = std::ranges::find(all, name, &std::pair<Bytes, Bytes>::first);
  return at == all.end() ? nullptr : &at->second;
}

std::unexpected<Error> malformed(std::string_view why) { return fail(Errc::kInvalid, std::string(why)); }

}  // namespace

FormDataReader::FormDataReader(Bytes boundary, Bytes file_field, Limits limits)
    : delimiter_("\r\n--" + boundary), file_field_(std::move(file_field)), limits_(limits) {}

Result<FormDataReader> FormDataReader::make(ByteView content_type, ByteView file_field, Limits limits) {
  const Bytes type = lower_case(trimmed(content_type.substr(0, content_type.find(';'))));
  if (type != "multipart/form-data") return malformed("the body is not multipart/form-data");
  const auto all = parameters(content_type);
  const Bytes* boundary = find_parameter(all, "boundary");
  if (!boundary || !is_boundary(*boundary)) return malformed("multipart/form-data without a boundary");
  return FormDataReader(*boundary, Bytes(file_field), limits);
}

Status FormDataReader::feed(ByteView bytes, Bytes& file) {
  if (file_ended() || ended()) return {};
  if (!in_file()) before_file_ += bytes.size();
  buffer_.append(bytes);
  for (;;) {
    HR_ASSIGN(const bool on, step(file));
    if (!on) break;
  }
  // What is left of the buffer is part of the file where that has begun.
  if (state_ < State::kFile && before_file_ > limits_.fields_bytes_max) {
    return fail(Errc::kLimit, "too many bytes before the file");
  }
  return {};
}

Status FormDataReader::finish() const {
  if (file_ended() || ended()) return {};
  return malformed("the form ends before its last boundary");
}

Result<bool> FormDataReader::step(Bytes& file) {
  switch (state_) {
    case State::kPreamble: {
      Bytes ignored;
      return take_body(ignored);
    }
    case State::kDelimiter:
      return take_delimiter();
    case State::kHeaders:
      return take_headers();
    case State::kField: {
      const bool on = take_body(value_);
      if (on) HR_TRY(keep_field());
      return on;
    }
    case State::kFile: {
      const bool on = take_body(file);
      if (on) state_ = State::kAfter;
      return false;
    }
    case State::kAfter:
    case State::kEnd:
      break;
  }
  return false;
}

// Everything up to the next delimiter, or all that cannot be the beginning of one.
bool FormDataReader::take_body(Bytes& out) {
  const auto at = buffer_.find(delimiter_);
  if (at != Bytes::npos) {
    out.append(buffer_, 0, at);
    buffer_.erase(0, at + delimiter_.size());
    state_ = State::kDelimiter;
    return true;
  }
  const std::size_t safe = buffer_.size() - std::min(buffer_.size(), delimiter_.size() - 1);
  out.append(buffer_, 0, safe);
  buffer_.erase(0, safe);
  return false;
}

// Behind a delimiter: "--" at the end, else blanks and a line end.
Result<bool> FormDataReader::take_delimiter() {
  if (buffer_.starts_with("--")) {
    state_ = State::kEnd;
    return false;
  }
  const auto end = buffer_.find("\r\n");
  if (end == Bytes::npos) {
    if (buffer_.find_first_not_of(" \t\r-") != Bytes::npos)
      return malformed("a boundary with more behind it");
    return false;
  }
  if (!trimmed(ByteView(buffer_).substr(0, end)).empty()) return malformed("a boundary with more behind it");
  buffer_.erase(0, end);  // the line end stays: the headers may be none
  state_ = State::kHeaders;
  part_ = {};
  value_.clear();
  return true;
}

Result<bool> FormDataReader::take_headers() {
  const auto end = buffer_.find("\r\n\r\n");
  if (end == Bytes::npos) return false;
  const Bytes block = buffer_.substr(0, end);
  ByteView rest(block);
  while (rest.starts_with("\r\n")) {
    rest = rest.substr(2);
    const auto line = rest.substr(0, rest.find("\r\n"));
    HR_TRY(take_header(line));
    rest.remove_prefix(line.size());
  }
  buffer_.erase(0, end + 4);
  if (part_.name.empty()) return malformed("a part without a name");
  if (lower_case(part_.name) == file_field_) {
    if (before_file_ > limits_.fields_bytes_max + buffer_.size()) {
      return fail(Errc::kLimit, "too many bytes before the file");
    }
    state_ = State::kFile;
    return true;
  }
  state_ = State::kField;
  return true;
}

Status FormDataReader::take_header(ByteView line) {
  const auto colon = line.find(':');
  if (colon == ByteView::npos) return malformed("a part's header without a colon");
  const Bytes name = lower_case(trimmed(line.substr(0, colon)));
  const ByteView value = trimmed(line.substr(colon + 1));
  if (name == "content-type") part_.type = value;
  if (name != "content-disposition") return {};
  if (lower_case(trimmed(value.substr(0, value.find(';')))) != "form-data") {
    return malformed("a part that is no form-data");
  }
  const auto all = parameters(value);
  if (const Bytes* text = find_parameter(all, "name")) part_.name = *text;
  if (const Bytes* text = find_parameter(all, "filename")) part_.file_name = *text;
  return {};
}

Status FormDataReader::keep_field() {
  if (fields_.size() == limits_.fields_max) return fail(Errc::kLimit, "too many fields");
  fields_.emplace_back(std::move(part_.name), std::move(value_));
  return {};
}

}  // namespace hr::codec
