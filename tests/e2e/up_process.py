"""`headrace up` for the tests: a folder with a configuration and a small server of its own, the running
process, its output, and every process that belongs to it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 60.0

# Any server: it takes its socket from LISTEN_FDS, answers with what it saw, and tells its supervisor nothing.
SERVER = """
import http.server, json, os, signal, socket, socketserver, subprocess, sys
assert os.environ["LISTEN_FDS"] == "1" and int(os.environ["LISTEN_PID"]) == os.getpid()
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "daemon" in sys.argv:  # somebody who leaves the process group and is nobody's child
    subprocess.Popen(["sh", "-c", "setsid sleep 1000 & exit 0"]).wait()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"pid": os.getpid(), "path": self.path, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, text, *values):
        print("saw", self.path, "\\x1b[31mred", flush=True)
    def address_string(self):
        return "unix"
class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    def __init__(self):
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=3)
    def get_request(self):
        return self.socket.accept()[0], ("unix", 0)
Server().serve_forever()
"""


def binary() -> pathlib.Path:
    named = os.environ.get("HEADRACE_BIN")
    kinds = [ROOT / "build" / kind / "headrace" for kind in ("release", "dev")]
    for candidate in [pathlib.Path(named)] if named else kinds:
        if candidate.exists():
            return candidate.resolve()
    raise FileNotFoundError("no headrace binary; build it first")


def wait_for(what: str, found: Callable[[], object], seconds: float = READY_WITHIN_S) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(0.02)


@dataclass
class Place:
    """A folder with headrace.toml, and how `up` is started there."""

    folder: pathlib.Path

    @property
    def state(self) -> pathlib.Path:
        return self.folder / ".headrace"

    @property
    def output(self) -> pathlib.Path:
        return self.folder / "output"

    @property
    def said(self) -> str:
        return self.output.read_text()

    def command(self, *more: str) -> list[str]:
        flags = [flag for flag in ("--http", "--https") if flag not in more]
        ports = [word for flag in flags for word in (flag, "127.0.0.1:0")]
        ready = ["--ready-file", str(self.folder / "ready.json")]
        return [str(binary()), "up", "--config", str(self.folder / "headrace.toml"), *ports, *ready, *more]

    def refused(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Of an `up` that ends by itself."""
        return subprocess.run(self.command(*more), capture_output=True, text=True, timeout=60, check=False)

    def start(self, *before: str) -> Up:
        (self.folder / "ready.json").unlink(missing_ok=True)
        with self.output.open("wb") as output:
            process = subprocess.Popen([*before, *self.command()], stdout=output, stderr=output)
        return Up(self, process)

    def processes(self) -> dict[int, str]:
        """Everything that was told of this state folder or has a file of it open: pid -> command line."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid() and self._is_ours(entry):
                with contextlib.suppress(OSError):
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        return found

    def _is_ours(self, process: pathlib.Path) -> bool:
        try:
            if f"HEADRACE_STATE={self.state}\0".encode() in (process / "environ").read_bytes():
                return True
            if "nginx" not in (process / "comm").read_text():  # it writes its title over its environment
                return False
            files = [os.readlink(file) for file in (process / "fd").iterdir()]
        except OSError:
            return False
        return any(file.startswith(str(self.state)) for file in files)


@dataclass
class Up:
    place: Place
    process: subprocess.Popen[bytes]

    def wait_until_ready(self) -> Up:
        def ready() -> bool:
            assert self.process.poll() is None, self.place.said
            return (self.place.folder / "ready.json").exists()

        wait_for("ready", ready)
        return self

    def ready(self) -> dict[str, str]:
        told: dict[str, str] = json.loads((self.place.folder / "ready.json").read_text())
        return told

    def stop(self, asked: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(asked)
        return self.process.wait(timeout=STOP_WITHIN_S)

    def pid(self, role: str) -> int:
        """Of its latest process."""
        return int(re.findall(rf"up\.started role={role} pid=(\d+)", self.place.said)[-1])

    def curl(self, path: str, *more: str, scheme: str = "https") -> str:
        done = subprocess.run(
            ["curl", "-sSk", "--max-time", "30", *more, self.ready()[scheme] + path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr + self.place.said
        return done.stdout


@contextlib.contextmanager
def a_place(*, web: str = "", more: str = "") -> Iterator[Place]:
    """`web` is the server's arguments; "" without one there is no web role."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hr-up-"))
    (folder / "server.py").write_text(SERVER)
    text = '[app]\nname = "probe"\n[store]\nlisten = "127.0.0.1:0"\n'
    if web:
        words = json.dumps([sys.executable, str(folder / "server.py"), *web.split()])
        text += f"[web]\ncommand = {words}\n"
    (folder / "headrace.toml").write_text(text + more)
    try:
        yield Place(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(*, web: str = "plain", more: str = "", before: tuple[str, ...] = ()) -> Iterator[Up]:
    with a_place(web=web, more=more) as place:
        up = place.start(*before)
        try:
            yield up.wait_until_ready()
        finally:
            if up.process.poll() is None:
                up.process.kill()
                up.process.wait(timeout=STOP_WITHIN_S)
            for pid in place.processes():
                with contextlib.suppress(ProcessLookupError):  # told to end when `up` did, and just gone
                    os.kill(pid, signal.SIGKILL)
