// A host in the cloud from the same value as its files: user data for cloud-init, which installs the package
// and applies the configuration, and a CloudFormation template of what stands around it. Pure.
#pragma once

#include "base/result.h"
#include "host/machine.h"

#include <string>
#include <vector>

namespace hr::host {

inline constexpr std::size_t kUserDataBytesMax = 16 * 1024;  // what EC2 takes, before it is encoded

struct CloudWishes {
  std::string package;           // where the .deb is: https://... or s3://BUCKET/KEY
  std::string application = {};  // where a .tar.gz of app.root is, the same way; empty: it comes otherwise
  std::vector<std::string> queues = {};   // beside those of the pools
  std::vector<std::string> buckets = {};  // beside the application's own
};

// kInvalid: an address of another kind, or an application without an environment (app.python in a venv) that
// its requirements.txt could be installed in; kLimit: longer than EC2 takes.
Result<std::string> cloud_init(const Machine& machine, const CloudWishes& wishes);

// JSON: a network load balancer with health checks, security group, launch template (IMDSv2), a role for the
// named queues and buckets alone. With the services of AWS: the queues and buckets too, and any number of
// hosts; with a store of its own: one host, whose disk stays when it goes.
Result<std::string> cloudformation(const Machine& machine, const CloudWishes& wishes);

// The queues that a worker asks for and their dead letters', in order.
std::vector<std::string> cloud_queues(const Machine& machine, const CloudWishes& wishes);

}  // namespace hr::host
