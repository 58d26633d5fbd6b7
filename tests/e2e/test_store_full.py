"""A disk that fills up under a running store: a file system of its own, and the mark that is kept free."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
import s3_api
import store_process
from sqs_api import JsonApi, SqsError
from store_process import Store
from up_process import wait_for

MIB = 1 << 20
KEEP_MIB = 32

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a file system")


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m", "headrace-test", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def a_store(folder: pathlib.Path) -> Iterator[Store]:
    config = folder.parent / "headrace.toml"
    config.write_text(f'[store]\nsegment_mib = 4\nkeep_free = "{KEEP_MIB}M"\nscrub_rate = "0"\n')
    started = store_process.start(folder / "data", "--config", str(config))
    try:
        yield started
        started.process.terminate()
        assert started.process.wait(timeout=30) == 0
    finally:
        started.process.kill()
        started.process.wait(timeout=30)


def free(folder: pathlib.Path) -> int:
    seen = os.statvfs(folder)
    return seen.f_bavail * seen.f_frsize


def leave(folder: pathlib.Path, room: int) -> pathlib.Path:
    """Somebody else's file takes the rest."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free(folder) - room)
    return ballast


def metric(store: Store, name: str) -> float:
    text = s3_api.send(store, "GET", "/_headrace/metrics", {}).body.decode()
    return float(next(line for line in text.splitlines() if line.startswith(name + " ")).split()[1])


def low(store: Store) -> bool:
    return metric(store, "headrace_disk_low") == 1


def test_below_the_mark_only_deletes_are_taken_and_it_recovers_by_itself(
    small_disk: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with a_store(small_disk) as store:
        s3, sqs = s3_api.client(store), JsonApi(store)
        s3.create_bucket(Bucket="box")
        url = sqs("CreateQueue", QueueName="q")["QueueUrl"]
        for key in ("small", "other"):
            s3.put_object(Bucket="box", Key=key, Body=b"kept")
        s3.put_object(Bucket="box", Key="large", Body=bytes(MIB))
        sqs("SendMessage", QueueUrl=url, MessageBody="kept")

        ballast = leave(small_disk, (KEEP_MIB - 1) * MIB)
        wait_for("the store to see that the disk is nearly full", lambda: low(store))
        for size in (4, MIB):
            answer = s3_api.call(store, "PUT", "/box/new", body=bytes(size))
            assert (answer.status, answer.code) == (503, "ServiceUnavailable")
            assert "no space left" in answer.field("Message")
        assert s3_api.call(store, "POST", "/box/new", "uploads=").status == 503
        with pytest.raises(SqsError) as refused:
            sqs("SendMessage", QueueUrl=url, MessageBody="new")
        assert refused.value.status == 503 and "disk is full" in str(refused.value)
        health = json.loads(s3_api.send(store, "GET", "/_headrace/health", {}).body)
        assert health == {"status": "ok", "disk": "full: only deletes are taken"}
        assert metric(store, "headrace_disk_keep_bytes") == KEEP_MIB * MIB

        assert s3.get_object(Bucket="box", Key="small")["Body"].read() == b"kept"
        got = sqs("ReceiveMessage", QueueUrl=url)["Messages"][0]
        sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
        s3.delete_object(Bucket="box", Key="small")
        s3.delete_objects(Bucket="box", Delete={"Objects": [{"Key": "other"}]})
        s3.delete_object(Bucket="box", Key="large")
        assert "Contents" not in s3.list_objects_v2(Bucket="box")

        ballast.unlink()
        wait_for("the store to see that there is room", lambda: not low(store))
        s3.put_object(Bucket="box", Key="new", Body=bytes(MIB))
        sqs("SendMessage", QueueUrl=url, MessageBody="new")
        assert json.loads(s3_api.send(store, "GET", "/_headrace/health", {}).body) == {"status": "ok"}
    told = capfd.readouterr().err
    assert "store.disk_full" in told and "store.disk_has_room" in told


def test_an_upload_that_meets_the_mark_on_its_way_ends_and_leaves_no_file(small_disk: pathlib.Path) -> None:
    with a_store(small_disk) as store:
        assert s3_api.call(store, "PUT", "/box").status == 200
        leave(small_disk, (KEEP_MIB + 8) * MIB)
        signed = s3_api.Signer(store).headers(
            "PUT", "/box/k", "", {"Host": s3_api.host(store)}, "UNSIGNED-PAYLOAD"
        )
        connection = http.client.HTTPConnection(s3_api.host(store), timeout=60)
        connection.putrequest("PUT", "/box/k", skip_host=True)
        for name, value in (signed | {"Content-Length": str(24 * MIB)}).items():
            connection.putheader(name, value)
        connection.endheaders()
        for _ in range(20):
            connection.send(bytes(MIB))
        wait_for("the store to see that the disk is nearly full", lambda: low(store))
        with contextlib.suppress(ConnectionError):  # it has said all it had to say
            for _ in range(4):
                connection.send(bytes(MIB))
        with contextlib.suppress(ConnectionError):
            assert connection.getresponse().status == 503
        connection.close()
        wait_for("the upload's file to go", lambda: not list(small_disk.glob("data/blob/*/*")))


def test_a_store_starts_on_a_full_disk_and_takes_deletes(small_disk: pathlib.Path) -> None:
    with a_store(small_disk) as store:
        assert s3_api.call(store, "PUT", "/box").status == 200
        assert s3_api.call(store, "PUT", "/box/k", body=bytes(MIB)).status == 200
    leave(small_disk, 16 * MIB)
    with a_store(small_disk) as store:
        assert low(store)
        assert s3_api.call(store, "PUT", "/box/new").status == 503
        assert s3_api.call(store, "DELETE", "/box/k").status == 204
