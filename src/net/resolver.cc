#include "net/resolver.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>
#include <utility>

namespace hr::net {

struct Resolver::Thread {
  boost::asio::thread_pool pool{1};
};

Resolver::Resolver(Runtime& runtime) : runtime_(runtime) {}

Resolver::~Resolver() {
  if (thread_) thread_->pool.join();
}

Task<Result<Addresses>> Resolver::resolve(std::string host, std::uint16_t port, Duration timeout) {
  if (auto known = numeric_address(host, port)) co_return std::move(*known);
  if (!thread_) thread_ = std::make_unique<Thread>();
  struct Question {
    explicit Question(boost::asio::io_context& context) : timer(context) {}
    boost::asio::steady_timer timer;
    std::optional<Result<Addresses>> answer;
  };
  // Shared with the thread, whose answer may come when nobody waits any more.
  const auto question = std::make_shared<Question>(runtime_.context());
  question->timer.expires_after(timeout);
  boost::asio::post(thread_->pool, [&runtime = runtime_, question, host, port] {
    auto answer = std::make_shared<Result<Addresses>>(look_up(host, port));
    runtime.post([question, answer] {
      question->answer = std::move(*answer);
      question->timer.cancel();
    });
  });
  co_await question->timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  if (!question->answer) co_return fail(Errc::kTimeout, host + ": its address was not found in time");
  co_return std::move(*question->answer);
}

}  // namespace hr::net
