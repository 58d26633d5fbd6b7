"""A no-op task of RQ; `rq_tasks.py SOCKET work` runs them, `rq_tasks.py SOCKET COUNT` sends so many in
pipelines and prints when it began. The worker is RQ's fastest, which does not fork for each job; no results
are kept."""

from __future__ import annotations

import sys
import time

from redis import Redis  # type: ignore[import]
from rq import Queue, SimpleWorker

import run_counts

PIPELINE = 1000


def nothing(number: int) -> None:
    run_counts.one_more()


def send(queue: Queue, count: int) -> None:
    for first in range(0, count, PIPELINE):
        numbers = range(first, min(count, first + PIPELINE))
        queue.enqueue_many(
            [
                Queue.prepare_data("rq_tasks.nothing", (number,), result_ttl=0, description="nothing")
                for number in numbers
            ]
        )


if __name__ == "__main__":
    bench = Queue("bench", connection=Redis(unix_socket_path=sys.argv[1]))
    if sys.argv[2] == "work":
        SimpleWorker([bench], connection=bench.connection).work(logging_level="ERROR")
    else:
        print(time.perf_counter())
        send(bench, int(sys.argv[2]))
