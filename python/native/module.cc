// headrace._native: what the Python package cannot do in Python, or not as well. Its parts are client.cc
// (signed requests over blocking sockets), aws.cc (Amazon's endpoints and credentials), lease.cc (the end of
// a child's lease), web.cc (an HTTP server).
#include "object.h"

namespace hr::python {
namespace {

ModuleState* state_of(PyObject* module) { return static_cast<ModuleState*>(PyModule_GetState(module)); }

// An exception type that callers may also catch as `base`.
PyObject* add_exception(PyObject* module, const char* name, const char* doc, PyObject* base) {
  const Ref full(PyUnicode_FromFormat("headrace.%s", name));
  const char* text = full ? PyUnicode_AsUTF8AndSize(full.get(), nullptr) : nullptr;
  Ref type(text != nullptr ? PyErr_NewExceptionWithDoc(text, doc, base, nullptr) : nullptr);
  if (!type || PyModule_AddObjectRef(module, name, type.get()) != 0) return nullptr;
  return type.release();
}

int execute(PyObject* module) {
  ModuleState* state = state_of(module);
  state->unavailable = add_exception(
      module, "Unavailable", "The services cannot be reached, or broke off; the message says what to do.",
      PyExc_ConnectionError);
  state->timeout =
      add_exception(module, "Timeout", "The services did not answer in time.", PyExc_TimeoutError);
  if (state->unavailable == nullptr || state->timeout == nullptr) return -1;
  if (PyModule_AddStringConstant(module, "version", HEADRACE_VERSION) != 0) return -1;
  if (add_aws_type(module) != 0 || add_client_type(module) != 0) return -1;
  if (add_web_types(module) != 0) return -1;
  return add_lease_functions(module);
}

int traverse(PyObject* module, visitproc visit, void* arg) {
  if (const ModuleState* state = state_of(module); state != nullptr) {
    Py_VISIT(state->unavailable);
    Py_VISIT(state->timeout);
    Py_VISIT(state->aws);
  }
  return 0;
}

int clear(PyObject* module) {
  if (ModuleState* state = state_of(module); state != nullptr) {
    Py_CLEAR(state->unavailable);
    Py_CLEAR(state->timeout);
    Py_CLEAR(state->aws);
  }
  return 0;
}

void release(void* module) { clear(static_cast<PyObject*>(module)); }

}  // namespace
}  // namespace hr::python

PyMODINIT_FUNC __attribute__((visibility("default"))) PyInit__native() {
  static PyModuleDef_Slot slots[] = {
      {Py_mod_exec, reinterpret_cast<void*>(hr::python::execute)},
      {0, nullptr},
  };
  static PyModuleDef definition = {
      .m_base = PyModuleDef_HEAD_INIT,
      .m_name = "headrace._native",
      .m_doc = "Signed requests to the services, and leases; used by the package headrace.",
      .m_size = sizeof(hr::python::ModuleState),
      .m_methods = nullptr,
      .m_slots = slots,
      .m_traverse = hr::python::traverse,
      .m_clear = hr::python::clear,
      .m_free = hr::python::release,
  };
  return PyModuleDef_Init(&definition);
}
