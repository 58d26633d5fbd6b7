// headrace._native.Client: requests signed with SigV4 and sent over blocking sockets, without the
// interpreter's lock. Idle connections are kept in the client and handed out one to a request, so threads
// never share one; the list is touched only under the lock. After a fork the child lets its parent's
// connections go. What a service refuses for its keys or its time is signed anew and sent again, once.
#include "aws.h"
#include "codec/digest.h"
#include "codec/header_field.h"
#include "codec/sigv4.h"
#include "net/blocking_connection.h"
#include "net/tls.h"
#include "object.h"
#include "remote/refusal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <optional>
#include <unistd.h>
#include <vector>

namespace hr::python {
namespace {

constexpr std::size_t kIdleMax = 32;
constexpr std::size_t kHeadersMax = 64;
constexpr double kTimeoutMax = 86'400;                             // seconds
constexpr std::uint64_t kAnswerBytesMax = std::uint64_t{1} << 30;  // one object read whole

using Connection = net::BlockingConnection;

struct State {
  net::Endpoint endpoint;
  std::shared_ptr<net::TlsContext> tls;  // null: plain
  codec::Credentials credentials;
  std::shared_ptr<Aws> aws;  // null: `credentials` sign
  std::string region;
  Duration skew{};  // of the local clock: what to add to it
  pid_t owner = ::getpid();
  std::vector<Connection> idle;  // the most recently used last
};

struct Object {
  PyObject_HEAD State* state;
};

struct Request {
  std::string service, method, path, query;
  codec::Pairs headers;
  std::string_view body;
  double timeout = 0;

