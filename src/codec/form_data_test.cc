#include "codec/form_data.h"

#include <gtest/gtest.h>

namespace hr::codec {
namespace {

using Fields = std::vector<std::pair<Bytes, Bytes>>;

constexpr ByteView kType = "multipart/form-data; boundary=xYz";

Bytes part(ByteView disposition, ByteView value) {
  return "--xYz\r\nContent-Disposition: form-data; " + Bytes(disposition) + "\r\n\r\n" + Bytes(value) +
         "\r\n";
}

struct Read {
  Status status;
  Bytes file;
  Fields fields;
  Bytes file_name, file_type;
  bool file_ended = false;
};

Read read(ByteView body, std::size_t piece = 1'000'000, FormDataLimits limits = {}) {
  auto reader = FormDataReader::make(kType, "file", limits);
  Read out;
  for (; !body.empty() && out.status; body.remove_prefix(std::min(piece, body.size()))) {
    out.status = reader->feed(body.substr(0, piece), out.file);
  }
  if (out.status) out.status = reader->finish();
  out.fields = reader->fields();
  out.file_name = reader->file_name();
  out.file_type = reader->file_type();
  out.file_ended = reader->file_ended();
  return out;
}

const Bytes kForm = part("name=\"key\"", "user/a") + part("name=\"empty\"", "") + part("name=q", "a\r\nb") +
                    "--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\a\\b.txt\"\r\n"
                    "Content-Type: text/plain\r\n\r\nbody\r\n--xY not yet\r\n--xYz--\r\n";

TEST(FormData, gives_the_fields_and_then_the_file) {
  const Read got = read(kForm);
  ASSERT_TRUE(got.status) << got.status.error().message;
  EXPECT_EQ(got.fields, (Fields{{"key", "user/a"}, {"empty", ""}, {"q", "a\r\nb"}}));
  EXPECT_EQ(got.file, "body\r\n--xY not yet");
  EXPECT_EQ(got.file_name, "C:\\a\\b.txt");
  EXPECT_EQ(got.file_type, "text/plain");
  EXPECT_TRUE(got.file_ended);
}

TEST(FormData, comes_out_the_same_however_it_is_cut) {
  const Read whole = read(kForm);
  for (std::size_t piece = 1; piece < 70; ++piece) {
    const Read got = read(kForm, piece);
    ASSERT_TRUE(got.status) << piece;
    EXPECT_EQ(got.fields, whole.fields) << piece;
    EXPECT_EQ(got.file, whole.file) << piece;
  }
}

TEST(FormData, a_file_may_be_empty_and_whatever_follows_it_is_not_looked_at) {
  const Read got =
      read(part("name=\"file\"; filename=\"\"", "") + part("name=\"key\"", "too late") + "--xYz--");
  ASSERT_TRUE(got.status);
  EXPECT_EQ(got.file, "");
  EXPECT_TRUE(got.file_ended);
  EXPECT_TRUE(got.fields.empty());
}

TEST(FormData, a_form_may_have_no_file) {
  const Read got = read(part("name=\"key\"", "k") + "--xYz--\r\n");
  ASSERT_TRUE(got.status);
  EXPECT_FALSE(got.file_ended);
  EXPECT_EQ(got.fields, (Fields{{"key", "k"}}));
}

TEST(FormData, one_that_ends_too_early_is_refused) {
  for (std::size_t size = 0; size + 8 < kForm.size(); ++size) {
    EXPECT_FALSE(read(kForm.substr(0, size)).status) << size;
  }
}

TEST(FormData, what_comes_before_the_file_is_limited) {
  const Bytes large = part("name=\"a\"", Bytes(21'000, 'x')) + part("name=\"file\"", "f") + "--xYz--";
  EXPECT_EQ(read(large, 4096).status.error().code, Errc::kLimit);
  const Bytes endless = "--xYz\r\nX: " + Bytes(30'000, 'h');
  EXPECT_EQ(read(endless, 4096).status.error().code, Errc::kLimit);
  Bytes many;
  for (int i = 0; i < 3; ++i) many += part("name=\"a\"", "");
  EXPECT_EQ(read(many + "--xYz--", 4096, {.fields_bytes_max = 20'480, .fields_max = 2}).status.error().code,
            Errc::kLimit);
  // A file is not.
  EXPECT_EQ(read(part("name=\"file\"", Bytes(100'000, 'x')) + "--xYz--", 4096).file.size(), 100'000U);
}

TEST(FormData, what_is_no_form_is_refused) {
  for (const ByteView type : {"", "text/plain", "multipart/form-data", "multipart/form-data; boundary=",
                              "multipart/mixed; boundary=x", "multipart/form-data; boundary=\"a\r\n\""}) {
    EXPECT_FALSE(FormDataReader::make(type, "file")) << type;
  }
  EXPECT_TRUE(FormDataReader::make("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", "file"));
  EXPECT_FALSE(read("--xYz\r\nContent-Type: text/plain\r\n\r\nno name\r\n--xYz--").status);
  EXPECT_FALSE(read("--xYz\r\nno colon\r\n\r\nx\r\n--xYz--").status);
  EXPECT_FALSE(read("--xYz\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--xYz--").status);
  EXPECT_FALSE(read("--xYzmore\r\n\r\nx\r\n--xYz--").status);
}

}  // namespace
}  // namespace hr::codec
