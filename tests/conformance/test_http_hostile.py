"""The running store against raw-socket requests that are meant to harm, over TCP and its unix socket.

The whole table of refused requests is src/net/hostile_test.cc; these are one of each kind, seen from outside,
and what only a whole process shows: that it stays well, and that nothing is left behind.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
AGAIN = b"GET /_headrace/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def binary() -> pathlib.Path:
    named = os.environ.get("HEADRACE_BIN")
    built = [ROOT / "build" / kind / "headrace" for kind in ("release", "dev")]
    candidates = [pathlib.Path(named)] if named else built
    for candidate in candidates:
        if candidate.exists():
            return candidate
    tried = ", ".join(map(str, candidates))
    raise FileNotFoundError(f"no headrace binary at {tried}; run ./dev test unit first")


class Store:
    def __init__(self, folder: pathlib.Path) -> None:
        ready = folder / "ready.json"
        self.process = subprocess.Popen(
            [binary(), "store", "--path", folder / "data", "--listen", "127.0.0.1:0",
             "--socket", folder / "s.sock", "--ready-file", ready])
        for _ in range(1200):
            if ready.exists():
                break
            assert self.process.poll() is None, f"the store ended with {self.process.returncode}"
            time.sleep(0.025)
        said = json.loads(ready.read_text())
        self.port = int(said["endpoint"].rsplit(":", 1)[1])
        self.path = said["socket"]

    def connect(self, kind: str) -> socket.socket:
        if kind == "tcp":
            return socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(self.path)
        return connection

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def blobs(self) -> list[pathlib.Path]:
        return [path for path in pathlib.Path(self.path).parent.rglob("blob*/**/*") if path.is_file()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    one = Store(tmp_path_factory.mktemp("store"))
    yield one
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(timeout=60) == 0


def everything(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def post(headers: str, body: str = "abc") -> bytes:
    return f"POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n{body}".encode("latin-1")


def line(text: str) -> bytes:
    return f"{text}\r\nHost: a\r\n\r\n".encode("latin-1")


HOSTILE = [
    (400, post("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
    (400, post("Content-Length: 3\r\nContent-Length: 4")),
    (400, post("Content-Length: 3, 3")),
    (400, post("Content-Length: +3")),
    (400, post("Content-Length: 0x3")),
    (400, post("Content-Length: 10000000000000000003")),
    (501, post("Transfer-Encoding: xchunked", "0\r\n\r\n")),
    (501, post("Transfer-Encoding: chunked, identity", "0\r\n\r\n")),
    (400, post("Transfer-Encoding:\tchunked", "0\r\n\r\n")),
    (400, post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n")),
    (400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
    (400, post("Transfer-Encoding : chunked", "0\r\n\r\n")),
    (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, post("X: a\r\n Content-Length: 3")),
    (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    (400, post("X: a\rb")),
    (400, post("X: a\0b")),
    (400, post(": a")),
    (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    (400, line("GET http://b/ HTTP/1.1")),
    (414, line("GET /" + "a" * 65536 + " HTTP/1.1")),
    (431, post("X: " + "a" * 9216)),
    (431, post("\r\n".join(f"x-{i}: 1" for i in range(1000)))),
    (417, post("Content-Length: 3\r\nExpect: 200-ok")),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (505, line("GET / HTTP/1.2")),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize(("status", "request_bytes"), HOSTILE)
def test_a_hostile_request_is_refused_and_costs_its_connection(
    store: Store, kind: str, status: int, request_bytes: bytes
) -> None:
    with store.connect(kind) as connection:
        try:
            connection.sendall(request_bytes + AGAIN)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("bad", ["0x3\r\nabc\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFF3\r\nabc", "3\r\nabc0\r\n\r\n",
                                 "3;a\nb\r\nabc\r\n0\r\n\r\n", "0\r\nContent-Length: 3\r\n\r\n"])
def test_nothing_after_broken_chunks_is_taken_for_a_request(store: Store, bad: str) -> None:
    with store.connect("tcp") as connection:
        connection.sendall(post("Transfer-Encoding: chunked", bad) + AGAIN)
        answer = everything(connection)
    # Whoever refuses first: the framing (400), or the store before it reads the body.
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_pipelined_requests_are_answered_in_order(store: Store) -> None:
    count = 1000
    head = b"GET /_headrace/%d HTTP/1.1\r\nHost: a\r\nx-request-id: request-%d\r\n"
    requests = [head % (i, i) + b"\r\n" for i in range(count - 1)]
    requests.append(head % (count - 1, count - 1) + b"Connection: close\r\n\r\n")
    with store.connect("tcp") as connection:
        connection.sendall(b"".join(requests))
        answer = everything(connection)
    ids = [int(piece.split(b"\r\n", 1)[0]) for piece in answer.split(b"x-request-id: request-")[1:]]
    assert ids == list(range(count))


def test_connections_that_break_off_leave_nothing_behind(store: Store) -> None:
    before, blobs = store.descriptors(), store.blobs()
    for _ in range(200):
        with store.connect("tcp") as connection:
            connection.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
            connection.sendall(b"x" * 100_000)
    with store.connect("tcp") as connection:  # answered after the others were seen to end
        connection.sendall(b"GET /_headrace/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 ")
    for _ in range(400):
        if store.descriptors() <= before:
            break
        time.sleep(0.025)
    assert store.descriptors() <= before
    assert store.blobs() == blobs
    assert store.process.poll() is None
