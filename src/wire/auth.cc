#include "wire/auth.h"

#include <algorithm>
#include <utility>

namespace hr::wire {
namespace {

bool all_of(ByteView text, auto&& rule) { return std::ranges::all_of(text, rule); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool is_printable(char c) { return c > ' ' && c <= '~'; }

Status check(const AccessKey& key) {
  if (key.id.empty() || key.id.size() > 128 || !all_of(key.id, is_word)) {
    return fail(Errc::kInvalid, "an access key id must be 1 to 128 letters, digits and '_'");
  }
  if (key.secret.empty() || key.secret.size() > 128 || !all_of(key.secret, is_printable)) {
    return fail(Errc::kInvalid,
                "the secret of access key " + key.id + " must be 1 to 128 printable ASCII characters");
  }
  if (!valid_account(key.account)) {
    return fail(Errc::kInvalid, "the account of access key " + key.id + " must be 12 digits");
  }
  return {};
}

}  // namespace

bool valid_account(ByteView text) { return text.size() == 12 && all_of(text, is_digit); }

Result<KeyRing> KeyRing::make(std::vector<AccessKey> keys) {
  if (keys.size() > kKeysMax) return fail(Errc::kLimit, "there may be 10,000 access keys at most");
  for (const auto& key : keys) HR_TRY(check(key));
  std::ranges::sort(keys, {}, &AccessKey::id);
  const auto twice = std::ranges::adjacent_find(keys, {}, &AccessKey::id);
  if (twice != keys.end()) return fail(Errc::kInvalid, "access key " + twice->id + " is there twice");
  KeyRing ring;
  for (const auto& key : keys) ring.credentials_.push_back({key.id, key.secret, {}});
  ring.keys_ = std::move(keys);
  return ring;
}

const AccessKey* KeyRing::find(ByteView id) const {
  const auto at =
      std::ranges::lower_bound(keys_, id, {}, [](const AccessKey& key) { return ByteView(key.id); });
  return at != keys_.end() && at->id == id ? &*at : nullptr;
}

codec::KeyLookup KeyRing::lookup() const {
  return [this](ByteView id) -> const codec::Credentials* {
    const AccessKey* key = find(id);
    return key == nullptr ? nullptr : &credentials_[static_cast<std::size_t>(key - keys_.data())];
  };
}

Identity identity_of(const AccessKey& key) {
  return {.access_key = key.id, .account = key.account, .rules = key.rules ? &*key.rules : nullptr};
}

Authenticator::Authenticator(const KeyRing& keys, TrustedPeers trusted, Bytes service, Bytes region)
    : keys_(keys),
      trusted_(std::move(trusted)),
      service_(std::move(service)),
      region_(std::move(region)),
      lookup_(keys.lookup()) {}

std::expected<Authenticated, codec::AuthError> Authenticator::authenticate(
    const codec::SignedRequest& request, std::optional<std::uint32_t> unix_uid, Time wall) {
  if (unix_uid && codec::auth_kind(request.query, request.headers) == codec::AuthKind::kNone &&
      std::ranges::find(trusted_.uids, *unix_uid) != trusted_.uids.end()) {
    return Authenticated{.identity = {.access_key = {}, .account = trusted_.account}, .verified = {}};
  }
  auto verified = codec::verify(request, lookup_, wall, cache_, {.service = service_, .region = region_});
  if (!verified) return std::unexpected(std::move(verified).error());
  const AccessKey* key = keys_.find(verified->access_key);
  if (key == nullptr)
    return std::unexpected(codec::AuthError{codec::AuthErrc::kUnknownKey, "no such access key"});
  return Authenticated{.identity = identity_of(*key), .verified = std::move(*verified)};
}

}  // namespace hr::wire
