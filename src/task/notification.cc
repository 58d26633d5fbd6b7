// Notifications of S3 as jobs: one for each record.
#include "codec/json.h"
#include "codec/time_text.h"
#include "codec/uri.h"
#include "task/envelope.h"
#include "task/json_slices.h"
#include "task/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::task {
namespace {

// Keys travel as forms write them: '+' for a space, %XX for what is not plain.
Result<Bytes> decoded_key(Bytes key) {
  std::ranges::replace(key, '+', ' ');
  return codec::percent_decode(key);
}

Result<JsonSlices> object_member(const JsonSlices& in, ByteView name) {
  auto out = JsonSlices::read(in.raw(name).value_or("{}"));
  if (!out) return std::unexpected(std::move(out).error().in(name));
  return out;
}

struct Record {
  Bytes bucket, key, etag, event_name, sequencer, time, request_id, configuration;
  std::int64_t size = 0;
};

Result<Record> read_record(ByteView text) {
  HR_ASSIGN(const auto record, JsonSlices::read(text));
  HR_ASSIGN(const auto s3, object_member(record, "s3"));
  HR_ASSIGN(const auto bucket, object_member(s3, "bucket"));
  HR_ASSIGN(const auto object, object_member(s3, "object"));
  HR_ASSIGN(const auto response, object_member(record, "responseElements"));
  Record out;
  const auto take = [](const JsonSlices& from, ByteView name, Bytes& into) -> Status {
    HR_ASSIGN(auto value, from.text(name));
    into = std::move(value).value_or(Bytes());
    return {};
  };
  Bytes key;
  HR_TRY(take(bucket, "name", out.bucket));
  HR_TRY(take(object, "key", key));
  HR_TRY(take(object, "eTag", out.etag));
  HR_TRY(take(object, "sequencer", out.sequencer));
  HR_TRY(take(record, "eventName", out.event_name));
  HR_TRY(take(record, "eventTime", out.time));
  HR_TRY(take(s3, "configurationId", out.configuration));
  HR_TRY(take(response, "x-amz-request-id", out.request_id));
  HR_ASSIGN(const auto size, object.integer("size"));
  out.size = size.value_or(0);
  if (out.bucket.empty() || key.empty() || out.event_name.empty()) {
    return fail(Errc::kInvalid, "a record without eventName, s3.bucket.name or s3.object.key");
  }
  HR_ASSIGN(out.key, decoded_key(std::move(key)));
  return out;
}

Bytes event_text(const Record& record) {
  Bytes text;
  codec::JsonWriter out(text);
  out.begin_object().field("bucket", record.bucket).field("key", record.key).field("size", record.size);
  out.field("etag", record.etag).field("event_name", record.event_name);
  out.field("sequencer", record.sequencer).field("time", record.time);
  out.field("request_id", record.request_id).end_object();
  return text;
}

Job job_of(const Record& record, Bytes id) {
  Job job;
  job.call.id = std::move(id);
  job.call.keep_result = true;
  job.call.request_id = record.request_id;
  if (const auto time = codec::parse_iso8601(record.time)) job.call.sent = to_ms(*time);
  job.event = event_text(record);
  job.configuration = record.configuration;
  return job;
}

}  // namespace

Job raw_job(const Bytes& task, const RawMessage& message) {
  Job job;
  job.call.id = name_uuid(message.id + "#0").text();
  job.call.task = task;
  job.call.sent = message.sent;
  job.call.keep_result = false;
  codec::JsonWriter out(job.event);
  out.begin_object().field("id", message.id).field("body", message.body).field("sent", message.sent);
  out.key("attributes").begin_object();
  for (const auto& [name, value] : message.attributes) out.field(name, value);
  out.end_object().end_object();
  return job;
}

Result<std::vector<Job>> read_notification(const JsonSlices& in, ByteView message_id) {
  HR_ASSIGN(const auto records, read_array(in.raw("Records").value_or("null")));
  std::vector<Job> out;
  for (const ByteView text : records) {
    auto record = read_record(text);
    if (!record) return std::unexpected(std::move(record).error().in(fmt::format("record {}", out.size())));
    out.push_back(job_of(*record, name_uuid(fmt::format("{}#{}", message_id, out.size())).text()));
    if (records.size() > 1) out.back().dead_body = fmt::format("{{\"Records\":[{}]}}", text);
  }
  return out;
}

}  // namespace hr::task
