"""What a text says about itself, in any language that puts spaces between words: counts, keywords, an index.

There is no list of stop words. A language's commonest words are short, so a word weighs its count times its
letters beyond three: that alone brings "millstone" above "which".
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import limits

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
SHORT_LETTERS = 3


@dataclass(frozen=True)
class Entry:
    """A word of the index; lines count from 1, and are the first ones only."""

    word: str
    count: int
    lines: list[int]


@dataclass(frozen=True)
class Statistics:
    characters: int
    lines: int
    words: int
    distinct: int
    longest: str
    average_length: float


def words_of(text: str) -> Iterator[str]:
    return (match.group().casefold() for match in WORD.finditer(text))


def count_words(text: str) -> Counter[str]:
    return Counter(words_of(text))


def statistics(text: str, counts: Counter[str]) -> Statistics:
    total = counts.total()
    letters = sum(len(word) * count for word, count in counts.items())
    longest = max(counts, key=lambda word: (len(word), word), default="")
    return Statistics(
        characters=len(text),
        lines=text.count("\n") + (not text.endswith("\n")) if text else 0,
        words=total,
        distinct=len(counts),
        longest=longest[: limits.WORD_CHARACTERS],
        average_length=round(letters / total, 2) if total else 0.0,
    )


def weight(word: str, count: int) -> int:
    return count * (len(word) - SHORT_LETTERS)


def keyword_index(text: str, counts: Counter[str]) -> list[Entry]:
    """The heaviest words with the lines they stand on, heaviest first."""
    candidates = (
        (-weight(word, count), word)
        for word, count in counts.items()
        if SHORT_LETTERS < len(word) <= limits.WORD_CHARACTERS
    )
    chosen = [word for _, word in heapq.nsmallest(limits.INDEX_WORDS, candidates)]
    lines: dict[str, list[int]] = {word: [] for word in chosen}
    for number, line in enumerate(text.split("\n"), 1):
        for word in words_of(line):
            found = lines.get(word)
            if found is not None and len(found) < limits.INDEX_LINES and found[-1:] != [number]:
                found.append(number)
    return [Entry(word, counts[word], lines[word]) for word in chosen]
