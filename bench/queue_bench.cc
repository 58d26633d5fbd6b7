// The queue engine alone, in this process: messages per second through send, receive and delete with a
// backlog behind them, and what a waiting message costs in memory. No log, no network: what they add shows
// elsewhere.
#include "queue/engine.h"

#include <benchmark/benchmark.h>
#include <cstring>
#include <malloc.h>
#include <string>
#include <vector>

namespace {

using namespace hr;
using namespace hr::queue;

class Bench {
 public:
  // `groups`: of FIFO queues, whose messages go to them in turn; 0 makes other queues.
  explicit Bench(std::size_t queues, std::size_t groups = 0) : groups_(groups) {
    for (std::size_t i = 0; i < queues; ++i) {
      Effects out;
      const std::string name = "queue" + std::to_string(i) + (groups > 0 ? ".fifo" : "");
      queues_.push_back(*engine_.create({"000000000000", name, {}, {}}, now_, out));
    }
  }

  void send(std::size_t queue, std::size_t batch) {
    entries_.resize(batch);
    for (SendEntry& e : entries_) {
      ++sent_;
      std::memcpy(e.id.bytes.data(), &sent_, sizeof sent_);
      e.content.assign(300, 'x');
      if (groups_ == 0) continue;
      e.group = GroupKey{1 + sent_ % groups_};
      std::memcpy(e.deduplication.emplace().bytes.data(), &sent_, sizeof sent_);
    }
    Effects out;
    static_cast<void>(engine_.send(queues_[queue], entries_, now_, out));
    place(out);
  }

  // One message of a tenant, to the first queue.
  void send_as(GroupKey tenant) {
    entries_.assign(1, {});
    std::memcpy(entries_[0].id.bytes.data(), &++sent_, sizeof sent_);
    entries_[0].group = tenant;
    Effects out;
    static_cast<void>(engine_.send(queues_[0], entries_, now_, out));
    place(out);
  }

  std::vector<Delivery> receive(std::size_t queue) {
    Effects out;
    auto got = engine_.receive(queues_[queue], {.max_messages = 10}, now_, out);
    return std::move(got->deliveries);
  }

  void erase(std::size_t queue, const std::vector<Delivery>& deliveries) {
    std::vector<Receipt> receipts;
    for (const Delivery& d : deliveries) receipts.push_back(d.receipt);
    Effects out;
    static_cast<void>(engine_.erase(queues_[queue], receipts, now_, out));
  }

  void fill(std::size_t messages) {
    for (std::size_t i = 0; i < messages; i += 10) send(i / 10 % queues_.size(), 10);
  }

  void pass(Duration by) {
    now_ += by;
    Effects out;
    engine_.tick(now_, out);
  }

 private:
  void place(Effects& out) {
    at_.clear();
    for (const auto& r : out.records) at_.push_back({1, 64, static_cast<std::uint32_t>(r.payload.size())});
    engine_.place(out, at_);
  }

  std::size_t groups_;
  Engine engine_{Limits{}};
  Time now_ = from_ms(1'700'000'000'000);
  std::vector<QueueId> queues_;
  std::vector<SendEntry> entries_;
  std::vector<storage::Location> at_;
  std::uint64_t sent_ = 0;
};

// Batches of 10 through send, receive and delete; range(0): waiting messages, range(1): queues.
void cycle(benchmark::State& state) {
  const auto queues = static_cast<std::size_t>(state.range(1));
  Bench bench(queues);
  bench.fill(static_cast<std::size_t>(state.range(0)));
  std::size_t turn = 0;
  for (auto _ : state) {
    const std::size_t queue = turn++ % queues;
    bench.send(queue, 10);
    bench.erase(queue, bench.receive(queue));
    if (turn % 64 == 0) bench.pass(1ms);
  }
  state.SetItemsProcessed(state.iterations() * 10);
}
BENCHMARK(cycle)->Args({1'000, 1})->Args({1'000'000, 1})->Args({10'000'000, 1})->Args({1'000'000, 10'000});

void waiting_message(benchmark::State& state) {
  const auto messages = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    Bench bench(1);
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    bench.fill(messages);
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    state.counters["bytes/message"] = static_cast<double>(after - before) / static_cast<double>(messages);
  }
}
BENCHMARK(waiting_message)->Arg(10'000)->Arg(1'000'000)->Iterations(1);

// range(1): groups. The deduplication ids are gone when it is measured.
void waiting_fifo_message(benchmark::State& state) {
  const auto messages = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    Bench bench(1, static_cast<std::size_t>(state.range(1)));
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (std::size_t sent = 0; sent < messages; sent += 10'000) {
      bench.fill(10'000);
      bench.pass(300s);
    }
    for (int i = 0; i < 100; ++i) bench.pass(300s);
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    state.counters["bytes/message"] = static_cast<double>(after - before) / static_cast<double>(messages);
  }
}
BENCHMARK(waiting_fifo_message)->Args({1'000'000, 100})->Args({1'000'000, 1'000'000})->Iterations(1);

// range(1): tenants of a fair queue.
void waiting_fair_message(benchmark::State& state) {
  const auto messages = static_cast<std::size_t>(state.range(0));
  const auto tenants = static_cast<std::uint64_t>(state.range(1));
  for (auto _ : state) {
    Bench bench(1);
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (std::size_t sent = 0; sent < messages; ++sent) bench.send_as(GroupKey{1 + sent % tenants});
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    state.counters["bytes/message"] = static_cast<double>(after - before) / static_cast<double>(messages);
  }
}
BENCHMARK(waiting_fair_message)->Args({1'000'000, 100})->Args({1'000'000, 1'000'000})->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
