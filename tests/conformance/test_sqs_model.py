"""AWS's own service model, held against the store: every action, every attribute, every limit it names.

Source: botocore's data for sqs (2012-11-05); API_SetQueueAttributes for the ranges.
"""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from sqs_api import Api, SqsError, json_request
from store_process import Store

MODEL = botocore.session.get_session().get_service_model("sqs")
# Actions that are newer than Debian's botocore.
NEWER = ["StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask"]
RANGES = [
    ("DelaySeconds", 0, 900),
    ("VisibilityTimeout", 0, 43_200),
    ("MessageRetentionPeriod", 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20),
    ("MaximumMessageSize", 1_024, 1_048_576),
    ("KmsDataKeyReusePeriodSeconds", 60, 86_400),
]
# What a queue of either kind reports of itself without being told anything.
FIFO_ONLY = {"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"}
ONLY_WHEN_SET = {
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
}


def queue_attributes() -> list[str]:
    return [name for name in MODEL.shape_for("QueueAttributeName").enum if name != "All"]


@pytest.mark.parametrize("action", [*MODEL.operation_names, *NEWER])
def test_every_action_is_known(store: Store, action: str) -> None:
    """The model's operations: an empty request is refused for what it lacks, and never as unknown."""
    answer = json_request(store, action, b"{}")
    code = answer.headers.get("x-amzn-query-error", "").split(";")[0]
    assert code not in {"InvalidAction", "AWS.SimpleQueueService.UnsupportedOperation"}
    required = {"ListQueues": 200}
    assert answer.status == required.get(action, 400), (code, answer.body)


@pytest.mark.parametrize("name", queue_attributes())
def test_every_queue_attribute_can_be_asked_for(api: Api, queue: str, name: str) -> None:
    """API_GetQueueAttributes, AttributeNames: one that is not set is left out."""
    got = api("GetQueueAttributes", QueueUrl=queue, AttributeNames=[name]).get("Attributes", {})
    assert set(got) == (set() if name in FIFO_ONLY | ONLY_WHEN_SET else {name})


def test_all_are_those_of_the_model(api: Api, queue: str) -> None:
    """API_GetQueueAttributes, All."""
    got = api("GetQueueAttributes", QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert set(got) == set(queue_attributes()) - FIFO_ONLY - ONLY_WHEN_SET


@pytest.mark.parametrize("name", MODEL.shape_for("MessageSystemAttributeName").enum)
def test_every_system_attribute_can_be_asked_for(api: Api, queue: str, name: str) -> None:
    """API_ReceiveMessage, AttributeNames: what the message has not is left out."""
    trace = {
        "AWSTraceHeader": {
            "DataType": "String",
            "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793",
        }
    }
    api(
        "SendMessage", QueueUrl=queue, MessageBody="x", MessageSystemAttributes=trace, MessageGroupId="g"
    )
    (message,) = api("ReceiveMessage", QueueUrl=queue, AttributeNames=[name])["Messages"]
    of_fifo = {"SequenceNumber", "MessageDeduplicationId", "DeadLetterQueueSourceArn"}
    assert set(message.get("Attributes", {})) == (set() if name in of_fifo else {name})


@pytest.mark.parametrize(("name", "low", "high"), RANGES)
def test_every_range_is_kept_at_its_edges(api: Api, queue: str, name: str, low: int, high: int) -> None:
    """API_SetQueueAttributes, Attributes; Errors: InvalidAttributeValue."""
    for value in (low, high):
        api("SetQueueAttributes", QueueUrl=queue, Attributes={name: str(value)})
        got = api("GetQueueAttributes", QueueUrl=queue, AttributeNames=[name])["Attributes"]
        assert got == {name: str(value)}
    for bad in (str(low - 1), str(high + 1), "", "1.5", "many", " 60"):
        with pytest.raises(SqsError) as refused:
            api("SetQueueAttributes", QueueUrl=queue, Attributes={name: bad})
        assert refused.value.code == "InvalidAttributeValue", bad
        if name == "KmsDataKeyReusePeriodSeconds":
            break  # an empty value takes it away


def test_server_side_encryption_is_reported_as_it_was_set(api: Api, queue: str) -> None:
    """API_SetQueueAttributes, KmsMasterKeyId; KmsDataKeyReusePeriodSeconds: "The default is 300"."""
    names = ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"]

    def reported() -> dict[str, Any]:
        return dict(
            api("GetQueueAttributes", QueueUrl=queue, AttributeNames=names).get("Attributes", {})
        )

    api("SetQueueAttributes", QueueUrl=queue, Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
    assert reported() == {
        "KmsMasterKeyId": "alias/aws/sqs",
        "KmsDataKeyReusePeriodSeconds": "300",
        "SqsManagedSseEnabled": "false",
    }
    api("SetQueueAttributes", QueueUrl=queue, Attributes={"KmsDataKeyReusePeriodSeconds": "600"})
    assert reported()["KmsDataKeyReusePeriodSeconds"] == "600"
    with pytest.raises(SqsError) as refused:
        both = {"KmsMasterKeyId": "alias/aws/sqs", "SqsManagedSseEnabled": "true"}
        api("SetQueueAttributes", QueueUrl=queue, Attributes=both)
    assert refused.value.code == "InvalidAttributeName"


def test_the_sources_of_a_dead_letter_queue_come_in_pages(api: Api, queue: str, json_api: Api) -> None:
    """API_ListDeadLetterSourceQueues, MaxResults and NextToken."""
    name = queue.rsplit("/", 1)[1]
    dead = json_api("GetQueueAttributes", QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1})
    made = [
        json_api("CreateQueue", QueueName=f"{name}-source-{i}", Attributes={"RedrivePolicy": policy})[
            "QueueUrl"
        ]
        for i in range(5)
    ]
    seen: list[str] = []
    token: dict[str, str] = {}
    for _ in range(3):
        page = api("ListDeadLetterSourceQueues", QueueUrl=queue, MaxResults=2, **token)
        seen += page["queueUrls"]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
    assert (seen, token) == (made, {})
    for url in made:
        json_api("DeleteQueue", QueueUrl=url)
