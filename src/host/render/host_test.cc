// All files of a host against golden trees (testdata/host-*), and the opinion of each tool about its own.
// After a change that is meant: HEADRACE_WRITE_GOLDEN=1 test_host, and read the difference.
#include "host/render/host.h"

#include "host/certificate.h"
#include "host/checks.h"
#include "host/folder_test.h"
#include "host/tools.h"
#include "os/linux/linux.h"
#include "os/linux/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace hr::host {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Everything said.
constexpr const char* kFull = R"(
[app]
name = "shop"
root = "/srv/shop"
python = "/srv/shop/venv/bin/python"
user = "shop"
writable = ["/srv/shop/media"]
[web]
app = "shop.wsgi:app"
timeout = "60s"
[worker.default]
modules = ["shop.tasks"]
processes = "1..4"
memory = "512M"
cpu = "150%"
drain = "15m"
[worker.local]
modules = ["shop.local"]
network = "none"
[site]
names = ["shop.example", "*.shop.example"]
store_names = ["store.shop.example"]
trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
console = ["192.0.2.0/24"]
files = "/srv/shop/static"
[host]
operators = "ops"
time = "ntp.example"
ssh = [22, 2222]
ports = [8443]
logs_to = "logs.example:6514"
logs_authority = "/etc/ssl/certs/logs.pem"
)";

Machine machine(const std::string& text, const HostFacts& facts = {}) {
  Config config = *parse_config(text, "/etc/headrace/headrace.toml");
  if (config.app.root == ".") config.app.root = "/etc/headrace";  // as whoever reads the file makes it
  auto out = machine_of(config, facts);
  EXPECT_TRUE(out) << (out ? "" : out.error().message);
  return *out;
}

Machine full() { return machine(kFull); }
// As little as can be said, on the newest programs, on EC2.
Machine small() {
  return machine("[host]\ntime = \"auto\"\n",
                 {.nginx = {1, 26, 0}, .openssl = {3, 5, 0}, .systemd = 255, .ec2 = true, .ubuntu = true});
}

void expect_golden_tree(const std::string& folder, const std::vector<File>& files) {
  const std::string root = std::string(HR_TESTDATA) + "/" + folder;
  if (std::getenv("HEADRACE_WRITE_GOLDEN") != nullptr) fs::remove_all(root);
  std::set<std::string> expected;
  for (const File& file : files) {
    expect_golden(root + file.path, file.text);
    expected.insert(root + file.path);
  }
  for (const auto& each : fs::recursive_directory_iterator(root))
    if (each.is_regular_file())
      EXPECT_TRUE(expected.contains(each.path())) << each.path() << " is rendered no more";
}

TEST(RenderHost, a_host_with_everything_is_as_it_was) {
  expect_golden_tree("host-full", render_host(full()));
}

TEST(RenderHost, a_host_with_nothing_but_the_store_on_newer_programs_is_as_it_was) {
  expect_golden_tree("host-small", render_host(small()));
}

TEST(RenderHost, the_same_configuration_gives_the_same_bytes) {
  EXPECT_EQ(render_host(full()), render_host(full()));
}

std::string text_of(const Machine& of, std::string_view path) {
  for (const File& file : render_host(of))
    if (file.path == path) return file.text;
  return "";
}

TEST(RenderHost, a_switch_opens_one_door_of_the_sandbox_and_no_other) {
  const auto unit = [](const std::string& allow) {
    return text_of(machine("[app]\nroot = \"/srv/shop\"\n" + allow + "[web]\napp = \"shop:app\"\n"),
                   "/etc/systemd/system/headrace-web@.service");
  };
  const std::string closed = unit("");
  for (const char* line : {"MemoryDenyWriteExecute=yes\n", "ProcSubset=pid\n", "@privileged @resources\n"})
    EXPECT_THAT(closed, HasSubstr(line));
  const auto without = [&](std::string text, const std::string& line) {
    return text.replace(text.find(line), line.size(), "");
  };
  EXPECT_EQ(unit("allow = [\"jit\"]\n"), without(closed, "MemoryDenyWriteExecute=yes\n"));
  EXPECT_EQ(unit("allow = [\"proc\"]\n"), without(closed, "ProcSubset=pid\n"));
  EXPECT_EQ(unit("allow = [\"nice\"]\n"), without(closed, " @resources"));
}

TEST(RenderHost, an_application_in_a_home_is_shown_alone) {
  const std::string unit = text_of(machine("[app]\nroot = \"/home/ann/shop\"\n[web]\napp = \"shop:app\"\n"),
                                   "/etc/systemd/system/headrace-web@.service");
  EXPECT_THAT(unit, HasSubstr(std::string("ProtectHome=tmpfs\nBindReadOnlyPaths=") + "/home/ann/shop\n"));
}

