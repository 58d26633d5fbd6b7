"""Debian's Celery, unmodified: its SQS transport (kombu signs and parses the Query protocol itself) and
its S3 result backend.

Source: Celery's documentation, "Using Amazon SQS" and "S3 backend settings".
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import s3_api
from store_process import Store

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("celery") and importlib.util.find_spec("pycurl")),
    reason="Debian's python3-celery and python3-pycurl are not installed",
)

HERE = pathlib.Path(__file__).parent
PRODUCER = """
import json, sys
import celery_app as shop
sums = [shop.add.delay(i, i) for i in range(25)]
lucky = shop.third_time_lucky.delay("done")
failing = shop.fails.delay()
failing.get(timeout=60, propagate=False)
print(json.dumps({
    "sums": [job.get(timeout=60) for job in sums],
    "lucky": lucky.get(timeout=60),
    "failed": [failing.state, repr(failing.result)],
}))
"""


@pytest.fixture
def environment(store: Store) -> dict[str, str]:
    return store.environment() | {"PYTHONPATH": str(HERE), "C_FORCE_ROOT": "1"}


@pytest.fixture
def worker(
    store: Store, environment: dict[str, str], tmp_path: pathlib.Path
) -> Iterator[subprocess.Popen[bytes]]:
    s3_api.client(store).create_bucket(Bucket="celery-results")
    log = tmp_path / "worker.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "celery_app",
                "worker",
                "--pool",
                "solo",
                "--loglevel",
                "info",
            ],
            env=environment,
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        yield process
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)
    sys.stdout.write(log.read_text())


def test_jobs_are_done_retried_and_answered(
    worker: subprocess.Popen[bytes],
    environment: dict[str, str],
    store: Store,
    json_api: Any,
) -> None:
    """Tasks, a task that retries itself, one that fails; then a warm shutdown that leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, "-c", PRODUCER],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "sums": [2 * i for i in range(25)],
        "lucky": "done after 2 retries",
        "failed": ["FAILURE", "ValueError('as it should')"],
    }
    worker.terminate()
    assert worker.wait(timeout=60) == os.EX_OK
    url = json_api("GetQueueUrl", QueueName="celery-jobs")["QueueUrl"]
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = json_api("GetQueueAttributes", QueueUrl=url, AttributeNames=counts)
    assert answer["Attributes"] == {name: "0" for name in counts}
