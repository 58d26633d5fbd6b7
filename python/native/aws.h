// headrace._native.Aws: where Amazon's services are and whose credentials sign, found as the program finds
// them; made once, shared by clients and threads.
#pragma once

#include "object.h"
#include "remote/aws_settings.h"
#include "remote/blocking_keys.h"

#include <memory>
#include <unistd.h>

namespace hr::python {

// Without the interpreter's lock: true breaks a wait off, with a Python exception set.
bool interrupted();

class Aws {
 public:
  explicit Aws(remote::AwsSettings settings) : settings_(std::move(settings)) {}

  const remote::AwsSettings& settings() const { return settings_; }
  // Under the interpreter's lock. After a fork the child searches anew: a thread that it has not may have
  // been in the middle of it.
  std::shared_ptr<remote::BlockingKeys> keys();

 private:
  remote::AwsSettings settings_;
  std::shared_ptr<remote::BlockingKeys> keys_;  // shared with calls under way
  pid_t owner_ = 0;
};

// What an object of `type` (ModuleState::aws) holds; null, without an exception: it is of another one.
std::shared_ptr<Aws> aws_of(PyObject* type, PyObject* object);

}  // namespace hr::python
