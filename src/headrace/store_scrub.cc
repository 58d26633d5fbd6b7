#include "headrace/store_scrub.h"

#include "codec/json.h"
#include "codec/time_text.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <ranges>
#include <utility>

namespace hr {
namespace {

constexpr std::string_view kNotes = "scrub.json";
constexpr std::string_view kDraft = "scrub.json.new";
constexpr Duration kLookAtLeast = 60s;  // a jump of the clock shows no other way
constexpr std::size_t kShownMax = 1'000;

Status write_notes(os::Disk& disk, const std::string& text) {
  if (auto removed = disk.remove(kDraft, "scrub.remove"); !removed && removed.error().code != Errc::kNotFound)
    return removed;
  {
    HR_ASSIGN(const auto file, disk.open(kDraft, os::OpenMode::kCreate, "scrub.create"));
    HR_TRY(file->write_at(0, text, "scrub.write"));
    HR_TRY(file->sync("scrub.sync"));
  }
  HR_TRY(disk.rename(kDraft, kNotes, "scrub.rename"));
  return disk.sync_dir("", "scrub.syncdir");
}

Result<std::string> read_notes(os::Disk& disk) {
  HR_ASSIGN(const auto file, disk.open(kNotes, os::OpenMode::kRead, "scrub.open"));
  HR_ASSIGN(const std::uint64_t size, file->size("scrub.size"));
  std::string text(size, '\0');
  HR_ASSIGN(const std::size_t got, file->read_at(0, text, "scrub.read"));
  text.resize(got);
  return text;
}

std::string files_of(const object::Damage& damage) {
  if (damage.files.empty()) return "index";
  std::string out = damage.files.front().path();
  if (damage.files.size() > 1) out += " and " + std::to_string(damage.files.size() - 1) + " more";
  return out;
}

}  // namespace

struct StoreScrub::Timer : boost::asio::steady_timer {
  using boost::asio::steady_timer::steady_timer;
};

StoreScrub::StoreScrub(Parts parts)
    : parts_(std::move(parts)),
      scrub_(parts_.limits, parts_.clock.now()),
      walk_(std::make_shared<object::BodyWalk>(parts_.index, parts_.blobs)),
      timer_(std::make_unique<Timer>(parts_.runtime.context())) {}

StoreScrub::~StoreScrub() = default;

void StoreScrub::load() {
  const auto text = read_notes(parts_.disk);
  if (!text && text.error().code == Errc::kNotFound) return;
  const Status known = text ? scrub_.load(*text) : std::unexpected(text.error());
  if (!known) {
    parts_.diary.warning("store.scrub_forgotten", {{"reason", known.error().message}});
    return;
  }
  for (const object::Damage& damage : scrub_.damage().all()) log(damage);
}

net::Task<void> StoreScrub::run() {
  using What = object::Scrub::What;
  walk_->start(walked_);
  while (!stopping_) {
    const Time now = parts_.clock.now();
    const auto turn = scrub_.turn(now, parts_.load());
    if (turn.what == What::kRead) {
      co_await read_on(turn.budget);
    } else if (turn.what == What::kSave) {
      co_await save();
    } else {
      timer_->expires_after(std::clamp<Duration>(turn.until - now, 1ms, kLookAtLeast));
      boost::system::error_code ignored;
      co_await timer_->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    }
  }
  co_await save();
}

net::Task<void> StoreScrub::read_on(std::uint64_t budget) {
  if (walked_ != scrub_.place()) walk_->start(walked_ = scrub_.place());
  const std::uint64_t passes = scrub_.stats().passes;
  auto stretch = co_await parts_.runtime.on_pool([walk = walk_, budget] { return walk->go(budget); });
  const Time now = parts_.clock.now();
  if (!stretch) {
    parts_.diary.error("store.scrub_failed", {{"reason", stretch.error().message}});
    scrub_.failed(stretch.error(), now);
    walk_->start(walked_ = scrub_.place());
    co_return;
  }
  walked_ = stretch->place;
  for (const object::Damage& damage : scrub_.read(std::move(*stretch), now)) log(damage);
  const auto stats = scrub_.stats();
  if (stats.passes > passes) {
    parts_.diary.info(
        "store.scrubbed",
        {{"bodies", stats.bodies}, {"bytes", stats.bytes}, {"damaged", scrub_.damage().size()}});
  }
}

// What cannot be written is written later: nothing depends on it but the time until damage is found again.
net::Task<void> StoreScrub::save() {
  os::Disk& disk = parts_.disk;
  std::string text = scrub_.text();
  scrub_.saved(parts_.clock.now());
  const Status saved =
      co_await parts_.runtime.on_pool([&disk, notes = std::move(text)] { return write_notes(disk, notes); });
  if (!saved) parts_.diary.warning("store.scrub_not_noted", {{"reason", saved.error().message}});
}

void StoreScrub::log(const object::Damage& damage) const {
  parts_.diary.error(
      "store.damaged",
      {{"what", object::name_of(damage)}, {"file", files_of(damage)}, {"reason", damage.reason}});
}

void StoreScrub::wake() { timer_->cancel(); }

void StoreScrub::stop() {
  stopping_ = true;
  wake();
}

Status StoreScrub::begin() {
  HR_TRY(scrub_.begin(parts_.clock.now()));
  wake();
  return {};
}

void StoreScrub::report(const object::Damage& damage) {
  if (!scrub_.add(damage, parts_.clock.now())) return;
  log(damage);
  wake();
}

std::string StoreScrub::json() const {
  Bytes text;
  codec::JsonWriter out(text);
  const auto stats = scrub_.stats();
  const auto number = [&](const char* name, std::uint64_t value) {
    out.field(name, static_cast<std::int64_t>(value));
  };
  out.begin_object().field("running", stats.running).field("busy", stats.busy);
  number("rate", parts_.limits.bytes_per_second);
  number("passes", stats.passes);
  number("bodies", stats.bodies);
  number("bytes", stats.bytes);
  out.field("began", codec::iso8601(stats.began));
  out.field("ended", stats.passes > 0 ? codec::iso8601(stats.ended) : std::string());
  out.field("error", stats.last_error);
  const auto damaged = scrub_.damage().all();
  number("damaged", damaged.size());
  out.key("damage").begin_array();
  for (const object::Damage& damage : damaged | std::views::take(kShownMax)) {
    out.begin_object().field("bucket", damage.bucket).field("key", damage.key);
    out.field("version", damage.version).field("found", codec::iso8601(damage.found));
    out.field("reason", damage.reason).key("files").begin_array();
    for (const storage::BlobName& file : damage.files) out.string(file.path());
    out.end_array().end_object();
  }
  out.end_array().end_object();
  return text += '\n';
}

}  // namespace hr
