"""python -m headrace._child: the process in which a worker's tasks run. The worker's parent process speaks to
it over a socket: frames of a little-endian 32-bit length and a JSON object. One job at a time in the main
thread, or several async ones on its event loop; a second thread reads frames, so that the parent's end is
noticed while a job runs. Jobs that have come and not begun can be taken back by the parent: _native.begin()
tells."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextvars
import errno
import functools
import importlib
import inspect
import json
import logging
import os
import queue
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn

from headrace import _json, _native, _registry, _trace
from headrace._context import Event, Message, Running, cancelled_jobs, job, request_id, usable_request_id
from headrace._errors import GiveUp, JobCancelled, PartialFailure, Retry, SoftTimeLimit
from headrace._start import StartError, blamed_place, check_version, message_of, type_name

FRAME_MAX = 64 << 20  # bytes
STOP = b'{"op":"stop"}'  # always the last frame
RUN = b'{"op":"run"'  # how most frames begin
TRACEBACK_MAX = 32 << 10  # characters
LOG_MAX = 64 << 10

READ_MAX = 256 << 10

Frame = dict[str, Any]

_LENGTH = struct.Struct("<I")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Channel:
    """The socket to the parent. Frames may be sent from any thread."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)
        self._lock = threading.Lock()
        self.closed = False
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A process that a handler forks has no part in the conversation."""
        self.closed = True
        self._lock = threading.Lock()
        self._socket.close()

    def send(self, frame: Frame) -> None:
        self.send_text(_encode(frame))

    def send_text(self, text: str) -> None:
        """A frame that is JSON already."""
        data = text.encode("utf-8", "replace")
        if len(data) > FRAME_MAX:
            raise ValueError(f"{len(data)} bytes of JSON; at most {FRAME_MAX} can be handed to the worker")
        with self._lock:
            self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def frames(self) -> Iterator[list[bytearray]]:
        """Whole frames as they come, several at a time; ends with the parent."""
        data = bytearray()
        while piece := self._socket.recv(READ_MAX):
            data += piece
            whole = []
            begin = 0
            while len(data) - begin >= 4:
                (size,) = _LENGTH.unpack_from(data, begin)
                if size > FRAME_MAX:
                    raise ValueError(f"a frame of {size} bytes; at most {FRAME_MAX} are read")
                end = begin + 4 + size
                if len(data) < end:
                    break
                whole.append(data[begin + 4 : end])
                begin = end
            if whole:
                del data[:begin]
                yield whole


class FrameHandler(logging.Handler):
    """Log records as frames, so that the parent's log has them beside its own, with the job's id."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._channel.closed:
                sys.stderr.write(self.format(record) + "\n")
                return
            running = job.get()
            self._channel.send(
                {
                    "op": "log",
                    "id": running.id if running else None,
                    "level": record.levelname.lower(),
                    "logger": record.name,
                    "message": self.format(record)[:LOG_MAX],
                }
            )
        except OSError:
            pass  # the parent is gone, and with it whom to tell
        except Exception:
            self.handleError(record)


def capture_logging(channel: Channel) -> None:
    root = logging.getLogger()
    root.addHandler(FrameHandler(channel))
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


# ---- Starting


def import_modules(names: list[str]) -> None:
    option = f"worker.{os.environ.get('HEADRACE_POOL', 'default')}.modules"
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            file, line = blamed_place(error)
            trace = "".join(traceback.format_exception(error))[-TRACEBACK_MAX:]
            raise StartError(
                f"{option}: cannot import {name}: {type_name(error)}: {message_of(error)}", file, line, trace
            ) from error


def ready_frame() -> Frame:
    specs = _registry.all_specs()
    return {
        "op": "ready",
        "version": _native.version,
        "python": ".".join(map(str, sys.version_info[:3])),
        "tasks": [
            {
                "name": spec.name,
                "queue": spec.queue,
                "retries": spec.retries,
                "backoff": spec.backoff,
                "backoff_cap": spec.backoff_cap,
                "timeout": spec.timeout,
                "keep_result": spec.keep_result,
                "async": spec.beside,
                "aliases": list(spec.aliases),
            }
            for spec in specs
        ],
        "triggers": [
            {
                "task": spec.name,
                "event": spec.trigger.event,
                "bucket": spec.trigger.bucket,
                "prefix": spec.trigger.prefix,
                "suffix": spec.trigger.suffix,
                "queue": spec.queue,
            }
            for spec in specs
            if spec.trigger
        ],
        "consumers": [{"task": spec.name, "queue": spec.queue} for spec in specs if spec.consumer],
    }


