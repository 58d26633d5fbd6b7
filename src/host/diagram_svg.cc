// Diagrams as one SVG picture: rows by how far a box is from where arrows begin, a column for each group.
// Whole numbers only, so that the same diagrams are the same bytes.
#include "host/diagram.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

namespace hr::host {
namespace {

constexpr int kBoxWidth = 190, kBoxHeight = 62, kGap = 34, kRowGap = 64, kMargin = 24, kTitle = 44,
              kGroupPad = 12;

struct Spot {
  int x = 0, y = 0;
  bool operator==(const Spot&) const = default;
};

struct Group {
  std::string name;
  int left = 0, top = 0, right = 0, bottom = 0;
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
  }
  return out;
}

std::vector<std::string> lines_of(std::string_view label) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= label.size();) {
    const std::size_t end = std::min(label.find("<br/>", at), label.size());
    out.emplace_back(label.substr(at, end - at));
    at = end + 5;
  }
  return out;
}

// The longest way from a box that nothing points to; arrows that would close a circle count for nothing.
std::vector<int> rows_of(const Diagram& diagram, const std::map<std::string, std::size_t>& ids) {
  std::vector<int> out(diagram.boxes.size(), 0);
  for (std::size_t round = 0; round < diagram.boxes.size(); ++round) {
    for (const Arrow& each : diagram.arrows) {
      const auto from = ids.find(each.from), to = ids.find(each.to);
      if (from == ids.end() || to == ids.end()) continue;
      int& row = out[to->second];
      row = std::min(std::max(row, out[from->second] + 1), static_cast<int>(diagram.boxes.size()) - 1);
    }
  }
  return out;
}

class Picture {
 public:
  Picture(const Diagram& diagram, int top) : diagram_(diagram), top_(top) {
    for (std::size_t i = 0; i < diagram.boxes.size(); ++i) ids_.emplace(diagram.boxes[i].label, i);
    place();
  }

  int width() const { return width_; }
  int bottom() const { return bottom_; }

