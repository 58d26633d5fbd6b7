// What the API and operators' commands know of a running application: queues and jobs from the services, the
// other roles from their sockets in the state folder. Used on the reactor only.
#pragma once

#include "api/front.h"
#include "headrace/client_settings.h"
#include "net/runtime.h"
#include "os/clock.h"
#include "remote/s3.h"
#include "remote/services.h"
#include "remote/sqs.h"

#include <memory>
#include <string>
#include <vector>

namespace hr {

// The name at the end of a queue's URL.
std::string queue_name(const std::string& url);

class RoleSource final : public api::Source {
 public:
  RoleSource(net::Runtime& runtime, const os::Clock& clock, const ClientSettings& settings, hr::Log log);

  net::Task<Status> reach() override;
  net::Task<Result<std::vector<api::QueueCounts>>> queues() override;
  net::Task<Result<api::JobObjects>> job(Bytes id) override;
  net::Task<std::vector<api::Peer>> web() override;
  net::Task<std::vector<api::Peer>> workers() override;

  remote::Sqs& sqs() { return sqs_; }
  remote::S3& s3() { return s3_; }
  remote::Services& services() { return services_; }

 private:
  struct Question {
    std::string name, socket, path;
  };
  // All at once: one that hangs does not keep the others waiting.
  net::Task<std::vector<api::Peer>> ask_all(std::vector<Question> questions);
  net::Task<void> ask(const Question& question, api::Peer& out);
  net::Task<Result<std::optional<Bytes>>> object(Bytes key);
  std::unexpected<Error> unavailable(const remote::Fault& fault) const;

  net::Runtime& runtime_;
  const os::Clock& clock_;
  const Config config_;
  const std::string state_, endpoint_;
  remote::Services services_;
  remote::Sqs sqs_{services_};
  remote::S3 s3_{services_};
};

}  // namespace hr
