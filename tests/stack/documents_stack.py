"""The example's whole stack for tests: a copy of examples/documents with its own Python environment, state
folder and free ports, under `headrace up`; and clients that speak to it through nginx over TLS."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "documents"
SAMPLES = EXAMPLE / "documents"
PYTHON = "/usr/bin/python3"
READY_SECONDS = 60.0
STOP_SECONDS = 60.0


def binary() -> pathlib.Path:
    named = os.environ.get("HEADRACE_BIN")
    kinds = ("release", "dev")
    candidates = [pathlib.Path(named)] if named else [ROOT / "build" / kind / "headrace" for kind in kinds]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"no headrace binary at {', '.join(map(str, candidates))}: build it first")


def free_ports(count: int) -> list[int]:
    """All of them open at once, so that they differ."""
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in with_ports]
    for server in with_ports:
        server.close()
    return ports


def make_environment(folder: pathlib.Path) -> pathlib.Path:
    """A venv with this build's package, as a user makes one; the path of its Python."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    subprocess.run([binary(), "python", "install", folder], check=True, timeout=120)
    return folder / "bin" / "python"


def wait_for(what: str, seconds: float, found: Any) -> Any:
    """Returns what `found()` returns once that is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {seconds:g} s")
        time.sleep(0.05)
    return value


@dataclass
class Process:
    pid: int
    parent: int
    command: str

    @property
    def kind(self) -> str:
        """Which part of the stack it is."""
        for name, mark in KINDS:
            if re.search(mark, self.command):
                return name
        return "other"


KINDS = [
    ("up", r"headrace\S* up\b"),
    ("store", r"headrace\S* store\b"),
    ("api", r"headrace\S* api\b"),
    ("worker", r"headrace\S* worker\b"),
    ("child", r"headrace\._child\b"),
    ("web", r"headrace\._web\b|headrace\S* web\b"),
    ("nginx", r"nginx: master|nginx\b.*-c\b"),
    ("nginx worker", r"nginx: worker"),
]


class Stack:
    def __init__(
        self, folder: pathlib.Path, python: pathlib.Path, modules: str = "tasks", processes: int = 2
    ) -> None:
        self.folder = folder
        self.app = folder / "app"
        self.state = folder / "state"
        self.log = folder / "up.log"
        shutil.copytree(EXAMPLE, self.app, ignore=shutil.ignore_patterns(".headrace", "tests", "__pycache__"))
        self.store_port, self.http, self.https = free_ports(3)
        self.config = self.app / "headrace.toml"
        text = self.config.read_text()
        for old, new in [
            (r'python = ".*"', f'python = "{python}"'),
            (r'modules = \["tasks"\]', f'modules = ["{modules}"]'),
            (r'processes = ".*"', f'processes = "{processes}"'),
            (r'listen = ".*"', f'listen = "127.0.0.1:{self.store_port}"'),
            (r'http = ".*"', f'http = "127.0.0.1:{self.http}"'),
            (r'https = ".*"', f'https = "127.0.0.1:{self.https}"'),
        ]:
            text, count = re.subn(old, new, text)
            assert count == 1, f"headrace.toml of the example has no {old}"
        self.config.write_text(text)
        self.up: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https}"

    @property
    def certificate(self) -> pathlib.Path:
        return self.state / "tls" / "cert.pem"

    def start(self) -> None:
        """Returns when everything is ready."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        folders = ["--config", str(self.config), "--state", str(self.state), "--ready-file", str(ready)]
        with open(self.log, "ab") as log:
            self.up = subprocess.Popen(
                [binary(), "up", *folders], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        up = self.up

        def is_ready() -> bool:
            if up.poll() is not None:
                raise RuntimeError(f"headrace up ended with {up.returncode}: {self.end_of_log()}")
            return ready.exists() and ready.stat().st_size > 0

        try:
            wait_for("the stack was not ready", READY_SECONDS, is_ready)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.end_of_log()}") from None

    def end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def stop(self) -> int:
        """As Ctrl-C does; the exit code."""
        assert self.up is not None
        if self.up.poll() is None:
            self.up.send_signal(signal.SIGTERM)
        return self.up.wait(timeout=STOP_SECONDS)

    def end(self) -> None:
        """Whatever is left of it goes, so that a failed test leaves nothing behind."""
        if self.up is not None and self.up.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                pass
        for process in self.processes():
            kill(process.pid)
        if self.up is not None:
            self.up.wait(timeout=STOP_SECONDS)

    def processes(self) -> list[Process]:
        """Everything that `up` started, and whatever else was told of this state folder."""
        everything = {process.pid: process for process in all_processes()}
        ours = {pid for pid in everything if self._told_of_state(pid)}
        if self.up is not None and self.up.returncode is None:
            ours.add(self.up.pid)
        grown = True
        while grown:
            more = {p.pid for p in everything.values() if p.parent in ours} - ours
            ours |= more
            grown = bool(more)
        return sorted((everything[pid] for pid in ours if pid in everything), key=lambda p: p.pid)

    def _told_of_state(self, pid: int) -> bool:
        """By environment or command line: nginx overwrites the one and has the folder in the other."""
        for name in ("environ", "cmdline"):
            try:
                if os.fsencode(str(self.state)) in pathlib.Path(f"/proc/{pid}/{name}").read_bytes():
                    return True
            except OSError:
                pass
        return False

    def store_client(self, service: str) -> Any:
        import boto3

        key = re.search(r'^id = "(.*)"$', keys := (self.state / "store" / "keys.toml").read_text(), re.M)
        secret = re.search(r'^secret = "(.*)"$', keys, re.M)
        assert key and secret
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.store_port}",
            region_name="us-east-1",
            aws_access_key_id=key[1],
            aws_secret_access_key=secret[1],
        )

    def headrace(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the program, against this stack."""
        environment = os.environ | {"HEADRACE_CONFIG": str(self.config), "HEADRACE_STATE": str(self.state)}
        return subprocess.run(
            [binary(), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )


def all_processes() -> Iterator[Process]:
    """Zombies have ended: they are left out."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if fields[0] not in "ZX":
            yield Process(int(entry.name), int(fields[1]), command)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Site:
    """A person's HTTP client: one TLS connection, the certificate checked. Not for several threads."""

    def __init__(self, stack: Stack, timeout: float = 30.0) -> None:
        context = ssl.create_default_context(cafile=stack.certificate)
        self.connection = http.client.HTTPSConnection(
            "localhost", stack.https, timeout=timeout, context=context
        )

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        self.connection.request(method, path, body, {"Accept": "application/json"})
        response = self.connection.getresponse()
        answer = response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, answer

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """What was acknowledged: request_id, key, page."""
        status, _, answer = self.ask("PUT", "/documents/" + quote(name), data)
        if status != 201:
            raise http.client.HTTPException(f"{status} {answer[:300]!r}")
        said = json.loads(answer)
        return {"request_id": said["request_id"], **said["documents"][0]}

    def outcome(self, page: str) -> dict[str, Any]:
        status, _, answer = self.ask("GET", page)
        assert status == 200, (status, answer[:300])
        return dict(json.loads(answer))

    def ended(self, page: str, seconds: float = 60.0) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            outcome = self.outcome(page)
            return outcome if outcome["state"] in ("done", "dead") else None

        return dict(wait_for(f"no end of {page}", seconds, found))


@contextmanager
def short_folder() -> Iterator[pathlib.Path]:
    """Below /tmp with a short name: unix sockets in it have paths of at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hr-", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield pathlib.Path(name)


@contextmanager
def running(modules: str = "tasks", processes: int = 2) -> Iterator[Stack]:
    """A stack that is ready; ended at the end, whatever happened."""
    with short_folder() as folder:
        stack = Stack(folder, make_environment(folder / "venv"), modules, processes)
        try:
            stack.start()
            yield stack
        finally:
            stack.end()
