"""Times by the services' clock where this host's is wrong, what waits for a far time, what goes when it is
old; and sends whose answer is lost."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import time
import uuid
from calendar import timegm
from collections.abc import Iterator
from email.utils import formatdate
from urllib.parse import unquote

import pytest
from amazon_place import RECORD, AmazonPlace, FakeService, runs
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fault_proxy import Answer, Drop, Fault, Pass, Request
from worker_process import until

DOUBLE = RECORD + "@headrace.task\ndef double(x: int) -> int:\n    record('start')\n    return 2 * x\n"
BUCKET = "headrace-shop"
HOUR = 3600


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[AmazonPlace]:
    there = AmazonPlace(tmp_path / "app")
    yield there
    there.end()


def started(place: AmazonPlace, source: str = DOUBLE) -> AmazonPlace:
    place.write(source).start_store()
    place.prepare()
    place.variables |= place.with_keys()
    return place


def sweeping(place: AmazonPlace) -> AmazonPlace:
    """Workers sweep as often as they remove results."""
    place.write(DOUBLE)
    config = place.folder / "headrace.toml"
    config.write_text(config.read_text().replace("[app]", '[app]\nresults_kept = "3s"'))
    place.start_store()
    place.prepare()
    place.variables |= place.with_keys()
    return place


def sign_anew(place: AmazonPlace, without: tuple[str, ...] = ()) -> None:
    """What the proxy passes on is signed by this host's time, and lacks those headers."""
    assert place.proxy and place.store
    keys = Credentials(place.store.key_id, place.store.secret)
    dropped = {
        "authorization",
        "x-amz-date",
        "x-amz-content-sha256",
        "connection",
        "content-length",
        *without,
    }

    def rewrite(request: Request, head: bytes) -> bytes:
        kept = {name: value for name, value in request.headers.items() if name not in dropped}
        sqs = "x-amz-target" in request.headers
        url = f"http://{request.headers['host']}{request.path}"
        signed = AWSRequest(request.method, url, kept, request.body)
        (SigV4Auth if sqs else S3SigV4Auth)(keys, "sqs" if sqs else "s3", "us-east-1").add_auth(signed)
        lines = [f"{request.method} {request.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in signed.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    place.proxy.rewrite = rewrite


def with_clock(place: AmazonPlace, ahead: int) -> None:
    """The services' clock, against this host's."""
    assert place.proxy
    sign_anew(place)

    def decide(request: Request) -> Fault:
        stamp = timegm(time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        there = time.time() + ahead
        if abs(stamp - there) < 300:
            return Pass()
        code = "InvalidSignatureException" if "x-amz-target" in request.headers else "RequestTimeTooSkewed"
        return Answer(403, code, (("date", formatdate(there, usegmt=True)),))

    place.proxy.decide = decide


# ---- a host whose clock is wrong


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_host_whose_clock_is_an_hour_off_runs_jobs_by_the_services_time(
    place: AmazonPlace, ahead: int
) -> None:
    with_clock(started(place), ahead)
    worker = place.worker()
    there = round((time.time() + ahead) * 1000)
    job = place.send("double", 4, sent=there, not_before=there, expires=there + 120_000)
    result = place.result(job)
    assert (result["state"], result["attempts"]) == (
        "done",
        1,
    ), "neither too early nor expired"
    assert abs(result["ended"] - there) < 300_000
    done = place.run_python(
        "import shop_tasks\n"
        "job = shop_tasks.double.using(expires=100).delay(21)\n"
        "print(job.result(timeout=60), job.id)\n"
    )
    answer, _, sent = done.stdout.strip().partition(" ")
    assert answer == "42", done.stderr
    assert abs(place.result(sent)["sent"] - there) < 300_000
    assert len(worker.lines("clock_wrong")) == 1 and len(runs(place.folder)) == 2


def test_keys_that_only_a_wrong_clock_calls_run_out_are_used(place: AmazonPlace) -> None:
    """The host is an hour ahead, and its container's keys have half an hour left."""
    started(place)
    assert place.store
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - HOUR / 2))
    given = {"AccessKeyId": place.store.key_id, "SecretAccessKey": place.store.secret}
    answer = json.dumps(given | {"Token": "", "Expiration": end})
    agent = FakeService(lambda method, path, headers, body: (200, answer))
    with_clock(place, -HOUR)
    place.variables = {
        "AWS_ENDPOINT_URL": place.variables["AWS_ENDPOINT_URL"],
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url,
    }
    place.worker()
    done = place.run_python("import shop_tasks; print(shop_tasks.double.delay(21).result(timeout=60))")
    assert done.stdout == "42\n", done.stderr
    agent.stop()


# ---- what waits under later/


def later(place: AmazonPlace, due: float, job: str = "", **members: object) -> str:
    call = {
        "headrace": 1,
        "id": job or str(uuid.uuid4()),
        "task": "shop_tasks.double",
        "args": [1],
    }
    call |= {"sent": int(time.time() * 1000)} | members
    minute = time.strftime("%Y%m%d%H%M", time.gmtime(due))
    text = json.dumps(
        {
            "v": 1,
            "queue": "default",
            "due": int(due * 1000),
            "message": json.dumps(call),
        }
    )
    place.client("s3").put_object(Bucket=BUCKET, Key=f"later/{minute}/{call['id']}", Body=text)
    return str(call["id"])


