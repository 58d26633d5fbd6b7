// The configuration of nginx against golden files, and nginx's own opinion of it. After a change that is
// meant: HEADRACE_WRITE_GOLDEN=1 test_host, and read the difference.
#include "host/render/nginx.h"

#include "host/certificate.h"
#include "os/linux/fd.h"
#include "os/linux/linux.h"
#include "os/linux/process.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace hr::host {
namespace {

namespace fs = std::filesystem;

Place place(const std::string& state) {
  return {.state = state,
          .program = "headrace",
          .store = {},
          .http = {.host = "127.0.0.1", .port = 18'080, .loopback = true},
          .https = {.host = "::1", .port = 18'443, .loopback = true}};
}

Config config(const std::string& text) { return *parse_config(text, "/srv/shop/headrace.toml"); }

Config site() {
  return config("[web]\napp = \"shop:app\"\n[site]\nnames = [\"shop.example\", \"*.shop.example\"]\n");
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(HR_TESTDATA) + "/" + name;
  if (std::getenv("HEADRACE_WRITE_GOLDEN") != nullptr) std::ofstream(path) << text;
  EXPECT_EQ(text, contents(path)) << path;
}

TEST(RenderNginx, a_site_with_two_application_workers_is_as_it_was) {
  const auto text = render_nginx(site(), place("/srv/shop/.headrace"),
                                 {.version = {1, 22, 1}, .processors = 8, .root = false});
  ASSERT_TRUE(text);
  expect_golden("nginx-site.conf", *text);
}

TEST(RenderNginx, as_root_for_a_newer_nginx_without_an_application_is_as_it_was) {
  const auto text =
      render_nginx(config("[site]\ncertificate = \"/etc/a.pem\"\nkey = \"/etc/a.key\"\n"),
                   place("/srv/shop/.headrace"), {.version = {1, 25, 1}, .processors = 1, .root = true});
  ASSERT_TRUE(text);
  expect_golden("nginx-alone.conf", *text);
}

TEST(RenderNginx, a_path_that_nginx_would_read_in_its_own_way_is_refused) {
  for (const char* path : {"/srv/$shop", "/srv/\"shop\"", "/srv/shop\\", "/srv/a\nb"}) {
    const auto refused = render_nginx(site(), place(path), {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kInvalid);
  }
  EXPECT_TRUE(render_nginx(site(), place("/srv/my shop; {x}"), {}));
}

TEST(NginxVersion, is_read_from_what_it_prints) {
  EXPECT_EQ(parse_nginx_version("nginx version: nginx/1.22.1\n"), (std::array<int, 3>{1, 22, 1}));
  EXPECT_EQ(parse_nginx_version("nginx version: nginx/1.24.0 (Ubuntu)"), (std::array<int, 3>{1, 24, 0}));
  for (const char* text : {"", "nginx", "nginx/", "nginx/1", "nginx/1.2", "nginx/1.2.", "nginx/a.b.c"})
    EXPECT_FALSE(parse_nginx_version(text)) << text;
}

// A state folder with what nginx looks for, and nginx itself.
class RealNginx : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hr-nginx-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    base = name;
    state = base + "/a state; {x}";
    for (const char* folder : {"/run", "/tls", "/nginx", "/log"}) fs::create_directories(state + folder);
    const auto made = make_self_signed({"shop.example"}, from_ms(1'900'000'000'000), *os::make_entropy());
    ASSERT_TRUE(made);
    std::ofstream(state + "/tls/cert.pem") << made->certificate;
    std::ofstream(state + "/tls/key.pem") << made->key;
  }
  void TearDown() override { fs::remove_all(base); }

  // What `nginx ARGUMENTS` prints, and its exit code; none: there is no nginx.
  std::optional<std::pair<int, std::string>> nginx(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "nginx");
    const std::string path = base + "/output";
    const os::Fd output(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const auto processes = os::make_processes();
    const auto pid = processes->spawn({.command = std::move(arguments),
                                       .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                                       .output = output.get()});
    if (!pid) return std::nullopt;
    int status = 0;
    ::waitpid(*pid, &status, 0);
    return std::pair(WEXITSTATUS(status), contents(path));
  }

  std::string base, state;
};

TEST_F(RealNginx, accepts_what_is_rendered_for_it) {
  const auto version = nginx({"-v"});
  if (!version) GTEST_SKIP() << "nginx is not installed: apt install nginx-light";
  const auto parsed = parse_nginx_version(version->second);
  ASSERT_TRUE(parsed);
  for (const Config& each : {site(), config("")}) {
    const auto text =
        render_nginx(each, place(state), {.version = *parsed, .processors = 2, .root = ::geteuid() == 0});
    ASSERT_TRUE(text);
    std::ofstream(state + "/nginx/nginx.conf") << *text;
    const auto checked =
        nginx({"-t", "-q", "-e", "stderr", "-p", state + "/nginx/", "-c", state + "/nginx/nginx.conf"});
    ASSERT_TRUE(checked);
    EXPECT_EQ(checked->first, 0) << checked->second;
    EXPECT_EQ(checked->second, "");
  }
}

}  // namespace
}  // namespace hr::host
