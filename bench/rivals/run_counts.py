"""How many tasks each worker process has run: a number in a file of its own, in $BENCH_COUNTS, that bench/run
adds up. Costs a task one addition in memory."""

from __future__ import annotations

import mmap
import os

_number: memoryview | None = None


def one_more() -> None:
    global _number
    if _number is None:
        file = os.open(f"{os.environ['BENCH_COUNTS']}/{os.getpid()}", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(file, 8)
        _number = memoryview(mmap.mmap(file, 8)).cast("q")
    _number[0] += 1
