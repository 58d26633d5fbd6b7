// What a host has, looked up: versions of nginx, OpenSSL and systemd, whether it is EC2 or Ubuntu. A program
// that is not there leaves its default: the files are then made for Debian 12.
#pragma once

#include "host/machine.h"
#include "host/tools.h"
#include "host/tree.h"

#include <string>
#include <string_view>

namespace hr::host {

HostFacts gather_facts(Tools& tools, const Tree& host, const std::string& program);

// The first three numbers between dots after `mark`: "OpenSSL 3.0.15 3 Sep" -> 3, 0, 15. Zeros where there
// are none.
std::array<int, 3> version_after(std::string_view text, std::string_view mark);

}  // namespace hr::host
