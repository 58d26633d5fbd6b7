// The Python package that goes with this program, in the environment of the application: a program and a
// package of two versions do not work together, and the roles say so and end.
#pragma once

#include "headrace/host_ground.h"

#include <string>

namespace hr {

// Installs it, as the owner of the environment, where another version is there or none; no environment
// (pyvenv.cfg) is left alone, and so is one that has it. What is wrong; "" for nothing. Blocks.
std::string bring_python_package(const HostGround& ground);

}  // namespace hr
