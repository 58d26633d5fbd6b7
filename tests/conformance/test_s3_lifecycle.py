"""Lifecycle rules. "UG" is the Amazon S3 User Guide, "Managing the lifecycle of objects".

A rule with a date that has passed is carried out as soon as it is put; days are tested with a clock of
their own in src/wire/s3_lifecycle_test.cc.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import botocore.exceptions
import pytest
from s3_api import events
from store_process import Store

PAST = "2020-01-01T00:00:00Z"
ASKS_MAX = 20_000  # of something that will be so soon


def refused(action: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        action(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def rule(**actions: Any) -> dict[str, Any]:
    return {"Rules": [{"ID": "one", "Status": "Enabled", "Filter": {}, **actions}]}


def soon(holds: Callable[[], bool]) -> bool:
    return any(holds() for _ in range(ASKS_MAX))


def keys(s3: Any, bucket: str) -> list[str]:
    return [
        entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    ]


class TestConfiguration:
    def test_comes_back_as_it_was_put(self, s3: Any, bucket: str) -> None:
        """API_PutBucketLifecycleConfiguration and its Get and Delete."""
        get = s3.get_bucket_lifecycle_configuration
        assert refused(get, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")
        configuration = rule(
            Filter={"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}]}},
            Expiration={"Days": 30},
        )
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration=configuration
        )
        assert get(Bucket=bucket)["Rules"] == configuration["Rules"]
        s3.delete_bucket_lifecycle(Bucket=bucket)
        assert refused(get, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")

    @pytest.mark.parametrize(
        ("actions", "expected"),
        [
            (
                {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]},
                (501, "NotImplemented"),
            ),
            ({"Expiration": {"Days": 0}}, (400, "InvalidArgument")),
            (
                {"Expiration": {"Date": "2030-01-01T12:00:00Z"}},
                (400, "InvalidArgument"),
            ),
            ({}, (400, "InvalidRequest")),
        ],
    )
    def test_rules_that_are_none(
        self, s3: Any, bucket: str, actions: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        put = s3.put_bucket_lifecycle_configuration
        assert (
            refused(put, Bucket=bucket, LifecycleConfiguration=rule(**actions))
            == expected
        )

    def test_an_answer_says_when_the_object_goes(self, s3: Any, bucket: str) -> None:
        """API_HeadObject: x-amz-expiration, the next midnight after the days."""
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration=rule(Filter={"Prefix": "a"}, Expiration={"Days": 3}),
        )
        for key in ("a", "b"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
        told = s3.head_object(Bucket=bucket, Key="a")["Expiration"]
        assert re.fullmatch(
            r'expiry-date="\w{3}, \d\d \w{3} \d{4} 00:00:00 GMT", rule-id="one"', told
        )
        assert "Expiration" not in s3.head_object(Bucket=bucket, Key="b")


class TestExpiration:
    def test_objects_go_and_a_queue_is_told(
        self, store: Store, s3: Any, bucket: str, queue: str, json_api: Any
    ) -> None:
        """UG "Supported event types": s3:LifecycleExpiration:Delete. What no rule names stays."""
        arn = f"arn:aws:sqs:us-east-1:{store.account}:{queue.rsplit('/', 1)[1]}"
        notify = {"QueueArn": arn, "Events": ["s3:LifecycleExpiration:*"]}
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [notify]}
        )
        for key in ("tmp/a", "tmp/b", "kept"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 20_000)
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration=rule(
                Filter={"Prefix": "tmp/"}, Expiration={"Date": PAST}
            ),
        )
        assert soon(lambda: keys(s3, bucket) == ["kept"])
        told = {
            (record["eventName"], record["s3"]["object"]["key"])
            for record in events(json_api, queue)
        }
        assert told == {
            ("LifecycleExpiration:Delete", key) for key in ("tmp/a", "tmp/b")
        }

    def test_with_versions_it_leaves_a_marker(self, s3: Any, bucket: str) -> None:
        """UG "Understanding lifecycle policies for versioning-enabled buckets"."""
        s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration=rule(Expiration={"Date": PAST})
        )
        assert soon(lambda: not keys(s3, bucket))
        page = s3.list_object_versions(Bucket=bucket)
        assert [entry["VersionId"] for entry in page["Versions"]] == [version]
        assert [entry["IsLatest"] for entry in page["DeleteMarkers"]] == [True]

    def test_a_marker_that_hides_nothing_goes(self, s3: Any, bucket: str) -> None:
        """UG: ExpiredObjectDeleteMarker."""
        s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        s3.put_object(Bucket=bucket, Key="hidden", Body=b"x")
        for key in ("alone", "hidden"):
            s3.delete_object(Bucket=bucket, Key=key)
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration=rule(Expiration={"ExpiredObjectDeleteMarker": True}),
        )

        def markers() -> list[str]:
            page = s3.list_object_versions(Bucket=bucket)
            return [entry["Key"] for entry in page.get("DeleteMarkers", [])]

        assert soon(lambda: markers() == ["hidden"])
