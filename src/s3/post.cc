#include "s3/post.h"

#include "codec/form_data.h"
#include "codec/uri.h"
#include "object/notification.h"
#include "s3/key_rules.h"
#include "s3/read.h"
#include "s3/receive.h"
#include "s3/write.h"
#include "wire/s3_headers.h"
#include "wire/s3_post.h"
#include "wire/s3_tagging.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Code;
using wire::S3FormFields;
using wire::S3Result;

// The file of a form as if it were a body of its own. Lives within its request.
class FormFile final : public net::RequestBody {
 public:
  FormFile(net::RequestBody& body, codec::FormDataReader& form, Bytes first)
      : body_(body), form_(form), piece_(std::move(first)) {}

  net::Task<Result<std::string_view>> read() override {
    if (given_) piece_.clear();
    given_ = true;
    while (piece_.empty() && !form_.file_ended()) {
      const auto more = co_await body_.read();
      if (!more) co_return std::unexpected(more.error());
      if (more->empty()) co_return fail(Errc::kInvalid, "the form ends within its file");
      if (auto fed = form_.feed(*more, piece_); !fed) co_return std::unexpected(std::move(fed).error());
    }
    co_return std::string_view(piece_);
  }
  net::Task<Result<std::string>> read_all(std::size_t) override {
    co_return fail(Errc::kUnsupported, "the file of a form is read in pieces");
  }
  std::optional<std::uint64_t> content_length() const override { return std::nullopt; }
  void on_disconnect(std::function<void()>) override {}

 private:
  net::RequestBody& body_;
  codec::FormDataReader& form_;
  Bytes piece_;
  bool given_ = false;
};

wire::S3Error error_of_form(const Error& error) {
  if (error.code == Errc::kLimit) return {S3Code::kMaxPostPreDataLengthExceeded, {}, {}};
  if (error.code == Errc::kTimeout) return {S3Code::kRequestTimeout, {}, {}};
  if (error.code == Errc::kInvalid) return {S3Code::kMalformedPost, {}, {}};
  return {S3Code::kIncompleteBody, {}, {}};
}

// Everything before the file's first byte; what came of the file is in `first`.
net::Task<S3Result<void>> read_fields(net::RequestBody& body, codec::FormDataReader& form, Bytes& first) {
  while (!form.in_file() && !form.file_ended() && !form.ended()) {
    const auto piece = co_await body.read();
    if (!piece) co_return std::unexpected(error_of_form(piece.error()));
    const Status fed = piece->empty() ? form.finish() : form.feed(*piece, first);
    if (!fed) co_return std::unexpected(error_of_form(fed.error()));
  }
  if (form.ended()) {
    co_return wire::s3_bad_argument("file", "0", "POST requires exactly one file upload per request.");
  }
  co_return S3Result<void>();
}

std::string_view field(const S3FormFields& fields, std::string_view name) {
  const auto found = fields.find(std::string(name));
  return found == fields.end() ? std::string_view() : std::string_view(found->second);
}

// No field becomes a header with a line of its own in it.
S3Result<void> check_texts(const S3FormFields& fields) {
  for (const auto& [name, value] : fields) {
    const bool text = name == "tagging" || name == "policy";
    const auto control = [](char c) {
      return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    };
    if (!text && std::ranges::any_of(value, control)) {
      return wire::s3_bad_argument(name, {}, "A form field must not hold control characters.");
    }
  }
  return {};
}

// The fields that are headers of a put, under the names that headers have.
std::vector<std::pair<std::string, std::string>> headers_of(const S3FormFields& fields) {
  constexpr std::string_view kSignature[] = {"x-amz-algorithm", "x-amz-credential", "x-amz-date",
                                             "x-amz-signature"};
  constexpr std::string_view kPlain[] = {"content-type",     "cache-control",    "content-disposition",
                                         "content-encoding", "content-language", "expires",
                                         "content-md5"};
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, value] : fields) {
    if (name == "acl") out.emplace_back("x-amz-acl", value);
    const bool amz =
        name.starts_with("x-amz-") && std::ranges::find(kSignature, name) == std::end(kSignature);
    if (amz || std::ranges::find(kPlain, name) != std::end(kPlain)) out.emplace_back(name, value);
  }
  return out;
}

S3Result<object::PutObject> described(const Request& request, const S3FormFields& fields,
                                      codec::HeaderFields headers) {
  object::PutObject put;
  put.bucket = request.target.bucket;
  put.key = field(fields, "key");
  HR_TRY(wire::check_key(put.key));
  HR_TRY(wire::refuse_unsupported(wire::S3Op::kPutObject, headers));
  HR_ASSIGN(auto described, wire::parse_object_headers(headers));
  put.object.tags = std::move(described.tags);
  describe(put.object, std::move(described));
  if (fields.contains("tagging")) {
    HR_ASSIGN(put.object.tags, wire::parse_tagging(field(fields, "tagging"), wire::kS3ObjectTagsMax));
  }
  put.event_name = "ObjectCreated:Post";
  put.principal = request.identity.access_key;
  put.source_ip = request.head.peer.address;
  put.request_id = request.head.request_id;
  return put;
}

S3Result<UploadSpec> spec_of(const Services& services, const std::optional<wire::S3PostPolicy>& policy,
                             codec::HeaderFields headers) {
  UploadSpec spec;
  spec.open_ended = true;
  spec.bytes = services.limits.body_bytes_max;
  HR_ASSIGN(spec.checks, wire::parse_body_checks(headers));
  if (!spec.checks.trailers.empty()) {
    return wire::s3_fail(S3Code::kInvalidRequest, "A form has no trailer.");
  }
  if (policy && policy->length) {
    spec.bytes_min = policy->length->first;
    spec.bytes = std::min(spec.bytes, policy->length->second);
  }
  return spec;
}

