#include "host/facts.h"

#include <charconv>

namespace hr::host {
namespace {

std::string text_of(const Tree& host, std::string_view path) {
  const auto seen = host.read(path);
  return seen && *seen ? (*seen)->text : "";
}

}  // namespace

std::array<int, 3> version_after(std::string_view text, std::string_view mark) {
  std::array<int, 3> out{};
  const std::size_t at = text.find(mark);
  if (at == text.npos) return out;
  const char* next = text.data() + at + mark.size();
  const char* const end = text.data() + text.size();
  for (int& number : out) {
    const auto [stop, error] = std::from_chars(next, end, number);
    if (error != std::errc() || stop == end || *stop != '.') break;
    next = stop + 1;
  }
  return out;
}

HostFacts gather_facts(Tools& tools, const Tree& host, const std::string& program) {
  HostFacts out;
  out.program = program;
  if (const auto said = tools.run({"nginx", "-V"}); said && said->code == 0) {
    out.nginx = version_after(said->text, "nginx/");
    // "built with OpenSSL A (running with OpenSSL B)": the second is said only where it is another.
    const auto running = version_after(said->text, "running with OpenSSL ");
    out.openssl = running[0] != 0 ? running : version_after(said->text, "built with OpenSSL ");
  }
  if (const auto said = tools.run({"systemctl", "--version"}); said && said->code == 0)
    out.systemd = version_after(said->text, "systemd ")[0];
  out.ubuntu = text_of(host, "/usr/lib/os-release").contains("\nID=ubuntu\n");
  out.ec2 = text_of(host, "/sys/devices/virtual/dmi/id/sys_vendor").starts_with("Amazon EC2");
  return out;
}

}  // namespace hr::host
