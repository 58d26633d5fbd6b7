"""The example's handler with a witness: copied beside tasks.py and named in headrace.toml instead of it.

Every run writes a start and an end (not when it is killed) to a journal, with the boot time, and holds the
document's lock, which the kernel takes away from a killed process: a run that finds it held is running twice.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import random
import time
from collections.abc import Callable
from typing import Any

import headrace
import tasks

HERE = pathlib.Path(__file__).resolve().parent
WORK_SECONDS = 0.06  # at most: long enough for kills to hit a run, as real work is

JOURNAL = os.open(HERE / "journal.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
LOCKS = HERE / "locks"
LOCKS.mkdir(exist_ok=True)

Handler = Callable[[str], dict[str, Any]]


def note(what: str, key: str) -> None:
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    os.write(JOURNAL, f"{what} {key} {headrace.current().id} {os.getpid()} {now}\n".encode())


def witnessed(handler: Handler) -> Handler:
    def run(key: str) -> dict[str, Any]:
        lock = os.open(LOCKS / key, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note("twice", key)
            note("start", key)
            try:
                return handler(key)
            finally:
                time.sleep(random.uniform(0, WORK_SECONDS))
                note("end", key)
        finally:
            os.close(lock)

    return run


tasks.file_document = witnessed(tasks.file_document)
