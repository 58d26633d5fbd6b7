"""What runs now: the request or job that this code works for."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from headrace._trace import below

# Of the web request or job at hand; sends and writes carry it on. Set through `enter_request`.
request_id: ContextVar[str | None] = ContextVar("headrace_request_id", default=None)
job: ContextVar[Running | None] = ContextVar("headrace_job", default=None)

# Ids of jobs that run here and were cancelled.
cancelled_jobs: set[str] = set()

_USABLE = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


def usable_request_id(text: str | None) -> str | None:
    """The id as the store takes it, or None."""
    return text if text and _USABLE.match(text) else None


@dataclass(frozen=True)
class Context:
    """The job that runs. `attempt` counts from 1; `deadline` is Unix time in seconds."""

    id: str
    task: str
    queue: str
    attempt: int
    deadline: float
    request_id: str | None
    traceparent: str | None
    log: logging.Logger = field(repr=False, compare=False)
    _ends: float = field(repr=False, compare=False)

    @property
    def cancelled(self) -> bool:
        """Whether somebody has cancelled this job: it should end, and is made to some seconds later."""
        return self.id in cancelled_jobs

    def remaining(self) -> float:
        """Seconds until the task's timeout ends this attempt; never negative."""
        return max(0.0, self._ends - time.monotonic())


class Running:
    """The job at hand, by the frame that told it. What its handler can ask for is made when it asks."""

    __slots__ = ("_context", "_ends", "_frame", "_wall", "traceparent")

    def __init__(self, frame: Mapping[str, Any], begin: float) -> None:
        """`begin`: by time.monotonic()."""
        self._frame = frame
        self._ends = begin + frame["timeout"]
        self._wall = time.time()
        self._context: Context | None = None
        told = frame.get("traceparent")
        self.traceparent = below(told) if told else None

    @property
    def task(self) -> str:
        return str(self._frame["task"])

    @property
    def cancelled(self) -> bool:
        return bool(cancelled_jobs) and self.id in cancelled_jobs

    @property
    def id(self) -> str:
        return str(self._frame["id"])

    def context(self) -> Context:
        if self._context is None:
            frame = self._frame
            self._context = Context(
                id=frame["id"],
                task=frame["task"],
                queue=frame["queue"],
                attempt=frame["attempt"],
                deadline=self._wall + frame["timeout"],
                request_id=usable_request_id(frame["request_id"]),
                traceparent=self.traceparent,
                log=logging.getLogger(frame["task"]),
                _ends=self._ends,
            )
        return self._context


@dataclass(frozen=True)
class Event:
    """Something happened to an object: what a handler of `@headrace.on` is called with."""

    bucket: str
    key: str
    size: int | None
    etag: str | None
    event_name: str
    sequencer: str | None
    time: datetime | None
    request_id: str | None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Event:
        at = value.get("time")
        return cls(
            bucket=str(value["bucket"]),
            key=str(value["key"]),
            size=value.get("size"),
            etag=value.get("etag"),
            event_name=str(value.get("event_name", "")),
            sequencer=value.get("sequencer"),
            time=datetime.fromisoformat(at) if at else None,
            request_id=value.get("request_id"),
        )


@dataclass(frozen=True)
class Message:
    """What a handler of `@headrace.consumer` is called with: a message as its sender wrote it."""

    id: str
    body: str
    attributes: Mapping[str, str]
    sent: datetime

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Message:
        return cls(
            id=str(value["id"]),
            body=str(value["body"]),
            attributes=dict(value["attributes"]),
            sent=datetime.fromtimestamp(value["sent"] / 1000, timezone.utc),
        )

    def json(self) -> Any:
        """The body as JSON. ValueError where it is none."""
        return json.loads(self.body)


def current() -> Context:
    """The job that this code runs for. RuntimeError outside of one."""
    found = job.get()
    if found is None:
        raise RuntimeError("headrace.current() answers only while a worker runs a task or an event's handler")
    return found.context()
