"""python -m headrace._web: an application worker. `headrace web` prepares the environment and becomes it. The
native server reads requests without the interpreter's lock; threads take them one by one. The main thread
watches: signals, deadlines, the supervisor's watchdog."""

from __future__ import annotations

import contextvars
import faulthandler
import importlib
import inspect
import logging
import os
import queue
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from headrace import _native
from headrace._context import request_id
from headrace._trace import below, traceparent
from headrace._logline import Handler, Log, flush_streams
from headrace._start import StartError, blamed_place, check_version, message_of, type_name
from headrace._wsgi import Answering, Application, FileWrapper

PING = "/_headrace/ping"
READY_WITHIN = 10.0  # seconds, for the own answer
EXIT_WITHIN = 5.0  # after the last request: for what the application runs at exit
SILENCE_MAX = 5.0  # of the native loop, which turns once a second at least
USABLE_ID = re.compile(r"[A-Za-z0-9-]{8,64}\Z")


@dataclass(frozen=True)
class Settings:
    descriptor: int
    app: str
    threads: int
    timeout: float

    @classmethod
    def from_environment(cls) -> Settings:
        """Taken out of it: what the application starts must not find our socket."""
        try:
            settings = cls(
                descriptor=int(os.environ.pop("HEADRACE_WEB_FD")),
                app=os.environ.pop("HEADRACE_APP"),
                threads=int(os.environ.pop("HEADRACE_THREADS")),
                timeout=int(os.environ.pop("HEADRACE_TIMEOUT_MS")) / 1000,
            )
        except (KeyError, ValueError):
            raise StartError("headrace._web is started by `headrace web`, with HEADRACE_WEB_FD") from None
        os.set_inheritable(settings.descriptor, False)
        return settings


# ---- The application