def keys(place: AmazonPlace, prefix: str) -> list[str]:
    found = place.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def test_a_cancelled_job_that_waits_for_a_far_time_ends_now(place: AmazonPlace) -> None:
    sweeping(place)
    far = time.time() + 100 * 86_400
    job, other = later(place, far), later(place, far)
    place.client("s3").put_object(Bucket=BUCKET, Key=f"cancel/{job}", Body=b"{}")
    place.worker()
    assert place.result(job)["state"] == "cancelled"
    until(lambda: keys(place, "cancel/") == [])
    (left,) = keys(place, "later/")
    assert left.endswith(other)


def test_a_bucket_without_conditions_sends_what_is_due_once_all_the_same(
    place: AmazonPlace,
) -> None:
    started(place)
    sign_anew(place, without=("if-match", "if-none-match"))
    jobs = [later(place, time.time()) for _ in range(12)]
    workers = [
        place.worker(ready=False),
        place.worker("--control", str(place.folder / "o.sock"), ready=False),
    ]
    for job in jobs:
        assert place.result(job)["attempts"] == 1
    until(lambda: keys(place, "later/") == [])
    assert all(worker.lines("conditional_writes_missing") for worker in workers)
    assert sum(len(worker.lines("later_sent")) for worker in workers) == len(jobs)


def test_arguments_that_waited_long_are_written_anew_when_their_job_is_sent(
    place: AmazonPlace,
) -> None:
    started(place)
    assert place.proxy
    body = b'{"args":[4],"kwargs":{}}'
    digest = hashlib.sha256(body).hexdigest()
    job = str(uuid.uuid4())
    place.client("s3").put_object(Bucket=BUCKET, Key=f"body/{job}", Body=body)
    reference = {"key": f"body/{job}", "size": len(body), "sha256": digest}
    long_ago = int(time.time() * 1000) - 2 * 86_400_000
    later(place, time.time(), job, args=None, kwargs=None, sent=long_ago, body=reference)
    copied: list[str] = []

    def decide(request: Request) -> Fault:
        copied.extend([request.path] if "x-amz-copy-source" in request.headers else [])
        return Pass()

    place.proxy.decide = decide
    place.worker()
    assert place.result(job)["result"] == 8
    assert copied == [f"/{BUCKET}/body/{job}"]
    until(lambda: keys(place, "body/") == [])


# ---- what is old


def test_marks_and_arguments_of_jobs_that_are_long_over_go(place: AmazonPlace) -> None:
    sweeping(place)
    assert place.proxy
    old = {
        "mark/over",
        "body/over",
        "body/unmarked",
        "body/marked-lately",
        "mark/waits",
        "body/waits",
    }
    young = {"mark/marked-lately", "mark/new", "body/new"}
    for key in old | young:
        place.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    later(place, time.time() + 100 * 86_400, "waits")

    def age(request: Request, answer: bytes) -> bytes:
        def older(found: re.Match[bytes]) -> bytes:
            return found[0][:-4] + (b"2020" if unquote(found[1].decode()) in old else found[2])

        return re.sub(rb"<Key>([^<]*)</Key><LastModified>(\d{4})", older, answer)

    place.proxy.alter = age
    place.worker()
    until(lambda: "mark/over" not in keys(place, "mark/"))
    left = {"body/marked-lately", "mark/waits", "body/waits"} | young
    assert set(keys(place, "mark/") + keys(place, "body/")) == left


# ---- a send whose answer is lost

SEND = "import shop_tasks; print(shop_tasks.double.delay(21).result(timeout=60))"


def lose_answers(place: AmazonPlace, action: str, count: int) -> None:
    assert place.proxy
    left = [Drop(done=True)] * count
    place.proxy.decide = lambda request: left.pop() if left and request.action == action else Pass()


def test_our_store_takes_a_send_twice_and_does_it_once(place: AmazonPlace) -> None:
    started(place)
    assert place.proxy
    worker = place.worker()
    lose_answers(place, "SendMessage", 1)
    done = place.run_python(SEND)
    assert done.stdout == "42\n", done.stderr
    until(lambda: place.depth() == 0)
    assert place.proxy.requests.count("SendMessage") == 2
    assert len(runs(place.folder)) == 1 and worker.status()["counts"]["received"] == 1


def test_where_the_store_is_not_ours_nothing_is_sent_again_unasked(
    place: AmazonPlace,
) -> None:
    started(place)
    assert place.proxy
    place.proxy.alter = lambda request, answer: re.sub(rb"(?i)x-headrace-batch-max", b"x-unknown", answer)
    place.worker()
    lose_answers(place, "SendMessage", 1)
    done = place.run_python(SEND)
    assert "headrace.Unavailable" in done.stderr and "whether it was done is not known" in done.stderr
    until(lambda: len(runs(place.folder)) == 1 if (place.folder / "runs").exists() else None)
    until(lambda: place.depth() == 0)
    assert place.proxy.requests.count("SendMessage") == 1
