// What a service may do on a host, as lines of its unit: everything is closed but what is said here. The
// scores that come of it (`systemd-analyze security`) are a gate of the tests. Pure.
#pragma once

#include "codec/config.h"

#include <string>
#include <vector>

namespace hr::host {

struct Sandbox {
  bool internet = false;                         // sockets of the Internet's families
  bool sees_users = false;                       // peers of unix sockets by their real user ids
  bool jit = false, proc = false, nice = false;  // the switches of app.allow
  std::vector<std::string> shown = {};     // folders and files read although they are in somebody's home
  std::vector<std::string> writable = {};  // beside its own state
};

// The lines that every service of ours has, each ended by a newline.
std::string sandbox_lines(const Sandbox& sandbox);

// Those that say which network it has: apart, because pools of one template differ in it.
// `credentials`: whether the cloud's metadata service, which hands out the host's own, may be asked.
std::string network_lines(Network network, bool credentials = false);

// Drop-in lines for services of the distribution that begin as root.
std::string nginx_sandbox();
std::string rsyslog_sandbox();

}  // namespace hr::host
