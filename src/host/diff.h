// The difference of two texts for a person, as `diff -u` shows it: lines with "-", "+" or " " and three lines
// around each change. Texts of more than 20,000 lines together are shown as replaced whole. Pure.
#pragma once

#include <string>
#include <string_view>

namespace hr::host {

std::string unified_diff(std::string_view before, std::string_view after);  // "" where they are equal

}  // namespace hr::host
