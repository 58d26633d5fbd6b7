"""Measures tasks end to end: sent by a client, run by `headrace worker` in a child's Python, deleted.

The yardsticks are one core of the same Python doing, in a bare loop, what no task can do without
(json.loads of the arguments, the call, json.dumps of the result); the same coroutines under asyncio alone;
and a round trip between two processes with a flush. Used by bench/run; needs the wheel that the build makes.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import time
from typing import Any

from measure import Ratio, Row, Suite
from services import Failed, output_of

PYTHON = "/usr/bin/python3"

MODULE = """
import asyncio, os, struct, time
import headrace

@headrace.task(queue="bench", result="none")
def nothing(number: int) -> None:
    pass

@headrace.task(queue="bench", result="none")
async def nap(number: int) -> None:
    await asyncio.sleep(0.01)

_stamps = os.open(os.environ["BENCH_STAMPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

@headrace.task(queue="bench", result="none")
def stamp(sent: int) -> None:
    os.write(_stamps, struct.pack("=qq", sent, time.clock_gettime_ns(time.CLOCK_BOOTTIME)))
"""

BARE_LOOP = """
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
"""

# As many at a time as a child runs when nothing else is said.
BARE_ASYNCIO = """
import asyncio, sys, time
async def nap(number): await asyncio.sleep(0.01)
async def one_after_another(end):
    count = 0
    while time.perf_counter() < end:
        await nap(count)
        count += 1
    return count
async def main(seconds):
    end = time.perf_counter() + seconds
    print(sum(await asyncio.gather(*(one_after_another(end) for _ in range(100)))) / seconds)
asyncio.run(main(float(sys.argv[1])))
"""


def bare(program: str, seconds: float) -> float:
    return float(output_of([PYTHON, "-c", program, str(seconds)], pathlib.Path("/"), os.environ))


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
            [build / "headrace", "python", "install", folder / "venv"],
            check=True,
            stdout=subprocess.DEVNULL,
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
        return output_of(
            [self.python, "-c", BEGIN + program, *arguments],
            self.folder,
            self.environment,
        )

    def left(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs, url = self._queue
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(answer[name]) for name in names)

    @functools.cached_property
    def _queue(self) -> tuple[Any, str]:
        """Made once: who looks again and again takes little from what is measured."""
        sqs = self.store.client("sqs")
        return sqs, sqs.get_queue_url(QueueName="bench")["QueueUrl"]

    def wait_empty(self) -> None:
        while self.left() > 0:
            if self.worker.poll() is not None:
                raise Failed(f"the worker ended with {self.worker.returncode}")
            time.sleep(0.02)

    def per_second(self, program: str, count: int) -> float:
        began = float(self.run(program, str(count)))  # one clock for all processes
        self.wait_empty()
        return count / (time.perf_counter() - began)

    def delays_us(self, pause: float, count: int) -> list[float]:
        """From just before the send to the handler's first line, for each task; sorted."""
        self.stamps.write_bytes(b"")
        self.run(STAMPED.format(pause=pause), str(count))
        self.wait_empty()
        stamps = memoryview(self.stamps.read_bytes()).cast("q")
        return sorted((stamps[i + 1] - stamps[i]) / 1e3 for i in range(0, len(stamps), 2))

    def requests_each(self, program: str, count: int) -> float:
        """Requests to SQS for each task: the worker's, and at most one for ten that are sent."""
        before = self._requests()
        self.per_second(program, count)
        return (self._requests() - before) / count + 0.1

    def _requests(self) -> int:
        connection = http.client.HTTPConnection("worker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.folder / "state" / "run" / "worker-default.sock"))
        connection.request("GET", "/status")
        requests = json.loads(connection.getresponse().read())["requests"]
        connection.close()
        return int(requests["sqs"])

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
NAPS = "tasks.nap.many([(number,) for number in range(int(sys.argv[1]))])"
STAMPED = """
for _ in range(int(sys.argv[1])):
    tasks.stamp.delay(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    time.sleep({pause})
"""


def flush_and_round_trip_us(suite: Suite, store: Any) -> float:
    """The least that a task from an idle client to an idle child costs: one flush, and one round trip."""
    limits = suite.latency("limits", f"--path={store.folder}")
    return float(limits["socket_pair"]["p50_us"] + limits["append_and_flush"]["p50_us"])


def measure(suite: Suite, stack: Stack) -> None:
    seconds: float = suite.options.seconds
    many, single, naps = int(15_000 * seconds), int(300 * seconds), int(3_000 * seconds)
    stack.per_second(AT_ONCE, 2_000)
    rate = stack.per_second(ONE_BY_ONE, single) / 2

    def p99_at_half_load() -> float:
        delays = stack.delays_us(1 / rate, int(rate * seconds))
        return delays[int(len(delays) * 0.99)]

    suite.in_turns(
        [
            Row("bare Python loop", "tasks/s", lambda: bare(BARE_LOOP, seconds)),
            Row(
                "no-op tasks, many()",
                "tasks/s",
                lambda: stack.per_second(AT_ONCE, many),
            ),
            Row(
                "no-op tasks, delay()",
                "tasks/s",
                lambda: stack.per_second(ONE_BY_ONE, single),
            ),
            Row(
                "asyncio alone, 10 ms each",
                "tasks/s",
                lambda: bare(BARE_ASYNCIO, seconds),
            ),
            Row("async tasks of 10 ms", "tasks/s", lambda: stack.per_second(NAPS, naps)),
            Row(
                "round trip and flush",
                "us",
                lambda: flush_and_round_trip_us(suite, stack.store),
            ),
            Row(
                "delay() to start, idle, median",
                "us",
                lambda: statistics.median(stack.delays_us(0.03, 60)),
            ),
            Row("delay() to start, half load, p99", "us", p99_at_half_load),
            Row(
                "requests to SQS, a task and its sending",
                "",
                lambda: stack.requests_each(AT_ONCE, many),
            ),
            Row("memory: store, worker, one child", "MiB", stack.memory_mib),
        ]
    )
    suite.wanted += [
        Ratio("no-op tasks, many()", "bare Python loop", 0.12),
        Ratio("no-op tasks, delay()", "bare Python loop"),
        Ratio("async tasks of 10 ms", "asyncio alone, 10 ms each", 0.5),
        Ratio("delay() to start, idle, median", "round trip and flush", 10, below=True),
        Ratio(
            "delay() to start, half load, p99",
            "delay() to start, idle, median",
            5,
            below=True,
        ),
    ]
    suite.limits.append(("requests to SQS, a task and its sending", 0.35))
