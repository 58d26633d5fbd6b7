"""Ten thousand receivers that wait: what they cost, and who is given a message.

Source: Developer Guide, "Amazon SQS short and long polling"; our own bar of memory for each (docs/sqs.md).
"""

from __future__ import annotations

import json
import pathlib
import re
import resource
import select
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import store_process
from sqs_api import JsonApi, signed
from store_process import Store

RECEIVERS = 10_000
BYTES_MAX = 8 << 10  # of memory for each, its connection included
PATIENCE_S = 60.0


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = RECEIVERS + 1_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this process may open {hard} files, and the test needs {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def lone(many_files: None, tmp_path: pathlib.Path) -> Iterator[Store]:
    """A store whose memory nobody else has used."""
    started = store_process.start(tmp_path / "data")
    yield started
    assert store_process.stop(started) == 0


def resident_bytes(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found
    return int(found.group(1)) * 1024


def waiting(store: Store) -> int:
    with urllib.request.urlopen(store.endpoint + "/_headrace/metrics") as answer:
        found = re.search(r"^headrace_receivers_waiting (\S+)$", answer.read().decode(), re.M)
    assert found
    return int(float(found.group(1)))


def until_waiting(store: Store, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while waiting(store) != count:
        assert time.monotonic() < deadline, f"{waiting(store)} receivers wait, not {count}"


def receive_request(store: Store, queue: str) -> bytes:
    """Its bytes, to be sent by everybody: a signature may be used again for 15 minutes."""
    body = json.dumps({"QueueUrl": queue, "WaitTimeSeconds": 20}).encode()
    headers = {
        "X-Amz-Target": "AmazonSQS.ReceiveMessage",
        "Content-Type": "application/x-amz-json-1.0",
    }
    request = signed(store, "POST", "/", body, headers)
    host = urllib.parse.urlsplit(store.endpoint).netloc
    lines = [f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "host"]
    head = ["POST / HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


class Receivers:
    def __init__(self, store: Store, queue: str, count: int) -> None:
        address = urllib.parse.urlsplit(store.endpoint)
        self.sockets = [
            socket.create_connection((address.hostname, address.port or 80)) for _ in range(count)
        ]
        self.poll = select.epoll()
        self.numbers = {connection.fileno(): number for number, connection in enumerate(self.sockets)}
        for connection in self.sockets:
            self.poll.register(connection, select.EPOLLIN)
        request = receive_request(store, queue)
        for connection in self.sockets:
            connection.sendall(request)

    def answered(self) -> list[int]:
        """Who has been answered by now, once somebody is."""
        return [self.numbers[descriptor] for descriptor, _ in self.poll.poll(PATIENCE_S)]

    def answer(self, number: int) -> dict[str, Any]:
        text = b""
        while b"\r\n\r\n" not in text:
            text += self.sockets[number].recv(65536)
        head, _, body = text.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = re.search(rb"^content-length: (\d+)", head, re.M | re.I)
        assert length
        while len(body) < int(length.group(1)):
            body += self.sockets[number].recv(65536)
        return dict(json.loads(body))

    def close(self) -> None:
        self.poll.close()
        for connection in self.sockets:
            connection.close()


def test_ten_thousand_cost_memory_only_and_a_message_wakes_the_first_of_them(
    lone: Store,
) -> None:
    """Long polling: a message is given to one receiver as soon as it is there, the one that waits longest."""
    api = JsonApi(lone)
    queue = api("CreateQueue", QueueName="waiting")["QueueUrl"]
    other = api("CreateQueue", QueueName="other")["QueueUrl"]
    api("SendMessage", QueueUrl=other, MessageBody="warm")
    before = resident_bytes(lone.process.pid)
    receivers = Receivers(lone, queue, RECEIVERS)
    try:
        until_waiting(lone, RECEIVERS)
        each = (resident_bytes(lone.process.pid) - before) / RECEIVERS
        print(f"{each:.0f} bytes for each of {RECEIVERS} waiting receivers")
        assert each < BYTES_MAX
        for number in range(3):
            sent = api("SendMessage", QueueUrl=queue, MessageBody=f"m{number}")
            assert receivers.answered() == [number]
            (message,) = receivers.answer(number)["Messages"]
            assert (message["MessageId"], message["Body"]) == (
                sent["MessageId"],
                f"m{number}",
            )
        assert waiting(lone) == RECEIVERS - 3, "nobody else was woken"
    finally:
        receivers.close()
    until_waiting(lone, 0)


def test_who_has_gone_is_given_nothing(lone: Store) -> None:
    """A receiver that hangs up while it waits does not take a message with it."""
    api = JsonApi(lone)
    queue = api("CreateQueue", QueueName="gone")["QueueUrl"]
    gone = Receivers(lone, queue, 50)
    until_waiting(lone, 50)
    gone.close()
    until_waiting(lone, 0)
    stays = Receivers(lone, queue, 1)
    try:
        until_waiting(lone, 1)
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        assert stays.answered() == [0]
        assert len(stays.answer(0)["Messages"]) == 1
    finally:
        stays.close()
