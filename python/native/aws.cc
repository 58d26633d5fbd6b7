#include "aws.h"

#include "remote/credentials.h"
#include "remote/host_outside.h"

#include <random>

namespace hr::python {
namespace {

struct Object {
  PyObject_HEAD std::shared_ptr<Aws>* aws;
};

const remote::AwsSettings& settings_of(PyObject* self) {
  return (*reinterpret_cast<Object*>(self)->aws)->settings();
}

PyObject* text(const std::string& value) {
  return PyUnicode_DecodeUTF8(value.data(), static_cast<Py_ssize_t>(value.size()), "replace");
}

PyObject* get_region(PyObject* self, void*) { return text(settings_of(self).region); }
PyObject* get_sqs(PyObject* self, void*) { return text(settings_of(self).sqs); }
PyObject* get_s3(PyObject* self, void*) { return text(settings_of(self).s3); }

PyObject* create(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"region", "endpoint", "fips", "dual_stack", nullptr};
  const char *region = "", *endpoint = "";
  int fips = 0, dual_stack = 0;
  if (PyArg_ParseTupleAndKeywords(arguments, keywords, "|sspp:Aws", const_cast<char**>(names), &region,
                                  &endpoint, &fips, &dual_stack) == 0) {
    return nullptr;
  }
  Result<remote::AwsSettings> found = fail(Errc::kInvalid, "");
  {
    const remote::AwsAsked asked{
        .region = region, .endpoint = endpoint, .fips = fips != 0, .dual_stack = dual_stack != 0};
    const Unlocked unlocked;
    const auto outside = remote::make_host_outside("", interrupted);
    found = remote::find_aws_settings(*outside, asked);
  }
  if (!found) return PyErr_Format(PyExc_ValueError, "%s", found.error().message.c_str());
  auto* self = reinterpret_cast<Object*>(PyType_GenericAlloc(type, 0));
  if (self == nullptr) return nullptr;
  self->aws = new std::shared_ptr<Aws>(std::make_shared<Aws>(std::move(*found)));
  return reinterpret_cast<PyObject*>(self);
}

void destroy(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  delete reinterpret_cast<Object*>(self)->aws;
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

}  // namespace

bool interrupted() {
  const PyGILState_STATE lock = PyGILState_Ensure();
  const bool raised = PyErr_CheckSignals() != 0;
  PyGILState_Release(lock);
  return raised;
}

std::shared_ptr<remote::BlockingKeys> Aws::keys() {
  if (keys_ && owner_ == ::getpid()) return keys_;
  // What another thread held at the fork stays held for ever: it is left, not destroyed.
  if (keys_) new std::shared_ptr(std::move(keys_));
  owner_ = ::getpid();
  keys_ = std::make_shared<remote::BlockingKeys>(
      [settings = settings_] {
        const auto outside = remote::make_host_outside(settings.authorities, interrupted);
        return remote::find_keys(*outside, settings);
      },
      std::random_device{}());
  return keys_;
}

std::shared_ptr<Aws> aws_of(PyObject* type, PyObject* object) {
  if (PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(type)) == 0) return nullptr;
  return *reinterpret_cast<Object*>(object)->aws;
}

int add_aws_type(PyObject* module) {
  static PyGetSetDef attributes[] = {
      {"region", get_region, nullptr, nullptr, nullptr},
      {"sqs", get_sqs, nullptr, "its endpoint", nullptr},
      {"s3", get_s3, nullptr, "its endpoint", nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr},
  };
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("Aws(region='', endpoint='', fips=False, dual_stack=False)")},
      {Py_tp_new, reinterpret_cast<void*>(create)},
      {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
      {Py_tp_getset, attributes},
      {0, nullptr},
  };
  static PyType_Spec spec = {
      .name = "headrace._native.Aws",
      .basicsize = sizeof(Object),
      .itemsize = 0,
      .flags = Py_TPFLAGS_DEFAULT,
      .slots = slots,
  };
  Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
  if (!type || PyModule_AddObjectRef(module, "Aws", type.get()) != 0) return -1;
  static_cast<ModuleState*>(PyModule_GetState(module))->aws = type.release();
  return 0;
}

}  // namespace hr::python
