// How long one message takes when nothing else happens, and what it cannot be faster than. Prints one JSON
// object.
//
//   bench_latency limits --path FOLDER      medians: a round trip between two processes over a socket pair
//   and
//                                           over loopback TCP, an append of 4 KiB with fdatasync
//   bench_latency waiting --target 127.0.0.1:PORT --queue-url URL
//                                           from just before a SendMessage to the end of the answer of a
//                                           ReceiveMessage that waited for it
//   both: [--count 300]
// Credentials: HEADRACE_KEY_ID and HEADRACE_KEY_SECRET in the environment.
#include "signed_request.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace hr::bench;

struct Options {
  std::string what;
  std::string path;
  std::string target;
  std::string queue_url;
  int count = 300;
};

struct Spread {
  double p50_us, p99_us;
};

// A tenth as many before that are not counted. A pause before each, so that the machine is idle.
Spread timed(int count, const std::function<void()>& once) {
  std::vector<std::int64_t> took;
  for (int i = -count / 10; i < count; ++i) {
    usleep(3'000);
    const std::int64_t began = nanoseconds();
    once();
    if (i >= 0) took.push_back(nanoseconds() - began);
  }
  std::ranges::sort(took);
  const auto at = [&](double p) {
    return static_cast<double>(took[static_cast<std::size_t>(p * static_cast<double>(took.size() - 1))]) /
           1e3;
  };
  return {at(0.5), at(0.99)};
}

// 64 bytes there and back; `far` belongs to another process.
Spread round_trip(int count, int near, int far) {
  const pid_t echo = fork();
  if (echo < 0) give_up("fork");
  char bytes[64] = {};
  if (echo == 0) {
    close(near);
    while (recv(far, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes &&
           send(far, bytes, sizeof bytes, 0) > 0) {
    }
    _exit(0);
  }
  close(far);
  const Spread took = timed(count, [&] {
    if (send(near, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes ||
        recv(near, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes)
      give_up("the echo ended");
  });
  close(near);
  waitpid(echo, nullptr, 0);
  return took;
}

Spread over_a_socket_pair(int count) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) give_up("socketpair");
  return round_trip(count, ends[0], ends[1]);
}

Spread over_loopback(int count) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    give_up("cannot listen on loopback");
  const int near = connect_to(fmt::format("127.0.0.1:{}", ntohs(address.sin_port)));
  const int far = accept(listener, nullptr, nullptr);
  const int on = 1;
  setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const Spread took = round_trip(count, near, far);
  close(listener);
  return took;
}

Spread append_and_flush(int count, const std::string& folder) {
  const std::string path = folder + "/appended";
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
  if (fd < 0) give_up(fmt::format("{}: {}", path, std::strerror(errno)));
  const std::string page(4096, 'x');
  const Spread took = timed(count, [&] {
    if (write(fd, page.data(), page.size()) != static_cast<ssize_t>(page.size()) || fdatasync(fd) != 0)
      give_up(fmt::format("{}: {}", path, std::strerror(errno)));
  });
  close(fd);
  unlink(path.c_str());
  return took;
}

class Connection {
 public:
  explicit Connection(const std::string& target) : fd_(connect_to(target)) {}
  void ask(std::string_view request) const {
    if (send(fd_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
      give_up("the server closed a connection");
  }
  std::string answer() const {
    std::string in;
    while (true) {
      char buffer[16 << 10];
      const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) give_up("the server closed a connection");
      in.append(buffer, static_cast<std::size_t>(n));
      if (const auto body = body_of(in)) return std::string(*body);
    }
  }

 private:
  int fd_;
};

Spread to_a_waiting_receiver(const Options& options) {
  const Signer signer(options.target);
  const std::string queue = fmt::format(R"("QueueUrl":"{}")", options.queue_url);
  const std::string send =
      signer.sqs("SendMessage", fmt::format(R"({{{},"MessageBody":"{}"}})", queue, std::string(300, 'x')));
  const std::string receive =
      signer.sqs("ReceiveMessage", fmt::format(R"({{{},"WaitTimeSeconds":20}})", queue));
  const Connection sender(options.target), receiver(options.target);
  receiver.ask(receive);
  return timed(options.count, [&] {
    sender.ask(send);
    if (receiver.answer().find("\"Body\"") == std::string::npos) give_up("a receiver waited for nothing");
    receiver.ask(receive);  // It waits while the pause before the next one passes.
    sender.answer();
  });
}

void print(const char* name, const Spread& spread, const char* behind) {
  fmt::print(R"("{}":{{"p50_us":{:.1f},"p99_us":{:.1f}}}{})", name, spread.p50_us, spread.p99_us, behind);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("The delay of one message on an idle machine, and its limits; prints one JSON object");
  app.add_option("what", options.what, "limits or waiting")
      ->required()
      ->check(CLI::IsMember({"limits", "waiting"}));
  app.add_option("--path", options.path, "folder of the file that is appended to");
  app.add_option("--target", options.target, "address and port");
  app.add_option("--queue-url", options.queue_url);
  app.add_option("--count", options.count)->check(CLI::Range(10, 100'000));
  CLI11_PARSE(app, argc, argv);
  fmt::print("{{");
  if (options.what == "limits") {
    print("socket_pair", over_a_socket_pair(options.count), ",");
    print("loopback", over_loopback(options.count), ",");
    print("append_and_flush", append_and_flush(options.count, options.path), "}\n");
  } else {
    print("waiting", to_a_waiting_receiver(options), "}\n");
  }
  return 0;
}
