#include "net/test_server.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace hr::net::testing {
namespace {

Task<Response> wait_until_released(TestHandler& handler, RequestBody& body) {
  body.on_disconnect([&handler] {
    handler.disconnected.set_value();
    std::exchange(handler.release, nullptr)();
  });
  co_await await_call<bool>([&handler](auto done) {
    auto held = std::make_shared<decltype(done)>(std::move(done));
    handler.release = [held] { std::move (*held)(true); };
    handler.waiting.set_value();
  });
  Response response;
  response.body = "released";
  co_return response;
}

Task<Response> echo(TestHandler& handler, RequestBody& body) {
  Response response;
  std::string all;
  for (;;) {
    Result<std::string_view> piece = co_await body.read();
    if (!piece) {
      ++handler.failed_reads;
      break;
    }
    if (piece->empty()) break;
    all.append(*piece);
  }
  response.body = std::move(all);
  co_return response;
}

}  // namespace

Task<Response> TestHandler::handle(RequestHead& head, RequestBody& body) {
  Response response;
  if (head.target == "/echo") co_return co_await echo(*this, body);
  if (head.target == "/wait") co_return co_await wait_until_released(*this, body);
  if (head.target == "/all") {
    Result<std::string> all = co_await body.read_all(1'000'000);
    if (!all && all.error().code == Errc::kLimit) {
      response.status = 413;
      co_return response;
    }
    if (!all) ++failed_reads;
    response.body = all.value_or("failed");
  } else if (head.target == "/throw") {
    throw std::runtime_error("a bug");
  } else if (head.target == "/file") {
    response.body = FileBody{.file = file, .offset = 10, .bytes = file_bytes - 10};
  } else if (head.target.starts_with("/bytes/")) {
    response.body = std::string(static_cast<std::size_t>(std::atoll(head.target.c_str() + 7)), 'b');
  } else if (head.target.starts_with("/status/")) {
    response.status = std::atoi(head.target.c_str() + 8);
    response.body = "text";
  } else if (head.target == "/length") {
    response.announced_length = 12'345;
  } else if (head.target == "/split") {
    response.headers.add("x-task", "a\r\nSet-Cookie: stolen=1");
  } else if (head.target == "/id") {
    response.body = head.request_id;
  } else if (head.target == "/peer") {
    response.body =
        head.peer.address + " " + std::to_string(head.peer.pid == static_cast<std::uint32_t>(::getpid()));
  } else if (head.target == "/headers") {
    std::string text;
    for (const Header& h : head.headers) text += h.name + "=" + h.value + ";";
    response.body = std::move(text);
  } else if (head.target == "/close") {
    response.close = true;
  } else {
    response.body = head.method + " " + head.target;
  }
  co_return response;
}

Client::Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
}

Client::Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof where.sun_path - 1);
  EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
}

void Client::send(std::string_view bytes) const { EXPECT_TRUE(try_send(bytes)); }

bool Client::try_send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool Client::more() {
  char bytes[65'536];
  const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
  if (n <= 0) return false;
  kept_.append(bytes, static_cast<std::size_t>(n));
  return true;
}

std::string Client::response(bool with_body) {
  while (kept_.find("\r\n\r\n") == std::string::npos) {
    if (!more()) return std::exchange(kept_, "");
  }
  std::size_t bytes = kept_.find("\r\n\r\n") + 4;
  const std::string length = header_of(std::string_view(kept_).substr(0, bytes), "Content-Length");
  if (with_body && !length.empty()) bytes += static_cast<std::size_t>(std::stoull(length));
  while (kept_.size() < bytes && more()) {
  }
  std::string out = kept_.substr(0, bytes);
  kept_.erase(0, out.size());
  return out;
}

std::string Client::rest() {
  while (more()) {
  }
  return std::exchange(kept_, "");
}

void Client::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Client::reset() {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

TestServer::TestServer(ServerLimits limits) {
  std::string name = std::filesystem::temp_directory_path() / "hr-net-XXXXXX";
  folder = ::mkdtemp(name.data());
  path = folder + "/http.sock";
  handler.runtime = &runtime;
  server = std::make_unique<Server>(runtime, handler, *clock, entropy, Log(sink), limits);
  const Status tcp_ready = server->listen(TcpAddress{.host = "127.0.0.1", .port = 0});
  EXPECT_TRUE(tcp_ready) << tcp_ready.error().message;
  const Status unix_ready = server->listen(UnixAddress{.path = path});
  EXPECT_TRUE(unix_ready) << unix_ready.error().message;
  port = server->port();
  thread_ = std::thread([this] { runtime.run(); });
}

TestServer::~TestServer() {
  runtime.stop();
  thread_.join();
  server.reset();
  std::filesystem::remove_all(folder);
}

void TestServer::on_reactor(std::function<void()> work) {
  std::promise<void> done;
  runtime.post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void TestServer::drain(Duration deadline) {
  std::promise<void> done;
  on_reactor([&] {
    runtime.spawn(gate, "drain", [](Server& s, Duration limit, std::promise<void>& end) -> Task<void> {
      co_await s.drain(limit);
      end.set_value();
    }(*server, deadline, done));
  });
  done.get_future().wait();
}

ServerStats TestServer::stats() {
  ServerStats out;
  on_reactor([&] { out = server->stats(); });
  return out;
}

int status_of(std::string_view response) {
  if (response.size() < 12 || !response.starts_with("HTTP/1.1 ")) return 0;
  return std::atoi(std::string(response.substr(9, 3)).c_str());
}

std::string body_of(std::string_view response) {
  const std::size_t at = response.find("\r\n\r\n");
  return at == std::string_view::npos ? "" : std::string(response.substr(at + 4));
}

std::string header_of(std::string_view response, std::string_view name) {
  const std::string key = "\r\n" + std::string(name) + ": ";
  const std::size_t at = response.find(key);
  if (at == std::string_view::npos || at > response.find("\r\n\r\n")) return "";
  const std::size_t begin = at + key.size();
  return std::string(response.substr(begin, response.find("\r\n", begin) - begin));
}

}  // namespace hr::net::testing
