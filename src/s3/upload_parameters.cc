#include "s3/upload_parameters.h"

#include "object/coding.h"
#include "wire/s3_multipart.h"

#include <utility>

namespace hr::s3 {

using wire::S3Code;
using wire::S3Result;

std::string parameter(const Request& request, std::string_view name) {
  const Bytes* value = codec::find(request.target.query, name);
  return value ? *value : std::string();
}

std::string shown(object::UploadId id) { return wire::show_upload_id(std::to_underlying(id)); }

S3Result<AskedUpload> asked_upload(Services& services, const Request& request, object::BucketId bucket) {
  const std::string text = parameter(request, "uploadId");
  const auto number = wire::parse_upload_id(text);
  const object::UploadId id{number.value_or(0)};
  const object::OpenUpload* open = services.store.objects().upload(id);
  if (open && open->bucket == bucket && open->key == request.target.key) return AskedUpload{id, open};
  return wire::s3_fail(S3Code::kNoSuchUpload, {}, {{"UploadId", text}});
}

net::Task<S3Result<object::Upload>> read_upload(const Services& services, object::BucketId bucket,
                                                const std::string& key, object::UploadId id) {
  const auto value =
      co_await read_index(services, storage::Table::kUploads, object::upload_key(bucket, key, id));
  if (!value) co_return std::unexpected(value.error());
  if (!*value) co_return wire::s3_fail(S3Code::kNoSuchUpload, {}, {{"UploadId", shown(id)}});
  auto upload = object::decode_upload(**value);
  if (!upload) {
    services.diary.error("s3.upload_corrupt", {{"reason", upload.error().message}});
    co_return std::unexpected(error_of(upload.error()));
  }
  co_return std::move(*upload);
}

}  // namespace hr::s3
