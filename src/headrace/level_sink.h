// A sink before another one, that lets through what is at least as severe as it was told last.
#pragma once

#include "base/log.h"

#include <atomic>

namespace hr {

class LevelSink final : public LogSink {
 public:
  LevelSink(LogSink& to, Severity least) : to_(to), least_(least) {}  // `to` outlives it

  void set(Severity least) { least_ = least; }
  bool wants(Severity severity) const override { return severity <= least_ && to_.wants(severity); }
  void write(Severity severity, std::string_view event, std::span<const Field> fields) override {
    to_.write(severity, event, fields);
  }
  void hold() override { to_.hold(); }
  void release() override { to_.release(); }

 private:
  LogSink& to_;
  std::atomic<Severity> least_;
};

}  // namespace hr
