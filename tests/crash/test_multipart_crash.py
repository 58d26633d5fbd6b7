"""kill -9 of the store in the middle of multipart uploads: what was answered is there after the restart, a
completed object has its event and all its bytes, and files that belong to nothing are swept.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import random
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest
from store_client import Client, Refused, StoreProcess, Unknown

ROUNDS = int(os.environ.get("HEADRACE_CRASH_ROUNDS", "12")) // 3
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
FIRST = hashlib.sha256(b"first").digest() * (5 * (1 << 20) // 32)  # the least that is not the last part


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[StoreProcess]:
    started = StoreProcess(tmp_path / "store")
    started.start()
    yield started
    if started.process is not None and started.process.poll() is None:
        started.stop()


def begin(client: Client, key: str) -> str:
    answer = client.request("s3", "POST", f"/inbox/{key}?uploads")
    return ElementTree.fromstring(answer).findtext(f"{NAMESPACE}UploadId") or ""


def send_part(client: Client, key: str, upload: str, number: int, body: bytes) -> None:
    client.request("s3", "PUT", f"/inbox/{key}?partNumber={number}&uploadId={upload}", body)


def complete(client: Client, key: str, upload: str, bodies: list[bytes]) -> None:
    parts = "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{hashlib.md5(body).hexdigest()}</ETag></Part>"
        for n, body in enumerate(bodies, 1)
    )
    document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    client.request("s3", "POST", f"/inbox/{key}?uploadId={upload}", document)


def parts_of(client: Client, key: str, upload: str) -> dict[int, str]:
    listed = ElementTree.fromstring(client.request("s3", "GET", f"/inbox/{key}?uploadId={upload}"))
    return {
        int(part.findtext(f"{NAMESPACE}PartNumber") or 0): (part.findtext(f"{NAMESPACE}ETag") or "").strip(
            '"'
        )
        for part in listed.iter(f"{NAMESPACE}Part")
    }


def files(store: StoreProcess) -> int:
    return sum(path.is_file() for path in (store.folder / "blob").rglob("*"))


def files_become(store: StoreProcess, expected: int) -> bool:
    """The sweep runs beside other work after the start."""
    deadline = time.monotonic() + 20
    while files(store) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return files(store) == expected


def announce(client: Client) -> str:
    """Makes the bucket and the queue that its events go to; the queue's URL."""
    url = client.queue("events")
    account = url.split("/")[-2]
    client.request("s3", "PUT", "/inbox")
    rule = f"<Queue>arn:aws:sqs:us-east-1:{account}:events</Queue><Event>s3:ObjectCreated:*</Event>"
    configuration = f"<NotificationConfiguration><QueueConfiguration>{rule}</QueueConfiguration>"
    client.request(
        "s3", "PUT", "/inbox?notification", f"{configuration}</NotificationConfiguration>".encode()
    )
    return url


def test_an_upload_outlives_the_process_at_every_step(store: StoreProcess) -> None:
    announce(Client(store))
    upload = begin(Client(store), "k")
    bodies = [FIRST, b"tail"]
    for number, body in enumerate(bodies, 1):
        store.kill()
        store.start()
        send_part(Client(store), "k", upload, number, body)
    store.kill()
    store.start()
    assert parts_of(Client(store), "k", upload) == {
        n: hashlib.md5(body).hexdigest() for n, body in enumerate(bodies, 1)
    }
    assert files_become(store, 2)
    complete(Client(store), "k", upload, bodies)
    store.kill()
    store.start()
    complete(Client(store), "k", upload, bodies)  # the answer may have been lost
    assert files_become(store, 2)
    assert Client(store).request("s3", "GET", "/inbox/k") == b"".join(bodies)
    Client(store).request("s3", "DELETE", "/inbox/k")
    assert files_become(store, 0)


def test_kills_under_load_leave_whole_objects_with_their_events(store: StoreProcess) -> None:
    url = announce(Client(store))
    bodies = [FIRST, b"tail"]
    done: set[str] = set()
    unknown: set[str] = set()
    open_uploads: dict[str, str] = {}
    dice = random.Random(1)

    def load(name: str, stop: threading.Event) -> None:
        client = Client(store)
        number = 0
        while not stop.is_set():
            number += 1
            key = f"{name}-{number}"
            try:
                upload = begin(client, key)
                open_uploads[key] = upload
                for part, body in enumerate(bodies, 1):
                    send_part(client, key, upload, part, body)
            except Unknown:
                return
            try:
                complete(client, key, upload, bodies)
                done.add(key)
                del open_uploads[key]
            except Unknown:
                unknown.add(key)
                return

    for round_number in range(ROUNDS):
        stop = threading.Event()
        threads = [threading.Thread(target=load, args=(f"r{round_number}t{n}", stop)) for n in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(dice.uniform(0.5, 1.5))
        store.kill()
        stop.set()
        for thread in threads:
            thread.join()
        store.start()

    client = Client(store)
    assert len(done) > ROUNDS, "too little load to mean anything"
    stored = client.keys("inbox")
    assert done <= stored <= done | unknown
    for key in stored:
        assert client.request("s3", "GET", f"/inbox/{urllib.parse.quote(key)}") == b"".join(bodies)
    announced = [
        record["s3"]["object"]["key"]
        for message in client.drain(url)
        for record in json.loads(message["Body"]).get("Records", [])
    ]
    assert sorted(announced) == sorted(stored), "an object without its event, or an event without its object"

    # What is left of the uploads that were cut off goes with them, and nothing else is on the disk.
    for key, upload in open_uploads.items():
        try:
            client.request("s3", "DELETE", f"/inbox/{key}?uploadId={upload}")
        except Refused as refused:
            assert refused.status == 404 and key in stored, "an upload that was answered is gone"
    assert files_become(store, 2 * len(stored))
