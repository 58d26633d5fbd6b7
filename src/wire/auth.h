// Who sends a request: the access keys of this store, and the one place that turns a request with its
// signature (or a peer of a unix socket whose user is trusted) into an account. Both front ends use it; each
// maps codec::AuthErrc to its own protocol's error code. Owned by main; one Authenticator per reactor.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "codec/sigv4.h"
#include "wire/key_rules.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

namespace hr::wire {

inline constexpr std::size_t kKeysMax = 10'000;

struct AccessKey {
  Bytes id;                         // 1 to 128 of [A-Za-z0-9_] (IAM makes them 20 long)
  Bytes secret;                     // 1 to 128 printable ASCII characters
  Bytes account;                    // 12 digits
  Bytes name;                       // for people and logs
  std::optional<KeyRules> rules{};  // none: everything in its account
};

bool valid_account(ByteView text);  // 12 digits

// The keys by their id. Immutable.
class KeyRing {
 public:
  // kInvalid names the key (never its secret) and the rule; kLimit: more than kKeysMax.
  static Result<KeyRing> make(std::vector<AccessKey> keys);

  const AccessKey* find(ByteView id) const;
  std::span<const AccessKey> keys() const { return keys_; }  // in order of id
  codec::KeyLookup lookup() const;                           // must not outlive the ring

 private:
  std::vector<AccessKey> keys_;
  std::vector<codec::Credentials> credentials_;  // the same order
};

struct Identity {
  Bytes access_key;  // empty: an unsigned request of a trusted peer
  Bytes account;
  const KeyRules* rules = nullptr;  // of the key, in the ring; null: none narrow it

  bool operator==(const Identity&) const = default;
};

Identity identity_of(const AccessKey& key);

// Users who may send unsigned requests over a unix socket, and the account they then act for.
struct TrustedPeers {
  std::vector<std::uint32_t> uids;
  Bytes account;
};

struct Authenticated {
  Identity identity;
  std::optional<codec::Verified> verified;  // none: unsigned
};

class Authenticator {
 public:
  // `service` ("sqs", "s3") must be the scope's; `region` too, unless it is empty. `keys` must outlive this.
  Authenticator(const KeyRing& keys, TrustedPeers trusted, Bytes service, Bytes region);
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  // SigV4 in header or query. `unix_uid` is the peer's user when it came through a unix socket. Services
  // other than S3 give the body's SHA-256 in the request. A request that carries a signature is always judged
  // by it. kMissing: nothing was signed and the peer is not trusted.
  std::expected<Authenticated, codec::AuthError> authenticate(const codec::SignedRequest& request,
                                                              std::optional<std::uint32_t> unix_uid,
                                                              Time wall);

  const KeyRing& keys() const { return keys_; }

 private:
  const KeyRing& keys_;
  TrustedPeers trusted_;
  Bytes service_;
  Bytes region_;
  codec::KeyLookup lookup_;
  codec::SigningKeyCache cache_;
};

}  // namespace hr::wire
