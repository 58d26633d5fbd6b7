"""Headrace: tasks, objects and web workers on SQS and S3.

    import headrace

    @headrace.task(queue="documents")
    def parse(bucket: str, key: str) -> dict: ...

    job = parse.delay("inbox", "a.pdf")      # to a worker
    job.result(timeout=30)                   # what it returned
"""

from __future__ import annotations

import sys as _sys

if "t" in getattr(_sys, "abiflags", ""):
    raise ImportError(
        "headrace does not run on free-threaded builds of Python (this is one); use a build with the GIL, "
        "such as python3.13 instead of python3.13t"
    )

# After the refusal above: such a build would fail to load the compiled module, with a less helpful error.
from headrace import _native  # noqa: E402
from headrace._bucket import Bucket, ObjectInfo  # noqa: E402
from headrace._context import Context, Event, Message, current  # noqa: E402
from headrace._errors import (  # noqa: E402
    Cancelled,
    Conflict,
    GiveUp,
    JobCancelled,
    NotFound,
    PartialFailure,
    ResultTimeout,
    Retry,
    ServiceError,
    SoftTimeLimit,
    TaskError,
    Timeout,
    Unavailable,
)
from headrace._jobs import Job  # noqa: E402
from headrace._queues import Depth, queues  # noqa: E402
from headrace._services import configure  # noqa: E402
from headrace._tasks import Task, consumer, on, task  # noqa: E402

__version__ = _native.version

__all__ = [
    "Bucket",
    "Cancelled",
    "Conflict",
    "Context",
    "Depth",
    "Event",
    "GiveUp",
    "Job",
    "JobCancelled",
    "Message",
    "NotFound",
    "ObjectInfo",
    "PartialFailure",
    "ResultTimeout",
    "Retry",
    "ServiceError",
    "SoftTimeLimit",
    "Task",
    "TaskError",
    "Timeout",
    "Unavailable",
    "configure",
    "consumer",
    "current",
    "on",
    "queues",
    "task",
]
