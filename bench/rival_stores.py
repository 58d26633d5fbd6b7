"""The store beside npm's fauxqs and s3rver, with the same client and bodies.

What an answer to a write means: Headrace, flushed to the disk; fauxqs in memory, in memory; fauxqs on SQLite,
committed (WAL, synchronous=FULL) and so flushed; s3rver, written to files and not flushed.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import boto3
from botocore.config import Config

from measure import Ratio, Row, Suite
from services import ROOT, Store, end, free_port, wait_for_port

CLIENTS = ROOT / "tests" / "clients" / "node_modules"
OURS = "Headrace"
IN_MEMORY = "fauxqs in memory"
ON_SQLITE = "fauxqs on SQLite"
S3RVER = "s3rver, no flush"
KEYS = {
    "HEADRACE_KEY_ID": "S3RVER",
    "HEADRACE_KEY_SECRET": "S3RVER",
}  # what s3rver knows; fauxqs looks at none

BACKLOG = 100_000
MESSAGE = "--bytes=300"
LARGE_BYTES = 8 << 20  # fauxqs takes bodies up to 11 MiB
KEYS_EACH = 4


class Server(Protocol):
    @property
    def target(self) -> str:
        ...

    @property
    def keys(self) -> dict[str, str]:
        ...

    def create(self) -> list[str]:
        ...

    def client(self, service: str) -> Any:
        ...

    def close(self) -> None:
        ...


def node() -> str | None:
    """npm's, which fauxqs needs, else the system's."""
    brought = CLIENTS / "node" / "bin" / "node"
    return str(brought) if brought.exists() else shutil.which("node")


class OnNode:
    """A server that runs in node, in a folder of its own."""

    def __init__(self, suite: Suite, command: Sequence[str | pathlib.Path], port: int) -> None:
        self.target = f"127.0.0.1:{port}"
        self.keys = KEYS
        with open(suite.fresh(), "wb") as output:
            self.process = subprocess.Popen(
                [str(node()), *command], env=suite.environment(), stdout=output, stderr=output
            )
        wait_for_port(port, self.process)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://{self.target}",
            region_name="us-east-1",
            aws_access_key_id=KEYS["HEADRACE_KEY_ID"],
            aws_secret_access_key=KEYS["HEADRACE_KEY_SECRET"],
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def create(self) -> list[str]:
        self.client("s3").create_bucket(Bucket="bench")
        return ["--bucket=bench"]

    def close(self) -> None:
        end(self.process)


class Fauxqs(OnNode):
    def __init__(self, suite: Suite, folder: pathlib.Path | None) -> None:
        port = free_port()
        script = ROOT / "bench" / "rivals" / "fauxqs.mjs"
        super().__init__(suite, [script, CLIENTS / "fauxqs", str(port), *([folder] if folder else [])], port)

    def create(self) -> list[str]:
        """Debian's boto3 does not speak SQS in JSON yet, and fauxqs speaks nothing else."""
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.CreateQueue"}
        request = urllib.request.Request(f"http://{self.target}/", b'{"QueueName":"bench"}', headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            url = json.load(answer)["QueueUrl"]
        return [*super().create(), f"--queue-url={url}"]


class S3rver(OnNode):
    def __init__(self, suite: Suite) -> None:
        port = free_port()
        folder = suite.fresh()
        options = ["-a", "127.0.0.1", "-p", str(port), "--silent", "--no-vhost-buckets"]
        super().__init__(suite, [CLIENTS / "s3rver" / "bin" / "s3rver.js", "-d", folder, *options], port)


STARTERS: dict[str, Callable[[Suite], Server]] = {
    OURS: lambda suite: Store(suite.build, suite.fresh(), suite.environment()),
    IN_MEMORY: lambda suite: Fauxqs(suite, None),
    ON_SQLITE: lambda suite: Fauxqs(suite, suite.fresh()),
    S3RVER: S3rver,
}


def present(suite: Suite, names: list[str]) -> list[str]:
    """Those that are installed; says which are not."""
    there = []
    for name in names:
        package = {S3RVER: "s3rver", OURS: None}.get(name, "fauxqs")
        if package and not node():
            suite.skip(name, "there is no node (./dev setup test)")
        elif package and not (CLIENTS / package).is_dir():
            suite.skip(name, f"npm's {package} is not in tests/clients (./dev setup test)")
        else:
            there.append(name)
    return there


def measured(
    suite: Suite, who: str, scenario: str, *how: str, before: Callable[..., None] | None = None
) -> float:
    """`before` is given the server and the client's options."""
    with suite.tidied(), contextlib.closing(STARTERS[who](suite)) as server:
        common = [*server.create(), *how]
        if before:
            before(server, common)
        answer = suite.load(scenario, server.target, server.keys, *common, "--warmup=1")
        return float(answer["messages_per_second"])


def run_sqs(suite: Suite) -> None:
    who = present(suite, [OURS, IN_MEMORY, ON_SQLITE])
    how = ("--connections=64", MESSAGE)
    kinds = {"SendMessage": "send", "SendMessageBatch(10)": "batch", "send, receive, delete by 10": "round"}
    for kind, scenario in kinds.items():
        suite.in_turns([sqs_row(suite, kind, name, scenario, *how) for name in who])
        suite.wanted += [
            Ratio(f"{kind}, {OURS}", f"{kind}, {IN_MEMORY}", 1.0),
            Ratio(f"{kind}, {OURS}", f"{kind}, {ON_SQLITE}"),
        ]

    def fill(server: Server, common: list[str]) -> None:
        limits = (f"--count={BACKLOG}", "--warmup=0", "--seconds=300")
        suite.load("batch", server.target, server.keys, *common, *limits)

    behind = f"the same behind {BACKLOG:,}"
    suite.in_turns(
        [sqs_row(suite, behind, name, "round", *how, before=fill) for name in who if name != ON_SQLITE]
    )
    suite.wanted += [
        Ratio(f"{behind}, {OURS}", f"send, receive, delete by 10, {OURS}", 0.9),
        Ratio(f"{behind}, {IN_MEMORY}", f"send, receive, delete by 10, {IN_MEMORY}"),
        Ratio(f"{behind}, {OURS}", f"{behind}, {IN_MEMORY}", 1.0),
    ]


def sqs_row(suite: Suite, kind: str, who: str, *how: str, before: Callable[..., None] | None = None) -> Row:
    return Row(f"{kind}, {who}", "messages/s", lambda: measured(suite, who, *how, before=before))


def run_s3(suite: Suite) -> None:
    who = present(suite, [OURS, IN_MEMORY, ON_SQLITE, S3RVER])
    s3_rows(suite, "put 4 KiB, 64 connections", who, "put", 64, 4096)
    s3_rows(suite, "put 4 KiB, 8 connections", who, "put", 8, 4096)
    s3_rows(suite, "get 4 KiB", who, "get", 64, 4096)
    s3_rows(suite, "put 8 MiB", who, "put", 4, LARGE_BYTES)
    s3_rows(suite, "get 8 MiB", who, "get", 4, LARGE_BYTES)


def s3_rows(suite: Suite, kind: str, who: list[str], scenario: str, connections: int, size: int) -> None:
    keys_each = KEYS_EACH if size < LARGE_BYTES else 1
    how = [f"--connections={connections}", f"--bytes={size}", f"--keys-per-connection={keys_each}"]
    large = size == LARGE_BYTES
    if large:
        how.append(f"--seconds={max(3.0, suite.options.seconds)}")  # some take a second for one

    def fill(server: Server, common: list[str]) -> None:
        client = server.client("s3")
        for connection in range(connections):
            for key in range(keys_each):
                client.put_object(Bucket="bench", Key=f"k{connection:03}-{key:03}", Body=b"x" * size)

    def once(name: str) -> float:
        before = fill if scenario == "get" else None
        objects = measured(suite, name, scenario, *how, before=before)
        return objects * size / 1e6 if large else objects

    def row(name: str) -> Row:
        return Row(f"{kind}, {name}", "MB/s" if large else "objects/s", lambda: once(name))

    suite.in_turns([row(name) for name in who])
    for name in who:
        if name != OURS:
            # A put that is flushed beside one that is only remembered: stated, and no aim.
            aim = None if scenario == "put" and name == IN_MEMORY else 1.0
            suite.wanted.append(Ratio(f"{kind}, {OURS}", f"{kind}, {name}", aim))
