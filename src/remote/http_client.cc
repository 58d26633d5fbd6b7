#include "remote/http_client.h"

#include "codec/config.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sys/socket.h>
#include <utility>

namespace hr::remote {
namespace {

namespace asio = boost::asio;
using Socket = asio::generic::stream_protocol::socket;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

constexpr std::size_t kIdleMax = 16;
constexpr Nanos kIdleFor = std::chrono::seconds(30);  // below the store's own 75 s
constexpr Duration kAfterCancel = 1s;
constexpr std::size_t kReadBytes = 64 * 1024;

asio::generic::stream_protocol::endpoint address_of(const Endpoint& endpoint) {
  if (!endpoint.unix_path.empty()) return asio::local::stream_protocol::endpoint(endpoint.unix_path);
  return asio::ip::tcp::endpoint(asio::ip::make_address(endpoint.host), endpoint.port);
}

Bytes head_of(const HttpCall& call) {
  Bytes out = fmt::format("{} {} HTTP/1.1\r\n", call.method, call.target);
  for (const auto& [name, value] : call.headers) out += fmt::format("{}: {}\r\n", name, value);
  if (!call.body.empty() || call.method == "POST" || call.method == "PUT") {
    out += fmt::format("content-length: {}\r\n", call.body.size());
  }
  return out + "\r\n";
}

// A header that could end its line early is never sent.
bool clean(const HttpCall& call) {
  const auto plain = [](ByteView text) { return text.find_first_of(ByteView("\r\n\0", 3)) == text.npos; };
  return plain(call.target) && !call.target.contains(' ') &&
         std::ranges::all_of(call.headers, [&](auto& h) { return plain(h.first) && plain(h.second); });
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  Endpoint out;
  if (text.starts_with("unix:")) {
    out.unix_path = text.substr(5);
    if (out.unix_path.empty() || out.unix_path.front() != '/' || out.unix_path.size() > 107) {
      return fail(Errc::kInvalid,
                  fmt::format("{}: the path of a unix socket is absolute and at most 107 bytes", text));
    }
    out.host_header = "localhost";
    return out;
  }
  if (text.starts_with("https://")) {
    return fail(Errc::kUnsupported, fmt::format("{}: https endpoints are not in this version", text));
  }
  if (!text.starts_with("http://")) {
    return fail(Errc::kInvalid, fmt::format("{}: an endpoint is http://ADDRESS:PORT or unix:/PATH", text));
  }
  std::string rest(text.substr(7));
  while (rest.ends_with('/')) rest.pop_back();
  out.host_header = rest;
  if (rest.starts_with("localhost:")) rest.replace(0, 9, "127.0.0.1");
  const auto listen = parse_listen(rest);
  if (!listen || listen->port == 0) {
    return fail(Errc::kUnsupported, fmt::format("{}: an endpoint is a numeric address and a port", text));
  }
  out.host = listen->host;
  out.port = listen->port;
  return out;
}

void Cancel::operator()() {
  asked_ = true;
  if (act_) act_();
}

struct HttpClient::Connection {
  explicit Connection(asio::io_context& context) : socket(context) {}
  Socket socket;
  bool used = false;  // a call was answered on it
};

// One call under way: its connection, and why it was ended if it was.
struct HttpClient::Exchange : std::enable_shared_from_this<Exchange> {
  explicit Exchange(asio::io_context& context) : timer(context) {}

  void arm(Duration after) {
    timer.expires_after(after);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!self || error) return;
      self->late = true;
      self->close();
    });
  }
  void close() {
    boost::system::error_code ignored;
    if (connection) static_cast<void>(connection->socket.close(ignored));
  }
  // Our sending side ends, and what was answered already may still come for a moment.
  void cancel() {
    cancelled = true;
    if (!connection || !connected) return close();
    boost::system::error_code ignored;
    static_cast<void>(connection->socket.shutdown(Socket::shutdown_send, ignored));
    arm(kAfterCancel);
  }
  std::unexpected<Error> failed(const std::string& what, const boost::system::error_code& error) const {
    if (cancelled) return fail(Errc::kClosed, "cancelled");
    if (late) return fail(Errc::kTimeout, what + ": no answer in time");
    return fail(connected ? Errc::kClosed : Errc::kUnavailable, what + ": " + error.message());
  }

  asio::steady_timer timer;
  std::unique_ptr<Connection> connection;
  bool connected = false;
  bool late = false;
  bool cancelled = false;
  bool began = false;  // a byte of the answer arrived
};

