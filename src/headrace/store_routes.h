// The store's one handler: sends each request to its front and answers /_headrace/ itself (health, ready,
// metrics). Health and metrics carry no secret and are answered to loopback and unix peers only.
#pragma once

#include "base/result.h"
#include "commit/store.h"
#include "commit/threads.h"
#include "headrace/metrics.h"
#include "headrace/space_watch.h"
#include "headrace/store_scrub.h"
#include "headrace/store_snapshot.h"
#include "net/http.h"
#include "net/runtime.h"
#include "net/server.h"
#include "s3/front.h"
#include "sqs/front.h"
#include "storage/index/index.h"
#include "storage/log/log.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hr {

class StoreRoutes : public net::Handler {
 public:
  struct Parts {
    const commit::Store& store;
    const storage::SegmentedLog& log;
    const storage::Index& index;
    const commit::Threads& threads;
    sqs::SqsFront& sqs;
    s3::S3Front& s3;
    Snapshots& snapshots;
    StoreScrub& scrub;
    const SpaceWatch& space;
    net::Runtime& runtime;
    std::vector<std::uint32_t> operators = {};  // uids, beside root
  };
  explicit StoreRoutes(Parts parts) : parts_(std::move(parts)) {}

  net::Task<net::Response> handle(net::RequestHead& head, net::RequestBody& body) override;

  void watch(const net::Server& server) { server_ = &server; }
  void set_ready(bool ready) { ready_ = ready; }

 private:
  bool operates(const net::Peer& peer) const;
  net::Task<net::Response> snapshots(const net::RequestHead& head);
  net::Response scrub(const net::RequestHead& head);
  net::Response own(const net::RequestHead& head) const;
  std::string metrics() const;
  void add_scrub(Exposition& out) const;

  Parts parts_;
  const net::Server* server_ = nullptr;
  bool ready_ = false;
};

// Asks for /_headrace/health where a listening socket is reached and waits for its answer (at most 5 s).
// Blocks.
Status ask_health(int listening_socket);
// The same at a unix socket's path.
Status ask_health(const std::string& socket);

}  // namespace hr