  std::string text() const {
    std::string out = fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>\n", kMargin, top_ + 26,
                                  escaped(diagram_.title));
    for (const Group& each : groups_) {
      if (each.name.empty()) continue;
      fmt::format_to(std::back_inserter(out),
                     "<g class=\"group\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/>"
                     "<text x=\"{}\" y=\"{}\">{}</text></g>\n",
                     each.left, each.top, each.right - each.left, each.bottom - each.top, each.left + 8,
                     each.top + 15, escaped(each.name));
    }
    for (const Arrow& each : diagram_.arrows) out += arrow(each);
    for (std::size_t i = 0; i < diagram_.boxes.size(); ++i) out += box(diagram_.boxes[i], spots_[i]);
    return out;
  }

 private:
  void place() {
    const auto rows = rows_of(diagram_, ids_);
    std::vector<std::string> names;
    for (const Box& each : diagram_.boxes)
      if (std::ranges::find(names, each.group) == names.end()) names.push_back(each.group);
    spots_.resize(diagram_.boxes.size());
    int left = kMargin;
    for (const std::string& name : names) left = place_group(name, left, rows);
    width_ = left;
  }

  // Its boxes side by side in their rows; where the next group may begin.
  int place_group(const std::string& name, int left, const std::vector<int>& rows) {
    std::map<int, int> taken;
    Group group{.name = name, .left = left, .top = 1 << 20, .right = left, .bottom = 0};
    for (std::size_t i = 0; i < diagram_.boxes.size(); ++i) {
      if (diagram_.boxes[i].group != name) continue;
      const int column = taken[rows[i]]++;
      Spot& spot = spots_[i];
      spot = {.x = left + kGroupPad + column * (kBoxWidth + kGap),
              .y = top_ + kTitle + kGroupPad + 10 + rows[i] * (kBoxHeight + kRowGap)};
      group.top = std::min(group.top, spot.y - kGroupPad - 8);
      group.right = std::max(group.right, spot.x + kBoxWidth + kGroupPad);
      group.bottom = std::max(group.bottom, spot.y + kBoxHeight + kGroupPad);
    }
    bottom_ = std::max(bottom_, group.bottom + kMargin);
    groups_.push_back(group);
    return group.right + kGap;
  }

  static std::string box(const Box& of, const Spot& at) {
    auto lines = lines_of(of.label);
    if (of.state != State::kThere) lines.push_back(fmt::format("({})", name_of(of.state)));
    std::string out =
        fmt::format("<g class=\"box {}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"4\"/>",
                    name_of(of.state), at.x, at.y, kBoxWidth, kBoxHeight);
    int y = at.y + kBoxHeight / 2 + 5 - (static_cast<int>(lines.size()) - 1) * 8;
    for (const std::string& line : lines) {
      fmt::format_to(std::back_inserter(out), "<text x=\"{}\" y=\"{}\">{}</text>", at.x + kBoxWidth / 2, y,
                     escaped(line));
      y += 16;
    }
    return out + "</g>\n";
  }

  // Downwards from edge to edge; beside each other or upwards, around.
  std::string arrow(const Arrow& of) const {
    const auto from = ids_.find(of.from), to = ids_.find(of.to);
    if (from == ids_.end() || to == ids_.end()) return "";
    const Spot a = spots_[from->second], b = spots_[to->second];
    const bool down = b.y > a.y;
    const int x1 = a.x + kBoxWidth / 2, y1 = down ? a.y + kBoxHeight : a.y, x2 = b.x + kBoxWidth / 2,
              y2 = down ? b.y : b.y + kBoxHeight, bend = down ? (y2 - y1) / 2 : -40;
    std::string out =
        fmt::format("<g class=\"arrow {}\"><path d=\"M{} {} C{} {} {} {} {} {}\" marker-end=\"url(#head)\"/>",
                    name_of(of.state), x1, y1, x1, y1 + bend, x2, y2 - bend, x2, y2);
    if (of.state != State::kThere)
      out +=
          fmt::format("<text x=\"{}\" y=\"{}\">{}</text>", (x1 + x2) / 2, (y1 + y2) / 2, name_of(of.state));
    return out + "</g>\n";
  }

  const Diagram& diagram_;
  const int top_;
  std::map<std::string, std::size_t> ids_;
  std::vector<Spot> spots_;
  std::vector<Group> groups_;
  int width_ = 0, bottom_ = 0;
};

constexpr std::string_view kStyle = R"(<style>
text{font:13px sans-serif;fill:#000}
.title{font-size:19px}
.box text,.arrow text{text-anchor:middle}
.group rect{fill:none;stroke:#bbb}
.group text{font-size:11px;fill:#555}
.box rect{stroke-width:1.5}
.there rect{fill:#dff3e4;stroke:#2a7f46}
.missing rect{fill:#fde2e1;stroke:#b3261e;stroke-dasharray:5}
.stranger rect{fill:#fff0cc;stroke:#a15c00;stroke-width:3}
.unknown rect{fill:#eee;stroke:#777;stroke-dasharray:2}
.arrow path{fill:none;stroke:#333;stroke-width:1.3}
.arrow.missing path{stroke:#b3261e;stroke-dasharray:5}
.arrow.stranger path{stroke:#a15c00;stroke-width:3}
.arrow.unknown path{stroke:#777;stroke-dasharray:2}
.arrow text{font-size:11px}
</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L10 5L0 10z"/></marker></defs>
)";

}  // namespace

std::string svg(const std::vector<Diagram>& diagrams) {
  std::string inside;
  int width = 0, top = 0;
  for (const Diagram& each : diagrams) {
    const Picture picture(each, top);
    inside += picture.text();
    width = std::max(width, picture.width());
    top = picture.bottom();
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
             "{1}\">\n",
             width, top) +
         std::string(kStyle) + inside + "</svg>\n";
}

}  // namespace hr::host
