// CompleteMultipartUpload: the parts that the request lists become one object. Their blobs are taken over as
// they are; the object's body is the list of them.
#include "codec/base64.h"
#include "object/coding.h"
#include "object/listing.h"
#include "object/notification.h"
#include "s3/assemble.h"
#include "s3/multipart.h"
#include "s3/read.h"
#include "s3/upload_parameters.h"
#include "s3/versions.h"
#include "s3/write.h"
#include "wire/s3_headers.h"
#include "wire/s3_multipart.h"

#include <fmt/format.h>

#include <utility>

namespace hr::s3 {
namespace {

using object::Fault;
using object::UploadId;
using wire::S3Code;
using wire::S3Result;
using Outcome = object::Outcome<object::WriteDone>;

// What the request says, as often as it has to be looked at.
struct Asked {
  object::BucketId bucket{};
  UploadId upload{};
  std::vector<wire::S3CompletedPart> parts;
  wire::S3WriteCondition condition;
};

struct Attempt {
  std::optional<Outcome> outcome;
  Status status;
  object::Object object;
};

net::Task<S3Result<std::vector<object::ListedPart>>> read_parts(Services& services, UploadId upload) {
  const storage::Index& index = services.index;
  auto page = co_await services.runtime.on_pool(
      [&index, upload] { return object::list_parts(index, upload, 0, wire::kS3PartsMax); });
  if (!page) {
    services.diary.error("s3.parts_unreadable", {{"reason", page.error().message}});
    co_return std::unexpected(error_of(page.error()));
  }
  co_return std::move(page->parts);
}

object::CompleteUpload command_of(const Request& request, const Asked& asked, object::Upload upload,
                                  Assembled assembled) {
  object::CompleteUpload out;
  out.upload = asked.upload;
  out.put.bucket = request.target.bucket;
  out.put.key = request.target.key;
  out.put.object = std::move(upload.object);
  out.put.object.bytes = assembled.bytes;
  out.put.object.etag = std::move(assembled.etag);
  out.put.object.checksum = std::move(assembled.checksum);
  out.put.object.parts = static_cast<std::uint32_t>(assembled.manifest.size());
  out.put.inline_body = object::encode(assembled.manifest);
  out.put.condition = {.if_none_match_any = asked.condition.if_none_match_any,
                       .if_match = asked.condition.if_match};
  out.put.event_name = "ObjectCreated:CompleteMultipartUpload";
  out.put.principal = request.identity.access_key;
  out.put.source_ip = request.head.peer.address;
  out.put.request_id = request.head.request_id;
  for (const wire::S3CompletedPart& part : asked.parts) out.kept.push_back(part.number);
  return out;
}

net::Task<S3Result<Attempt>> attempt(Services& services, const Request& request, const Asked& asked) {
  const object::Watch parts_watch = services.store.objects().watch_parts(asked.upload);
  const object::Watch key_watch = services.store.objects().watch_key(asked.bucket, request.target.key);
  auto upload = co_await read_upload(services, asked.bucket, request.target.key, asked.upload);
  if (!upload && upload.error().code == S3Code::kNoSuchUpload) {  // closed meanwhile
    co_return Attempt{.outcome = std::unexpected(Fault::kNoSuchUpload), .status = {}, .object = {}};
  }
  if (!upload) co_return std::unexpected(std::move(upload).error());
  auto there = co_await read_parts(services, asked.upload);
  if (!there) co_return std::unexpected(std::move(there).error());
  auto known = co_await read_version(services, asked.bucket, request.target.key);
  if (!known) co_return std::unexpected(std::move(known).error());
  auto assembled = assemble(*upload, *there, asked.parts, request.headers);
  Attempt out;
  // A list that does not fit is judged when everything decided so far is in the index: the change waits for
  // it.
  std::optional<wire::S3Error> unfit;
  object::CompleteUpload command;
  if (assembled) {
    command = command_of(request, asked, std::move(*upload), std::move(*assembled));
    out.object = command.put.object;
  } else {
    unfit = std::move(assembled).error();
  }
  commit::Cost cost{.records = 3, .bytes = cost_of(command.put) * 2, .space = storage::Space::kGrow};
  cost.bytes += command.kept.size() * 2;
  cost.events = events_per_change(services, request.target.bucket);
  const auto decide = [&](object::Engine& engine, Time now, object::Effects& effects) {
    const object::OpenUpload* open = engine.upload(asked.upload);
    if (!same_bucket(engine, request.target.bucket, asked.bucket)) {
      out.outcome = std::unexpected(Fault::kNoSuchBucket);
    } else if (unfit) {
      const bool current = open && open->pending_parts == 0 && !parts_watch.moved();
      out.outcome = std::unexpected(!open     ? Fault::kNoSuchUpload
                                    : current ? Fault::kNoSuchKey
                                              : Fault::kStale);
    } else {
      out.outcome = engine.complete_upload(std::move(command), parts_watch, key_watch, *known, now, effects);
    }
  };
  out.status = co_await net::await_call<Status>(
      [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
  const bool stays_unfit = unfit && out.outcome && out.outcome->error() == Fault::kNoSuchKey;
  if (stays_unfit) co_return std::unexpected(std::move(*unfit));
  co_return out;
}

net::Response completed(const Request& request, const object::Object& object) {
  const auto host = wire::header(request.headers, "host").value_or("");
  wire::S3Completed out{.location = fmt::format("http://{}{}", host, request.target.path),
                        .bucket = request.target.bucket,
                        .key = request.target.key,
                        .etag = object.etag,
                        .checksum_algorithm = {},
                        .checksum = {},
                        .checksum_composite = false};
  if (object.checksum) {
    out.checksum_algorithm = object.checksum->algorithm;
    out.checksum = object.checksum->value;
    out.checksum_composite = object.checksum->composite();
  }
  return xml_response(wire::write_completed(out));
}

// Who asks again for what has been done gets the same answer, as long as the object is the one it made.
AnswerTask answer_again(Services& services, const Request& request, object::BucketId bucket, UploadId upload,
                        const std::vector<wire::S3CompletedPart>& parts) {
  // What closed the upload may not be in the index yet; a change of nothing waits for it.
  const commit::Cost nothing{.records = 0, .bytes = 0, .space = storage::Space::kShrink, .events = 0};
  const Status applied = co_await net::await_call<Status>([&](auto done) {
    services.store.change_objects(nothing, [](object::Engine&, Time, object::Effects&) {}, std::move(done));
  });
  if (!applied) co_return std::unexpected(error_of(applied.error()));
  const auto object = co_await read_version(services, bucket, request.target.key);
  if (!object) co_return std::unexpected(object.error());
  const bool same = *object && (*object)->parts > 0 && (*object)->upload == upload;
  if (same && (*object)->etag == etag_of_parts(parts)) {
    net::Response response = completed(request, **object);
    if ((*object)->numbered)
      response.headers.add("x-amz-version-id", object::show_version((*object)->version));
    co_return response;
  }
  co_return wire::s3_fail(S3Code::kNoSuchUpload, {}, {{"UploadId", shown(upload)}});
}

}  // namespace

AnswerTask complete_multipart_upload(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  Asked asked;
  asked.bucket = (*bucket)->id;
  auto condition = wire::parse_write_condition(request.headers);
  if (!condition) co_return std::unexpected(std::move(condition).error());
  asked.condition = std::move(*condition);
  const std::string text = parameter(request, "uploadId");
  asked.upload = UploadId{wire::parse_upload_id(text).value_or(0)};
  const auto body = co_await read_small_body(request, wire::kS3CompleteXmlBytesMax);
  if (!body) co_return std::unexpected(body.error());
  auto parts = wire::parse_complete(*body);
  if (!parts) co_return std::unexpected(std::move(parts).error());
  asked.parts = std::move(*parts);
  for (int tries = 0; tries <= services.limits.stale_retries_max; ++tries) {
    if (!asked_upload(services, request, asked.bucket)) {
      co_return co_await answer_again(services, request, asked.bucket, asked.upload, asked.parts);
    }
    const auto tried = co_await attempt(services, request, asked);
    if (!tried) co_return std::unexpected(tried.error());
    if (!tried->outcome) co_return std::unexpected(error_of(tried->status.error()));
    if (*tried->outcome) {
      if (!tried->status) co_return std::unexpected(error_of(tried->status.error()));
      net::Response response = completed(request, tried->object);
      if ((*tried->outcome)->numbered) {
        response.headers.add("x-amz-version-id", object::show_version((*tried->outcome)->version));
      }
      co_return response;
    }
    const Fault fault = tried->outcome->error();
    if (fault != Fault::kStale && fault != Fault::kNoSuchUpload) co_return std::unexpected(error_of(fault));
  }
  co_return std::unexpected(error_of(Fault::kStale));
}

}  // namespace hr::s3
