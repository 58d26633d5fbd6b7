// A self-signed certificate for a site nobody has vouched for: ECDSA on P-256, for a year, as PEM. Pure but
// for OpenSSL's own randomness, which makes the key.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "os/entropy.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

struct Certificate {
  std::string certificate, key;  // PEM; the key unencrypted (PKCS #8)
};

// For `names` and for localhost, 127.0.0.1 and ::1. kInvalid: a name that no certificate can hold.
Result<Certificate> make_self_signed(const std::vector<std::string>& names, Time now, os::Entropy& entropy);

// Whether a certificate in PEM holds every name that make_self_signed would give it, and another month.
bool still_serves(std::string_view pem, const std::vector<std::string>& names, Time now);

// Of `names`, those that a certificate in PEM does not hold: all of them where it is none.
std::vector<std::string> names_missing(std::string_view pem, std::vector<std::string> names);

// Whole days until it ends, below 0 after; none: no certificate.
std::optional<int> days_left(std::string_view pem, Time now);

}  // namespace hr::host
