"""A place whose services are Amazon's as far as the worker knows: sqs = "aws", s3 = "aws", with our own store
behind AWS_ENDPOINT_URL, and what a person makes beforehand made."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fault_proxy import FaultProxy
from worker_process import Place

SERVICES = '[services]\nsqs = "aws"\ns3 = "aws"\n'
QUEUES = ("default",)


@dataclass
class AmazonPlace(Place):
    proxy: FaultProxy | None = None
    services: str = SERVICES
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, source: str, more: str = "", python: str = "") -> Place:
        return super().write(source, more + "\n" + self.services, *([python] if python else []))

    def start_store(self) -> None:
        super().start_store()
        assert self.store
        host, _, port = self.store.endpoint.removeprefix("http://").partition(":")
        self.proxy = FaultProxy((host, int(port))).start()
        self.variables.setdefault("AWS_ENDPOINT_URL", self.proxy.endpoint)

    def prepare(self, *queues: str) -> None:
        """What `docs/aws.md` has a person do."""
        self.make_queues(*queues or QUEUES)
        self.client("s3").create_bucket(Bucket="headrace-shop")

    def make_queues(self, *queues: str) -> None:
        sqs = self.client("sqs")
        for name in queues:
            dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"][
                "QueueArn"
            ]
            redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1000})
            sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": redrive})

    def with_keys(self) -> dict[str, str]:
        assert self.store
        return {"AWS_ACCESS_KEY_ID": self.store.key_id, "AWS_SECRET_ACCESS_KEY": self.store.secret}

    def environment(self) -> dict[str, str]:
        kept = {n: v for n, v in super().environment().items() if not n.startswith("HEADRACE_")}
        return (
            kept
            | {
                "AWS_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            }
            | self.variables
        )

    def run_python(self, program: str) -> subprocess.CompletedProcess[str]:
        """Another process that sends."""
        return subprocess.run(
            ["/usr/bin/python3", "-c", program],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def end(self) -> None:
        super().end()
        if self.proxy:
            self.proxy.stop()


Reply = tuple[int, str]


class FakeService:
    """A small HTTP server: instance metadata, STS. `reply` sees method, path, headers, body."""

    def __init__(self, reply: Callable[[str, str, dict[str, str], str], Reply]) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                size = int(self.headers.get("content-length", "0"))
                body = self.rfile.read(size).decode()
                outer.asked.append(f"{self.command} {self.path}")
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, text = reply(self.command, self.path, headers, body)
                data = text.encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def instance(key_id: str, secret: str, expires: str = "2199-01-01T00:00:00Z") -> FakeService:
    """An instance's metadata, version 2 only."""
    keys = {
        "Code": "Success",
        "AccessKeyId": key_id,
        "SecretAccessKey": secret,
        "Token": "",
        "Expiration": expires,
    }
    root = "/latest/meta-data/iam/security-credentials/"

    def reply(method: str, path: str, headers: dict[str, str], body: str) -> Reply:
        if (method, path) == ("PUT", "/latest/api/token"):
            return 200, "session-token"
        if headers.get("x-aws-ec2-metadata-token") != "session-token":
            return 401, ""
        return {root: (200, "the-role"), root + "the-role": (200, json.dumps(keys))}.get(path, (404, ""))

    return FakeService(reply)


def runs(folder: pathlib.Path) -> list[tuple[str, str, float]]:
    """(job, "start" or "end", when), as handlers that call `record` wrote them."""
    out = []
    for line in (folder / "runs").read_text().splitlines():
        job, what, when = line.split()
        out.append((job, what, float(when)))
    return out


RECORD = """
def record(what: str) -> None:
    with open("runs", "a") as out:
        out.write(f"{headrace.current().id} {what} {time.time()}\\n")
"""
