"""SQS and S3 through the nginx of a host: no key, header or signature is changed on the way."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import nginx_front
import pytest
import s3_api
from botocore.config import Config
from botocore.exceptions import ClientError
from nginx_front import Front
from store_process import REGION, Store

KEYS = [
    "a//b", "/a", "//", "///a//", "a/", "a/../b", "a/./b", "./a/.", ".", "a b", "a+b", "a%20b", "%2e%2e",
    "a%2Fb", "a\\..\\b", "a\nb", "a?b#c&d=e", "ü/😀", "'\";--", "a:b@c!$&'()*,;=~", "static/x",
    "_headrace/x", "x" * 1024,
]  # fmt: skip
# Above the root, as paths are read: nginx answers 400 before anything of ours sees them (docs/host.md).
REFUSED = ["../a", "../../etc/passwd"]


@pytest.fixture(scope="module")
def front(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with nginx_front.running(store, tmp_path_factory.mktemp("nginx")) as ready:
        yield ready


def client(kind: str, store: Store, front: Front) -> Any:
    return boto3.client(
        kind,
        endpoint_url=front.endpoint,
        aws_access_key_id=store.key_id,
        aws_secret_access_key=store.secret,
        region_name=REGION,
        verify=str(front.certificate),
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


@pytest.fixture(scope="module")
def outside(store: Store, front: Front) -> Any:
    return client("s3", store, front)


def test_hostile_keys_arrive_as_they_were_sent(outside: Any, s3: Any, bucket: str) -> None:
    for key in KEYS:
        body = key.encode()
        outside.put_object(Bucket=bucket, Key=key, Body=body)
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body, key
        assert outside.get_object(Bucket=bucket, Key=key)["Body"].read() == body, key
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert sorted(each["Key"] for each in listed) == sorted(KEYS)
    for key in KEYS:
        outside.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("key", REFUSED)
def test_a_key_that_climbs_above_the_root_is_refused_and_becomes_no_other_key(
    outside: Any, s3: Any, bucket: str, key: str
) -> None:
    with pytest.raises(ClientError) as refused:
        outside.put_object(Bucket=bucket, Key=key, Body=b"x", ContentType="text/plain")
        outside.put_object(Bucket=bucket, Key=f"../{key}", Body=b"x", ContentType="text/plain")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    assert set(keys) <= {key}


def test_metadata_keeps_its_names(outside: Any, s3: Any, bucket: str) -> None:
    metadata = {"under_score": "1", "with.dot": "2", "dash-ed": "3", "percent%41": "4"}
    outside.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata=metadata)
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == metadata
    assert outside.head_object(Bucket=bucket, Key="k")["Metadata"] == metadata


def test_a_body_longer_than_the_sites_limit_is_streamed_both_ways(
    outside: Any, s3: Any, bucket: str
) -> None:
    body = s3_api.pattern(20 << 20)
    outside.put_object(Bucket=bucket, Key="large", Body=body)
    assert outside.get_object(Bucket=bucket, Key="large")["Body"].read() == body
    part = outside.get_object(Bucket=bucket, Key="large", Range="bytes=1048570-1048585")
    assert part["Body"].read() == body[1048570:1048586]


def test_presigned_addresses_work(outside: Any, front: Front, bucket: str) -> None:
    outside.put_object(Bucket=bucket, Key="a b/ü", Body=b"presigned")
    address = outside.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b/ü"})
    trusted = ssl.create_default_context(cafile=str(front.certificate))
    with urllib.request.urlopen(address, context=trusted) as answer:
        assert answer.read() == b"presigned"


def test_messages_go_in_and_come_out(store: Store, front: Front) -> None:
    sqs = client("sqs", store, front)
    url = sqs.create_queue(QueueName="behind-nginx")["QueueUrl"]
    assert sqs.send_message(QueueUrl=url, MessageBody="through nginx")["MessageId"]
    got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]
    assert got["Body"] == "through nginx"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    sqs.delete_queue(QueueUrl=url)


def test_own_paths_of_the_store_are_not_public(front: Front) -> None:
    trusted = ssl.create_default_context(cafile=str(front.certificate))
    for path in ("/_headrace/metrics", "/_headrace/health", "//_headrace/metrics"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(front.endpoint + path, context=trusted)
