#include "base/check.h"
#include "os/linux/linux.h"

#include <openssl/rand.h>

namespace hr::os {
namespace {

// OpenSSL's generator is per thread and seeded from the kernel.
class SystemEntropy final : public Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override {
    if (out.empty()) return;
    HR_CHECK(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
  }
};

}  // namespace

std::unique_ptr<Entropy> make_entropy() { return std::make_unique<SystemEntropy>(); }

}  // namespace hr::os