std::string location_of(const Request& request, const std::string& key) {
  const auto host = wire::header(request.headers, "host").value_or("");
  const std::string bucket = request.target.bucket_in_host ? "" : "/" + request.target.bucket;
  return fmt::format("http://{}{}/{}", host, bucket, codec::percent_encode(key, codec::Slash::kKeep));
}

bool is_redirect(std::string_view url) { return url.starts_with("http://") || url.starts_with("https://"); }

// success_action_redirect before success_action_status; what is neither is as if it were not there.
net::Response posted(const Request& request, const S3FormFields& fields, const std::string& key,
                     const std::string& etag) {
  std::string_view redirect = field(fields, "success_action_redirect");
  if (redirect.empty()) redirect = field(fields, "redirect");
  const std::string_view status = field(fields, "success_action_status");
  net::Response response = empty_response(status == "200" ? 200 : 204);
  if (is_redirect(redirect)) {
    response = empty_response(303);
    response.headers.add(
        "Location", fmt::format("{}{}bucket={}&key={}&etag={}", redirect, redirect.contains('?') ? '&' : '?',
                                codec::percent_encode(request.target.bucket), codec::percent_encode(key),
                                codec::percent_encode(quoted(etag))));
  } else {
    const std::string location = location_of(request, key);
    if (status == "201") {
      response = xml_response(wire::write_posted(location, request.target.bucket, key, etag));
      response.status = 201;
    }
    response.headers.add("Location", location);
  }
  response.headers.add("ETag", quoted(etag));
  return response;
}

AnswerTask write_posted_object(Services& services, const Request& request, object::BucketId bucket,
                               const S3FormFields& fields, object::PutObject put, Uploaded uploaded) {
  put.object.bytes = uploaded.bytes;
  put.object.etag = uploaded.etag;
  put.object.checksum = uploaded.checksum;
  put.object.blob = uploaded.blob;
  put.inline_body = std::move(uploaded.inline_body);
  net::Response response = posted(request, fields, put.key, uploaded.etag);
  add_checksum(response, uploaded.checksum);
  auto written = co_await write_put(services, bucket, std::move(put));
  if (written.outcome) {
    if (written.outcome->numbered) {
      response.headers.add("x-amz-version-id", object::show_version(written.outcome->version));
    }
    co_return response;
  }
  if (uploaded.blob && !written.maybe_written) co_await drop_blob(services, *uploaded.blob);
  co_return std::unexpected(std::move(written.outcome).error());
}

struct Form {
  S3FormFields fields;
  std::optional<wire::S3PostPolicy> policy;
};

// Who sends it, and whether its policy lets him.
S3Result<Form> judged_form(const Authorizer& authorizer, Request& request,
                           const codec::FormDataReader& reader, Time wall) {
  Form out;
  HR_ASSIGN(out.fields, wire::form_fields(reader.fields()));
  if (!out.fields.contains("key")) {
    return wire::s3_bad_argument("key", {},
                                 "Bucket POST must contain a field named 'key'.  If it is specified, please "
                                 "check the order of the fields.");
  }
  HR_TRY(authorizer.authorize_form(request, out.fields, wall));
  wire::expand_filename(out.fields, reader.file_name());
  HR_TRY(check_texts(out.fields));
  if (const auto bucket = out.fields.find("bucket");
      bucket != out.fields.end() && bucket->second != request.target.bucket) {
    return wire::s3_fail(S3Code::kAccessDenied, "The form is for another bucket.");
  }
  if (!out.fields.contains("policy")) return out;
  HR_ASSIGN(out.policy, wire::parse_post_policy(field(out.fields, "policy")));
  HR_TRY(wire::check_post_policy(*out.policy, out.fields, request.target.bucket, wall));
  return out;
}

}  // namespace

AnswerTask post_object(Services& services, net::Gate& steps, const Authorizer& authorizer, Request& request,
                       Time wall) {
  auto reader =
      codec::FormDataReader::make(wire::header(request.headers, "content-type").value_or(""), "file");
  if (!reader) {
    co_return wire::s3_fail(S3Code::kPreconditionFailed, {},
                            {{"Condition", "Bucket POST must be of the enclosure-type multipart/form-data"}});
  }
  Bytes first;
  if (auto read = co_await read_fields(request.body, *reader, first); !read) {
    co_return std::unexpected(std::move(read).error());
  }
  const auto form = judged_form(authorizer, request, *reader, wall);
  if (!form) co_return std::unexpected(form.error());
  request.target.key = form->fields.at("key");
  if (auto granted = check_key_rules(request); !granted) {
    co_return std::unexpected(std::move(granted).error());
  }
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId id = (*bucket)->id;
  const auto sent = headers_of(form->fields);
  std::vector<codec::HeaderField> headers;
  for (const auto& [name, value] : sent) headers.push_back({name, value});
  auto put = described(request, form->fields, headers);
  if (!put) co_return std::unexpected(std::move(put).error());
  auto spec = spec_of(services, form->policy, headers);
  if (!spec) co_return std::unexpected(std::move(spec).error());
  FormFile file(request.body, *reader, std::move(first));
  auto uploaded = co_await receive_open_ended(services, steps, file, std::move(*spec));
  if (!uploaded) co_return std::unexpected(std::move(uploaded).error());
  co_return co_await write_posted_object(services, request, id, form->fields, std::move(*put),
                                         std::move(*uploaded));
}

}  // namespace hr::s3
