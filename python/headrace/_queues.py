"""How much waits in the queues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace._services import services

_NAMES = {
    "waiting": "ApproximateNumberOfMessages",
    "running": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


@dataclass(frozen=True)
class Depth:
    """Messages of one queue. `running` are with a worker, or wait for their next attempt."""

    waiting: int
    running: int
    delayed: int


def queues() -> dict[str, Depth]:
    """Every queue by name."""
    to = services()
    urls: list[str] = []
    query: dict[str, Any] = {"MaxResults": 1000}
    while True:
        page = to.sqs("ListQueues", query)
        urls += page.get("QueueUrls", [])
        if not page.get("NextToken"):
            break
        query["NextToken"] = page["NextToken"]
    found = {}
    for url in urls:
        asked = {"QueueUrl": url, "AttributeNames": list(_NAMES.values())}
        attributes = to.sqs("GetQueueAttributes", asked).get("Attributes", {})
        counts = {field: int(attributes.get(name, 0)) for field, name in _NAMES.items()}
        found[url.rpartition("/")[2]] = Depth(**counts)
    return found
