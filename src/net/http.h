// HTTP/1.1 as values: what a handler gets and gives. Framing, limits and deadlines are the server's business
// (net/server.h); a handler sees only requests whose framing is beyond doubt (RFC 9112).
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "codec/header_field.h"
#include "os/disk.h"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hr::net {

template <class T>
using Task = boost::asio::awaitable<T>;

struct Header {
  std::string name;
  std::string value;
  bool operator==(const Header&) const = default;
};

// Names compare without case; order and repeats are kept.
class Headers {
 public:
  void add(std::string name, std::string value);
  void set(std::string_view name, std::string value);                 // replaces every one of that name
  std::optional<std::string_view> find(std::string_view name) const;  // the first one
  std::size_t count(std::string_view name) const;
  void assign(codec::HeaderFields fields);  // these instead of all; reuses what memory there is
  std::vector<Header>::const_iterator begin() const { return all_.begin(); }
  std::vector<Header>::const_iterator end() const { return all_.end(); }
  std::size_t size() const { return all_.size(); }

 private:
  std::vector<Header> all_;
};

struct Peer {
  bool unix_socket = false;
  std::string address;                      // of TCP peers, without the port; "unix" otherwise
  std::uint32_t uid = 0, gid = 0, pid = 0;  // SO_PEERCRED of unix peers
};

struct RequestHead {
  std::string method;
  std::string target;  // origin-form, as sent: path and query undecoded
  Headers headers;
  Peer peer;
  std::string request_id;  // the peer's x-request-id if it is 8 to 64 of [A-Za-z0-9-], else made here
};

// The body of one request. Reading the first piece answers "Expect: 100-continue".
class RequestBody {
 public:
  virtual ~RequestBody() = default;
  // The next piece (valid until the next call), empty at the end. kClosed, kTimeout (too slow), kLimit.
  virtual Task<Result<std::string_view>> read() = 0;
  // The whole body, or kLimit when it is larger.
  virtual Task<Result<std::string>> read_all(std::size_t bytes_max) = 0;
  virtual std::optional<std::uint64_t> content_length() const = 0;  // none: chunked
  // Calls back once, on the reactor, if the peer goes away before the answer is sent. For waits only: it
  // costs a read on the socket. The body must have been read.
  virtual void on_disconnect(std::function<void()> gone) = 0;
};

// Bytes of a file, sent without passing through memory where the system can.
struct FileBody {
  std::shared_ptr<os::File> file;  // shared: the sender outlives the handler
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length, Date, Connection and the request id are added by the server
  std::variant<std::string, FileBody> body;
  bool close = false;  // end the connection after this answer
  // For HEAD: the Content-Length to announce though no body is sent.
  std::optional<std::uint64_t> announced_length;
};

class Handler {
 public:
  virtual ~Handler() = default;
  // An exception is a bug: logged, answered with 500 and the connection closed.
  virtual Task<Response> handle(RequestHead& head, RequestBody& body) = 0;
};

}  // namespace hr::net
