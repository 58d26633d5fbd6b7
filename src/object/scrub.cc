#include "object/scrub.h"

#include "codec/base64.h"
#include "codec/json.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace hr::object {
namespace {

using codec::Json;
using codec::JsonWriter;
using storage::Table;

constexpr Duration kLook = 1s;

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::string_view name_of(Table table) {
  return table == Table::kParts ? "parts" : table == Table::kVersions ? "versions" : "objects";
}

std::optional<Table> parse_table(std::string_view name) {
  for (const Table table : {Table::kObjects, Table::kVersions, Table::kParts}) {
    if (name_of(table) == name) return table;
  }
  return std::nullopt;
}

std::optional<std::string> text_field(const Json& json, std::string_view name) {
  const Json* found = json.find(name);
  const Bytes* text = found ? found->as_string() : nullptr;
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

std::optional<Bytes> hex_field(const Json& json, std::string_view name) {
  const auto text = text_field(json, name);
  const auto bytes = text ? codec::from_hex(*text) : Result<Bytes>(fail(Errc::kInvalid, "no text"));
  return bytes ? std::optional<Bytes>(*bytes) : std::nullopt;
}

std::optional<std::int64_t> int_field(const Json& json, std::string_view name) {
  const Json* found = json.find(name);
  return found ? found->as_int() : std::nullopt;
}

void write(JsonWriter& out, const Damage& damage) {
  out.begin_object().field("bucket", damage.bucket).field("key", to_hex(damage.key));
  out.field("version", damage.version).field("body", to_hex(damage.body_key)).key("files").begin_array();
  for (const storage::BlobName& file : damage.files) out.string(file.path());
  out.end_array().field("reason", damage.reason).field("found", to_ms(damage.found));
  out.field("pass", number(damage.pass)).end_object();
}

std::optional<Damage> parse_damage(const Json& json) {
  const auto bucket = text_field(json, "bucket"), version = text_field(json, "version"),
             reason = text_field(json, "reason");
  const auto key = hex_field(json, "key"), body = hex_field(json, "body");
  const auto found = int_field(json, "found"), pass = int_field(json, "pass");
  const Json* files = json.find("files");
  if (!bucket || !version || !reason || !key || !body || !found || !pass || !files || !files->as_array())
    return std::nullopt;
  Damage out{.bucket = *bucket, .key = *key, .version = *version, .body_key = *body};
  out.reason = *reason;
  out.found = from_ms(*found);
  out.pass = static_cast<std::uint64_t>(*pass);
  for (const Json& file : *files->as_array()) {
    const Bytes* path = file.as_string();
    const auto name = path ? storage::parse_blob_name(path->substr(path->rfind('/') + 1)) : std::nullopt;
    if (!name) return std::nullopt;
    out.files.push_back(*name);
  }
  return out;
}

}  // namespace

Scrub::Scrub(ScrubLimits limits, Time now)
    : limits_(limits), next_read_(now), next_save_(now), seen_at_(now) {
  stats_.running = limits.bytes_per_second > 0;
  if (stats_.running) stats_.began = now;
}

Scrub::Turn Scrub::turn(Time now, const StoreLoad& load) {
  look_at(now, load);
  if (changed_ && now >= next_save_) return {.what = What::kSave};
  const Time save = changed_ ? next_save_ : Time::max();
  if (limits_.bytes_per_second == 0) return {.until = std::min(save, now + limits_.pass_every)};
  if (!stats_.running && now >= stats_.began + limits_.pass_every) static_cast<void>(begin(now));
  if (!stats_.running) return {.until = std::min(save, stats_.began + limits_.pass_every)};
  if (stats_.busy) return {.until = std::min(save, seen_at_ + kLook)};
  if (now < next_read_) return {.until = std::min(save, next_read_)};
  reading_ = true;
  return {.what = What::kRead, .budget = limits_.stretch_bytes};
}

void Scrub::look_at(Time now, const StoreLoad& load) {
  if (now < seen_at_ + kLook) return;
  const auto within = static_cast<std::uint64_t>((now - seen_at_).count());
  const auto per_second = [&](std::uint64_t count) { return count * 1'000 / within; };
  stats_.busy = per_second(load.requests - seen_.requests) > limits_.busy_requests ||
                per_second(load.bytes - seen_.bytes) > limits_.busy_bytes;
  seen_ = load;
  seen_at_ = now;
}

std::vector<Damage> Scrub::read(BodyWalk::Stretch stretch, Time now) {
  reading_ = false;
  if (std::exchange(stale_, false)) return {};
  stats_.bodies += stretch.bodies;
  stats_.bytes += stretch.bytes;
  place_ = std::move(stretch.place);
  changed_ = true;
  next_read_ = now + Duration(stretch.cost * 1'000 / std::max<std::uint64_t>(1, limits_.bytes_per_second));
  std::vector<Damage> news;
  for (Damage& damage : stretch.damaged) {
    if (add(damage, now)) news.push_back(std::move(damage));
  }
  if (stretch.ended) end_pass(now);
  return news;
}

void Scrub::failed(const Error& error, Time now) {
  reading_ = false;
  if (std::exchange(stale_, false)) return;
  ++stats_.errors;
  stats_.last_error = error.message;
  complete_ = false;
  next_read_ = now + kLook;
  if (place_.table == Table::kParts) return end_pass(now);
  place_ = {.table = place_.table == Table::kObjects ? Table::kVersions : Table::kParts, .after = {}};
}

void Scrub::end_pass(Time now) {
  if (complete_) damage_.keep(pass_);
  ++pass_;
  ++stats_.passes;
  stats_.running = false;
  stats_.ended = now;
  complete_ = true;
  place_ = {};
  changed_ = true;
  next_save_ = now;
}

void Scrub::saved(Time now) {
  changed_ = false;
  next_save_ = now + limits_.save_every;
}

Status Scrub::begin(Time now) {
  if (limits_.bytes_per_second == 0)
    return fail(Errc::kInvalid, "store.scrub_rate is 0: nothing is scrubbed");
  // What one that is broken off had seen is seen again, or gone.
  ++pass_;
  stale_ = reading_;
  place_ = {};
  complete_ = true;
  stats_.running = true;
  stats_.began = now;
  next_read_ = now;
  changed_ = true;
  return {};
}

bool Scrub::add(Damage damage, Time now) {
  damage.found = now;
  damage.pass = pass_;
  if (!damage_.add(std::move(damage))) return false;
  changed_ = true;
  next_save_ = now;
  return true;
}

Scrub::Stats Scrub::stats() const { return stats_; }

std::string Scrub::text() const {
  Bytes text;
  JsonWriter out(text);
  out.begin_object().field("pass", number(pass_)).field("passes", number(stats_.passes));
  out.field("running", stats_.running).field("complete", complete_);
  out.field("began", to_ms(stats_.began)).field("ended", to_ms(stats_.ended));
  out.field("table", name_of(place_.table)).field("after", to_hex(place_.after)).key("damage").begin_array();
  for (const Damage& damage : damage_.all()) write(out, damage);
  out.end_array().end_object();
  return text += '\n';
}

Status Scrub::load(std::string_view text) {
  const auto broken = [] { return fail(Errc::kCorrupt, "what the scrub has noted cannot be read"); };
  const auto json = codec::parse_json(text, {.bytes_max = std::size_t{256} << 20});
  if (!json) return broken();
  const auto pass = int_field(*json, "pass"), passes = int_field(*json, "passes"),
             began = int_field(*json, "began"), ended = int_field(*json, "ended");
  const auto table = parse_table(text_field(*json, "table").value_or(""));
  const auto after = hex_field(*json, "after");
  const Json* running = json->find("running");
  const Json* complete = json->find("complete");
  const Json* damage = json->find("damage");
  if (!pass || !passes || !began || !ended || !table || !after || !running || !running->as_bool() ||
      !complete || !complete->as_bool() || !damage || !damage->as_array())
    return broken();
  DamageList known;
  for (const Json& one : *damage->as_array()) {
    auto entry = parse_damage(one);
    if (!entry) return broken();
    known.add(std::move(*entry));
  }
  pass_ = static_cast<std::uint64_t>(*pass);
  stats_.passes = static_cast<std::uint64_t>(*passes);
  stats_.began = from_ms(*began);
  stats_.ended = from_ms(*ended);
  stats_.running = *running->as_bool() && limits_.bytes_per_second > 0;
  complete_ = *complete->as_bool();
  place_ = {.table = *table, .after = *after};
  damage_ = std::move(known);
  return {};
}

}  // namespace hr::object
