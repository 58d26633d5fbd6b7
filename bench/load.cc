// A closed-loop HTTP load generator: one thread, N connections, each with one request outstanding. Signs with
// SigV4 once per distinct request (identical bytes are valid for 15 minutes), so that what is measured is the
// server. Prints one JSON object. Loopback only, bounded in time.
//
//   bench_load SCENARIO --target 127.0.0.1:PORT [--connections 64] [--seconds 5] [--warmup 1] [--bytes 300]
//              [--queue-url URL] [--bucket NAME] [--keys-per-connection 16] [--path /p]
//              [--count N] [--queues N] [--keys N] [--prefixes P]
//   SCENARIO: create | send | batch | cycle | round | put | get | list | list-delimiter | raw-post | raw-get
//   list: pages of 1,000 from random keys on, in a bucket that bench_commit has filled
// Credentials: HEADRACE_KEY_ID and HEADRACE_KEY_SECRET in the environment.
#include "bench_keys.h"
#include "codec/uri.h"
#include "signed_request.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace hr::bench;

struct Options {
  std::string scenario;
  std::string target = "127.0.0.1:9324";
  std::string queue_url;
  std::string bucket;
  std::string path = "/";
  int connections = 64;
  double seconds = 5;
  double warmup = 1;
  std::size_t bytes = 300;
  int keys_per_connection = 16;
  std::int64_t count = 0;
  int queues = 0;  // 0: the one of --queue-url; else those named after it, with "-0" and so on
  std::uint64_t keys = 1, prefixes = 1;  // of the bucket that is listed
};

// What one connection sends next, and what an answer is worth in messages.
class Scenario {
 public:
  virtual ~Scenario() = default;
  virtual std::string_view next() = 0;
  virtual int answered(std::string_view body) = 0;
};

class Repeated : public Scenario {
 public:
  Repeated(std::vector<std::string> requests, int worth) : requests_(std::move(requests)), worth_(worth) {}
  std::string_view next() override { return requests_[at_++ % requests_.size()]; }
  int answered(std::string_view) override { return worth_; }

 private:
  std::vector<std::string> requests_;
  std::size_t at_ = 0;
  int worth_;
};

std::string batch_of_ten(const Signer& signer, const Options& options) {
  const std::string body(options.bytes, 'x');
  std::string json = fmt::format(R"({{"QueueUrl":"{}","Entries":[)", options.queue_url);
  for (int i = 0; i < 10; ++i) {
    json += fmt::format(R"({}{{"Id":"{}","MessageBody":"{}"}})", i == 0 ? "" : ",", i, body);
  }
  return signer.sqs("SendMessageBatch", json + "]}");
}

// Receive(10), then DeleteBatch(10) of what came; before them SendBatch(10) where a `send` is given.
class Cycle : public Scenario {
 public:
  Cycle(const Signer& signer, std::string queue_url, std::string send)
      : signer_(signer),
        queue_url_(std::move(queue_url)),
        send_(std::move(send)),
        receive_(signer.sqs("ReceiveMessage",
                            fmt::format(R"({{"QueueUrl":"{}","MaxNumberOfMessages":10}})", queue_url_))),
        step_(first()) {}

  std::string_view next() override {
    return step_ == Step::kSend ? send_ : step_ == Step::kReceive ? receive_ : erase_;
  }

  int answered(std::string_view body) override {
    const int deleted = step_ == Step::kDelete ? handles_ : 0;
    if (step_ == Step::kReceive) take_handles(body);
    step_ = step_ == Step::kSend                      ? Step::kReceive
            : step_ == Step::kReceive && handles_ > 0 ? Step::kDelete
                                                      : first();
    return deleted;
  }

 private:
  enum class Step { kSend, kReceive, kDelete };

  Step first() const { return send_.empty() ? Step::kReceive : Step::kSend; }

  void take_handles(std::string_view body) {
    constexpr std::string_view kMark = "\"ReceiptHandle\":\"";
    handles_ = 0;
    std::string request = fmt::format(R"({{"QueueUrl":"{}","Entries":[)", queue_url_);
    for (std::size_t at = body.find(kMark); at != body.npos; at = body.find(kMark, at)) {
      at += kMark.size();
      request += fmt::format(R"({}{{"Id":"{}","ReceiptHandle":"{}"}})", handles_ == 0 ? "" : ",", handles_,
                             body.substr(at, body.find('"', at) - at));
      ++handles_;
    }
    erase_ = signer_.sqs("DeleteMessageBatch", request + "]}");
  }