  // Sending it twice does what sending it once does.
  bool idempotent() const {
    static constexpr std::string_view kMethods[] = {"GET", "HEAD", "PUT", "DELETE"};
    return std::ranges::find(kMethods, method) != std::end(kMethods) &&
           codec::find(headers, "if-none-match") == nullptr && codec::find(headers, "if-match") == nullptr;
  }
};

// How one request is signed and sent.
struct Way {
  const State& state;
  codec::Credentials credentials;
  Time now{};
  net::Deadline deadline;
};

struct Answer {
  Result<codec::Response> response = fail(Errc::kUnavailable, "");
  std::optional<Connection> connection;  // which may carry the next request
  codec::Credentials used = {};
  Time signed_at{};
  bool unsigned_for_keys = false;  // there were no credentials
};

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

bool is_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

bool is_target(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

// ---- The exchange; no Python object is touched here.

Result<std::string> head_of(const Way& way, const Request& request) {
  codec::Pairs headers = request.headers;
  headers.emplace_back("host", way.state.endpoint.host_header);
  std::vector<codec::HeaderField> fields;
  for (const auto& [name, value] : headers) fields.push_back({name, value});
  const std::string hash = codec::sha256_hex(request.body);
  HR_ASSIGN(
      const codec::SignedHeaders added,
      codec::sign(
          request.method, request.path, request.query, fields, way.credentials,
          {.service = request.service, .region = way.state.region, .now = way.now, .payload_hash = hash}));
  std::string head = fmt::format("{} {}{}{} HTTP/1.1\r\n", request.method, request.path,
                                 request.query.empty() ? "" : "?", request.query);
  for (const auto& list : {headers, added.add}) {
    for (const auto& [name, value] : list) head += fmt::format("{}: {}\r\n", name, value);
  }
  head += fmt::format("user-agent: headrace-python/" HEADRACE_VERSION "\r\ncontent-length: {}\r\n\r\n",
                      request.body.size());
  return head;
}

codec::ResponseParser parser_for(const Request& request) {
  return codec::ResponseParser(request.method == "HEAD" ? codec::Asked::kHead : codec::Asked::kOther,
                               {.body_bytes_max = kAnswerBytesMax});
}

// A kept connection that the peer turns out to have closed is replaced once, where that repeats nothing.
Answer exchange(const Way& way, const Request& request, std::optional<Connection> kept) {
  const net::Deadline deadline = way.deadline;
  Answer answer;
  const auto head = head_of(way, request);
  if (!head) {
    answer.response = std::unexpected(head.error());
    return answer;
  }
  if (kept) {
    answer.response = kept->exchange(*head, request.body, parser_for(request), deadline, interrupted);
    const bool broken = !answer.response && answer.response.error().code == Errc::kClosed;
    const bool repeatable = !kept->answer_began() && (request.idempotent() || !kept->sent_any());
    if (!broken || !repeatable) {
      answer.connection = std::move(kept);
      return answer;
    }
  }
  auto fresh = Connection::open(way.state.endpoint, way.state.tls, deadline, interrupted);
  if (!fresh) {
    answer.response = std::unexpected(std::move(fresh).error());
    return answer;
  }
  answer.response = fresh->exchange(*head, request.body, parser_for(request), deadline, interrupted);
  answer.connection = std::move(*fresh);
  return answer;
}

Time wall() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

// What the service's refusal teaches: how far the clock is off, or that the keys are of no more use.
struct Lesson {
  std::optional<Duration> skew;
  bool keys_refused = false;
};

Lesson lesson_of(const Request& request, const codec::Response& response, Time signed_at) {
  if (response.status < 400 || response.status >= 500) return {};
  const Bytes code = remote::error_code(request.service, response);
  return {.skew = remote::skew_of(response, code, signed_at, wall()),
          .keys_refused = remote::is_expired_key(code)};
}

// ---- Python's side

State* state_of(PyObject* self) { return reinterpret_cast<Object*>(self)->state; }

std::optional<Connection> take_idle(State& state) {
  if (state.owner != ::getpid()) {
    state.idle.clear();
    state.owner = ::getpid();
  }
  while (!state.idle.empty()) {
    Connection connection = std::move(state.idle.back());
    state.idle.pop_back();
    if (connection.usable()) return connection;
  }
  return std::nullopt;
}

void keep_idle(State& state, Answer& answer) {
  if (answer.connection && answer.response && answer.response->keep_alive && state.owner == ::getpid() &&
      state.idle.size() < kIdleMax) {
    state.idle.push_back(std::move(*answer.connection));
  }
}

bool text_of(PyObject* object, std::string& out) {
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text != nullptr) out.assign(text, static_cast<std::size_t>(size));
  return text != nullptr;
}

bool add_header(PyObject* pair, codec::Pairs& headers) {
  std::string name, value;
  if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
    PyErr_SetString(PyExc_TypeError, "headers must be a list of (name, value) tuples");
    return false;
  }
  if (!text_of(PyTuple_GetItem(pair, 0), name) || !text_of(PyTuple_GetItem(pair, 1), value)) return false;
  if (!is_token(name) || !is_value(value)) {
    PyErr_Format(PyExc_ValueError,
                 "the header %R may not be sent: a name is letters, digits and '-', and a "
                 "value holds no control character",
                 pair);
    return false;
  }
  headers.emplace_back(codec::lower_case(name), std::move(value));
  return true;
}

bool read_headers(PyObject* list, codec::Pairs& headers) {
  if (!PyList_Check(list) || PyList_Size(list) > static_cast<Py_ssize_t>(kHeadersMax)) {
    PyErr_Format(PyExc_ValueError, "headers must be a list of at most %d tuples", int{kHeadersMax});
    return false;
  }
  for (Py_ssize_t i = 0; i < PyList_Size(list); ++i) {
    if (!add_header(PyList_GetItem(list, i), headers)) return false;
  }
  return true;
}

bool check_request(const Request& request) {
  const char* wrong = nullptr;
  if (!is_token(request.method)) wrong = "the method must be a word such as GET";
  if (!request.path.starts_with('/') || !is_target(request.path) || request.path.contains('?')) {
    wrong = "the path must begin with / and be percent-encoded";
  }
  if (!is_target(request.query)) wrong = "the query must be percent-encoded";
  if (!(request.timeout > 0 && request.timeout <= kTimeoutMax)) {
    wrong = "the timeout must be more than 0 and at most 86400 seconds";
  }
  if (wrong != nullptr) PyErr_SetString(PyExc_ValueError, wrong);
  return wrong == nullptr;
}

PyObject* raise(PyObject* self, const State& state, const Request& request, const Answer& answer) {
  const Error& error = answer.response.error();
  if (PyErr_Occurred() != nullptr) return nullptr;  // a signal handler's exception
  const auto* types = static_cast<ModuleState*>(PyType_GetModuleState(Py_TYPE(self)));
  const std::string& at = state.endpoint.text;
  if (answer.unsigned_for_keys) {
    PyErr_SetString(types->unavailable, error.message.c_str());
    return nullptr;
  }
  switch (error.code) {
    case Errc::kTimeout:
      PyErr_SetString(types->timeout,
                      fmt::format("{} did not answer {} {} within {:g} s; it may be overloaded or "
                                  "stopped: see its log, or give more time",
                                  at, request.method, request.path, request.timeout)
                          .c_str());
      break;
    case Errc::kUnavailable:
      PyErr_SetString(
          types->unavailable,
          fmt::format("nothing answers at {} ({}): start the services with `headrace up`, or say where "
                      "they are with HEADRACE_ENDPOINT or headrace.configure(endpoint=...)",
                      at, error.message)
              .c_str());
      break;
    case Errc::kLimit:
      PyErr_SetString(PyExc_ValueError, fmt::format("{}: {}", at, error.message).c_str());
      break;
    default:
      PyErr_SetString(types->unavailable,
                      fmt::format("{} broke off {} {} ({}); whether it was done is not known", at,
                                  request.method, request.path, error.message)
                          .c_str());
  }
  return nullptr;
}

PyObject* header_list(const codec::Pairs& headers) {
  Ref list(PyList_New(0));
  for (const auto& [name, value] : headers) {
    if (!list) return nullptr;
    const Ref key(PyUnicode_DecodeLatin1(name.data(), static_cast<Py_ssize_t>(name.size()), nullptr));
    const Ref text(
        PyUnicode_DecodeUTF8(value.data(), static_cast<Py_ssize_t>(value.size()), "surrogateescape"));
    const Ref pair(key && text ? PyTuple_Pack(2, key.get(), text.get()) : nullptr);
    if (!pair || PyList_Append(list.get(), pair.get()) != 0) return nullptr;
  }
  return list.release();
}

PyObject* to_python(const codec::Response& response) {
  const Ref status(PyLong_FromLong(response.status));
  const Ref headers(header_list(response.headers));
  const Ref body(
      PyBytes_FromStringAndSize(response.body.data(), static_cast<Py_ssize_t>(response.body.size())));
  if (!status || !headers || !body) return nullptr;
  return PyTuple_Pack(3, status.get(), headers.get(), body.get());
}

// Owns the view of the caller's bytes.
struct Body {
  Py_buffer view{};
  ~Body() {
    if (view.obj != nullptr) PyBuffer_Release(&view);
  }
};

// Once. Called and returns under the interpreter's lock.
Answer send(State& state, const Request& request, net::Deadline deadline) {
  std::optional<Connection> kept = take_idle(state);
  const auto keys = state.aws ? state.aws->keys() : nullptr;
  Way way{.state = state, .credentials = state.credentials, .now = wall() + state.skew, .deadline = deadline};
  Answer answer;
  const Unlocked unlocked;
  if (keys) {
    auto found = keys->get(way.now, deadline);
    if (!found) {
      answer.response = std::unexpected(std::move(found).error());
      answer.unsigned_for_keys = true;
      return answer;
    }
    way.credentials = std::move(*found);
  }
  answer = exchange(way, request, std::move(kept));
  answer.used = std::move(way.credentials);
  answer.signed_at = way.now;
  return answer;
}

PyObject* request_method(PyObject* self, PyObject* arguments) {
  Request request;
  Body body;
  const char *service = nullptr, *method = nullptr, *path = nullptr, *query = nullptr;
  PyObject* headers = nullptr;
  if (PyArg_ParseTuple(arguments, "ssssOy*d:request", &service, &method, &path, &query, &headers, &body.view,
                       &request.timeout) == 0) {
    return nullptr;
  }
  request.service = service;
  request.method = method;
  request.path = path;
  request.query = query;
  request.body = {static_cast<const char*>(body.view.buf), static_cast<std::size_t>(body.view.len)};
  if (!check_request(request) || !read_headers(headers, request.headers)) return nullptr;

  State& state = *state_of(self);
  const net::Deadline deadline =
      std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                             std::chrono::duration<double>(request.timeout));
  Answer answer = send(state, request, deadline);
  if (answer.response) {
    const Lesson lesson = lesson_of(request, *answer.response, answer.signed_at);
    const bool keys = lesson.keys_refused && state.aws != nullptr;
    if (keys) state.aws->keys()->refused(answer.used, wall() + state.skew);
    if (lesson.skew) {
      state.skew = *lesson.skew;
      if (state.aws) state.aws->keys()->clock_moved(wall() + state.skew);
    }
    if (keys || lesson.skew) {
      keep_idle(state, answer);
      answer = send(state, request, deadline);
    }
  }
  keep_idle(state, answer);
  if (!answer.response) return raise(self, state, request, answer);
  return to_python(*answer.response);
}

