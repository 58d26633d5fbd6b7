"""Whole programs against the store, unmodified: the AWS CLI, the newest JavaScript SDK, sqs-consumer."""

from __future__ import annotations

import json
import pathlib
import subprocess
from typing import Any

from aws_cli import aws, needs_aws_cli
from conftest import CLIENTS
from store_process import Store


@needs_aws_cli
class TestAwsCli:
    def aws(self, store: Store, *arguments: str) -> Any:
        return json.loads(aws(store, "sqs", *arguments, "--output", "json") or "{}")

    def test_a_message_from_creation_to_deletion(self, store: Store, tmp_path: pathlib.Path) -> None:
        """AWS CLI Command Reference, sqs."""
        url = self.aws(
            store, "create-queue", "--queue-name", "cli", "--attributes", "VisibilityTimeout=40"
        )["QueueUrl"]
        attributes = {"kind": {"DataType": "String", "StringValue": "cli"}}
        sent = self.aws(
            store,
            *("send-message", "--queue-url", url, "--message-body", "from the CLI"),
            *("--message-attributes", json.dumps(attributes)),
        )
        got = self.aws(
            store,
            *(
                "receive-message",
                "--queue-url",
                url,
                "--attribute-names",
                "All",
                "--message-attribute-names",
                "All",
            ),
            *("--wait-time-seconds", "5"),
        )
        (message,) = got["Messages"]
        assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "from the CLI")
        assert message["MessageAttributes"] == attributes
        shown = self.aws(store, "get-queue-attributes", "--queue-url", url, "--attribute-names", "All")[
            "Attributes"
        ]
        assert (shown["VisibilityTimeout"], shown["ApproximateNumberOfMessagesNotVisible"]) == (
            "40",
            "1",
        )
        self.aws(
            store, "delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"]
        )
        self.aws(store, "purge-queue", "--queue-url", url)
        assert url in self.aws(store, "list-queues", "--queue-name-prefix", "cli")["QueueUrls"]
        self.aws(store, "delete-queue", "--queue-url", url)


def assert_script_passes(store: Store, node: pathlib.Path, script: str) -> None:
    done = subprocess.run(
        [node, CLIENTS / script],
        env=store.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["failed"] == []
    assert said["passed"]


class TestJavaScriptSdk:
    def test_every_action_of_this_version(self, store: Store, node: pathlib.Path) -> None:
        """AWS SDK for JavaScript v3, @aws-sdk/client-sqs: JSON 1.0; it verifies the MD5s itself."""
        assert_script_passes(store, node, "sqs.mjs")


class TestSqsConsumer:
    def test_jobs_one_by_one_and_in_batches(self, store: Store, node: pathlib.Path) -> None:
        """sqs-consumer's README: handleMessage, handleMessageBatch, terminateVisibilityTimeout."""
        assert_script_passes(store, node, "consumer.mjs")
