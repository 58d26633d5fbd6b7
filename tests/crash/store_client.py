"""A store process that may be killed, and a small signed client whose every outcome is known or unknown."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.parse
from typing import Any

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary() -> pathlib.Path:
    named = os.environ.get("HEADRACE_BIN")
    candidates = (
        [pathlib.Path(named)]
        if named
        else [ROOT / "build" / kind / "headrace" for kind in ("release", "dev")]
    )
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(
        f"no headrace binary at {', '.join(map(str, candidates))}; run ./dev test unit first"
    )


class Unknown(Exception):
    """The connection broke: the request may or may not have been done."""


class Refused(Exception):
    """Answered with an error: it was not done."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body[:300]!r}")
        self.status = status


class StoreProcess:
    def __init__(self, folder: pathlib.Path, *more: str) -> None:
        self.folder = folder
        self.more = more
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        ready = self.folder.with_name(self.folder.name + ".ready")
        ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                binary(),
                "store",
                "--path",
                self.folder,
                "--listen",
                f"127.0.0.1:{self.port}",
                "--ready-file",
                ready,
                *self.more,
            ],
            stderr=subprocess.PIPE if os.environ.get("HEADRACE_QUIET") else None,
        )
        for _ in range(1200):
            if ready.exists():
                break
            assert self.process.poll() is None, f"the store ended with {self.process.returncode}"
            time.sleep(0.025)
        else:
            raise AssertionError("the store was not ready within 30 s")
        self.port = int(json.loads(ready.read_text())["endpoint"].rsplit(":", 1)[1])
        keys = (self.folder / "keys.toml").read_text()
        self.credentials = Credentials(
            re.search(r'^id = "(.*)"', keys, re.M)[1],  # type: ignore[index]
            re.search(r'^secret = "(.*)"', keys, re.M)[1],  # type: ignore[index]
        )

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class Client:
    """One connection. Not for several threads."""

    def __init__(self, store: StoreProcess) -> None:
        self.store = store
        self.connection: http.client.HTTPConnection | None = None
        self.next_page = 0  # of messages looked at, as the last answer said it

    def request(
        self, service: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> bytes:
        host = f"127.0.0.1:{self.store.port}"
        request = AWSRequest(
            method=method, url=f"http://{host}{path}", data=body, headers=dict(headers or {}, host=host)
        )
        auth = S3SigV4Auth if service == "s3" else SigV4Auth
        auth(self.store.credentials, service, "us-east-1").add_auth(request)
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.store.port, timeout=60)
            self.connection.request(method, path, body, dict(request.headers))
            response = self.connection.getresponse()
            answer = response.read()
            self.next_page = int(response.headers.get("x-headrace-next", 0))
        except (OSError, http.client.HTTPException) as error:
            self.connection = None
            raise Unknown(str(error)) from error
        if response.status >= 300:
            raise Refused(response.status, answer)
        return answer

    def sqs(self, action: str, **arguments: Any) -> dict[str, Any]:
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}"}
        answer = self.request("sqs", "POST", "/", json.dumps(arguments).encode(), headers)
        return dict(json.loads(answer or b"{}"))

    def queue(self, name: str, **attributes: str) -> str:
        """Creates it if need be; its URL."""
        return str(self.sqs("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"])

    def drain(self, url: str) -> list[dict[str, Any]]:
        """Every message that is or becomes visible within two seconds, leased for an hour."""
        messages: list[dict[str, Any]] = []
        while True:
            got = self.sqs(
                "ReceiveMessage",
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=3600,
                WaitTimeSeconds=2,
            ).get("Messages", [])
            if not got:
                return messages
            messages += got

    def put(self, bucket: str, key: str, body: bytes) -> None:
        self.request("s3", "PUT", f"/{bucket}/{key}", body)

    def bodies(self, url: str) -> list[str]:
        """Of all messages, leased or not, none of them received."""
        bodies: list[str] = []
        after = 0
        while True:
            query = {
                "QueueUrl": url,
                "ShowInvisible": "true",
                "ShowDelayed": "true",
                "MaxResults": "1000",
                "After": str(after),
            }
            path = f"/_aws/sqs/messages?{urllib.parse.urlencode(query)}"
            page = json.loads(self.request("sqs", "GET", path, headers={"Accept": "application/json"}))
            messages = page.get("Messages", [])
            bodies += [message["Body"] for message in messages]
            after = self.next_page
            if not messages or not after:
                return bodies

    def keys(self, bucket: str) -> set[str]:
        found: set[str] = set()
        token = ""
        while True:
            more = f"&start-after={token}" if token else ""
            text = self.request("s3", "GET", f"/{bucket}?list-type=2{more}").decode()
            page = re.findall(r"<Key>([^<]*)</Key>", text)
            found.update(page)
            if "<IsTruncated>true" not in text:
                return found
            token = page[-1]
