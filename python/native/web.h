// What the Python types of the application host share: the server, its requests and their bodies (web.cc,
// web_body.cc). Every blocking call gives up the interpreter's lock; a request is used by one thread at a
// time.
#pragma once

#include "object.h"
#include "os/clock.h"
#include "web/request.h"
#include "web/server.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace hr::python {

struct ServerState {
  std::unique_ptr<os::Clock> clock;
  std::unique_ptr<web::Server> server;
  Ref base;                                       // what every environ begins with
  Ref request_type;                               // headrace._native.Request
  Ref body_type;                                  // headrace._native.Body
  std::map<std::string, Ref, std::less<>> names;  // of variables, as Python strings; at most kNamesMax
};

struct RequestState {
  Ref server;  // whose clock and environ base it needs: goes last
  std::unique_ptr<web::Request> request;
  bool busy = false;  // some thread is inside a blocking call; guarded by the interpreter's lock
};

struct BodyState {
  Ref request;
  std::string kept;    // read and not yet asked for
  std::size_t at = 0;  // the part of it that was
  bool ended = false;
};

// An instance of one of the types.
template <class State>
struct Instance {
  PyObject object;
  State* state;
};

template <class State>
State& state_of(PyObject* self) {
  return *reinterpret_cast<Instance<State>*>(self)->state;
}

// A new instance around `state`, or null with an exception set.
template <class State>
PyObject* make_instance(PyTypeObject* type, std::unique_ptr<State> state) {
  PyObject* self = PyType_GenericAlloc(type, 0);
  if (self != nullptr) reinterpret_cast<Instance<State>*>(self)->state = state.release();
  return self;
}

template <class State>
void destroy_instance(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  delete reinterpret_cast<Instance<State>*>(self)->state;
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

// False with an exception set: another thread is inside a call, without the interpreter's lock, and what
// belongs to the request is that thread's.
inline bool is_free(const RequestState& state) {
  if (state.busy) PyErr_SetString(PyExc_RuntimeError, "another thread is using this request");
  return !state.busy;
}

// Runs `work` without the interpreter's lock, if nobody else does.
template <class Work>
bool unlocked(RequestState& state, Work work) {
  if (!is_free(state)) return false;
  state.busy = true;
  {
    const Unlocked without;
    work();
  }
  state.busy = false;
  return true;
}

PyObject* raise_web_error(const Error& error);  // sets the exception; null

int add_body_type(PyObject* module);

}  // namespace hr::python
