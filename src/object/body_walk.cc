#include "object/body_walk.h"

#include "codec/digest.h"
#include "object/coding.h"
#include "object/notification.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hr::object {
namespace {

using storage::Patience;
using storage::Table;

constexpr std::size_t kPageRows = 256;
constexpr std::size_t kReadBytes = 256U << 10;
constexpr std::array kTablesWalked = {Table::kObjects, Table::kVersions, Table::kParts};

}  // namespace

std::string etag_of(ByteView md5s, std::size_t parts) {
  return parts == 0 ? to_hex(md5s) : fmt::format("{}-{}", codec::md5_hex(md5s), parts);
}

// One body on its way: its pieces one behind the other.
class BodyCheck {
 public:
  BodyCheck(storage::BlobStore& blobs, Damage about, Manifest pieces, std::string etag, bool composite)
      : about_(std::move(about)),
        blobs_(blobs),
        pieces_(std::move(pieces)),
        etag_(std::move(etag)),
        composite_(composite) {
    for (const Piece& piece : pieces_) {
      if (piece.blob) about_.files.push_back(*piece.blob);
    }
    if (composite) pin_ = blobs_.pin(about_.files);  // a whole file stays while it is open
  }

  // Of a body in the index, already read.
  void take_inline(ByteView body) {
    digest_.update(body);
    md5s_ += digest_.finish();
    if (body.size() != pieces_.front().bytes) {
      wrong_ = fmt::format("its body is {} bytes long instead of {}", body.size(), pieces_.front().bytes);
    }
    at_piece_ = pieces_.size();
  }
  void refuse(std::string why) { wrong_ = std::move(why); }

  // Reads about `budget` bytes, and something in any case. Returns how many it read.
  std::uint64_t read(std::uint64_t budget) {
    std::uint64_t done = 0;
    do {
      if (!ended()) done += read_some();
    } while (!ended() && done < budget);
    return done;
  }
  bool ended() const { return !wrong_.empty() || at_piece_ == pieces_.size(); }
  // At the end; empty: it is what was stored.
  std::string verdict() const {
    if (!wrong_.empty() || etag_of(md5s_, composite_ ? pieces_.size() : 0) == etag_) return wrong_;
    if (composite_) return "the MD5s of its parts are not those of its ETag";
    return "its MD5 is not that of what was stored";
  }

  Damage about_;

 private:
  std::uint64_t read_some() {
    const Piece& piece = pieces_[at_piece_];
    if (!file_ && piece.blob && !open(piece)) return 0;
    if (piece.bytes == 0) return end_piece();
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, piece.bytes - at_)));
    const auto got = file_->read_at(at_, buffer_, "scrub.read");
    if (!got || *got < buffer_.size()) {
      const std::string why = got ? "it ends too early" : got.error().message;
      wrong_ = fmt::format("{} cannot be read at byte {}: {}", piece.blob->path(), at_, why);
      return 0;
    }
    digest_.update(buffer_);
    at_ += buffer_.size();
    if (at_ == piece.bytes) end_piece();
    return buffer_.size();
  }

  bool open(const Piece& piece) {
    auto file = blobs_.open(*piece.blob);
    if (file) {
      file_ = std::move(*file);
      const auto size = file_->size("scrub.size");
      if (size && *size == piece.bytes) return true;
      if (size) {
        wrong_ = fmt::format("{} is {} bytes long instead of {}", piece.blob->path(), *size, piece.bytes);
      } else {
        wrong_ = size.error().message;
      }
    } else if (file.error().code == Errc::kNotFound) {
      wrong_ = piece.blob->path() + " is missing";
    } else {
      wrong_ = file.error().message;
    }
    return false;
  }

  std::uint64_t end_piece() {
    md5s_ += digest_.finish();
    digest_ = {};
    file_.reset();
    at_ = 0;
    ++at_piece_;
    return 0;
  }

  storage::BlobStore& blobs_;
  const Manifest pieces_;
  const std::string etag_;
  const bool composite_;
  std::shared_ptr<void> pin_;
  std::size_t at_piece_ = 0;
  std::uint64_t at_ = 0;  // in the piece
  std::unique_ptr<os::File> file_;
  codec::Md5 digest_;
  Bytes md5s_, buffer_;
  std::string wrong_;
};

BodyWalk::BodyWalk(const storage::Index& index, storage::BlobStore& blobs) : index_(index), blobs_(blobs) {}
BodyWalk::~BodyWalk() = default;

void BodyWalk::start(BodyPlace from) {
  place_ = std::move(from);
  page_.clear();
  last_page_ = false;
  check_.reset();
}

