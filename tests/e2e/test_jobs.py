"""`headrace jobs ID` and the API's /jobs/ID: a job is told from its result, its mark, its dead letter and the
logs, whoever wrote them; and looking changes nothing."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tomllib
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from up_process import Up, binary, running

DONE = "0198c0de-0000-7000-8000-000000000001"
DEAD = "0198c0de-0000-7000-8000-000000000002"
UNKNOWN = "0198c0de-0000-7000-8000-00000000000f"


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running(web="plain") as started:
        yield started


def client(up: Up, service: str) -> Any:
    told = json.loads((up.place.state / "client.json").read_text())
    key = tomllib.loads(pathlib.Path(told["keys"]).read_text())["key"][0]
    return boto3.client(
        service,
        endpoint_url=told["endpoint"],
        region_name=told["region"],
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
    )


@pytest.fixture(scope="module")
def request_id(up: Up) -> str:
    """Of a request through nginx, which sent the job that is done."""
    told: str = json.loads(up.curl("/upload"))["headers"]["X-Request-Id"]
    s3 = client(up, "s3")
    s3.create_bucket(Bucket="headrace-probe")
    result = {"v": 1, "id": DONE, "task": "shop.parse", "state": "done", "result": {"n": 7}}
    result |= {"sent": 1_700_000_000_000, "started": 1_700_000_000_250, "ended": 1_700_000_001_000}
    body = json.dumps(result | {"request_id": told})
    s3.put_object(Bucket="headrace-probe", Key=f"result/{DONE}", Body=body)
    error = {"type": "ValueError", "message": "no page", "traceback": "Traceback:\n  line 3\x1b[31m\n"}
    mark = {"v": 1, "id": DEAD, "state": "dead", "attempts": 5, "last_error": error}
    s3.put_object(Bucket="headrace-probe", Key=f"mark/{DEAD}", Body=json.dumps(mark))
    result = {"v": 1, "id": DEAD, "task": "shop.parse", "state": "dead", "error": error}
    s3.put_object(Bucket="headrace-probe", Key=f"result/{DEAD}", Body=json.dumps(result))
    sqs = client(up, "sqs")
    url = sqs.create_queue(QueueName="default-dead")["QueueUrl"]
    for number in range(25):
        job = DEAD if number == 20 else f"other-{number}"
        words = {"headrace-job": job, "headrace-reason": "exception"}
        attributes = {name: {"DataType": "String", "StringValue": word} for name, word in words.items()}
        sqs.send_message(QueueUrl=url, MessageBody='{"task":"shop.parse"}', MessageAttributes=attributes)
    with (up.place.state / "log" / "headrace.log").open("a") as log:
        line = f"info job_done job={DONE} request={told} said=\x1b[31m"
        log.write(f"worker-a | 2099-01-01T00:00:00.000Z {line}\n")
    return told


def jobs(up: Up, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(binary()), "jobs", "--config", str(up.place.folder / "headrace.toml"), *words]
    variables = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=variables)


def test_a_job_is_told_with_its_result_and_its_lines(up: Up, request_id: str) -> None:
    told = jobs(up, DONE)
    assert told.returncode == 0, told.stderr
    assert "state      done" in told.stdout and 'result     {"n":7}' in told.stdout
    assert "sent       2023-11-14T22:13:20.000Z\n  started    2023-11-14T22:13:20.250Z\n" in told.stdout
    assert "\x1b" not in told.stdout and r"said=\x1b[31m" in told.stdout
    lines = told.stdout.split("\nlog\n")[1].splitlines()
    assert f"access request={request_id} method=GET path=/upload status=200" in lines[0]
    assert f"job_done job={DONE}" in lines[-1]


def test_a_dead_job_is_told_with_its_error_and_its_letter(up: Up, request_id: str) -> None:
    assert request_id
    told = jobs(up, DEAD)
    assert told.returncode == 0, told.stderr
    assert "error      ValueError: no page\n    Traceback:\n" in told.stdout
    assert told.stdout.count("Traceback:") == 1, "once, though result and mark both have it"
    assert "\x1b" not in told.stdout
    assert "dead letter in default-dead" in told.stdout and "headrace-reason    exception" in told.stdout


def test_as_json_it_is_one_object(up: Up, request_id: str) -> None:
    done = json.loads(jobs(up, DONE, "--json").stdout)
    assert done["result"]["request_id"] == request_id and done["mark"] is None and done["dead"] == []
    dead = json.loads(jobs(up, DEAD, "--json").stdout)
    assert [letter["headrace-job"] for letter in dead["dead"]] == [DEAD]


def test_looking_leaves_the_dead_letters_where_they_are(up: Up, request_id: str) -> None:
    assert request_id
    jobs(up, DEAD)
    sqs = client(up, "sqs")
    url = sqs.get_queue_url(QueueName="default-dead")["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    assert [counts[name] for name in names] == ["25", "0"]


def test_the_api_tells_the_same(up: Up, request_id: str) -> None:
    told = json.loads(up.curl(f"/_headrace/jobs/{DONE}"))
    assert told["id"] == DONE and told["result"]["request_id"] == request_id and told["mark"] is None
    queues = {queue["name"]: queue["visible"] for queue in json.loads(up.curl("/_headrace/status"))["queues"]}
    assert queues == {"default-dead": 25}


def test_keys_of_aws_in_the_environment_do_not_stand_in_for_the_stores_own(up: Up, request_id: str) -> None:
    assert request_id
    told = jobs(up, DONE, AWS_ACCESS_KEY_ID="AKIDOFSOMETHINGELSE", AWS_SECRET_ACCESS_KEY="no")
    assert told.returncode == 0, told.stderr
    keys = str(up.place.state / "store" / "keys.toml")
    endpoint = json.loads((up.place.state / "client.json").read_text())["endpoint"]
    named = ["--endpoint", endpoint, "--keys", keys]
    assert jobs(up, DONE, *named, AWS_ACCESS_KEY_ID="AKID", AWS_SECRET_ACCESS_KEY="no").returncode == 0


def test_an_unknown_job_is_one_sentence(up: Up) -> None:
    told = jobs(up, UNKNOWN)
    assert told.returncode == 1 and told.stdout == ""
    assert told.stderr.startswith(f"headrace: nothing is known of a job {UNKNOWN}")
    assert told.stderr.count("\n") == 1


def test_what_cannot_be_an_id_is_refused(up: Up) -> None:
    assert jobs(up, "a/b").returncode == 2


def test_without_a_store_it_says_so(up: Up) -> None:
    told = jobs(up, DONE, "--endpoint", "http://127.0.0.1:1")
    assert told.returncode == 4 and told.stderr.count("\n") == 1
    assert "http://127.0.0.1:1" in told.stderr and "does `headrace up` run?" in told.stderr


def test_of_a_job_that_may_still_wait_it_says_where(up: Up) -> None:
    sqs = client(up, "sqs")
    sqs.send_message(QueueUrl=sqs.create_queue(QueueName="slow")["QueueUrl"], MessageBody="{}")
    told = jobs(up, UNKNOWN)
    assert told.returncode == 1 and told.stderr.count("\n") == 1
    assert "it may be in a queue" in told.stderr and "slow (1 waiting, 0 delayed, 0 in work)" in told.stderr
