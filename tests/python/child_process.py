"""A child as a worker's parent runs it: its socket, its lease, its environment."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any

READY_WITHIN_S = 30.0


class Child:
    def __init__(self, root: pathlib.Path, package: pathlib.Path, modules: str, **environment: str) -> None:
        ours, theirs = socket.socketpair()
        lease = os.memfd_create("lease")
        os.ftruncate(lease, 4096)
        self.lease = mmap.mmap(lease, 4096)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headrace._child"],
            cwd=root,
            env=inherited
            | {
                "PYTHONPATH": str(package),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HEADRACE_CHANNEL": str(theirs.fileno()),
                "HEADRACE_LEASE": str(lease),
                "HEADRACE_POOL": "default",
                "HEADRACE_MODULES": modules,
            }
            | environment,
            pass_fds=(theirs.fileno(), lease),
            process_group=0,
        )
        theirs.close()
        os.close(lease)
        self.given = 0
        self.socket = ours
        self.socket.settimeout(READY_WITHIN_S)

    def send(self, frame: dict[str, Any]) -> None:
        data = json.dumps(frame).encode()
        self.socket.sendall(struct.pack("<I", len(data)) + data)

    def receive(self) -> dict[str, Any]:
        (size,) = struct.unpack("<I", self._read(4))
        return dict(json.loads(self._read(size)))

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError("the child closed its channel")
            data += piece
        return data

    def give(self, task: str, *args: Any, **frame: Any) -> None:
        """One more job."""
        self.given += 1
        self.send(
            {
                "op": "run",
                "n": self.given,
                "id": "0190b0a0-0000-7000-8000-000000000000",
                "task": task,
                "args": list(args),
                "kwargs": {},
                "event": None,
                "attempt": 1,
                "timeout": 300,
                "keep_result": True,
                "queue": "default",
                "request_id": "req-1",
            }
            | frame
        )

    def begun(self) -> int:
        """The number of the last job that it began."""
        return int(ctypes.c_uint64.from_buffer(self.lease, 8).value)

    def take_back(self) -> int:
        """What it has not begun: it never will. The number of the last that it began."""
        begun = self.begun()
        ctypes.c_uint64.from_buffer(self.lease, 8).value = self.given
        return begun

    def run(self, task: str, *args: Any, **frame: Any) -> dict[str, Any]:
        """The frame that ends the job; log frames before it are kept in `logs`."""
        self.logs: list[dict[str, Any]] = []
        self.give(task, *args, **frame)
        while (got := self.receive())["op"] == "log":
            self.logs.append(got)
        return got

    def set_lease(self, seconds_from_now: float) -> None:
        end = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(seconds_from_now * 1e9)
        ctypes.c_int64.from_buffer(self.lease).value = end

    def stop(self) -> int:
        self.send({"op": "stop"})
        return self.process.wait(timeout=READY_WITHIN_S)

    def end(self) -> None:
        """Whatever state it is in."""
        self.socket.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=READY_WITHIN_S)