HttpClient::HttpClient(net::Runtime& runtime, const os::Clock& clock, Endpoint endpoint)
    : runtime_(runtime), clock_(clock), endpoint_(std::move(endpoint)) {}

HttpClient::~HttpClient() = default;

// The one used last, if its peer has not closed it.
std::unique_ptr<HttpClient::Connection> HttpClient::take_idle() {
  while (!idle_.empty()) {
    Idle last = std::move(idle_.back());
    idle_.pop_back();
    char byte = 0;
    const auto peeked = ::recv(last.connection->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    const bool quiet = peeked < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (quiet && clock_.boottime() - last.since < kIdleFor) return std::move(last.connection);
  }
  return nullptr;
}

net::Task<Status> HttpClient::connect(Exchange& exchange) {
  exchange.connection = std::make_unique<Connection>(runtime_.context());
  const auto address = address_of(endpoint_);
  const auto [error] = co_await exchange.connection->socket.async_connect(address, kAwait);
  if (error) co_return exchange.failed(endpoint_.host_header, error);
  exchange.connected = true;
  if (endpoint_.unix_path.empty()) {
    const int on = 1;
    ::setsockopt(exchange.connection->socket.native_handle(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on,
                 sizeof on);
  }
  co_return Status{};
}

net::Task<Result<codec::Response>> HttpClient::exchange(std::shared_ptr<Exchange> exchange,
                                                        const HttpCall& call) {
  Socket& socket = exchange->connection->socket;
  const Bytes head = head_of(call);
  const std::array<asio::const_buffer, 2> out = {asio::buffer(head), asio::buffer(call.body)};
  const auto [unsent, sent] = co_await asio::async_write(socket, out, kAwait);
  // A server may refuse before it has read everything: its answer is looked for all the same.
  const bool whole = !unsent;
  codec::ResponseParser parser(call.method == "HEAD" ? codec::Asked::kHead : codec::Asked::kOther,
                               call.limits);
  Bytes in(kReadBytes, '\0');
  while (!parser.done()) {
    const auto [error, bytes] = co_await socket.async_read_some(asio::buffer(in), kAwait);
    if (error) {
      if (error == asio::error::eof && parser.closed() && parser.done()) break;
      exchange->began = parser.began();
      co_return exchange->failed(endpoint_.host_header, unsent ? unsent : error);
    }
    const auto taken = parser.feed(ByteView(in).substr(0, bytes));
    if (!taken) co_return std::unexpected(taken.error());
    if (*taken < bytes) exchange->cancelled = true;  // bytes that nobody asked for: not used again
  }
  codec::Response response = parser.take();
  if (!whole) response.keep_alive = false;
  co_return response;
}

net::Task<Result<codec::Response>> HttpClient::call(HttpCall call, Cancel* cancel) {
  if (!clean(call)) co_return fail(Errc::kInvalid, "a line break in a request's head");
  if (cancel != nullptr && cancel->asked()) co_return fail(Errc::kClosed, "cancelled");
  const auto exchange = std::make_shared<Exchange>(runtime_.context());
  exchange->arm(call.timeout);
  if (cancel != nullptr) cancel->act_ = [exchange] { exchange->cancel(); };
  Result<codec::Response> answer = fail(Errc::kUnavailable, "not sent");
  for (bool again = true; again;) {
    exchange->connection = take_idle();
    exchange->connected = exchange->connection != nullptr;
    const bool reused = exchange->connected;
    if (!reused) {
      const Status connected = co_await connect(*exchange);
      if (!connected) {
        answer = std::unexpected(connected.error());
        break;
      }
    }
    answer = co_await this->exchange(exchange, call);
    again = !answer && answer.error().code == Errc::kClosed && reused && !exchange->began &&
            !exchange->cancelled && !exchange->late;
  }
  exchange->timer.cancel();
  if (cancel != nullptr) cancel->act_ = nullptr;
  if (answer && answer->keep_alive && !exchange->cancelled && !exchange->late && idle_.size() < kIdleMax) {
    idle_.push_back({std::move(exchange->connection), clock_.boottime()});
  }
  co_return answer;
}

}  // namespace hr::remote
