"""Measures tasks end to end: sent by a client, run by `headrace worker` in a child's Python, deleted.

The yardstick is one core of the same Python doing, in a bare loop, what no task can do without: json.loads of
the arguments, the call, json.dumps of the result. Used by bench/run; needs the wheel that the build makes.
"""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

from services import Failed, output_of

PYTHON = "/usr/bin/python3"

MODULE = '''
import os, struct, time
import headrace

@headrace.task(queue="bench", result="none")
def nothing(number: int) -> None:
    pass

_stamps = os.open(os.environ["BENCH_STAMPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

@headrace.task(queue="bench", result="none")
def stamp(sent: int) -> None:
    os.write(_stamps, struct.pack("=qq", sent, time.clock_gettime_ns(time.CLOCK_BOOTTIME)))
'''

BARE_LOOP = '''
import json, sys, time
def nothing(number): pass
line = json.dumps({"args": [12345], "kwargs": {}})
end = time.perf_counter() + float(sys.argv[1])
count = 0
while time.perf_counter() < end:
    for _ in range(100):
        call = json.loads(line)
        json.dumps(nothing(*call["args"], **call["kwargs"]))
    count += 100
print(count / float(sys.argv[1]))
'''


def bare_loop(seconds: float) -> float:
    done = subprocess.run(
        [PYTHON, "-c", BARE_LOOP, str(seconds)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


class Stack:
    """A store and one worker pool on a fresh folder, and a Python that sends to them."""

    def __init__(self, build: pathlib.Path, folder: pathlib.Path, store: Any, children: int = 1) -> None:
        self.folder = folder
        folder.mkdir()
        self.store = store
        self.stamps = folder / "stamps"
        (folder / "bench_tasks.py").write_text(MODULE)
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        subprocess.run(
            [build / "headrace", "python", "install", folder / "venv"], check=True, stdout=subprocess.DEVNULL
        )
        config = folder / "headrace.toml"
        config.write_text(
            f'[app]\nname = "bench"\npython = "{self.python}"\n'
            f'[worker.default]\nmodules = ["bench_tasks"]\nqueues = ["bench"]\nprocesses = {children}\n'
        )
        self.environment = os.environ | {
            "HEADRACE_CONFIG": str(config),
            "HEADRACE_STATE": str(folder / "state"),
            "HEADRACE_ENDPOINT": f"unix:{store.folder}/store.sock",
            "HEADRACE_KEYS": str(store.folder / "keys.toml"),
            "HEADRACE_REGION": "us-east-1",
            "BENCH_STAMPS": str(self.stamps),
        }
        (folder / "state" / "run").mkdir(parents=True)
        self.worker = self._start_worker(build)

    def _start_worker(self, build: pathlib.Path) -> subprocess.Popen[bytes]:
        """Starts the worker and waits until it says READY=1, as systemd would."""
        path = self.folder / "notify.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(60)
            with open(self.folder / "worker.log", "wb") as log:
                worker = subprocess.Popen(
                    [build / "headrace", "worker", "--pool", "default"],
                    env=self.environment | {"NOTIFY_SOCKET": str(path)},
                    stderr=log,
                )
            while b"READY=1" not in notify.recv(4096):
                pass
        return worker

    def run(self, program: str, *arguments: str) -> str:
        """Runs a Python program that sends; it begins by telling when it has imported the bench's tasks."""
        return output_of([self.python, "-c", BEGIN + program, *arguments], self.folder, self.environment)

    def left(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.store.client("sqs")
        url = sqs.get_queue_url(QueueName="bench")["QueueUrl"]
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(answer[name]) for name in names)

    def wait_empty(self) -> None:
        while self.left() > 0:
            if self.worker.poll() is not None:
                raise Failed(f"the worker ended with {self.worker.returncode}")
            time.sleep(0.02)

    def per_second(self, program: str, count: int) -> float:
        began = float(self.run(program, str(count)))  # one clock for all processes
        self.wait_empty()
        return count / (time.perf_counter() - began)

    def delays_ms(self, program: str, count: int) -> list[float]:
        """From just before the send to the handler's first line, for each task."""
        self.stamps.write_bytes(b"")
        self.run(program, str(count))
        self.wait_empty()
        stamps = memoryview(self.stamps.read_bytes()).cast("q")
        return sorted((stamps[i + 1] - stamps[i]) / 1e6 for i in range(0, len(stamps), 2))

    def memory_mib(self) -> float:
        """Proportional set size of the store, the worker and its child."""
        return tree_pss_mib(self.store.process, self.worker)

    def stop(self) -> None:
        self.worker.send_signal(signal.SIGTERM)
        self.worker.wait(timeout=60)


def tree_pss_mib(*processes: subprocess.Popen[bytes]) -> float:
    """Proportional set size of these and all their children."""
    return sum(_tree_pss_kib(process.pid) for process in processes) / 1024


def _tree_pss_kib(pid: int) -> int:
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            total += int(line.split()[1])
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        total += _tree_pss_kib(int(child))
    return total


BEGIN = "import time, sys, bench_tasks as tasks\nprint(time.perf_counter())\n"
ONE_BY_ONE = "for number in range(int(sys.argv[1])): tasks.nothing.delay(number)"
AT_ONCE = "tasks.nothing.many([(number,) for number in range(int(sys.argv[1]))])"
STAMPED = """
for _ in range(int(sys.argv[1])):
    tasks.stamp.delay(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    time.sleep({pause})
"""


def measure(repeat: Callable[[str, str, Callable[[], float]], None], stack: Stack, seconds: float) -> None:
    """`repeat(name, unit, once)` runs one measurement as often as the suite repeats."""
    repeat("bare Python loop", "tasks/s", lambda: bare_loop(seconds))
    stack.per_second(AT_ONCE, 2_000)
    repeat("no-op tasks, many()", "tasks/s", lambda: stack.per_second(AT_ONCE, int(15_000 * seconds)))
    repeat("no-op tasks, delay()", "tasks/s", lambda: stack.per_second(ONE_BY_ONE, int(300 * seconds)))
    repeat(
        "delay() to start, idle, median",
        "ms",
        lambda: statistics.median(stack.delays_ms(STAMPED.format(pause=0.05), 40)),
    )
    rate = stack.per_second(ONE_BY_ONE, int(300 * seconds)) / 2
    repeat(
        "delay() to start, half load, median",
        "ms",
        lambda: statistics.median(stack.delays_ms(STAMPED.format(pause=1 / rate), int(rate * seconds))),
    )
    repeat("memory: store, worker, one child", "MiB", stack.memory_mib)
