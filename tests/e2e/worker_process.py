"""`headrace worker` for the tests: a folder with a configuration and tasks, a store, the running worker, and
what both services then hold."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from web_process import UnixConnection, binary, package

import store_process

T = TypeVar("T")
PATIENCE_S = float(os.environ.get("HEADRACE_TEST_PATIENCE", "30"))  # more where others use the machine


def until(what: Callable[[], T | None], within: float = PATIENCE_S) -> T:
    """The first answer that is not None or False."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        answer = what()
        if answer:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"not within {within} s")


@dataclass
class Place:
    """A folder with tasks, and its store."""

    folder: pathlib.Path
    store: store_process.Store | None = None
    workers: list[Worker] = field(default_factory=list)

    def write(self, source: str, more: str = "", python: str = sys.executable) -> Place:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "headrace.toml").write_text(
            f'[app]\nname = "shop"\npython = "{python}"\n'
            f'[worker.default]\nmodules = ["shop_tasks"]\n{more}\n[store]\npath = "store"\n'
        )
        (self.folder / "shop_tasks.py").write_text("import headrace, os, time\n" + source)
        return self

    def start_store(self) -> None:
        self.store = store_process.start(self.folder / "store")

    def environment(self) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("HEADRACE_", "AWS_"))}
        return kept | {
            "PYTHONPATH": str(package()),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HEADRACE_ENDPOINT": f"unix:{self.folder}/store/store.sock",
            "HEADRACE_KEYS": f"{self.folder}/store/keys.toml",
        }

    def worker(self, *arguments: str, ready: bool = True) -> Worker:
        worker = Worker(self, arguments)
        self.workers.append(worker)
        if ready:
            worker.wait_for("worker_ready")
        return worker

    def client(self, service: str) -> Any:
        assert self.store
        return boto3.client(
            service,
            endpoint_url=self.store.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.store.key_id,
            aws_secret_access_key=self.store.secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def url(self, queue: str) -> str:
        assert self.store
        return f"{self.store.endpoint}/{self.store.account}/{queue}"

    def send(self, task: str, *args: Any, **members: Any) -> str:
        job = str(uuid.uuid4())
        envelope = {"headrace": 1, "id": job, "task": f"shop_tasks.{task}", "args": args, "kwargs": {}}
        envelope |= {"sent": int(time.time() * 1000), "keep_result": True} | members
        self.client("sqs").send_message(QueueUrl=self.url("default"), MessageBody=json.dumps(envelope))
        return job

    def python(self, program: str) -> str:
        """What a program of the application prints."""
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=self.environment() | {"HEADRACE_CONFIG": str(self.folder / "headrace.toml")},
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    def headrace(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One of the program's other commands, as a person in this folder would call it."""
        return subprocess.run(
            [str(binary()), *words],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def object(self, key: str) -> dict[str, Any] | None:
        try:
            body = self.client("s3").get_object(Bucket="headrace-shop", Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return dict(json.loads(body.read()))

    def result(self, job: str, within: float = PATIENCE_S) -> dict[str, Any]:
        return until(lambda: self.object(f"result/{job}"), within)

    def mark(self, job: str) -> dict[str, Any] | None:
        return self.object(f"mark/{job}")

    def dead_letter(self, queue: str = "default") -> dict[str, Any]:
        def receive() -> list[dict[str, Any]] | None:
            answer = self.client("sqs").receive_message(
                QueueUrl=self.url(f"{queue}-dead"), MessageAttributeNames=["All"], WaitTimeSeconds=1
            )
            return list(answer.get("Messages", []))

        message = until(receive)[0]
        attributes = {n: v["StringValue"] for n, v in message["MessageAttributes"].items()}
        return {"body": message["Body"]} | attributes

    def depth(self, queue: str = "default") -> int:
        """Messages that are waiting or out."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def end(self) -> None:
        for worker in self.workers:
            worker.end()
        if self.store and self.store.process.poll() is None:
            store_process.stop(self.store)


class Worker:
    """One `headrace worker`."""

    def __init__(self, place: Place, arguments: tuple[str, ...]) -> None:
        self.place = place
        self.log = place.folder / f"worker-{len(place.workers)}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [binary(), "worker", *arguments], cwd=place.folder, env=place.environment(), stderr=out
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def lines(self, event: str) -> list[str]:
        return [line for line in self.text().splitlines() if f" {event} " in line]

    def wait_for(self, event: str, count: int = 1, within: float = PATIENCE_S) -> list[str]:
        def seen() -> list[str] | None:
            found = self.lines(event)
            if len(found) >= count:
                return found
            if self.process.poll() is not None:
                raise RuntimeError(f"the worker ended with {self.process.returncode}:\n{self.text()}")
            return None

        return until(seen, within)

    def status(self) -> dict[str, Any]:
        connection = UnixConnection(str(self.place.folder / ".headrace/run/worker-default.sock"))
        connection.request("GET", "/status")
        answer = dict(json.loads(connection.getresponse().read()))
        connection.close()
        return answer

    def busy_child(self) -> int:
        """Its pid, once one runs something."""

        def find() -> int | None:
            pids = [child["pid"] for child in self.status()["children"] if child["state"] == "busy"]
            return int(pids[0]) if pids else None

        return until(find)

    def stop(self, within: float = 60.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=within)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def gone(pid: int) -> bool:
    """No such process, or one that waits to be reaped only."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started(place: Place, source: str, more: str = "") -> Place:
    place.write(source, more).start_store()
    return place
