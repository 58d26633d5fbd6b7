#include "remote/key_source.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace hr::remote {

struct KeySource::Thread {
  boost::asio::thread_pool pool{1};
};

KeySource::KeySource(net::Runtime& runtime, Search search, std::function<void(const Heard&)> said,
                     std::uint32_t seed)
    : runtime_(runtime), search_(std::move(search)), said_(std::move(said)), random_(seed) {}

KeySource::~KeySource() {
  if (thread_) thread_->pool.join();
}

void KeySource::begin(Time now) {
  if (!thread_) thread_ = std::make_unique<Thread>();
  keeper_.search_began();
  boost::asio::post(thread_->pool, [this, now] {
    auto keys = std::make_shared<Result<Keys>>(search_());
    runtime_.post([this, keys, now] { ended(std::move(*keys), now); });
  });
}

void KeySource::ended(Result<Keys> keys, Time now) {
  if (keys) {
    const std::string source = keys->source;
    keeper_.found(std::move(*keys), now, random_());
    if (!keeper_.error()) said_({.failed = false, .text = source});
  } else {
    keeper_.failed(std::move(keys).error(), now, random_());
  }
  if (keeper_.error()) said_({.failed = true, .text = keeper_.error()->message});
  for (const auto& timer : std::exchange(waiting_, {})) timer->cancel();
}

net::Task<Result<codec::Credentials>> KeySource::get(Time now, Duration timeout) {
  if (keeper_.wants_search(now)) begin(now);
  if (const Keys* keys = keeper_.usable(now)) co_return keys->credentials;
  if (keeper_.searching()) {
    const auto timer = std::make_shared<boost::asio::steady_timer>(runtime_.context(), timeout);
    waiting_.push_back(timer);
    co_await timer->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    std::erase(waiting_, timer);
  }
  if (const Keys* keys = keeper_.usable(now)) co_return keys->credentials;
  if (keeper_.searching()) co_return fail(Errc::kTimeout, "credentials were not found in time");
  co_return std::unexpected(keeper_.error().value_or(Error{Errc::kUnavailable, "there are no credentials"}));
}

}  // namespace hr::remote
