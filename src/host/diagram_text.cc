// Diagrams as text: Mermaid, a page of markdown, JSON.
#include "codec/json.h"
#include "host/diagram.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace hr::host {
namespace {

// Mermaid reads "#35;" as a character by its number; <br/> is the one tag that our labels hold.
std::string escaped(std::string_view label) {
  constexpr std::string_view kBreak = "<br/>";
  std::string out;
  while (!label.empty()) {
    if (label.starts_with(kBreak)) {
      out += kBreak;
      label.remove_prefix(kBreak.size());
      continue;
    }
    const char c = label.front();
    label.remove_prefix(1);
    const bool plain = static_cast<unsigned char>(c) >= 0x20 && !std::string_view("\"#;<>&`\\").contains(c);
    if (plain) {
      out += c;
    } else {
      out += fmt::format("#{};", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

std::string plain(std::string label) {
  for (std::size_t at = 0; (at = label.find("<br/>", at)) != std::string::npos;) label.replace(at, 5, " ");
  return label;
}

std::size_t id_of(const Diagram& diagram, const std::string& label) {
  const auto found = std::ranges::find(diagram.boxes, label, &Box::label);
  return static_cast<std::size_t>(found - diagram.boxes.begin()) + 1;
}

// What is not as declared says so in words too: not everybody sees colours, and not every renderer draws
// them.
std::string box_line(std::size_t id, const Box& box) {
  const std::string note = box.state == State::kThere ? "" : fmt::format("<br/>({})", name_of(box.state));
  return fmt::format("n{}[\"{}{}\"]:::{}\n", id, escaped(box.label), note, name_of(box.state));
}

std::string_view line_of(State state) {
  switch (state) {
    case State::kThere:
      return "-->";
    case State::kMissing:
      return "-. missing .->";
    case State::kStranger:
      return "== stranger ==>";
    case State::kUnknown:
      break;
  }
  return "-. unknown .->";
}

std::vector<std::string> groups_of(const Diagram& diagram) {
  std::vector<std::string> out;
  for (const Box& each : diagram.boxes)
    if (!each.group.empty() && std::ranges::find(out, each.group) == out.end()) out.push_back(each.group);
  return out;
}

// What was observed is text of other programs: it ends neither its cell nor its row.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '\\' || c == '<') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

void add_evidence(std::string& out, const Diagram& diagram) {
  out += "\n| box or arrow | state | declared | observed |\n| --- | --- | --- | --- |\n";
  for (const Box& each : diagram.boxes)
    fmt::format_to(std::back_inserter(out), "| {} | {} | {} | {} |\n", cell(plain(each.label)),
                   name_of(each.state), cell(each.declared), cell(each.observed));
  for (const Arrow& each : diagram.arrows)
    fmt::format_to(std::back_inserter(out), "| {} → {} | {} | | {} |\n", cell(plain(each.from)),
                   cell(plain(each.to)), name_of(each.state), cell(each.observed));
  const auto has_counts = [](const Box& each) { return !each.counts.empty(); };
  if (std::ranges::none_of(diagram.boxes, has_counts)) return;
  out += "\n| counted by | of | what | number |\n| --- | --- | --- | ---: |\n";
  for (const Box& box : diagram.boxes)
    for (const Count& each : box.counts)
      fmt::format_to(std::back_inserter(out), "| {} | {} | {} | {} |\n", cell(plain(box.label)),
                     cell(each.of), cell(each.name), each.value);
}

void write_counts(codec::JsonWriter& json, const Box& box) {
  json.key("counts").begin_array();
  for (const Count& each : box.counts)
    json.begin_object().field("of", each.of).field("name", each.name).field("value", each.value).end_object();
  json.end_array();
}

}  // namespace

std::string mermaid(const Diagram& diagram) {
  std::string out = fmt::format("flowchart {}\n", diagram.direction);
  std::size_t number = 0;
  for (const std::string& group : groups_of(diagram)) {
    fmt::format_to(std::back_inserter(out), "  subgraph g{}[\"{}\"]\n", ++number, escaped(group));
    for (std::size_t i = 0; i < diagram.boxes.size(); ++i)
      if (diagram.boxes[i].group == group) out += "    " + box_line(i + 1, diagram.boxes[i]);
    out += "  end\n";
  }
  for (std::size_t i = 0; i < diagram.boxes.size(); ++i)
    if (diagram.boxes[i].group.empty()) out += "  " + box_line(i + 1, diagram.boxes[i]);
  for (const Arrow& each : diagram.arrows)
    fmt::format_to(std::back_inserter(out), "  n{} {} n{}\n", id_of(diagram, each.from), line_of(each.state),
                   id_of(diagram, each.to));
  return out + R"(  classDef there fill:#dff3e4,stroke:#2a7f46,color:#000
  classDef missing fill:#fde2e1,stroke:#b3261e,color:#000,stroke-dasharray:5
  classDef stranger fill:#fff0cc,stroke:#a15c00,color:#000,stroke-width:3px
  classDef unknown fill:#eeeeee,stroke:#777777,color:#333,stroke-dasharray:2
)";
}

std::string markdown_page(const std::vector<Diagram>& diagrams, bool evidence) {
  std::string out = "# Infrastructure Diagrams\n";
  for (const Diagram& each : diagrams) {
    fmt::format_to(std::back_inserter(out), "\n## {}\n\n```mermaid\n{}```\n", each.title, mermaid(each));
    if (evidence) add_evidence(out, each);
  }
  return out +
         "\n---\n\nGreen: declared and observed. Red, dashed: declared, and missing. Orange, thick: a "
         "stranger,\n"
         "observed and not declared. Grey, dotted: unknown, because it could not be looked at.\n\n"
         "*Diagrams generated by Headrace from what it found on the host*\n";
}

std::string diagrams_json(const std::vector<Diagram>& diagrams) {
  std::string out;
  codec::JsonWriter json(out);
  json.begin_array();
  for (const Diagram& diagram : diagrams) {
    json.begin_object()
        .field("title", diagram.title)
        .field("mermaid", mermaid(diagram))
        .key("boxes")
        .begin_array();
    for (const Box& each : diagram.boxes) {
      json.begin_object()
          .field("label", plain(each.label))
          .field("group", each.group)
          .field("state", name_of(each.state))
          .field("declared", each.declared)
          .field("observed", each.observed);
      write_counts(json, each);
      json.end_object();
    }
    json.end_array().key("arrows").begin_array();
    for (const Arrow& each : diagram.arrows)
      json.begin_object()
          .field("from", plain(each.from))
          .field("to", plain(each.to))
          .field("state", name_of(each.state))
          .field("observed", each.observed)
          .end_object();
    json.end_array().end_object();
  }
  json.end_array();
  return out + "\n";
}

}  // namespace hr::host
