"""Values as the JSON that every reader takes alike: text keys, finite numbers, integers of 64 bits, bounded
depth. What Python's json would bend or drop is refused, with the place where it stands."""

from __future__ import annotations

import json
from typing import Any

DEPTH_MAX = 48  # lists and dicts within each other
INTEGER_MAX = 2**63 - 1


class NotJson(TypeError):
    """The message says what stands where."""


def check(value: Any, place: str, depth: int = 0) -> None:
    """NotJson when `value` would not come back as it is (tuples become lists). `place` begins the message."""
    kind = type(value)
    if kind in (str, bool, type(None)):
        return
    if kind is int:
        if not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
            raise NotJson(f"{place} is an integer past 64 bits; pass it as text")
    elif kind is float:
        if value - value != 0.0:
            raise NotJson(f"{place} is {value}, which JSON has not")
    elif kind in (list, tuple):
        _check_depth(place, depth)
        for index, item in enumerate(value):
            check(item, f"{place}[{index}]", depth + 1)
    elif kind is dict:
        _check_depth(place, depth)
        for key, item in value.items():
            if type(key) is not str:
                raise NotJson(f"{place} has the key {key!r}; keys must be text")
            check(item, f"{place}[{key!r}]", depth + 1)
    elif isinstance(value, (str, int, float, list, tuple, dict)):
        check(_plain(value), place, depth)
    else:
        raise NotJson(
            f"{place} is of type {kind.__qualname__}, which JSON cannot carry; use text, numbers, lists "
            "or dicts"
        )


def _plain(value: Any) -> Any:
    """A subclass (an IntEnum, a defaultdict) as json writes it."""
    for kind in (str, int, float, dict):
        if isinstance(value, kind):
            return kind(value) if kind is not str else str.__str__(value)
    return list(value)


def _check_depth(place: str, depth: int) -> None:
    if depth >= DEPTH_MAX:
        raise NotJson(f"{place} is nested deeper than {DEPTH_MAX} levels")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dump(value: Any) -> str:
    """Compact, and free of what SQS refuses in a message (U+FFFE, U+FFFF; JSON escapes the rest)."""
    text = _encode(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJson("a text holds half a surrogate pair, which is no character; repair it first") from None
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
