"""What is read after a put was answered, or after its event came: the object, also while the disk is slow.
"UG" is the Amazon S3 User Guide.
"""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import s3_api
import store_process
from s3_api import call
from sqs_api import JsonApi
from store_process import Store

FLUSH_US = 30_000


@pytest.fixture
def slow(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store each of whose flushes takes 30 ms longer."""
    delay = store_process.binary().parent / "bench" / "libbench_flush_delay.so"
    if not delay.exists():
        pytest.skip("bench_flush_delay is not built")
    monkeypatch.setenv("LD_PRELOAD", str(delay))
    monkeypatch.setenv("HEADRACE_BENCH_FLUSH_US", str(FLUSH_US))
    started = store_process.start(tmp_path / "data")
    monkeypatch.undo()
    yield started
    assert store_process.stop(started) == 0


def test_an_object_is_there_for_who_receives_its_event(slow: Store) -> None:
    """UG, "Event notification": a receiver that waits hears of a put before its sender does."""
    s3, waiting = s3_api.client(slow), s3_api.client(slow)
    sqs = JsonApi(slow)
    url = sqs("CreateQueue", QueueName="told")["QueueUrl"]
    s3.create_bucket(Bucket="inbox")
    rule = {
        "QueueArn": f"arn:aws:sqs:us-east-1:{slow.account}:told",
        "Events": ["s3:ObjectCreated:*"],
    }
    s3.put_bucket_notification_configuration(
        Bucket="inbox", NotificationConfiguration={"QueueConfigurations": [rule]}
    )
    [test_event] = sqs("ReceiveMessage", QueueUrl=url)["Messages"]
    sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=test_event["ReceiptHandle"])
    for i in range(10):
        body = f"body {i}".encode()
        put = threading.Thread(
            target=s3.put_object,
            kwargs={"Bucket": "inbox", "Key": f"k{i}", "Body": body},
        )
        put.start()
        told = sqs("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=20)["Messages"]
        assert len(told) == 1 and f'"k{i}"' in told[0]["Body"]
        assert waiting.get_object(Bucket="inbox", Key=f"k{i}")["Body"].read() == body
        put.join()
        sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=told[0]["ReceiptHandle"])


def test_every_way_of_reading_sees_what_was_put_before(
    store: Store, s3: Any, bucket: str
) -> None:
    """UG, "Amazon S3 data consistency model": strong read-after-write consistency for PUT requests of new
    objects and overwrites.
    """
    clients = [s3_api.client(store) for _ in range(8)]

    def work(number: int) -> None:
        mine = clients[number]
        for i in range(20):
            key, body = f"{number}/{i % 3}", f"{number} {i}".encode()
            etag = mine.put_object(Bucket=bucket, Key=key, Body=body)["ETag"]
            if i % 4 == 0:
                assert mine.get_object(Bucket=bucket, Key=key)["Body"].read() == body
            elif i % 4 == 1:
                assert mine.head_object(Bucket=bucket, Key=key)["ETag"] == etag
            elif i % 4 == 2:
                shown = mine.list_objects_v2(Bucket=bucket, Prefix=f"{number}/")[
                    "Contents"
                ]
                assert {entry["Key"]: entry["ETag"] for entry in shown}[key] == etag
            else:
                mine.copy_object(
                    Bucket=bucket, Key=f"{number}/copy", CopySource=f"{bucket}/{key}"
                )
                assert (
                    mine.get_object(Bucket=bucket, Key=f"{number}/copy")["Body"].read()
                    == body
                )

    with ThreadPoolExecutor(len(clients)) as pool:
        for done in [pool.submit(work, number) for number in range(len(clients))]:
            done.result()


def test_a_slow_disk_shows_no_old_object(slow: Store) -> None:
    """The same, where an answer and the index are far apart, with what judges a condition by the index."""
    s3 = s3_api.client(slow)
    s3.create_bucket(Bucket="inbox")
    for i in range(5):
        etag = s3.put_object(Bucket="inbox", Key="k", Body=str(i).encode())["ETag"]
        s3.put_object_tagging(
            Bucket="inbox", Key="k", Tagging={"TagSet": [{"Key": "i", "Value": str(i)}]}
        )
        tags = s3.get_object_tagging(Bucket="inbox", Key="k")["TagSet"]
        assert [tag["Value"] for tag in tags] == [str(i)]
        assert (
            call(
                slow, "PUT", "/inbox/k", body=b"next", headers={"If-Match": etag}
            ).status
            == 200
        )
        assert s3.get_object(Bucket="inbox", Key="k")["Body"].read() == b"next"
    s3.put_object(Bucket="inbox", Key="gone", Body=b"x")
    s3.delete_object(Bucket="inbox", Key="gone")
    assert [
        entry["Key"] for entry in s3.list_objects_v2(Bucket="inbox")["Contents"]
    ] == ["k"]
