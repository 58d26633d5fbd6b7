"""The log stays short, and nothing in it is lost: messages come and go by the hundred megabytes, some stay,
and the store is killed while it cuts its log. Segments of 4 MiB make that happen often."""

from __future__ import annotations

import pathlib
import random
import re
import urllib.request

import pytest
from store_client import Client, StoreProcess, Unknown

SEGMENT = 4 << 20
BODY = 20_000


@pytest.fixture
def store(tmp_path: pathlib.Path) -> StoreProcess:
    config = tmp_path / "headrace.toml"
    config.write_text("[store]\nsegment_mib = 4\n")
    return StoreProcess(tmp_path / "data", "--config", str(config))


def metric(store: StoreProcess, name: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{store.port}/_headrace/metrics") as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.M)
    assert found, name
    return int(float(found[1]))


class Traffic:
    """Messages that are sent, received and deleted at once, and now and then one that stays."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.passing, self.staying = client.queue("passing"), client.queue("staying")
        self.number = 0
        self.stay: set[str] = set()
        self.stay_unknown: set[str] = set()
        self.deleted: set[str] = set()

    def pass_through(self) -> None:
        names = [f"{self.number + i:06}" for i in range(10)]
        self.number += 10
        entries = [{"Id": name, "MessageBody": name + "x" * BODY} for name in names]
        try:
            self.client.sqs("SendMessageBatch", QueueUrl=self.passing, Entries=entries)
            got = self.client.sqs("ReceiveMessage", QueueUrl=self.passing, MaxNumberOfMessages=10)
            entries = [
                {"Id": m["Body"][:6], "ReceiptHandle": m["ReceiptHandle"]} for m in got.get("Messages", [])
            ]
            if entries:
                answer = self.client.sqs("DeleteMessageBatch", QueueUrl=self.passing, Entries=entries)
                self.deleted.update(done["Id"] for done in answer["Successful"])
        except Unknown:
            pass

    def leave(self) -> None:
        self.number += 1
        body = f"{self.number:06}" + "y" * BODY
        try:
            self.client.sqs("SendMessage", QueueUrl=self.staying, MessageBody=body)
            self.stay.add(body)
        except Unknown:
            self.stay_unknown.add(body)


def test_what_stays_outlives_the_segments_that_go_under_kills(store: StoreProcess) -> None:
    store.start()
    traffic = Traffic(Client(store))
    dice = random.Random(1)
    checkpoints = kills = 0
    for round_number in range(600):
        traffic.pass_through()
        if round_number % 5 == 0:
            traffic.leave()
        if dice.random() < 0.015:
            checkpoints += metric(store, "headrace_checkpoints_total")
            kills += 1
            store.kill()
            store.start()
            traffic.client.connection = None
    checkpoints += metric(store, "headrace_checkpoints_total")
    assert checkpoints >= 3
    assert kills >= 3
    # 120 MB went through. What is live: what stays, and what was leased when the store was killed. The keeper
    # looks again and again; if it did not, this would wait for ever.
    while metric(store, "headrace_log_bytes") > 4 * metric(store, "headrace_log_live_bytes") + 3 * SEGMENT:
        traffic.pass_through()

    assert store.stop() == 0
    store.start()
    traffic.client.connection = None
    there = {m["Body"] for m in traffic.client.drain(traffic.staying)}
    assert traffic.stay <= there
    assert there <= traffic.stay | traffic.stay_unknown
    assert not traffic.deleted & {m["Body"][:6] for m in traffic.client.drain(traffic.passing)}
    assert store.stop() == 0


def test_a_purged_queue_leaves_a_short_log_and_its_numbers(store: StoreProcess) -> None:
    store.start()
    traffic = Traffic(Client(store))
    for _ in range(3):
        for _ in range(600):
            traffic.leave()
        traffic.client.sqs("PurgeQueue", QueueUrl=traffic.staying)
    while metric(store, "headrace_log_bytes") > 4 * SEGMENT:
        traffic.leave()
        traffic.client.sqs("PurgeQueue", QueueUrl=traffic.staying)
    store.kill()
    store.start()
    traffic.client.connection = None
    assert traffic.client.drain(traffic.staying) == []
    traffic.leave()
    assert len(traffic.client.drain(traffic.staying)) == 1
    assert store.stop() == 0
