#include "s3/receive.h"

#include "s3/step.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace hr::s3 {
namespace {

using codec::PayloadMode;
using wire::S3Code;
using wire::S3Result;

constexpr std::size_t kFirstStepBytes = 128U << 10;
// From here on a body's bytes are stored and digested by two threads: before, it would only delay the end.
constexpr std::uint64_t kTwoThreadsFrom = 4U << 20;

bool is_streaming(PayloadMode mode) {
  return mode == PayloadMode::kStreamingSigned || mode == PayloadMode::kStreamingSignedTrailer ||
         mode == PayloadMode::kStreamingUnsignedTrailer;
}

S3Result<std::uint64_t> payload_length(const Request& request) {
  const auto decoded = wire::header(request.headers, "x-amz-decoded-content-length");
  if (is_streaming(request.payload)) {
    if (!decoded) return wire::s3_fail(S3Code::kMissingContentLength);
    return wire::parse_length("x-amz-decoded-content-length", *decoded);
  }
  const auto length = request.body.content_length();
  if (!length) return wire::s3_fail(S3Code::kMissingContentLength);
  return *length;
}

codec::ChunkedSpec chunked_spec(const Request& request, std::uint64_t bytes, std::vector<Bytes> trailers) {
  codec::ChunkedSpec out{.mode = request.payload,
                         .decoded_length = bytes,
                         .trailers = std::move(trailers),
                         .key = {},
                         .scope = {},
                         .amz_date = {},
                         .seed_signature = {}};
  if (request.verified) {
    out.key = request.verified->key;
    out.scope = request.verified->scope;
    out.amz_date = request.verified->amz_date;
    out.seed_signature = request.verified->seed_signature;
  }
  return out;
}

S3Result<void> check_trailers(const Request& request, const wire::S3BodyChecks& checks) {
  const bool has_trailer = is_streaming(request.payload) && request.payload != PayloadMode::kStreamingSigned;
  if (checks.trailers.empty() || has_trailer) return {};
  return wire::s3_fail(S3Code::kInvalidRequest, "x-amz-trailer needs a payload form with a trailer.");
}

wire::S3Error no_space() { return error_of({Errc::kNoSpace, {}}); }

wire::S3Error body_error(const Error& error) {
  if (error.code == Errc::kTimeout) return {S3Code::kRequestTimeout, {}, {}};
  if (error.code == Errc::kInvalid) return {S3Code::kMalformedPost, {}, {}};
  return {S3Code::kIncompleteBody, {}, {}};
}

net::Task<S3Result<Uploaded>> receive_small(Services& services, Request& request, UploadSpec spec) {
  Upload upload(std::move(spec), services.blobs);
  for (;;) {
    const auto piece = co_await request.body.read();
    if (!piece) co_return std::unexpected(body_error(piece.error()));
    if (piece->empty()) break;
    if (auto fed = upload.feed(*piece); !fed) co_return std::unexpected(std::move(fed).error());
  }
  co_return upload.finish();
}

// The next step of the body: full, or the last one. `ended` is set when nothing follows.
net::Task<S3Result<std::string>> read_step(net::RequestBody& body, std::size_t bytes, bool& ended) {
  std::string step;
  step.reserve(bytes);
  while (step.size() < bytes) {
    const auto piece = co_await body.read();
    if (!piece) co_return std::unexpected(body_error(piece.error()));
    ended = piece->empty();
    if (ended) break;
    step.append(*piece);
  }
  co_return step;
}

// Small steps at first, so that the first bytes are digested while the last ones of a small body still come;
// large ones later, since each costs two changes of thread.
std::size_t step_bytes(std::uint64_t received, std::size_t most) {
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(most, std::max<std::uint64_t>(kFirstStepBytes, received / 4)));
}

// A step on its way through the pool.
struct Portion {
  std::string bytes;
  std::vector<ByteView> undigested;
};

S3Result<void> take(Upload& upload, Portion& portion, bool two_threads) {
  if (!two_threads) return upload.feed(portion.bytes);
  HR_ASSIGN(portion.undigested, upload.keep(portion.bytes));
  return {};
}

// Takes the steps in order on the pool, one while the next is read; of a long body, one is digested beside
// it. The work shares the upload: should the coroutine be destroyed meanwhile, the pool still has something
// to write to.
class Pump {
 public:
  Pump(Services& services, net::Gate& steps, std::shared_ptr<Upload> upload)
      : services_(services),
        upload_(std::move(upload)),
        taking_(services.runtime, steps),
        digesting_(services.runtime, steps) {}