// Keys: (access key, secret, session token), or an Aws.
bool read_keys(PyObject* module, PyObject* keys, State& state) {
  if (PyTuple_Check(keys) && PyTuple_Size(keys) == 3) {
    return text_of(PyTuple_GetItem(keys, 0), state.credentials.access_key) &&
           text_of(PyTuple_GetItem(keys, 1), state.credentials.secret) &&
           text_of(PyTuple_GetItem(keys, 2), state.credentials.session_token);
  }
  state.aws = aws_of(static_cast<ModuleState*>(PyModule_GetState(module))->aws, keys);
  if (state.aws == nullptr) PyErr_SetString(PyExc_TypeError, "keys must be a tuple of three, or an Aws");
  return state.aws != nullptr;
}

PyObject* create(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"endpoint", "region", "keys", nullptr};
  const char *endpoint = nullptr, *region = nullptr;
  PyObject* keys = nullptr;
  if (PyArg_ParseTupleAndKeywords(arguments, keywords, "ssO:Client", const_cast<char**>(names), &endpoint,
                                  &region, &keys) == 0) {
    return nullptr;
  }
  auto parsed = net::parse_endpoint(endpoint);
  if (!parsed) return PyErr_Format(PyExc_ValueError, "%s", parsed.error().message.c_str());
  auto state = std::make_unique<State>();
  state->endpoint = std::move(*parsed);
  state->region = region;
  PyObject* module = PyType_GetModule(type);
  if (module == nullptr || !read_keys(module, keys, *state)) return nullptr;
  if (state->endpoint.tls) {
    auto tls = net::TlsContext::make(state->aws ? state->aws->settings().authorities : "");
    if (!tls) return PyErr_Format(PyExc_ValueError, "%s", tls.error().message.c_str());
    state->tls = std::move(*tls);
  }
  auto* self = reinterpret_cast<Object*>(PyType_GenericAlloc(type, 0));
  if (self == nullptr) return nullptr;
  self->state = state.release();
  return reinterpret_cast<PyObject*>(self);
}

PyObject* get_skew(PyObject* self, void*) {
  return PyFloat_FromDouble(std::chrono::duration<double>(state_of(self)->skew).count());
}

void destroy(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  delete state_of(self);
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

}  // namespace

int add_client_type(PyObject* module) {
  static PyMethodDef methods[] = {
      {"request", request_method, METH_VARARGS,
       "request(service, method, path, query, headers, body, timeout) -> (status, headers, body)"},
      {nullptr, nullptr, 0, nullptr},
  };
  static PyGetSetDef attributes[] = {
      {"skew", get_skew, nullptr, "seconds that this host's clock is behind the service's", nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr},
  };
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("Client(endpoint, region, keys): keys are three texts, or an Aws")},
      {Py_tp_new, reinterpret_cast<void*>(create)},
      {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
      {Py_tp_methods, methods},
      {Py_tp_getset, attributes},
      {0, nullptr},
  };
  static PyType_Spec spec = {
      .name = "headrace._native.Client",
      .basicsize = sizeof(Object),
      .itemsize = 0,
      .flags = Py_TPFLAGS_DEFAULT,
      .slots = slots,
  };
  const Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
  return type ? PyModule_AddObjectRef(module, "Client", type.get()) : -1;
}

}  // namespace hr::python
