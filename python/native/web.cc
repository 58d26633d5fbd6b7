// headrace._native.HttpServer and Request: the HTTP side of `headrace web` (src/web) as Python sees it.
// Requests are read and parsed without the interpreter's lock; one call hands a whole request over.
#include "web.h"

#include "os/linux/linux.h"

#include <vector>

namespace hr::python {
namespace {

constexpr std::size_t kNamesMax = 512;

// ---- requests

RequestState& request_of(PyObject* self) { return state_of<RequestState>(self); }

PyObject* latin1(std::string_view text) {
  return PyUnicode_DecodeLatin1(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
}

// The same string object for the same name again and again: what clients may send is bounded.
Ref name_of(ServerState& server, const std::string& name) {
  const auto known = server.names.find(name);
  if (known != server.names.end()) return Ref(Py_NewRef(known->second.get()));
  Ref made(latin1(name));
  if (made && server.names.size() < kNamesMax) server.names.emplace(name, Py_NewRef(made.get()));
  return made;
}

bool set_item(PyObject* dict, const char* name, const Ref& value) {
  return value && PyDict_SetItemString(dict, name, value.get()) == 0;
}

PyObject* request_environ(PyObject* self, PyObject*) {
  RequestState& state = request_of(self);
  auto& server = state_of<ServerState>(state.server.get());
  const web::Environ& environ = state.request->environ();
  Ref out(PyDict_Copy(server.base.get()));
  if (!out) return nullptr;
  for (const web::Variable& variable : environ.variables) {
    const Ref name = name_of(server, variable.name);
    const Ref value(latin1(variable.value));
    if (!name || !value || PyDict_SetItem(out.get(), name.get(), value.get()) != 0) return nullptr;
  }
  auto body = std::make_unique<BodyState>();
  body->request = Ref(Py_NewRef(self));
  const Ref input(make_instance(reinterpret_cast<PyTypeObject*>(server.body_type.get()), std::move(body)));
  if (!set_item(out.get(), "wsgi.input", input)) return nullptr;
  if (!set_item(out.get(), "wsgi.url_scheme", Ref(latin1(environ.scheme)))) return nullptr;
  return out.release();
}

// A text of Latin-1, as headers are in WSGI.
bool header_text(PyObject* object, const char* what, std::string& out) {
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s must be a str, not %R", what,
                 reinterpret_cast<PyObject*>(Py_TYPE(object)));
    return false;
  }
  const Ref bytes(PyUnicode_AsLatin1String(object));
  if (!bytes) return false;
  out.assign(PyBytes_AsString(bytes.get()), static_cast<std::size_t>(PyBytes_Size(bytes.get())));
  return true;
}

bool read_headers(PyObject* list, std::vector<std::pair<std::string, std::string>>& out) {
  if (!PyList_Check(list)) {
    PyErr_SetString(PyExc_TypeError, "the response headers must be a list of (name, value) tuples");
    return false;
  }
  for (Py_ssize_t i = 0; i < PyList_Size(list); ++i) {
    PyObject* pair = PyList_GetItem(list, i);
    if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
      PyErr_SetString(PyExc_TypeError, "each response header must be a tuple (name, value)");
      return false;
    }
    auto& header = out.emplace_back();
    if (!header_text(PyTuple_GetItem(pair, 0), "a header's name", header.first)) return false;
    if (!header_text(PyTuple_GetItem(pair, 1), "a header's value", header.second)) return false;
  }
  return true;
}

PyObject* none_or_raise(const Status& status) {
  return status ? Py_NewRef(Py_None) : raise_web_error(status.error());
}

PyObject* request_start(PyObject* self, PyObject* arguments) {
  PyObject *status = nullptr, *headers = nullptr;
  if (PyArg_UnpackTuple(arguments, "start", 2, 2, &status, &headers) == 0) return nullptr;
  std::string line;
  std::vector<std::pair<std::string, std::string>> owned;
  if (!header_text(status, "the status", line) || !read_headers(headers, owned)) return nullptr;
  std::vector<codec::HeaderField> fields;
  for (const auto& [name, value] : owned) fields.emplace_back(name, value);
  return none_or_raise(request_of(self).request->start(line, fields));
}

PyObject* request_send(PyObject* self, PyObject* arguments) {
  PyObject *data = nullptr, *last = nullptr;
  if (PyArg_UnpackTuple(arguments, "send", 2, 2, &data, &last) == 0) return nullptr;
  if (!PyBytes_Check(data)) {
    return PyErr_Format(PyExc_TypeError, "an application yields bytes, not %R",
                        reinterpret_cast<PyObject*>(Py_TYPE(data)));
  }
  const std::string_view bytes(PyBytes_AsString(data), static_cast<std::size_t>(PyBytes_Size(data)));
  const int ends = PyObject_IsTrue(last);
  if (ends < 0) return nullptr;
  RequestState& state = request_of(self);
  Status sent;
  if (!unlocked(state, [&] { sent = state.request->send(bytes, ends != 0); })) return nullptr;
  return none_or_raise(sent);
}