  net::Task<S3Result<void>> run(net::RequestBody& body) {
    S3Result<void> result;
    std::uint64_t received = 0;
    for (bool ended = false; !ended && result;) {
      auto next = co_await read_step(body, step_bytes(received, services_.limits.upload_step_bytes), ended);
      if (next) received += next->size();
      if (next && services_.store.space_low()) next = std::unexpected(no_space());
      result = co_await taken();
      if (!next) {
        result = std::unexpected(std::move(next).error());
      } else if (result && !next->empty()) {
        start(std::move(*next), received > kTwoThreadsFrom);
      }
    }
    auto last = co_await taken();
    if (result) result = std::move(last);
    if (digesting_.running()) co_await digesting_.wait();
    co_return result;
  }

 private:
  void start(std::string bytes, bool two_threads) {
    portion_ = std::make_shared<Portion>(std::move(bytes));
    taking_.start(
        [upload = upload_, portion = portion_, two_threads] { return take(*upload, *portion, two_threads); });
  }

  // What was started is stored, what was stored before it digested, and the digests go on with it.
  net::Task<S3Result<void>> taken() {
    if (!taking_.running()) co_return S3Result<void>();
    auto result = co_await taking_.wait();
    if (digesting_.running()) co_await digesting_.wait();
    if (result && !portion_->undigested.empty()) {
      digesting_.start([upload = upload_, portion = portion_] {
        upload->digest(portion->undigested);
        return true;
      });
    }
    co_return result;
  }

  Services& services_;
  std::shared_ptr<Upload> upload_;
  Step<S3Result<void>> taking_;
  Step<bool> digesting_;
  std::shared_ptr<Portion> portion_;  // taken last; shared with the work on the pool
};

net::Task<S3Result<Uploaded>> receive_large(Services& services, net::Gate& steps, net::RequestBody& body,
                                            UploadSpec spec) {
  if (services.uploads >= services.limits.uploads_max) co_return wire::s3_fail(S3Code::kSlowDown);
  if (services.store.space_low()) co_return std::unexpected(no_space());
  const UploadSlot slot(services.uploads);
  auto upload = std::make_shared<Upload>(std::move(spec), services.blobs);
  auto pumped = co_await Pump(services, steps, upload).run(body);
  // Either way the end is the pool's: committing syncs, and giving up removes a file.
  co_return co_await services.runtime.on_pool(
      [last = std::move(upload), before = std::move(pumped)]() mutable -> S3Result<Uploaded> {
        const std::shared_ptr<Upload> owned = std::move(last);
        if (!before) return std::unexpected(std::move(before).error());
        return owned->finish();
      });
}

}  // namespace

S3Result<UploadSpec> upload_spec(const Services& services, const Request& request) {
  const std::uint64_t most = services.limits.body_bytes_max;
  UploadSpec spec;
  HR_ASSIGN(spec.bytes, payload_length(request));
  if (spec.bytes > most) {
    return wire::s3_fail(
        S3Code::kEntityTooLarge, {},
        {{"ProposedSize", std::to_string(spec.bytes)}, {"MaxSizeAllowed", std::to_string(most)}});
  }
  HR_ASSIGN(spec.checks, wire::parse_body_checks(request.headers));
  HR_TRY(check_trailers(request, spec.checks));
  if (is_streaming(request.payload)) spec.chunked = chunked_spec(request, spec.bytes, spec.checks.trailers);
  if (request.payload == PayloadMode::kSha256) spec.sha256 = request.body_sha256;
  return spec;
}

net::Task<S3Result<Uploaded>> receive_upload(Services& services, net::Gate& steps, Request& request,
                                             UploadSpec spec) {
  const std::uint64_t bytes = spec.bytes;
  S3Result<Uploaded> uploaded = bytes <= spec.inline_bytes_max
                                    ? co_await receive_small(services, request, std::move(spec))
                                    : co_await receive_large(services, steps, request.body, std::move(spec));
  if (uploaded) services.bytes_in += bytes;
  co_return uploaded;
}

net::Task<S3Result<Uploaded>> receive_open_ended(Services& services, net::Gate& steps, net::RequestBody& body,
                                                 UploadSpec spec) {
  auto uploaded = co_await receive_large(services, steps, body, std::move(spec));
  if (uploaded) services.bytes_in += uploaded->bytes;
  co_return uploaded;
}

}  // namespace hr::s3
