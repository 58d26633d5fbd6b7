#include "headrace/doctor_checks.h"

#include "codec/json.h"
#include "headrace/doctor_permissions.h"
#include "headrace/host_checks.h"
#include "host/apply.h"
#include "host/certificate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace hr {
namespace {

constexpr std::uint64_t kFreePercentMin = 10;
constexpr int kDaysMin = 14;
constexpr double kSkewMaxS = 0.1;
constexpr Nanos kDiskMin{8'000};
constexpr std::string_view kEc2Clock = "A9FEA97B";  // 169.254.169.123
constexpr std::int64_t kOpenFiles = 131'072;        // LimitNOFILE of the store
constexpr int kBacklog = 1'024;                     // of our listening sockets

std::string read(const HostGround& ground, std::string_view path) {
  const auto seen = ground.tree->read(path);
  return seen && *seen ? (*seen)->text : "";
}

// --- files

Hop files_hop(const HostGround& ground) {
  Hop out{.name = "files are as the configuration says",
          .wrong = {},
          .mend = "headrace host plan",
          .why = "a file changed by hand is lost at the next apply, and nobody tested it"};
  const auto plan = host::plan(*ground.tree, ground.files);
  if (!plan) {
    out.wrong = plan.error().message;
  } else if (plan->interrupted) {
    out.wrong = "an apply was interrupted, or waits to be confirmed";
    out.mend = "headrace host status";
  } else if (!plan->changes.empty()) {
    out.wrong = fmt::format("{} differ, first {}", plan->changes.size(), plan->changes.front().path);
  }
  return out;
}

Hop certificate_hop(const HostGround& ground) {
  const host::Machine& machine = ground.machine;
  const std::string path = host::certificate_of(machine);
  const bool own = !machine.config.site.certificate.empty();
  Hop out{.name = fmt::format("the certificate is good for {} days more, and for every name", kDaysMin),
          .wrong = {},
          .mend = own ? fmt::format("put a new one at {}; then: systemctl reload nginx", path)
                      : "headrace host apply",
          .why = "browsers and clients turn away from a certificate that has ended"};
  const auto seen = read_certificate(ground, path);
  if (!seen) out.wrong = seen.error().message;
  if (seen && !*seen) out.wrong = path + " is not there";
  if (!out.wrong.empty()) return out;
  const auto days = host::days_left((*seen)->text, ground.clock->wall());
  if (!days) {
    out.wrong = path + " is no certificate";
  } else if (*days < kDaysMin) {
    out.wrong = fmt::format("{} ends in {} days", path, *days);
  } else if (const auto missing = host::names_missing((*seen)->text, machine.config.site.names);
             !missing.empty()) {
    out.wrong = fmt::format("{} does not hold {}", path, fmt::join(missing, ", "));
  } else if (!own && !host::still_serves((*seen)->text, machine.config.site.names, ground.clock->wall())) {
    out.wrong = path + " ends within a month";
  }
  return out;
}

// --- the machine

Hop space_hop(const HostGround& ground, const std::string& folder) {
  Hop out{.name = fmt::format("a tenth of {} is free, and of its inodes", folder),
          .wrong = {},
          .mend = fmt::format("df -h {0}; df -i {0}", folder),
          .why = "a full disk refuses every send and upload"};
  struct statvfs seen{};
  if (::statvfs(ground.tree->at(folder).c_str(), &seen) != 0) {
    out.wrong = std::strerror(errno);
  } else if (seen.f_bavail * 100 < seen.f_blocks * kFreePercentMin) {
    out.wrong = fmt::format("{} of {} blocks are free", seen.f_bavail, seen.f_blocks);
  } else if (seen.f_files != 0 && seen.f_favail * 100 < seen.f_files * kFreePercentMin) {
    out.wrong = fmt::format("{} of {} inodes are free", seen.f_favail, seen.f_files);
  }
  return out;
}

// The median of a few synced writes, in the folder that counts; none: it cannot be written.
std::optional<Nanos> synced_write(const HostGround& ground, const std::string& folder) {
  std::string path = ground.tree->at(folder) + "/doctor-XXXXXX";
  const os::Fd file(::mkstemp(path.data()));
  if (!file.open()) return {};
  ::unlink(path.c_str());
  const std::array<char, 4'096> block{};
  std::array<Nanos, 9> took{};
  for (Nanos& each : took) {
    const Nanos begun = ground.clock->boottime();
    if (::write(file.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) return {};
    if (::fdatasync(file.get()) != 0) return {};
    each = ground.clock->boottime() - begun;
  }
  std::ranges::sort(took);
  return took[took.size() / 2];
}

Hop disk_hop(const HostGround& ground) {
  const std::string folder(host::kKept);
  Hop out{.name = "the disk keeps what it says it keeps",
          .wrong = {},
          .mend = "findmnt --target " + folder,
          .why = "what is acknowledged must outlive a power cut; memory and lying disks lose it"};
  const auto median = synced_write(ground, folder);
  if (!median) {
    out.wrong = "nothing can be written and synced there";
  } else if (too_fast_for_a_disk(*median)) {
    out.wrong =
        fmt::format("a synced write takes {} ns: memory, or a disk that does not sync", median->count());
  }
  for (const char* word : {"nobarrier", "barrier=0"})
    if (read(ground, "/proc/self/mountinfo").contains(word))
      out.wrong = fmt::format("a file system is mounted with {}", word);
  return out;
}

// The first three numbers of a text, 0 where there are none.
std::array<std::int64_t, 3> numbers_of(std::string_view text) {
  std::array<std::int64_t, 3> out{};
  for (std::int64_t& each : out) {
    text.remove_prefix(std::min(text.find_first_of("0123456789"), text.size()));
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), each);
    if (error != std::errc()) break;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return out;
}

Hop limits_hop(const HostGround& ground) {
  Hop out{.name = "the kernel's limits leave room",
          .wrong = {},
          .mend = {},
          .why = "at a limit, connections and files are refused"};
  const std::int64_t backlog = numbers_of(read(ground, "/proc/sys/net/core/somaxconn"))[0];
  if (backlog < kBacklog) {
    out.wrong = fmt::format("net.core.somaxconn is {}, sockets ask for {}", backlog, kBacklog);
    out.mend = fmt::format("sysctl -w net.core.somaxconn={}", kBacklog);
  }
  const auto files = numbers_of(read(ground, "/proc/sys/fs/file-nr"));  // open, free, at most
  if (files[0] > files[2] / 10 * 8) {
    out.wrong = fmt::format("{} of {} files are open", files[0], files[2]);
    out.mend = fmt::format("sysctl -w fs.file-max={}", files[2] * 2);
  }
  if (numbers_of(read(ground, "/proc/sys/fs/nr_open"))[0] < kOpenFiles) {
    out.wrong = fmt::format("fs.nr_open is less than the {} files that the store may open", kOpenFiles);
    out.mend = "sysctl -w fs.nr_open=1048576";
  }
  return out;
}

// --- services

Hop clock_hop(const HostGround& ground) {
  Hop out{.name = "the clock follows a source, and is right",
          .wrong = {},
          .mend = "systemctl restart chrony headrace-time; chronyc sources -v",
          .why = "a wrong clock makes every signature invalid, and delays meaningless"};
  const auto said = ground.tools->run({"chronyc", "-c", "tracking"});
  if (!said || said->code != 0) {
    out.wrong = said ? said->text : said.error().message;
  } else {
    out.wrong = clock_wrong(said->text, ground.machine.config.host.time == "ec2" ? kEc2Clock : "");
  }
  return out;
}

Hop firewall_hop(const host::Observation& seen) {
  Hop out{.name = "the firewall drops what is not the site",
          .wrong = {},
          .mend = "systemctl restart headrace-firewall",
          .why = "every listening port would be open to everybody"};
  if (!seen.firewall) out.wrong = "nft could not be asked; run as root";
  if (seen.firewall && !*seen.firewall) out.wrong = "its table is not there, or lets in by default";
  return out;
}

Hop loaded_hop(const host::Observation& seen) {
  return {.name = "nginx runs with the files that are there",
          .wrong = !seen.nginx                ? "nginx -T could not be asked"
                   : seen.nginx_stale.empty() ? ""
                                              : seen.nginx_stale + " was changed since nginx loaded it",
          .mend = "nginx -t -c /etc/headrace/nginx.conf && systemctl reload nginx",
          .why = "it serves something else than its files say, until it starts again"};
}

// They count what the rules do: rules without them are not ours.
Hop counters_hop(const HostGround& ground) {
  Hop out{.name = "the firewall counts what it refuses",
          .wrong = {},
          .mend = "systemctl reload headrace-firewall",
          .why = "the rules that are loaded are not the ones that were checked"};
  const auto said = ground.tools->run({"nft", "-j", "list", "table", "inet", "headrace"});
  const auto json = said && said->code == 0 ? codec::parse_json(said->text, {.bytes_max = 16U << 20})
                                            : Result<codec::Json>(fail(Errc::kNotFound, ""));
  const codec::Json* list = json ? json->find("nftables") : nullptr;
  std::vector<std::string> missing = {"refused", "limited", "site", "metadata"};
  if (list != nullptr && list->as_array() != nullptr) {
    for (const codec::Json& each : *list->as_array()) {
      const codec::Json* counter = each.find("counter");
      const codec::Json* name = counter != nullptr ? counter->find("name") : nullptr;
      if (name != nullptr && name->as_string() != nullptr) std::erase(missing, *name->as_string());
    }
  }
  if (!missing.empty()) out.wrong = fmt::format("no counter {}", fmt::join(missing, ", "));
  return out;
}

// Asked as polkit is asked: about a process of that user. Whether it may; none: it could not be asked.
std::optional<bool> may(const HostGround& ground, const std::string& user, const std::string& unit) {
  constexpr const char* kAsk = R"SH(
setpriv --reuid="$1" --regid="$(id -g "$1")" --init-groups sleep 30 & asked=$!
until [ "$(stat -c %U /proc/$asked 2>/dev/null)" = "$1" ]; do kill -0 $asked || exit 9; sleep 0.02; done
pkcheck --action-id org.freedesktop.systemd1.manage-units --detail unit "$2" --detail verb restart \
  --process $asked
said=$?
kill $asked
exit $said)SH";
  const auto said = ground.tools->run({"sh", "-c", kAsk, "ask", user, unit});
  if (!said || said->code < 0 || said->code > 3) return {};
  return said->code == 0;
}

std::vector<Hop> polkit_hops(const HostGround& ground) {
  const std::string& group = ground.machine.config.host.operators;
  std::vector<Hop> out;
  const auto add = [&](const std::string& user, const std::string& unit, bool expected) {
    const auto seen = may(ground, user, unit);
    out.push_back({.name = fmt::format("{} may{} restart {}", user, expected ? "" : " not", unit),
                   .wrong = !seen               ? "pkcheck could not be asked"
                            : *seen == expected ? ""
                                                : fmt::format("polkit says {}", *seen ? "yes" : "no"),
                   .mend = "headrace host apply; journalctl -b -u polkit",
                   .why = "operators manage these units, and nothing else"});
  };
  const std::string ours = "headrace-api.service";
  add("nobody", ours, false);
  const struct group* members = ::getgrnam(group.c_str());
  if (members == nullptr || members->gr_mem[0] == nullptr) return out;
  const std::string member = members->gr_mem[0];
  add(member, ours, true);
  add(member, "nginx.service", false);
  return out;
}

}  // namespace

