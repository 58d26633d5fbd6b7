"""python -m headrace._child: the process in which a worker's tasks run. The worker's parent process speaks to
it over a socket: frames of a little-endian 32-bit length and a JSON object. One job at a time, in the main
thread; a second thread reads frames, so that the parent's end is noticed while a job runs."""

from __future__ import annotations

import asyncio
import contextvars
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
from types import TracebackType
from typing import Any, NoReturn

from headrace import _json, _native, _registry
from headrace._context import Context, Event, job, request_id, usable_request_id
from headrace._errors import GiveUp, Retry

FRAME_MAX = 64 << 20  # bytes
TRACEBACK_MAX = 32 << 10  # characters
MESSAGE_MAX = 8 << 10
LOG_MAX = 64 << 10

Frame = dict[str, Any]


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
        data = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(data) > FRAME_MAX:
            raise ValueError(f"{len(data)} bytes of JSON; at most {FRAME_MAX} can be handed to the worker")
        with self._lock:
            self._socket.sendall(struct.pack("<I", len(data)) + data)

    def receive(self) -> Frame | None:
        """The next frame; None at the end."""
        header = self._read(4)
        if header is None:
            return None
        (size,) = struct.unpack("<I", header)
        if size > FRAME_MAX:
            raise ValueError(f"a frame of {size} bytes; at most {FRAME_MAX} are read")
        data = self._read(size)
        return None if data is None else json.loads(data)

    def _read(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            piece = self._socket.recv(min(size - len(data), 1 << 20))
            if not piece:
                return None
            data += piece
        return bytes(data)


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


class StartError(Exception):
    """Why no job can run here. `file` and `line` are of the user's code, where it is to blame."""

    def __init__(self, message: str, file: str = "", line: int = 0, trace: str = "") -> None:
        super().__init__(message)
        self.frame: Frame = {
            "op": "failed_start",
            "message": message,
            "file": file,
            "line": line,
            "traceback": trace,
        }


def check_version() -> None:
    wanted = os.environ.get("HEADRACE_VERSION", _native.version)
    if wanted != _native.version:
        raise StartError(
            f"the package headrace of {sys.executable} is {_native.version}, the program is {wanted}: "
            f"run `headrace python install {sys.prefix}`"
        )


def blamed_place(error: BaseException) -> tuple[str, int]:
    """The line of user code to look at: of a syntax error, else the innermost one in the working folder."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in (__file__, importlib.__file__)
    ]
    root = os.getcwd() + os.sep
    ours = [frame for frame in frames if frame.filename.startswith(root)]
    ours = [frame for frame in ours if "site-packages" not in frame.filename]
    chosen = ours or frames
    return (chosen[-1].filename, chosen[-1].lineno or 0) if chosen else ("", 0)


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
    }


# ---- Running


def type_name(error: BaseException) -> str:
    kind = type(error)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE_MAX]
    except Exception:
        return "(the exception's own text failed)"


def trace_of(error: BaseException) -> str:
    """Without the frames of this file, which tell nothing about the handler."""
    trace: TracebackType | None = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))[-TRACEBACK_MAX:]


def failed_frame(identity: str, error: BaseException) -> Frame:
    return {
        "op": "failed",
        "id": identity,
        "type": type_name(error),
        "message": message_of(error),
        "traceback": trace_of(error),
        # Running a task again does not change the type of what it returns.
        "retry": not isinstance(error, (GiveUp, _json.NotJson)),
        "delay": error.delay if isinstance(error, Retry) else None,
    }


def call(spec: _registry.Spec, frame: Frame) -> Any:
    if frame.get("event") is not None:
        value = spec.fn(Event.from_json(frame["event"]))
    else:
        value = spec.fn(*frame["args"], **frame["kwargs"])
    if inspect.iscoroutine(value):
        value = asyncio.run(value)
    return value


def context_of(frame: Frame) -> Context:
    timeout = float(frame["timeout"])
    return Context(
        id=frame["id"],
        task=frame["task"],
        queue=frame["queue"],
        attempt=frame["attempt"],
        deadline=time.time() + timeout,
        request_id=usable_request_id(frame.get("request_id")),
        log=logging.getLogger(frame["task"]),
        _ends=time.monotonic() + timeout,
    )


def checked_result(frame: Frame, value: Any) -> Any:
    """NotJson or GiveUp when the value cannot be kept."""
    if not frame["keep_result"]:
        return None
    _json.check(value, f"the result of {frame['task']}")
    if (size := len(_json.dump(value).encode())) > FRAME_MAX - 4096:
        raise GiveUp(f"{frame['task']} returned {size} bytes of JSON; put it into a bucket, return its key")
    return value


def run_job(frame: Frame) -> Frame:
    """In a context of its own: what a handler sets in context variables ends with it."""
    running = context_of(frame)
    job.set(running)
    request_id.set(running.request_id)
    begin = time.monotonic()
    try:
        spec = _registry.find(frame["task"])
        if spec is None:
            raise GiveUp(f"no module of this pool declares the task {frame['task']}")
        value = checked_result(frame, call(spec, frame))
    except BaseException as error:  # SystemExit too: a handler does not end the child by it
        return failed_frame(frame["id"], error)
    return {"op": "done", "id": frame["id"], "result": value, "seconds": round(time.monotonic() - begin, 6)}


def end_now() -> NoReturn:
    """The parent is gone: nobody could take a result. What the job started ends too."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def read_frames(channel: Channel, inbox: queue.SimpleQueue[Frame]) -> None:
    while True:
        try:
            frame = channel.receive()
        except (OSError, ValueError) as error:
            sys.stderr.write(f"headrace._child: from the worker: {error}\n")
            frame = None
        if frame is None:
            end_now()
        inbox.put(frame)
        if frame["op"] == "stop":
            return


def serve(channel: Channel) -> None:
    inbox: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    threading.Thread(target=read_frames, args=(channel, inbox), name="headrace-channel", daemon=True).start()
    while (frame := inbox.get())["op"] != "stop":
        if frame["op"] == "run":
            channel.send(contextvars.copy_context().run(run_job, frame))


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when a child ends
    channel = Channel(int(named))
    try:
        prepare(channel)
    except StartError as error:
        channel.send(error.frame)
        return 2
    channel.send(ready_frame())
    serve(channel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
