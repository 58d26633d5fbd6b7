"""The object store where it has much to do: pages of a large bucket beside the same seeks and steps on its
index, and large bodies beside what the disk, one core and nginx can do with the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from measure import Ratio, Row, Suite
from services import Nginx, Store, log, output_of

PREFIXES = 2_000
PAGES = {"without a delimiter": ("list", "next"), "with a delimiter": ("list-delimiter", "seek")}
SMALL, LARGE, FILE = 1 << 20, 1 << 30, 256 << 20
PIECE = 1 << 20
BODY = os.urandom(PIECE)


def run(suite: Suite) -> None:
    for keys in sorted({suite.options.keys // 10, suite.options.keys}):
        run_listing(suite, keys)
    run_puts(suite)
    run_gets(suite)


# --- listing ---


def run_listing(suite: Suite, keys: int) -> None:
    """Of one bucket of so many keys: filled in process, listed over HTTP, and its index read directly."""
    with suite.tidied():
        folder = suite.fresh()
        of = [f"--keys={keys}", f"--prefixes={min(PREFIXES, max(1, keys // 10))}"]
        log(f"  filling a bucket with {keys:,} keys")
        program(suite, "bench_commit", "put", f"--path={folder}", "--bytes=1", "--outstanding=1000", *of)

        def over_http(scenario: str) -> float:
            with contextlib.closing(Store(suite.build, folder, suite.environment())) as store:
                more = ["--bucket=bench", "--connections=1", *of]
                answer = suite.load(scenario, store.target, store.keys, *more)
                return float(answer["requests_per_second"])

        def directly(what: str) -> float:
            seconds = f"--seconds={suite.options.seconds}"
            answer = program(suite, "bench_index", what, f"--path={folder}", seconds, *of)
            return float(answer["per_second"])

        for how, (scenario, what) in PAGES.items():
            ours, least = f"{keys:,} keys, a page {how}", f"{keys:,} keys, the index, {what}s"
            suite.in_turns(
                [
                    Row(least, "pages/s", lambda: directly(what)),
                    Row(ours, "pages/s", lambda: over_http(scenario)),
                ]
            )
            suite.wanted.append(Ratio(ours, least, round(1 / 3, 3)))


def program(suite: Suite, name: str, *arguments: str) -> Any:
    command = [str(suite.build / "bench" / name), *arguments]
    return json.loads(output_of(command, suite.folder, suite.environment()))


# --- large bodies ---


class Signed(S3SigV4Auth):
    """Of a body whose hash is known."""

    def __init__(self, store: Store, sha256: str) -> None:
        super().__init__(Credentials(store.key_id, store.secret), "s3", "us-east-1")
        self.sha256 = sha256

    def payload(self, request: Any) -> str:
        return self.sha256


def head_of(store: Store, method: str, path: str, size: int, sha256: str = "UNSIGNED-PAYLOAD") -> bytes:
    """The request's head; of a body of so many bytes."""
    request = AWSRequest(method, f"{store.endpoint}{path}", headers={"Content-Length": str(size)})
    Signed(store, sha256).add_auth(request)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {store.target}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connected(connection: http.client.HTTPConnection) -> socket.socket:
    if connection.sock is None:
        connection.connect()
    assert isinstance(connection.sock, socket.socket)
    return connection.sock


