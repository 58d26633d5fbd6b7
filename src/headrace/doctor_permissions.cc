#include "headrace/doctor_permissions.h"

#include "host/apply.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <pwd.h>
#include <set>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>

namespace hr {
namespace {

struct Guarded {
  std::string path;
  mode_t kind = S_IFREG;
  mode_t forbidden = 0077;  // bits that nobody may have set
  std::string owner = {};   // empty: anybody
  bool required = true;
  bool linked = false;  // it may be reached through links: a key that its owner keeps
};

std::string owner_of(const struct stat& seen) {
  const passwd* user = ::getpwuid(seen.st_uid);
  return user != nullptr ? user->pw_name : std::to_string(seen.st_uid);
}

std::string_view mend_of(mode_t forbidden, bool folder) {
  if (forbidden == 0077) return folder ? "700" : "600";
  return forbidden == 0022 ? "go-w" : "o=";
}

Hop guarded_hop(const HostGround& ground, const Guarded& what) {
  const bool folder = what.kind == S_IFDIR;
  Hop out{.name = fmt::format("only who should can reach {}", what.path),
          .wrong = {},
          .mend = fmt::format("chmod {} {}", mend_of(what.forbidden, folder), what.path),
          .why = "another user of this host could read secrets, or speak for a service"};
  struct stat seen{};
  const std::string path = ground.tree->at(what.path);
  if ((what.linked ? ::stat(path.c_str(), &seen) : ::lstat(path.c_str(), &seen)) != 0) {
    if (errno == ENOENT && !what.required) return out;
    out.wrong = std::strerror(errno);
    out.mend = "headrace host apply";
  } else if ((seen.st_mode & S_IFMT) != what.kind) {
    out.wrong = "it is something else, a link for example";
    out.mend = fmt::format("ls -l {}; remove it, then: headrace host apply", what.path);
  } else if ((seen.st_mode & what.forbidden) != 0) {
    out.wrong = fmt::format("mode {:o}", seen.st_mode & 07777U);
  } else if (!what.owner.empty() && owner_of(seen) != what.owner) {
    out.wrong = fmt::format("it belongs to {}", owner_of(seen));
    out.mend = fmt::format("chown {} {}", what.owner, what.path);
  }
  return out;
}

// Who can write a file, or put another in its place, is root: programs of root read it. A folder of the
// distribution's may be another's: polkit's rules are.
Hop owners_hop(const HostGround& ground) {
  Hop out{.name = "what the configuration gives belongs to root, and nobody else can write it",
          .wrong = {},
          .mend = {},
          .why = "another user of this host could say what services do"};
  std::set<std::string> paths, folders;
  for (const host::File& file : ground.files) {
    paths.insert(file.path);
    folders.insert(file.path.substr(0, file.path.rfind('/')));
  }
  paths.insert(folders.begin(), folders.end());
  for (const std::string& path : paths) {
    struct stat seen{};
    if (::lstat(ground.tree->at(path).c_str(), &seen) != 0) continue;  // that it is missing is said elsewhere
    const bool owned = seen.st_uid == 0 || folders.contains(path);
    if (owned && (seen.st_mode & 0022U) == 0) continue;
    out.wrong = fmt::format("{} belongs to {}, mode {:o}", path, owner_of(seen), seen.st_mode & 07777U);
    out.mend =
        owned ? fmt::format("chmod go-w {}", path) : fmt::format("chown root {0}; chmod go-w {0}", path);
    break;
  }
  return out;
}

// Of pools: the socket over which they are asked and told, and its folder; both go when they stop.
void add_pool(std::vector<Guarded>& out, const host::Node& node, const std::string& owner) {
  for (const host::Socket& socket : node.sockets) {
    const std::string folder = socket.path.substr(0, socket.path.rfind('/'));
    for (const auto& [path, kind] :
         {std::pair(folder, mode_t{S_IFDIR}), std::pair(socket.path, mode_t{S_IFSOCK})})
      out.push_back({.path = path, .kind = kind, .forbidden = 0007, .owner = owner, .required = false});
  }
}

std::vector<Guarded> guarded_of(const host::Machine& machine) {
  std::vector<Guarded> out = {{.path = host::certificate_key_of(machine),
                               .owner = "root",
                               .linked = !machine.config.site.certificate.empty()},
                              {.path = std::string(host::kKept), .kind = S_IFDIR, .owner = "root"}};
  if (!machine.of(host::Kind::kStore).empty()) {
    const host::Paths paths(host::kHostState);
    out.push_back({.path = paths.store(), .kind = S_IFDIR, .owner = "headrace-store"});
    out.push_back({.path = paths.keys(), .owner = "headrace-store"});
  }
  for (const host::Node& node : machine.nodes) {
    const bool ours =
        node.kind == host::Kind::kStore || node.kind == host::Kind::kApi || node.kind == host::Kind::kWeb;
    for (const host::Socket& socket : node.sockets)
      if (ours && !socket.path.empty())
        out.push_back({.path = socket.path, .kind = S_IFSOCK, .forbidden = 0007, .owner = "root"});
    if (node.kind == host::Kind::kWorker) add_pool(out, node, machine.app_user);
  }
  if (machine.has_web() || !machine.of(host::Kind::kWorker).empty())
    out.push_back(
        {.path = std::string(host::kHostState) + "/app", .kind = S_IFDIR, .owner = machine.app_user});
  out.push_back({.path = std::string(host::kLogFolder), .kind = S_IFDIR, .forbidden = 0007, .owner = ""});
  for (const char* log : {"headrace.jsonl", "access.jsonl"})
    out.push_back(
        {.path = fmt::format("{}/{}", host::kLogFolder, log), .forbidden = 0007, .required = false});
  // Everybody may log there, and nobody else be in its place.
  out.push_back({.path = std::string(host::kLogSocket), .kind = S_IFSOCK, .forbidden = 0, .owner = "root"});
  out.push_back({.path = std::string(host::kHostRun), .kind = S_IFDIR, .forbidden = 0022, .owner = "root"});
  return out;
}

}  // namespace

std::vector<Hop> permission_checks(const HostGround& ground) {
  std::vector<Hop> out = {owners_hop(ground)};
  for (const Guarded& each : guarded_of(ground.machine)) out.push_back(guarded_hop(ground, each));
  return out;
}

}  // namespace hr
