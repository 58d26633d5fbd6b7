// headrace._native.Body: the body of a request as the file that WSGI calls wsgi.input.
#include "web.h"

#include <algorithm>
#include <cstring>

namespace hr::python {
namespace {

constexpr std::size_t kStep = 65'536;
constexpr Py_ssize_t kAll = -1;

std::size_t kept(const BodyState& body) { return body.kept.size() - body.at; }

// Without the interpreter's lock: appends what comes next.
Status read_some(BodyState& body, web::Request& request) {
  if (body.at != 0) body.kept.erase(0, std::exchange(body.at, 0));
  const std::size_t before = body.kept.size();
  body.kept.resize(before + kStep);
  const auto got = request.read({body.kept.data() + before, kStep});
  body.kept.resize(before + got.value_or(0));
  if (!got) return std::unexpected(got.error());
  body.ended = *got == 0;
  return {};
}

// Reads until `enough(body)` or the end. False with an exception set.
template <class Enough>
bool fill(BodyState& body, Enough enough) {
  auto& state = state_of<RequestState>(body.request.get());
  if (!is_free(state)) return false;
  if (body.ended || enough(body)) return true;
  if (state.request == nullptr || !state.request->open()) {
    PyErr_SetString(PyExc_ValueError, "the request is over: its body cannot be read any more");
    return false;
  }
  Status read;
  const bool alone = unlocked(state, [&] {
    while (read && !body.ended && !enough(body)) read = read_some(body, *state.request);
  });
  if (alone && !read) raise_web_error(read.error());
  return alone && read;
}

PyObject* take(BodyState& body, std::size_t n) {
  PyObject* out = PyBytes_FromStringAndSize(body.kept.data() + body.at, static_cast<Py_ssize_t>(n));
  if (out == nullptr) return nullptr;
  body.at += n;
  if (body.at == body.kept.size()) {
    body.kept.clear();
    body.at = 0;
  }
  return out;
}

// An optional size: None or a negative number is all there is.
bool size_argument(PyObject* arguments, Py_ssize_t& size) {
  PyObject* given = nullptr;
  if (PyArg_UnpackTuple(arguments, "read", 0, 1, &given) == 0) return false;
  size = kAll;
  if (given == nullptr || given == Py_None) return true;
  size = PyNumber_AsSsize_t(given, PyExc_OverflowError);
  if (size == -1 && PyErr_Occurred() != nullptr) return false;
  size = std::max(size, kAll);
  return true;
}

PyObject* read(PyObject* self, PyObject* arguments) {
  auto& body = state_of<BodyState>(self);
  Py_ssize_t size = kAll;
  if (!size_argument(arguments, size)) return nullptr;
  const bool all = size == kAll;
  const auto most = static_cast<std::size_t>(all ? 0 : size);
  if (!fill(body, [&](const BodyState& b) { return !all && kept(b) >= most; })) return nullptr;
  return take(body, all ? kept(body) : std::min(most, kept(body)));
}

// Where the first line in what is kept ends; npos: not there yet. `from` is searched already.
std::size_t line_end(const BodyState& body, std::size_t& from) {
  const std::size_t lf = body.kept.find('\n', body.at + from);
  from = kept(body);
  return lf == std::string::npos ? lf : lf + 1 - body.at;
}

PyObject* line(BodyState& body, Py_ssize_t size) {
  const auto most = size == kAll ? std::string::npos : static_cast<std::size_t>(size);
  std::size_t searched = 0;
  std::size_t end = std::string::npos;
  const bool good = fill(body, [&](const BodyState& b) {
    end = line_end(b, searched);
    return end != std::string::npos || kept(b) >= most;
  });
  if (!good) return nullptr;
  if (body.ended && end == std::string::npos) {
    searched = 0;
    end = line_end(body, searched);
  }
  return take(body, std::min({end, most, kept(body)}));
}

PyObject* readline(PyObject* self, PyObject* arguments) {
  Py_ssize_t size = kAll;
  return size_argument(arguments, size) ? line(state_of<BodyState>(self), size) : nullptr;
}

PyObject* readlines(PyObject* self, PyObject* arguments) {
  Py_ssize_t hint = kAll;
  if (!size_argument(arguments, hint)) return nullptr;
  Ref out(PyList_New(0));
  Py_ssize_t total = 0;
  while (out) {
    const Ref next(line(state_of<BodyState>(self), kAll));
    if (!next) return nullptr;
    const Py_ssize_t size = PyBytes_Size(next.get());
    if (size == 0) break;
    if (PyList_Append(out.get(), next.get()) != 0) return nullptr;
    total += size;
    if (hint > 0 && total >= hint) break;
  }
  return out.release();
}

PyObject* iterate(PyObject* self) { return Py_NewRef(self); }

PyObject* next_line(PyObject* self) {
  Ref next(line(state_of<BodyState>(self), kAll));
  if (!next || PyBytes_Size(next.get()) == 0) return nullptr;
  return next.release();
}

}  // namespace

int add_body_type(PyObject* module) {
  static PyMethodDef methods[] = {
      {"read", read, METH_VARARGS, "read(size=-1) -> bytes: as many, unless the body ends before"},
      {"readline", readline, METH_VARARGS, "readline(size=-1) -> bytes"},
      {"readlines", readlines, METH_VARARGS, "readlines(hint=-1) -> list of bytes"},
      {nullptr, nullptr, 0, nullptr},
  };
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("The body of one request: wsgi.input.")},
      {Py_tp_dealloc, reinterpret_cast<void*>(destroy_instance<BodyState>)},
      {Py_tp_methods, methods},
      {Py_tp_iter, reinterpret_cast<void*>(iterate)},
      {Py_tp_iternext, reinterpret_cast<void*>(next_line)},
      {0, nullptr},
  };
  static PyType_Spec spec = {
      .name = "headrace._native.Body",
      .basicsize = sizeof(Instance<BodyState>),
      .itemsize = 0,
      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
      .slots = slots,
  };
  const Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
  return type ? PyModule_AddObjectRef(module, "Body", type.get()) : -1;
}

}  // namespace hr::python
