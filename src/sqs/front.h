// The SQS front end: HTTP in, HTTP out. Tells the two protocols apart, reads the body, authenticates, parses,
// calls the service, writes the answer in the protocol of the request, and counts. One per reactor;
// everything it refers to must outlive it. Every outcome is a response: nothing here throws for what a client
// sends.
#pragma once

#include "base/bytes.h"
#include "base/log.h"
#include "commit/store.h"
#include "net/http.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "sqs/service.h"
#include "wire/auth.h"
#include "wire/sqs_request.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace hr::sqs {

// Where messages can be looked at without receiving them, as the emulators of SQS have it: GET, signed for
// sqs, with QueueUrl, and if wanted ShowInvisible=true, ShowDelayed=true, MaxResults (1 to 1,000; 100) and
// After: the number that the answer's header x-headrace-next names. Answered as a ReceiveMessage without
// receipts: in JSON where Accept asks for it, else in XML.
inline constexpr std::string_view kPeekPath = "/_aws/sqs/messages";

struct ActionCount {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;  // of them, those answered with an error
};

class SqsFront final : public net::Handler {
 public:
  struct Parts {
    commit::Store& store;
    const wire::KeyRing& keys;
    wire::TrustedPeers trusted;
    Bytes receipt_key;  // secret; signs receipt handles
    const os::Clock& clock;
    Bytes region;
    bool strict = false;  // store.strict_aws
    os::Entropy& entropy;
    hr::Log diary;
  };
  explicit SqsFront(Parts parts);

  net::Task<net::Response> handle(net::RequestHead& head, net::RequestBody& body) override;

  // By action; "Unknown" holds what named none.
  std::vector<std::pair<std::string_view, ActionCount>> counters() const;
  const MessageCounters& messages() const { return service_.messages(); }

 private:
  enum class Protocol : std::uint8_t { kJson, kQuery };
  // One request on its way: what is known of it so far.
  struct Exchange {
    Protocol protocol = Protocol::kQuery;
    net::RequestHead& head;
    ByteView path, query;
    Bytes body;
    Caller caller;
    std::optional<wire::sqs::Action> action;
    std::optional<std::size_t> batch_max;  // asked for by x-headrace-batch-max
  };

  Outcome<wire::sqs::Request> admit(Exchange& exchange);
  Outcome<void> begin(Exchange& exchange);
  Outcome<wire::Identity> authenticate(const Exchange& exchange);
  Outcome<wire::sqs::Request> parse(Exchange& exchange);
  Outcome<wire::sqs::Request> parse_query(Exchange& exchange);
  Outcome<PeekRequest> parse_peek(Exchange& exchange);
  net::Response peek(Exchange& exchange);
  net::Response answer(const Exchange& exchange, const Outcome<wire::sqs::Answer>& answered);

  const os::Clock& clock_;
  wire::Authenticator authenticator_;
  Service service_;
  std::array<ActionCount, wire::sqs::kActions + 1> counts_;
};

}  // namespace hr::sqs
