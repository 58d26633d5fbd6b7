#include "net/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <arpa/inet.h>
#include <map>
#include <mutex>

namespace hr::net {
namespace {

constexpr std::size_t kHostsMax = 64;  // whose sessions are kept
constexpr std::size_t kWriteMax = std::size_t{1} << 30;

struct FreeSession {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, FreeSession>;

std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "no reason was given";
}

bool is_address(const std::string& host) {
  in6_addr any{};
  return ::inet_pton(AF_INET, host.c_str(), &any) == 1 || ::inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

bool name_peer(SSL* ssl, const std::string& host) {
  if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

}  // namespace

// The newest one of each host.
struct TlsContext::Sessions {
  std::mutex mutex;
  std::map<std::string, Session> by_host;

  static int keep(SSL* ssl, SSL_SESSION* session) {
    auto* self = static_cast<Sessions*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    const auto* pipe = static_cast<const TlsPipe*>(SSL_get_app_data(ssl));
    const std::scoped_lock lock(self->mutex);
    if (self->by_host.size() >= kHostsMax && !self->by_host.contains(pipe->host())) {
      self->by_host.erase(self->by_host.begin());
    }
    self->by_host[pipe->host()] = Session(session);
    return 1;  // ours now
  }
};

TlsContext::TlsContext() : sessions_(std::make_unique<Sessions>()) {}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<TlsContext>> TlsContext::make(const std::string& authorities) {
  std::shared_ptr<TlsContext> out(new TlsContext);
  out->context_ = SSL_CTX_new(TLS_client_method());
  if (out->context_ == nullptr) return fail(Errc::kInvalid, "TLS: " + last_error());
  SSL_CTX* context = out->context_;
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_set_app_data(context, out->sessions_.get());
  SSL_CTX_sess_set_new_cb(context, Sessions::keep);
  const int loaded = authorities.empty() ? SSL_CTX_set_default_verify_paths(context)
                                         : SSL_CTX_load_verify_file(context, authorities.c_str());
  if (loaded != 1) {
    return fail(Errc::kInvalid,
                fmt::format("the certificates of {} cannot be read: {}",
                            authorities.empty() ? "the system's authorities" : authorities, last_error()));
  }
  return out;
}

Result<std::unique_ptr<TlsPipe>> TlsPipe::make(std::shared_ptr<TlsContext> context, const std::string& host) {
  std::unique_ptr<TlsPipe> out(new TlsPipe(std::move(context), host));
  out->ssl_ = SSL_new(out->context_->context_);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* sent = BIO_new(BIO_s_mem());
  if (out->ssl_ == nullptr || in == nullptr || sent == nullptr) {
    BIO_free(in);
    BIO_free(sent);
    return fail(Errc::kLimit, "no memory for TLS");
  }
  SSL_set_bio(out->ssl_, in, sent);  // both are the SSL's now
  SSL_set_app_data(out->ssl_, out.get());
  SSL_set_connect_state(out->ssl_);
  if (!name_peer(out->ssl_, host)) return fail(Errc::kInvalid, host + " cannot be asked for by TLS");
  const std::scoped_lock lock(out->context_->sessions_->mutex);
  const auto& sessions = out->context_->sessions_->by_host;
  if (const auto found = sessions.find(host); found != sessions.end()) {
    SSL_set_session(out->ssl_, found->second.get());
  }
  return out;
}

// A connection that ends without a word would take its session with it.
TlsPipe::~TlsPipe() {
  if (ssl_ != nullptr) SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl_);
}

std::unexpected<Error> TlsPipe::failed(std::string_view what) {
  const long verdict = SSL_get_verify_result(ssl_);
  const std::string reason = last_error();
  if (verdict == X509_V_OK) return fail(Errc::kUnavailable, fmt::format("{}: {}: {}", host_, what, reason));
  return fail(Errc::kUnavailable, fmt::format("the certificate of {} is not to be trusted: {}", host_,
                                              X509_verify_cert_error_string(verdict)));
}

Result<bool> TlsPipe::handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  if (done == 1) return true;
  if (SSL_get_error(ssl_, done) == SSL_ERROR_WANT_READ) return false;
  return failed("TLS cannot begin");
}

Status TlsPipe::write(ByteView plain) {
  while (!plain.empty()) {
    ERR_clear_error();
    const auto part = plain.substr(0, kWriteMax);
    const int done = SSL_write(ssl_, part.data(), static_cast<int>(part.size()));
    if (done <= 0) return failed("TLS broke");
    plain.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

Result<std::size_t> TlsPipe::read(std::span<char> out) {
  ERR_clear_error();
  const int done = SSL_read(ssl_, out.data(), static_cast<int>(std::min(out.size(), kWriteMax)));
  if (done > 0) return static_cast<std::size_t>(done);
  switch (SSL_get_error(ssl_, done)) {
    case SSL_ERROR_WANT_READ:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      ended_ = true;
      return 0;
    default:
      return failed("TLS broke");
  }
}

void TlsPipe::feed(ByteView ciphertext) {
  BIO_write(SSL_get_rbio(ssl_), ciphertext.data(), static_cast<int>(ciphertext.size()));
}

Bytes TlsPipe::take_output() {
  BIO* out = SSL_get_wbio(ssl_);
  Bytes bytes(BIO_ctrl_pending(out), '\0');
  if (!bytes.empty()) BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

bool TlsPipe::resumed() const { return SSL_session_reused(ssl_) == 1; }

}  // namespace hr::net
