"""No-op tasks end to end, beside Celery, RQ and BullMQ, each in its fastest setting that loses nothing.

Everybody has two cores for everything, two worker processes, one sending process, a broker that was started
for this measurement, and two rounds before it that are not counted. From just before the first send until the
last task has run; Headrace's must also have been deleted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import task_stack
from brokers import RABBITMQ, RabbitMq, Redis
from measure import Ratio, Row, Suite
from rival_stores import node
from services import ROOT, Failed, Store, end, output_of

WORKERS = 2
CORES = 2
FOLDER = ROOT / "bench" / "rivals"
IDLE_S = 2
LONGEST_S = 300

OURS = "no-op tasks, Headrace"
CELERY_REDIS = "no-op tasks, Celery on Redis"
CELERY_RABBITMQ = "no-op tasks, Celery on RabbitMQ"
RQ = "no-op tasks, RQ"
BULLMQ = "no-op jobs in JavaScript, BullMQ"
OUR_MEMORY = "idle: store, api, worker, 2 children"
CELERY_MEMORY = "idle: Redis, Celery, 2 children"

AOF = "Redis with appendfsync always on a unix socket"
SETTINGS = {
    OURS: "many(); store, worker with 2 children; unix socket",
    CELERY_REDIS: f"16 sending threads, 2 workers -P solo, acks_late, 64 ahead, no results, no events; {AOF}",
    CELERY_RABBITMQ: "the same; durable queue, persistent messages, publisher confirms",
    RQ: f"enqueue_many by 1000, 2 SimpleWorkers (no fork), no results; {AOF}",
    BULLMQ: f"addBulk by 1000, 2 processes with 100 jobs at once, removeOnComplete; {AOF}",
    CELERY_MEMORY: "-P prefork -c 2, after a few tasks, as ours",
}


class Contender(Protocol):
    def send(self, count: int) -> float:
        """Answers when it began, by CLOCK_MONOTONIC."""

    def left(self) -> int:
        ...

    def close(self) -> None:
        ...


class Ours:
    def __init__(self, suite: Suite) -> None:
        self.store = Store(suite.build, suite.fresh(), suite.environment())
        self.stack = task_stack.Stack(suite.build, suite.fresh(), self.store, WORKERS)
        self.api: subprocess.Popen[bytes] | None = None
        self.build = suite.build

    def send(self, count: int) -> float:
        return float(self.stack.run(task_stack.AT_ONCE, str(count)))

    def left(self) -> int:
        return self.stack.left()

    def memory_mib(self) -> float:
        self.api = subprocess.Popen(
            [self.build / "headrace", "api"], env=self.stack.environment, stderr=subprocess.DEVNULL
        )
        time.sleep(IDLE_S)
        return task_stack.tree_pss_mib(self.store.process, self.stack.worker, self.api)

    def close(self) -> None:
        if self.api:
            end(self.api)
        self.stack.stop()
        self.store.close()


class Rival:
    """A broker, worker processes, and a program that sends; `work` and `sending` are their commands."""

    def __init__(
        self, suite: Suite, broker: Redis | RabbitMq, environment: dict[str, str] | None = None
    ) -> None:
        self.broker = broker
        self.folder = suite.fresh()
        self.counts = self.folder / "counts"
        self.counts.mkdir(parents=True)
        self.sent = 0
        self.environment = {
            **os.environ,
            "BENCH_COUNTS": str(self.counts),
            "PYTHONPATH": str(FOLDER),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environment or {}),
        }
        self.workers: list[subprocess.Popen[bytes]] = []

    def work(self, *commands: Sequence[str]) -> None:
        for command in commands:
            with open(self.folder / "worker.log", "ab") as output:
                self.workers.append(
                    subprocess.Popen(
                        command, cwd=self.folder, env=self.environment, stdout=output, stderr=output
                    )
                )

    def sending(self, count: int) -> list[str]:
        raise NotImplementedError

    def send(self, count: int) -> float:
        seconds = float(output_of(self.sending(count), self.folder, self.environment))
        self.sent += count
        return seconds

    def left(self) -> int:
        for worker in self.workers:
            if worker.poll() is not None:
                log = (self.folder / "worker.log").read_text(errors="replace")
                raise Failed(f"{worker.args!r} ended with {worker.returncode}: {log[-2000:]}")
        return self.sent - sum(self.run_by(file) for file in self.counts.iterdir())

    @staticmethod
    def run_by(file: pathlib.Path) -> int:
        return int.from_bytes(file.read_bytes(), "little")

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.broker.close()


class CeleryRival(Rival):
    def __init__(self, suite: Suite, broker: Redis | RabbitMq, pools: Sequence[Sequence[str]]) -> None:
        at = (
            f"redis+socket://{broker.socket}"
            if isinstance(broker, Redis)
            else f"amqp://127.0.0.1:{broker.port}"
        )
        super().__init__(suite, broker, {"BENCH_BROKER": at})
        quiet = ["-Q", "bench", "-l", "error", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        celery = [task_stack.PYTHON, "-m", "celery", "-A", "celery_tasks", "worker", *quiet]
        self.work(*([*celery, "-n", f"worker{i}", *pool] for i, pool in enumerate(pools)))

    def sending(self, count: int) -> list[str]:
        return [task_stack.PYTHON, str(FOLDER / "celery_tasks.py"), str(count)]

    def memory_mib(self) -> float:
        time.sleep(IDLE_S)
        return task_stack.tree_pss_mib(self.broker.process, *self.workers)


class RqRival(Rival):
    def __init__(self, suite: Suite, broker: Redis) -> None:
        super().__init__(suite, broker)
        self.command = [task_stack.PYTHON, str(FOLDER / "rq_tasks.py"), str(broker.socket)]
        self.work(*[[*self.command, "work"]] * WORKERS)

    def sending(self, count: int) -> list[str]:
        return [*self.command, str(count)]


class BullMqRival(Rival):
    def __init__(self, suite: Suite, broker: Redis) -> None:
        super().__init__(suite, broker)
        self.redis = broker
        self.command = [str(node()), str(FOLDER / "bullmq.mjs"), str(broker.socket)]
        self.work(*[[*self.command, "work"]] * WORKERS)

    def sending(self, count: int) -> list[str]:
        return [*self.command, str(count)]

    def left(self) -> int:
        return self.redis.length("bull:bench:wait", "bull:bench:active")


def redis(suite: Suite) -> Redis:
    return Redis(suite.fresh(), suite.environment())


def rabbitmq(suite: Suite) -> RabbitMq:
    return RabbitMq(suite.fresh(), suite.environment())


def celery_prefork(suite: Suite) -> CeleryRival:
    return CeleryRival(suite, redis(suite), [["-P", "prefork", "-c", str(WORKERS)]])


SOLO = [["-P", "solo"]] * WORKERS
# Started how, and how many tasks warm it up.
STARTERS: dict[str, tuple[Callable[[Suite], Contender], int]] = {
    OURS: (Ours, 2000),
    CELERY_REDIS: (lambda suite: CeleryRival(suite, redis(suite), SOLO), 300),
    CELERY_RABBITMQ: (lambda suite: CeleryRival(suite, rabbitmq(suite), SOLO), 300),
    RQ: (lambda suite: RqRival(suite, redis(suite)), 300),
    BULLMQ: (lambda suite: BullMqRival(suite, redis(suite)), 2000),
}


def missing(name: str) -> list[str]:
    """What this contender needs and the machine has not."""
    redis_server = ("Debian's redis-server", shutil.which("redis-server") is not None)
    celery = ("Debian's python3-celery", importlib.util.find_spec("celery") is not None)
    redis_client = ("Debian's python3-redis", importlib.util.find_spec("redis") is not None)
    needs = {
        CELERY_REDIS: [redis_server, celery, redis_client],
        CELERY_MEMORY: [redis_server, celery, redis_client],
        CELERY_RABBITMQ: [("Debian's rabbitmq-server", RABBITMQ.exists()), celery],
        RQ: [redis_server, redis_client, ("Debian's python3-rq", importlib.util.find_spec("rq") is not None)],
        BULLMQ: [
            redis_server,
            ("node", node() is not None),
            ("npm's bullmq in bench/rivals", (FOLDER / "node_modules" / "bullmq").is_dir()),
        ],
    }
    return [what for what, there in needs.get(name, []) if not there]


def present(suite: Suite, names: Sequence[str]) -> list[str]:
    for name in names:
        if missing(name):
            suite.skip(name, f"{', '.join(missing(name))} not installed (./dev setup rivals)")
    return [name for name in names if not missing(name)]


def per_second(contender: Contender, count: int) -> float:
    began = contender.send(count)
    while contender.left() > 0:
        if time.perf_counter() - began > LONGEST_S:
            raise Failed(f"{contender!r}: {contender.left()} of {count} are left after {LONGEST_S} s")
        time.sleep(0.02)
    return count / (time.perf_counter() - began)


def measured(suite: Suite, name: str) -> float:
    start, first = STARTERS[name]
    with suite.tidied(), contextlib.closing(start(suite)) as contender:
        per_second(contender, first)  # while its workers start
        rate = per_second(contender, first)
        return per_second(contender, max(first, int(rate * suite.options.seconds)))


def idle_memory(suite: Suite, start: Callable[[Suite], Ours | CeleryRival]) -> float:
    with suite.tidied(), contextlib.closing(start(suite)) as contender:
        per_second(contender, 100)
        return contender.memory_mib()


def run(suite: Suite) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:CORES])  # children inherit it
    try:
        names = present(suite, list(STARTERS))
        suite.in_turns([Row(name, "tasks/s", partial(measured, suite, name)) for name in names])
        suite.wanted += task_ratios(suite)
        memory = [Row(OUR_MEMORY, "MiB", lambda: idle_memory(suite, Ours))]
        for name in present(suite, [CELERY_MEMORY]):
            memory.append(Row(name, "MiB", lambda: idle_memory(suite, celery_prefork)))
        suite.in_turns(memory)
        suite.wanted.append(Ratio(OUR_MEMORY, CELERY_MEMORY, 1.0, below=True))
    finally:
        os.sched_setaffinity(0, allowed)
    suite.settings |= {name: text for name, text in SETTINGS.items() if not missing(name)}


def task_ratios(suite: Suite) -> list[Ratio]:
    """The aim is against the better of Celery's two."""
    celery = [name for name in (CELERY_REDIS, CELERY_RABBITMQ) if name in suite.results]
    celery.sort(key=lambda name: float(suite.results[name]["median"]), reverse=True)
    ratios = [Ratio(OURS, name, 20.0 if name == celery[0] else None) for name in celery]
    return [*ratios, Ratio(OURS, RQ, 30.0), Ratio(OURS, BULLMQ, 3.0)]
