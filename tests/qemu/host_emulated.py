"""The host that the emulated machine is, and its users: documents over TLS and messages over SQS, with what
was acknowledged of each."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import re
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import emulator
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError
from emulator import DATA, Emulated

import boot_host
import boot_machine

SITE, STORE = "shop.example", "localhost"
WITHIN_S = 600.0
CONFIG = (
    boot_host.CONFIG.replace("rate = 0", f'rate = 0\nconnections = 0\nstore_names = ["{STORE}"]')
    + """
syn_rate = 10000
[worker.heavy]
modules = ["heavy"]
queues = ["heavy"]
processes = 2
memory = "96M"
cpu = "70%"
network = "none"
"""
)
KEYS = f"{DATA}/store/keys.toml"
ENOUGH = {"documents": 24, "sent": 60, "deleted": 10}  # acknowledged, before the power is cut


def made(work: pathlib.Path) -> Iterator[Emulated]:
    """Applied in a container, then moved to the emulated machine, which is still off."""
    with emulator.emulated(work) as host:
        with boot_machine.machine(work / "container", emulator.image()) as container:
            boot_host.prepare(container, CONFIG)
            container.put(pathlib.Path(__file__).with_name("heavy.py"), "/srv/shop/heavy.py")
            with boot_host.clock(container.root):
                boot_host.apply(container)
            container.power_off()
            container.inside("rm", "/etc/systemd/system/chrony.service.d/zz-test.conf")
            emulator.prepare(container)
            host.make_disks(container)
            yield host


def eventually(what: str, done: Callable[[], object], within: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within
    while not done():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(1)


def python(host: Emulated, code: str) -> str:
    """In the application's folder, as one of its programs."""
    told = {
        "HEADRACE_CONFIG": "/etc/headrace/applied.toml",
        "HEADRACE_STATE": DATA,
        "HEADRACE_ENDPOINT": "unix:/run/headrace/store.sock",
        "HEADRACE_KEYS": KEYS,
        "HEADRACE_REGION": "us-east-1",
    }
    words = " ".join(f"{name}={value}" for name, value in told.items())
    return host.run(f"cd /srv/shop && {words} venv/bin/python <<'END'\n{code}\nEND").stdout.strip()


def findings(host: Emulated) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(host.run("headrace doctor --json", check=False).stdout)}


def off_by(host: Emulated) -> float:
    """How many seconds its clock is from this machine's."""
    return float(host.run("date +%s.%N").stdout) - time.time()


class Refused(Exception):
    """Answered, and not acknowledged."""


class Site:
    """One connection to nginx, kept."""

    def __init__(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", 443), timeout=60)
        self._connection = http.client.HTTPConnection(SITE)
        self._connection.sock = context.wrap_socket(plain, server_hostname=SITE)

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        got = answer.read()
        if not 200 <= answer.status < 300:
            raise Refused(f"{method} {path}: {answer.status}")
        return got

    def put_document(self, text: str) -> str:
        """Where its page is."""
        told = json.loads(self.ask("PUT", "/documents/note.txt", text.encode()))
        return str(told["documents"][0]["page"])


def text_of(page: str) -> str:
    try:
        return Site().ask("GET", f"{page}/text").decode()
    except (Refused, OSError, http.client.HTTPException):
        return ""


def sqs(host: Emulated) -> Any:
    keys = host.run(f"cat {KEYS}").stdout
    found = [re.search(rf'^{name} *= *"([^"]+)"', keys, re.MULTILINE) for name in ("id", "secret")]
    identity, secret = (each.group(1) if each else "" for each in found)
    return boto3.client(
        "sqs",
        endpoint_url=f"https://{STORE}",
        region_name="us-east-1",
        aws_access_key_id=identity,
        aws_secret_access_key=secret,
        verify=False,
        config=ClientConfig(retries={"total_max_attempts": 1}, read_timeout=60),
    )


@dataclass
class Load:
    """Who works while the power goes, and what they were told by then."""

    host: Emulated
    round: int
    documents: dict[str, str] = field(default_factory=dict)  # page: text
    sent: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)  # to be deleted, whether or not an answer came
    deleted: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def is_enough(self) -> bool:
        return all(len(getattr(self, name)) >= count for name, count in ENOUGH.items())

    def until_power_goes(self) -> None:
        warnings.filterwarnings("ignore", message="Unverified HTTPS request")
        client = sqs(self.host)
        url = client.create_queue(QueueName="kept")["QueueUrl"]
        hands = [threading.Thread(target=self._documents, args=(number,)) for number in range(3)]
        hands += [threading.Thread(target=self._messages, args=(client, url, number)) for number in range(3)]
        for hand in hands:
            hand.start()
        try:
            eventually("enough was acknowledged", self.is_enough)
            self.host.cut_power()
        finally:
            self.stop.set()
            for hand in hands:
                hand.join()

    def _documents(self, hand: int) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            site = Site()
            for number in range(10_000):
                if self.stop.is_set():
                    return
                text = f"document {number} of hand {hand} before cut {self.round}"
                with contextlib.suppress(Refused):
                    self.documents[site.put_document(text)] = text

    def _messages(self, client: Any, url: str, hand: int) -> None:
        with contextlib.suppress(BotoCoreError, ClientError):
            for number in range(10_000):
                if self.stop.is_set():
                    return
                body = f"message {number} of hand {hand} before cut {self.round}"
                client.send_message(QueueUrl=url, MessageBody=body)
                self.sent.add(body)
                if number % 4 == 3:
                    self._take(client, url)

    def _take(self, client: Any, url: str) -> None:
        for message in client.receive_message(QueueUrl=url).get("Messages", []):
            self.taken.add(message["Body"])
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            self.deleted.add(message["Body"])

    def messages_now(self) -> set[str]:
        """All that are in the queue; they are deleted, for the next round."""
        client = sqs(self.host)
        url = client.get_queue_url(QueueName="kept")["QueueUrl"]
        bodies: set[str] = set()
        empty = 0
        while empty < 2:
            got = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            for message in got:
                bodies.add(message["Body"])
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            empty = 0 if got else empty + 1
        return bodies
