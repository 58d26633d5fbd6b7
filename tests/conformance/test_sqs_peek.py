"""Looking at messages without receiving them, at the path that emulators of SQS share."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
import sqs_api
from sqs_api import Api
from store_process import Store


def peek(store: Store, url: str, **parameters: str) -> tuple[list[dict[str, Any]], str | None]:
    query = urllib.parse.urlencode({"QueueUrl": url, **parameters})
    answer = sqs_api.send(
        sqs_api.signed(
            store, "GET", f"/_aws/sqs/messages?{query}", b"", {"Accept": "application/json"}
        )
    )
    assert answer.status == 200, answer.body
    return answer.json().get("Messages", []), answer.headers.get("x-headrace-next")


@pytest.fixture
def queue(make_queue: Callable[..., str]) -> str:
    return make_queue()


def test_messages_are_seen_and_stay_as_they_are(store: Store, json_api: Api, queue: str) -> None:
    for i in range(3):
        json_api("SendMessage", QueueUrl=queue, MessageBody=f"m{i}")
    for _ in range(2):
        messages, more = peek(store, queue)
        assert [m["Body"] for m in messages] == ["m0", "m1", "m2"]
        assert all(m["Attributes"]["ApproximateReceiveCount"] == "0" for m in messages)
        assert all(m["ReceiptHandle"] == "" for m in messages)
        assert more is None
    got = json_api("ReceiveMessage", QueueUrl=queue, AttributeNames=["All"])["Messages"][0]
    assert got["Attributes"]["ApproximateReceiveCount"] == "1"


def test_the_leased_and_the_delayed_are_seen_when_asked_for(store: Store, json_api: Api, queue: str) -> None:
    json_api("SendMessage", QueueUrl=queue, MessageBody="leased")
    json_api("ReceiveMessage", QueueUrl=queue)
    json_api("SendMessage", QueueUrl=queue, MessageBody="delayed", DelaySeconds=900)
    json_api("SendMessage", QueueUrl=queue, MessageBody="visible")

    def bodies(**parameters: str) -> list[str]:
        return [m["Body"] for m in peek(store, queue, **parameters)[0]]

    assert bodies() == ["visible"]
    assert bodies(ShowInvisible="true") == ["leased", "visible"]
    assert bodies(ShowDelayed="true") == ["delayed", "visible"]
    assert bodies(ShowInvisible="true", ShowDelayed="true") == ["leased", "delayed", "visible"]


def test_pages_follow_each_other(store: Store, json_api: Api, queue: str) -> None:
    for i in range(5):
        json_api("SendMessage", QueueUrl=queue, MessageBody=f"m{i}")
    seen: list[str] = []
    after = "0"
    while True:
        messages, more = peek(store, queue, MaxResults="2", After=after)
        seen += [m["Body"] for m in messages]
        if more is None:
            break
        after = more
    assert seen == [f"m{i}" for i in range(5)]


def test_it_answers_xml_otherwise(store: Store, json_api: Api, queue: str) -> None:
    json_api("SendMessage", QueueUrl=queue, MessageBody="m")
    query = urllib.parse.urlencode({"QueueUrl": queue})
    answer = sqs_api.send(
        sqs_api.signed(store, "GET", f"/_aws/sqs/messages?{query}", b"", {})
    )
    assert answer.status == 200
    assert b"<ReceiveMessageResponse" in answer.body
    assert b"<Body>m</Body>" in answer.body


@pytest.mark.parametrize(
    "query",
    ["", "QueueUrl=nonsense", "QueueUrl={url}&MaxResults=0", "QueueUrl={url}&MaxResults=1001",
     "QueueUrl={url}&After=-1", "QueueUrl={url}&ShowInvisible=yes"],
)  # fmt: skip
def test_bad_questions_are_refused(store: Store, queue: str, query: str) -> None:
    filled = query.format(url=urllib.parse.quote(queue, safe=""))
    target = f"/_aws/sqs/messages?{filled}"
    answer = sqs_api.send(sqs_api.signed(store, "GET", target, b"", {"Accept": "application/json"}))
    assert 400 <= answer.status < 500
    assert json.loads(answer.body)["message"]


def test_nobody_looks_without_a_key(store: Store, queue: str) -> None:
    query = urllib.parse.urlencode({"QueueUrl": queue})
    answer = sqs_api.exchange("GET", f"{store.endpoint}/_aws/sqs/messages?{query}", b"", {})
    assert answer.status == 403