TEST(RenderHost, without_firewall_time_and_operators_nothing_is_said_about_them) {
  const auto files = render_host(machine("[host]\nfirewall = false\ntime = \"off\"\n"));
  for (const File& file : files) {
    EXPECT_THAT(file.path,
                testing::Not(testing::AnyOf(HasSubstr("nft"), HasSubstr("chrony"), HasSubstr("polkit"),
                                            HasSubstr("firewall"), HasSubstr("time"))));
    EXPECT_THAT(file.text, testing::Not(HasSubstr("headrace-firewall.service"))) << file.path;
    EXPECT_THAT(file.text, testing::Not(HasSubstr("headrace-time.service"))) << file.path;
  }
}

constexpr const char* kAmazon = R"(
[app]
root = "/srv/shop"
[web]
app = "shop:app"
[worker.default]
modules = ["shop.tasks"]
[worker.local]
modules = ["shop.local"]
network = "none"
[services]
sqs = "aws"
s3 = "aws"
region = "eu-central-1"
)";

TEST(RenderHost, with_services_of_amazon_no_store_is_waited_for_and_its_keys_are_looked_for_nowhere) {
  for (const File& file : render_host(machine(kAmazon))) {
    EXPECT_THAT(file.path, testing::Not(HasSubstr("headrace-store")));
    for (const char* part : {"headrace-store.s", "HEADRACE_ENDPOINT", "HEADRACE_KEYS", "LoadCredential"})
      EXPECT_THAT(file.text, testing::Not(HasSubstr(part))) << file.path;
  }
  EXPECT_THAT(text_of(machine(kAmazon), "/etc/systemd/system/headrace-web@.service"),
              HasSubstr("After=headrace-firewall.service rsyslog.service headrace-time.service "));
}

TEST(RenderHost, with_services_of_amazon_the_metadata_service_is_open_to_who_needs_it_alone) {
  const Machine of = machine(kAmazon);
  EXPECT_THAT(
      text_of(of, "/etc/headrace/nftables.nft"),
      HasSubstr("ip daddr 169.254.169.254 meta skuid != { root, headrace-api, headrace-app } counter"));
  EXPECT_THAT(text_of(of, "/etc/systemd/system/headrace-worker@default.service.d/headrace.conf"),
              testing::Not(HasSubstr("IPAddressDeny")));
  EXPECT_THAT(text_of(of, "/etc/systemd/system/headrace-worker@local.service.d/headrace.conf"),
              HasSubstr("IPAddressDeny=any"));
  EXPECT_THAT(text_of(of, "/etc/systemd/system/nginx.service.d/headrace.conf"),
              HasSubstr("IPAddressDeny=169.254"));
}

TEST(RenderHost, a_store_that_is_not_here_is_not_made_public) {
  const auto refused = machine_of(
      *parse_config(std::string(kAmazon) + "[site]\nnames = [\"a.example\"]\nstore_names = [\"s.example\"]\n",
                    "f"),
      {});
  EXPECT_EQ(refused.error().code, Errc::kInvalid);
}

// --- the tools' own opinion

class RealTools : public testing::Test {
 protected:
  static bool absent(const Error& error) {
    return error.code == Errc::kNotFound || error.code == Errc::kPermission;
  }

  Result<std::string> ask(Check check, const Machine& of, const std::vector<File>& files) {
    const auto made = make_self_signed({"shop.example"}, from_ms(1'900'000'000'000), *os::make_entropy());
    return run_check(check, {.machine = of,
                             .files = files,
                             .scratch = scratch,
                             .tools = *tools,
                             .stand = {.certificate = made->certificate, .key = made->key}});
  }

  // Its finding, "" for none, or that the tool is absent. The program in the units is one that is there,
  // since systemd looks for it.
  std::string opinion(Check check, Machine of) {
    of.facts.program = "/bin/true";
    const auto found = ask(check, of, render_host(of));
    if (found) return *found;
    return (absent(found.error()) ? "absent: " : "") + found.error().message;
  }

  TestFolder folder;
  Tree scratch = *Tree::open(folder.path);
  std::unique_ptr<os::Processes> processes = os::make_processes();
  std::unique_ptr<Tools> tools = make_tools(*processes, path_variable());
};

#define HR_EXPECT_ACCEPTED(check, of)                                 \
  do {                                                                \
    const std::string said = opinion(check, of);                      \
    if (said.starts_with("absent: ")) GTEST_SKIP() << said.substr(8); \
    EXPECT_EQ(said, "");                                              \
  } while (false)

