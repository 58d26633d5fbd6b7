// watch_lease(fd), begin(n), boottime_ns(): a child ends before its lease does and when its parent does, and
// begins nothing that was taken back from it. The parent writes the lease's end into memory it shares with
// the child; a thread here, which no Python code can hold up, kills the child's whole process group five
// seconds before it, so that a task never runs on when its message is shown again. The same happens at once
// when the parent dies: what a handler started must not outlive the child that would have waited for it. A
// second word of that memory is the ordinal of the last job that has begun; the parent takes back what has
// not by moving the word past it.
#include "object.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace hr::python {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMargin = 5 * kSecond;     // before the lease's end
constexpr std::int64_t kLookAgain = kSecond / 2;  // the parent may have moved it
constexpr std::size_t kSharedBytes = 4096;
constexpr std::size_t kBegunWord = 1;  // of 64 bits; the first is the lease's end

std::int64_t boottime_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * kSecond + now.tv_nsec;
}

void sleep_until(std::int64_t end) {
  const timespec at{.tv_sec = end / kSecond, .tv_nsec = end % kSecond};
  ::clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &at, nullptr);
}

// All descendants that stayed in the group go too. A process that does not lead its group ends alone: the
// group is somebody else's.
void end_group() {
  if (::getpgrp() == ::getpid()) ::kill(0, SIGKILL);
  ::kill(::getpid(), SIGKILL);
}

// ---- the parent's end

pid_t parent = 0;  // as it was when the lease began to be watched

// Nobody's by custom; as long as this module is not loaded, the parent's choice (SIGKILL) stands.
int death_signal() { return SIGRTMAX; }

void parent_died(int) { end_group(); }

// The handler before the signal: in between the other one still comes.
bool follow_parent() {
  struct sigaction action{};
  action.sa_handler = parent_died;
  sigfillset(&action.sa_mask);
  parent = ::getppid();
  if (::sigaction(death_signal(), &action, nullptr) != 0) return false;
  return ::prctl(PR_SET_PDEATHSIG, death_signal()) == 0;
}

// Zero: no lease now. A handler that ignores every signal is found out here.
void* watch(void* shared) {
  const std::atomic_ref<std::int64_t> lease_end(*static_cast<std::int64_t*>(shared));
  for (;;) {
    const std::int64_t end = lease_end.load(std::memory_order_acquire);
    const std::int64_t now = boottime_ns();
    if ((end != 0 && now >= end - kMargin) || ::getppid() != parent) end_group();
    sleep_until(end == 0 ? now + kLookAgain : std::min(now + kLookAgain, end - kMargin));
  }
}

// Signals are for Python's main thread; but whatever that blocks, the parent's end is heard here.
bool start_thread(void* shared) {
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, death_signal());
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  const int error = ::pthread_create(&thread, nullptr, watch, shared);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0)
    errno = error;
  else
    ::pthread_detach(thread);
  return error == 0;
}

void* shared_memory = nullptr;  // of the parent; stays until the process ends

PyObject* watch_lease(PyObject*, PyObject* argument) {
  const long fd = PyLong_AsLong(argument);
  if (fd == -1 && PyErr_Occurred() != nullptr) return nullptr;
  void* shared = ::mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0);
  if (shared == MAP_FAILED) return PyErr_SetFromErrno(PyExc_OSError);
  if (!follow_parent() || !start_thread(shared)) {
    PyErr_SetFromErrno(PyExc_OSError);
    ::munmap(shared, kSharedBytes);
    return nullptr;
  }
  shared_memory = shared;
  Py_RETURN_NONE;
}

// One of the two moves the word first, and the other sees it.
PyObject* begin(PyObject*, PyObject* argument) {
  const std::uint64_t ordinal = PyLong_AsUnsignedLongLong(argument);
  if (PyErr_Occurred() != nullptr) return nullptr;
  if (shared_memory == nullptr) Py_RETURN_TRUE;
  const std::atomic_ref<std::uint64_t> word(static_cast<std::uint64_t*>(shared_memory)[kBegunWord]);
  std::uint64_t last = word.load();
  while (last < ordinal) {
    if (word.compare_exchange_weak(last, ordinal)) Py_RETURN_TRUE;
  }
  Py_RETURN_FALSE;
}

PyObject* boottime(PyObject*, PyObject*) { return PyLong_FromLongLong(boottime_ns()); }

}  // namespace

int add_lease_functions(PyObject* module) {
  static PyMethodDef functions[] = {
      {"watch_lease", watch_lease, METH_O,
       "watch_lease(fd): kills this process group 5 s before the lease that fd's memory holds ends, "
       "and when the parent does."},
      {"begin", begin, METH_O, "begin(n): whether the n-th job given may begin; False: it was taken back."},
      {"boottime_ns", boottime, METH_NOARGS, "boottime_ns(): CLOCK_BOOTTIME in nanoseconds."},
      {nullptr, nullptr, 0, nullptr},
  };
  return PyModule_AddFunctions(module, functions);
}

}  // namespace hr::python
