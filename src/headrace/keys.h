// The store's secrets: access keys and the key that signs receipt handles. In "keys.toml" of the data folder,
// mode 0600, made at first start from the system's randomness. Nothing of it ever reaches a log.
#pragma once

#include "base/result.h"
#include "os/entropy.h"
#include "wire/auth.h"

#include <optional>
#include <string>
#include <string_view>

namespace hr {

struct Secrets {
  wire::KeyRing keys;
  Bytes first;        // the id of the first one in the file, which our own clients sign with
  Bytes receipt_key;  // 32 bytes
};

// Reads `folder`/keys.toml, or makes it with one key of `account`. kPermission: others may read the file;
// kInvalid: "FILE:LINE:COLUMN: what is wrong".
Result<Secrets> load_or_make_keys(const std::string& folder, const std::string& account,
                                  os::Entropy& entropy);

// Reads an existing keys.toml. kNotFound: there is none; kPermission and kInvalid as above.
Result<Secrets> load_keys(const std::string& path);

struct NewKey {
  std::string name;     // 1 to 64 letters, digits, '-', '_' and '.'; of no other key
  std::string account;  // empty: that of the file's first key
  std::optional<wire::KeyRule> rule{};
};

// Makes a key at the end of an existing file, whose owner stays; a store that runs reads it when it starts
// again. kInvalid: what a file must not say. kExists: the name.
Result<wire::AccessKey> add_key(const std::string& path, const NewKey& key, os::Entropy& entropy);

// What a file says; `path` is for messages.
Result<Secrets> parse_keys(const std::string& path, std::string_view text);

}  // namespace hr
