"""The tasks and triggers that modules declare, by name: what a child tells its worker."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

ResultMode = Literal["auto", "keep", "none"]

TIMEOUT_MAX = 41_400.0  # seconds: SQS lets nobody hold a message for more than 12 hours
RETRIES_MAX = 1_000
BATCH_MAX = 1_000
NAME_MAX = 255  # bytes
QUEUE_MAX = 75  # its dead-letter queue is QUEUE-dead, and SQS allows 80


@dataclass(frozen=True)
class Trigger:
    """Which objects' events call a handler."""

    event: str
    bucket: str
    prefix: str
    suffix: str


@dataclass(frozen=True)
class Spec:
    """What a worker must know about a handler."""

    name: str
    queue: str
    retries: int
    backoff: float
    backoff_cap: float
    timeout: float
    keep_result: bool
    aliases: tuple[str, ...]
    fn: Callable[..., Any]
    trigger: Trigger | None = None
    soft_timeout: float | None = None
    consumer: bool = False  # of whatever its queue holds
    threads: bool = False  # a plain function that may run in a thread, beside others
    batch: int = 0  # messages that a consumer is called with at most; 0: one, not in a list

    @functools.cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(inspect.unwrap(self.fn))

    @functools.cached_property
    def beside(self) -> bool:
        """A child runs several of these at once."""
        return self.is_async or self.threads or self.batch > 0

    def place(self) -> str:
        code = getattr(inspect.unwrap(self.fn), "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(self.fn)


_specs: dict[str, Spec] = {}


def add(spec: Spec) -> None:
    """ValueError when another function has the name already."""
    for name in (spec.name, *spec.aliases):
        other = _specs.get(name)
        if other and other.place() != spec.place() and spec.fn.__module__ != "__main__":
            raise ValueError(
                f"two tasks are named {name}: {other.place()} and {spec.place()}; "
                "give one of them another name="
            )
    for name in (spec.name, *spec.aliases):
        _specs[name] = spec


def find(name: str) -> Spec | None:
    return _specs.get(name) or (CANARY if name == CANARY.name else None)


def all_specs() -> list[Spec]:
    """Each once, in the order declared."""
    return list({id(spec): spec for spec in _specs.values()}.values())


def name_of(fn: Callable[..., Any]) -> str:
    """module.function, by the name that a worker imports the module under."""
    module = fn.__module__
    if module == "__main__":
        loaded = getattr(sys.modules.get("__main__"), "__spec__", None)
        module = loaded.name if loaded else module
    if "<locals>" in fn.__qualname__ or "<lambda>" in fn.__qualname__:
        raise ValueError(
            f"{fn.__qualname__} is defined inside a function, so no worker can import it; move it to the "
            "module's top level, or give it a name= and declare it when the worker imports the module"
        )
    return f"{module}.{fn.__qualname__}"


def keeps_result(fn: Callable[..., Any], mode: ResultMode) -> bool:
    """auto: unless the annotation says that there is nothing to keep."""
    if mode not in ("auto", "keep", "none"):
        raise ValueError(f'result={mode!r} is not known; it is "auto", "keep" or "none"')
    if mode != "auto":
        return mode == "keep"
    annotation = inspect.signature(fn).return_annotation
    return annotation is not None and annotation != "None"


def check(spec: Spec) -> Spec:
    """ValueError names the option that is out of its bounds."""
    bounds: list[tuple[str, float, float, float]] = [
        ("retries", spec.retries, 0, RETRIES_MAX),
        ("backoff", spec.backoff, 0, 43_200),
        ("backoff_cap", spec.backoff_cap, 0, 43_200),
        ("timeout", spec.timeout, 0.001, TIMEOUT_MAX),
    ]
    for option, value, least, most in bounds:
        if not least <= value <= most:
            raise ValueError(f"{option}={value:g} of task {spec.name} must be from {least:g} to {most:g}")
    if spec.soft_timeout is not None and not 0 < spec.soft_timeout < spec.timeout:
        raise ValueError(
            f"soft_timeout={spec.soft_timeout:g} of task {spec.name} must be more than 0 and less than its "
            f"timeout, {spec.timeout:g}"
        )
    if spec.threads and spec.is_async:
        raise ValueError(f"threads= of task {spec.name} is for plain functions; an async one needs none")
    if not 0 <= spec.batch <= BATCH_MAX:
        raise ValueError(f"batch={spec.batch} of task {spec.name} must be from 1 to {BATCH_MAX}")
    if spec.soft_timeout is not None and (spec.threads or spec.batch):
        raise ValueError(f"soft_timeout= of task {spec.name} is for functions that run alone")
    if spec.soft_timeout is not None and spec.is_async:
        raise ValueError(
            f"soft_timeout= of task {spec.name} is for plain functions; an async one is cancelled at its "
            "timeout"
        )
    for name in (spec.name, *spec.aliases):
        if not 0 < len(name.encode()) <= NAME_MAX or not name.isprintable():
            raise ValueError(f"the task name {name!r} must have 1 to {NAME_MAX} bytes, all printable")
    check_queue(spec.queue)
    return spec


def check_queue(queue: str) -> str:
    usable = queue.replace("-", "").replace("_", "")
    if not 0 < len(queue) <= QUEUE_MAX or not (usable.isascii() and usable.isalnum()):
        raise ValueError(
            f"the queue name {queue!r} must have 1 to {QUEUE_MAX} letters, digits, '-' and '_'; "
            "give another queue="
        )
    return queue


def _canary(mark: str) -> str:
    """What `headrace doctor` sends through every pool, to see that it comes back."""
    return mark


# No module declares it, and no worker announces it: it is part of the package.
CANARY = Spec(
    name="headrace.canary",
    queue="default",
    retries=0,
    backoff=1.0,
    backoff_cap=1.0,
    timeout=30.0,
    keep_result=True,
    aliases=(),
    fn=_canary,
)
