"""Endpoints that are not ours: npm's fauxqs answers SQS, npm's s3rver S3. What holds before our own store
holds there, but for what they do not have: conditional writes."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from amazon_place import AmazonPlace
from botocore.config import Config
from web_process import ROOT
from worker_process import until

CLIENTS = ROOT / "tests" / "clients"
KEYS = ("S3RVER", "S3RVER")  # the only ones that s3rver knows; fauxqs looks at none
TASKS = """
FAST = dict(backoff=0.1, backoff_cap=0.2)

@headrace.task
def size(text: str) -> int:
    return len(text)

@headrace.task(retries=3, **FAST)
def third() -> int:
    if headrace.current().attempt < 3:
        raise OSError("not yet")
    return headrace.current().attempt

@headrace.task(retries=0)
def bad() -> None:
    raise ValueError("no good")
"""


@functools.cache
def node() -> pathlib.Path:
    """As the conformance tests have it: $HEADRACE_NODE, else the one that npm brings."""
    if not (CLIENTS / "node_modules" / ".package-lock.json").exists():
        npm = shutil.which("npm")
        assert npm, "npm is missing; ./dev setup installs it"
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=CLIENTS, check=True, timeout=600)
    named = os.environ.get("HEADRACE_NODE")
    return pathlib.Path(named) if named else CLIENTS / "node_modules" / "node" / "bin" / "node"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Foreign:
    """Both programs, and an AmazonPlace that speaks to them."""

    def __init__(self, folder: pathlib.Path) -> None:
        sqs, s3 = free_port(), free_port()
        packages = CLIENTS / "node_modules"
        self.urls = {"sqs": f"http://127.0.0.1:{sqs}", "s3": f"http://127.0.0.1:{s3}"}
        environment = os.environ | {"FAUXQS_PORT": str(sqs), "FAUXQS_HOST": "127.0.0.1"}
        silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        rver = ["-d", str(folder / "s3"), "-a", "127.0.0.1", "-p", str(s3), "--silent", "--no-vhost-buckets"]
        self.processes = [
            subprocess.Popen([node(), packages / "fauxqs/dist/cli.js"], env=environment, **silent),
            subprocess.Popen([node(), packages / "s3rver/bin/s3rver.js", *rver], **silent),
        ]
        for url in self.urls.values():
            until(functools.partial(self.answers, url), within=60)
        self.place = ForeignPlace(folder / "app", self.urls)

    @staticmethod
    def answers(url: str) -> bool:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def end(self) -> None:
        self.place.end()
        for process in self.processes:
            process.kill()
            process.wait()


class JsonSqs:
    """SQS in JSON, which Debian's boto3 does not speak yet and fauxqs alone does; unsigned."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        action = "".join(word.title() for word in name.split("_"))
        return functools.partial(self.call, action)

    def call(self, action: str, **members: Any) -> dict[str, Any]:
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}"}
        request = urllib.request.Request(self.url, json.dumps(members).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.loads(answer.read() or b"{}"))


class ForeignPlace(AmazonPlace):
    def __init__(self, folder: pathlib.Path, urls: dict[str, str]) -> None:
        super().__init__(folder)
        self.urls = urls
        self.variables = {
            "AWS_ENDPOINT_URL_SQS": urls["sqs"],
            "AWS_ENDPOINT_URL_S3": urls["s3"],
            "AWS_ACCESS_KEY_ID": KEYS[0],
            "AWS_SECRET_ACCESS_KEY": KEYS[1],
        }

    def client(self, service: str) -> Any:
        if service == "sqs":
            return JsonSqs(self.urls["sqs"])
        return boto3.client(
            service,
            endpoint_url=self.urls[service],
            region_name="us-east-1",
            aws_access_key_id=KEYS[0],
            aws_secret_access_key=KEYS[1],
            config=Config(s3={"addressing_style": "path"}),
        )

    def url(self, queue: str) -> str:
        return str(self.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignPlace]:
    foreign = Foreign(tmp_path_factory.mktemp("foreign"))
    there = foreign.place
    try:
        there.write(TASKS)
        there.prepare()
        there.worker()
        yield there
    finally:
        foreign.end()


def test_messages_and_results_pass_through_services_that_are_not_ours(place: ForeignPlace) -> None:
    done = place.run_python("import shop_tasks; print(shop_tasks.size.delay('abc').result(timeout=60))")
    assert done.stdout == "3\n", done.stderr
    until(lambda: place.depth() == 0)


def test_large_arguments_pass_through_their_bucket(place: ForeignPlace) -> None:
    program = "import shop_tasks; print(shop_tasks.size.delay('x' * 300000).result(timeout=60))"
    done = place.run_python(program)
    assert done.stdout == "300000\n", done.stderr
    bodies = place.client("s3").list_objects_v2(Bucket="headrace-shop", Prefix="body/")
    assert bodies.get("KeyCount", 0) >= 0


def test_attempts_are_counted_there_as_here(place: ForeignPlace) -> None:
    result = place.result(place.send("third"))
    assert (result["state"], result["result"], result["attempts"]) == ("done", 3, 3)


def test_dead_letters_go_to_their_queue_with_the_reason(place: ForeignPlace) -> None:
    job = place.send("bad")
    letter = place.dead_letter()
    assert (letter["headrace-job"], letter["headrace-error"]) == (job, "ValueError: no good")


def test_missing_conditional_writes_are_told(place: ForeignPlace) -> None:
    """s3rver takes If-None-Match on a put and does not keep it."""
    worker = place.workers[-1]
    assert worker.lines("conditional_writes_missing")
    assert worker.status()["conditional_writes"] is False
