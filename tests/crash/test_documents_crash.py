"""kill -9 of the whole stack under load, in rounds: any one process, parents and children, all at once.
After the last start every acknowledged document has exactly one result or one dead letter, and no document
was ever worked on twice at the same time, which the handler itself has watched.

HEADRACE_CRASH_ROUNDS: how many kills. HEADRACE_CRASH_SEED: another order of them.
"""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from documents_stack import Site, Stack, kill, make_environment, short_folder, wait_for

ROUNDS = int(os.environ.get("HEADRACE_CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("HEADRACE_CRASH_SEED", "20260301"))
UPLOADERS = 2
BACK_SECONDS = 60.0  # a killed part serves again
ENDED_SECONDS = 300.0  # leases of killed workers, then retries

# Whom one kill hits: a kind's first process found, or every process of the kinds.
ONE = [["child"], ["worker"], ["store"], ["web"], ["nginx"], ["up"], ["api"], ["nginx worker"]]
ALL_OF = [["worker", "child"], ["store", "worker"], ["store", "web", "nginx"]]
EVERYTHING = "everything"


class Load:
    """Uploads from several threads; every document that was acknowledged is remembered."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.acknowledged: dict[str, str] = {}  # key -> page
        self.failed = 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(UPLOADERS)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _run(self, uploader: int) -> None:
        site: Site | None = None
        number = 0
        while not self.stopped.wait(0.01):
            number += 1
            name = f"{'junk' if number % 8 == 0 else 'mill'}-{uploader}-{number}.txt"
            data = b"\0junk" * 20 if name.startswith("junk") else f"The mill {number} grinds.\n".encode() * 20
            try:
                site = site or Site(self.stack, timeout=20)
                said = site.upload(name, data)
                self.acknowledged[said["key"]] = said["page"]
            except (OSError, http.client.HTTPException, ValueError):
                self.failed += 1
                site = None
                self.stopped.wait(0.05)


@pytest.fixture
def stack() -> Iterator[Stack]:
    with short_folder() as folder:
        stack = Stack(folder, make_environment(folder / "venv"), "documents_journal", processes=2)
        shutil.copy(pathlib.Path(__file__).with_name("documents_journal.py"), stack.app)
        try:
            stack.start()
            yield stack
        finally:
            stack.end()
            if kept := os.environ.get("HEADRACE_KEEP"):  # a folder for what a failure leaves to look at
                shutil.copytree(
                    folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock", "venv")
                )


def victims(stack: Stack, turn: int, dice: random.Random) -> list[int]:
    """The first rounds hit each kind once; the later ones whatever the dice say."""
    plans: list[Any] = [*ONE[:6], EVERYTHING, *ALL_OF, *ONE[6:]]
    plan = plans[turn] if turn < len(plans) else dice.choice(plans)
    running = stack.processes()
    if plan == EVERYTHING:
        hit = running
    elif plan in ALL_OF:
        hit = [process for process in running if process.kind in plan]
    else:
        hit = [process for process in running if process.kind in plan][:1]
    assert hit, f"nothing of {plan} runs: {running}"
    # The supervisor first: it would start again what is killed before it.
    return [process.pid for process in sorted(hit, key=lambda process: process.kind != "up")]


def serves_again(stack: Stack, load: Load) -> bool:
    """By an upload of one's own."""
    try:
        said = Site(stack, timeout=20).upload("again.txt", b"again")
    except (OSError, http.client.HTTPException):
        return False
    load.acknowledged[said["key"]] = said["page"]
    return True


def test_after_kills_every_document_has_one_end_and_no_run_overlapped_another(stack: Stack) -> None:
    dice = random.Random(SEED)
    load = Load(stack)
    load.start()
    try:
        for turn in range(ROUNDS):
            time.sleep(dice.uniform(0.3, 1.5))  # under load
            hit = victims(stack, turn, dice)
            for pid in hit:
                kill(pid)
            assert stack.up is not None
            if stack.up.pid in hit:  # it may be seen for a moment still: a killed process ends when it runs
                stack.up.wait(timeout=30)
                wait_for("what the supervisor left ends", BACK_SECONDS, lambda: not stack.processes())
                stack.start()
            wait_for("uploads work again", BACK_SECONDS, lambda: serves_again(stack, load))
            assert stack.up.poll() is None, f"round {turn}: headrace up ended by itself: {stack.end_of_log()}"
    finally:
        load.stop()
    assert len(load.acknowledged) > 5 * ROUNDS, "too little load to mean anything"
    wait_until_drained(stack)
    check_runs(stack)
    check_ends(stack, load)


def wait_until_drained(stack: Stack) -> None:
    sqs = stack.store_client("sqs")
    url = sqs.get_queue_url(QueueName="on-tasks-parse")["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def is_empty() -> bool:
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return all(int(counts[name]) == 0 for name in names)

    wait_for("the queue is not empty", ENDED_SECONDS, is_empty)


def check_ends(stack: Stack, load: Load) -> None:
    s3 = stack.store_client("s3")
    inbox = keys(s3, "documents-inbox", "")
    assert set(load.acknowledged) <= set(inbox), "acknowledged documents are gone"

    jobs = {key: body(s3, "documents-results", f"job/{key}") for key in inbox}  # NoSuchKey: it never ran
    assert len(set(jobs.values())) == len(jobs), "two documents with one job"
    ends = {key: json.loads(body(s3, "headrace-documents", f"result/{job}")) for key, job in jobs.items()}
    results = {name.removeprefix("result/") for name in keys(s3, "headrace-documents", "result/")}
    strange = [body(s3, "headrace-documents", f"result/{job}") for job in results - set(jobs.values())]
    assert not strange, f"results of jobs that belong to no document: {strange[:3]}"

    dead = {end["id"] for end in ends.values() if end["state"] == "dead"}
    letters = Counter(dead_letter_jobs(stack))
    assert set(letters) == dead, "a dead job without its dead letter, or a letter of a job that is done"
    assert not [job for job, count in letters.items() if count > 1], "two dead letters of one job"

    for key, end in ends.items():
        if "junk" in key:
            assert end["state"] == "dead", key
        elif end["state"] == "dead":  # only what was killed again and again may
            assert end["error"]["type"] != "GiveUp", end["error"]
    site = Site(stack)
    for key, page in load.acknowledged.items():
        assert site.outcome(page)["state"] == ends[key]["state"]


def keys(s3: Any, bucket: str, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def body(s3: Any, bucket: str, key: str) -> str:
    return str(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def dead_letter_jobs(stack: Stack) -> Iterator[str]:
    sqs = stack.store_client("sqs")
    url = sqs.get_queue_url(QueueName="on-tasks-parse-dead")["QueueUrl"]
    while True:
        messages = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=3600,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return
        for message in messages:
            yield message["MessageAttributes"]["headrace-job"]["StringValue"]


def check_runs(stack: Stack) -> None:
    """No run found its document's lock held; of each document, one run's start comes after the last's end."""
    lines = [line.split() for line in (stack.app / "journal.txt").read_text().splitlines()]
    assert not [line for line in lines if line[0] == "twice"], "a document was worked on twice at once"
    running: dict[str, str] = {}
    jobs: dict[str, str] = {}
    for what, key, job, pid, _ in sorted(lines, key=lambda line: int(line[4])):
        assert jobs.setdefault(key, job) == job, f"{key} has two jobs"
        if what == "start":
            running[key] = pid
        else:
            assert running.pop(key, None) == pid, f"{key}: a run ended while a later one had begun"
