#include "headrace/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <vector>

namespace hr {

struct Exposition::State {
  std::vector<prometheus::MetricFamily> families;

  prometheus::ClientMetric& add(std::string_view name, std::string_view help, prometheus::MetricType type,
                                Labels labels) {
    if (families.empty() || families.back().name != name) {
      families.push_back({std::string(name), std::string(help), type, {}});
    }
    auto& metric = families.back().metric.emplace_back();
    for (const auto& [key, value] : labels) metric.label.push_back({std::string(key), std::string(value)});
    return metric;
  }
};

Exposition::Exposition() : state_(std::make_unique<State>()) {}
Exposition::~Exposition() = default;

void Exposition::counter(std::string_view name, std::string_view help, std::uint64_t value, Labels labels) {
  state_->add(name, help, prometheus::MetricType::Counter, labels).counter.value = static_cast<double>(value);
}

void Exposition::gauge(std::string_view name, std::string_view help, double value, Labels labels) {
  state_->add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

std::string Exposition::text() const { return prometheus::TextSerializer().Serialize(state_->families); }

}  // namespace hr
