"""CopyObject and UploadPartCopy.

"API" is the Amazon S3 API Reference.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import urllib.parse
from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import pytest
from s3_api import NAMESPACE, SIZES, call, crc32_base64, pattern
from store_process import Store

MIB = 1 << 20


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


class TestCopyObject:
    @pytest.mark.parametrize("size", SIZES)
    def test_every_size(self, s3: Any, bucket: str, size: int) -> None:
        """API_CopyObject: the bytes, and by default the metadata."""
        data = pattern(size)
        s3.put_object(Bucket=bucket, Key="a", Body=data, ContentType="text/plain", Metadata={"m": "1"})
        done = s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
        assert done["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
        s3.delete_object(Bucket=bucket, Key="a")
        got = s3.get_object(Bucket=bucket, Key="b")
        assert got["Body"].read() == data
        assert (got["ContentType"], got["Metadata"]) == ("text/plain", {"m": "1"})
        assert got["LastModified"] == done["CopyObjectResult"]["LastModified"].replace(microsecond=0)

    def test_metadata_is_replaced_when_asked(self, s3: Any, bucket: str) -> None:
        source = {"Bucket": bucket, "Key": "a"}
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", ContentType="text/plain", Metadata={"m": "1"})
        s3.copy_object(
            Bucket=bucket,
            Key="b",
            CopySource=source,
            MetadataDirective="REPLACE",
            Metadata={"n": "2"},
            ContentType="text/html",
        )
        head = s3.head_object(Bucket=bucket, Key="b")
        assert (head["ContentType"], head["Metadata"]) == ("text/html", {"n": "2"})

    def test_onto_itself_only_with_new_metadata(self, s3: Any, bucket: str) -> None:
        source = {"Bucket": bucket, "Key": "a"}
        for size in (3, 100_000):
            s3.put_object(Bucket=bucket, Key="a", Body=pattern(size))
            with refused("InvalidRequest"):
                s3.copy_object(Bucket=bucket, Key="a", CopySource=source)
            s3.copy_object(
                Bucket=bucket, Key="a", CopySource=source, MetadataDirective="REPLACE", Metadata={"a": "b"}
            )
            got = s3.get_object(Bucket=bucket, Key="a")
            assert (got["Body"].read(), got["Metadata"]) == (pattern(size), {"a": "b"})

    def test_keys_are_taken_as_they_are(self, store: Store, s3: Any, bucket: str) -> None:
        for key in ("a b+c", "a//b", "../x", "%2e%2e", "ü?x=y", "a\\b"):
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
            source = f"/{bucket}/{urllib.parse.quote(key, safe='')}"
            assert call(store, "PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": source}).status == 200
            assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()

    def test_sources_that_are_none(self, store: Store, bucket: str) -> None:
        for source, code in (
            ("", "InvalidArgument"),
            ("nokey", "InvalidArgument"),
            (f"/{bucket}/", "InvalidArgument"),
            (f"/{bucket}/%zz", "InvalidArgument"),
            (f"/{bucket}/k?versionId=1", "InvalidArgument"),
            (f"/{bucket}/absent", "NoSuchKey"),
            ("/no-such-bucket/k", "NoSuchBucket"),
            ("/_/k", "InvalidBucketName"),
        ):
            answer = call(store, "PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": source})
            assert answer.code == code, source

    def test_conditions_on_the_source(self, s3: Any, bucket: str) -> None:
        """API_CopyObject, x-amz-copy-source-if-*: what is not met is 412."""
        etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        source = {"Bucket": bucket, "Key": "a"}
        for condition in (
            {"CopySourceIfMatch": '"other"'},
            {"CopySourceIfNoneMatch": etag},
            {"CopySourceIfModifiedSince": future},
            {"CopySourceIfUnmodifiedSince": past},
        ):
            with refused("PreconditionFailed"):
                s3.copy_object(Bucket=bucket, Key="b", CopySource=source, **condition)
        for condition in (
            {"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": past},
            {"CopySourceIfNoneMatch": '"other"'},
            {"CopySourceIfModifiedSince": past},
        ):
            s3.copy_object(Bucket=bucket, Key="b", CopySource=source, **condition)

    def test_conditions_on_the_destination(self, store: Store, s3: Any, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        headers = {"x-amz-copy-source": f"/{bucket}/a", "If-None-Match": "*"}
        assert call(store, "PUT", f"/{bucket}/b", headers=headers).status == 200
        assert call(store, "PUT", f"/{bucket}/b", headers=headers).code == "PreconditionFailed"

    def test_directives_that_do_not_exist(self, store: Store, s3: Any, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        for name in ("x-amz-metadata-directive", "x-amz-tagging-directive"):
            headers = {"x-amz-copy-source": f"/{bucket}/a", name: "OTHER"}
            assert call(store, "PUT", f"/{bucket}/b", headers=headers).code == "InvalidArgument"

    def test_checksums(self, store: Store, s3: Any, bucket: str) -> None:
        """The source's algorithm goes on, another is computed on demand."""
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", ChecksumAlgorithm="CRC32")
        source = {"x-amz-copy-source": f"/{bucket}/a"}
        done = call(store, "PUT", f"/{bucket}/b", headers=source)
        assert done.xml.findtext(f"{NAMESPACE}ChecksumCRC32") == crc32_base64(b"x")
        sha = {**source, "x-amz-checksum-algorithm": "SHA256"}
        done = call(store, "PUT", f"/{bucket}/b", headers=sha)
        expected = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
        assert done.xml.findtext(f"{NAMESPACE}ChecksumSHA256") == expected
        wrong = {**source, "x-amz-checksum-algorithm": "MD5"}
        assert call(store, "PUT", f"/{bucket}/b", headers=wrong).code == "InvalidArgument"

    def test_of_an_object_in_parts(self, s3: Any, bucket: str) -> None:
        """One copy is one piece: its ETag is the MD5 of the whole."""
        bodies = [pattern(5 * MIB), b"tail"]
        upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
        parts = [
            {
                "PartNumber": n,
                "ETag": s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=n, Body=body)[
                    "ETag"
                ],
            }
            for n, body in enumerate(bodies, 1)
        ]
        s3.complete_multipart_upload(
            Bucket=bucket, Key="a", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        done = s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
        whole = b"".join(bodies)
        assert done["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(whole).hexdigest()}"'
        assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == whole


class TestUploadPartCopy:
    def test_ranges_become_parts(self, s3: Any, bucket: str) -> None:
        """API_UploadPartCopy, x-amz-copy-source-range."""
        data = pattern(12 * MIB)
        s3.put_object(Bucket=bucket, Key="a", Body=data)
        upload = s3.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]
        parts = []
        for number, (first, last) in enumerate(((5 * MIB, 11 * MIB), (0, 10)), 1):
            done = s3.upload_part_copy(
                Bucket=bucket,
                Key="b",
                UploadId=upload,
                PartNumber=number,
                CopySource={"Bucket": bucket, "Key": "a"},
                CopySourceRange=f"bytes={first}-{last}",
            )["CopyPartResult"]
            assert done["ETag"] == f'"{hashlib.md5(data[first : last + 1]).hexdigest()}"'
            parts.append({"PartNumber": number, "ETag": done["ETag"]})
        s3.complete_multipart_upload(
            Bucket=bucket, Key="b", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        got = s3.get_object(Bucket=bucket, Key="b")["Body"].read()
        assert got == data[5 * MIB : 11 * MIB + 1] + data[:11]

    @pytest.mark.parametrize(
        "asked",
        ["bytes=0-100", "bytes=100-200", "bytes=5-", "bytes=-5", "bytes=9-3", "0-5", "bytes=a-b", "x"],
    )
    def test_ranges_that_do_not_fit(self, store: Store, s3: Any, bucket: str, asked: str) -> None:
        s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 100)
        upload = s3.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]
        headers = {"x-amz-copy-source": f"/{bucket}/a", "x-amz-copy-source-range": asked}
        query = f"partNumber=1&uploadId={upload}"
        assert call(store, "PUT", f"/{bucket}/b", query, headers=headers).code == "InvalidArgument"
        assert call(store, "PUT", f"/{bucket}/b", "partNumber=1&uploadId=x", headers=headers).status >= 400
        s3.abort_multipart_upload(Bucket=bucket, Key="b", UploadId=upload)

    def test_the_transfer_manager_copies_in_parts(self, s3: Any, bucket: str) -> None:
        """boto3's copy(): parts of 8 MiB by UploadPartCopy."""
        data = pattern(20 * MIB + 3)
        s3.put_object(Bucket=bucket, Key="a", Body=data)
        s3.copy({"Bucket": bucket, "Key": "a"}, bucket, "b")
        assert s3.head_object(Bucket=bucket, Key="b")["ETag"].endswith('-3"')
        assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == data

    def test_no_upload_no_part(self, s3: Any, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        with refused("NoSuchUpload"):
            s3.upload_part_copy(
                Bucket=bucket,
                Key="b",
                UploadId="0" * 15 + "1",
                PartNumber=1,
                CopySource={"Bucket": bucket, "Key": "a"},
            )
