"""Fair queues: MessageGroupId on a queue that is not FIFO names a tenant.

Source: Developer Guide, "Amazon SQS fair queues" and "How Amazon SQS fair queues work".
"""

from __future__ import annotations

from typing import Any

from sqs_api import Api


def send(api: Api, queue: str, tenant: str, count: int) -> None:
    for first in range(0, count, 10):
        entries = [
            {"Id": str(i), "MessageBody": f"{tenant}-{first + i}", "MessageGroupId": tenant}
            for i in range(min(10, count - first))
        ]
        assert len(api("SendMessageBatch", QueueUrl=queue, Entries=entries)["Successful"]) == len(
            entries
        )


def receive(api: Api, queue: str, most: int = 10) -> list[dict[str, Any]]:
    answer = api(
        "ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=most, AttributeNames=["MessageGroupId"]
    )
    return list(answer.get("Messages", []))


def tenants(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Attributes"]["MessageGroupId"] for message in messages]


def test_quiet_tenants_come_before_one_with_thirty_in_flight(api: Api, queue: str) -> None:
    """How detection works: more than 10 % of what is in flight, and at least 30 messages."""
    send(api, queue, "loud", 60)
    for _ in range(3):
        assert tenants(receive(api, queue)) == ["loud"] * 10
    send(api, queue, "quiet", 2)
    api("SendMessage", QueueUrl=queue, MessageBody="of its own")
    assert [m["Body"] for m in receive(api, queue, 4)] == ["quiet-0", "quiet-1", "of its own", "loud-30"]


def test_a_busy_tenant_below_the_bounds_keeps_its_turn(api: Api, queue: str) -> None:
    """How detection works: with fewer than 30 in flight a tenant is not noisy."""
    send(api, queue, "busy", 40)
    for most in (10, 10, 9):
        assert len(receive(api, queue, most)) == most
    send(api, queue, "other", 1)
    assert tenants(receive(api, queue, 1)) == ["busy"]


def test_among_noisy_tenants_the_one_with_the_fewest_in_flight_is_first(api: Api, queue: str) -> None:
    """How message delivery order changes: fewest messages in flight first."""
    send(api, queue, "a", 60)
    for _ in range(4):
        receive(api, queue)
    send(api, queue, "b", 60)
    for _ in range(3):
        assert tenants(receive(api, queue)) == ["b"] * 10
    assert tenants(receive(api, queue)) == ["b"] * 10


def test_nothing_of_a_noisy_tenant_is_held_back(api: Api, queue: str) -> None:
    """How message delivery order changes: without quiet messages waiting, consumers receive as usual."""
    send(api, queue, "loud", 50)
    got = [message for _ in range(5) for message in receive(api, queue)]
    assert [m["Body"] for m in got] == [f"loud-{i}" for i in range(50)]
    entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(got[:10])]
    assert len(api("DeleteMessageBatch", QueueUrl=queue, Entries=entries)["Successful"]) == 10