  const Signer& signer_;
  std::string queue_url_;
  std::string send_;
  std::string receive_;
  std::string erase_;
  int handles_ = 0;
  Step step_;
};

// Each connection has its share of the queues, one after the other; all have the one where there is one.
std::unique_ptr<Scenario> over_queues(const Signer& signer, const Options& options, int connection) {
  std::vector<std::string> urls;
  for (int i = connection; i < options.queues; i += options.connections)
    urls.push_back(fmt::format("{}-{}", options.queue_url, i));
  if (options.queues == 0) urls.push_back(options.queue_url);
  std::vector<std::string> requests;
  for (const std::string& url : urls) {
    if (options.scenario == "create") {
      const std::string_view name = std::string_view(url).substr(url.rfind('/') + 1);
      requests.push_back(signer.sqs("CreateQueue", fmt::format(R"({{"QueueName":"{}"}})", name)));
    } else {
      requests.push_back(signer.sqs("SendMessage", fmt::format(R"({{"QueueUrl":"{}","MessageBody":"{}"}})",
                                                               url, std::string(options.bytes, 'x'))));
    }
  }
  return std::make_unique<Repeated>(std::move(requests), 1);
}

constexpr int kPlacesListed = 512;
constexpr std::uint64_t kPage = 1'000;

std::vector<std::string> listings(const Options& options, const Signer& signer, int connection) {
  std::mt19937_64 random(static_cast<std::uint64_t>(connection));
  std::vector<std::string> requests;
  const bool by_prefix = options.scenario == "list-delimiter";
  const std::uint64_t last = options.prefixes > kPage ? options.prefixes - kPage : 1;
  for (int i = 0; i < kPlacesListed; ++i) {
    const std::string after = by_prefix ? hr::bench::prefix_of(random() % last)
                                        : hr::bench::key_of(random() % options.keys, options.prefixes);
    requests.push_back(
        signer.s3("GET", "/" + options.bucket, "",
                  fmt::format("{}list-type=2&start-after={}", by_prefix ? "delimiter=%2F&" : "",
                              hr::codec::percent_encode(after))));
  }
  return requests;
}

std::unique_ptr<Scenario> make_scenario(const Options& options, const Signer& signer, int connection) {
  const std::string body(options.bytes, 'x');
  const auto keys = [&](std::string_view method, std::string_view payload) {
    std::vector<std::string> requests;
    for (int i = 0; i < options.keys_per_connection; ++i) {
      requests.push_back(
          signer.s3(method, fmt::format("/{}/k{:03}-{:03}", options.bucket, connection, i), payload));
    }
    return std::make_unique<Repeated>(std::move(requests), 1);
  };
  if (options.scenario == "create" || options.scenario == "send")
    return over_queues(signer, options, connection);
  if (options.scenario == "batch") {
    return std::make_unique<Repeated>(std::vector{batch_of_ten(signer, options)}, 10);
  }
  if (options.scenario == "cycle") return std::make_unique<Cycle>(signer, options.queue_url, "");
  if (options.scenario == "round") {
    return std::make_unique<Cycle>(signer, options.queue_url, batch_of_ten(signer, options));
  }
  if (options.scenario == "put") return keys("PUT", body);
  if (options.scenario == "get") return keys("GET", "");
  if (options.scenario == "list" || options.scenario == "list-delimiter")
    return std::make_unique<Repeated>(listings(options, signer, connection), 1);
  if (options.scenario == "raw-post") {
    return std::make_unique<Repeated>(std::vector{signer.s3("POST", options.path, body)}, 1);
  }
  if (options.scenario == "raw-get")
    return std::make_unique<Repeated>(std::vector{signer.s3("GET", options.path, "")}, 1);
  give_up("unknown scenario " + options.scenario);
}

