"""@headrace.task and @headrace.on: plain functions become tasks, which stay callable and can be sent."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
import json
import math
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, overload

from headrace import _json, _registry, _trace
from headrace._context import Event, request_id, usable_request_id
from headrace._errors import NotFound, ServiceError, Unavailable
from headrace._jobs import Job
from headrace._registry import ResultMode, Spec, Trigger
from headrace._services import Services, services

P = ParamSpec("P")
R = TypeVar("R")

BODY_IN_MESSAGE_MAX = 48 << 10  # bytes; SQS bills a message by 64 KB
BODY_MAX = 60 << 20  # bytes of arguments: as much as a worker takes
DELAY_IN_QUEUE_MAX = 900  # seconds, SQS's own; longer ones wait in the bucket
DELAY_MAX = 366 * 86_400  # seconds
SMALL = 1 << 53  # every reader of JSON takes smaller integers as they are
SEND_AGAIN_AFTER = 0.05  # seconds
EXPIRES_MAX = 1_209_600  # seconds: no message is kept longer than two weeks
BATCH_BYTES_MAX = 1 << 20  # of the messages of one request, SQS's own


@dataclass(frozen=True)
class Options:
    """What one sending differs in from the task's declaration."""

    delay: int = 0
    expires: float | None = None
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
        text = arguments_text(self, args, kwargs)
        to = services()
        to.queue_url(self._queue)  # NotFound; and its answer tells of a clock that is wrong
        at = Moment(to)
        (call,) = calls_of(self, [text], at)
        return self._send_one(to, call, at)

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`delay` for async code."""
        return await asyncio.to_thread(self.delay, *args, **kwargs)

    def many(self, calls: Iterable[Sequence[Any] | Mapping[str, Any]]) -> list[Job[R]]:
        """Sends many calls, as many to a request as the service takes: each a sequence of arguments or a
        mapping of names. All are checked before the first is sent."""
        self._check_sendable()
        if self.options.id:
            raise ValueError("using(id=) names one job; many() sends several")
        checked = [
            arguments_text(self, arguments, {})
            if type(arguments) is tuple
            else arguments_text(self, (), dict(arguments))
            if isinstance(arguments, Mapping)
            else arguments_text(self, tuple(arguments), {})
            for arguments in calls
        ]
        if not checked:
            return []
        to = services()
        to.queue_url(self._queue)  # its answer tells how large a batch may be, and of a clock that is wrong
        at = Moment(to)
        made = calls_of(self, checked, at)
        if self.options.delay > DELAY_IN_QUEUE_MAX:
            return [self._put_later(to, call, at) for call in made]
        jobs: list[Job[R]] = []
        for entries, their_jobs in self._batches(to, made):
            self._send_batch(to, entries, len(jobs), len(checked))
            jobs += their_jobs
        return jobs

    def using(
        self,
        *,
        delay: float = 0,
        expires: float | None = None,
        id: str | None = None,
        queue: str | None = None,
    ) -> Task[P, R]:
        """The same task, sent differently: `delay` in seconds before it may start (a year at most), `expires`
        in seconds after which it may not start any more, the job's `id` (a UUID), the `queue`."""
        if not 0 <= delay <= DELAY_MAX:
            raise ValueError(f"delay={delay:g} must be from 0 to {DELAY_MAX} seconds")
        if expires is not None and not delay < expires <= delay + EXPIRES_MAX:
            raise ValueError(f"expires={expires:g} must be more than the delay, by at most {EXPIRES_MAX} s")
        options = Options(
            delay=math.ceil(delay),
            expires=expires,
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
        if self.spec.consumer:
            queue = self.spec.queue
            raise TypeError(f"{self.name} is called with the messages of {queue}; it cannot be sent")
        if self.name.startswith("__main__."):
            raise ValueError(
                f"{self.name} is declared in the script that runs, which no worker imports; "
                "move it to a module"
            )

    def _send_one(self, to: Services, call: Call, at: Moment) -> Job[R]:
        if self.options.delay > DELAY_IN_QUEUE_MAX:
            return self._put_later(to, call, at)
        members = {"MessageBody": call.message(to)} | self._delay_member()

        def send(url: str) -> None:
            arguments = ("SendMessage", {"QueueUrl": url} | members, [("x-headrace-dedup-id", call.id)])
            try:
                to.sqs(*arguments)
            except Unavailable:  # whether it was done is not known
                if not to.knows_sends:
                    raise
                time.sleep(SEND_AGAIN_AFTER)  # under this id the store does it once
                to.sqs(*arguments)

        self._to_queue(to, send)
        return Job(call.id, keeps_result=self.spec.keep_result)

    def _put_later(self, to: Services, call: Call, at: Moment) -> Job[R]:
        """An object whose put is the send: workers send the message when its time is near."""
        due = at.ms + 1000 * self.options.delay
        minute = time.strftime("%Y%m%d%H%M", time.gmtime(due // 1000))
        later = {"v": 1, "queue": self._queue, "due": due, "message": call.message(to)}
        headers = [("content-type", "application/json")]
        body = json.dumps(later, ensure_ascii=False).encode()
        to.s3("PUT", to.settings.bucket, f"later/{minute}/{call.id}", headers=headers, body=body)
        return Job(call.id, keeps_result=self.spec.keep_result)

    def _batches(
        self, to: Services, calls: Iterable[Call]
    ) -> Iterator[tuple[list[dict[str, Any]], list[Job[R]]]]:
        """The entries of one request after the other, and their jobs."""
        delay, keep_result = self._delay_member(), self.spec.keep_result
        entries: list[dict[str, Any]] = []
        jobs: list[Job[R]] = []
        left = BATCH_BYTES_MAX
        for call in calls:
            if len(entries) >= to.batch_max:
                yield entries, jobs
                entries, jobs, left = [], [], BATCH_BYTES_MAX
            text = call.message(to)
            size = len(text) if text.isascii() else len(text.encode())
            if entries and size > left:
                yield entries, jobs
                entries, jobs, left = [], [], BATCH_BYTES_MAX
            entries.append({"Id": str(len(entries)), "MessageBody": text, **delay})
            jobs.append(Job(call.id, keeps_result=keep_result))
            left -= size
        yield entries, jobs

    def _send_batch(self, to: Services, entries: list[dict[str, Any]], before: int, total: int) -> None:
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
                f"{len(failed)} of jobs {before + 1} to {before + len(entries)} of {total} were not sent, "
                f"and none after them: {first.get('Message', '')}",
            )

    def _delay_member(self) -> dict[str, int]:
        return {"DelaySeconds": self.options.delay} if self.options.delay else {}

    def _to_queue(self, to: Services, send: Callable[[str], None]) -> None:
        """A queue that was made anew may have another URL than the one remembered."""
        try:
            send(to.queue_url(self._queue))
        except NotFound:
            to.forget_queue(self._queue)
            send(to.queue_url(self._queue))


class Moment:
    """When a call is sent, and on whose behalf."""

    def __init__(self, to: Services) -> None:
        self.ms = to.now_ms()
        parent = _trace.here()
        traced = f',"traceparent":"{parent}"' if parent else ""
        self.trace = f'{{"request_id":{json.dumps(usable_request_id(request_id.get()))}{traced}}}'


class Call:
    """One sending: the job's id, and its envelope in pieces of JSON. Made in great numbers: no dataclass."""

    __slots__ = ("args", "id", "kwargs", "tail", "task")

    def __init__(self, identity: str, task: str, args: str, kwargs: str, tail: str) -> None:
        self.id = identity
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.tail = tail

    def text(self, args: str, kwargs: str, body: str) -> str:
        return (
            f'{{"headrace":1,"id":"{self.id}","task":{_quoted(self.task)},"args":{args},"kwargs":{kwargs},'
            f'{self.tail},"body":{body}}}'
        )

    def message(self, to: Services) -> str:
        """The envelope's text. Large arguments are put into the bucket first, and the envelope names them."""
        text = self.text(self.args, self.kwargs, "null")
        if (len(text) if text.isascii() else len(text.encode())) <= BODY_IN_MESSAGE_MAX:
            return text
        body = f'{{"args":{self.args},"kwargs":{self.kwargs}}}'.encode()
        if len(body) > BODY_MAX:
            raise ValueError(
                f"the arguments of {self.task} have {len(body)} bytes of JSON, more than {BODY_MAX}; put "
                "them into a headrace.Bucket and send the key"
            )
        key = f"body/{self.id}"
        to.s3("PUT", to.settings.bucket, key, headers=[("content-type", "application/json")], body=body)
        reference = {"key": key, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        return self.text("null", "null", json.dumps(reference, separators=(",", ":")))


def arguments_text(task: Task[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
    """The arguments by position and by name, as JSON. TypeError, as a call of the function would, where they
    do not fit it."""
    names = None if kwargs else _plain_names(task.fn, len(args))
    if names is None:
        bound = _signature(task.fn).bind(*args, **kwargs).arguments
        for name, value in bound.items():
            _json.check(value, f"the argument {name} of {task.name}")
        return _json.dump(args), _json.dump(kwargs)
    texts = []
    for name, value in zip(names, args):
        kind = type(value)
        if kind is int and -SMALL < value < SMALL:
            texts.append(str(value))
            continue
        if kind is not str:
            _json.check(value, f"the argument {name} of {task.name}")
        texts.append(_json.dump(value))
    return f"[{','.join(texts)}]", "{}"


def calls_of(task: Task[Any, Any], arguments: Sequence[tuple[str, str]], at: Moment) -> Iterator[Call]:
    ids = [task.options.id] if task.options.id else job_ids(len(arguments), at.ms)
    tail = tail_of(task, at)
    for identity, (args, kwargs) in zip(ids, arguments):
        yield Call(identity, task.name, args, kwargs, tail)


def tail_of(task: Task[Any, Any], at: Moment) -> str:
    """What the envelopes of all calls that are sent at that moment have in common."""
    options = task.options
    not_before = at.ms + 1000 * options.delay if options.delay else "null"
    expires = "null" if options.expires is None else at.ms + round(1000 * options.expires)
    return (
        f'"sent":{at.ms},"not_before":{not_before},"expires":{expires},"attempt":0,'
        f'"keep_result":{"true" if task.spec.keep_result else "false"},"once":false,"flow":null,'
        f'"trace":{at.trace}'
    )


_quoted = functools.lru_cache(maxsize=4096)(_json.dump)


@functools.lru_cache(maxsize=4096)
def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(fn)


@functools.lru_cache(maxsize=4096)
def _plain_names(fn: Callable[..., Any], count: int) -> tuple[str, ...] | None:
    """The names of so many arguments by position; None when that needs a closer look."""
    parameters = list(_signature(fn).parameters.values())
    kinds = {parameter.kind for parameter in parameters}
    if kinds - {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        return None
    needed = sum(parameter.default is inspect.Parameter.empty for parameter in parameters)
    return tuple(p.name for p in parameters[:count]) if needed <= count <= len(parameters) else None


def job_ids(count: int, now_ms: int) -> Iterator[str]:
    """UUIDs version 7 (RFC 9562): ids sort by time."""
    stamp = f"{now_ms & (1 << 48) - 1:012x}"
    begin = f"{stamp[:8]}-{stamp[8:]}-7"
    random = os.urandom(10 * count).hex()
    for at in range(0, len(random), 20):
        variant = "89ab"[int(random[at + 3], 16) & 3]
        yield f"{begin}{random[at : at + 3]}-{variant}{random[at + 4 : at + 7]}-{random[at + 7 : at + 19]}"


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
    soft_timeout: float | None = None,
    threads: bool = False,
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
    soft_timeout: float | None = None,
    threads: bool = False,
    result: ResultMode = "auto",
) -> Any:
    """Makes a task of a function.

    A job that raises runs again up to `retries` times, after `backoff` seconds that double each time up to
    `backoff_cap` and are drawn at random below that. After `soft_timeout` seconds headrace.SoftTimeLimit is
    raised in the handler; after `timeout` seconds an attempt is killed. The return value is kept ("auto")
    unless the function is annotated to return None. `aliases` are former names. With `threads`, a plain
    function may run in a thread of its child, beside others of that kind, up to the pool's `concurrency`.
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
                soft_timeout=None if soft_timeout is None else float(soft_timeout),
                keep_result=_registry.keeps_result(function, result),
                aliases=tuple(aliases),
                fn=function,
                threads=threads,
            ),
        )

    return decorate if fn is None else decorate(fn)


def _trigger_queue(name: str) -> str:
    """The name, as far as a queue can carry it; a long one ends in a digest of the whole."""
    queue = "on-" + re.sub("[^A-Za-z0-9_]", "-", name)
    if len(queue) <= _registry.QUEUE_MAX:
        return queue
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{queue[: _registry.QUEUE_MAX - len(digest) - 1]}-{digest}"


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
    soft_timeout: float | None = None,
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
            queue=queue or _trigger_queue(chosen),
            retries=retries,
            backoff=float(backoff),
            backoff_cap=float(backoff_cap),
            timeout=float(timeout),
            soft_timeout=None if soft_timeout is None else float(soft_timeout),
            keep_result=_registry.keeps_result(function, result),
            aliases=(),
            fn=function,
            trigger=Trigger(event, bucket, prefix, suffix),
        )
        return declare(function, spec)

    return decorate


def consumer(
    *,
    queue: str,
    name: str | None = None,
    retries: int = 5,
    backoff: float = 1.0,
    backoff_cap: float = 600.0,
    timeout: float = 300.0,
    soft_timeout: float | None = None,
    threads: bool = False,
    batch: int = 0,
) -> Callable[[Callable[[Any], R]], Task[[Any], R]]:
    """Calls the function with a headrace.Message for each message of the queue, whoever sent it and whatever
    it holds. The queue is this function's alone; no result is kept. With `batch`, the function is called with
    a list of the messages that have come, as many at most; headrace.PartialFailure says which of them failed.
    """

    def decorate(function: Callable[[Any], R]) -> Task[[Any], R]:
        spec = Spec(
            name=name or _registry.name_of(function),
            queue=queue,
            retries=retries,
            backoff=float(backoff),
            backoff_cap=float(backoff_cap),
            timeout=float(timeout),
            soft_timeout=None if soft_timeout is None else float(soft_timeout),
            keep_result=False,
            aliases=(),
            fn=function,
            consumer=True,
            threads=threads,
            batch=batch,
        )
        return declare(function, spec)

    return decorate