TEST_F(RealTools, nginx_accepts_what_is_rendered_for_it) {
  HR_EXPECT_ACCEPTED(Check::kNginx, full());
  HR_EXPECT_ACCEPTED(Check::kNginx, machine("[web]\napp = \"shop:app\"\nprocesses = 64\n"));
}
TEST_F(RealTools, systemd_accepts_every_unit) {
  HR_EXPECT_ACCEPTED(Check::kUnits, full());
  HR_EXPECT_ACCEPTED(Check::kUnits, machine(""));
  HR_EXPECT_ACCEPTED(Check::kUnits, machine(kAmazon));
}
TEST_F(RealTools, every_unit_is_within_its_exposure) {
  HR_EXPECT_ACCEPTED(Check::kExposure, full());
  HR_EXPECT_ACCEPTED(Check::kExposure,
                     machine("[app]\nroot = \"/home/ann/shop\"\n[web]\napp = \"a:b\"\nnetwork = \"none\"\n"));
  HR_EXPECT_ACCEPTED(Check::kExposure, machine(kAmazon));
}
TEST_F(RealTools, nft_accepts_the_table) {
  HR_EXPECT_ACCEPTED(Check::kFirewall, full());
  HR_EXPECT_ACCEPTED(Check::kFirewall, machine(kAmazon));
}
TEST_F(RealTools, rsyslog_accepts_its_rules) { HR_EXPECT_ACCEPTED(Check::kLogging, full()); }
TEST_F(RealTools, logrotate_accepts_its_part) { HR_EXPECT_ACCEPTED(Check::kRotation, full()); }
TEST_F(RealTools, chrony_accepts_its_file) {
  HR_EXPECT_ACCEPTED(Check::kTime, full());
  HR_EXPECT_ACCEPTED(Check::kTime, machine("[host]\ntime = \"pool\"\n"));
  HR_EXPECT_ACCEPTED(Check::kTime, machine("[host]\ntime = \"ec2\"\n"));
}
TEST_F(RealTools, sysusers_and_tmpfiles_accept_users_and_folders) {
  HR_EXPECT_ACCEPTED(Check::kAccounts, full());
}

// polkit runs its rules as JavaScript: here Node does, with as much of polkit around them as they ask for.
TEST_F(RealTools, the_rule_of_polkit_lets_operators_manage_our_units_and_nothing_else) {
  const std::string rule = folder.path + "/rule";
  write_file(rule, text_of(full(), "/etc/polkit-1/rules.d/50-headrace.rules"));
  write_file(folder.path + "/ask.js", R"(
const results = [];
var polkit = { Result: { YES: "yes", NOT_HANDLED: "-" }, addRule: (f) => { polkit.rule = f; } };
eval(require("fs").readFileSync(process.argv[2], "utf8"));
const units = "org.freedesktop.systemd1.manage-units";
const ask = (groups, unit, verb, id = units) => results.push(polkit.rule(
  { id, lookup: (key) => ({ unit, verb })[key] }, { isInGroup: (group) => groups.includes(group) }));
for (const unit of ["headrace-worker@default.service", "headrace-web@1.socket", "headrace.target"])
  for (const verb of ["start", "stop", "restart", "reload"]) ask(["ops"], unit, verb);
ask(["users"], "headrace.target", "stop");
const others = ["nginx.service", "headrace-firewall.service", "headrace-worker@x.service", "ssh.service", ""];
for (const unit of others)
  ask(["ops"], unit, "stop");
for (const verb of ["kill", "set-property", "reset-failed", "mask", ""])
  ask(["ops"], "headrace.target", verb);
ask(["ops"], "headrace.target", "stop", "org.freedesktop.systemd1.manage-unit-files");
console.log(results.join(" "));
)");
  const auto said = tools->run({"node", folder.path + "/ask.js", rule});
  if (!said) GTEST_SKIP() << said.error().message;
  EXPECT_EQ(said->text, "yes yes yes yes yes yes yes yes yes yes yes yes - - - - - - - - - - - -\n");
}

TEST_F(RealTools, what_is_broken_is_found) {
  const Machine of = machine("[web]\napp = \"a:b\"\n[host]\noperators = \"ops\"\n");
  for (const auto& [check, path] : {std::pair(Check::kNginx, "/etc/headrace/nginx.conf"),
                                    std::pair(Check::kUnits, "/etc/systemd/system/headrace-web@.service"),
                                    std::pair(Check::kFirewall, "/etc/headrace/nftables.nft"),
                                    std::pair(Check::kLogging, "/etc/rsyslog.d/30-headrace.conf"),
                                    std::pair(Check::kTime, "/etc/chrony/headrace.conf"),
                                    std::pair(Check::kRotation, "/etc/logrotate.d/headrace"),
                                    std::pair(Check::kAccounts, "/etc/sysusers.d/headrace.conf")}) {
    auto files = render_host(of);
    std::ranges::find(files, path, &File::path)->text = "[Servce]\nwhat { ever\n";
    const auto found = ask(check, of, files);
    if (!found && absent(found.error())) continue;
    EXPECT_TRUE(!found || !found->empty()) << path;
  }
}

}  // namespace
}  // namespace hr::host
