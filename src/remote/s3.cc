#include "remote/s3.h"

#include "codec/base64.h"
#include "codec/digest.h"
#include "codec/time_text.h"
#include "codec/xml.h"
#include "wire/s3_documents.h"

#include <charconv>

namespace hr::remote {
namespace {

Bytes path_of(ByteView bucket, ByteView key = {}) {
  Bytes out = "/" + codec::percent_encode(bucket);
  if (!key.empty()) out += "/" + codec::percent_encode(key, codec::Slash::kKeep);
  return out;
}

std::unexpected<Fault> unreadable(const Bytes& what) {
  return std::unexpected(Fault{FaultKind::kServer, 200, "", "an answer that S3 does not give: " + what});
}

std::uint64_t number(const Bytes* text) {
  std::uint64_t out = 0;
  if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), out);
  return out;
}

}  // namespace

net::Task<Answer<codec::Response>> S3::call(Services::Request request, CallOptions options) {
  request.service = "s3";
  // What it does is done once however often it is asked, but where a condition decides.
  const bool decided = codec::find(request.headers, "if-none-match") != nullptr ||
                       codec::find(request.headers, "if-match") != nullptr;
  request.repeat = decided ? Repeat::kRefused : Repeat::kAlways;
  auto answer = co_await services_.call(std::move(request), std::move(options));
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (answer->status / 100 != 2) co_return std::unexpected(fault_of_s3(*answer));
  co_return std::move(*answer);
}

net::Task<Answer<void>> S3::create_bucket(Bytes bucket, CallOptions options) {
  Bytes body;
  if (services_.s3_place().region != "us-east-1") {
    codec::XmlWriter(body)
        .open("CreateBucketConfiguration", {{"xmlns", "http://s3.amazonaws.com/doc/2006-03-01/"}})
        .element("LocationConstraint", services_.s3_place().region)
        .close();
  }
  const auto answer = co_await call(
      {.service = {}, .method = "PUT", .path = path_of(bucket), .body = std::move(body)}, std::move(options));
  if (!answer && answer.error().code != "BucketAlreadyOwnedByYou") co_return std::unexpected(answer.error());
  co_return Answer<void>();
}

net::Task<Answer<Bytes>> S3::put(PutCall put, CallOptions options) {
  codec::Pairs headers = {{"content-type", std::move(put.content_type)}};
  if (put.if_none_match) headers.emplace_back("if-none-match", "*");
  if (!put.if_match.empty()) headers.emplace_back("if-match", std::move(put.if_match));
  const auto answer = co_await call({.service = {},
                                     .method = "PUT",
                                     .path = path_of(put.bucket, put.key),
                                     .headers = std::move(headers),
                                     .body = std::move(put.body)},
                                    std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  const Bytes* etag = answer->header("etag");
  co_return etag != nullptr ? *etag : Bytes();
}

net::Task<Answer<Bytes>> S3::get(Bytes bucket, Bytes key, CallOptions options) {
  auto object = co_await get_tagged(std::move(bucket), std::move(key), std::move(options));
  if (!object) co_return std::unexpected(std::move(object).error());
  co_return std::move(object->body);
}

net::Task<Answer<TaggedObject>> S3::get_tagged(Bytes bucket, Bytes key, CallOptions options) {
  auto answer =
      co_await call({.service = {}, .method = "GET", .path = path_of(bucket, key)}, std::move(options));
  if (!answer) co_return std::unexpected(std::move(answer).error());
  const Bytes* etag = answer->header("etag");
  co_return TaggedObject{.body = std::move(answer->body), .etag = etag != nullptr ? *etag : Bytes()};
}

net::Task<Answer<void>> S3::touch(Bytes bucket, Bytes key, CallOptions options) {
  const Bytes path = path_of(bucket, key);
  const auto answer = co_await call({.service = {},
                                     .method = "PUT",
                                     .path = path,
                                     .headers = {{"content-type", "application/json"},
                                                 {"x-amz-copy-source", path},
                                                 {"x-amz-metadata-directive", "REPLACE"}}},
                                    std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  co_return Answer<void>();
}

net::Task<Answer<void>> S3::erase(Bytes bucket, Bytes key, CallOptions options) {
  const auto answer =
      co_await call({.service = {}, .method = "DELETE", .path = path_of(bucket, key)}, std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  co_return Answer<void>();
}

net::Task<Answer<ListPage>> S3::list(Bytes bucket, Bytes prefix, Bytes after, CallOptions options) {
  codec::Pairs query = {{"encoding-type", "url"}, {"list-type", "2"}, {"prefix", std::move(prefix)}};
  if (!after.empty()) query.emplace_back("continuation-token", std::move(after));
  const auto answer =
      co_await call({.service = {}, .method = "GET", .path = path_of(bucket), .query = std::move(query)},
                    std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  const auto xml = codec::parse_xml(answer->body);
  if (!xml) co_return unreadable(xml.error().message);
  ListPage page;
  for (const auto& child : xml->children) {
    const Bytes* key = child.name == "Contents" ? child.child_text("Key") : nullptr;
    if (key == nullptr) continue;
    auto decoded = codec::percent_decode(*key);
    if (!decoded) co_return unreadable(decoded.error().message);
    const Bytes* modified = child.child_text("LastModified");
    const auto when = codec::parse_iso8601(modified != nullptr ? ByteView(*modified) : ByteView());
    page.objects.push_back({.key = std::move(*decoded),
                            .bytes = number(child.child_text("Size")),
                            .modified = when ? to_ms(*when) : 0});
  }
  if (const Bytes* next = xml->child_text("NextContinuationToken")) page.next = *next;
  co_return page;
}

net::Task<Answer<std::vector<wire::S3QueueRule>>> S3::notifications(Bytes bucket, CallOptions options) {
  const auto answer = co_await call(
      {.service = {}, .method = "GET", .path = path_of(bucket), .query = {{"notification", ""}}},
      std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  auto rules = wire::parse_notification(answer->body);
  if (!rules) co_return unreadable(rules.error().message);
  co_return std::move(*rules);
}

net::Task<Answer<void>> S3::set_notifications(Bytes bucket, std::vector<wire::S3QueueRule> rules,
                                              CallOptions options) {
  Bytes body = wire::write_notification(rules);
  codec::Pairs headers = {{"content-md5", codec::base64_encode(codec::md5(body))}};
  const auto answer = co_await call({.service = {},
                                     .method = "PUT",
                                     .path = path_of(bucket),
                                     .query = {{"notification", ""}},
                                     .headers = std::move(headers),
                                     .body = std::move(body)},
                                    std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  co_return Answer<void>();
}

}  // namespace hr::remote
