// Names to addresses, off the reactor: the system's own resolver in a thread that exists from the first name
// on. Numeric addresses are answered at once. Used on the reactor only; must outlive its questions.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "net/look_up.h"
#include "net/runtime.h"

#include <cstdint>
#include <memory>
#include <string>

namespace hr::net {

class Resolver {
 public:
  explicit Resolver(Runtime& runtime);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // kTimeout: no answer in time; what comes later is dropped.
  Task<Result<Addresses>> resolve(std::string host, std::uint16_t port, Duration timeout);

 private:
  struct Thread;

  Runtime& runtime_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace hr::net
