#include "net/http.h"

#include "codec/header_field.h"

#include <algorithm>

namespace hr::net {
namespace {

bool same(std::string_view a, std::string_view b) { return a.size() == b.size() && codec::same_name(a, b); }

}  // namespace

void Headers::add(std::string name, std::string value) {
  all_.push_back({.name = std::move(name), .value = std::move(value)});
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(all_, [&](const Header& h) { return same(h.name, name); });
  add(std::string(name), std::move(value));
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const Header& h : all_) {
    if (same(h.name, name)) return h.value;
  }
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(all_, [&](const Header& h) { return same(h.name, name); }));
}

void Headers::assign(codec::HeaderFields fields) {
  all_.resize(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    all_[i].name.assign(fields[i].name);
    all_[i].value.assign(fields[i].value);
  }
}

}  // namespace hr::net
