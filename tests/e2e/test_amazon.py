"""Workers whose services are Amazon's as far as they know: where they look for keys, what they make of
refusals, and that a network which delays, drops and repeats loses nothing."""

from __future__ import annotations

import calendar
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
import up_process
from amazon_place import RECORD, AmazonPlace, FakeService, instance, runs
from fault_proxy import Answer, Drip, Drop, Fault, FaultProxy, Pass, Request, Twice
from worker_process import until

DOUBLE = "@headrace.task\ndef double(x: int) -> int:\n    return 2 * x\n"
SEND = "import shop_tasks; print(shop_tasks.double.delay(21).result(timeout=60))"


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[AmazonPlace]:
    there = AmazonPlace(tmp_path / "app")
    yield there
    there.end()


def started(place: AmazonPlace, source: str = DOUBLE) -> AmazonPlace:
    place.write(source).start_store()
    place.prepare()
    return place


def test_keys_from_the_environment_serve_worker_and_senders(place: AmazonPlace) -> None:
    started(place).variables |= place.with_keys()
    worker = place.worker()
    done = place.run_python(SEND)
    assert done.stdout == "42\n", done.stderr
    requests = worker.status()["requests"]
    assert requests["sqs"] >= 2 and requests["per_job"] > 0
    assert worker.status()["conditional_writes"] is True
    assert worker.stop() == 0


def test_keys_come_from_an_instance_as_well(place: AmazonPlace) -> None:
    started(place)
    assert place.store
    metadata = instance(place.store.key_id, place.store.secret)
    place.variables |= {
        "AWS_EC2_METADATA_DISABLED": "",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
    }
    place.worker()
    done = place.run_python(SEND)
    assert done.stdout == "42\n", done.stderr
    # Worker, child, sender: each asks for a token, the role and its keys, once.
    assert len(metadata.asked) in (6, 9), metadata.asked
    metadata.stop()


def test_a_role_is_assumed_by_web_identity_and_by_profile(
    place: AmazonPlace, tmp_path: pathlib.Path
) -> None:
    started(place)
    assert place.store
    said: list[str] = []
    name = {"AssumeRole": "AssumeRole", "AssumeRoleWithWebIdentity": "AssumeRoleWithWebIdentity"}
    keys = (place.store.key_id, place.store.secret)

    def sts(method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, str]:
        action = next(part.partition("=")[2] for part in body.split("&") if part.startswith("Action="))
        said.append(action + (" signed" if "authorization" in headers else ""))
        return 200, (
            f"<{action}Response><{action}Result><Credentials><AccessKeyId>{keys[0]}</AccessKeyId>"
            f"<SecretAccessKey>{keys[1]}</SecretAccessKey><Expiration>2199-01-01T00:00:00Z</Expiration>"
            f"</Credentials></{action}Result></{name[action]}Response>"
        )

    service = FakeService(sts)
    (tmp_path / "token").write_text("from.the.cluster\n")
    (tmp_path / "config").write_text(
        "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = A\naws_secret_access_key = b\n"
    )
    place.variables |= {"AWS_ENDPOINT_URL_STS": service.url}
    identity = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/w",
    }
    ask = (
        "import headrace; from headrace._services import services; print(services().queue_url('default'))"
    )
    for more, action in (
        (identity, "AssumeRoleWithWebIdentity"),
        ({"AWS_CONFIG_FILE": str(tmp_path / "config")}, "AssumeRole signed"),
    ):
        kept = dict(place.variables)
        place.variables |= more
        asked = place.run_python(ask)
        assert asked.stdout.endswith("/default\n"), asked.stderr
        assert said.pop() == action
        place.variables = kept
    service.stop()


def test_no_keys_anywhere_is_told_with_every_place_that_was_looked_at(place: AmazonPlace) -> None:
    started(place)
    worker = place.worker(ready=False)
    line = worker.wait_for("services_unreachable")[0]
    for where in ("environment:", "web identity:", "profile:", "container:", "instance metadata:"):
        assert where in line
    asked = place.run_python(SEND)
    assert "headrace.Unavailable: there are no credentials for Amazon" in asked.stderr


