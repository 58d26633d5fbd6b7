#include "host/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

namespace hr::host {
namespace {

constexpr std::size_t kLinesMax = 20'000, kCellsMax = 4'000'000, kAround = 3;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

struct Line {
  char sign;  // ' ', '-', '+'
  std::string_view text;
};

using Lines = std::vector<std::string_view>;

// The longest common subsequence, from a table of the lengths of those of the ends.
std::vector<Line> aligned(const Lines& a, const Lines& b) {
  std::vector<Line> out;
  if (a.size() + b.size() > kLinesMax || (a.size() + 1) * (b.size() + 1) > kCellsMax) {
    for (const auto each : a) out.push_back({'-', each});
    for (const auto each : b) out.push_back({'+', each});
    return out;
  }
  const std::size_t width = b.size() + 1;
  std::vector<std::uint32_t> common((a.size() + 1) * width);
  for (std::size_t i = a.size(); i-- > 0;)
    for (std::size_t j = b.size(); j-- > 0;)
      common[i * width + j] = a[i] == b[j] ? common[(i + 1) * width + j + 1] + 1
                                           : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
  std::size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      out.push_back({' ', a[i++]});
      ++j;
    } else if (i < a.size() && (j == b.size() || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      out.push_back({'-', a[i++]});
    } else {
      out.push_back({'+', b[j++]});
    }
  }
  return out;
}

bool near_change(const std::vector<Line>& lines, std::size_t at) {
  const std::size_t from = at > kAround ? at - kAround : 0, to = std::min(at + kAround + 1, lines.size());
  return std::any_of(lines.begin() + static_cast<std::ptrdiff_t>(from),
                     lines.begin() + static_cast<std::ptrdiff_t>(to),
                     [](const Line& each) { return each.sign != ' '; });
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after) {
  if (before == after) return "";
  const auto lines = aligned(lines_of(before), lines_of(after));
  std::string out;
  bool gap = false;
  std::size_t number = 0;  // of the line in the text after
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].sign != '-') ++number;
    if (!near_change(lines, i)) {
      gap = true;
      continue;
    }
    if (gap || i == 0)
      fmt::format_to(std::back_inserter(out), "@@ line {} @@\n", std::max<std::size_t>(number, 1));
    gap = false;
    fmt::format_to(std::back_inserter(out), "{}{}\n", lines[i].sign, lines[i].text);
  }
  return out;
}

}  // namespace hr::host
