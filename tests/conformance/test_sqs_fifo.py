"""FIFO queues, over both protocols. "Guide" is the Amazon SQS Developer Guide, "API" its API Reference."""

from __future__ import annotations

import hashlib
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import store_process
from sqs_api import Api, JsonApi, SqsError
from store_process import REGION, Store

_numbers = itertools.count(1)


@pytest.fixture
def make_fifo(json_api: Api) -> Iterator[Callable[..., str]]:
    """Makes FIFO queues with the attributes given; all are deleted at the end."""
    made: list[str] = []

    def make(**attributes: str) -> str:
        name = f"f-{next(_numbers)}.fifo"
        answer = json_api("CreateQueue", QueueName=name, Attributes={"FifoQueue": "true", **attributes})
        made.append(str(answer["QueueUrl"]))
        return made[-1]

    yield make
    for url in made:
        json_api("DeleteQueue", QueueUrl=url)


@pytest.fixture
def fifo(make_fifo: Callable[..., str]) -> str:
    return make_fifo(ContentBasedDeduplication="true")


def attributes_of(api: Api, queue: str, *names: str) -> dict[str, str]:
    return dict(api("GetQueueAttributes", QueueUrl=queue, AttributeNames=list(names)).get("Attributes", {}))


def arn(store: Store, queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{store.account}:{queue.rsplit('/', 1)[1]}"


def send(api: Api, queue: str, body: str, group: str = "g", **more: Any) -> dict[str, Any]:
    return api("SendMessage", QueueUrl=queue, MessageBody=body, MessageGroupId=group, **more)


def receive(api: Api, queue: str, **more: Any) -> list[dict[str, Any]]:
    members = {"MaxNumberOfMessages": 10, "AttributeNames": ["All"], **more}
    return list(api("ReceiveMessage", QueueUrl=queue, **members).get("Messages", []))


def bodies(api: Api, queue: str, **more: Any) -> list[str]:
    return [message["Body"] for message in receive(api, queue, **more)]


class TestQueues:
    def test_the_name_and_the_attribute_go_together(self, api: Api) -> None:
        """API_CreateQueue, QueueName: "A FIFO queue name must end with the .fifo suffix." """
        for name, attributes in (("a.fifo", {}), ("a", {"FifoQueue": "true"})):
            with pytest.raises(SqsError) as refused:
                api("CreateQueue", QueueName=name, Attributes=attributes)
            assert refused.value.code == "InvalidParameterValue"
        with pytest.raises(SqsError) as refused:
            api("CreateQueue", QueueName="a.fifo", Attributes={"FifoQueue": "false"})
        assert refused.value.code == "InvalidAttributeValue"

    def test_attributes_have_their_defaults(self, api: Api, make_fifo: Callable[..., str]) -> None:
        """API_GetQueueAttributes: attributes that apply only to FIFO queues."""
        names = ["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"]
        usual = ["true", "false", "queue", "perQueue"]
        queue = make_fifo()
        assert attributes_of(api, queue, *names) == dict(zip(names, usual, strict=True))
        high = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
        api("SetQueueAttributes", QueueUrl=queue, Attributes=high)
        assert attributes_of(api, queue, *high) == high
        same = dict(zip(names, usual, strict=True))
        api("SetQueueAttributes", QueueUrl=queue, Attributes=same)
        name = queue.rsplit("/", 1)[1]
        assert api("CreateQueue", QueueName=name, Attributes=same)["QueueUrl"] == queue

    @pytest.mark.parametrize(
        "attributes",
        [
            {"ContentBasedDeduplication": "yes"},
            {"DeduplicationScope": "perQueue"},
            {"FifoThroughputLimit": "queue"},
            {"FifoThroughputLimit": "perMessageGroupId"},
            {"FifoQueue": "false"},
        ],
    )
    def test_bad_attributes_are_refused(
        self, api: Api, make_fifo: Callable[..., str], attributes: dict[str, str]
    ) -> None:
        """API_SetQueueAttributes: their values; perMessageGroupId needs DeduplicationScope messageGroup."""
        with pytest.raises(SqsError) as refused:
            api("SetQueueAttributes", QueueUrl=make_fifo(), Attributes=attributes)
        assert refused.value.code == "InvalidAttributeValue"

    def test_their_attributes_are_theirs_alone(self, api: Api, queue: str) -> None:
        """API_SetQueueAttributes: "These attributes apply only to FIFO queues"."""
        with pytest.raises(SqsError) as refused:
            api("SetQueueAttributes", QueueUrl=queue, Attributes={"ContentBasedDeduplication": "true"})
        assert refused.value.code == "InvalidAttributeName"
        with pytest.raises(SqsError) as refused:
            api("SetQueueAttributes", QueueUrl=queue, Attributes={"FifoQueue": "true"})
        assert refused.value.code == "InvalidAttributeValue"
        assert attributes_of(api, queue, "FifoQueue", "DeduplicationScope") == {}


class TestOrder:
    def test_a_group_waits_for_what_is_in_flight(self, api: Api, fifo: str) -> None:
        """Guide, "FIFO delivery logic": a group's messages one after another, other groups beside it."""
        for body, group in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
            send(api, fifo, body, group)
        (first,) = receive(api, fifo, MaxNumberOfMessages=1)
        assert first["Body"] == "a1"
        assert bodies(api, fifo) == ["b1"]
        assert bodies(api, fifo) == []
        api("DeleteMessage", QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"])
        assert bodies(api, fifo) == ["a2", "a3"]

    def test_a_returned_message_comes_first_again(self, api: Api, fifo: str) -> None:
        """Guide, "FIFO delivery logic"."""
        for n in range(4):
            send(api, fifo, str(n))
        held = receive(api, fifo, MaxNumberOfMessages=3)
        for message in (held[0], held[1]):
            api(
                "ChangeMessageVisibility",
                QueueUrl=fifo,
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=0,
            )
        assert bodies(api, fifo) == ["0", "1"]

    def test_a_batch_keeps_its_order(self, api: Api, fifo: str) -> None:
        """API_SendMessageBatch; API_SendMessage, Response Elements: SequenceNumber."""
        entries = [{"Id": f"e{n}", "MessageBody": str(n), "MessageGroupId": "g"} for n in range(10)]
        sent = api("SendMessageBatch", QueueUrl=fifo, Entries=entries)["Successful"]
        numbers = [entry["SequenceNumber"] for entry in sent]
        assert numbers == sorted(numbers)
        assert {len(number) for number in numbers} == {20}
        got = receive(api, fifo)
        assert [message["Body"] for message in got] == [str(n) for n in range(10)]
        assert [message["Attributes"]["SequenceNumber"] for message in got] == numbers
        deleted = [{"Id": f"d{n}", "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)]
        assert len(api("DeleteMessageBatch", QueueUrl=fifo, Entries=deleted)["Successful"]) == 10

    def test_a_waiting_receiver_gets_a_new_message(self, api: Api, fifo: str) -> None:
        """API_ReceiveMessage, WaitTimeSeconds."""
        send(api, fifo, "x")
        assert bodies(api, fifo, WaitTimeSeconds=20) == ["x"]

    def test_everything_is_gone_after_a_purge(self, api: Api, fifo: str) -> None:
        """API_PurgeQueue."""
        for n in range(3):
            send(api, fifo, str(n))
        receive(api, fifo, MaxNumberOfMessages=1)
        api("PurgeQueue", QueueUrl=fifo)
        send(api, fifo, "after")
        assert bodies(api, fifo) == ["after"]


class TestDeduplication:
    def test_by_content(self, api: Api, fifo: str) -> None:
        """Guide, "Exactly-once processing": a SHA-256 of the body, not of the attributes."""
        colour = {"colour": {"DataType": "String", "StringValue": "red"}}
        first = send(api, fifo, "x")
        again = send(api, fifo, "x", MessageAttributes=colour)
        assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
        assert "MD5OfMessageAttributes" in again
        (message,) = receive(api, fifo)
        assert message["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"x").hexdigest()
        assert message["Attributes"]["MessageGroupId"] == "g"

    def test_by_id(self, api: Api, fifo: str) -> None:
        """API_SendMessage, MessageDeduplicationId; also after the message has been deleted."""
        first = send(api, fifo, "x", MessageDeduplicationId="one")
        (message,) = receive(api, fifo)
        api("DeleteMessage", QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
        again = send(api, fifo, "y", "other", MessageDeduplicationId="one")
        assert again["MessageId"] == first["MessageId"]
        assert again["MD5OfMessageBody"] == hashlib.md5(b"y", usedforsecurity=False).hexdigest()
        assert bodies(api, fifo) == []

    def test_within_a_batch(self, api: Api, fifo: str) -> None:
        """API_SendMessageBatch."""
        entries = [{"Id": f"e{n}", "MessageBody": "same", "MessageGroupId": "g"} for n in range(2)]
        sent = api("SendMessageBatch", QueueUrl=fifo, Entries=entries)["Successful"]
        assert sent[0]["MessageId"] == sent[1]["MessageId"]
        assert bodies(api, fifo) == ["same"]

    def test_within_a_group_where_the_queue_says_so(self, api: Api, make_fifo: Callable[..., str]) -> None:
        """API_SetQueueAttributes, DeduplicationScope."""
        queue = make_fifo(ContentBasedDeduplication="true", DeduplicationScope="messageGroup")
        for group in ("a", "b", "a"):
            send(api, queue, "x", group)
        assert bodies(api, queue) == ["x", "x"]

    def test_needs_an_id_or_the_content(self, api: Api, make_fifo: Callable[..., str]) -> None:
        """API_SendMessage, MessageDeduplicationId: without either "the action fails with an error"."""
        with pytest.raises(SqsError) as refused:
            send(api, make_fifo(), "x")
        assert refused.value.code == "InvalidParameterValue"
        assert "ContentBasedDeduplication" in refused.value.message

    def test_survives_a_restart(self, tmp_path: pathlib.Path) -> None:
        """Guide, "Exactly-once processing": five minutes, whatever happens to the store."""
        first = store_process.start(tmp_path / "data")
        api = JsonApi(first)
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        api("CreateQueue", QueueName="q.fifo", Attributes=attributes)
        sent = send(api, f"{first.endpoint}/{first.account}/q.fifo", "x")
        first.process.kill()
        first.process.wait(timeout=30)
        second = store_process.start(tmp_path / "data")
        api = JsonApi(second)
        queue = f"{second.endpoint}/{second.account}/q.fifo"
        assert send(api, queue, "x")["MessageId"] == sent["MessageId"]
        assert bodies(api, queue) == ["x"]
        assert store_process.stop(second) == 0


class TestRules:
    def test_a_message_needs_a_group(self, api: Api, fifo: str) -> None:
        """API_SendMessage, MessageGroupId: required for FIFO queues."""
        with pytest.raises(SqsError) as refused:
            api("SendMessage", QueueUrl=fifo, MessageBody="x")
        assert refused.value.code == "MissingParameter"
        assert refused.value.message == "The request must contain the parameter MessageGroupId."

    def test_a_message_has_no_delay_of_its_own(self, api: Api, fifo: str) -> None:
        """API_SendMessage, DelaySeconds: for FIFO queues "only on a queue level"."""
        with pytest.raises(SqsError) as refused:
            send(api, fifo, "x", DelaySeconds=1)
        assert refused.value.code == "InvalidParameterValue"
        send(api, fifo, "x", DelaySeconds=0)
        api("SetQueueAttributes", QueueUrl=fifo, Attributes={"DelaySeconds": "900"})
        send(api, fifo, "y")
        assert attributes_of(api, fifo, "ApproximateNumberOfMessagesDelayed") == {
            "ApproximateNumberOfMessagesDelayed": "1"
        }

    def test_bad_entries_of_a_batch_fail_alone(self, api: Api, fifo: str) -> None:
        """API_SendMessageBatch, Failed."""
        entries = [
            {"Id": "good", "MessageBody": "x", "MessageGroupId": "g"},
            {"Id": "bad", "MessageBody": "y"},
            {"Id": "late", "MessageBody": "z", "MessageGroupId": "g", "DelaySeconds": 5},
        ]
        answer = api("SendMessageBatch", QueueUrl=fifo, Entries=entries)
        assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
        assert [entry["Id"] for entry in answer["Failed"]] == ["bad", "late"]
        assert bodies(api, fifo) == ["x"]

    def test_a_receipt_ends_with_its_lease(self, api: Api, fifo: str) -> None:
        """AWS's own words; another receiver may hold the message by then."""
        send(api, fifo, "x")
        (message,) = receive(api, fifo, VisibilityTimeout=0)
        with pytest.raises(SqsError) as refused:
            api("DeleteMessage", QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
        assert refused.value.code == "InvalidParameterValue"
        assert refused.value.message.endswith("Reason: The receipt handle has expired.")

    def test_an_attempt_is_answered_again(self, api: Api, fifo: str, queue: str) -> None:
        """API_ReceiveMessage, ReceiveRequestAttemptId: the same messages and receipt handles."""
        for n in range(3):
            send(api, fifo, str(n))
        first = receive(api, fifo, MaxNumberOfMessages=2, ReceiveRequestAttemptId="a")
        again = receive(api, fifo, MaxNumberOfMessages=2, ReceiveRequestAttemptId="a")
        assert [m["ReceiptHandle"] for m in again] == [m["ReceiptHandle"] for m in first]
        assert bodies(api, fifo, ReceiveRequestAttemptId="b") == []
        for members in ({"ReceiveRequestAttemptId": "x" * 129}, {"ReceiveRequestAttemptId": "a b"}):
            with pytest.raises(SqsError) as refused:
                receive(api, fifo, **members)
            assert refused.value.code == "InvalidParameterValue"
        with pytest.raises(SqsError) as refused:
            receive(api, queue, ReceiveRequestAttemptId="a")
        assert refused.value.code == "InvalidParameterValue"

    def test_a_dead_letter_queue_is_of_the_same_kind(
        self, api: Api, store: Store, make_fifo: Callable[..., str], queue: str
    ) -> None:
        """Guide, "Using dead-letter queues": "The dead-letter queue of a FIFO queue must also be a FIFO
        queue."
        """
        policy = json.dumps({"deadLetterTargetArn": arn(store, queue), "maxReceiveCount": 1})
        with pytest.raises(SqsError) as refused:
            api("SetQueueAttributes", QueueUrl=make_fifo(), Attributes={"RedrivePolicy": policy})
        assert refused.value.code == "InvalidParameterValue"
        assert "same type" in refused.value.message

    def test_a_message_received_too_often_moves_and_frees_its_group(
        self, api: Api, store: Store, make_fifo: Callable[..., str]
    ) -> None:
        """Guide, "Using dead-letter queues"; DeadLetterQueueSourceArn; the message's id is its new
        deduplication id.
        """
        dead = make_fifo()
        policy = json.dumps({"deadLetterTargetArn": arn(store, dead), "maxReceiveCount": 1})
        source = make_fifo(RedrivePolicy=policy, ContentBasedDeduplication="true")
        sent = send(api, source, "poison")
        send(api, source, "fine")
        assert bodies(api, source, MaxNumberOfMessages=1, VisibilityTimeout=0) == ["poison"]
        assert bodies(api, source) == ["fine"]
        (moved,) = receive(api, dead)
        assert (moved["MessageId"], moved["Body"]) == (sent["MessageId"], "poison")
        assert moved["Attributes"]["DeadLetterQueueSourceArn"] == arn(store, source)
        assert moved["Attributes"]["MessageDeduplicationId"] == sent["MessageId"]
        assert moved["Attributes"]["MessageGroupId"] == "g"