# ---- Running


def trace_of(error: BaseException) -> str:
    """Without the frames of this file, which tell nothing about the handler."""
    trace: TracebackType | None = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))[-TRACEBACK_MAX:]


def failed_frame(identity: str, error: BaseException, seconds: float) -> Frame:
    return {
        "op": "failed",
        "id": identity,
        "seconds": round(seconds, 6),
        "type": type_name(error),
        "message": message_of(error),
        "traceback": trace_of(error),
        # Running a task again does not change the type of what it returns.
        "retry": not isinstance(error, (GiveUp, _json.NotJson)),
        "delay": error.delay if isinstance(error, Retry) else None,
        # Jobs before this one have kept what the next ones need.
        "tired": isinstance(error, OSError) and error.errno == errno.EMFILE,
    }


class SoftLimit:
    """Raises SoftTimeLimit in the main thread when the time of the block is over."""

    def __init__(self, spec: _registry.Spec) -> None:
        self._spec = spec
        self._inside = False

    def __enter__(self) -> None:
        self._inside = True
        signal.signal(signal.SIGALRM, self._over)
        signal.setitimer(signal.ITIMER_REAL, self._spec.soft_timeout or 0.0)

    def __exit__(self, *_: object) -> None:
        self._inside = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)

    def _over(self, number: int, stack: FrameType | None) -> None:
        if self._inside:
            limit = f"{self._spec.soft_timeout:g} s"
            raise SoftTimeLimit(f"{self._spec.name} ran longer than its soft limit, {limit}")


def raise_if_cancelled(number: int, stack: FrameType | None) -> None:
    """The handler of SIGINT, which the thread of Inbox sends to the main thread. Nobody else's SIGINT ends a
    child."""
    running = job.get()
    if running is not None and running.cancelled:
        raise JobCancelled(f"{running.task} was cancelled")


def cancel_plain(identity: str) -> None:
    if identity in cancelled_jobs:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def invoke(spec: _registry.Spec, frame: Frame) -> Any:
    given = frame.get("event")
    if given is not None:
        return spec.fn(Message.from_json(given) if spec.consumer else Event.from_json(given))
    return spec.fn(*frame["args"], **frame["kwargs"])


def call(spec: _registry.Spec, frame: Frame) -> Any:
    value = invoke(spec, frame)
    if value is not None and inspect.iscoroutine(value):  # of a plain function
        value = asyncio.run(value)
    return value


def result_text(frame: Frame, value: Any) -> str:
    """As JSON. NotJson or GiveUp when the value cannot be kept."""
    if not frame["keep_result"]:
        return "null"
    _json.check(value, f"the result of {frame['task']}")
    text = _json.dump(value)
    if (size := len(text.encode())) > FRAME_MAX - 4096:
        raise GiveUp(f"{frame['task']} returned {size} bytes of JSON; put it into a bucket, return its key")
    return text


def done_text(frame: Frame, value: Any, begin: float) -> str:
    text = result_text(frame, value)
    return f'{{"op":"done","id":"{frame["id"]}","seconds":{time.monotonic() - begin:.6f},"result":{text}}}'


def enter(frame: Frame, begin: float) -> _registry.Spec:
    """In a context of the job's own: what a handler sets in context variables ends with it."""
    running = Running(frame, begin)
    job.set(running)
    if known := usable_request_id(frame["request_id"]):
        request_id.set(known)
    if running.traceparent:
        _trace.traceparent.set(running.traceparent)
    if running.cancelled:
        raise JobCancelled(f"{frame['task']} was cancelled")
    spec = _registry.find(frame["task"])
    if spec is None:
        raise GiveUp(f"no module of this pool declares the task {frame['task']}")
    return spec


