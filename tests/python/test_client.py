"""Sending jobs and using buckets, against a running store over TCP and over its unix socket."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import APP, PACKAGE
from store_process import Store


def receive(headrace: Any, queue: str) -> list[dict[str, Any]]:
    """Every message of the queue, taken out of it."""
    to = headrace._services.services()
    url = to.queue_url(queue)
    found: list[dict[str, Any]] = []
    while messages := to.sqs("ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10}).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
        entries = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
            for index, message in enumerate(messages)
        ]
        to.sqs("DeleteMessageBatch", {"QueueUrl": url, "Entries": entries})
    return found


@pytest.fixture
def queue(headrace: Any) -> str:
    name = f"q-{uuid.uuid4().hex}"
    headrace._services.services().sqs("CreateQueue", {"QueueName": name})
    return name


@pytest.fixture
def add(headrace: Any, queue: str) -> Iterator[Any]:
    def add(a: int, b: int = 0) -> int:
        return a + b

    yield headrace.task(name="tests.add", queue=queue)(add)
    headrace._registry._specs.clear()


def write_result(headrace: Any, job: str, **document: Any) -> None:
    headrace.Bucket(f"headrace-{APP}").put(f"result/{job}", json.dumps({"v": 1, "id": job} | document))


# ---- Sending


def test_a_task_stays_callable_and_its_send_is_one_message(headrace: Any, add: Any, queue: str) -> None:
    assert add(1, b=2) == 3
    before = time.time_ns() // 1_000_000
    job = add.delay(1, b=2)
    (envelope,) = receive(headrace, queue)
    assert before <= envelope.pop("sent") <= time.time_ns() // 1_000_000
    assert envelope == {
        "headrace": 1,
        "id": job.id,
        "task": "tests.add",
        "args": [1],
        "kwargs": {"b": 2},
        "not_before": None,
        "expires": None,
        "attempt": 0,
        "keep_result": True,
        "once": False,
        "flow": None,
        "trace": {"request_id": None},
        "body": None,
    }
    assert uuid.UUID(job.id).version == 7


def test_many_sends_in_batches_and_gives_each_its_job(headrace: Any, add: Any, queue: str) -> None:
    jobs = add.many([(1, 2), [3], {"a": 4}] + [(n,) for n in range(20)])
    envelopes = {envelope["id"]: envelope for envelope in receive(headrace, queue)}
    assert [(envelopes[job.id]["args"], envelopes[job.id]["kwargs"]) for job in jobs[:3]] == [
        ([1, 2], {}),
        ([3], {}),
        ([], {"a": 4}),
    ]
    assert len(envelopes) == 23
    assert add.many([]) == []


def test_many_splits_what_is_too_long_for_one_request(headrace: Any, add: Any, queue: str) -> None:
    long = [(f"{n}{'x' * 40_000}",) for n in range(60)]  # SQS takes 1 MiB at a time
    jobs = add.many(long + [("y" * 50_000,)])  # the last one's arguments go through the bucket
    envelopes = {envelope["id"]: envelope for envelope in receive(headrace, queue)}
    assert [envelopes[job.id]["args"] for job in jobs] == [list(call) for call in long] + [None]
    assert envelopes[jobs[-1].id]["body"]["key"] == f"body/{jobs[-1].id}"


def test_many_checks_all_calls_before_it_sends_the_first(headrace: Any, add: Any, queue: str) -> None:
    for wrong in [object()], ["\ud800"], [1, 2, 3], {"c": 1}, [2**64]:
        with pytest.raises(TypeError):
            add.many([(1,)] * 2_000 + [wrong])
    assert receive(headrace, queue) == []


def test_threads_send_at_once(headrace: Any, add: Any, queue: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(add.delay, range(200)))
    assert {envelope["id"] for envelope in receive(headrace, queue)} == {job.id for job in jobs}


def test_a_forked_process_sends_on_connections_of_its_own(headrace: Any, add: Any, queue: str) -> None:
    sent = [add.delay(0).id]
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(into, " ".join(add.delay(1).id for _ in range(20)).encode())
            status = 0
        finally:
            os._exit(status)
    sent += [add.delay(0).id for _ in range(20)]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(into)
    with os.fdopen(out) as said:
        sent += said.read().split()
    assert {envelope["id"] for envelope in receive(headrace, queue)} == set(sent) and len(sent) == 41


def test_a_delay_is_the_queues_and_stands_in_the_envelope(headrace: Any, add: Any, queue: str) -> None:
    chosen = str(uuid.uuid4())
    job = add.using(delay=0.5, id=chosen).delay(1)
    assert job.id == chosen
    assert headrace.queues()[queue] == headrace.Depth(waiting=0, running=0, delayed=1)
    with pytest.raises(ValueError, match="from 0 to 31622400 seconds"):
        add.using(delay=366 * 86_400 + 1)
    assert add.using(delay=366 * 86_400).options.delay == 366 * 86_400


def test_a_longer_delay_than_the_queues_waits_in_the_bucket(headrace: Any, add: Any, queue: str) -> None:
    headrace.Bucket(f"headrace-{APP}").create()
    add.using(delay=900).delay(1)
    jobs = [add.using(delay=901).delay(2), *add.using(delay=86_400).many([(3,)])]
    assert headrace.queues()[queue] == headrace.Depth(waiting=0, running=0, delayed=1)
    bucket = headrace.Bucket(f"headrace-{APP}")
    found = {entry.key.rpartition("/")[2]: entry.key for entry in bucket.list("later/")}
    for job in jobs:
        later = json.loads(bucket.get(found[job.id]))
        envelope = json.loads(later["message"])
        assert (later["queue"], envelope["id"], envelope["not_before"]) == (queue, job.id, later["due"])
        minute = time.strftime("%Y%m%d%H%M", time.gmtime(later["due"] // 1000))
        assert found[job.id] == f"later/{minute}/{job.id}"


def test_a_cancelled_job_is_asked_for_once_and_raises(headrace: Any, add: Any) -> None:
    headrace.Bucket(f"headrace-{APP}").create()
    job = add.delay(1)
    assert job.cancel() and job.cancel()
    bucket = headrace.Bucket(f"headrace-{APP}")
    assert [entry.key for entry in bucket.list(f"cancel/{job.id}")] == [f"cancel/{job.id}"]
    bucket.put(f"result/{job.id}", json.dumps({"v": 1, "id": job.id, "state": "cancelled"}))
    with pytest.raises(headrace.Cancelled, match=job.id):
        job.result(timeout=5)
    assert not job.cancel()


def test_a_trace_goes_from_a_sender_to_its_message(headrace: Any, add: Any, queue: str) -> None:
    from headrace import _trace

    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    token = _trace.traceparent.set(_trace.below(parent))
    add.delay(1)
    _trace.traceparent.reset(token)
    add.delay(2)
    traced, plain = sorted(receive(headrace, queue), key=lambda envelope: envelope["args"])
    told = traced["trace"]["traceparent"]
    assert told.startswith(parent[:36]) and told.endswith("-01") and told != parent
    assert "traceparent" not in plain["trace"]


def test_large_arguments_go_to_the_bucket_first(headrace: Any, queue: str) -> None:
    take = headrace.task(name="tests.take", queue=queue)(lambda text: None)
    job = take.delay("x" * 50_000)
    (envelope,) = receive(headrace, queue)
    assert (envelope["args"], envelope["kwargs"]) == (None, None)
    body = headrace.Bucket(f"headrace-{APP}").get(envelope["body"]["key"])
    assert envelope["body"]["key"] == f"body/{job.id}" and envelope["body"]["size"] == len(body)
    assert json.loads(body) == {"args": ["x" * 50_000], "kwargs": {}}
    overhead = len(json.dumps(envelope | {"args": [""], "kwargs": {}, "body": None}, separators=(",", ":")))
    take.delay("x" * ((48 << 10) - overhead))
    take.delay("x" * ((48 << 10) - overhead + 1))
    assert [bool(one["body"]) for one in sorted(receive(headrace, queue), key=lambda e: e["sent"])] == [
        False,
        True,
    ]
    headrace._registry._specs.clear()


def test_any_text_arrives_as_it_was(headrace: Any, queue: str) -> None:
    echo = headrace.task(name="tests.echo", queue=queue)(lambda text: None)
    text = '\x00\x1f\x7f\ufffe\uffff\U0001f600 é \\ "'
    echo.delay(text)
    assert receive(headrace, queue)[0]["args"] == [text]
    headrace._registry._specs.clear()


def test_what_cannot_be_sent_is_said_at_once(headrace: Any, add: Any) -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        add.delay()
    with pytest.raises(TypeError, match="the argument a of tests.add is of type object"):
        add.delay(object())
    with pytest.raises(TypeError, match=r"the argument a of tests.add\['x'\]\[0\] is nan"):
        add.delay({"x": [float("nan")]})
    with pytest.raises(TypeError, match="keys must be text"):
        add.delay({1: 2})
    with pytest.raises(TypeError, match="past 64 bits"):
        add.delay(2**63)
    with pytest.raises(TypeError, match="half a surrogate pair"):
        add.delay("\ud800")


def test_the_request_at_hand_travels_with_the_job(headrace: Any, add: Any, queue: str) -> None:
    token = headrace._context.request_id.set("web-request-1")
    try:
        add.delay(1)
    finally:
        headrace._context.request_id.reset(token)
    assert receive(headrace, queue)[0]["trace"] == {"request_id": "web-request-1"}


def test_a_missing_queue_says_who_makes_it(headrace: Any) -> None:
    lost = headrace.task(name="tests.lost", queue="nobody-made-it")(lambda: None)
    with pytest.raises(headrace.NotFound, match="there is no queue 'nobody-made-it': the worker"):
        lost.delay()
    headrace._registry._specs.clear()


def test_declarations_out_of_bounds_name_the_option(headrace: Any) -> None:
    def nothing() -> None:
        pass

    for options, text in [
        ({"retries": -1}, "retries=-1 "),
        ({"timeout": 41401}, "timeout=41401 "),
        ({"queue": "a b"}, "the queue name 'a b'"),
        ({"result": "yes"}, "result='yes'"),
    ]:
        with pytest.raises(ValueError, match=text):
            headrace.task(name="tests.nothing", **options)(nothing)
    with pytest.raises(ValueError, match="defined inside a function"):
        headrace.task(nothing)
    with pytest.raises(ValueError, match="not one of S3's"):
        headrace.on("created", bucket="b")


# ---- Results


def test_result_waits_for_the_workers_document(headrace: Any, add: Any) -> None:
    job = add.delay(1, 2)
    assert not job.done()
    timer = threading.Timer(0.2, write_result, (headrace, job.id), {"state": "done", "result": 3})
    timer.start()
    assert job.result(timeout=30) == 3
    assert job.done() and headrace.Job(job.id) == job
    timer.join()


def test_a_job_that_failed_for_good_raises_what_it_raised(headrace: Any, add: Any) -> None:
    job = add.delay(1)
    error = {"type": "ValueError", "message": "no", "traceback": "Traceback: here"}
    write_result(headrace, job.id, state="dead", result=None, error=error)
    with pytest.raises(headrace.TaskError, match=f"job {job.id} failed: ValueError: no") as raised:
        job.result(timeout=5)
    assert raised.value.traceback == "Traceback: here"


def test_waiting_ends_in_time(headrace: Any, add: Any) -> None:
    with pytest.raises(headrace.ResultTimeout, match="has not ended within 0.1 s"):
        add.delay(1).result(timeout=0.1)
    with pytest.raises(headrace.ResultTimeout):
        add.delay(1).result(timeout=0)


def test_a_job_without_a_result_says_so_at_once(headrace: Any, queue: str) -> None:
    def nothing() -> None:
        pass

    job = headrace.task(name="tests.none", queue=queue)(nothing).delay()
    with pytest.raises(ValueError, match='result="keep"'):
        job.result()
    assert receive(headrace, queue)[0]["keep_result"] is False
    headrace._registry._specs.clear()


def test_async_code_sends_and_awaits(headrace: Any, add: Any) -> None:
    import asyncio

    async def both() -> Any:
        job = await add.adelay(1)
        write_result(headrace, job.id, state="done", result=[1])
        return await job

    assert asyncio.run(both()) == [1]


# ---- Buckets


@pytest.fixture
def bucket(headrace: Any) -> Any:
    made = headrace.Bucket(f"b-{uuid.uuid4().hex}")
    made.create()
    made.create()
    return made


def test_an_object_is_put_and_read_back(headrace: Any, bucket: Any) -> None:
    etag = bucket.put("a b/ü.txt", "text", content_type="text/plain", metadata={"by": "me"})
    assert bucket.get("a b/ü.txt") == b"text"
    info = bucket.head("a b/ü.txt")
    assert (info.size, info.etag, info.content_type, info.metadata) == (4, etag, "text/plain", {"by": "me"})
    bucket.delete("a b/ü.txt")
    bucket.delete("a b/ü.txt")
    with pytest.raises(headrace.NotFound):
        bucket.get("a b/ü.txt")
    with pytest.raises(headrace.NotFound):
        bucket.head("a b/ü.txt")


def test_a_large_object_comes_back_whole(bucket: Any) -> None:
    data = os.urandom(1 << 20) * 20
    bucket.put("large", memoryview(data))
    assert bucket.get("large") == data


def test_a_conditional_put_meets_what_is_there(headrace: Any, bucket: Any) -> None:
    bucket.put("once", b"1", if_none_match=True)
    with pytest.raises(headrace.Conflict):
        bucket.put("once", b"2", if_none_match=True)
    assert bucket.get("once") == b"1"


def test_a_listing_goes_on_over_its_pages(bucket: Any, headrace: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: bucket.put(f"in/{n:04} +", b"x"), range(1001)))
    bucket.put("out", b"y")
    assert [entry.key for entry in bucket.list("in/")] == [f"in/{n:04} +" for n in range(1001)]
    (last,) = bucket.list("out")
    assert last.size == 1 and last.etag == bucket.head("out").etag
    with pytest.raises(headrace.NotFound):
        list(headrace.Bucket("no-such-bucket").list())


def test_names_and_headers_that_may_not_be_sent_are_refused(headrace: Any, bucket: Any) -> None:
    for call in (
        lambda: headrace.Bucket("a/b"),
        lambda: bucket.put("", b""),
        lambda: bucket.put("k" * 1025, b""),
        lambda: bucket.put("k", b"", content_type="a\r\nx-injected: 1"),
        lambda: bucket.put("k", b"", metadata={"a b": "c"}),
    ):
        with pytest.raises(ValueError):
            call()


# ---- What goes wrong on the way


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """A server that answers each connection with the bytes given and closes it; its endpoint."""
    listeners = []

    def start(*answers: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            for answer in answers:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def package() -> Iterator[Any]:
    import headrace

    yield headrace
    headrace.configure()


def use(package: Any, endpoint: str, timeout: float = 10) -> None:
    package.configure(endpoint=endpoint, access_key="k", secret_key="s", timeout=timeout)


def test_a_store_that_is_down_says_how_to_start_it(package: Any, tmp_path: pathlib.Path) -> None:
    for endpoint in ("http://127.0.0.1:1", f"unix:{tmp_path}/none.sock"):
        use(package, endpoint)
        with pytest.raises(
            package.Unavailable, match=f"nothing answers at {endpoint}.*headrace up"
        ) as raised:
            package.Bucket("b").get("k")
        assert isinstance(raised.value, ConnectionError)


def test_a_silent_store_times_out(package: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        use(package, f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)
        with pytest.raises(package.Timeout, match="did not answer GET /b/k within 0.2 s") as raised:
            package.Bucket("b").get("k")
        assert isinstance(raised.value, TimeoutError)


def test_an_answer_cut_short_is_unavailable(package: Any, answering: Callable[..., str]) -> None:
    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"not HTTP\r\n\r\n"):
        use(package, answering(answer, answer))
        with pytest.raises(package.Unavailable, match="broke off GET /b/k"):
            package.Bucket("b").get("k")


def test_a_read_that_was_broken_off_is_asked_once_more(package: Any, answering: Callable[..., str]) -> None:
    too_long = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok"
    use(package, answering(too_long, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert package.Bucket("b").get("k") == b"ok"


def test_a_kept_connection_that_ended_is_replaced(package: Any, answering: Callable[..., str]) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    use(package, answering(*[answer] * 3))
    assert [package.Bucket("b").get("k") for _ in range(3)] == [b"ok"] * 3


def test_a_busy_service_is_asked_again(package: Any, answering: Callable[..., str]) -> None:
    busy = b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"
    refusal = b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\n\r\n%s" % (len(busy), busy)
    use(package, answering(refusal, refusal, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert package.Bucket("b").get("k") == b"ok"
    use(package, answering(*[refusal] * 4))
    with pytest.raises(package.ServiceError, match=r"later \(SlowDown, HTTP 503\)"):
        package.Bucket("b").get("k")


def test_endpoints_that_are_none_are_refused(package: Any) -> None:
    for endpoint in (
        "ftp://a",
        "http://",
        "http://a:b",
        "http://a/b",
        "unix:relative",
        "http://[::1",
    ):
        use(package, endpoint)
        with pytest.raises(ValueError, match="write http://HOST:PORT, https://HOST or unix:/PATH"):
            package.Bucket("b").get("k")


def test_a_wrong_key_is_the_services_error(package: Any, store: Store) -> None:
    package.configure(endpoint=store.endpoint, access_key="k", secret_key="s")
    with pytest.raises(package.ServiceError) as raised:
        package.Bucket("b").get("k")
    assert raised.value.code in ("InvalidAccessKeyId", "SignatureDoesNotMatch")


# ---- Where the services are


def test_without_any_word_of_the_services_the_error_says_where_to_put_it(package: Any) -> None:
    package.configure()
    with pytest.raises(package.Unavailable, match="headrace up.*HEADRACE_ENDPOINT"):
        package.queues()


def test_settings_come_from_the_environment_client_json_or_the_file(
    package: Any, store: Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = f"{store.folder}/keys.toml"
    settings = package._settings
    (tmp_path / "headrace.toml").write_text(
        f'[app]\nname = "shop"\n[store]\nlisten = "127.0.0.1:7"\npath = "{store.folder}"\n'
    )
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    found = settings.resolve({})
    assert (found.sqs.endpoint, found.app, found.bucket) == ("http://127.0.0.1:7", "shop", "headrace-shop")
    assert (found.sqs, found.s3.keys) == (found.s3, (store.key_id, store.secret, ""))

    (tmp_path / ".headrace").mkdir()
    said = {"endpoint": "http://127.0.0.1:8", "socket": "/none", "keys": keys, "region": "r", "app": "other"}
    (tmp_path / ".headrace" / "client.json").write_text(json.dumps(said))
    assert (settings.resolve({}).s3.endpoint, settings.resolve({}).app) == ("http://127.0.0.1:8", "other")
    (tmp_path / ".headrace" / "client.json").write_text(json.dumps(said | {"socket": store.socket}))
    assert settings.resolve({}).sqs.endpoint == f"unix:{store.socket}"

    monkeypatch.setenv("HEADRACE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    found = settings.resolve({})
    assert (found.sqs.endpoint, found.sqs.keys[0]) == ("http://127.0.0.1:9", store.key_id)
    assert settings.resolve({"endpoint": "http://127.0.0.1:10"}).sqs.endpoint == "http://127.0.0.1:10"


def test_services_name_the_endpoint_and_region_of_clients_and_keys_of_aws_come_last(
    package: Any, store: Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = package._settings
    text = '[services]\nendpoint = "http://10.0.0.7:9324"\nregion = "eu-west-1"\n[store]\nregion = "r"\n'
    (tmp_path / "headrace.toml").write_text(text + 'path = "none"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    found = settings.resolve({})
    assert (found.sqs.endpoint, found.s3.region) == ("http://10.0.0.7:9324", "eu-west-1")
    assert found.sqs.keys == ("a", "b", "")
    (tmp_path / "headrace.toml").write_text(text + f'path = "{store.folder}"\n')
    assert settings.resolve({}).sqs.keys[0] == store.key_id
    assert settings.resolve({"keys": f"{store.folder}/keys.toml"}).s3.keys[1] == store.secret


def test_the_module_needs_the_c_library_alone_and_shows_its_entry_only() -> None:
    module = PACKAGE / "headrace" / "_native.abi3.so"
    needed = subprocess.run(["readelf", "-d", module], capture_output=True, text=True, check=True).stdout
    libraries = {line.split("[")[1].rstrip("]") for line in needed.splitlines() if "(NEEDED)" in line}
    assert libraries <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}
    shown = subprocess.run(["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in shown.stdout.splitlines()] == ["PyInit__native"]


def test_a_signal_handlers_exception_ends_a_wait(package: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = (
            "import headrace, os, signal, threading\n"
            f"headrace.configure(endpoint='http://127.0.0.1:{listener.getsockname()[1]}', access_key='k',"
            " secret_key='s')\n"
            "def told(*_): raise InterruptedError('told')\n"
            "signal.signal(signal.SIGUSR1, told)\n"
            "print('waiting', flush=True)\n"
            "try: headrace.queues()\n"
            "except InterruptedError as e: print(e)\n"
        )
        environment = os.environ | {"PYTHONPATH": str(PACKAGE)}
        process = subprocess.Popen(
            [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout and process.stdout.readline() == "waiting\n"
        connection, _ = listener.accept()
        connection.recv(65536)
        os.kill(process.pid, 10)
        assert process.communicate(timeout=30)[0] == "told\n"
        connection.close()
