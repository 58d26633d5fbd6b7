"""Tasks that take more than they may."""

from __future__ import annotations

import time

import headrace


@headrace.task(queue="heavy", timeout=600)
def spin(seconds: float) -> float:
    """Takes a processor for itself."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return seconds


@headrace.task(queue="heavy", timeout=600, retries=0)
def balloon(mebibytes: int) -> int:
    held = bytearray(mebibytes << 20)
    for at in range(0, len(held), 4096):
        held[at] = 1
    return len(held)


@headrace.task(queue="heavy", timeout=600)
def steady(seconds: float) -> str:
    """Asks for nothing and takes its time."""
    time.sleep(seconds)
    return "done"
