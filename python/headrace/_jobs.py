"""A sent job, and what became of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Generator, Iterator
from typing import Any, Generic, TypeVar

from headrace._errors import Cancelled, Conflict, NotFound, ResultTimeout, TaskError
from headrace._services import services

R = TypeVar("R")

POLL_FIRST = 0.02  # seconds
POLL_MOST = 0.5
POLL_GROWTH = 1.6


class Job(Generic[R]):
    """One sent task. `Job(id)` finds one that somebody else has sent."""

    def __init__(self, id: str, *, keeps_result: bool = True) -> None:
        self.id = id
        self._keeps_result = keeps_result

    def __repr__(self) -> str:
        return f"<headrace job {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def result(self, timeout: float | None = None) -> R:
        """Waits for the job's end and returns what its function returned. TaskError when it failed for good,
        ResultTimeout after `timeout` seconds."""
        self._check_kept()
        for pause in self._pauses(timeout):
            document = self._document()
            if document is not None:
                return self._value(document)
            time.sleep(pause)
        raise AssertionError("waiting ends by a result or an exception")

    def done(self) -> bool:
        """Whether the job has ended, well or not. Only jobs that keep their result can tell."""
        self._check_kept()
        return self._document() is not None

    def cancel(self) -> bool:
        """Asks that the job does not begin, or ends where it runs, on whatever host; False when it is known
        to have ended already. When this returns True the request is on disk; result() raises
        headrace.Cancelled once it was followed, or returns what the function did if that was faster."""
        if self._document() is not None:
            return False
        to = services()
        headers = [("content-type", "application/json"), ("if-none-match", "*")]
        body = json.dumps({"v": 1, "at": time.time_ns() // 1_000_000}).encode()
        try:
            to.s3("PUT", to.settings.bucket, f"cancel/{self.id}", headers=headers, body=body)
        except Conflict:
            pass  # somebody has asked before
        return True

    async def acancel(self) -> bool:
        """`cancel` for async code."""
        return await asyncio.to_thread(self.cancel)

    def __await__(self) -> Generator[Any, None, R]:
        return self._wait().__await__()

    async def _wait(self) -> R:
        self._check_kept()
        for pause in self._pauses(None):
            document = await asyncio.to_thread(self._document)
            if document is not None:
                return self._value(document)
            await asyncio.sleep(pause)
        raise AssertionError("waiting ends by a result or an exception")

    def _check_kept(self) -> None:
        if not self._keeps_result:
            raise ValueError(
                f"job {self.id} keeps no result, as its function is annotated to return None; declare the "
                'task with result="keep" to wait for it'
            )

    def _pauses(self, timeout: float | None) -> Iterator[float]:
        """How long to wait before looking again; ResultTimeout when there is no time left."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = POLL_FIRST
        while True:
            left = pause if deadline is None else deadline - time.monotonic()
            yield max(0.0, min(pause, left))
            if deadline is not None and time.monotonic() >= deadline and left <= 0:
                raise ResultTimeout(
                    f"job {self.id} has not ended within {timeout:g} s; it may still: "
                    f"`headrace jobs {self.id}` tells"
                )
            pause = min(pause * POLL_GROWTH, POLL_MOST)

    def _document(self) -> dict[str, Any] | None:
        to = services()
        try:
            return dict(json.loads(to.s3("GET", to.settings.bucket, f"result/{self.id}").body))
        except NotFound:
            return None

    def _value(self, document: dict[str, Any]) -> R:
        if document.get("state") == "done":
            value: R = document.get("result")  # type: ignore[assignment]
            return value
        if document.get("state") == "cancelled":
            raise Cancelled(self.id)
        error = document.get("error") or {}
        raise TaskError(
            self.id,
            str(error.get("type", "unknown")),
            str(error.get("message", "")),
            str(error.get("traceback", "")),
        )
