#include "queue_subject.h"

#include <utility>

namespace hr::sim {

std::optional<std::string> QueueSubject::commit(Effects& step, Time now, queue::Bound bound) {
  on_step(step, now);
  std::uint64_t bytes = 0;
  std::vector<storage::Location> at;
  for (const storage::Record& r : step.records) {
    const auto size = static_cast<std::uint32_t>(r.payload.size());
    at.push_back({1, offset_, size});
    offset_ += size;
    bytes += size;
    if (auto kept = written(r)) log_.push_back({std::move(*kept), at.back()});
  }
  engine_->place(step, at);
  if (step.records.size() <= bound.records && bytes <= bound.bytes) return std::nullopt;
  return "the step logged more than its bound";
}

Result<std::unique_ptr<queue::Engine>> QueueSubject::restored() const {
  auto engine = std::make_unique<queue::Engine>(limits_);
  for (std::size_t i = 0; i < log_.size(); ++i) {
    const Logged& l = log_[i];
    HR_TRY(engine->restore({i + 1, l.record.kind, l.record.payload, l.at}));
  }
  return engine;
}

std::vector<storage::Record> QueueSubject::log() const {
  std::vector<storage::Record> records;
  for (const Logged& l : log_) records.push_back(l.record);
  return records;
}

}  // namespace hr::sim
