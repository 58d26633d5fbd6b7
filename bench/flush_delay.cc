// Loaded into a server with LD_PRELOAD: every flush takes HEADRACE_BENCH_FLUSH_US microseconds more, as it
// does on a disk that is slower than a virtual one. Whatever the calling thread waits for, it waits for here
// too; flushes of different threads do not wait for each other. bench/run gives it to all contenders alike.
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>

namespace {

timespec added_time() {
  const char* text = std::getenv("HEADRACE_BENCH_FLUSH_US");
  const long long us = text == nullptr ? 0 : std::atoll(text);
  return {.tv_sec = us / 1'000'000, .tv_nsec = us % 1'000'000 * 1'000};
}

int flush_later(const char* name, int fd) {
  static const timespec added = added_time();
  timespec left = added;
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
  const auto real = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name));
  return real(fd);
}

}  // namespace

extern "C" {
int fsync(int fd) { return flush_later("fsync", fd); }
int fdatasync(int fd) { return flush_later("fdatasync", fd); }
int syncfs(int fd) noexcept { return flush_later("syncfs", fd); }
}