def load(name: str) -> Application:
    module_name, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
            raise StartError(
                f'web.app is "{name}", and there is no module {error.name}: {os.getcwd()} has none, nor has '
                f"{sys.executable}"
            ) from None
        file, line = blamed_place(error)
        raise StartError(
            f'web.app is "{name}", and importing {module_name} failed at {file}:{line}: '
            f"{type_name(error)}: {message_of(error)}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise StartError(f'web.app is "{name}", and {module_name} has no {attribute}')
        found = getattr(found, part)
    if not callable(found):
        raise StartError(f'web.app is "{name}", which is {type_name_of(found)} and cannot be called')
    if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(getattr(found, "__call__", None)):
        raise StartError(f'web.app is "{name}", an ASGI application: this version serves WSGI')
    application: Application = found
    return application


def type_name_of(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def base_environ(settings: Settings) -> dict[str, Any]:
    return {
        "SERVER_SOFTWARE": f"headrace/{_native.version}",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": settings.threads > 1,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }


# ---- Requests


@dataclass(frozen=True)
class Running:
    request: _native.Request
    id: str
    path: str
    begin: float


class Worker(threading.Thread):
    """Answers one request after the other, until the server has no more."""

    def __init__(self, number: int, server: _native.HttpServer, application: Application, log: Log) -> None:
        super().__init__(name=f"headrace-web-{number}", daemon=True)
        self.running: Running | None = None
        self.expired = False
        self._server = server
        self._application = application
        self._log = log

    def run(self) -> None:
        base = contextvars.copy_context()
        while (request := self._server.next()) is not None:
            # What the application sets in context variables ends with its request.
            base.copy().run(self._serve, request)

    def _serve(self, request: _native.Request) -> None:
        begin = time.monotonic()
        environ = request.environ()
        told = environ.get("HTTP_X_REQUEST_ID", "")
        identity = told if USABLE_ID.match(told) else os.urandom(16).hex()
        environ["HTTP_X_REQUEST_ID"] = identity
        request_id.set(identity)
        traceparent.set(below(environ.get("HTTP_TRACEPARENT")))
        ping = request.path == PING
        self.running = Running(request, identity, request.path, begin)
        try:
            Answering(request).run(pong if ping else self._application, environ)
        except BaseException as error:  # SystemExit too: a request does not end the process by it
            self._failed(request, identity, error)
        finally:
            self._end(request, identity)
        if not ping:
            self._log(
                "info",
                "request",
                request=identity,
                method=request.method,
                path=request.path,
                status=request.status,
                seconds=time.monotonic() - begin,
            )

    def _failed(self, request: _native.Request, identity: str, error: BaseException) -> None:
        if request.broken:
            self._log(
                "info", "request_aborted", request=identity, path=request.path, reason=message_of(error)
            )
            return
        refusal = request.body_refusal
        if refusal is None or not isinstance(error, (OSError, ValueError)):
            refusal = (500, f"Internal Server Error\nrequest id: {identity}")
            self._log(
                "error",
                "request_failed",
                traceback_of(error),
                request=identity,
                method=request.method,
                path=request.path,
                error=f"{type_name(error)}: {message_of(error)}",
            )
        if not request.sent:
            try:
                request.refuse(*refusal)
            except OSError:
                pass  # the peer is gone too

    def _end(self, request: _native.Request, identity: str) -> None:
        try:
            request.finish()
        except RuntimeError as error:
            self._log("error", "request_kept", request=identity, path=request.path, reason=message_of(error))
        self.running = None
        if request.ended and (request.missing or request.excess):
            self._log(
                "warning",
                "answer_length_wrong",
                request=identity,
                path=request.path,
                missing=request.missing,
                excess=request.excess,
            )


def pong(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"pong {os.getpid()}\n".encode()]


def traceback_of(error: BaseException) -> list[str]:
    """Without the frames of this package, which tell nothing about the application."""
    package = os.path.dirname(__file__) + os.sep
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename.startswith(package):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).splitlines()


# ---- The supervisor


class Supervisor:
    """systemd's protocol, or that of `headrace up`: datagrams to NOTIFY_SOCKET. Nobody may be there."""

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        period = os.environ.pop("WATCHDOG_USEC", "")
        watched = os.environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog = int(period) / 1e6 if period.isdigit() and watched else None

    def tell(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(1.0)
                out.sendto(state.encode(), self._address)
        except OSError:
            pass  # who does not listen does not wait either


def ask_oneself(descriptor: int) -> None:
    """Sends a request through the own socket, and waits for the answer. Another process that shares the
    socket may take it: then again."""
    with socket.socket(fileno=os.dup(descriptor)) as listening:
        family, address = listening.family, listening.getsockname()
    wanted = f"pong {os.getpid()}\n".encode()
    deadline = time.monotonic() + READY_WITHIN
    answer = b""
    while time.monotonic() < deadline:
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
            asking.settimeout(max(0.1, deadline - time.monotonic()))
            asking.connect(address)
            asking.sendall(f"GET {PING} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: asking.recv(4096), b""))
        if answer.endswith(wanted):
            return
        time.sleep(0.02)
    raise OSError(f"the server does not answer itself: {answer[:100]!r}")


# ---- The main thread


@dataclass
class Host:
    settings: Settings
    server: _native.HttpServer
    workers: list[Worker]
    supervisor: Supervisor
    log: Log
    events: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    stop_by: float | None = None
    loop_failure: str = ""

    def start(self) -> None:
        threading.Thread(target=self._loop, name="headrace-web-loop", daemon=True).start()
        for worker in self.workers:
            worker.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)

    def _loop(self) -> None:
        try:
            self.server.run()
        except Exception as error:
            self.loop_failure = message_of(error)
            self.events.put("loop")

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.events.put(signal.Signals(number).name)

    def watch(self) -> int:
        """Until the end; an exit code."""
        tick = min(1.0, self.settings.timeout / 4, (self.supervisor.watchdog or 60.0) / 4)
        next_watchdog = 0.0
        while self._serving():
            try:
                event = self.events.get(timeout=tick if self.stop_by is None else 0.02)
            except queue.Empty:
                event = ""
            if event == "loop":
                self.log("error", "web_loop_failed", reason=self.loop_failure)
                return 1
            if event:
                self._stop(event)
            self._tell_refused()
            now = time.monotonic()
            self._expire(now)
            if self.stop_by is not None and now >= self.stop_by:
                self._give_up()
                return 1
            if self.supervisor.watchdog and now >= next_watchdog and self.server.silence() < SILENCE_MAX:
                self.supervisor.tell("WATCHDOG=1")
                next_watchdog = now + self.supervisor.watchdog / 3
        return 1 if any(worker.expired for worker in self.workers) else 0

    def _serving(self) -> bool:
        """Whether a thread is left that does or may do something for somebody."""
        return any(worker.is_alive() and not worker.expired for worker in self.workers)

    def _stop(self, reason: str) -> None:
        if self.stop_by is not None:
            return
        self.stop_by = time.monotonic() + self.settings.timeout
        self.server.stop()
        self.supervisor.tell("STOPPING=1")
        running = sum(worker.running is not None for worker in self.workers)
        self.log("info", "web_stopping", reason=reason, running=running)

    def _expire(self, now: float) -> None:
        for worker in self.workers:
            running = worker.running
            if running is None or worker.expired or now - running.begin < self.settings.timeout:
                continue
            worker.expired = True
            running.request.expire()
            frame = sys._current_frames().get(worker.ident or 0)
            self.log(
                "error",
                "request_timeout",
                "".join(traceback.format_stack(frame)).splitlines() if frame else [],
                request=running.id,
                path=running.path,
                seconds=now - running.begin,
            )
            self._stop("request_timeout")

    def _give_up(self) -> None:
        for worker in self.workers:
            if running := worker.running:
                self.log("error", "request_cut", request=running.id, path=running.path)

    def _tell_refused(self) -> None:
        refused, more = self.server.take_refused()
        for status, reason in refused:
            self.log("info", "request_refused", status=status, reason=reason)
        if more:
            self.log("info", "request_refused", more=more)


def prepare(log: Log) -> Host:
    settings = Settings.from_environment()
    check_version()
    supervisor = Supervisor()
    if sys.path[0] != os.getcwd():
        sys.path.insert(0, os.getcwd())
    application = load(settings.app)
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(Handler(log, request_id.get))
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
    server = _native.HttpServer(settings.descriptor, base_environ(settings))
    workers = [Worker(number + 1, server, application, log) for number in range(settings.threads)]
    return Host(settings, server, workers, supervisor, log)


def main() -> int:
    log = Log()
    try:
        host = prepare(log)
    except StartError as error:
        flush_streams()
        sys.stderr.write(f"headrace web: {error}\n")
        return 2
    host.start()
    try:
        ask_oneself(host.settings.descriptor)
    except OSError as error:
        log("error", "web_not_ready", reason=message_of(error))
        return 1
    log("info", "web_ready", app=host.settings.app, threads=host.settings.threads, pid=os.getpid())
    host.supervisor.tell("READY=1")
    code = host.watch()
    log("info", "web_ended", code=code)
    if code != 0:
        # Threads that nobody waits for any more: nothing of theirs may hold up the end.
        flush_streams()
        os._exit(code)
    faulthandler.dump_traceback_later(EXIT_WITHIN, exit=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
