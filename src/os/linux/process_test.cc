#include "os/linux/process.h"

#include "os/linux/fd.h"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hr::os {
namespace {

constexpr int kPatienceMs = 20'000;

struct Pipe {
  Fd read_end, write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

std::string read_to_end(int fd) {
  std::string out;
  std::array<char, 4096> piece{};
  for (;;) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kPatienceMs) != 1) return out + " (no end)";
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n <= 0) return out;
    out.append(piece.data(), static_cast<std::size_t>(n));
  }
}

// What `script` prints, and how it ended.
struct Outcome {
  std::string output;
  Ended ended;
};

class Process : public testing::Test {
 protected:
  std::unique_ptr<Processes> processes = make_processes();

  Ended wait_for_end() {
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    const auto ended = processes->reap();
    return ended.value_or(Ended{});
  }

  Outcome run(Spawn spawn) {
    Pipe pipe = make_pipe();
    spawn.output = pipe.write_end.get();
    const auto pid = processes->spawn(spawn);
    if (!pid) return {pid.error().message, {}};
    pipe.write_end = Fd();
    std::string output = read_to_end(pipe.read_end.get());
    const Ended ended = wait_for_end();
    EXPECT_EQ(ended.pid, *pid);
    return {output, ended};
  }
};

Spawn shell(const std::string& script) {
  return {.command = {"sh", "-c", script}, .environment = {"PATH=/usr/bin:/bin", "WORD=water"}};
}

TEST_F(Process, it_gets_the_environment_it_is_given_and_no_other) {
  EXPECT_EQ(run(shell("echo $WORD; echo ${HOME-unset}")).output, "water\nunset\n");
}

TEST_F(Process, it_runs_in_its_folder_and_without_input) {
  Spawn spawn = shell("pwd; cat");
  spawn.folder = "/usr";
  EXPECT_EQ(run(spawn).output, "/usr\n");
}

TEST_F(Process, its_exit_code_is_reaped) { EXPECT_EQ(run(shell("exit 7")).ended.code, 7); }

TEST_F(Process, the_signal_that_ended_it_is_reaped) {
  EXPECT_EQ(run(shell("kill -KILL $$")).ended.signal, SIGKILL);
}

TEST_F(Process, a_program_that_is_not_there_is_an_error_of_the_start) {
  const auto named = processes->spawn({.command = {"no-such-program"}, .environment = {"PATH=/usr/bin"}});
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().code, Errc::kNotFound);
  EXPECT_EQ(named.error().message, "no-such-program: no such program in PATH");
  const auto path = processes->spawn({.command = {"/nowhere/program"}});
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, Errc::kNotFound);
  EXPECT_FALSE(processes->reap());
}

TEST_F(Process, a_file_that_may_not_be_executed_is_refused) {
  const auto refused = processes->spawn({.command = {"/etc/passwd"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kPermission);
}

TEST_F(Process, a_folder_that_is_not_there_is_named) {
  Spawn spawn = shell("true");
  spawn.folder = "/nowhere";
  const auto refused = processes->spawn(spawn);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "/nowhere: cannot be started: No such file or directory");
}

TEST_F(Process, an_empty_command_is_refused) {
  const auto refused = processes->spawn({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalid);
}

TEST_F(Process, passed_descriptors_are_announced_and_in_order) {
  Pipe first = make_pipe(), second = make_pipe();
  Spawn spawn = shell(
      "echo $LISTEN_FDS $LISTEN_FDNAMES; [ $LISTEN_PID = $$ ] && echo mine; echo one >&3; echo two >&4");
  // In the way of each other: the second of them has the lower number.
  spawn.passed = {second.write_end.get(), first.write_end.get()};
  spawn.listen_names = {"tcp", "unix"};
  EXPECT_EQ(run(spawn).output, "2 tcp:unix\nmine\n");
  first.write_end = Fd();
  second.write_end = Fd();
  EXPECT_EQ(read_to_end(second.read_end.get()), "one\n");
  EXPECT_EQ(read_to_end(first.read_end.get()), "two\n");
}

TEST_F(Process, nothing_else_that_is_open_reaches_it) {
  const Fd leaky(::open("/dev/null", O_RDONLY));  // without close-on-exec
  ASSERT_TRUE(leaky.open());
  EXPECT_EQ(run(shell("for fd in /proc/self/fd/*; do [ -e $fd ] && [ ${fd##*/} -gt 2 ] && echo $fd; done; "
                      "true"))
                .output,
            "");
}

TEST_F(Process, names_that_do_not_fit_the_descriptors_are_refused) {
  Spawn spawn = shell("true");
  spawn.listen_names = {"tcp"};
  const auto refused = processes->spawn(spawn);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalid);
}

TEST_F(Process, a_signal_to_the_group_reaches_what_it_started) {
  Pipe pipe = make_pipe();
  Spawn spawn = shell("sleep 1000 & echo started; wait");
  spawn.output = pipe.write_end.get();
  const auto pid = processes->spawn(spawn);
  ASSERT_TRUE(pid);
  pipe.write_end = Fd();
  std::array<char, 8> word{};
  ASSERT_EQ(::read(pipe.read_end.get(), word.data(), word.size()), 8);
  EXPECT_TRUE(processes->signal_group(*pid, SIGKILL));
  EXPECT_EQ(read_to_end(pipe.read_end.get()), "");  // its end: nobody holds the other one
  EXPECT_EQ(wait_for_end().signal, SIGKILL);
}

TEST_F(Process, signals_that_the_caller_ignores_or_blocks_are_normal_in_it) {
  std::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(run(shell("kill -PIPE $$; echo ignored")).ended.signal, SIGPIPE);
  std::signal(SIGPIPE, SIG_DFL);
}

TEST_F(Process, children_are_listed_until_they_are_reaped) {
  const auto pid = processes->spawn(shell("exit 0"));
  ASSERT_TRUE(pid);
  EXPECT_EQ(processes->children(), std::vector<int>{*pid});
  EXPECT_EQ(wait_for_end().pid, *pid);
  EXPECT_TRUE(processes->children().empty());
}

TEST_F(Process, nobody_but_a_child_is_signalled) {
  EXPECT_FALSE(processes->signal_group(0, SIGTERM));
  EXPECT_FALSE(processes->signal_one(1, SIGTERM));
}

}  // namespace
}  // namespace hr::os
