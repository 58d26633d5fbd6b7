#include "web/exchange.h"

#include "web/request.h"

#include <cerrno>
#include <cstring>
#include <sys/eventfd.h>
#include <utility>

namespace hr::web {
namespace {
constexpr std::size_t kRefusedMax = 100;
}

Result<std::shared_ptr<Exchange>> Exchange::make(Limits limits_given, const os::Clock& clock_given) {
  os::Fd wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.open()) return fail(Errc::kIo, std::string("eventfd: ") + std::strerror(errno));
  return std::make_shared<Exchange>(limits_given, clock_given, std::move(wake));
}

Exchange::Exchange(Limits limits_given, const os::Clock& clock_given, os::Fd wake)
    : limits(limits_given), clock(clock_given), wake_(std::move(wake)) {}

Exchange::~Exchange() = default;

void Exchange::put(std::unique_ptr<Request> request) {
  {
    const std::lock_guard lock(mutex_);
    ready_.push_back(std::move(request));
    ++outstanding_;
  }
  ready_changed_.notify_one();
}

std::unique_ptr<Request> Exchange::next() {
  std::unique_lock lock(mutex_);
  ready_changed_.wait(lock, [this] { return !ready_.empty() || ended_; });
  if (ready_.empty()) return nullptr;
  auto request = std::move(ready_.front());
  ready_.pop_front();
  return request;
}

std::vector<Returned> Exchange::take_returned() {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  while (::read(wake_.get(), &count, sizeof count) > 0) {
  }
  woken_ = false;
  return std::exchange(returned_, {});
}

void Exchange::give_back(Returned returned) {
  const std::lock_guard lock(mutex_);
  returned_.push_back(std::move(returned));
  --outstanding_;
  wake();
}

void Exchange::dropped() {
  const std::lock_guard lock(mutex_);
  --outstanding_;
  wake();
}

void Exchange::stop() {
  stopping_ = true;
  const std::lock_guard lock(mutex_);
  wake();
}

void Exchange::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ready_changed_.notify_all();
}

std::size_t Exchange::outstanding() const {
  const std::lock_guard lock(mutex_);
  return outstanding_;
}

bool Exchange::idle() const {
  const std::lock_guard lock(mutex_);
  return outstanding_ == 0 && returned_.empty();
}

void Exchange::note(Refused refused) {
  const std::lock_guard lock(mutex_);
  if (refused_.size() < kRefusedMax) {
    refused_.push_back(refused);
  } else {
    ++refused_more_;
  }
}

std::vector<Refused> Exchange::take_refused(std::uint64_t& more) {
  const std::lock_guard lock(mutex_);
  more = std::exchange(refused_more_, 0);
  return std::exchange(refused_, {});
}

void Exchange::wake() {
  if (std::exchange(woken_, true)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);  // full means woken
}

}  // namespace hr::web
