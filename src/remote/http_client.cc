#include "remote/http_client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/tcp.h>
#include <span>
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
constexpr Duration kNextAddressAfter = 3s;
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kSealBytes = 256 * 1024;  // of plaintext that becomes ciphertext at once

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

void Cancel::operator()() {
  asked_ = true;
  if (act_) act_();
}

struct HttpClient::Connection {
  explicit Connection(asio::io_context& context) : socket(context) {}

  net::Task<boost::system::error_code> send(ByteView head, ByteView body);
  // Some plaintext; eof: the peer has ended, and said so where it could.
  net::Task<std::pair<boost::system::error_code, std::size_t>> receive(std::span<char> out);
  bool quiet();  // nothing has come that nobody asked for

  Socket socket;
  std::unique_ptr<net::TlsPipe> pipe;  // null: plain
  Error broken;                        // of TLS, beside the code
};

net::Task<boost::system::error_code> HttpClient::Connection::send(ByteView head, ByteView body) {
  if (!pipe) {
    const std::array<asio::const_buffer, 2> out = {asio::buffer(head), asio::buffer(body)};
    const auto [error, sent] = co_await asio::async_write(socket, out, kAwait);
    co_return error;
  }
  Status sealed = pipe->write(head);
  do {
    if (sealed) sealed = pipe->write(body.substr(0, kSealBytes));
    body.remove_prefix(std::min(body.size(), kSealBytes));
    if (!sealed) {
      broken = sealed.error();
      co_return asio::error::connection_reset;
    }
    const Bytes out = pipe->take_output();
    const auto [error, sent] = co_await asio::async_write(socket, asio::buffer(out), kAwait);
    if (error) co_return error;
  } while (!body.empty());
  co_return boost::system::error_code();
}

net::Task<std::pair<boost::system::error_code, std::size_t>> HttpClient::Connection::receive(
    std::span<char> out) {
  using Received = std::pair<boost::system::error_code, std::size_t>;
  if (!pipe) {
    const auto [error, bytes] = co_await socket.async_read_some(asio::buffer(out.data(), out.size()), kAwait);
    co_return Received(error, bytes);
  }
  Bytes sealed(kReadBytes, '\0');
  for (;;) {
    const auto plain = pipe->read(out);
    if (!plain) {
      broken = plain.error();
      co_return Received(asio::error::connection_reset, 0);
    }
    if (*plain != 0) co_return Received({}, *plain);
    if (pipe->ended()) co_return Received(asio::error::eof, 0);
    const Bytes answer = pipe->take_output();
    if (!answer.empty()) co_await asio::async_write(socket, asio::buffer(answer), kAwait);
    const auto [error, bytes] = co_await socket.async_read_some(asio::buffer(sealed), kAwait);
    // Without the peer's word that it has ended, somebody else may have cut the answer.
    if (error) co_return Received(error == asio::error::eof ? asio::error::connection_reset : error, 0);
    pipe->feed(ByteView(sealed).substr(0, bytes));
  }
}

bool HttpClient::Connection::quiet() {
  std::array<char, 4096> bytes;
  const auto waits = [] { return errno == EAGAIN || errno == EWOULDBLOCK; };
  if (!pipe) return ::recv(socket.native_handle(), bytes.data(), 1, MSG_PEEK | MSG_DONTWAIT) < 0 && waits();
  // Tickets of a new session may wait there.
  for (;;) {
    const auto n = ::recv(socket.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n < 0) return waits();
    if (n == 0) return false;
    pipe->feed({bytes.data(), static_cast<std::size_t>(n)});
    const auto plain = pipe->read(bytes);
    if (!plain || *plain != 0 || pipe->ended()) return false;
  }
}

// One call under way: its connection, and why it was ended if it was.
struct HttpClient::Exchange : std::enable_shared_from_this<Exchange> {
  explicit Exchange(asio::io_context& context) : timer(context), patience(context) {}

  void arm(Duration after) {
    timer.expires_after(after);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!self || error) return;
      self->late = true;
      self->close();
    });
  }
  // Only the address that is tried at this moment is given up.
  void arm_address(Duration after) {
    patience.expires_after(after);
    patience.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      if (const auto self = weak.lock(); self && !error) self->close();
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
    if (connection && !connection->broken.message.empty()) return std::unexpected(connection->broken);
    return fail(connected ? Errc::kClosed : Errc::kUnavailable, what + ": " + error.message());
  }

  Duration left() const {
    return std::max(
        1ms, std::chrono::duration_cast<Duration>(timer.expiry() - asio::steady_timer::clock_type::now()));
  }

  asio::steady_timer timer;
  asio::steady_timer patience;
  std::unique_ptr<Connection> connection;
  bool connected = false;
  bool late = false;
  bool cancelled = false;
  bool began = false;  // a byte of the answer arrived
};

