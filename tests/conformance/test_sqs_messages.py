"""Actions on messages, over both protocols. "API" is the Amazon SQS API Reference."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqs_api import Api, SqsError

MEBIBYTE = 1024 * 1024
TEXT = "plain <>&\"' \t\r\n ä € 😀 \ud7ff\ue000\ufffd"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def receive_one(api: Api, queue: str, **members: Any) -> dict[str, Any]:
    (message,) = api("ReceiveMessage", QueueUrl=queue, **members)["Messages"]
    return dict(message)


def text(value: str, kind: str = "String") -> dict[str, str]:
    return {"DataType": kind, "StringValue": value}


class TestSendMessage:
    def test_comes_back_as_it_was_sent(self, api: Api, queue: str) -> None:
        """API_SendMessage: MessageId, MD5OfMessageBody; API_Message."""
        sent = api("SendMessage", QueueUrl=queue, MessageBody=TEXT)
        assert sent["MD5OfMessageBody"] == md5(TEXT)
        got = receive_one(api, queue)
        assert set(got) == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}
        assert (got["MessageId"], got["Body"], got["MD5OfBody"]) == (sent["MessageId"], TEXT, md5(TEXT))

    @pytest.mark.parametrize("body", ["\x00", "a\x1f", "\x0b", "\ufffe", "\uffff"])
    def test_refuses_characters_outside_of_xml(self, api: Api, queue: str, body: str) -> None:
        """API_SendMessage, MessageBody: the allowed characters; Errors: InvalidMessageContents."""
        with pytest.raises(SqsError) as refused:
            api("SendMessage", QueueUrl=queue, MessageBody=body)
        assert refused.value.code == "InvalidMessageContents"

    def test_an_empty_body_misses_a_parameter(self, api: Api, queue: str) -> None:
        """API_SendMessage, MessageBody: at least one character."""
        with pytest.raises(SqsError) as refused:
            api("SendMessage", QueueUrl=queue, MessageBody="")
        assert refused.value.code == "MissingParameter"

    def test_a_mebibyte_and_not_one_byte_more(self, api: Api, queue: str) -> None:
        """Developer Guide, "message quotas": 1 MiB with its attributes."""
        attributes = {"a": text("x" * 93)}  # name 1, type 6
        api("SendMessage", QueueUrl=queue, MessageBody="b" * (MEBIBYTE - 100), MessageAttributes=attributes)
        assert len(receive_one(api, queue)["Body"]) == MEBIBYTE - 100
        with pytest.raises(SqsError) as refused:
            api(
                "SendMessage", QueueUrl=queue, MessageBody="b" * (MEBIBYTE - 99), MessageAttributes=attributes
            )
        assert refused.value.code == "InvalidParameterValue"
        assert refused.value.message.endswith("Message must be shorter than 1048576 bytes.")

    def test_the_queues_own_maximum_counts(self, api: Api, make_queue: Callable[..., str]) -> None:
        """API_SetQueueAttributes, MaximumMessageSize."""
        queue = make_queue(MaximumMessageSize="1024")
        api("SendMessage", QueueUrl=queue, MessageBody="ä" * 512)
        with pytest.raises(SqsError) as refused:
            api("SendMessage", QueueUrl=queue, MessageBody="ä" * 512 + "b")
        assert refused.value.message.endswith("Message must be shorter than 1024 bytes.")

    def test_attributes_of_each_type(self, api: Api, queue: str) -> None:
        """Developer Guide, "Amazon SQS message attributes"; the SDK compares MD5OfMessageAttributes."""
        attributes: dict[str, Any] = {
            "String.name": text("ünïcode & <tags>"),
            "number": text("-12.5e3", "Number"),
            "labelled": text("{}", "String.json"),
            "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
        }
        sent = api("SendMessage", QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)
        got = receive_one(api, queue, MessageAttributeNames=["All"])
        assert got["MessageAttributes"] == attributes
        assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]

    def test_attribute_md5s_are_those_of_aws(self, api: Api, queue: str) -> None:
        """Developer Guide, "Calculating the MD5 message digest for message attributes"; recorded from AWS."""
        attributes = {"Hello": text("There"), "General": text("Kenobi"), "Help.Me": text("Me")}
        sent = api("SendMessage", QueueUrl=queue, MessageBody="msg", MessageAttributes=attributes)
        assert sent["MD5OfMessageAttributes"] == "4c360f3fdafd970e05fae2f149d997f5"
        api("SetQueueAttributes", QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
        for names, md5_expected, count in (
            ([], None, 0),
            (["Nothing"], None, 0),
            (["All"], "4c360f3fdafd970e05fae2f149d997f5", 3),
            ([".*"], "4c360f3fdafd970e05fae2f149d997f5", 3),
            (["Hello", "General"], "fca026605781cb4126a1e9044df24232", 2),
            (["Hello", "Foo"], "a311262e065454b75da111d535b8dacd", 1),
            (["Hel.*"], "83fee93c1bcd8b9a5a923ffacdc636c7", 2),
        ):
            got = receive_one(api, queue, MessageAttributeNames=names)
            assert len(got.get("MessageAttributes", {})) == count, names
            assert got.get("MD5OfMessageAttributes") == md5_expected, names

    @pytest.mark.parametrize(
        "attributes",
        [
            {"": text("x")},
            {"n" * 257: text("x")},
            {".a": text("x")},
            {"a..b": text("x")},
            {"AWS.a": text("x")},
            {"a b": text("x")},
            {"a": text("")},
            {"a": text("x", "Strings")},
            {"a": text("x", "Number")},
            {"a": {"DataType": "Binary", "BinaryValue": b""}},
            {"a": {"StringValue": "x"}},
            {f"a{n}": text("x") for n in range(11)},
        ],
        ids=lambda attributes: f"{len(attributes)}-{str(next(iter(attributes.items())))[:48]}",
    )
    def test_refuses_bad_attributes(self, api: Api, queue: str, attributes: dict[str, Any]) -> None:
        """Developer Guide, "Message attribute components": name, type, value; at most 10."""
        with pytest.raises(SqsError) as refused:
            api("SendMessage", QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)
        assert refused.value.code in ("InvalidParameterValue", "InvalidQueryParameter")

    def test_a_trace_header_travels_as_a_system_attribute(self, api: Api, queue: str) -> None:
        """API_SendMessage, MessageSystemAttributes: AWSTraceHeader only."""
        trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
        sent = api(
            "SendMessage",
            QueueUrl=queue,
            MessageBody="x",
            MessageSystemAttributes={"AWSTraceHeader": text(trace)},
        )
        assert len(sent["MD5OfMessageSystemAttributes"]) == 32
        assert receive_one(api, queue, AttributeNames=["AWSTraceHeader"])["Attributes"] == {
            "AWSTraceHeader": trace
        }
        with pytest.raises(SqsError) as refused:
            api(
                "SendMessage",
                QueueUrl=queue,
                MessageBody="x",
                MessageSystemAttributes={"SenderId": text("me")},
            )
        assert refused.value.code == "InvalidParameterValue"

    def test_a_delay_hides_the_message(self, api: Api, queue: str) -> None:
        """API_SendMessage, DelaySeconds."""
        api("SendMessage", QueueUrl=queue, MessageBody="x", DelaySeconds=1)
        assert api("ReceiveMessage", QueueUrl=queue) == {}
        assert receive_one(api, queue, WaitTimeSeconds=10)["Body"] == "x"

    @pytest.mark.parametrize("delay", [-1, 901])
    def test_a_delay_has_a_range(self, api: Api, queue: str, delay: int) -> None:
        """API_SendMessage, DelaySeconds: 0 to 900."""
        with pytest.raises(SqsError) as refused:
            api("SendMessage", QueueUrl=queue, MessageBody="x", DelaySeconds=delay)
        assert refused.value.code == "InvalidParameterValue"
        assert "DelaySeconds must be >= 0 and <= 900" in refused.value.message

    def test_a_group_is_kept_and_a_deduplication_id_refused(self, api: Api, queue: str) -> None:
        """API_SendMessage, MessageGroupId (fair queues); MessageDeduplicationId is for FIFO queues."""
        api("SendMessage", QueueUrl=queue, MessageBody="x", MessageGroupId="tenant-1")
        assert receive_one(api, queue, AttributeNames=["MessageGroupId"])["Attributes"] == {
            "MessageGroupId": "tenant-1"
        }
        with pytest.raises(SqsError) as refused:
            api("SendMessage", QueueUrl=queue, MessageBody="x", MessageDeduplicationId="d")
        assert refused.value.code == "InvalidParameterValue"


class TestSendMessageBatch:
    def test_ten_messages(self, api: Api, queue: str) -> None:
        """API_SendMessageBatch: results by Id."""
        entries = [{"Id": f"id-{n}", "MessageBody": f"body {n}"} for n in range(10)]
        answer = api("SendMessageBatch", QueueUrl=queue, Entries=entries)
        assert "Failed" not in answer
        assert {done["Id"]: done["MD5OfMessageBody"] for done in answer["Successful"]} == {
            entry["Id"]: md5(entry["MessageBody"]) for entry in entries
        }
        got = api("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        assert [message["Body"] for message in got] == [entry["MessageBody"] for entry in entries]

    @pytest.mark.parametrize(
        ("entries", "code"),
        [
            ([], "AWS.SimpleQueueService.EmptyBatchRequest"),
            (
                [{"Id": f"{n}", "MessageBody": "x"} for n in range(11)],
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            ([{"Id": "a", "MessageBody": "x"}] * 2, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
            ([{"Id": "a:b", "MessageBody": "x"}], "AWS.SimpleQueueService.InvalidBatchEntryId"),
            ([{"Id": "a" * 81, "MessageBody": "x"}], "AWS.SimpleQueueService.InvalidBatchEntryId"),
            (
                [{"Id": "a", "MessageBody": "x" * (MEBIBYTE - 1)}, {"Id": "b", "MessageBody": "xx"}],
                "AWS.SimpleQueueService.BatchRequestTooLong",
            ),
        ],
        ids=["empty", "eleven", "twice", "colon", "81", "large"],
    )
    def test_fails_as_a_whole(self, api: Api, queue: str, entries: list[dict[str, str]], code: str) -> None:
        """API_SendMessageBatch, Errors."""
        with pytest.raises(SqsError) as refused:
            api("SendMessageBatch", QueueUrl=queue, Entries=entries)
        assert (refused.value.code, refused.value.status) == (code, 400)
        assert api("ReceiveMessage", QueueUrl=queue) == {}

    def test_fails_by_entry(self, api: Api, queue: str) -> None:
        """API_SendMessageBatch: "you should check for batch errors even when the call returns 200"."""
        answer = api(
            "SendMessageBatch",
            QueueUrl=queue,
            Entries=[
                {"Id": "good", "MessageBody": "x"},
                {"Id": "late", "MessageBody": "x", "DelaySeconds": 901},
                {"Id": "char", "MessageBody": "\x01"},
            ],
        )
        assert [done["Id"] for done in answer["Successful"]] == ["good"]
        failed = {failure["Id"]: failure for failure in answer["Failed"]}
        assert failed["late"]["Code"] == "InvalidParameterValue"
        assert failed["late"]["SenderFault"] is True
        assert failed["char"]["Code"] == "InvalidMessageContents"


class TestReceiveMessage:
    def test_of_an_empty_queue_leaves_the_key_out(self, api: Api, queue: str) -> None:
        """API_ReceiveMessage: AWS answers without Messages."""
        assert api("ReceiveMessage", QueueUrl=queue) == {}

    @pytest.mark.parametrize(
        "members",
        [
            {"MaxNumberOfMessages": 0},
            {"MaxNumberOfMessages": 11},
            {"WaitTimeSeconds": -1},
            {"WaitTimeSeconds": 21},
            {"VisibilityTimeout": -1},
            {"VisibilityTimeout": 43201},
        ],
    )
    def test_numbers_have_ranges(self, api: Api, queue: str, members: dict[str, int]) -> None:
        """API_ReceiveMessage: the ranges of its three numbers."""
        with pytest.raises(SqsError) as refused:
            api("ReceiveMessage", QueueUrl=queue, **members)
        (name,) = members
        assert refused.value.code == "InvalidParameterValue"
        assert refused.value.message.startswith(
            f"Value {members[name]} for parameter {name} is invalid. Reason: Must be"
        )

    def test_system_attributes(self, api: Api, queue: str) -> None:
        """API_ReceiveMessage, AttributeNames: SenderId, SentTimestamp and the two Approximate ones."""
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        now = time.time() * 1000
        first = receive_one(api, queue, AttributeNames=["All"], VisibilityTimeout=0)["Attributes"]
        assert set(first) == {
            "SenderId",
            "SentTimestamp",
            "ApproximateReceiveCount",
            "ApproximateFirstReceiveTimestamp",
        }
        assert first["ApproximateReceiveCount"] == "1"
        assert abs(int(first["SentTimestamp"]) - now) < 60_000
        again = receive_one(api, queue, AttributeNames=["ApproximateReceiveCount", "SentTimestamp"])[
            "Attributes"
        ]
        assert again == {"ApproximateReceiveCount": "2", "SentTimestamp": first["SentTimestamp"]}

    def test_unknown_system_attributes_are_refused(self, api: Api, queue: str) -> None:
        """API_ReceiveMessage, AttributeNames."""
        with pytest.raises(SqsError) as refused:
            api("ReceiveMessage", QueueUrl=queue, AttributeNames=["Colour"])
        assert refused.value.code == "InvalidAttributeName"

    def test_hides_a_message_for_its_visibility_timeout(self, api: Api, queue: str) -> None:
        """Developer Guide, "visibility timeout"."""
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        first = receive_one(api, queue, VisibilityTimeout=1)
        assert api("ReceiveMessage", QueueUrl=queue) == {}
        second = receive_one(api, queue, WaitTimeSeconds=10)
        assert second["MessageId"] == first["MessageId"]
        assert second["ReceiptHandle"] != first["ReceiptHandle"]

    def test_a_long_poll_ends_when_a_message_comes(self, api: Api, json_api: Api, queue: str) -> None:
        """Developer Guide, "Amazon SQS short and long polling"."""
        got: list[dict[str, Any]] = []
        poller = threading.Thread(
            target=lambda: got.append(api("ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=20))
        )
        poller.start()
        json_api("SendMessage", QueueUrl=queue, MessageBody="late")
        poller.join(timeout=20)
        assert [message["Body"] for message in got[0]["Messages"]] == ["late"]

    def test_a_long_poll_ends_empty(self, api: Api, queue: str) -> None:
        """API_ReceiveMessage, WaitTimeSeconds: "If no messages are available and the wait time expires, the
        call does not return a message list."
        """
        assert api("ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=1) == {}


class TestDeleteMessage:
    def test_the_message_is_gone(self, api: Api, queue: str) -> None:
        """API_DeleteMessage; deleting twice is fine."""
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        handle = receive_one(api, queue, VisibilityTimeout=0)["ReceiptHandle"]
        for _ in range(2):
            assert api("DeleteMessage", QueueUrl=queue, ReceiptHandle=handle) == {}
        assert api("ReceiveMessage", QueueUrl=queue) == {}

    def test_an_overtaken_handle_succeeds_and_deletes_nothing(self, api: Api, queue: str) -> None:
        """API_DeleteMessage: "you must provide the most recently received ReceiptHandle for the message
        (otherwise, the request succeeds, but the message will not be deleted)".
        """
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        first = receive_one(api, queue, VisibilityTimeout=0)["ReceiptHandle"]
        second = receive_one(api, queue, VisibilityTimeout=0)["ReceiptHandle"]
        assert api("DeleteMessage", QueueUrl=queue, ReceiptHandle=first) == {}
        third = receive_one(api, queue)["ReceiptHandle"]
        assert len({first, second, third}) == 3

    def test_refuses_what_is_no_handle_of_this_queue(
        self, api: Api, queue: str, make_queue: Callable[..., str]
    ) -> None:
        """API_DeleteMessage, Errors: ReceiptHandleIsInvalid."""
        other = make_queue()
        api("SendMessage", QueueUrl=other, MessageBody="x")
        foreign = receive_one(api, other)["ReceiptHandle"]
        for handle in ("garbage", foreign, foreign[:-4] + "AAAA"):
            with pytest.raises(SqsError) as refused:
                api("DeleteMessage", QueueUrl=queue, ReceiptHandle=handle)
            assert (refused.value.code, refused.value.status) == ("ReceiptHandleIsInvalid", 404)


class TestDeleteMessageBatch:
    def test_deletes_and_fails_by_entry(self, api: Api, queue: str) -> None:
        """API_DeleteMessageBatch."""
        for body in "ab":
            api("SendMessage", QueueUrl=queue, MessageBody=body)
        got = api("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        entries = [{"Id": message["Body"], "ReceiptHandle": message["ReceiptHandle"]} for message in got]
        answer = api(
            "DeleteMessageBatch", QueueUrl=queue, Entries=[*entries, {"Id": "bad", "ReceiptHandle": "x"}]
        )
        assert [done["Id"] for done in answer["Successful"]] == ["a", "b"]
        (failed,) = answer["Failed"]
        assert (failed["Id"], failed["Code"]) == ("bad", "ReceiptHandleIsInvalid")

    def test_batch_rules(self, api: Api, queue: str) -> None:
        """API_DeleteMessageBatch, Errors."""
        for entries, code in (
            ([], "EmptyBatchRequest"),
            ([{"Id": f"{n}", "ReceiptHandle": "x"} for n in range(11)], "TooManyEntriesInBatchRequest"),
            ([{"Id": "a", "ReceiptHandle": "x"}] * 2, "BatchEntryIdsNotDistinct"),
            ([{"Id": "", "ReceiptHandle": "x"}], None),
        ):
            with pytest.raises(SqsError) as refused:
                api("DeleteMessageBatch", QueueUrl=queue, Entries=entries)
            assert code is None or refused.value.code == f"AWS.SimpleQueueService.{code}"


class TestChangeMessageVisibility:
    def test_zero_shows_the_message_at_once(self, api: Api, queue: str) -> None:
        """API_ChangeMessageVisibility."""
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        handle = receive_one(api, queue)["ReceiptHandle"]
        assert api("ChangeMessageVisibility", QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0) == {}
        assert receive_one(api, queue)["Body"] == "x"

    def test_extends_the_time(self, api: Api, queue: str) -> None:
        """API_ChangeMessageVisibility: from now on."""
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        handle = receive_one(api, queue, VisibilityTimeout=2)["ReceiptHandle"]
        api("ChangeMessageVisibility", QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=100)
        assert api("ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=3) == {}

    def test_of_a_message_that_is_not_in_flight(self, api: Api, queue: str) -> None:
        """API_ChangeMessageVisibility, Errors: MessageNotInflight."""
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        handle = receive_one(api, queue, VisibilityTimeout=0)["ReceiptHandle"]
        with pytest.raises(SqsError) as refused:
            api("ChangeMessageVisibility", QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=5)
        assert (refused.value.code, refused.value.status) == (
            "AWS.SimpleQueueService.MessageNotInflight",
            400,
        )

    @pytest.mark.parametrize("seconds", [-1, 43201])
    def test_the_time_has_a_range(self, api: Api, queue: str, seconds: int) -> None:
        """API_ChangeMessageVisibility, VisibilityTimeout: 0 to 43,200."""
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        handle = receive_one(api, queue)["ReceiptHandle"]
        with pytest.raises(SqsError) as refused:
            api("ChangeMessageVisibility", QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=seconds)
        assert refused.value.code == "InvalidParameterValue"

    def test_a_bad_handle(self, api: Api, queue: str) -> None:
        """API_ChangeMessageVisibility, Errors: ReceiptHandleIsInvalid."""
        with pytest.raises(SqsError) as refused:
            api("ChangeMessageVisibility", QueueUrl=queue, ReceiptHandle="x", VisibilityTimeout=1)
        assert refused.value.code == "ReceiptHandleIsInvalid"


class TestChangeMessageVisibilityBatch:
    def test_changes_and_fails_by_entry(self, api: Api, queue: str) -> None:
        """API_ChangeMessageVisibilityBatch."""
        api("SendMessage", QueueUrl=queue, MessageBody="x")
        handle = receive_one(api, queue)["ReceiptHandle"]
        answer = api(
            "ChangeMessageVisibilityBatch",
            QueueUrl=queue,
            Entries=[
                {"Id": "good", "ReceiptHandle": handle, "VisibilityTimeout": 0},
                {"Id": "bad", "ReceiptHandle": "x", "VisibilityTimeout": 0},
                {"Id": "far", "ReceiptHandle": handle, "VisibilityTimeout": 43201},
            ],
        )
        assert [done["Id"] for done in answer["Successful"]] == ["good"]
        assert {failure["Id"]: failure["Code"] for failure in answer["Failed"]} == {
            "bad": "ReceiptHandleIsInvalid",
            "far": "InvalidParameterValue",
        }
        assert receive_one(api, queue)["Body"] == "x"