PyObject* request_send_file(PyObject* self, PyObject* arguments) {
  int file = -1;
  unsigned long long offset = 0, count = 0;
  if (PyArg_ParseTuple(arguments, "iKK:send_file", &file, &offset, &count) == 0) return nullptr;
  RequestState& state = request_of(self);
  Status sent;
  if (!unlocked(state, [&] { sent = state.request->send_file(file, offset, count); })) return nullptr;
  return none_or_raise(sent);
}

PyObject* request_refuse(PyObject* self, PyObject* arguments) {
  int status = 0;
  const char* text = nullptr;
  if (PyArg_ParseTuple(arguments, "is:refuse", &status, &text) == 0) return nullptr;
  RequestState& state = request_of(self);
  Status sent;
  if (!unlocked(state, [&] { sent = state.request->refuse(status, text); })) return nullptr;
  return none_or_raise(sent);
}

PyObject* request_finish(PyObject* self, PyObject*) {
  RequestState& state = request_of(self);
  if (state.busy) {
    // A thread of the application still reads or writes: it gets an error, and the connection ends with it.
    state.request->cut();
    PyErr_SetString(PyExc_RuntimeError, "another thread is still using this request");
    return nullptr;
  }
  state.request->finish();
  Py_RETURN_NONE;
}

PyObject* request_expire(PyObject* self, PyObject*) {
  RequestState& state = request_of(self);
  if (state.busy) {
    state.request->cut();
  } else {
    state.request->expire();
  }
  Py_RETURN_NONE;
}

PyObject* get_method(PyObject* self, void*) { return latin1(request_of(self).request->method()); }
PyObject* get_path(PyObject* self, void*) { return latin1(request_of(self).request->path()); }
PyObject* get_status(PyObject* self, void*) {
  return PyLong_FromLong(request_of(self).request->answer().status());
}
PyObject* get_started(PyObject* self, void*) {
  return PyBool_FromLong(request_of(self).request->answer().started());
}
PyObject* get_sent(PyObject* self, void*) {
  return PyBool_FromLong(request_of(self).request->answer().sent());
}
PyObject* get_ended(PyObject* self, void*) {
  return PyBool_FromLong(request_of(self).request->answer().ended());
}
PyObject* get_broken(PyObject* self, void*) { return PyBool_FromLong(request_of(self).request->broken()); }
PyObject* get_missing(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(request_of(self).request->answer().missing());
}
PyObject* get_excess(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(request_of(self).request->answer().excess());
}
PyObject* get_body_refusal(PyObject* self, void*) {
  const net::Refusal refusal = request_of(self).request->body_refusal();
  if (refusal.status == 0) Py_RETURN_NONE;
  return Py_BuildValue("(is#)", refusal.status, refusal.reason.data(),
                       static_cast<Py_ssize_t>(refusal.reason.size()));
}

int add_request_type(PyObject* module) {
  static PyMethodDef methods[] = {
      {"environ", request_environ, METH_NOARGS, "environ() -> dict: a new one (PEP 3333)"},
      {"start", request_start, METH_VARARGS, "start(status, headers): nothing is sent yet"},
      {"send", request_send, METH_VARARGS, "send(data, last): waits until the peer took it"},
      {"send_file", request_send_file, METH_VARARGS, "send_file(fd, offset, count): the whole body"},
      {"refuse", request_refuse, METH_VARARGS, "refuse(status, text): a whole answer in plain text"},
      {"finish", request_finish, METH_NOARGS, "finish(): the connection goes back, or ends"},
      {"expire", request_expire, METH_NOARGS, "expire(): from another thread; 504 if nothing was sent"},
      {nullptr, nullptr, 0, nullptr},
  };
  static PyGetSetDef attributes[] = {
      {"method", get_method, nullptr, nullptr, nullptr},
      {"path", get_path, nullptr, "as it was sent, without the query", nullptr},
      {"status", get_status, nullptr, "of the answer; 0 before start()", nullptr},
      {"started", get_started, nullptr, nullptr, nullptr},
      {"sent", get_sent, nullptr, "whether the answer's head has left", nullptr},
      {"ended", get_ended, nullptr, nullptr, nullptr},
      {"broken", get_broken, nullptr, "whether the peer went away, or took nothing for too long", nullptr},
      {"missing", get_missing, nullptr, "bytes announced and not sent", nullptr},
      {"excess", get_excess, nullptr, "bytes given beyond the announced ones, and not sent", nullptr},
      {"body_refusal", get_body_refusal, nullptr, "(status, reason) once the body cannot be read", nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr},
  };
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("One request, for one thread.")},
      {Py_tp_dealloc, reinterpret_cast<void*>(destroy_instance<RequestState>)},
      {Py_tp_methods, methods},
      {Py_tp_getset, attributes},
      {0, nullptr},
  };
  static PyType_Spec spec = {
      .name = "headrace._native.Request",
      .basicsize = sizeof(Instance<RequestState>),
      .itemsize = 0,
      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
      .slots = slots,
  };
  const Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
  return type ? PyModule_AddObjectRef(module, "Request", type.get()) : -1;
}

