"""Other stores of jobs under the same power cuts: beanstalkd and Redis, each as it comes and at its safest.
Four clients send; what was acknowledged before the cut is to be there after it."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket
import subprocess
import threading
import time
from typing import Protocol

from subject import Note, Verdict

CLIENTS = 4
SENT_BY_EACH = 400
SENT_LONGEST_S = 8.0
BODY = "x" * 250


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Line:
    """One connection of a protocol of lines."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")

    def ask(self, request: bytes) -> bytes:
        self.socket.sendall(request)
        return self.file.readline().strip()

    def read(self, size: int) -> bytes:
        return self.file.read(size + 2)[:size]

    def close(self) -> None:
        self.file.close()
        self.socket.close()


class Kind(Protocol):
    name: str

    def command(self, folder: pathlib.Path, port: int) -> list[str]:
        ...

    def send(self, line: Line, body: bytes) -> bool:
        ...

    def all(self, line: Line) -> list[bytes]:
        ...

    def is_ready(self, line: Line) -> bool:
        ...


class Beanstalkd:
    program = "beanstalkd"

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self.options = options

    def command(self, folder: pathlib.Path, port: int) -> list[str]:
        return [self.program, "-l", "127.0.0.1", "-p", str(port), "-b", str(folder), *self.options]

    def send(self, line: Line, body: bytes) -> bool:
        return line.ask(b"put 0 0 600 %d\r\n%s\r\n" % (len(body), body)).startswith(b"INSERTED")

    def is_ready(self, line: Line) -> bool:
        return True  # it listens when it has read its log

    def all(self, line: Line) -> list[bytes]:
        bodies = []
        while (answer := line.ask(b"reserve-with-timeout 0\r\n")).startswith(b"RESERVED"):
            bodies.append(line.read(int(answer.split()[2])))
        return bodies


class Redis:
    program = "redis-server"

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self.options = options

    def command(self, folder: pathlib.Path, port: int) -> list[str]:
        common = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
        return [self.program, *common, "--appendonly", "yes", *self.options]

    def send(self, line: Line, body: bytes) -> bool:
        push = b"*3\r\n$5\r\nRPUSH\r\n$4\r\njobs\r\n$%d\r\n%s\r\n" % (len(body), body)
        return line.ask(push).startswith(b":")

    def is_ready(self, line: Line) -> bool:
        return line.ask(b"*1\r\n$4\r\nPING\r\n") == b"+PONG"  # else it is still loading

    def all(self, line: Line) -> list[bytes]:
        count = int(line.ask(b"*4\r\n$6\r\nLRANGE\r\n$4\r\njobs\r\n$1\r\n0\r\n$2\r\n-1\r\n")[1:])
        return [line.read(int(line.file.readline()[1:])) for _ in range(count)]


class Peer:
    """One of them, as a subject."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = kind.name

    @contextlib.contextmanager
    def running(self, folder: pathlib.Path):
        data = folder / "data"
        data.mkdir(exist_ok=True)
        port = free_port()
        process = subprocess.Popen(
            self.kind.command(data, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), contextlib.closing(Line(port)) as line:
                    if self.kind.is_ready(line):
                        break
                if process.poll() is not None:
                    raise ChildProcessError(f"it ended with {process.returncode}")
                time.sleep(0.01)
            yield port
        finally:
            process.kill()
            process.wait()

    def load(self, folder: pathlib.Path, note: Note) -> None:
        with self.running(folder) as port:
            threads = [threading.Thread(target=self.work, args=(port, f"c{i}", note)) for i in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def work(self, port: int, name: str, note: Note) -> None:
        line = Line(port)
        end = time.monotonic() + SENT_LONGEST_S
        for number in range(SENT_BY_EACH):
            if time.monotonic() > end:
                break
            if self.kind.send(line, f"{name}-{number}/{BODY}".encode()):
                note(f"send! {name}-{number}")
        line.close()

    def judge(self, folder: pathlib.Path, notes: list[str]) -> Verdict:
        sent = {note.split()[1] for note in notes}
        verdict = Verdict(acknowledged=len(sent))
        try:
            with self.running(folder) as port:
                there = {body.decode(errors="replace") for body in self.kind.all(Line(port))}
        except (ChildProcessError, ValueError) as error:
            verdict.refused = str(error)
            return verdict
        verdict.lost = sorted(sent - {body.split("/")[0] for body in there})
        verdict.wrong = sorted(body[:40] for body in there if body.partition("/")[2] != BODY)
        return verdict


def peers() -> list[Peer]:
    """Those that are installed."""
    kinds: list[Beanstalkd | Redis] = [
        Beanstalkd("beanstalkd, as it comes (-f 50)"),
        Beanstalkd("beanstalkd -f 0", "-f", "0"),
        Redis("Redis, appendfsync everysec", "--appendfsync", "everysec"),
        Redis("Redis, appendfsync always", "--appendfsync", "always"),
    ]
    return [Peer(kind) for kind in kinds if shutil.which(kind.program)]
