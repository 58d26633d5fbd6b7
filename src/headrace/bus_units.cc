#include "headrace/bus_units.h"

#include <fmt/format.h>
#include <systemd/sd-bus.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace hr {
namespace {

constexpr const char* kSystemd = "org.freedesktop.systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr std::uint64_t kPatienceUs = 10'000'000;

template <auto Free>
struct Deleter {
  void operator()(auto* object) const { Free(object); }
};
using Message = std::unique_ptr<sd_bus_message, Deleter<sd_bus_message_unref>>;

struct BusError {
  BusError() = default;
  ~BusError() { sd_bus_error_free(&value); }
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  sd_bus_error value{};
};

std::unexpected<Error> failed(std::string_view what, int error) {
  return fail(Errc::kUnavailable, fmt::format("D-Bus: {}: {}", what, std::strerror(-error)));
}

class BusUnits final : public host::Units {
 public:
  explicit BusUnits(sd_bus* bus) : bus_(bus) {}
  ~BusUnits() override { sd_bus_flush_close_unref(bus_); }
  BusUnits(const BusUnits&) = delete;
  BusUnits& operator=(const BusUnits&) = delete;

  Result<host::UnitsSeen> units(std::vector<std::string> names, std::vector<std::string> patterns) override {
    host::UnitsSeen out;
    HR_TRY(list("ListUnitsByNames", {&names}, out));
    std::vector<std::string> any;
    HR_TRY(list("ListUnitsByPatterns", {&any, &patterns}, out));
    return out;
  }

 private:
  struct Listed {
    std::string name, state, object;
  };

  Status list(const char* method, const std::vector<const std::vector<std::string>*>& arguments,
              host::UnitsSeen& out) {
    HR_ASSIGN(const Message reply, call(method, arguments));
    HR_ASSIGN(const std::vector<Listed> listed, read(reply.get()));
    for (const Listed& each : listed)
      out[each.name] = {.active = each.state == "active" || each.state == "reloading",
                        .state = each.state,
                        .pid = main_pid(each)};
    return {};
  }

  Result<Message> call(const char* method, const std::vector<const std::vector<std::string>*>& arguments) {
    sd_bus_message* made = nullptr;
    const int created =
        sd_bus_message_new_method_call(bus_, &made, kSystemd, "/org/freedesktop/systemd1", kManager, method);
    const Message message(made);
    if (created < 0) return failed(method, created);
    for (const auto* argument : arguments) {
      std::vector<char*> strings;
      for (const std::string& each : *argument) strings.push_back(const_cast<char*>(each.c_str()));
      strings.push_back(nullptr);
      if (const int added = sd_bus_message_append_strv(message.get(), strings.data()); added < 0)
        return failed(method, added);
    }
    BusError error;
    sd_bus_message* reply = nullptr;
    if (const int called = sd_bus_call(bus_, message.get(), kPatienceUs, &error.value, &reply); called < 0)
      return failed(method, called);
    return Message(reply);
  }

  // Name, description, load state, active state, sub state, followed unit, object, job, its type, its object.
  static Result<std::vector<Listed>> read(sd_bus_message* reply) {
    std::vector<Listed> out;
    int more = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(ssssssouso)");
    while (more > 0) {
      const char *name = nullptr, *state = nullptr, *object = nullptr, *ignored = nullptr;
      std::uint32_t job = 0;
      more = sd_bus_message_read(reply, "(ssssssouso)", &name, &ignored, &ignored, &state, &ignored, &ignored,
                                 &object, &job, &ignored, &ignored);
      if (more > 0) out.push_back({.name = name, .state = state, .object = object});
    }
    if (more < 0) return failed("an answer that systemd does not give", more);
    return out;
  }

  // "" where there is none: of sockets and targets, and of services that do not run.
  std::string main_pid(const Listed& unit) {
    if (!unit.name.ends_with(".service")) return "";
    BusError error;
    std::uint32_t pid = 0;
    const int got =
        sd_bus_get_property_trivial(bus_, kSystemd, unit.object.c_str(), "org.freedesktop.systemd1.Service",
                                    "MainPID", &error.value, SD_BUS_TYPE_UINT32, &pid);
    return got < 0 || pid == 0 ? "" : std::to_string(pid);
  }

  sd_bus* const bus_;
};

}  // namespace

Result<std::unique_ptr<host::Units>> open_bus_units() {
  sd_bus* bus = nullptr;
  if (const int opened = sd_bus_open_system(&bus); opened < 0) return failed("the system's bus", opened);
  return bus_units(bus);
}

std::unique_ptr<host::Units> bus_units(sd_bus* bus) { return std::make_unique<BusUnits>(bus); }

}  // namespace hr
