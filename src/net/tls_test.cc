// The TLS client over blocking connections: who is believed, and what a cut answer is. With an authority that
// is made on the spot, and a server in a thread which answers every request with the same bytes.
#include "base/check.h"
#include "net/blocking_connection.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <stop_token>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace hr::net {
namespace {

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Paper = std::unique_ptr<X509, Free>;

void extend(X509* paper, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, paper, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  HR_CHECK(extension != nullptr);
  X509_add_ext(paper, extension, -1);
  X509_EXTENSION_free(extension);
}

Paper paper_of(EVP_PKEY* key, const char* name, int serial, int days) {
  Paper out(X509_new());
  X509_set_version(out.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), -7L * 86'400);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), days * 86'400L);
  X509_set_pubkey(out.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  return out;
}

void write_paper(const std::string& path, X509* paper) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  HR_CHECK(file != nullptr && PEM_write_X509(file, paper) == 1);
  std::fclose(file);
}

void write_key(const std::string& path, EVP_PKEY* key) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  HR_CHECK(file != nullptr && PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  std::fclose(file);
}

// Files in a folder of its own, which goes with it: what a test's server shows and its client believes.
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  struct Certificate {
    std::string file, key;  // PEM
  };
  // `names`: "DNS:a.example,IP:127.0.0.1"; valid from now for so many days, which may be negative.
  Certificate certify(const std::string& names, int days = 1);
  std::string bundle() const { return folder_ + "/ca.pem"; }
  const std::string& folder() const { return folder_; }

 private:
  struct Keys;
  std::string folder_;
  std::unique_ptr<Keys> keys_;
  int made_ = 0;
};

class TlsTestServer {
 public:
  enum class End : std::uint8_t { kKeepOpen, kPolitely, kCut };  // after an answer

  TlsTestServer(const TestAuthority::Certificate& certificate, std::string answer, End end = End::kKeepOpen);
  ~TlsTestServer();
  TlsTestServer(const TlsTestServer&) = delete;
  TlsTestServer& operator=(const TlsTestServer&) = delete;

  std::uint16_t port() const;
  int accepted() const;
  int resumed() const;
  std::string server_name() const;  // what the last client asked for

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct TestAuthority::Keys {
  Key key{EVP_EC_gen("P-256")};
  Paper paper;
};

TestAuthority::TestAuthority() : keys_(std::make_unique<Keys>()) {
  char name[] = "/tmp/headrace-tls-XXXXXX";
  HR_CHECK(::mkdtemp(name) != nullptr);
  folder_ = name;
  keys_->paper = paper_of(keys_->key.get(), "Headrace test authority", 1, 30);
  X509* paper = keys_->paper.get();
  X509_set_issuer_name(paper, X509_get_subject_name(paper));
  extend(paper, paper, NID_basic_constraints, "critical,CA:TRUE");
  extend(paper, paper, NID_subject_key_identifier, "hash");
  HR_CHECK(X509_sign(paper, keys_->key.get(), EVP_sha256()) != 0);
  write_paper(bundle(), paper);
}

TestAuthority::~TestAuthority() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

TestAuthority::Certificate TestAuthority::certify(const std::string& names, int days) {
  const int serial = ++made_ + 1;
  const Key key(EVP_EC_gen("P-256"));
  const Paper paper = paper_of(key.get(), "a test's server", serial, days);
  X509_set_issuer_name(paper.get(), X509_get_subject_name(keys_->paper.get()));
  extend(paper.get(), keys_->paper.get(), NID_subject_alt_name, names);
  HR_CHECK(X509_sign(paper.get(), keys_->key.get(), EVP_sha256()) != 0);
  const std::string stem = folder_ + "/" + std::to_string(serial);
  Certificate out{stem + ".pem", stem + ".key"};
  write_paper(out.file, paper.get());
  write_key(out.key, key.get());
  return out;
}

struct TlsTestServer::State {
  std::unique_ptr<SSL_CTX, Free> context{SSL_CTX_new(TLS_server_method())};
  std::string answer;
  End end = End::kKeepOpen;
  int listener = -1;
  std::uint16_t port = 0;
  std::atomic<int> accepted = 0, resumed = 0;
  std::mutex mutex;
  std::string server_name;
  std::jthread thread;

  // Until something comes; false: the test is over.
  static bool wait(int fd, const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
      if (::poll(&one, 1, 20) > 0) return true;
    }
    return false;
  }

