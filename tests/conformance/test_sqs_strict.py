"""What AWS makes its callers wait for, under store.strict_aws.

Source: API_PurgeQueue, API_DeleteQueue, API_CreateQueue (Errors: PurgeQueueInProgress, QueueDeletedRecently).
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import store_process
from sqs_api import Api, JsonApi, QueryApi, SqsError
from store_process import Store


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder: pathlib.Path = tmp_path_factory.mktemp("strict")
    config = folder / "headrace.toml"
    config.write_text("[store]\nstrict_aws = true\n")
    started = store_process.start(folder / "data", "--config", str(config))
    yield started
    assert store_process.stop(started) == 0


@pytest.fixture(params=["query", "json"])
def strict_api(request: pytest.FixtureRequest, strict: Store) -> Api:
    kind: Any = {"query": QueryApi, "json": JsonApi}[request.param]
    api: Api = kind(strict)
    return api


def refusal(api: Api, action: str, **members: Any) -> SqsError:
    with pytest.raises(SqsError) as refused:
        api(action, **members)
    return refused.value


def test_a_queue_is_purged_once_in_sixty_seconds(strict_api: Api, queue_name: str) -> None:
    """API_PurgeQueue, Errors: PurgeQueueInProgress."""
    queue = strict_api("CreateQueue", QueueName=queue_name)["QueueUrl"]
    strict_api("PurgeQueue", QueueUrl=queue)
    refused = refusal(strict_api, "PurgeQueue", QueueUrl=queue)
    assert (refused.code, refused.status) == (
        "AWS.SimpleQueueService.PurgeQueueInProgress",
        403,
    )
    assert (
        refused.message == f"Only one PurgeQueue operation on {queue_name} is allowed every 60 seconds."
    )
    other = strict_api("CreateQueue", QueueName=queue_name + "-other")["QueueUrl"]
    strict_api("PurgeQueue", QueueUrl=other)


def test_the_name_of_a_deleted_queue_is_free_after_sixty_seconds(
    strict_api: Api, queue_name: str
) -> None:
    """API_CreateQueue, Errors: QueueDeletedRecently."""
    queue = strict_api("CreateQueue", QueueName=queue_name)["QueueUrl"]
    strict_api("DeleteQueue", QueueUrl=queue)
    refused = refusal(strict_api, "CreateQueue", QueueName=queue_name)
    assert (refused.code, refused.status) == (
        "AWS.SimpleQueueService.QueueDeletedRecently",
        400,
    )
    assert "60 seconds" in refused.message
    strict_api("CreateQueue", QueueName=queue_name + "-other")


def test_without_it_nobody_waits(api: Api, queue_name: str) -> None:
    """docs/sqs.md: both are done when they are answered."""
    queue = api("CreateQueue", QueueName=queue_name)["QueueUrl"]
    api("PurgeQueue", QueueUrl=queue)
    api("PurgeQueue", QueueUrl=queue)
    api("DeleteQueue", QueueUrl=queue)
    api("DeleteQueue", QueueUrl=api("CreateQueue", QueueName=queue_name)["QueueUrl"])