def test_what_is_missing_on_amazon_is_named_and_nothing_is_made(place: AmazonPlace) -> None:
    place.write(DOUBLE).start_store()
    place.variables |= place.with_keys()
    worker = place.worker(ready=False)
    assert worker.process.wait(60) == 2
    for thing in ("bucket headrace-shop", "queue default-dead", "queue default;", "docs/aws.md"):
        assert thing in worker.text()
    assert place.client("sqs").list_queues().get("QueueUrls", []) == []


def test_without_a_region_nothing_is_guessed(place: AmazonPlace) -> None:
    place.write(DOUBLE).start_store()
    place.variables |= place.with_keys() | {"AWS_REGION": ""}
    worker = place.worker(ready=False)
    assert worker.process.wait(60) == 2
    assert "no region is said: set services.region" in worker.text()
    assert "no region is said" in place.run_python(SEND).stderr


def test_keys_that_ran_out_are_replaced_and_the_call_is_made_again(place: AmazonPlace) -> None:
    started(place)
    assert place.store and place.proxy
    metadata = instance(place.store.key_id, place.store.secret)
    place.variables |= {
        "AWS_EC2_METADATA_DISABLED": "",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
    }
    worker = place.worker()
    expired = threading.Event()
    expired.set()

    def decide(request: Request) -> Fault:
        if request.action in ("PUT", "DeleteMessageBatch") and expired.is_set():
            expired.clear()
            return Answer(403, "ExpiredToken" if request.action == "PUT" else "ExpiredTokenException")
        return Pass()

    place.proxy.decide = decide
    job = place.send("double", 4)
    assert place.result(job)["result"] == 8
    until(lambda: place.depth() == 0)
    assert not expired.is_set()
    assert len(worker.lines("job_started")) == 1
    metadata.stop()


def test_a_clock_that_is_wrong_is_told_once_and_lived_with(place: AmazonPlace) -> None:
    """The proxy speaks for a service whose clock is an hour ahead of ours, and takes only its own time."""
    started(place)
    assert place.proxy
    ahead = 3600
    signed: list[float] = []

    def decide(request: Request) -> Fault:
        stamp = time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        offset = calendar.timegm(stamp) - time.time()
        signed.append(offset)
        if abs(offset - ahead) < 300:
            return Answer(400, "AccessDenied")
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + ahead))
        return Answer(403, "RequestTimeTooSkewed", (("date", date),))

    place.proxy.decide = decide
    place.variables |= place.with_keys()
    worker = place.worker(ready=False)
    worker.process.wait(60)
    told = worker.lines("clock_wrong")
    assert len(told) == 1 and re.search(r"-(35|36)\d\d\b", told[0]), told
    assert any(abs(offset - ahead) < 300 for offset in signed)
    sent = place.run_python(
        "import headrace\nfrom headrace._services import services\nservices().queue_url('default')"
    )
    assert re.search(r"this host's clock is (35|36)\d\d s behind the service's", sent.stderr), sent.stderr


@pytest.mark.parametrize("seed", [1])
def test_a_network_that_misbehaves_loses_no_job_and_runs_none_twice(
    place: AmazonPlace, seed: int
) -> None:
    source = RECORD + (
        "@headrace.task(retries=5)\ndef step(x: int) -> int:\n"
        "    record('start')\n    time.sleep(0.02)\n    record('end')\n    return x\n"
    )
    started(place, source)
    assert place.proxy
    place.variables |= place.with_keys()
    draw = random.Random(seed)
    calm = threading.Event()
    busy = {
        "ReceiveMessage": (403, "RequestThrottled"),
        "PUT": (503, "SlowDown"),
        "GET": (503, "SlowDown"),
    }

    def decide(request: Request) -> Fault:
        if calm.is_set() or draw.random() > 0.35:
            return Pass()
        kinds: list[Fault] = [Pass(delay=0.3), Drop(done=False), Answer(500, "InternalError")]
        if request.action == "ReceiveMessage":
            kinds.append(Drop(done=True))
        else:
            kinds += [
                Drop(done=True),
                Twice(),
                Answer(503, "ServiceUnavailable"),
                Answer(429, "TooManyRequestsException"),
            ]
        if request.action == "PUT":
            kinds.append(Answer(409, "OperationAborted"))
        status, code = busy.get(request.action, (400, "ThrottlingException"))
        return draw.choice([*kinds, Answer(status, code)])

    def dropped(request: Request, answer: bytes) -> None:
        """What a lost answer has received comes back when its lease ends: soon, for the test's sake."""
        if request.action != "ReceiveMessage":
            return
        for message in json.loads(answer.partition(b"\r\n\r\n")[2]).get("Messages", []):
            place.client("sqs").change_message_visibility(
                QueueUrl=place.url("default"), ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=1
            )

    worker = place.worker()
    place.proxy.decide, place.proxy.dropped = decide, dropped
    jobs = [place.send("step", number) for number in range(30)]
    for number, job in enumerate(jobs):
        assert place.result(job, within=150)["result"] == number
    calm.set()
    until(lambda: place.depth() == 0, within=90)
    assert place.proxy.faults > 20, "the network misbehaved"
    open_ones: set[str] = set()
    for job, what, _ in sorted(runs(place.folder), key=lambda run: run[2]):
        assert (job in open_ones) == (what == "end"), "two ran at once"
        (open_ones.add if what == "start" else open_ones.remove)(job)
    started_ones = [job for job, what, _ in runs(place.folder) if what == "start"]
    assert sorted(started_ones) == sorted(jobs), "no crash, so nothing ran twice"
    assert worker.status()["requests"]["repeated"] > 0
    assert worker.stop() == 0


