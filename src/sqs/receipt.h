// Receipt handles: what a receiver holds to delete its message. Base64 of
//   version (1) | queue id (8) | message number (8) | receive number (4) | HMAC-SHA256 of all before, cut to
//   16
// little-endian. Only this store's key makes one, so that none can be guessed and none of another store is
// taken.
#pragma once

#include "base/bytes.h"
#include "queue/queue.h"

#include <cstddef>
#include <optional>

namespace hr::sqs {

class ReceiptSeal {
 public:
  explicit ReceiptSeal(Bytes key);  // secret; 32 random bytes

  Bytes seal(const queue::Receipt& receipt) const;
  std::optional<queue::Receipt> open(ByteView handle) const;  // none: not a handle of this store

 private:
  Bytes tag(ByteView fields) const;

  Bytes key_;
};

}  // namespace hr::sqs
