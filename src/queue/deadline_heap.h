// Items by the time when something is due for them, earliest first; items of one time by rank. Each item
// knows its position, so that any of them can be removed in O(log n). Four children to a node: half the depth
// of a binary heap, and the four share a cache line.
//
// `Order` is given to each call: rank(item), unique, and set_position(item, position).
#pragma once

#include "base/check.h"
#include "base/time.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace hr::queue {

template <class Item>
class DeadlineHeap {
 public:
  struct Entry {
    Time due;
    Item item;
  };

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  const Entry& top() const { return entries_.front(); }
  const std::vector<Entry>& entries() const { return entries_; }  // in heap order
  void clear() { std::vector<Entry>().swap(entries_); }

  template <class Order>
  void push(Order&& order, Time due, Item item) {
    entries_.push_back({due, item});
    rise(order, entries_.size() - 1);
  }

  template <class Order>
  void remove(Order&& order, std::size_t position) {
    HR_CHECK(position < entries_.size());
    const Entry last = entries_.back();
    entries_.pop_back();
    if (position == entries_.size()) return;
    entries_[position] = last;
    change(order, position, last.due);
  }

  template <class Order>
  void change(Order&& order, std::size_t position, Time due) {
    entries_[position].due = due;
    if (position > 0 && before(order, entries_[position], entries_[parent(position)])) {
      rise(order, position);
    } else {
      sink(order, position);
    }
  }

 private:
  static std::size_t parent(std::size_t i) { return (i - 1) / 4; }

  template <class Order>
  static bool before(Order& order, const Entry& a, const Entry& b) {
    return a.due != b.due ? a.due < b.due : order.rank(a.item) < order.rank(b.item);
  }

  template <class Order>
  void set(Order& order, std::size_t position, const Entry& entry) {
    entries_[position] = entry;
    order.set_position(entry.item, static_cast<std::uint32_t>(position));
  }

  template <class Order>
  void rise(Order& order, std::size_t i) {
    const Entry entry = entries_[i];
    while (i > 0 && before(order, entry, entries_[parent(i)])) {
      set(order, i, entries_[parent(i)]);
      i = parent(i);
    }
    set(order, i, entry);
  }

  template <class Order>
  void sink(Order& order, std::size_t i) {
    const Entry entry = entries_[i];
    for (;;) {
      std::size_t best = 4 * i + 1;
      if (best >= entries_.size()) break;
      for (std::size_t c = best + 1; c < entries_.size() && c <= 4 * i + 4; ++c) {
        if (before(order, entries_[c], entries_[best])) best = c;
      }
      if (!before(order, entries_[best], entry)) break;
      set(order, i, entries_[best]);
      i = best;
    }
    set(order, i, entry);
  }

  std::vector<Entry> entries_;
};

}  // namespace hr::queue
