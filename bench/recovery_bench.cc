// Recovery of many waiting messages, beside reading and checksumming the files that it reads.
//
//   bench_recovery fill    --path FOLDER [--messages 10000000] [--bytes 300]    through the real commit path
//   bench_recovery recover --path FOLDER                                        prints one JSON object
#include "codec/digest.h"
#include "commit/recovery.h"
#include "commit/store.h"
#include "commit/threads.h"
#include "os/linux/linux.h"
#include "queue/message.h"
#include "storage/log/segment_set.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace hr;

constexpr std::size_t kBatch = 10;
constexpr std::uint64_t kOutstanding = 256;
constexpr std::size_t kPiece = 1U << 20;

class Silent : public LogSink {
 public:
  bool wants(Severity) const override { return false; }
  void write(Severity, std::string_view, std::span<const Field>) override {}
};

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "bench_recovery: {}\n", result.error().message);
  std::exit(1);
}
void must(const Status& status) {
  if (!status) must(Result<int>(std::unexpected(status.error())));
}

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

std::uint64_t resident_bytes() {
  std::uint64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// The sequencing thread's inbox.
class Inbox {
 public:
  void post(std::move_only_function<void()> work) {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
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

class Filling {
 public:
  Filling(os::Disk& disk, const std::string& path, std::size_t bytes)
      : content_(queue::encode_content({.body = std::string(bytes, 'x'),
                                        .attributes = {},
                                        .md5_of_body = codec::md5_hex(std::string(bytes, 'x')),
                                        .md5_of_attributes = {},
                                        .sender = "bench",
                                        .trace_header = {},
                                        .group = {}})),
        entropy_(os::make_entropy()),
        parts_(
            must(commit::recover(disk, *entropy_, must(storage::open_rocksdb_index(path + "/index")), {}))),
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
                  .failed = [](const Error& error) { must(Status(std::unexpected(error))); }}) {}

  void run(std::uint64_t messages) {
    threads_.start();
    create();
    while (sent_ < messages || pending_ > 0) {
      while (sent_ < messages && pending_ < kOutstanding) send();
      inbox_.run_some();
    }
    threads_.stop();
  }

 private:
  commit::Done done() {
    ++pending_;
    return [this](const Status& status) {
      must(status);
      --pending_;
    };
  }
  void create() {
    store_.change_queues(
        {.records = 8, .bytes = 4096}, storage::Release::kDurable,
        [&](queue::Engine& engine, Time now, queue::Effects& out) {
          queue_ = engine
                       .create({.account = "000000000000", .name = "bench", .attributes = {}, .tags = {}},
                               now, out)
                       .value();
        },
        done());
    while (pending_ > 0) inbox_.run_some();
  }
  void send() {
    std::vector<queue::SendEntry> entries;
    for (std::size_t i = 0; i < kBatch; ++i)
      entries.push_back({.id = entropy_->uuid(), .content = content_, .delay = {}});
    const auto bound = store_.queues().bound(entries);
    store_.change_queues(
        {.records = bound.records, .bytes = bound.bytes}, storage::Release::kDurable,
        [&](queue::Engine& engine, Time now, queue::Effects& out) {
          static_cast<void>(engine.send(queue_, entries, now, out));
        },
        done());
    sent_ += kBatch;
  }

  const std::string content_;
  Silent silent_;
  std::unique_ptr<os::Entropy> entropy_;
  commit::Recovered parts_;
  std::unique_ptr<os::Clock> clock_;
  Inbox inbox_;
  commit::Store store_;
  commit::Threads threads_;
  queue::QueueId queue_{};
  std::uint64_t sent_ = 0, pending_ = 0;
};

struct Yardstick {
  std::uint64_t bytes = 0;
  double cpu = 0;
};

void checksum(os::Disk& disk, const std::string& path, Yardstick& sum) {
  const auto file = must(disk.open(path, os::OpenMode::kRead, "bench.open"));
  Bytes buffer(kPiece, '\0');
  std::uint32_t crc = 0;
  for (std::uint64_t at = 0;;) {
    const std::size_t got = must(file->read_at(at, buffer, "bench.read"));
    if (got == 0) break;
    crc = codec::crc32c(ByteView(buffer).substr(0, got), crc);
    at += got;
  }
  sum.bytes += must(file->size("bench.size"));
  if (crc == 1) fmt::print("\n");  // the sum is looked at, so it is computed
}

// The checkpoints and as many of the newest segments as recovery has read.
Yardstick read_same_files(os::Disk& disk, std::uint64_t segments) {
  Yardstick sum;
  const double begin = cpu_seconds();
  for (const auto& entry : must(disk.list("state", "bench.list"))) {
    if (entry.name.ends_with(".checkpoint")) checksum(disk, "state/" + entry.name, sum);
  }
  std::vector<std::string> log;
  for (const auto& entry : must(disk.list("log", "bench.list"))) {
    if (storage::segment_number(entry.name)) log.push_back("log/" + entry.name);
  }
  const std::size_t skipped = log.size() - std::min<std::size_t>(segments, log.size());
  for (std::size_t i = skipped; i < log.size(); ++i) checksum(disk, log[i], sum);
  sum.cpu = cpu_seconds() - begin;
  return sum;
}

void measure(os::Disk& disk, const std::string& path) {
  const auto entropy = os::make_entropy();
  auto index = must(storage::open_rocksdb_index(path + "/index"));
  const std::uint64_t resident = resident_bytes();
  const double begin = cpu_seconds();
  const auto recovered = must(commit::recover(disk, *entropy, std::move(index), {}));
  const double cpu = cpu_seconds() - begin;
  const std::uint64_t memory = resident_bytes() - resident;
  std::uint64_t messages = 0;
  for (const queue::Queue* one : recovered.queues->list("000000000000", "", "", 10))
    messages += recovered.queues->counts(one->id).visible;
  const Yardstick yard = read_same_files(disk, recovered.report.segments_read);
  fmt::print(R"({{"what":"recovery","messages":{},"cpu_s":{:.3f},"yardstick_cpu_s":{:.3f},"ratio":{:.2f},)"
             R"("read_mib":{},"resident_bytes_per_message":{:.1f}}})"
             "\n",
             messages, cpu, yard.cpu, cpu / yard.cpu, yard.bytes >> 20,
             static_cast<double>(memory) / static_cast<double>(std::max<std::uint64_t>(messages, 1)));
}

}  // namespace

int main(int argc, char** argv) {
  std::string what, path;
  std::uint64_t messages = 10'000'000;
  std::size_t bytes = 300;
  CLI::App app("Recovery, beside reading and checksumming the same files; prints one JSON object");
  app.add_option("what", what)->required()->check(CLI::IsMember({"fill", "recover"}));
  app.add_option("--path", path, "fill: an empty folder")->required();
  app.add_option("--messages", messages);
  app.add_option("--bytes", bytes, "Of each body")->check(CLI::Range(1, 1 << 20));
  CLI11_PARSE(app, argc, argv);
  const auto disk = must(os::open_disk(path));
  if (what == "fill") {
    Filling(*disk, path, bytes).run(messages);
  } else {
    measure(*disk, path);
  }
  return 0;
}