// ---- the server

ServerState& server_of(PyObject* self) { return state_of<ServerState>(self); }

PyObject* server_run(PyObject* self, PyObject*) {
  ServerState& state = server_of(self);
  Status ran;
  {
    const Unlocked without;
    ran = state.server->run();
  }
  return none_or_raise(ran);
}

PyObject* server_next(PyObject* self, PyObject*) {
  ServerState& state = server_of(self);
  std::unique_ptr<web::Request> request;
  {
    const Unlocked without;
    request = state.server->next();
  }
  if (request == nullptr) Py_RETURN_NONE;
  auto made = std::make_unique<RequestState>();
  made->request = std::move(request);
  made->server = Ref(Py_NewRef(self));
  return make_instance(reinterpret_cast<PyTypeObject*>(state.request_type.get()), std::move(made));
}

PyObject* server_stop(PyObject* self, PyObject*) {
  server_of(self).server->stop();
  Py_RETURN_NONE;
}

PyObject* server_silence(PyObject* self, PyObject*) {
  return PyFloat_FromDouble(std::chrono::duration<double>(server_of(self).server->silence()).count());
}

PyObject* server_refused(PyObject* self, PyObject*) {
  std::uint64_t more = 0;
  Ref list(PyList_New(0));
  for (const web::Refused& refused : server_of(self).server->take_refused(more)) {
    const Ref entry(Py_BuildValue("(is#)", refused.status, refused.reason.data(),
                                  static_cast<Py_ssize_t>(refused.reason.size())));
    if (!list || !entry || PyList_Append(list.get(), entry.get()) != 0) return nullptr;
  }
  return list ? Py_BuildValue("(OK)", list.get(), static_cast<unsigned long long>(more)) : nullptr;
}

PyObject* create_server(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"fd", "environ", nullptr};
  int fd = -1;
  PyObject* base = nullptr;
  if (PyArg_ParseTupleAndKeywords(arguments, keywords, "iO:HttpServer", const_cast<char**>(names), &fd,
                                  &base) == 0) {
    return nullptr;
  }
  if (!PyDict_Check(base)) return PyErr_Format(PyExc_TypeError, "environ must be a dict");
  PyObject* module = PyType_GetModule(type);
  if (module == nullptr) return nullptr;
  auto state = std::make_unique<ServerState>();
  state->base = Ref(PyDict_Copy(base));
  state->request_type = Ref(PyObject_GetAttrString(module, "Request"));
  state->body_type = Ref(PyObject_GetAttrString(module, "Body"));
  if (!state->base || !state->request_type || !state->body_type) return nullptr;
  state->clock = os::make_clock(Time{});
  auto server = web::Server::make(fd, {}, *state->clock);
  if (!server) return raise_web_error(server.error());
  state->server = std::move(*server);
  return make_instance(type, std::move(state));
}

int add_server_type(PyObject* module) {
  static PyMethodDef methods[] = {
      {"run", server_run, METH_NOARGS, "run(): the loop, for a thread of its own; returns after stop()"},
      {"next", server_next, METH_NOARGS, "next() -> Request, or None when the loop has ended"},
      {"stop", server_stop, METH_NOARGS, "stop(): accept no more, let open connections end"},
      {"silence", server_silence, METH_NOARGS, "silence() -> seconds since the loop last turned"},
      {"take_refused", server_refused, METH_NOARGS,
       "take_refused() -> ([(status, reason)], how many more): requests no application saw"},
      {nullptr, nullptr, 0, nullptr},
  };
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("HttpServer(fd, environ): serves a listening socket.")},
      {Py_tp_new, reinterpret_cast<void*>(create_server)},
      {Py_tp_dealloc, reinterpret_cast<void*>(destroy_instance<ServerState>)},
      {Py_tp_methods, methods},
      {0, nullptr},
  };
  static PyType_Spec spec = {
      .name = "headrace._native.HttpServer",
      .basicsize = sizeof(Instance<ServerState>),
      .itemsize = 0,
      .flags = Py_TPFLAGS_DEFAULT,
      .slots = slots,
  };
  const Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
  return type ? PyModule_AddObjectRef(module, "HttpServer", type.get()) : -1;
}

}  // namespace

PyObject* raise_web_error(const Error& error) {
  PyObject* type = PyExc_OSError;
  if (error.code == Errc::kTimeout) type = PyExc_TimeoutError;
  if (error.code == Errc::kClosed) type = PyExc_ConnectionError;
  if (error.code == Errc::kInvalid || error.code == Errc::kLimit) type = PyExc_ValueError;
  PyErr_SetString(type, error.message.c_str());
  return nullptr;
}

int add_web_types(PyObject* module) {
  if (add_request_type(module) != 0 || add_body_type(module) != 0) return -1;
  return add_server_type(module);
}

}  // namespace hr::python
