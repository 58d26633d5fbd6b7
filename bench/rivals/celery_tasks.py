"""A no-op task of Celery, and `celery_tasks.py COUNT`, which sends so many and prints when it began.

Durable: the message is on the disk before apply_async returns, and a task is acknowledged once it has run.
All else as fast as it goes: no results, no events, no rate limits, many messages ahead, JSON. Celery has no
bulk send; several threads send, so that their messages share the broker's flushes.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from celery import Celery

import run_counts

SENDERS = 16
AHEAD = 64

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    task_default_queue="bench",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=AHEAD,
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    broker_heartbeat=0,
    broker_pool_limit=SENDERS,
    broker_transport_options={"confirm_publish": True} if "amqp" in os.environ["BENCH_BROKER"] else {},
)


@app.task(name="nothing")
def nothing(number: int) -> None:
    run_counts.one_more()


def send(numbers: range) -> None:
    with app.producer_or_acquire() as producer:
        for number in numbers:
            nothing.apply_async((number,), producer=producer)


if __name__ == "__main__":
    count = int(sys.argv[1])
    print(time.perf_counter())
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, [range(first, count, SENDERS) for first in range(SENDERS)]))
