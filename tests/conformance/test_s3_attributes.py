"""GetObjectAttributes.

"API" is the Amazon S3 API Reference, GetObjectAttributes.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import botocore.exceptions
import pytest
from s3_api import NAMESPACE, call, pattern
from store_process import Store

EVERYTHING = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.mark.parametrize("size", [0, 3, 100_000])
def test_of_an_object_put_at_once(s3: Any, bucket: str, size: int) -> None:
    """API: ETag without quotes, the checksum, the size; no parts."""
    data = pattern(size)
    s3.put_object(Bucket=bucket, Key="k", Body=data, ChecksumAlgorithm="SHA256")
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=EVERYTHING)
    assert told["ETag"] == hashlib.md5(data).hexdigest()
    assert told["Checksum"]["ChecksumSHA256"] == sha256(data)
    assert (told["ObjectSize"], told["StorageClass"]) == (size, "STANDARD")
    assert "ObjectParts" not in told
    assert told["LastModified"] == s3.head_object(Bucket=bucket, Key="k")["LastModified"]


def test_only_what_is_asked_for(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumAlgorithm="SHA256")
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])
    assert told["ObjectSize"] == 1
    assert not {"ETag", "Checksum", "ObjectParts", "StorageClass"} & set(told)


def test_the_parts_and_their_checksums_in_pages(s3: Any, bucket: str) -> None:
    """API: ObjectParts, x-amz-max-parts and x-amz-part-number-marker."""
    bodies = [pattern(5 << 20), pattern(6 << 20), b"tail"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        sent = s3.upload_part(
            Bucket=bucket,
            Key="k",
            UploadId=upload,
            PartNumber=number,
            Body=body,
            ChecksumAlgorithm="SHA256",
        )
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    expected = [
        {"PartNumber": n, "Size": len(body), "ChecksumSHA256": sha256(body)}
        for n, body in enumerate(bodies, 1)
    ]
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=EVERYTHING)
    assert told["ObjectSize"] == sum(len(body) for body in bodies)
    assert told["Checksum"]["ChecksumSHA256"] == sha256(
        b"".join(hashlib.sha256(body).digest() for body in bodies)
    )
    assert (told["ObjectParts"]["TotalPartsCount"], told["ObjectParts"]["IsTruncated"]) == (3, False)
    assert told["ObjectParts"]["Parts"] == expected
    first = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts"], MaxParts=2)
    assert first["ObjectParts"]["IsTruncated"]
    assert first["ObjectParts"]["Parts"] == expected[:2]
    rest = s3.get_object_attributes(
        Bucket=bucket,
        Key="k",
        ObjectAttributes=["ObjectParts"],
        PartNumberMarker=first["ObjectParts"]["NextPartNumberMarker"],
    )
    assert rest["ObjectParts"]["Parts"] == expected[2:]


def test_parts_without_checksums_are_counted(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="k",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]},
    )
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=EVERYTHING)
    assert told["ObjectParts"] == {"TotalPartsCount": 1}
    assert "Checksum" not in told


def test_refusals(store: Store, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    none: dict[str, str] = {}
    for headers in (none, {"x-amz-object-attributes": ""}, {"x-amz-object-attributes": "ETag,Other"}):
        assert call(store, "GET", f"/{bucket}/k", "attributes", headers=headers).code == "InvalidArgument"
    good = {"x-amz-object-attributes": "ETag, ObjectSize"}
    assert call(store, "GET", f"/{bucket}/k", "attributes", headers=good).xml.tag.startswith(NAMESPACE)
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchKey"):
        s3.get_object_attributes(Bucket=bucket, Key="absent", ObjectAttributes=["ETag"])
