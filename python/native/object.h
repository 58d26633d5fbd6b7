// What the types of the native module share: owned references, and code that runs without the interpreter's
// lock. Only the limited API of CPython 3.11 is used, so that one module serves every later version.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <utility>

namespace hr::python {

// Owns one reference, or none.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  explicit operator bool() const { return object_ != nullptr; }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }

 private:
  PyObject* object_ = nullptr;
};

// While it lives, this thread does not hold the interpreter's lock and touches no Python object.
class Unlocked {
 public:
  Unlocked() : thread_(PyEval_SaveThread()) {}
  ~Unlocked() { PyEval_RestoreThread(thread_); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  PyThreadState* thread_;
};

// What the module keeps for its types (PyType_GetModuleState).
struct ModuleState {
  PyObject* unavailable = nullptr;  // headrace.Unavailable
  PyObject* timeout = nullptr;      // headrace.Timeout
  PyObject* aws = nullptr;          // the type headrace._native.Aws
};

// Each adds its types or functions to the module; -1 with an exception set.
int add_aws_type(PyObject* module);
int add_client_type(PyObject* module);
int add_web_types(PyObject* module);
int add_lease_functions(PyObject* module);

}  // namespace hr::python
