"""kill -9 of the store under load, again and again: what was acknowledged stays, what was deleted stays
deleted, an object and the message that announces it are both there or neither, a lease outlives the process.

This shows recovery after a crash of the process. It cannot show durability against a power cut (the kernel
keeps what was written): that is the simulator's part (tests/simulation).
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import threading
from dataclasses import dataclass, field

import pytest
from store_client import Client, Refused, StoreProcess, Unknown

ROUNDS = int(os.environ.get("HEADRACE_CRASH_ROUNDS", "20"))
LOAD_SECONDS = (0.2, 1.2)
SIZES = [10, 300, 16384, 16385, 70000]


@dataclass
class Ledger:
    """What one thread was told. `*_unknown`: the connection broke before the answer."""

    sent: set[str] = field(default_factory=set)
    sent_unknown: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    deleted_unknown: set[str] = field(default_factory=set)
    put: dict[str, int] = field(default_factory=dict)
    put_unknown: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def load(
    store: StoreProcess, urls: dict[str, str], name: str, seed: int, stop: threading.Event, ledger: Ledger
) -> None:
    client = Client(store)
    dice = random.Random(seed)
    number = 0
    while not stop.is_set():
        number += 1
        identity = f"{name}-{number}"
        try:
            what = dice.random()
            if what < 0.5:
                try:
                    client.sqs("SendMessage", QueueUrl=urls["jobs"], MessageBody=identity)
                    ledger.sent.add(identity)
                except Unknown:
                    ledger.sent_unknown.add(identity)
                    return
            elif what < 0.75:
                got = client.sqs(
                    "ReceiveMessage", QueueUrl=urls["jobs"], MaxNumberOfMessages=2, VisibilityTimeout=1
                )
                for message in got.get("Messages", []):
                    try:
                        client.sqs(
                            "DeleteMessage", QueueUrl=urls["jobs"], ReceiptHandle=message["ReceiptHandle"]
                        )
                        ledger.deleted.add(message["Body"])
                    except Unknown:
                        ledger.deleted_unknown.add(message["Body"])
                        return
                    except Refused:  # leased again meanwhile: the newer receipt counts
                        ledger.deleted_unknown.add(message["Body"])
            else:
                size = dice.choice(SIZES)
                try:
                    client.put("inbox", identity, identity.encode().ljust(size, b"."))
                    ledger.put[identity] = size
                except Unknown:
                    ledger.put_unknown[identity] = size
                    return
        except Unknown:
            return
        except Refused as refused:
            ledger.errors.append(f"{identity}: {refused}")
            return


def merged(ledgers: list[Ledger]) -> Ledger:
    whole = Ledger()
    for ledger in ledgers:
        for name in vars(whole):
            mine = getattr(whole, name)
            mine.extend(getattr(ledger, name)) if isinstance(mine, list) else mine.update(
                getattr(ledger, name)
            )
    return whole


def announce_inbox(client: Client, events_arn: str) -> None:
    client.request(
        "s3",
        "PUT",
        "/inbox?notification",
        f"<NotificationConfiguration><QueueConfiguration><Queue>{events_arn}</Queue>"
        "<Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>".encode(),
    )


@pytest.fixture
def store(tmp_path: pathlib.Path):
    process = StoreProcess(tmp_path / "store")
    process.start()
    yield process
    if process.process is not None and process.process.poll() is None:
        process.stop()


def test_kill_9_under_load_loses_and_revives_nothing(store: StoreProcess) -> None:
    client = Client(store)
    urls = {"jobs": client.queue("jobs"), "events": client.queue("events"), "leased": client.queue("leased")}
    arn = client.sqs("GetQueueAttributes", QueueUrl=urls["events"], AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    client.request("s3", "PUT", "/inbox")
    announce_inbox(client, arn)
    client.sqs("SendMessage", QueueUrl=urls["leased"], MessageBody="held")
    lease = client.sqs("ReceiveMessage", QueueUrl=urls["leased"], VisibilityTimeout=3600)["Messages"][0]

    dice = random.Random(20260101)
    ledgers: list[Ledger] = []
    for turn in range(ROUNDS):
        stop = threading.Event()
        current = [Ledger() for _ in range(4)]
        threads = [
            threading.Thread(target=load, args=(store, urls, f"r{turn}t{i}", turn * 10 + i, stop, current[i]))
            for i in range(len(current))
        ]
        for thread in threads:
            thread.start()
        stop.wait(dice.uniform(*LOAD_SECONDS))
        store.kill()
        stop.set()
        for thread in threads:
            thread.join()
        ledgers += current
        store.start()
        assert (
            not Client(store).sqs("ReceiveMessage", QueueUrl=urls["leased"]).get("Messages")
        ), "a lease was forgotten"

    known = merged(ledgers)
    assert not known.errors, known.errors[:5]
    assert len(known.sent) > 20 * ROUNDS and len(known.put) > 5 * ROUNDS, "too little load to mean anything"
    client = Client(store)

    # The receipt given out before the first kill still works: the lease and its handle were kept.
    client.sqs("DeleteMessage", QueueUrl=urls["leased"], ReceiptHandle=lease["ReceiptHandle"])

    left = {message["Body"] for message in client.drain(urls["jobs"])}
    attributes = client.sqs("GetQueueAttributes", QueueUrl=urls["jobs"], AttributeNames=["All"])["Attributes"]
    assert int(attributes["ApproximateNumberOfMessagesNotVisible"]) == len(
        left
    ), "messages nobody can receive"

    assert left & known.deleted == set(), "deleted messages came back"
    missing = known.sent - left - known.deleted - known.deleted_unknown
    assert missing == set(), f"{len(missing)} acknowledged messages are gone"
    assert left <= known.sent | known.sent_unknown, "messages nobody sent"

    check_objects_and_events(client, urls["events"], known)


def check_objects_and_events(client: Client, events_url: str, known: Ledger) -> None:
    stored = client.keys("inbox")
    assert set(known.put) <= stored, "acknowledged objects are gone"
    assert stored <= set(known.put) | set(known.put_unknown), "objects nobody put"
    announced: list[str] = []
    for message in client.bodies(events_url):  # there may be more than one client may lease
        body = json.loads(message)
        announced += [record["s3"]["object"]["key"] for record in body.get("Records", [])]
    assert len(announced) == len(set(announced)), "an object was announced twice"
    assert set(announced) == stored, "an object without its event, or an event without its object"
    for key, size in (known.put | known.put_unknown).items():
        if key in stored:
            body = client.request("s3", "GET", f"/inbox/{key}")
            assert body == key.encode().ljust(size, b"."), f"{key} is torn"


def test_a_clean_stop_loses_nothing_and_exits_0(store: StoreProcess) -> None:
    client = Client(store)
    url = client.queue("jobs")
    for number in range(50):
        client.sqs("SendMessage", QueueUrl=url, MessageBody=str(number))
    assert store.stop() == 0
    store.start()
    assert sorted(int(message["Body"]) for message in Client(store).drain(url)) == list(range(50))
