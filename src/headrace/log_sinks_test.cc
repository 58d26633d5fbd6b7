#include "headrace/log_sinks.h"

#include "headrace/log_text.h"
#include "headrace/notify.h"

#include <climits>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace hr {
namespace {

class StillClock final : public os::Clock {
 public:
  Time now() const override { return from_ms(1'767'323'045'678); }
  Time wall() const override { return now(); }
  Nanos boottime() const override { return Nanos(0); }
};

LogRecord record(std::span<const Field> fields, Severity severity = Severity::kInfo) {
  return {.time = StillClock().now(), .severity = severity, .event = "store.ready", .fields = fields};
}

TEST(LogText, a_terminal_line_has_time_severity_event_and_fields) {
  const Field fields[] = {{"path", "/srv/a b"}, {"bytes", 12}, {"none", ""}};
  EXPECT_EQ(terminal_line(record(fields), LineStyle::kPlain),
            "2026-01-02T03:04:05.678Z info    store.ready path=\"/srv/a b\" bytes=12 none=\"\"\n");
}

TEST(LogText, colour_is_for_terminals_only) {
  EXPECT_EQ(terminal_line(record({}, Severity::kError), LineStyle::kColour),
            "2026-01-02T03:04:05.678Z \x1b[31merror  \x1b[0m store.ready\n");
  EXPECT_EQ(terminal_line(record({}, Severity::kError), LineStyle::kJournal), "<3>store.ready\n");
}

TEST(LogText, a_value_cannot_forge_a_line_a_field_or_a_terminal_command) {
  const Field fields[] = {{"key", "a\n2026-01-02 error fake\r\x1b[31m"}, {"b", "\" c=d"}};
  const std::string line = terminal_line(record(fields), LineStyle::kPlain);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_NE(line.find("key=\"a\\x0a2026-01-02 error fake\\x0d\\x1b[31m\" b=\"\\\" c=d\""), std::string::npos)
      << line;
}

TEST(LogText, what_is_not_printable_UTF_8_is_written_in_hex) {
  EXPECT_EQ(visible("h\xc3\xa9\xf0\x9f\x98\x80"), "h\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ(visible("\xff\xc0\xaf"), "\\xff\\xc0\\xaf");
  EXPECT_EQ(visible("\xc2\x9b"), "\\xc2\\x9b");  // CSI as one C1 control
  EXPECT_EQ(visible("\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa6"), "\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xe2\\x81\\xa6");
  EXPECT_EQ(visible("\\x0a"), "\\\\x0a");  // not the same as a real one
  EXPECT_EQ(visible(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
}

TEST(LogText, a_syslog_message_has_structured_data) {
  const Field fields[] = {{"path", "a\"]\\b"}, {"bad key]", "1"}};
  EXPECT_EQ(syslog_message(record(fields, Severity::kWarning), {.host = "mill", .role = "store", .pid = 7}),
            "<28>1 2026-01-02T03:04:05.678Z mill headrace 7 store.ready "
            "[headrace@32473 role=\"store\" path=\"a\\\"\\]\\\\\\\\b\" bad_key_=\"1\"] "
            "\xef\xbb\xbfstore.ready path=\"a\\\"]\\\\b\" bad_key_=1");
}

TEST(LogText, long_values_are_cut_at_a_character_and_fields_without_room_are_counted) {
  std::string value = std::string(kLogValueBytesMax - 1, 'a') + "\xc3\xa9";
  const Field cut[] = {{"v", value}};
  const std::string line = terminal_line(record(cut), LineStyle::kJournal);
  EXPECT_EQ(line, "<6>store.ready v=" + std::string(kLogValueBytesMax - 1, 'a') + "...\n");

  const std::vector<Field> many(10, Field("v", std::string(1'000, 'a')));
  const std::string full = terminal_line(record(many), LineStyle::kPlain);
  EXPECT_LE(full.size(), kLogLineBytesMax);
  EXPECT_NE(full.find(" omitted=7\n"), std::string::npos);
}

TEST(TerminalSink, what_is_held_leaves_in_one_piece_of_whole_lines) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  StillClock clock;
  TerminalSink sink(ends[1], LineStyle::kPlain, Severity::kInfo, clock);
  std::string seen(8192, '\0');
  sink.hold();
  sink.write(Severity::kInfo, "one", {});
  sink.write(Severity::kInfo, "two", {});
  EXPECT_LT(::read(ends[0], seen.data(), seen.size()), 0) << "nothing yet";
  sink.release();
  const auto bytes = ::read(ends[0], seen.data(), seen.size());
  EXPECT_EQ(seen.substr(0, static_cast<std::size_t>(bytes)),
            "2026-01-02T03:04:05.678Z info    one\n2026-01-02T03:04:05.678Z info    two\n");
  sink.hold();
  const Field long_one[] = {{"value", std::string(1'000, 'x')}};
  for (int i = 0; i < 5; ++i) sink.write(Severity::kInfo, "long", long_one);
  const auto early = ::read(ends[0], seen.data(), seen.size());
  EXPECT_LE(early, PIPE_BUF) << "more may be torn apart by other writers";
  EXPECT_EQ(seen[static_cast<std::size_t>(early) - 1], '\n');
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(TerminalSink, drops_rather_than_waits_and_says_how_many) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ASSERT_GT(::fcntl(ends[1], F_SETPIPE_SZ, 4'096), 0);
  const StillClock clock;
  TerminalSink sink(ends[1], LineStyle::kJournal, Severity::kInfo, clock);
  const Log log(sink);
  for (int i = 0; i < 3; ++i) log.info("event");  // a page is not free after the first
  log(Severity::kDebug, "not.wanted");
  char bytes[8'192];
  EXPECT_EQ(std::string(bytes, static_cast<std::size_t>(::read(ends[0], bytes, sizeof bytes))), "<6>event\n");
  log.info("after");
  EXPECT_EQ(std::string(bytes, static_cast<std::size_t>(::read(ends[0], bytes, sizeof bytes))),
            "<4>log.dropped count=2\n");
  ::close(ends[0]);
  ::close(ends[1]);
}

class SyslogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "hr-log-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ / "log";
  }
  void TearDown() override {
    if (fd_ >= 0) ::close(fd_);
    std::filesystem::remove_all(folder_);
  }
  void start() {
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path_.copy(where.sun_path, sizeof where.sun_path - 1);
    ASSERT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  }
  void stop() {
    ::close(std::exchange(fd_, -1));
    ::unlink(path_.c_str());
  }
  std::string receive() const {
    char bytes[8'192];
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
    return n < 0 ? "" : std::string(bytes, static_cast<std::size_t>(n));
  }

  std::filesystem::path folder_;
  std::string path_;
  int fd_ = -1;
};

TEST_F(SyslogTest, finds_its_listener_again_and_says_what_it_missed) {
  const StillClock clock;
  SyslogSink sink(path_, {.host = "mill", .role = "store", .pid = 7}, Severity::kInfo, clock);
  const Log log(sink);
  log.info("too.early");
  start();
  log.info("first");
  EXPECT_NE(receive().find("log.dropped [headrace@32473 role=\"store\" count=\"1\"]"), std::string::npos);
  EXPECT_NE(receive().find(" first ["), std::string::npos);
  stop();
  start();
  log.info("second");
  EXPECT_NE(receive().find(" second ["), std::string::npos);
}

TEST_F(SyslogTest, drops_when_the_listener_is_slow) {
  start();
  const StillClock clock;
  SyslogSink sink(path_, {.host = "mill", .role = "store", .pid = 7}, Severity::kInfo, clock);
  const Log log(sink);
  constexpr int kMore = 2'000;  // than the kernel queues for one socket
  for (int i = 0; i < kMore; ++i) log.info("event");
  int taken = 0;
  while (!receive().empty()) ++taken;
  EXPECT_LT(taken, kMore);
  log.info("after");
  EXPECT_NE(receive().find("count=\"" + std::to_string(kMore - taken) + "\""), std::string::npos);
}

TEST_F(SyslogTest, a_role_without_a_terminal_logs_to_our_own_socket) {
  start();
  const auto sink = make_sink({.role = "store", .to = LogTo::kSyslog, .syslog_path = path_});
  EXPECT_FALSE(sink->wants(Severity::kDebug));
  Log(*sink).notice("store.ready", {{"port", 9324}});
  EXPECT_NE(receive().find(" store.ready [headrace@32473 role=\"store\" port=\"9324\"]"), std::string::npos);
}

class NotifyTest : public SyslogTest {
 protected:
  void SetUp() override {
    SyslogTest::SetUp();
    start();
    ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("NOTIFY_SOCKET");
    SyslogTest::TearDown();
  }
};

TEST_F(NotifyTest, tells_the_supervisor_each_state) {
  notify_ready();
  EXPECT_EQ(receive(), "READY=1");
  notify_watchdog();
  EXPECT_EQ(receive(), "WATCHDOG=1");
  notify_stopping();
  EXPECT_EQ(receive(), "STOPPING=1");
}

TEST(Notify, does_nothing_without_a_supervisor) {
  ::unsetenv("NOTIFY_SOCKET");
  notify_ready();
  EXPECT_TRUE(passed_sockets().empty());
  EXPECT_FALSE(watchdog_interval());
}

TEST(Notify, knows_how_often_the_watchdog_wants_to_hear_of_it) {
  ::setenv("WATCHDOG_USEC", "3000000", 1);
  EXPECT_EQ(watchdog_interval(), Duration(3'000));
  ::unsetenv("WATCHDOG_USEC");
}

}  // namespace
}  // namespace hr
