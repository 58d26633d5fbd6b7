"""@headrace.task and @headrace.on: plain functions become tasks, which stay callable and can be sent."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
import math
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, overload

from headrace import _json, _registry
from headrace._context import Event, request_id, usable_request_id
from headrace._errors import NotFound, ServiceError
from headrace._jobs import Job
from headrace._registry import ResultMode, Spec, Trigger
from headrace._services import Services, services

P = ParamSpec("P")
R = TypeVar("R")

BODY_IN_MESSAGE_MAX = 48 << 10  # bytes; SQS bills a message by 64 KB
BODY_MAX = 60 << 20  # bytes of arguments: as much as a worker takes
DELAY_MAX = 900  # seconds, SQS's own
BATCH_MAX = 10  # messages, SQS's own


@dataclass(frozen=True)
class Options:
    """What one sending differs in from the task's declaration."""

    delay: int = 0
    id: str | None = None
    queue: str | None = None


class Task(Generic[P, R]):
    """A function that can be called here or sent to a worker."""

    def __init__(self, fn: Callable[P, R], spec: Spec, options: Options | None = None) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.spec = spec
        self.options = options or Options()

    @property
    def name(self) -> str:
        return self.spec.name

    def __repr__(self) -> str:
        return f"<headrace task {self.spec.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the function here and now."""
        return self.fn(*args, **kwargs)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Sends the call to a worker. When this returns, the job is on disk."""
        self._check_sendable()
        return self._send_one(services(), Call.of(self, args, kwargs))

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`delay` for async code."""
        return await asyncio.to_thread(self.delay, *args, **kwargs)

    def many(self, calls: Iterable[Sequence[Any] | Mapping[str, Any]]) -> list[Job[R]]:
        """Sends many calls, ten to a request: each a sequence of arguments or a mapping of names."""
        self._check_sendable()
        if self.options.id:
            raise ValueError("using(id=) names one job; many() sends several")
        prepared = []
        for arguments in calls:
            named = isinstance(arguments, Mapping)
            prepared.append(
                Call.of(self, () if named else tuple(arguments), dict(arguments) if named else {})
            )
        to = services()
        jobs: list[Job[R]] = []
        for start in range(0, len(prepared), BATCH_MAX):
            jobs += self._send_batch(to, prepared[start : start + BATCH_MAX], len(prepared), start)
        return jobs

    def using(self, *, delay: float = 0, id: str | None = None, queue: str | None = None) -> Task[P, R]:
        """The same task, sent differently: `delay` in seconds before it may start, the job's `id` (a UUID),
        the `queue`."""
        if not 0 <= delay <= DELAY_MAX:
            raise ValueError(f"delay={delay:g} must be from 0 to {DELAY_MAX} seconds in this version")
        options = Options(
            delay=math.ceil(delay),
            id=str(uuid.UUID(id)) if id else None,
            queue=_registry.check_queue(queue) if queue else None,
        )
        return Task(self.fn, self.spec, options)

    # ---- Sending

    @property
    def _queue(self) -> str:
        return self.options.queue or self.spec.queue

    def _check_sendable(self) -> None:
        if self.spec.trigger:
            source = f"s3://{self.spec.trigger.bucket}"
            raise TypeError(f"{self.name} is called by events of {source}; it cannot be sent")
        if self.name.startswith("__main__."):
            raise ValueError(
                f"{self.name} is declared in the script that runs, which no worker imports; "
                "move it to a module"
            )

    def _send_one(self, to: Services, call: Call) -> Job[R]:
        members = {"MessageBody": call.message(to)} | self._delay_member()

        def send(url: str) -> None:
            to.sqs("SendMessage", {"QueueUrl": url} | members, [("x-headrace-dedup-id", call.id)])

        self._to_queue(to, send)
        return Job(call.id, keeps_result=self.spec.keep_result)

    def _send_batch(self, to: Services, calls: list[Call], total: int, before: int) -> list[Job[R]]:
        entries = [
            {"Id": str(index), "MessageBody": call.message(to)} | self._delay_member()
            for index, call in enumerate(calls)
        ]
        failed: list[dict[str, Any]] = []

        def send(url: str) -> None:
            failed[:] = to.sqs("SendMessageBatch", {"QueueUrl": url, "Entries": entries}).get("Failed", [])

        try:
            self._to_queue(to, send)
        except Exception as error:
            error.add_note(f"{before} of {total} jobs of {self.name} had been sent before this")
            raise
        if failed:
            first = failed[0]
            raise ServiceError(
                str(first.get("Code", "Unknown")),
                200,
                f"{len(failed)} of jobs {before + 1} to {before + len(calls)} of {total} were not sent, and "
                f"none after them: {first.get('Message', '')}",
            )
        return [Job(call.id, keeps_result=self.spec.keep_result) for call in calls]

    def _delay_member(self) -> dict[str, int]:
        return {"DelaySeconds": self.options.delay} if self.options.delay else {}

    def _to_queue(self, to: Services, send: Callable[[str], None]) -> None:
        """A queue that was made anew may have another URL than the one remembered."""
        try:
            send(to.queue_url(self._queue))
        except NotFound:
            to.forget_queue(self._queue)
            send(to.queue_url(self._queue))


