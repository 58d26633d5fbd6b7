// Against a manager of systemd that is made up here, over a pair of sockets: sd-bus on both sides.
#include "headrace/bus_units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <systemd/sd-bus.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace hr {
namespace {

int add_unit(sd_bus_message* reply, const char* name, const char* state, const char* object) {
  return sd_bus_message_append(reply, "(ssssssouso)", name, "text", "loaded", state, "sub", "", object, 0U,
                               "", "/");
}

int by_names(sd_bus_message* message, void*, sd_bus_error*) {
  char** names = nullptr;
  if (sd_bus_message_read_strv(message, &names) < 0) return -EINVAL;
  sd_bus_message* reply = nullptr;
  sd_bus_message_new_method_return(message, &reply);
  sd_bus_message_open_container(reply, 'a', "(ssssssouso)");
  for (char** each = names; each != nullptr && *each != nullptr; ++each) {
    const bool runs = std::string_view(*each) == "runs.service";
    add_unit(reply, *each, runs ? "active" : "inactive", runs ? "/runs" : "/stands");
    std::free(*each);
  }
  std::free(static_cast<void*>(names));
  sd_bus_message_close_container(reply);
  return sd_bus_send(nullptr, reply, nullptr);
}

int by_patterns(sd_bus_message* message, void*, sd_bus_error*) {
  sd_bus_message* reply = nullptr;
  sd_bus_message_new_method_return(message, &reply);
  sd_bus_message_open_container(reply, 'a', "(ssssssouso)");
  add_unit(reply, "headrace-x.socket", "failed", "/stands");
  sd_bus_message_close_container(reply);
  return sd_bus_send(nullptr, reply, nullptr);
}

int other_answer(sd_bus_message* message, void*, sd_bus_error*) {
  return sd_bus_reply_method_return(message, "s", "what systemd does not say");
}

int main_pid(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void*, sd_bus_error*) {
  return sd_bus_message_append(reply, "u", 66U);
}

constexpr const char* kManager = "org.freedesktop.systemd1.Manager";

const sd_bus_vtable kGood[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("ListUnitsByNames", "as", "a(ssssssouso)", by_names, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListUnitsByPatterns", "asas", "a(ssssssouso)", by_patterns, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END};
const sd_bus_vtable kOther[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("ListUnitsByNames", "as", "s", other_answer, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END};
const sd_bus_vtable kService[] = {SD_BUS_VTABLE_START(0), SD_BUS_PROPERTY("MainPID", "u", main_pid, 0, 0),
                                  SD_BUS_VTABLE_END};

// The other side, in a thread, until we close ours.
class Manager {
 public:
  explicit Manager(const sd_bus_vtable* methods) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    sd_bus* bus = nullptr;
    sd_bus_new(&bus);
    sd_bus_set_fd(bus, ends[1], ends[1]);
    EXPECT_GE(sd_bus_start(bus), 0);  // Before the other side runs: it may end at once.
    thread_ = std::thread([methods, fd = ends[0]] { serve(methods, fd); });
    units = bus_units(bus);
  }
  ~Manager() {
    units.reset();
    thread_.join();
  }
  std::unique_ptr<host::Units> units;

 private:
  static void serve(const sd_bus_vtable* methods, int fd) {
    sd_bus* bus = nullptr;
    sd_id128_t id{};
    sd_bus_new(&bus);
    sd_bus_set_fd(bus, fd, fd);
    sd_bus_set_server(bus, 1, id);
    sd_bus_set_anonymous(bus, 1);
    sd_bus_start(bus);
    if (methods != nullptr) {
      sd_bus_add_object_vtable(bus, nullptr, "/org/freedesktop/systemd1", kManager, methods, nullptr);
      sd_bus_add_object_vtable(bus, nullptr, "/runs", "org.freedesktop.systemd1.Service", kService, nullptr);
      for (int done = 0; done >= 0; done = sd_bus_process(bus, nullptr))
        if (done == 0) sd_bus_wait(bus, UINT64_MAX);
    }
    sd_bus_close_unref(bus);
  }

  std::thread thread_;
};

TEST(BusUnits, states_and_pids_come_over_the_bus) {
  Manager manager(kGood);
  const auto seen = manager.units->units({"runs.service", "stands.service"}, {"headrace-*.socket"});
  ASSERT_TRUE(seen) << seen.error().message;
  const host::UnitsSeen expected = {{"headrace-x.socket", {.active = false, .state = "failed", .pid = ""}},
                                    {"runs.service", {.active = true, .state = "active", .pid = "66"}},
                                    {"stands.service", {.active = false, .state = "inactive", .pid = ""}}};
  EXPECT_EQ(*seen, expected);
}

TEST(BusUnits, another_answer_than_systemds_is_none) {
  Manager manager(kOther);
  const auto seen = manager.units->units({"runs.service"}, {});
  ASSERT_FALSE(seen);
  EXPECT_EQ(seen.error().code, Errc::kUnavailable);
}

TEST(BusUnits, a_bus_that_ends_is_none) {
  Manager manager(nullptr);
  EXPECT_FALSE(manager.units->units({"runs.service"}, {}));
}

}  // namespace
}  // namespace hr