HttpClient::HttpClient(net::Runtime& runtime, const os::Clock& clock, Endpoint endpoint,
                       std::string authorities)
    : runtime_(runtime),
      clock_(clock),
      endpoint_(std::move(endpoint)),
      authorities_(std::move(authorities)),
      resolver_(runtime) {}

HttpClient::~HttpClient() = default;

// The one used last, if its peer has not closed it.
std::unique_ptr<HttpClient::Connection> HttpClient::take_idle() {
  while (!idle_.empty()) {
    Idle last = std::move(idle_.back());
    idle_.pop_back();
    if (clock_.boottime() - last.since < kIdleFor && last.connection->quiet())
      return std::move(last.connection);
  }
  return nullptr;
}

net::Task<Status> HttpClient::connect(Exchange& exchange) {
  if (!endpoint_.unix_path.empty()) {
    exchange.connection = std::make_unique<Connection>(runtime_.context());
    const asio::local::stream_protocol::endpoint address(endpoint_.unix_path);
    const auto [error] = co_await exchange.connection->socket.async_connect(address, kAwait);
    if (error) co_return exchange.failed(endpoint_.host_header, error);
    exchange.connected = true;
    co_return Status{};
  }
  if (const Status made = co_await connect_tcp(exchange); !made) co_return made;
  if (endpoint_.tls) {
    if (const Status begun = co_await begin_tls(exchange); !begun) co_return begun;
  }
  exchange.connected = true;
  co_return Status{};
}

// An address that says nothing for a while is left for the next one.
net::Task<Status> HttpClient::connect_tcp(Exchange& exchange) {
  const auto addresses = co_await resolver_.resolve(endpoint_.host, endpoint_.port, exchange.left());
  if (!addresses) co_return std::unexpected(addresses.error());
  Status last = fail(Errc::kUnavailable, endpoint_.host_header + ": no address");
  for (std::size_t i = 0; i < addresses->size() && !exchange.cancelled && !exchange.late; ++i) {
    const net::SocketAddress& to = (*addresses)[i];
    const asio::generic::stream_protocol::endpoint address(&to.storage, to.bytes, IPPROTO_TCP);
    exchange.connection = std::make_unique<Connection>(runtime_.context());
    if (i + 1 < addresses->size()) exchange.arm_address(kNextAddressAfter);
    const auto [error] = co_await exchange.connection->socket.async_connect(address, kAwait);
    exchange.patience.cancel();
    if (!error) {
      const int on = 1;
      ::setsockopt(exchange.connection->socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      co_return Status{};
    }
    last = exchange.failed(endpoint_.host_header, error);
  }
  co_return last;
}

net::Task<Status> HttpClient::begin_tls(Exchange& exchange) {
  if (!tls_) {
    auto made = net::TlsContext::make(authorities_);
    if (!made) co_return std::unexpected(std::move(made).error());
    tls_ = std::move(*made);
  }
  auto pipe = net::TlsPipe::make(tls_, endpoint_.host);
  if (!pipe) co_return std::unexpected(std::move(pipe).error());
  Socket& socket = exchange.connection->socket;
  Bytes in(kReadBytes, '\0');
  for (;;) {
    const auto done = (*pipe)->handshake();
    const Bytes out = (*pipe)->take_output();  // an alert too
    const auto [unsent, sent] = co_await asio::async_write(socket, asio::buffer(out), kAwait);
    if (!done) co_return std::unexpected(done.error());
    if (unsent) co_return exchange.failed(endpoint_.host_header, unsent);
    if (*done) break;
    const auto [error, bytes] = co_await socket.async_read_some(asio::buffer(in), kAwait);
    if (error) co_return exchange.failed(endpoint_.host_header + ": before TLS began", error);
    (*pipe)->feed(ByteView(in).substr(0, bytes));
  }
  exchange.connection->pipe = std::move(*pipe);
  co_return Status{};
}

net::Task<Result<codec::Response>> HttpClient::exchange(std::shared_ptr<Exchange> exchange,
                                                        const HttpCall& call) {
  Connection& connection = *exchange->connection;
  const Bytes head = head_of(call);
  const auto unsent = co_await connection.send(head, call.body);
  // A server may refuse before it has read everything: its answer is looked for all the same.
  const bool whole = !unsent;
  codec::ResponseParser parser(call.method == "HEAD" ? codec::Asked::kHead : codec::Asked::kOther,
                               call.limits);
  Bytes in(kReadBytes, '\0');
  while (!parser.done()) {
    const auto [error, bytes] = co_await connection.receive(in);
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
