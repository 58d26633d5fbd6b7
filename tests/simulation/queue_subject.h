// What the simulation judges: the engine with its log in memory. The planted bugs are variants of it that
// override one step; the engine itself knows nothing of them.
#pragma once

#include "queue/engine.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hr::sim {

class QueueSubject {
 public:
  explicit QueueSubject(queue::Limits limits)
      : limits_(limits), engine_(std::make_unique<queue::Engine>(limits)) {}
  virtual ~QueueSubject() = default;
  QueueSubject(const QueueSubject&) = delete;
  QueueSubject& operator=(const QueueSubject&) = delete;

  using Outcomes = queue::Outcome<std::vector<queue::Outcome<void>>>;
  using Effects = queue::Effects;

  virtual queue::Outcome<queue::QueueId> create(const queue::CreateQueue& request, Time now, Effects& out) {
    return engine().create(request, now, out);
  }
  virtual queue::Outcome<void> set_attributes(queue::QueueId id, const queue::AttributeChange& change,
                                              Time now, Effects& out) {
    return engine().set_attributes(id, change, now, out);
  }
  virtual queue::Outcome<void> tag(queue::QueueId id, const queue::TagChange& change, Time now,
                                   Effects& out) {
    return engine().tag(id, change, now, out);
  }
  virtual queue::Outcome<void> purge(queue::QueueId id, Time now, Effects& out) {
    return engine().purge(id, now, out);
  }
  virtual queue::Outcome<std::vector<queue::Sent>> send(queue::QueueId id,
                                                        std::span<const queue::SendEntry> entries, Time now,
                                                        Effects& out) {
    return engine().send(id, entries, now, out);
  }
  virtual queue::Outcome<queue::Received> receive(queue::QueueId id, const queue::ReceiveRequest& request,
                                                  Time now, Effects& out) {
    return engine().receive(id, request, now, out);
  }
  virtual Outcomes erase(queue::QueueId id, std::span<const queue::Receipt> receipts, Time now,
                         Effects& out) {
    return engine().erase(id, receipts, now, out);
  }
  virtual Outcomes change_visibility(queue::QueueId id, std::span<const queue::Engine::Visibility> changes,
                                     Time now, Effects& out) {
    return engine().change_visibility(id, changes, now, out);
  }

  queue::Engine& engine() { return *engine_; }

  // Ends a step: places its records and writes them. An error is a broken promise of the engine.
  std::optional<std::string> commit(Effects& step, Time now, queue::Bound bound);
  // An engine as a restart would find it, or why it could not.
  Result<std::unique_ptr<queue::Engine>> restored() const;
  void replace(std::unique_ptr<queue::Engine> engine) { engine_ = std::move(engine); }
  std::vector<storage::Record> log() const;

 protected:
  // Before a step is answered; nothing of it is written yet.
  virtual void on_step(Effects&, Time) {}
  // What reaches the log of a record: itself.
  virtual std::optional<storage::Record> written(const storage::Record& record) { return record; }

 private:
  struct Logged {
    storage::Record record;
    storage::Location at;
  };

  queue::Limits limits_;
  std::unique_ptr<queue::Engine> engine_;
  std::vector<Logged> log_;
  std::uint32_t offset_ = 64;
};

}  // namespace hr::sim