def test_an_answer_that_drips_is_none_and_costs_no_second_run(place: AmazonPlace) -> None:
    """Of the result that is stored, and of the message that is deleted: both were done."""
    started(place, RECORD + "@headrace.task\ndef once() -> int:\n    record('start')\n    return 1\n")
    assert place.proxy
    place.variables |= place.with_keys()
    worker = place.worker()
    dripping = {"PUT", "DeleteMessageBatch"}

    def decide(request: Request) -> Fault:
        if request.action not in dripping or (request.action == "PUT" and "/result/" not in request.path):
            return Pass()
        dripping.remove(request.action)
        return Drip()

    place.proxy.decide = decide
    job = place.send("once")
    assert place.result(job)["result"] == 1
    until(lambda: place.depth() == 0)
    assert not dripping and len(runs(place.folder)) == 1
    assert worker.status()["counts"]["done"] == 1


def test_a_receipt_that_expired_costs_the_lease_and_no_second_run(place: AmazonPlace) -> None:
    source = RECORD + "@headrace.task\ndef once() -> int:\n    record('start')\n    return 1\n"
    place.write(source, 'lease = "15s"').start_store()
    place.prepare()
    assert place.proxy
    place.variables |= place.with_keys()
    worker = place.worker()
    refused = threading.Event()

    def decide(request: Request) -> Fault:
        if request.action != "DeleteMessageBatch" or refused.is_set():
            return Pass()
        refused.set()
        why = {"Code": "ReceiptHandleIsInvalid", "SenderFault": True, "Message": "it has expired"}
        failed = [{"Id": entry["Id"]} | why for entry in json.loads(request.body)["Entries"]]
        return Answer(200, "", body=json.dumps({"Successful": [], "Failed": failed}).encode())

    place.proxy.decide = decide
    job = place.send("once")
    assert place.result(job)["result"] == 1
    assert "it has expired" in worker.wait_for("lease_lost")[0]
    until(lambda: place.depth() == 0)
    assert len(runs(place.folder)) == 1 and worker.status()["counts"]["done"] == 2


def test_a_drain_ends_long_polls_at_once_and_gives_back_what_they_bring(place: AmazonPlace) -> None:
    started(place).variables |= place.with_keys()
    worker = place.worker()
    assert place.proxy
    proxy = place.proxy
    until(lambda: "ReceiveMessage" in proxy.requests)
    began = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - began < 15, "a long poll lasts 20 s"
    assert place.depth() == 0


@contextlib.contextmanager
def an_up(place: AmazonPlace) -> Iterator[tuple[up_process.Up, up_process.Place]]:
    """`headrace up` with what the place says of Amazon."""
    here = up_process.Place(place.folder)
    up = here.start("env", *(f"{name}={value}" for name, value in place.environment().items()))
    try:
        up.wait_until_ready()
        yield up, here
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=up_process.STOP_WITHIN_S) == 0, here.said
    finally:
        up.stop(signal.SIGKILL)
        for pid in here.processes():
            os.kill(pid, signal.SIGKILL)


