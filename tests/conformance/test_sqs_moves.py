"""Message move tasks. The API Reference: StartMessageMoveTask, ListMessageMoveTasks,
CancelMessageMoveTask; Developer Guide, "configure a dead-letter queue redrive"."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from sqs_api import Api, SqsError

ARN = "arn:aws:sqs:us-east-1:000000000000:"


@pytest.fixture
def queues(json_api: Api, request: pytest.FixtureRequest) -> dict[str, str]:
    """A queue, its dead-letter queue, another queue: URLs and ARNs."""
    names: dict[str, str] = {}
    for name in ("dead", "jobs", "other"):
        queue = f"{name}-{abs(hash(request.node.nodeid))}"
        names[name] = json_api("CreateQueue", QueueName=queue)["QueueUrl"]
        names[f"{name}-arn"] = json_api(
            "GetQueueAttributes", QueueUrl=names[name], AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
    redrive = {"deadLetterTargetArn": names["dead-arn"], "maxReceiveCount": 1}
    json_api("SetQueueAttributes", QueueUrl=names["jobs"], Attributes={"RedrivePolicy": json.dumps(redrive)})
    return names


def fail(api: Api, queues: dict[str, str], messages: int) -> set[str]:
    """So many messages end in the dead-letter queue; their ids there."""
    for i in range(messages):
        api("SendMessage", QueueUrl=queues["jobs"], MessageBody=f"m{i}")
    while api("ReceiveMessage", QueueUrl=queues["jobs"], MaxNumberOfMessages=10, VisibilityTimeout=0).get(
        "Messages"
    ):
        pass
    return {m["MessageId"] for m in receive(api, queues["dead"], 0)}


def receive(api: Api, url: str, visibility: int = 600) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    while True:
        got = api(
            "ReceiveMessage",
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=visibility,
            AttributeNames=["All"],
        ).get("Messages", [])
        new = {m["MessageId"]: m for m in got if m["MessageId"] not in found}
        if not new:
            return list(found.values())
        found |= new


def finished(api: Api, source: str) -> dict[str, Any]:
    while True:
        task = api("ListMessageMoveTasks", SourceArn=source)["Results"][0]
        if task["Status"] != "RUNNING":
            return dict(task)
        time.sleep(0.05)


def refusal(api: Api, action: str, **members: Any) -> str:
    with pytest.raises(SqsError) as refused:
        api(action, **members)
    return str(refused.value.code)


def test_messages_go_back_to_their_source_as_new_ones(json_api: Api, queues: dict[str, str]) -> None:
    """Developer Guide: redriven messages are new: another MessageId, the retention begins again."""
    old = fail(json_api, queues, 3)
    assert len(old) == 3
    answer = json_api("StartMessageMoveTask", SourceArn=queues["dead-arn"])
    assert answer["TaskHandle"]
    task = finished(json_api, queues["dead-arn"])
    assert task["Status"] == "COMPLETED"
    assert task["ApproximateNumberOfMessagesMoved"] == task["ApproximateNumberOfMessagesToMove"] == 3
    assert task["SourceArn"] == queues["dead-arn"]
    assert task["MaxNumberOfMessagesPerSecond"] == 500
    assert "TaskHandle" not in task
    assert abs(task["StartedTimestamp"] / 1000 - time.time()) < 3600
    back = receive(json_api, queues["jobs"])
    assert {m["Body"] for m in back} == {"m0", "m1", "m2"}
    assert not {m["MessageId"] for m in back} & old
    assert all(m["Attributes"]["ApproximateReceiveCount"] == "1" for m in back)


def test_a_destination_takes_them_instead(json_api: Api, queues: dict[str, str]) -> None:
    fail(json_api, queues, 2)
    json_api("StartMessageMoveTask", SourceArn=queues["dead-arn"], DestinationArn=queues["other-arn"])
    task = finished(json_api, queues["dead-arn"])
    assert task["DestinationArn"] == queues["other-arn"]
    assert len(receive(json_api, queues["other"])) == 2


def test_one_task_at_a_time_and_it_can_be_cancelled(json_api: Api, queues: dict[str, str]) -> None:
    fail(json_api, queues, 5)
    handle = json_api("StartMessageMoveTask", SourceArn=queues["dead-arn"], MaxNumberOfMessagesPerSecond=1)[
        "TaskHandle"
    ]
    assert refusal(json_api, "StartMessageMoveTask", SourceArn=queues["dead-arn"]) == "InvalidParameterValue"
    running = json_api("ListMessageMoveTasks", SourceArn=queues["dead-arn"])["Results"][0]
    assert (running["Status"], running["TaskHandle"]) == ("RUNNING", handle)
    moved = int(json_api("CancelMessageMoveTask", TaskHandle=handle)["ApproximateNumberOfMessagesMoved"])
    task = finished(json_api, queues["dead-arn"])
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("CANCELLED", moved)
    assert refusal(json_api, "CancelMessageMoveTask", TaskHandle=handle).endswith("UnsupportedOperation")


def test_the_newest_task_is_first_and_one_is_listed_unless_more_are_asked_for(
    json_api: Api, queues: dict[str, str]
) -> None:
    """API_ListMessageMoveTasks: MaxResults defaults to 1, at most 10."""
    for _ in range(3):
        json_api("StartMessageMoveTask", SourceArn=queues["dead-arn"])
        finished(json_api, queues["dead-arn"])
    assert len(json_api("ListMessageMoveTasks", SourceArn=queues["dead-arn"])["Results"]) == 1
    results = json_api("ListMessageMoveTasks", SourceArn=queues["dead-arn"], MaxResults=10)["Results"]
    assert len(results) == 3
    started = [task["StartedTimestamp"] for task in results]
    assert started == sorted(started, reverse=True)


@pytest.mark.parametrize(
    ("action", "members", "code"),
    [
        ("StartMessageMoveTask", {"SourceArn": ARN + "no-such-queue"}, "ResourceNotFoundException"),
        ("StartMessageMoveTask", {"SourceArn": "queue"}, "InvalidParameterValue"),
        ("StartMessageMoveTask", {}, "MissingParameter"),
        ("StartMessageMoveTask", {"SourceArn": "jobs-arn"}, "InvalidParameterValue"),
        (
            "StartMessageMoveTask",
            {"SourceArn": "dead-arn", "DestinationArn": "dead-arn"},
            "InvalidParameterValue",
        ),
        (
            "StartMessageMoveTask",
            {"SourceArn": "dead-arn", "DestinationArn": ARN + "gone"},
            "ResourceNotFoundException",
        ),
        (
            "StartMessageMoveTask",
            {"SourceArn": "dead-arn", "MaxNumberOfMessagesPerSecond": 501},
            "InvalidParameterValue",
        ),
        ("StartMessageMoveTask", {"SourceArn": "arn:aws:sqs:us-east-1:111111111111:q"}, "AccessDenied"),
        ("ListMessageMoveTasks", {"SourceArn": ARN + "no-such-queue"}, "ResourceNotFoundException"),
        ("ListMessageMoveTasks", {"SourceArn": "dead-arn", "MaxResults": 11}, "InvalidParameterValue"),
        ("CancelMessageMoveTask", {"TaskHandle": "nonsense"}, "InvalidParameterValue"),
        ("CancelMessageMoveTask", {"TaskHandle": "unknown"}, "ResourceNotFoundException"),
    ],
)
def test_refusals(
    json_api: Api, queues: dict[str, str], action: str, members: dict[str, Any], code: str
) -> None:
    given = {name: queues.get(str(value), value) for name, value in members.items()}
    if given.get("TaskHandle") == "unknown":
        text = json.dumps({"taskId": "00000000-0000-4000-8000-000000000000", "sourceArn": queues["dead-arn"]})
        given["TaskHandle"] = base64.b64encode(text.encode()).decode()
    assert refusal(json_api, action, **given) == code