struct Connection {
  int fd = -1;
  std::unique_ptr<Scenario> scenario;
  std::string_view out;
  std::string in;
  std::int64_t sent_at = 0;
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), signer_(options.target), epoll_(epoll_create1(0)) {
    connections_.resize(static_cast<std::size_t>(options.connections));
    int number = 0;
    for (auto& connection : connections_) open(connection, number++);
  }

  void run() {
    const std::int64_t start = nanoseconds();
    measure_from_ = start + static_cast<std::int64_t>(options_.warmup * 1e9);
    const std::int64_t end = measure_from_ + static_cast<std::int64_t>(options_.seconds * 1e9);
    for (auto& connection : connections_) begin(connection);
    epoll_event events[256];
    while (nanoseconds() < end && (options_.count == 0 || messages_ < options_.count)) {
      const int n = epoll_wait(epoll_, events, 256, 1'000);
      for (int i = 0; i < n; ++i) ready(*static_cast<Connection*>(events[i].data.ptr), events[i].events);
    }
    report(static_cast<double>(nanoseconds() - measure_from_) / 1e9);
  }

 private:
  void open(Connection& connection, int number) {
    connection.fd = connect_to(options_.target);
    fcntl(connection.fd, F_SETFL, O_NONBLOCK);
    connection.scenario = make_scenario(options_, signer_, number);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = &connection}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
  }

  void begin(Connection& connection) {
    connection.out = connection.scenario->next();
    connection.sent_at = nanoseconds();
    flush(connection);
  }

  void flush(Connection& connection) {
    while (!connection.out.empty()) {
      const ssize_t n = ::send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        if (errno == EAGAIN) return;
        give_up(fmt::format("send: {}", std::strerror(errno)));
      }
      connection.out.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  void ready(Connection& connection, std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) flush(connection);
    if ((events & EPOLLIN) == 0) return;
    char buffer[64 << 10];
    while (true) {
      const ssize_t n = recv(connection.fd, buffer, sizeof buffer, 0);
      if (n == 0) give_up("the server closed a connection");
      if (n < 0) break;
      connection.in.append(buffer, static_cast<std::size_t>(n));
      if (static_cast<std::size_t>(n) < sizeof buffer) break;
    }
    take_answer(connection);
  }

  void take_answer(Connection& connection) {
    const auto body = body_of(connection.in);
    if (!body) return;
    const int worth = connection.scenario->answered(*body);
    if (connection.sent_at >= measure_from_) {
      ++requests_;
      messages_ += worth;
      latencies_.push_back(static_cast<std::uint32_t>((nanoseconds() - connection.sent_at) / 1'000));
    }
    connection.in.clear();
    begin(connection);
  }

  void report(double seconds) {
    std::ranges::sort(latencies_);
    const auto percentile = [&](double p) {
      return latencies_.empty()
                 ? 0U
                 : latencies_[static_cast<std::size_t>(p * static_cast<double>(latencies_.size() - 1))];
    };
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    fmt::print(
        R"({{"scenario":"{}","connections":{},"seconds":{:.3f},"requests_per_second":{:.1f},)"
        R"("messages":{},"messages_per_second":{:.1f},"p50_us":{},"p99_us":{},"client_cpu_seconds":{:.2f}}})"
        "\n",
        options_.scenario, options_.connections, seconds, static_cast<double>(requests_) / seconds, messages_,
        static_cast<double>(messages_) / seconds, percentile(0.5), percentile(0.99), cpu);
  }

  Options options_;
  Signer signer_;
  int epoll_;
  std::vector<Connection> connections_;
  std::int64_t measure_from_ = 0;
  std::int64_t requests_ = 0, messages_ = 0;
  std::vector<std::uint32_t> latencies_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Closed-loop HTTP load on a loopback server; prints one JSON object");
  app.add_option("scenario", options.scenario,
                 "create send batch cycle round put get list list-delimiter raw-post raw-get")
      ->required();
  app.add_option("--target", options.target, "address and port");
  app.add_option("--queue-url", options.queue_url);
  app.add_option("--bucket", options.bucket);
  app.add_option("--path", options.path, "of raw requests");
  app.add_option("--connections", options.connections)->check(CLI::Range(1, 10'000));
  app.add_option("--seconds", options.seconds)->check(CLI::Range(0.1, 600.0));
  app.add_option("--warmup", options.warmup)->check(CLI::Range(0.0, 60.0));
  app.add_option("--bytes", options.bytes)->check(CLI::Range(0, 64 << 20));
  app.add_option("--keys-per-connection", options.keys_per_connection)->check(CLI::Range(1, 10'000));
  app.add_option("--keys", options.keys, "of the bucket that is listed")->check(CLI::Range(1, 1'000'000'000));
  app.add_option("--prefixes", options.prefixes)->check(CLI::Range(1, 1'000'000));
  app.add_option("--count", options.count, "end after so many messages, however many seconds are left");
  app.add_option("--queues", options.queues, "of create and send: so many, named after --queue-url")
      ->check(CLI::Range(0, 100'000));
  CLI11_PARSE(app, argc, argv);
  if (options.queues != 0 && options.queues < options.connections) give_up("fewer queues than connections");
  Load(options).run();
  return 0;
}