def test_up_runs_everything_but_a_store(place: AmazonPlace) -> None:
    started(place).variables |= place.with_keys()
    with an_up(place) as (up, here):
        assert up.ready()["endpoint"] == ""
        assert {"nginx", "api", "worker-default"} <= set(re.findall(r"role=(\S+)", here.said))
        assert "role=store" not in here.said and not (here.state / "client.json").exists()
        assert json.loads(up.curl("/_headrace/ready"))
        done = place.run_python(SEND)
        assert done.stdout == "42\n", done.stderr
        told = subprocess.run(
            [up_process.binary(), "workers", "--json"],
            cwd=place.folder,
            env=place.environment(),
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert json.loads(told.stdout)["pools"][0]["status"]["counts"]["done"] == 1


@pytest.mark.parametrize("ours", ["sqs", "s3"])
def test_one_service_may_be_ours_and_the_other_amazons(place: AmazonPlace, ours: str) -> None:
    """Each is asked with its own keys and region; the worker makes what is ours, and nothing at Amazon."""
    theirs = "s3" if ours == "sqs" else "sqs"
    place.services = f'[services]\n{ours} = "local"\n{theirs} = "aws"\nregion = "us-east-1"\n'
    place.write(DOUBLE).start_store()
    with (place.folder / "headrace.toml").open("a") as config:
        config.write('listen = "127.0.0.1:0"\nregion = "eu-west-1"\n')
    place.variables |= place.with_keys()
    if theirs == "sqs":
        place.make_queues("default")
    else:
        place.client("s3").create_bucket(Bucket="headrace-shop")
    with an_up(place) as (up, _):
        assert up.ready()["endpoint"] != ""
        done = place.run_python(SEND)
        assert done.stdout == "42\n", done.stderr
    queues = place.client("sqs").list_queues().get("QueueUrls", [])
    buckets = place.client("s3").list_buckets()["Buckets"]
    assert (len(queues), len(buckets)) == ((2, 0) if theirs == "sqs" else (0, 1))


def test_events_need_both_services_at_one_place(place: AmazonPlace) -> None:
    place.services = '[services]\nsqs = "aws"\ns3 = "local"\nregion = "us-east-1"\n'
    place.write(
        "@headrace.on('s3:ObjectCreated:*', bucket='inbox')\ndef came(event): pass\n"
    ).start_store()
    place.variables |= place.with_keys()
    assert place.store
    place.variables |= {
        "HEADRACE_ENDPOINT": place.store.endpoint,
        "HEADRACE_KEYS": f"{place.folder}/store/keys.toml",
    }
    worker = place.worker(ready=False)
    assert worker.process.wait(60) == 2
    assert "events of bucket inbox" in worker.text()
    assert "where services.sqs and services.s3 are the same" in worker.text()


def test_a_program_gives_the_keys(place: AmazonPlace, tmp_path: pathlib.Path) -> None:
    started(place)
    assert place.store
    keys = {"Version": 1, "AccessKeyId": place.store.key_id, "SecretAccessKey": place.store.secret}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    (tmp_path / "config").write_text(
        f"[profile ops]\ncredential_process = /bin/cat '{tmp_path}/keys.json'\n"
    )
    place.variables |= {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "ops"}
    place.worker()
    done = place.run_python(SEND)
    assert done.stdout == "42\n", done.stderr


def test_it_speaks_tls_with_an_authority_that_is_named(
    place: AmazonPlace, tmp_path: pathlib.Path
) -> None:
    """Python's TLS before the store; its certificate is made here, by openssl's own program."""
    started(place)
    assert place.proxy
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ]
        + [
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-subj",
            "/CN=t",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    front = FaultProxy(place.proxy.upstream, tls=context).start()
    place.variables |= place.with_keys() | {"AWS_ENDPOINT_URL": front.endpoint}
    worker = place.worker(ready=False)
    assert "is not to be trusted" in worker.wait_for("services_unreachable")[0]
    worker.end()
    assert front.requests == []
    place.variables |= {"AWS_CA_BUNDLE": str(tmp_path / "cert.pem")}
    place.worker()
    done = place.run_python(SEND)
    assert done.stdout == "42\n", done.stderr
    front.stop()