Result<BodyWalk::Stretch> BodyWalk::go(std::uint64_t budget) {
  Stretch out;
  while (out.cost < budget && !out.ended) {
    if (page_.empty() && !last_page_) HR_TRY(fill_page());
    if (page_.empty()) {
      const auto* next = std::ranges::find(kTablesWalked, place_.table) + 1;
      out.ended = next == kTablesWalked.end();
      start(out.ended ? BodyPlace{} : BodyPlace{.table = *next});
      continue;
    }
    if (!check_) HR_TRY(begin_body(out));
    if (!check_) continue;  // a delete marker, or nothing that can be read
    const std::uint64_t read = check_->read(out.cost < budget ? budget - out.cost : 0);
    out.cost += read;
    out.bytes += read;
    if (check_->ended()) HR_TRY(end_body(check_->verdict(), out));
  }
  out.place = place_;
  return out;
}

Status BodyWalk::fill_page() {
  const auto cursor = index_.cursor(place_.table);
  Bytes first = place_.after;
  if (!first.empty()) first.push_back('\0');
  for (Status at = cursor->seek(first);; at = cursor->next()) {
    HR_TRY(std::move(at));
    last_page_ = !cursor->valid();
    if (last_page_ || page_.size() == kPageRows) break;
    page_.push_back({Bytes(cursor->key()), Bytes(cursor->value())});
  }
  std::ranges::reverse(page_);
  return {};
}

Status BodyWalk::begin_body(Stretch& out) {
  out.cost += kBodyCost;
  const Row& row = page_.back();
  const auto refuse = [&](Damage about, const std::string& why) {
    check_ = std::make_unique<BodyCheck>(blobs_, std::move(about), Manifest{}, "", false);
    check_->refuse(why);
    return Status();
  };
  if (place_.table == Table::kParts) {
    const auto part = decode_part(row.value);
    const auto number = part_number(row.key);
    Damage about{.key = fmt::format("part {} of an upload", number.value_or(0)), .body_key = row.key};
    if (!part) return refuse(std::move(about), part.error().message);
    const Manifest whole{{.bytes = part->bytes, .blob = part->blob, .checksum = {}}};
    check_ = std::make_unique<BodyCheck>(blobs_, std::move(about), whole, part->etag, false);
    return {};
  }
  HR_ASSIGN(const auto known,
            decode_version_key(place_.table == Table::kVersions ? row.key : version_key_of(row.key, 0)));
  HR_ASSIGN(std::string bucket, bucket_name(static_cast<std::uint64_t>(known.bucket)));
  Damage about{.bucket = std::move(bucket), .key = known.key, .body_key = row.key};
  const auto object = decode_object(row.value);
  if (!object) return refuse(std::move(about), object.error().message);
  if (object->delete_marker) return end_body("", out);
  if (object->numbered) about.version = show_version(object->version);
  about.body_key = body_key(known.bucket, known.key, object->version);
  const Manifest whole{{.bytes = object->bytes, .blob = object->blob, .checksum = {}}};
  if (object->blob || (object->bytes == 0 && object->parts == 0)) {
    check_ = std::make_unique<BodyCheck>(blobs_, std::move(about), whole, object->etag, false);
    return {};
  }
  const auto read = index_.get(Table::kBodies, about.body_key, Patience::kAny);
  if (!read) return refuse(std::move(about), read.error().message);
  const auto& stored = *read;
  if (!stored) return refuse(std::move(about), "its body is not in the index");
  if (object->parts > 0) {
    auto manifest = decode_manifest(*stored);
    if (!manifest) return refuse(std::move(about), manifest.error().message);
    check_ = std::make_unique<BodyCheck>(blobs_, std::move(about), std::move(*manifest), object->etag, true);
    return {};
  }
  check_ = std::make_unique<BodyCheck>(blobs_, std::move(about), whole, object->etag, false);
  check_->take_inline(*stored);
  out.cost += stored->size();
  out.bytes += stored->size();
  return {};
}

Status BodyWalk::end_body(std::string wrong, Stretch& out) {
  const Row row = std::move(page_.back());
  page_.pop_back();
  place_.after = row.key;
  const auto check = std::exchange(check_, nullptr);
  if (!check) return {};
  ++out.bodies;
  if (wrong.empty()) return {};
  // Replaced or removed meanwhile, its file goes too.
  HR_ASSIGN(const auto now, index_.get(place_.table, row.key, Patience::kAny));
  if (now != row.value) return {};
  check->about_.reason = std::move(wrong);
  out.damaged.push_back(std::move(check->about_));
  return {};
}

Result<std::string> BodyWalk::bucket_name(std::uint64_t id) {
  if (const auto known = buckets_.find(id); known != buckets_.end()) return known->second;
  const auto cursor = index_.cursor(Table::kBuckets);
  for (Status at = cursor->seek({});; at = cursor->next()) {
    HR_TRY(std::move(at));
    if (!cursor->valid()) break;
    HR_ASSIGN(const auto row, decode_bucket_row(cursor->value()));
    if (const auto* bucket = std::get_if<Bucket>(&row))
      buckets_[static_cast<std::uint64_t>(bucket->id)] = bucket->name;
  }
  return buckets_.contains(id) ? buckets_[id] : fmt::format("{}", id);
}

}  // namespace hr::object