  static bool whole(const std::string& asked) {
    const auto end = asked.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    std::size_t body = 0;
    constexpr std::string_view kLength = "content-length: ";
    if (const auto at = asked.find(kLength); at < end) {
      std::from_chars(asked.data() + at + kLength.size(), asked.data() + end, body);
    }
    return asked.size() >= end + 4 + body;
  }

  void serve(int fd, const std::stop_token& stop) {
    const std::unique_ptr<SSL, Free> ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd);
    if (SSL_accept(ssl.get()) != 1) return;
    ++accepted;
    if (SSL_session_reused(ssl.get()) == 1) ++resumed;
    if (const char* name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name)) {
      const std::scoped_lock lock(mutex);
      server_name = name;
    }
    for (std::string asked; SSL_pending(ssl.get()) > 0 || wait(fd, stop);) {
      char in[16'384];
      const int n = SSL_read(ssl.get(), in, sizeof in);
      if (n <= 0) return;
      asked.append(in, static_cast<std::size_t>(n));
      if (!whole(asked)) continue;
      asked.clear();
      SSL_write(ssl.get(), answer.data(), static_cast<int>(answer.size()));
      if (end == End::kKeepOpen) continue;
      if (end == End::kPolitely) SSL_shutdown(ssl.get());
      return;
    }
  }

  void run(const std::stop_token& stop) {
    while (wait(listener, stop)) {
      const int fd = ::accept(listener, nullptr, nullptr);
      if (fd < 0) continue;
      serve(fd, stop);
      ERR_clear_error();
      ::close(fd);
    }
  }
};

TlsTestServer::TlsTestServer(const TestAuthority::Certificate& certificate, std::string answer, End end)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.answer = std::move(answer);
  state.end = end;
  HR_CHECK(SSL_CTX_use_certificate_file(state.context.get(), certificate.file.c_str(), SSL_FILETYPE_PEM) ==
           1);
  HR_CHECK(SSL_CTX_use_PrivateKey_file(state.context.get(), certificate.key.c_str(), SSL_FILETYPE_PEM) == 1);
  state.listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  HR_CHECK(::bind(state.listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  HR_CHECK(::listen(state.listener, 16) == 0);
  ::getsockname(state.listener, reinterpret_cast<sockaddr*>(&address), &size);
  state.port = ntohs(address.sin_port);
  state.thread = std::jthread([&state](const std::stop_token& stop) { state.run(stop); });
}

TlsTestServer::~TlsTestServer() {
  state_->thread.request_stop();
  state_->thread.join();
  ::close(state_->listener);
}

std::uint16_t TlsTestServer::port() const { return state_->port; }
int TlsTestServer::accepted() const { return state_->accepted; }
int TlsTestServer::resumed() const { return state_->resumed; }
std::string TlsTestServer::server_name() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->server_name;
}

constexpr std::string_view kHead = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

bool never() { return false; }
constexpr Deadline kWhenever = Deadline::max();

Endpoint endpoint_of(const TlsTestServer& server, const std::string& host = "127.0.0.1") {
  return *parse_endpoint(fmt::format("https://{}:{}", host, server.port()));
}

Result<codec::Response> ask(const Endpoint& endpoint, const std::shared_ptr<TlsContext>& tls) {
  auto connection = BlockingConnection::open(endpoint, tls, kWhenever, never);
  if (!connection) return std::unexpected(connection.error());
  return connection->exchange(kHead, "", codec::ResponseParser(), kWhenever, never);
}

TEST(Tls, speaks_to_a_host_whose_certificate_names_it) {
  TestAuthority authority;
  const TlsTestServer server(authority.certify("IP:127.0.0.1"), std::string(kAnswer));
  const auto tls = TlsContext::make(authority.bundle());
  ASSERT_TRUE(tls);
  const auto answer = ask(endpoint_of(server), *tls);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "hi");
}

TEST(Tls, names_the_host_it_wants_and_believes_that_name_only) {
  TestAuthority authority;
  const TlsTestServer server(authority.certify("DNS:queue.example"), std::string(kAnswer));
  const auto tls = TlsContext::make(authority.bundle());
  // What stands for a name's look-up here: the pipe is told the name, the socket an address.
  Endpoint endpoint = endpoint_of(server);
  const auto wrong = ask(endpoint, *tls);
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(wrong.error().message.contains("not to be trusted: IP address mismatch"))
      << wrong.error().message;
  endpoint.host = "localhost";
  const auto other = ask(endpoint, *tls);
  ASSERT_FALSE(other);
  EXPECT_TRUE(other.error().message.contains("hostname mismatch")) << other.error().message;
}

