"""`headrace web` for the tests: a folder with a configuration and an application, the running process, and
what it says: to its supervisor, and in its log."""

from __future__ import annotations

import http.client
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_WITHIN_S = 30.0


def binary() -> pathlib.Path:
    named = os.environ.get("HEADRACE_BIN")
    kinds = [ROOT / "build" / kind / "headrace" for kind in ("release", "dev")]
    for candidate in [pathlib.Path(named)] if named else kinds:
        if candidate.exists():
            return candidate.resolve()
    raise FileNotFoundError("no headrace binary; build it first")


def package() -> pathlib.Path:
    """The Python package as it was built beside the binary."""
    return binary().parent / "python"


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "AWS_"))}
    return kept | {"PYTHONPATH": str(package())} | more


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass
class Site:
    """A folder that `headrace web` runs in."""

    folder: pathlib.Path
    app: str = "site_app:app"
    threads: int = 2
    timeout: str = "20s"
    more: str = ""
    python: str = sys.executable

    def write(self, source: str = "") -> Site:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "headrace.toml").write_text(
            f'[app]\nname = "site"\npython = "{self.python}"\n[web]\n'
            + (f'app = "{self.app}"\n' if self.app else "")
            + f'threads = {self.threads}\ntimeout = "{self.timeout}"\n{self.more}'
        )
        if source:
            (self.folder / "site_app.py").write_text(source)
        return self

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """For starts that fail."""
        return subprocess.run(
            [binary(), "web", *arguments],
            cwd=self.folder,
            env=env or environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@dataclass
class Web:
    process: subprocess.Popen[bytes]
    path: str
    log_file: pathlib.Path
    notify: socket.socket
    said: list[str] = field(default_factory=list)

    def connection(self) -> UnixConnection:
        return UnixConnection(self.path)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        connection = self.connection()
        try:
            connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Everything that comes back for these bytes."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(30)
            asking.connect(self.path)
            asking.sendall(data)
            return b"".join(iter(lambda: asking.recv(65536), b""))

    def log(self) -> str:
        return self.log_file.read_text()

    def log_line(self, *words: str) -> str:
        """The line with all these words; it may still be on its way."""
        deadline = time.monotonic() + 10
        while True:
            for line in self.log().splitlines():
                if all(word in line for word in words):
                    return line
            assert time.monotonic() < deadline, f"no line with {words} in:\n{self.log()}"
            time.sleep(0.02)

    def hear(self, wanted: str) -> None:
        """Waits until the supervisor was told this."""
        self.notify.settimeout(0.2)
        deadline = time.monotonic() + READY_WITHIN_S
        while wanted not in self.said:
            ended = self.process.poll() is not None
            try:
                self.said.append(self.notify.recv(4096).decode())
            except TimeoutError:
                late = time.monotonic() > deadline
                assert not ended and not late, f"{wanted} was not said; the log:\n{self.log()}"

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def listen(path: pathlib.Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(512)
    return listening


def start(site: Site, passed: socket.socket | None = None, **env: str) -> Web:
    """Returns when it has said that it is ready."""
    path = str(site.folder / ".headrace" / "run" / "web-1.sock") if passed is None else passed.getsockname()
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify_path = site.folder / "notify"
    notify_path.unlink(missing_ok=True)
    notify.bind(str(notify_path))
    command = [str(binary()), "web", "--instance", "1"]
    if passed is not None:
        # As systemd: descriptor 3, and the process id that exec keeps.
        inner = f"LISTEN_PID=$$ LISTEN_FDS=1 exec {shlex.join(command)} 3<&{passed.fileno()}"
        command = ["bash", "-c", inner]
    log_file = site.folder / "log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=site.folder,
            env=environment(NOTIFY_SOCKET=str(notify_path), **env),
            pass_fds=() if passed is None else (passed.fileno(),),
            stdout=log,
            stderr=log,
        )
    web = Web(process, path, log_file, notify)
    web.hear("READY=1")
    return web
