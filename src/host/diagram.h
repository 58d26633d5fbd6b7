// The five diagrams that Headrace began with, drawn from what is declared and what was observed. Four states
// are told apart: declared and observed; declared but missing; a stranger, observed but not declared;
// unknown. They carry state only, in one order, so that an unchanged host gives the same bytes. Pure.
#pragma once

#include "host/machine.h"
#include "host/observe.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

enum class State : std::uint8_t { kThere, kMissing, kStranger, kUnknown };
std::string_view name_of(State state);  // "there", ...

// A number that was read: {"queue default", "waiting", 3}. Evidence, which changes no state.
struct Count {
  std::string of, name;
  std::int64_t value = 0;
};

struct Box {
  std::string label, group;  // group: "" for none
  State state = State::kThere;
  std::string declared = {}, observed = {};  // "h.toml:3:1"; "nginx.service active, pid 66"
  std::vector<Count> counts = {};
};

struct Arrow {
  std::string from, to;  // labels of boxes
  State state = State::kThere;
  std::string observed;
};

struct Diagram {
  std::string title, direction;  // "Network Topology", "TB"
  std::vector<Box> boxes;
  std::vector<Arrow> arrows;
};

std::vector<Diagram> diagrams_of(const Machine& machine, const Observation& seen);

std::string mermaid(const Diagram& diagram);
std::string svg(const std::vector<Diagram>& diagrams);  // all of them, below each other
std::string markdown_page(const std::vector<Diagram>& diagrams, bool evidence);
std::string diagrams_json(const std::vector<Diagram>& diagrams);

// Whether anything is missing, strange or unknown.
bool drifted(const std::vector<Diagram>& diagrams);

}  // namespace hr::host