def put(connection: http.client.HTTPConnection, head: bytes, size: int) -> float:
    """How long it took until the answer came."""
    peer = connected(connection)
    start = time.perf_counter()
    peer.sendall(head)
    for _ in range(size // PIECE):
        peer.sendall(BODY)
    response = http.client.HTTPResponse(peer, method="PUT")
    response.begin()
    said = response.read()
    assert response.status == 200, said
    return time.perf_counter() - start


def get(connection: http.client.HTTPConnection, head: bytes, size: int) -> float:
    peer = connected(connection)
    room = bytearray(PIECE)
    start = time.perf_counter()
    peer.sendall(head)
    response = http.client.HTTPResponse(peer, method="GET")
    response.begin()
    assert response.status == 200, response.status
    left = size
    while left > 0:
        got = response.readinto(memoryview(room)[: min(left, PIECE)])
        assert got > 0, f"{left} bytes are missing"
        left -= got
    return time.perf_counter() - start


def sha256_of(size: int) -> str:
    digest = hashlib.sha256()
    for _ in range(size // PIECE):
        digest.update(BODY)
    return digest.hexdigest()


def written(folder: pathlib.Path, size: int, environment_ms: float) -> float:
    """Seconds to write and flush the bytes into a new file."""
    path = folder / "yardstick"
    start = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // PIECE):
            file.write(BODY)
        os.fsync(file.fileno())
    took = time.perf_counter() - start + environment_ms / 1000
    path.unlink()
    return took


def digested(size: int, *names: str) -> float:
    """Seconds of one core for these digests of the bytes."""
    start = time.perf_counter()
    for name in names:
        digest = hashlib.new(name)
        for _ in range(size // PIECE):
            digest.update(BODY)
        digest.digest()
    return time.perf_counter() - start


def for_a_while(suite: Suite, once: Callable[[], float], size: int) -> float:
    """MB/s of the median of as many as fit the time, at least one."""
    took = [once()]
    while sum(took) < suite.options.seconds:
        took.append(once())
    return size / 1e6 / sorted(took)[len(took) // 2]


def run_puts(suite: Suite) -> None:
    with suite.tidied(), contextlib.closing(Store(suite.build, suite.fresh(), suite.environment())) as store:
        store.client("s3").create_bucket(Bucket="bench")
        for size, name in ((SMALL, "1 MiB"), (LARGE, "1 GiB")):
            rows = []
            for signed in (False, True):
                kind = f"put {name}, {'signed' if signed else 'unsigned'} body"
                digests = ("md5", "sha256") if signed else ("md5",)
                rows += put_rows(suite, store, kind, size, digests)
                suite.wanted.append(Ratio(kind, f"{kind}: the slower of disk and digests", 0.70))
            suite.in_turns(rows)
        measure_memory(suite, store)


def put_rows(suite: Suite, store: Store, kind: str, size: int, digests: tuple[str, ...]) -> list[Row]:
    connection = http.client.HTTPConnection(store.target, timeout=300)
    sha256 = sha256_of(size) if "sha256" in digests else "UNSIGNED-PAYLOAD"

    def ours() -> float:
        return for_a_while(
            suite, lambda: put(connection, head_of(store, "PUT", "/bench/k", size, sha256), size), size
        )

    def slower() -> float:
        disk = for_a_while(suite, lambda: written(suite.folder, size, suite.flush_ms), size)
        return min(disk, for_a_while(suite, lambda: digested(size, *digests), size))

    return [Row(f"{kind}: the slower of disk and digests", "MB/s", slower), Row(kind, "MB/s", ours)]


def measure_memory(suite: Suite, store: Store) -> None:
    """The most that the store ever had in memory, after all that."""
    connection = http.client.HTTPConnection(store.target, timeout=300)
    get(connection, head_of(store, "GET", "/bench/k", 0), LARGE)
    status = pathlib.Path(f"/proc/{store.process.pid}/status").read_text()
    most = int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024  # type: ignore[index]
    suite.in_turns([Row("memory at its most, 1 GiB put and got", "MiB", lambda: most)])


def run_gets(suite: Suite) -> None:
    with contextlib.ExitStack() as ends:
        ends.enter_context(suite.tidied())
        store = ends.enter_context(contextlib.closing(Store(suite.build, suite.fresh(), suite.environment())))
        nginx = ends.enter_context(contextlib.closing(Nginx(suite.fresh())))
        with open(nginx.folder / "large", "wb") as file:
            for _ in range(FILE // PIECE):
                file.write(BODY)
        store.client("s3").create_bucket(Bucket="bench")
        put(http.client.HTTPConnection(store.target), head_of(store, "PUT", "/bench/k", FILE), FILE)
        theirs = http.client.HTTPConnection(nginx.target, timeout=300)
        ours = http.client.HTTPConnection(store.target, timeout=300)
        plain = f"GET /large HTTP/1.1\r\nHost: {nginx.target}\r\n\r\n".encode()
        name, against = "get 256 MiB", "nginx, sendfile, 256 MiB"
        suite.in_turns(
            [
                Row(against, "MB/s", lambda: for_a_while(suite, lambda: get(theirs, plain, FILE), FILE)),
                Row(
                    name,
                    "MB/s",
                    lambda: for_a_while(
                        suite, lambda: get(ours, head_of(store, "GET", "/bench/k", 0), FILE), FILE
                    ),
                ),
            ]
        )
        suite.wanted.append(Ratio(name, against, 0.80))
