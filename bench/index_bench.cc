// The least that a page of a listing can cost: the same seeks and steps on the object index, and nothing
// else. The index is one that a store has left; nothing is written. Prints one JSON object.
//
//   bench_index next|seek --path FOLDER --keys N --prefixes P [--seconds 3]
//
// next: from a random key on, 1,000 keys with their values. seek: from a random common prefix on, the first
// key of 1,000 of them (or of as many as there are).
#include "bench_keys.h"
#include "object/coding.h"
#include "storage/index/index.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <string>

namespace {

using namespace hr;

constexpr std::size_t kPage = 1'000;

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "bench_index: {}\n", result.error().message);
  std::exit(1);
}
void must(const Status& status) {
  if (status) return;
  fmt::print(stderr, "bench_index: {}\n", status.error().message);
  std::exit(1);
}

object::BucketId the_bucket(const storage::Index& index) {
  const auto row = must(index.get(storage::Table::kBuckets, "bench", storage::Patience::kAny));
  if (row) return std::get<object::Bucket>(must(object::decode_bucket_row(*row))).id;
  fmt::print(stderr, "bench_index: there is no bucket \"bench\"\n");
  std::exit(1);
}

struct Options {
  std::string what, path;
  std::uint64_t keys = 0, prefixes = 1;
  double seconds = 3;
};

// The bytes seen, so that nothing is left out.
std::size_t page_by_steps(const storage::Index& index, const Bytes& from) {
  const auto cursor = index.cursor(storage::Table::kObjects);
  must(cursor->seek(from));
  std::size_t seen = 0;
  for (std::size_t i = 0; i < kPage && cursor->valid(); ++i) {
    seen += cursor->key().size() + cursor->value().size();
    must(cursor->next());
  }
  return seen;
}

std::size_t page_by_seeks(const storage::Index& index, object::BucketId bucket, std::uint64_t first,
                          std::uint64_t prefixes) {
  const auto cursor = index.cursor(storage::Table::kObjects);
  std::size_t seen = 0;
  for (std::uint64_t at = first; at < std::min<std::uint64_t>(first + kPage, prefixes); ++at) {
    must(cursor->seek(object::object_key(bucket, bench::prefix_of(at))));
    if (cursor->valid()) seen += cursor->key().size();
  }
  return seen;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Seeks and steps on an object index; prints one JSON object");
  app.add_option("what", options.what)->required()->check(CLI::IsMember({"next", "seek"}));
  app.add_option("--path", options.path, "a stopped store's folder")->required();
  app.add_option("--keys", options.keys)->required();
  app.add_option("--prefixes", options.prefixes)->required()->check(CLI::Range(1, 1'000'000));
  app.add_option("--seconds", options.seconds)->check(CLI::Range(0.1, 600.0));
  CLI11_PARSE(app, argc, argv);
  const auto index = must(storage::open_rocksdb_index_read_only(options.path + "/index"));
  const object::BucketId bucket = the_bucket(*index);
  std::mt19937_64 random(1);
  std::uint64_t pages = 0;
  std::size_t seen = 0;
  const auto start = std::chrono::steady_clock::now();
  std::chrono::duration<double> took{};
  do {
    if (options.what == "next") {
      const Bytes from = object::object_key(bucket, bench::key_of(random() % options.keys, options.prefixes));
      seen += page_by_steps(*index, from);
    } else {
      const std::uint64_t last = options.prefixes > kPage ? options.prefixes - kPage : 0;
      seen += page_by_seeks(*index, bucket, last == 0 ? 0 : random() % last, options.prefixes);
    }
    ++pages;
    took = std::chrono::steady_clock::now() - start;
  } while (took.count() < options.seconds);
  fmt::print(R"({{"what":"{}","pages":{},"bytes":{},"per_second":{:.1f}}})"
             "\n",
             options.what, pages, seen, static_cast<double>(pages) / took.count());
  return 0;
}