def run_job(frame: Frame) -> str:
    """The frame that tells how it ended."""
    begin = time.monotonic()
    try:
        spec = enter(frame, begin)
        if spec.soft_timeout is None:
            value = call(spec, frame)
        else:
            with SoftLimit(spec):
                value = call(spec, frame)
        return done_text(frame, value, begin)
    except BaseException as error:  # SystemExit too: a handler does not end the child by it
        return _encode(failed_frame(frame["id"], error, time.monotonic() - begin))


async def run_async_job(channel: Channel, frame: Frame) -> None:
    """The parent kills a child whose job is not over some seconds after its timeout."""
    begin = time.monotonic()
    limit = asyncio.timeout(float(frame["timeout"]))
    try:
        spec = enter(frame, begin)
        async with limit:
            value = await invoke(spec, frame)
        text = done_text(frame, value, begin)
    except BaseException as error:
        failed = failed_frame(frame["id"], error, time.monotonic() - begin)
        if limit.expired():
            message = f"it ran longer than {frame['timeout']:g} s and was cancelled"
            failed |= {"type": "TimeLimit", "message": message, "late": True}
        text = _encode(failed)
    channel.send_text(text)


def end_now() -> NoReturn:
    """The parent is gone: nobody could take a result. What the job started ends too."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


class Inbox:
    """Frames that have come, in order. Filled by a thread of its own."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._arrived: queue.SimpleQueue[list[bytearray]] = queue.SimpleQueue()
        self._next: collections.deque[Frame] = collections.deque()
        self.wake: Callable[[], object] = lambda: None  # called by that thread when there are more
        self.cancel: Callable[[str], object] = cancel_plain  # the same, with the id of a job
        threading.Thread(target=self._read, name="headrace-channel", daemon=True).start()

    def _read(self) -> None:
        try:
            for frames in self._channel.frames():
                arrived = [frame for frame in frames if frame.startswith(RUN) or not self._obey(frame)]
                if not arrived:
                    continue
                self._arrived.put(arrived)
                self.wake()
                if arrived[-1] == STOP:
                    return
        except (OSError, ValueError) as error:
            sys.stderr.write(f"headrace._child: from the worker: {error}\n")
        end_now()

    def _obey(self, text: bytearray) -> bool:
        """What is not in the row of jobs. False: it is none of that."""
        if text == STOP:
            return False
        order = json.loads(text)
        if order["op"] == "cancel":
            cancelled_jobs.add(order["id"])
            self.cancel(order["id"])
        elif order["op"] == "log_level":
            logging.getLogger().setLevel(order["level"])
        else:
            return False
        return True

    def wait(self) -> Frame:
        """The next frame, which stays."""
        while not self._next:
            self._next.extend(json.loads(b"[%b]" % b",".join(self._arrived.get())))
        return self._next[0]

    def peek(self) -> Frame | None:
        """The same, or None when there is none yet."""
        return self.wait() if self._next or not self._arrived.empty() else None

    def take(self) -> Frame:
        """The frame that was shown."""
        return self._next.popleft()


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """In the context of who asks. No thread can be ended from outside: at the timeout the parent kills."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads(), context.run, function, *arguments)


@functools.cache
def threads() -> concurrent.futures.Executor:
    return concurrent.futures.ThreadPoolExecutor(concurrency(), thread_name_prefix="headrace-job")


def concurrency() -> int:
    return int(os.environ.get("HEADRACE_CONCURRENCY", "100"))


async def run_thread_job(channel: Channel, frame: Frame) -> None:
    begin = time.monotonic()
    try:
        text = done_text(frame, await in_thread(call, enter(frame, begin), frame), begin)
    except BaseException as error:
        text = _encode(failed_frame(frame["id"], error, time.monotonic() - begin))
    channel.send_text(text)


async def run_batch(channel: Channel, frames: list[Frame]) -> None:
    """One call for all of them; each ends for itself. What is logged is logged for the first."""
    begin = time.monotonic()
    errors: dict[str, BaseException | str] = {}
    try:
        spec = enter(frames[0], begin)
        messages = [Message.from_json(frame["event"]) for frame in frames]
        if spec.is_async:
            await spec.fn(messages)
        else:
            await in_thread(spec.fn, messages)
    except PartialFailure as partial:
        errors = partial.errors
    except BaseException as error:
        errors = {frame["event"]["id"]: error for frame in frames}
    for frame in frames:
        why = errors.get(frame["event"]["id"])
        if why is None:
            channel.send_text(done_text(frame, None, begin))
            continue
        told = why if isinstance(why, BaseException) else RuntimeError(why)
        channel.send(failed_frame(frame["id"], told, time.monotonic() - begin))


async def run_beside(channel: Channel, spec: _registry.Spec, frames: list[Frame]) -> None:
    if spec.batch:
        await run_batch(channel, frames)
    elif spec.threads:
        await run_thread_job(channel, frames[0])
    else:
        await run_async_job(channel, frames[0])


def spec_of(frame: Frame) -> _registry.Spec | None:
    return _registry.find(frame["task"]) if frame["op"] == "run" else None


def rest_of_batch(inbox: Inbox, first: Frame, most: int) -> list[Frame]:
    """The next messages for the same consumer, as far as they have come."""
    found = [first]
    while len(found) < most and (frame := inbox.peek()) is not None and frame.get("task") == first["task"]:
        if _native.begin(inbox.take()["n"]):
            found.append(frame)
    return found


async def serve_async(channel: Channel, inbox: Inbox, at_once: int) -> None:
    """Runs jobs beside each other, on the loop or in threads, until none runs and none is next."""
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    inbox.wake = lambda: loop.call_soon_threadsafe(news.set)
    running: dict[asyncio.Task[None], list[Frame]] = {}
    loose: dict[str, asyncio.Task[None]] = {}  # those that can be cancelled without their process
    free = at_once

    def ended(task: asyncio.Task[None]) -> None:
        nonlocal free
        frames = running.pop(task)
        free += len(frames)
        for frame in frames:
            loose.pop(frame["id"], None)
            cancelled_jobs.discard(frame["id"])
        news.set()

    def cancel(identity: str) -> None:
        if (task := loose.get(identity)) is not None:
            task.cancel()

    inbox.cancel = lambda identity: loop.call_soon_threadsafe(cancel, identity)

    while True:
        news.clear()
        while free > 0 and (frame := inbox.peek()) is not None:
            spec = spec_of(frame)
            if spec is None or not spec.beside:
                break
            if not _native.begin(inbox.take()["n"]):
                continue
            frames = rest_of_batch(inbox, frame, min(spec.batch, free)) if spec.batch else [frame]
            task = loop.create_task(run_beside(channel, spec, frames))
            running[task] = frames
            free -= len(frames)
            if not spec.batch and not spec.threads:
                loose[frame["id"]] = task
            task.add_done_callback(ended)
        if not running:
            inbox.wake = lambda: None
            inbox.cancel = cancel_plain
            return
        await news.wait()


def serve(channel: Channel) -> None:
    inbox = Inbox(channel)
    at_once = concurrency()
    with asyncio.Runner() as runner:
        while (frame := inbox.wait())["op"] != "stop":
            spec = spec_of(frame)
            if spec is not None and spec.beside:
                runner.run(serve_async(channel, inbox, at_once))
            elif _native.begin(inbox.take()["n"]):
                channel.send_text(contextvars.copy_context().run(run_job, frame))
                cancelled_jobs.discard(frame["id"])


def prepare(channel: Channel) -> None:
    check_version()
    lease = os.environ.pop("HEADRACE_LEASE", "")
    if lease:
        os.set_inheritable(int(lease), False)
        _native.watch_lease(int(lease))
    if sys.path[0] != os.getcwd():
        sys.path.insert(0, os.getcwd())
    capture_logging(channel)
    import_modules([name for name in os.environ.get("HEADRACE_MODULES", "").split(",") if name])


def main() -> int:
    named = os.environ.pop("HEADRACE_CHANNEL", "")
    if not named.isdigit():
        sys.stderr.write("headrace._child is started by `headrace worker`, with HEADRACE_CHANNEL\n")
        return 2
    signal.signal(signal.SIGINT, raise_if_cancelled)  # the parent decides when a child ends
    channel = Channel(int(named))
    try:
        prepare(channel)
    except StartError as error:
        channel.send(error.frame)
        return 2
    channel.send(ready_frame())
    try:
        serve(channel)
    except (BrokenPipeError, ConnectionResetError):  # the channel's: a handler's own is caught below it
        end_now()
    return 0


if __name__ == "__main__":
    sys.exit(main())
