#include "base/check.h"
#include "os/linux/linux.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace hr::os {
namespace {

// A request of the store needs a few ids of 16 bytes, and a call of RAND_bytes() costs as much for 16 bytes
// as for 512: what is this short comes from a supply, which is wiped as it is used. A process that forks must
// exec, as all of ours do, or the two would share their supply.
constexpr std::size_t kSupplyBytes = 512;
constexpr std::size_t kShortBytes = 16;

void draw(std::span<std::uint8_t> out) {
  HR_CHECK(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}

struct Supply {
  std::array<std::uint8_t, kSupplyBytes> bytes{};
  std::size_t left = 0;
};

// OpenSSL's generator is per thread and seeded from the kernel; so is the supply per thread.
class SystemEntropy final : public Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override {
    if (out.empty()) return;
    if (out.size() > kShortBytes) return draw(out);
    thread_local Supply supply;
    if (supply.left < out.size()) {
      draw(supply.bytes);
      supply.left = supply.bytes.size();
    }
    supply.left -= out.size();
    const std::span used(supply.bytes.data() + supply.left, out.size());
    std::ranges::copy(used, out.begin());
    OPENSSL_cleanse(used.data(), used.size());
  }
};

}  // namespace

std::unique_ptr<Entropy> make_entropy() { return std::make_unique<SystemEntropy>(); }

}  // namespace hr::os