@dataclass(frozen=True)
class Call:
    """One sending: the job's id and its envelope."""

    id: str
    envelope: Mapping[str, Any]

    @classmethod
    def of(cls, task: Task[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """TypeError, as a call of the function would, where the arguments do not fit it."""
        bound = _signature(task.fn).bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            _json.check(value, f"the argument {name} of {task.name}")
        sent = time.time_ns() // 1_000_000
        identity = task.options.id or job_id(sent)
        delay = task.options.delay
        current = usable_request_id(request_id.get())
        return cls(
            identity,
            {
                "headrace": 1,
                "id": identity,
                "task": task.name,
                "args": list(args),
                "kwargs": dict(kwargs),
                "sent": sent,
                "not_before": sent + 1000 * delay if delay else None,
                "expires": None,
                "attempt": 0,
                "keep_result": task.spec.keep_result,
                "once": False,
                "flow": None,
                "trace": {"request_id": current},
                "body": None,
            },
        )

    def message(self, to: Services) -> str:
        """The envelope's text. Large arguments are put into the bucket first, and the envelope names them."""
        text = _json.dump(self.envelope)
        if len(text.encode()) <= BODY_IN_MESSAGE_MAX:
            return text
        body = _json.dump({"args": self.envelope["args"], "kwargs": self.envelope["kwargs"]}).encode()
        if len(body) > BODY_MAX:
            raise ValueError(
                f"the arguments of {self.envelope['task']} have {len(body)} bytes of JSON, more than "
                f"{BODY_MAX}; put them into a headrace.Bucket and send the key"
            )
        key = f"body/{self.id}"
        to.s3("PUT", to.settings.bucket, key, headers=[("content-type", "application/json")], body=body)
        reference = {"key": key, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        return _json.dump({**self.envelope, "args": None, "kwargs": None, "body": reference})


@functools.lru_cache(maxsize=4096)
def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(fn)


def job_id(now_ms: int) -> str:
    """UUID version 7 (RFC 9562): ids sort by time."""
    random_bits = int.from_bytes(os.urandom(10))
    value = (now_ms & (1 << 48) - 1) << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def declare(fn: Callable[P, R], spec: Spec) -> Task[P, R]:
    _registry.add(_registry.check(spec))
    return Task(fn, spec)


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]:
    ...


@overload
def task(
    *,
    name: str | None = None,
    aliases: Sequence[str] = (),
    queue: str = "default",
    retries: int = 5,
    backoff: float = 1.0,
    backoff_cap: float = 600.0,
    timeout: float = 300.0,
    result: ResultMode = "auto",
) -> Callable[[Callable[P, R]], Task[P, R]]:
    ...


def task(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    aliases: Sequence[str] = (),
    queue: str = "default",
    retries: int = 5,
    backoff: float = 1.0,
    backoff_cap: float = 600.0,
    timeout: float = 300.0,
    result: ResultMode = "auto",
) -> Any:
    """Makes a task of a function.

    A job that raises runs again up to `retries` times, after `backoff` seconds that double each time up to
    `backoff_cap` and are drawn at random below that. After `timeout` seconds an attempt is killed. The return
    value is kept ("auto") unless the function is annotated to return None. `aliases` are former names.
    """

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        return declare(
            function,
            Spec(
                name=name or _registry.name_of(function),
                queue=queue,
                retries=retries,
                backoff=float(backoff),
                backoff_cap=float(backoff_cap),
                timeout=float(timeout),
                keep_result=_registry.keeps_result(function, result),
                aliases=tuple(aliases),
                fn=function,
            ),
        )

    return decorate if fn is None else decorate(fn)


def on(
    event: str,
    *,
    bucket: str,
    prefix: str = "",
    suffix: str = "",
    name: str | None = None,
    queue: str | None = None,
    retries: int = 5,
    backoff: float = 1.0,
    backoff_cap: float = 600.0,
    timeout: float = 300.0,
    result: ResultMode = "auto",
) -> Callable[[Callable[[Event], R]], Task[[Event], R]]:
    """Calls the function with a headrace.Event for each event of that kind ("s3:ObjectCreated:*") on the
    bucket's objects whose key has the prefix and suffix. The worker makes the bucket, a queue (on-NAME unless
    given) and the notification between them."""
    if not event.startswith("s3:") or len(event) > 64:
        raise ValueError(f'the event {event!r} is not one of S3\'s, such as "s3:ObjectCreated:*"')
    if not bucket:
        raise ValueError("bucket= names the bucket whose events are handled")

    def decorate(function: Callable[[Event], R]) -> Task[[Event], R]:
        chosen = name or _registry.name_of(function)
        spec = Spec(
            name=chosen,
            queue=queue or "on-" + re.sub("[^A-Za-z0-9_]", "-", chosen),
            retries=retries,
            backoff=float(backoff),
            backoff_cap=float(backoff_cap),
            timeout=float(timeout),
            keep_result=_registry.keeps_result(function, result),
            aliases=(),
            fn=function,
            trigger=Trigger(event, bucket, prefix, suffix),
        )
        return declare(function, spec)

    return decorate
