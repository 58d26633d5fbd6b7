// The commit path driven in process: no HTTP, no signatures. What the store could do if its front ends cost
// nothing; the yardstick of ./dev bench. Keeps N commands outstanding on a real folder with the real threads.
//
//   bench_commit send|put --path FOLDER [--outstanding 64] [--seconds 3] [--bytes 300] [--keys N --prefixes
//   P]
//
// With --keys, put fills the bucket with so many keys under P common prefixes, however long it takes.
#include "bench_keys.h"
#include "codec/digest.h"
#include "commit/recovery.h"
#include "commit/store.h"
#include "commit/threads.h"
#include "os/linux/linux.h"
#include "queue/message.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>

namespace {

using namespace hr;

class Silent : public LogSink {
 public:
  bool wants(Severity) const override { return false; }
  void write(Severity, std::string_view, std::span<const Field>) override {}
};

// The sequencing thread's inbox.
class Inbox {
 public:
  void post(std::move_only_function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    arrived_.notify_one();
  }
  void run_some() {
    std::vector<std::move_only_function<void()>> work;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [&] { return !work_.empty(); });
      work.swap(work_);
    }
    for (auto& item : work) item();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::move_only_function<void()>> work_;
};

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "bench_commit: {}\n", result.error().message);
  std::exit(1);
}

struct Options {
  std::string what;
  std::string path;
  int outstanding = 64;
  double seconds = 3;
  std::size_t bytes = 300;
  std::uint64_t keys = 0, prefixes = 1;  // 0: the same few again and again
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        body_(options.bytes, 'x'),
        entropy_(os::make_entropy()),
        disk_(must(os::open_disk(options.path))),
        parts_(must(commit::recover(*disk_, *entropy_,
                                    must(storage::open_rocksdb_index(options.path + "/index")), {}))),
        clock_(os::make_clock(parts_.report.logged)),
        store_({.log = *parts_.log,
                .queues = *parts_.queues,
                .objects = *parts_.objects,
                .clock = *clock_,
                .entropy = *entropy_,
                .diary = hr::Log(silent_),
                .deadline_moved = {},
                .recovered = parts_.report.last}),
        threads_({.store = store_,
                  .recovered = parts_,
                  .clock = *clock_,
                  .keeper = {},
                  .diary = hr::Log(silent_),
                  .post = [this](std::move_only_function<void()> work) { inbox_.post(std::move(work)); },
                  .failed = [](const Error& error) { must(Result<int>(std::unexpected(error))); }}) {
    threads_.start();
  }

  void run() {
    prepare();
    for (int i = 0; i < options_.outstanding; ++i) next();
    const auto start = std::chrono::steady_clock::now();
    const auto end = start + std::chrono::duration<double>(options_.seconds);
    answered_ = 0;
    while (options_.keys > 0 ? answered_ < options_.keys : std::chrono::steady_clock::now() < end)
      inbox_.run_some();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const std::uint64_t answered = answered_;
    stopping_ = true;
    while (pending_ > 0) inbox_.run_some();
    const auto stats = parts_.log->stats();
    fmt::print(
        R"({{"what":"{}","outstanding":{},"per_second":{:.1f},"groups_per_sync":{:.1f}}})"
        "\n",
        options_.what, options_.outstanding, static_cast<double>(answered) / took.count(),
        static_cast<double>(stats.groups) / static_cast<double>(std::max<std::uint64_t>(1, stats.syncs)));
    threads_.stop();
  }

 private:
  void prepare() {
    bool done = false;
    const auto ready = [&](Status status) {
      if (!status) must(Result<int>(std::unexpected(status.error())));
      done = true;
    };
    if (options_.what == "send") {
      store_.change_queues(
          {.records = 8, .bytes = 4096}, storage::Release::kDurable,
          [&](queue::Engine& engine, Time now, queue::Effects& out) {
            queue_ = engine
                         .create({.account = "000000000000", .name = "bench", .attributes = {}, .tags = {}},
                                 now, out)
                         .value();
          },
          ready);
    } else {
      store_.change_objects(
          {.records = 8, .bytes = 4096},
          [&](object::Engine& engine, Time now, object::Effects& out) {
            static_cast<void>(engine.create_bucket("bench", "000000000000", "us-east-1", now, out));
          },
          ready);
    }
    while (!done) inbox_.run_some();
  }

  void next() {
    ++pending_;
    auto done = [this](Status status) {
      if (!status) must(Result<int>(std::unexpected(status.error())));
      --pending_;
      ++answered_;
      if (!stopping_) inbox_.post([this] { next(); });
    };
    if (options_.what == "send") {
      send(std::move(done));
    } else {
      put(std::move(done));
    }
  }

  void send(commit::Done done) {
    const queue::SendEntry entry{.id = entropy_->uuid(),
                                 .content = queue::encode_content({.body = body_,
                                                                   .attributes = {},
                                                                   .md5_of_body = codec::md5_hex(body_),
                                                                   .md5_of_attributes = {},
                                                                   .sender = "bench",
                                                                   .trace_header = {},
                                                                   .group = {}}),
                                 .delay = {}};
    const auto bound = store_.queues().bound(std::span(&entry, 1));
    store_.change_queues(
        {.records = bound.records, .bytes = bound.bytes}, storage::Release::kDurable,
        [&](queue::Engine& engine, Time now, queue::Effects& out) {
          static_cast<void>(engine.send(queue_, std::span(&entry, 1), now, out));
        },
        std::move(done));
  }

  void put(commit::Done done) {
    object::PutObject request;
    request.bucket = "bench";
    request.key = options_.keys > 0 ? bench::key_of(number_++ % options_.keys, options_.prefixes)
                                    : fmt::format("k{:06}", number_++ % 16'384);
    request.object.bytes = body_.size();
    request.object.etag = codec::md5_hex(body_);
    request.inline_body = body_;
    request.event_name = "ObjectCreated:Put";
    store_.change_objects(
        {.records = 4, .bytes = body_.size() + 4096, .events = 1},
        [&](object::Engine& engine, Time now, object::Effects& out) {
          request.object.modified = now;
          static_cast<void>(engine.put(std::move(request), {}, {}, now, out));
        },
        std::move(done));
  }

  Options options_;
  std::string body_;
  Silent silent_;
  Inbox inbox_;
  std::unique_ptr<os::Entropy> entropy_;
  std::unique_ptr<os::Disk> disk_;
  commit::Recovered parts_;
  std::unique_ptr<os::Clock> clock_;
  commit::Store store_;
  commit::Threads threads_;
  queue::QueueId queue_{};
  std::uint64_t answered_ = 0, number_ = 0;
  int pending_ = 0;
  bool stopping_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("The commit path in process; prints one JSON object");
  app.add_option("what", options.what)->required()->check(CLI::IsMember({"send", "put"}));
  app.add_option("--path", options.path, "an empty folder")->required();
  app.add_option("--outstanding", options.outstanding)->check(CLI::Range(1, 100'000));
  app.add_option("--seconds", options.seconds)->check(CLI::Range(0.1, 600.0));
  app.add_option("--bytes", options.bytes)->check(CLI::Range(0, 1 << 20));
  app.add_option("--keys", options.keys)->check(CLI::Range(1, 1'000'000'000));
  app.add_option("--prefixes", options.prefixes)->check(CLI::Range(1, 1'000'000));
  CLI11_PARSE(app, argc, argv);
  Bench(options).run();
  return 0;
}
