"""AWS's own service model, held against the store: every operation is done or refused under its name, and
every header and parameter of one that is done is honoured or refused by name, never passed over.

Source: botocore's data for s3 (2006-03-01), of whatever age it is.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
import s3_api
from store_process import Store

MODEL = botocore.session.get_session().get_service_model("s3")
# An Object Lambda function answers at an endpoint of its own; directory buckets are another service.
ELSEWHERE = {"WriteGetObjectResponse", "ListDirectoryBuckets"}
DONE = {
    *("AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket"),
    *("CreateMultipartUpload", "DeleteBucket", "DeleteBucketCors", "DeleteBucketLifecycle"),
    *("DeleteBucketOwnershipControls", "DeleteBucketPolicy", "DeleteBucketTagging", "DeleteObject"),
    *("DeleteObjectTagging", "DeleteObjects", "DeletePublicAccessBlock", "GetBucketAcl"),
    *("GetBucketCors", "GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
    *("GetBucketLocation", "GetBucketNotification", "GetBucketNotificationConfiguration"),
    *("GetBucketOwnershipControls", "GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketTagging"),
    *("GetBucketVersioning", "GetObject", "GetObjectAcl", "GetObjectAttributes"),
    *("GetObjectTagging", "GetPublicAccessBlock", "HeadBucket", "HeadObject", "ListBuckets"),
    *("ListMultipartUploads", "ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts"),
    *("PutBucketCors", "PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    *("PutBucketNotification", "PutBucketNotificationConfiguration", "PutBucketOwnershipControls"),
    *("PutBucketPolicy", "PutBucketTagging", "PutBucketVersioning", "PutObject"),
    *("PutObjectTagging", "PutPublicAccessBlock", "UploadPart", "UploadPartCopy"),
}
# What other tests show to be honoured, wherever the model has it. Beside those: nobody pays here, so who asks
# to pay is asking for nothing; restored objects are not listed, since there are none.
HEADERS = {
    *("cache-control", "content-disposition", "content-encoding", "content-language"),
    *("content-length", "content-md5", "content-type", "expires", "if-match", "if-modified-since"),
    *("if-none-match", "if-unmodified-since", "range", "x-amz-acl"),
    *("x-amz-bucket-object-lock-enabled", "x-amz-checksum-algorithm", "x-amz-checksum-crc32"),
    *("x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-mode"),
    *("x-amz-checksum-sha1", "x-amz-checksum-sha256", "x-amz-checksum-type", "x-amz-copy-source"),
    *("x-amz-copy-source-if-match", "x-amz-copy-source-if-modified-since"),
    *("x-amz-copy-source-if-none-match", "x-amz-copy-source-if-unmodified-since"),
    *("x-amz-copy-source-range", "x-amz-expected-bucket-owner", "x-amz-max-parts"),
    *("x-amz-metadata-directive", "x-amz-mp-object-size", "x-amz-object-attributes"),
    *("x-amz-object-ownership", "x-amz-part-number-marker", "x-amz-sdk-checksum-algorithm"),
    *("x-amz-source-expected-bucket-owner", "x-amz-storage-class"),
    *("x-amz-skip-destination-validation", "x-amz-tagging", "x-amz-tagging-directive"),
    *("x-amz-request-payer", "x-amz-optional-object-attributes"),
}
PARAMETERS = {
    *("continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "marker"),
    *("max-keys", "max-parts", "max-uploads", "part-number-marker", "partnumber", "prefix"),
    *("start-after", "uploadid", "upload-id-marker", "version-id-marker", "versionid"),
    *("max-buckets", "bucket-region", "response-cache-control", "response-content-disposition"),
    *("response-content-encoding", "response-content-language", "response-content-type"),
    *("response-expires",),
}


@dataclass(frozen=True)
class Place:
    store: Store
    bucket: str
    upload: str


@pytest.fixture(scope="module")
def place(store: Store, s3: Any) -> Iterator[Place]:
    bucket = s3_api.new_bucket_name()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    yield Place(store, bucket, upload)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)


def sample(shape: Any) -> str:
    if getattr(shape, "enum", None):
        return str(shape.enum[0])
    kinds = {"boolean": "true", "timestamp": "Tue, 01 Jan 2030 00:00:00 GMT"}
    return kinds.get(shape.type_name, "x" if shape.type_name == "string" else "1")


def location(shape: Any) -> tuple[str, str]:
    return shape.serialization.get("location", ""), shape.serialization.get("name", "")


def ask(place: Place, operation: str, member: str = "") -> s3_api.Answer:
    """The operation with what it needs (the body is empty), and one more member of its input."""
    model = MODEL.operation_model(operation)
    uri = model.http["requestUri"].replace("{Bucket}", place.bucket).replace("{Key+}", "k")
    path, _, query = uri.partition("?")
    headers: dict[str, str] = {}
    parameters = [part if "=" in part else f"{part}=" for part in query.split("&") if part]
    shape = model.input_shape
    for name in {*(shape.required_members if shape else []), *([member] if member else [])}:
        where, key = location(shape.members[name])
        value = place.upload if name == "UploadId" else sample(shape.members[name])
        if name == "CopySource":
            value = f"{place.bucket}/k"
        if where == "header":
            headers[key] = value
        elif where == "querystring":
            parameters.append(f"{key}={urllib.parse.quote(value, safe='')}")
    return s3_api.call(
        place.store, model.http["method"], path, "&".join(sorted(parameters)), headers=headers
    )


def unnamed() -> list[tuple[str, str]]:
    """Members, in headers and parameters, that no test shows to be honoured."""
    found = []
    for operation in sorted(DONE & set(MODEL.operation_names)):
        shape = MODEL.operation_model(operation).input_shape
        for name, member in shape.members.items() if shape else []:
            where, key = location(member)
            known = {"header": HEADERS, "querystring": PARAMETERS}.get(where)
            if known is not None and key.lower() not in known:
                found.append((operation, name))
    return found


@pytest.mark.parametrize("operation", sorted(set(MODEL.operation_names) - DONE - ELSEWHERE))
def test_what_is_not_done_is_refused_under_its_name(place: Place, operation: str) -> None:
    answer = ask(place, operation)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert operation in answer.body.decode()


@pytest.mark.parametrize("operation", sorted(DONE & set(MODEL.operation_names)))
def test_what_is_done_is_not_refused(place: Place, operation: str) -> None:
    if operation in {"DeleteObject", "AbortMultipartUpload", "DeleteBucket"}:
        return  # every other test here stands on what these would take away
    assert ask(place, operation).status != 501


@pytest.mark.parametrize(("operation", "member"), unnamed())
def test_what_is_not_honoured_is_refused_by_name(place: Place, operation: str, member: str) -> None:
    answer = ask(place, operation, member)
    _, name = location(MODEL.operation_model(operation).input_shape.members[member])
    assert answer.status in {400, 501}
    if MODEL.operation_model(operation).http["method"] != "HEAD":
        assert name.lower() in answer.body.decode().lower()


def test_nothing_was_changed_by_what_was_refused(place: Place, s3: Any) -> None:
    assert s3.get_object(Bucket=place.bucket, Key="k")["Body"].read() in {b"x", b""}
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=place.bucket)["Contents"]] == ["k"]
