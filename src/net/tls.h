// TLS as a client, without a socket: ciphertext in, ciphertext out, for whoever moves the bytes. The peer
// must show a certificate that an authority of the system (or of a named bundle) vouches for and that names
// the host which was asked for; TLS 1.2 or newer. Sessions are kept and offered again, so that the next
// connection to a host costs one round trip and no certificate.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct ssl_st;
struct ssl_ctx_st;

namespace hr::net {

// What connections share: the authorities and the sessions. Thread-safe.
class TlsContext {
 public:
  // `authorities`: a PEM file; empty: the system's. kInvalid: it cannot be read, or holds no certificate.
  static Result<std::shared_ptr<TlsContext>> make(const std::string& authorities = "");
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  struct Sessions;

 private:
  friend class TlsPipe;
  TlsContext();

  ssl_ctx_st* context_ = nullptr;
  std::unique_ptr<Sessions> sessions_;
};

// One connection. An error is final.
class TlsPipe {
 public:
  // `host`: a name, which is also sent as SNI, or a numeric address.
  static Result<std::unique_ptr<TlsPipe>> make(std::shared_ptr<TlsContext> context, const std::string& host);
  ~TlsPipe();
  TlsPipe(const TlsPipe&) = delete;
  TlsPipe& operator=(const TlsPipe&) = delete;

  // True: done. False: take_output() has to be sent, and more of the peer's bytes are needed.
  // kUnavailable: the peer is not who it should be, or does not speak TLS; the message says why.
  Result<bool> handshake();
  Status write(ByteView plain);  // into the output
  // How many bytes of plaintext; 0: more of the peer's bytes are needed, or it has ended.
  Result<std::size_t> read(std::span<char> out);

  void feed(ByteView ciphertext);
  Bytes take_output();
  bool ended() const { return ended_; }  // the peer said that nothing more comes
  bool resumed() const;                  // an earlier session was used
  const std::string& host() const { return host_; }

 private:
  TlsPipe(std::shared_ptr<TlsContext> context, std::string host)
      : context_(std::move(context)), host_(std::move(host)) {}
  std::unexpected<Error> failed(std::string_view what);

  std::shared_ptr<TlsContext> context_;  // shared: it outlives whoever made it while a connection is open
  std::string host_;
  ssl_st* ssl_ = nullptr;
  bool ended_ = false;
};

}  // namespace hr::net