TEST(Tls, sends_the_name_as_sni) {
  TestAuthority authority;
  const TlsTestServer server(authority.certify("DNS:localhost"), std::string(kAnswer));
  const auto tls = TlsContext::make(authority.bundle());
  Endpoint endpoint = endpoint_of(server);
  endpoint.host = "localhost";
  ASSERT_TRUE(ask(endpoint, *tls));
  EXPECT_EQ(server.server_name(), "localhost");
}

TEST(Tls, does_not_believe_an_authority_that_the_system_does_not_know) {
  TestAuthority authority;
  const TlsTestServer server(authority.certify("IP:127.0.0.1"), std::string(kAnswer));
  const auto tls = TlsContext::make();
  ASSERT_TRUE(tls);
  const auto answer = ask(endpoint_of(server), *tls);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kUnavailable);
  EXPECT_TRUE(answer.error().message.contains("not to be trusted")) << answer.error().message;
}

TEST(Tls, does_not_believe_a_certificate_that_has_run_out) {
  TestAuthority authority;
  const TlsTestServer server(authority.certify("IP:127.0.0.1", -1), std::string(kAnswer));
  const auto tls = TlsContext::make(authority.bundle());
  const auto answer = ask(endpoint_of(server), *tls);
  ASSERT_FALSE(answer);
  EXPECT_TRUE(answer.error().message.contains("expired")) << answer.error().message;
}

TEST(Tls, a_bundle_that_is_none_is_refused_by_name) {
  EXPECT_TRUE(TlsContext::make("/nonexistent.pem").error().message.contains("/nonexistent.pem"));
  EXPECT_EQ(TlsContext::make("/dev/null").error().code, Errc::kInvalid);
}

TEST(Tls, a_session_is_used_again_by_the_next_connection) {
  TestAuthority authority;
  const TlsTestServer server(authority.certify("IP:127.0.0.1"), std::string(kAnswer));
  const auto tls = TlsContext::make(authority.bundle());
  ASSERT_TRUE(ask(endpoint_of(server), *tls));
  ASSERT_TRUE(ask(endpoint_of(server), *tls));
  EXPECT_EQ(server.accepted(), 2);
  EXPECT_EQ(server.resumed(), 1);
}

TEST(Tls, a_connection_stays_usable_when_a_ticket_came_after_its_answer) {
  TestAuthority authority;
  const TlsTestServer server(authority.certify("IP:127.0.0.1"), std::string(kAnswer));
  const auto tls = TlsContext::make(authority.bundle());
  auto connection = BlockingConnection::open(endpoint_of(server), *tls, kWhenever, never);
  ASSERT_TRUE(connection);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(connection->usable());
    EXPECT_TRUE(
        connection->exchange(kHead, std::string(600'000, 'x'), codec::ResponseParser(), kWhenever, never));
  }
  EXPECT_EQ(server.accepted(), 1);
}

// Without a length the end of the connection is the end of the answer: only the peer's own word counts.
TEST(Tls, an_answer_that_somebody_cut_is_not_taken_for_a_whole_one) {
  TestAuthority authority;
  const auto certificate = authority.certify("IP:127.0.0.1");
  const std::string open_ended = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf";
  const auto tls = TlsContext::make(authority.bundle());
  const TlsTestServer polite(certificate, open_ended, TlsTestServer::End::kPolitely);
  const auto whole = ask(endpoint_of(polite), *tls);
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->body, "half");
  const TlsTestServer cut(certificate, open_ended, TlsTestServer::End::kCut);
  EXPECT_EQ(ask(endpoint_of(cut), *tls).error().code, Errc::kClosed);
}

TEST(Tls, a_peer_that_does_not_speak_it_is_told_so) {
  auto context = TlsContext::make();
  ASSERT_TRUE(context);
  auto pipe = TlsPipe::make(*context, "localhost");
  ASSERT_TRUE(pipe);
  EXPECT_FALSE(*(*pipe)->handshake());
  EXPECT_FALSE((*pipe)->take_output().empty());
  (*pipe)->feed("HTTP/1.1 400 Bad Request\r\n\r\n");
  const auto refused = (*pipe)->handshake();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.starts_with("localhost: TLS cannot begin")) << refused.error().message;
}

}  // namespace
}  // namespace hr::net
