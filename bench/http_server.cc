// The HTTP layer alone: answers every request with the same small body, so that its cost can be set against
// `return 200` of nginx. Usage: bench_http_server PORT (0: any; printed).
#include "net/runtime.h"
#include "net/server.h"
#include "os/linux/linux.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

class Silent final : public hr::LogSink {
 public:
  bool wants(hr::Severity) const override { return false; }
  void write(hr::Severity, std::string_view, std::span<const hr::Field>) override {}
};

class Fixed final : public hr::net::Handler {
 public:
  hr::net::Task<hr::net::Response> handle(hr::net::RequestHead&, hr::net::RequestBody& body) override {
    const hr::Result<std::string> all = co_await body.read_all(1'000'000);
    hr::net::Response response;
    response.status = all ? 200 : 413;
    response.headers.add("Content-Type", "text/plain");
    response.body = "ok\n";
    co_return response;
  }
};

}  // namespace

int main(int argc, char** argv) {
  Silent silent;
  Fixed handler;
  const auto entropy = hr::os::make_entropy();
  hr::net::Runtime runtime(1, hr::Log(silent));
  const auto clock = hr::os::make_clock(hr::Time{});
  hr::net::Server server(runtime, handler, *clock, *entropy, hr::Log(silent));
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  if (const hr::Status ready = server.listen(hr::net::TcpAddress{.host = "127.0.0.1", .port = port});
      !ready) {
    std::fprintf(stderr, "%s\n", ready.error().message.c_str());
    return 1;
  }
  std::printf("%u\n", server.port());
  std::fflush(stdout);
  runtime.run();
}
