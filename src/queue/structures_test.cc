// The containers below the engine: slab, number map, heap.
#include "queue/chunk_memory.h"
#include "queue/deadline_heap.h"
#include "queue/seq_map.h"
#include "queue/slab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace hr::queue {
namespace {

TEST(Slab, an_emptied_chunk_goes_back_and_the_last_one_stays) {
  Slab slab;
  std::vector<Slot> slots;
  for (int i = 0; i < 5000; ++i) slots.push_back(slab.take());
  EXPECT_EQ(slab.chunk_count(), 5U);
  EXPECT_EQ(slab.used(), 5000U);
  for (const Slot s : slots) slab.give_back(s);
  EXPECT_EQ(slab.chunk_count(), 1U);
  EXPECT_EQ(slab.used(), 0U);
}

TEST(Slab, slots_in_use_are_distinct_whatever_is_taken_and_given_back) {
  Slab slab;
  std::mt19937 random(1);
  std::vector<Slot> used;
  for (int i = 0; i < 50'000; ++i) {
    if (used.empty() || random() % 100 < (i / 5000 % 2 == 0 ? 70 : 30)) {
      used.push_back(slab.take());
    } else {
      std::swap(used[random() % used.size()], used.back());
      slab.give_back(used.back());
      used.pop_back();
    }
  }
  EXPECT_EQ(slab.used(), used.size());
  std::ranges::sort(used);
  EXPECT_EQ(std::ranges::adjacent_find(used), used.end());
}

TEST(SeqMap, finds_what_a_map_finds) {
  SeqMap map;
  std::map<std::uint64_t, Slot> truth;
  std::mt19937 random(1);
  std::uint64_t next = 1;
  for (int i = 0; i < 200'000; ++i) {
    if (random() % 100 < (i / 50'000 % 2 == 0 ? 60 : 35)) {
      if (random() % 1000 == 0) next += random() % 20'000;
      map.add(Seq{next}, static_cast<Slot>(i));
      truth.emplace(next++, static_cast<Slot>(i));
    } else if (!truth.empty()) {
      auto it = truth.lower_bound(random() % next);
      if (it == truth.end()) it = truth.begin();
      map.erase(Seq{it->first});
      truth.erase(it);
    }
    const std::uint64_t probe = random() % (next + 100);
    const auto found = truth.find(probe);
    ASSERT_EQ(map.find(Seq{probe}), found == truth.end() ? kNoSlot : found->second);
    const auto after = truth.lower_bound(probe);
    const auto expected = after == truth.end() ? std::nullopt : std::optional(Seq{after->first});
    ASSERT_EQ(map.at_or_after(Seq{probe}), expected);
  }
  EXPECT_EQ(map.size(), truth.size());
}

TEST(SeqMap, loads_numbers_in_any_order_and_each_once) {
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t seq = 5000; seq < 30'000; ++seq) {
    if (seq % 7 != 0) numbers.push_back(seq);
  }
  std::ranges::shuffle(numbers, std::mt19937(1));
  SeqMap map;
  for (const std::uint64_t seq : numbers) ASSERT_TRUE(map.load(Seq{seq}, static_cast<Slot>(seq)));
  EXPECT_FALSE(map.load(Seq{numbers.front()}, 1));
  std::ranges::sort(numbers);
  std::uint64_t at = 1;
  for (const std::uint64_t seq : numbers) {
    ASSERT_EQ(map.at_or_after(Seq{at}), Seq{seq});
    ASSERT_EQ(map.find(Seq{seq}), seq);
    at = seq + 1;
  }
  map.add(Seq{30'000}, 1);
  for (const std::uint64_t seq : numbers) map.erase(Seq{seq});
  EXPECT_EQ(map.at_or_after(Seq{1}), Seq{30'000});
}

TEST(ChunkMemory, a_piece_is_zero_whatever_was_in_it_before) {
  constexpr std::size_t kBytes = 90'128;
  ChunkMemory memory(kBytes);
  std::vector<char*> pieces;
  std::mt19937 random(1);
  for (int i = 0; i < 400; ++i) {
    if (pieces.size() < 60 || random() % 2 == 0) {
      auto* const piece = static_cast<char*>(memory.take());
      ASSERT_TRUE(std::all_of(piece, piece + kBytes, [](char c) { return c == 0; }));
      std::fill_n(piece, kBytes, 'x');
      pieces.push_back(piece);
    } else {
      std::swap(pieces[random() % pieces.size()], pieces.back());
      memory.give_back(pieces.back());
      pieces.pop_back();
    }
  }
  for (char* piece : pieces) {
    ASSERT_TRUE(std::all_of(piece, piece + kBytes, [](char c) { return c == 'x'; }));
    memory.give_back(piece);
  }
  EXPECT_EQ(memory.regions(), 0U);
}

TEST(SeqMap, one_moved_from_is_empty_and_usable) {
  SeqMap map;
  map.add(Seq{70'000}, 1);
  SeqMap other = std::move(map);
  map = SeqMap();
  EXPECT_EQ(map.size(), 0U);
  EXPECT_EQ(map.find(Seq{70'000}), kNoSlot);
  map.add(Seq{70'001}, 2);
  EXPECT_EQ(other.find(Seq{70'000}), 1U);
  EXPECT_EQ(map.find(Seq{70'001}), 2U);
}

struct Positions {
  std::vector<std::uint32_t> at = std::vector<std::uint32_t>(1000);
  std::uint32_t rank(std::uint32_t item) const { return item; }
  void set_position(std::uint32_t item, std::uint32_t position) { at[item] = position; }
};

TEST(DeadlineHeap, items_come_by_time_then_rank_whatever_is_changed_or_removed) {
  DeadlineHeap<std::uint32_t> heap;
  Positions order;
  std::mt19937 random(1);
  std::map<std::uint32_t, Time> truth;
  for (std::uint32_t item = 0; item < 1000; ++item) {
    truth[item] = from_ms(random() % 50);
    heap.push(order, truth[item], item);
  }
  for (int i = 0; i < 500; ++i) {
    const auto item = static_cast<std::uint32_t>(random() % 1000);
    if (!truth.contains(item)) continue;
    if (random() % 2 == 0) {
      truth[item] = from_ms(random() % 50);
      heap.change(order, order.at[item], truth[item]);
    } else {
      heap.remove(order, order.at[item]);
      truth.erase(item);
    }
  }
  std::vector<std::pair<Time, std::uint32_t>> expected, got;
  for (const auto& [item, due] : truth) expected.emplace_back(due, item);
  std::ranges::sort(expected);
  for (; !heap.empty(); heap.remove(order, 0)) got.emplace_back(heap.top().due, heap.top().item);
  EXPECT_EQ(got, expected);
}

}  // namespace
}  // namespace hr::queue
