// multipart/form-data (RFC 7578), read as it arrives: the small fields first, then one file whose bytes are
// passed on. Memory is bounded by the fields' limit whatever the file's size. What follows the file is not
// looked at, but the end of the file must be there. Pure.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace hr::codec {

struct FormDataLimits {
  std::size_t fields_bytes_max = 20'480;  // all that comes before the file
  std::size_t fields_max = 256;
};

class FormDataReader {
 public:
  using Limits = FormDataLimits;
  // The boundary of a Content-Type header. kInvalid: another type, or no usable boundary.
  static Result<FormDataReader> make(ByteView content_type, ByteView file_field, Limits limits = {});

  // The next bytes of the body; what of them belongs to the file is appended to `file`. kInvalid: no such
  // document; kLimit: too much before the file.
  Status feed(ByteView bytes, Bytes& file);
  // The body has ended. kInvalid: too early.
  Status finish() const;

  bool in_file() const { return state_ == State::kFile; }  // its fields are all there
  bool file_ended() const { return state_ == State::kAfter; }
  bool ended() const { return state_ == State::kEnd; }  // without a file

  const std::vector<std::pair<Bytes, Bytes>>& fields() const { return fields_; }  // names as sent, in order
  const Bytes& file_name() const { return part_.file_name; }
  const Bytes& file_type() const { return part_.type; }  // its Content-Type; may be empty

 private:
  enum class State : std::uint8_t { kPreamble, kDelimiter, kHeaders, kField, kFile, kAfter, kEnd };
  struct Part {
    Bytes name, file_name, type;
  };

  FormDataReader(Bytes boundary, Bytes file_field, Limits limits);
  // One step; false: more bytes are needed.
  Result<bool> step(Bytes& file);
  Result<bool> take_delimiter();
  Result<bool> take_headers();
  Status take_header(ByteView line);
  bool take_body(Bytes& out);
  Status keep_field();

  Bytes delimiter_;
  Bytes file_field_;
  Limits limits_;
  State state_ = State::kPreamble;
  Bytes buffer_ = "\r\n";  // the first boundary may be the first line
  std::size_t before_file_ = 0;
  Part part_;
  Bytes value_;
  std::vector<std::pair<Bytes, Bytes>> fields_;
};

}  // namespace hr::codec