std::string clock_wrong(std::string_view tracking, std::string_view source) {
  std::vector<std::string> fields(1);
  for (const char c : tracking) {
    if (c == '\n') break;
    if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (fields.size() < 14) return "chronyc says something else than it used to";
  const std::string& id = fields[0];
  if (id == "00000000") return "it follows nothing";
  if (id == "7F7F0101") return "it follows itself";
  if (!source.empty() && id != source)
    return fmt::format("it follows {} ({}), not EC2's clock", fields[1], id);
  double off = 0;
  const std::string& text = fields[4];
  if (std::from_chars(text.data(), text.data() + text.size(), off).ec != std::errc())
    return "chronyc says something else than it used to";
  off = std::abs(off);
  if (off > kSkewMaxS) return fmt::format("it is {:.3f} s off", off);
  return "";
}

bool too_fast_for_a_disk(Nanos median) { return median < kDiskMin; }

std::vector<Hop> file_checks(const HostGround& ground) {
  std::vector<Hop> out = {files_hop(ground), certificate_hop(ground)};
  for (Hop& each : permission_checks(ground)) out.push_back(std::move(each));
  return out;
}

std::vector<Hop> machine_checks(const HostGround& ground) {
  return {space_hop(ground, std::string(host::kHostState)), space_hop(ground, std::string(host::kLogFolder)),
          disk_hop(ground), limits_hop(ground)};
}

std::vector<Hop> service_checks(const HostGround& ground, const host::Observation& seen) {
  std::vector<Hop> out;
  out.push_back(loaded_hop(seen));
  if (ground.machine.keeps_time()) out.push_back(clock_hop(ground));
  if (ground.machine.config.host.firewall) {
    out.push_back(firewall_hop(seen));
    out.push_back(counters_hop(ground));
  }
  if (!ground.machine.config.host.operators.empty())
    for (Hop& each : polkit_hops(ground)) out.push_back(std::move(each));
  return out;
}

}  // namespace hr
