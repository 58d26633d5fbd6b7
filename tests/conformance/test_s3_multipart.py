"""Multipart uploads, by the steps and through the transfer manager of boto3.

"API" is the Amazon S3 API Reference; the limits are of its User Guide, "Amazon S3 multipart upload limits".
"""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import hashlib
import io
import json
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest
import s3_api
from s3_api import NAMESPACE, Answer, Signer, call, crc32_base64, md5_base64, pattern
from store_process import Store

MIB = 1 << 20
FIVE = pattern(5 * MIB)


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


@pytest.fixture
def begin(s3: Any, bucket: str) -> Callable[..., str]:
    """Begins an upload of the key "k" of the bucket."""

    def run(key: str = "k", **members: Any) -> str:
        return str(s3.create_multipart_upload(Bucket=bucket, Key=key, **members)["UploadId"])

    return run


def send_part(s3: Any, bucket: str, upload: str, number: int, body: bytes, key: str = "k") -> dict[str, Any]:
    answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def complete(
    s3: Any, bucket: str, upload: str, parts: list[dict[str, Any]], key: str = "k", **members: Any
) -> Any:
    return s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **members
    )


def complete_raw(
    store: Store, bucket: str, upload: str, parts: str, headers: dict[str, str] | None = None
) -> Answer:
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    return call(store, "POST", f"/{bucket}/k", f"uploadId={upload}", body, headers)


def part_xml(number: int, body: bytes, more: str = "") -> str:
    etag = hashlib.md5(body).hexdigest()
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{more}</Part>"


def etag_of(*parts: bytes) -> str:
    md5 = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    return f'"{md5}-{len(parts)}"'


def uploads_of(s3: Any, bucket: str) -> list[str]:
    return [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


class TestFromBeginToEnd:
    def test_parts_become_one_object(self, s3: Any, bucket: str, begin: Callable[..., str]) -> None:
        """API_CreateMultipartUpload, API_UploadPart, API_CompleteMultipartUpload: in any order, the metadata
        from the beginning, the ETag of the parts' MD5s.
        """
        upload = begin(ContentType="text/plain", Metadata={"a": "b"})
        last = send_part(s3, bucket, upload, 9, b"tail")
        first = send_part(s3, bucket, upload, 2, FIVE)
        done = complete(s3, bucket, upload, [first, last])
        assert (done["Bucket"], done["Key"], done["ETag"]) == (bucket, "k", etag_of(FIVE, b"tail"))
        assert done["Location"].endswith(f"/{bucket}/k")
        got = s3.get_object(Bucket=bucket, Key="k")
        assert got["Body"].read() == FIVE + b"tail"
        assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("text/plain", {"a": "b"}, done["ETag"])
        assert uploads_of(s3, bucket) == []

    def test_nothing_is_there_before_it_is_completed(
        self, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        upload = begin()
        send_part(s3, bucket, upload, 1, b"x")
        with refused("404"):
            s3.head_object(Bucket=bucket, Key="k")
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
        s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)

    def test_a_part_can_be_sent_again(self, s3: Any, bucket: str, begin: Callable[..., str]) -> None:
        """API_UploadPart: "If you upload a new part using the same part number, the previously uploaded part
        is overwritten."
        """
        upload = begin()
        old = send_part(s3, bucket, upload, 1, b"old")
        new = send_part(s3, bucket, upload, 1, b"new")
        with refused("InvalidPart"):
            complete(s3, bucket, upload, [old])
        complete(s3, bucket, upload, [new])
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"new"

    def test_parts_that_are_not_listed_are_dropped(
        self, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        upload = begin()
        parts = [send_part(s3, bucket, upload, n, FIVE) for n in (1, 2, 3)]
        complete(s3, bucket, upload, parts[:1])
        assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 5 * MIB

    def test_an_empty_object_of_one_empty_part(
        self, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        upload = begin()
        complete(s3, bucket, upload, [send_part(s3, bucket, upload, 1, b"")])
        got = s3.get_object(Bucket=bucket, Key="k")
        assert (got["Body"].read(), got["ETag"]) == (b"", etag_of(b""))

    def test_completing_again_is_answered_alike(
        self, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        """API_CompleteMultipartUpload is idempotent, since an answer may be lost on its way."""
        upload = begin()
        part = send_part(s3, bucket, upload, 1, b"x")
        first = complete(s3, bucket, upload, [part])
        assert complete(s3, bucket, upload, [part])["ETag"] == first["ETag"]
        other = {"PartNumber": 1, "ETag": f'"{hashlib.md5(b"y").hexdigest()}"'}
        with refused("NoSuchUpload"):
            complete(s3, bucket, upload, [other])
        s3.put_object(Bucket=bucket, Key="k", Body=b"newer")
        with refused("NoSuchUpload"):
            complete(s3, bucket, upload, [part])

    def test_completing_from_many_sides_makes_one_object(
        self, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        upload = begin()
        part = send_part(s3, bucket, upload, 1, b"x")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            etags = set(pool.map(lambda _: complete(s3, bucket, upload, [part])["ETag"], range(8)))
        assert etags == {etag_of(b"x")}

    def test_an_aborted_upload_is_gone(self, s3: Any, bucket: str, begin: Callable[..., str]) -> None:
        """API_AbortMultipartUpload, then NoSuchUpload everywhere."""
        upload = begin()
        part = send_part(s3, bucket, upload, 1, b"x")
        s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
        for act in (
            lambda: send_part(s3, bucket, upload, 2, b"x"),
            lambda: complete(s3, bucket, upload, [part]),
            lambda: s3.list_parts(Bucket=bucket, Key="k", UploadId=upload),
            lambda: s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload),
        ):
            with refused("NoSuchUpload"):
                act()

    def test_a_bucket_may_go_with_uploads_in_it(self, s3: Any) -> None:
        name = s3_api.new_bucket_name()
        s3.create_bucket(Bucket=name)
        upload = s3.create_multipart_upload(Bucket=name, Key="k")["UploadId"]
        send_part(s3, name, upload, 1, b"x")
        s3.delete_bucket(Bucket=name)
        s3.create_bucket(Bucket=name)
        with refused("NoSuchUpload"):
            send_part(s3, name, upload, 1, b"x")
        s3.delete_bucket(Bucket=name)

    def test_a_bucket_may_go_with_more_uploads_than_one_change_of_the_log_holds(self, s3: Any) -> None:
        name = s3_api.new_bucket_name()
        s3.create_bucket(Bucket=name)
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            keys = [f"{number:04}" + "k" * 1000 for number in range(3900)]
            list(threads.map(lambda key: s3.create_multipart_upload(Bucket=name, Key=key), keys))
        s3.delete_bucket(Bucket=name)
        s3.create_bucket(Bucket=name)
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=name)
        s3.delete_bucket(Bucket=name)

    def test_no_file_stays_behind(
        self, store: Store, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        """Aborted, replaced and unlisted parts, and those of a deleted object, free their disk."""

        def files() -> int:
            return sum(path.is_file() for path in (store.folder / "blob").rglob("*"))

        before = files()
        upload = begin()
        send_part(s3, bucket, upload, 1, FIVE)
        parts = [send_part(s3, bucket, upload, n, FIVE) for n in (1, 2, 3)]
        assert files() == before + 3
        complete(s3, bucket, upload, parts[:2])
        assert files() == before + 2
        s3.delete_object(Bucket=bucket, Key="k")
        aborted = begin()
        send_part(s3, bucket, aborted, 1, FIVE)
        s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=aborted)
        assert files() == before


class TestRefusals:
    def test_part_numbers_are_1_to_10000(self, store: Store, bucket: str, begin: Callable[..., str]) -> None:
        upload = begin()
        for number in ("0", "10001", "-1", "x", "", "99999999999"):
            answer = call(store, "PUT", f"/{bucket}/k", f"partNumber={number}&uploadId={upload}", b"x")
            assert (answer.status, answer.code) == (400, "InvalidArgument"), number
            assert "between 1 and 10000, inclusive" in answer.field("Message")
        for number in ("1", "10000"):
            query = f"partNumber={number}&uploadId={upload}"
            assert call(store, "PUT", f"/{bucket}/k", query, b"x").status == 200

    @pytest.mark.parametrize("upload", ["", "x", "0", "ffffffffffffffff", "F" * 16, "1" * 17])
    def test_uploads_nobody_began(self, store: Store, bucket: str, upload: str) -> None:
        answer = call(store, "PUT", f"/{bucket}/k", f"partNumber=1&uploadId={upload}", b"x")
        assert (answer.status, answer.code) == (404, "NoSuchUpload")
        assert complete_raw(store, bucket, upload, part_xml(1, b"x")).code == "NoSuchUpload"

    def test_an_upload_is_of_one_key(self, s3: Any, bucket: str, begin: Callable[..., str]) -> None:
        upload = begin("other")
        with refused("NoSuchUpload"):
            send_part(s3, bucket, upload, 1, b"x")
        with refused("NoSuchUpload"):
            s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)

    def test_all_parts_but_the_last_have_5_mib(
        self, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        """User Guide, multipart upload limits: 5 MiB to 5 GiB, no minimum for the last part."""
        upload = begin()
        short = send_part(s3, bucket, upload, 1, FIVE[:-1])
        last = send_part(s3, bucket, upload, 2, b"x")
        with refused("EntityTooSmall"):
            complete(s3, bucket, upload, [short, last])
        enough = send_part(s3, bucket, upload, 1, FIVE)
        complete(s3, bucket, upload, [enough, last])

    def test_lists_that_do_not_fit(
        self, store: Store, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        """API_CompleteMultipartUpload, Errors: InvalidPart, InvalidPartOrder; MalformedXML."""
        upload = begin()
        send_part(s3, bucket, upload, 1, FIVE)
        send_part(s3, bucket, upload, 2, b"x")
        first, second = part_xml(1, FIVE), part_xml(2, b"x")
        for parts, code in (
            ("", "MalformedXML"),
            ("<Part></Part>", "MalformedXML"),
            ("<Part><PartNumber>1</PartNumber></Part>", "MalformedXML"),
            ("<Part><PartNumber>x</PartNumber><ETag>y</ETag></Part>", "MalformedXML"),
            ("<Other/>", "MalformedXML"),
            (part_xml(1, FIVE, "<Unknown>1</Unknown>"), "MalformedXML"),
            (part_xml(0, FIVE), "InvalidArgument"),
            (part_xml(10_001, FIVE), "InvalidArgument"),
            (second + first, "InvalidPartOrder"),
            (first + first, "InvalidPartOrder"),
            (first + part_xml(3, b"x"), "InvalidPart"),
            (part_xml(1, b"other"), "InvalidPart"),
            (part_xml(1, FIVE, f"<ChecksumCRC32>{crc32_base64(b'x')}</ChecksumCRC32>"), "InvalidPart"),
        ):
            answer = complete_raw(store, bucket, upload, parts)
            assert (answer.status, answer.code) == (400, code), parts
        assert complete_raw(store, bucket, upload, "<!DOCTYPE x>" + first).code == "MalformedXML"
        assert complete_raw(store, bucket, upload, first + second).status == 200

    def test_more_than_10000_parts(self, store: Store, bucket: str, begin: Callable[..., str]) -> None:
        parts = "".join(part_xml(n % 10_000 + 1, b"x") for n in range(10_001))
        assert complete_raw(store, bucket, begin(), parts).code in ("MalformedXML", "InvalidPartOrder")

    def test_a_body_that_is_not_what_was_promised_leaves_no_part(
        self, store: Store, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        upload = begin()
        query = f"partNumber=1&uploadId={upload}"
        path = f"/{bucket}/k"
        wrong = {"Content-MD5": md5_base64(b"other")}
        assert call(store, "PUT", path, query, FIVE, wrong).code == "BadDigest"
        wrong = {"x-amz-checksum-crc32": crc32_base64(b"other")}
        assert call(store, "PUT", path, query, FIVE, wrong).code == "BadDigest"
        digest = hashlib.sha256(b"other").hexdigest()
        answer = call(store, "PUT", path, query, FIVE, payload=digest)
        assert answer.code == "XAmzContentSHA256Mismatch"
        assert "Parts" not in s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)

    def test_conditions_of_completing(
        self, store: Store, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        """User Guide, "Conditional writes": If-None-Match and If-Match on CompleteMultipartUpload."""
        etag = s3.put_object(Bucket=bucket, Key="k", Body=b"there")["ETag"]
        upload = begin()
        send_part(s3, bucket, upload, 1, b"x")
        part = part_xml(1, b"x")
        assert complete_raw(store, bucket, upload, part, {"If-None-Match": "*"}).code == "PreconditionFailed"
        assert (
            complete_raw(store, bucket, upload, part, {"If-Match": '"other"'}).code == "PreconditionFailed"
        )
        assert complete_raw(store, bucket, upload, part, {"If-Match": etag}).status == 200
        upload = begin("new")
        s3.upload_part(Bucket=bucket, Key="new", UploadId=upload, PartNumber=1, Body=b"x")
        body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
        answer = call(store, "POST", f"/{bucket}/new", f"uploadId={upload}", body, {"If-None-Match": "*"})
        assert answer.status == 200

    def test_a_size_that_was_announced(
        self, store: Store, s3: Any, bucket: str, begin: Callable[..., str]
    ) -> None:
        """API_CompleteMultipartUpload, x-amz-mp-object-size."""
        upload = begin()
        send_part(s3, bucket, upload, 1, b"xyz")
        wrong = complete_raw(store, bucket, upload, part_xml(1, b"xyz"), {"x-amz-mp-object-size": "4"})
        assert wrong.code == "InvalidRequest"
        right = complete_raw(store, bucket, upload, part_xml(1, b"xyz"), {"x-amz-mp-object-size": "3"})
        assert right.status == 200


class TestBodyForms:
    @pytest.mark.parametrize(
        "form", [s3_api.SIGNED_CHUNKS, s3_api.SIGNED_TRAILER, s3_api.UNSIGNED_TRAILER, "UNSIGNED-PAYLOAD"]
    )
    def test_every_form_of_a_body(
        self, store: Store, s3: Any, bucket: str, begin: Callable[..., str], form: str
    ) -> None:
        upload = begin()
        path, query = f"/{bucket}/k", f"partNumber=1&uploadId={upload}"
        signer = Signer(store)
        sent = {"Host": s3_api.host(store)}
        if form != "UNSIGNED-PAYLOAD":
            sent["x-amz-decoded-content-length"] = str(len(FIVE))
            if form != s3_api.SIGNED_CHUNKS:
                sent["x-amz-trailer"] = "x-amz-checksum-crc32"
        headers = signer.headers("PUT", path, query, sent, form)
        body = FIVE if form == "UNSIGNED-PAYLOAD" else s3_api.stream_body(signer, FIVE, form)
        answer = s3_api.send(store, "PUT", f"{path}?{query}", headers, body)
        assert answer.status == 200, answer.body
        assert answer.headers["etag"] == f'"{hashlib.md5(FIVE).hexdigest()}"'
        complete(s3, bucket, upload, [{"PartNumber": 1, "ETag": answer.headers["etag"]}])
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == FIVE

    def test_a_presigned_part(self, store: Store, s3: Any, bucket: str, begin: Callable[..., str]) -> None:
        upload = begin()
        path = f"/{bucket}/k"
        query = Signer(store).presign("PUT", path, "60", f"partNumber=1&uploadId={upload}")
        answer = s3_api.send(store, "PUT", f"{path}?{query}", {"Host": s3_api.host(store)}, b"x")
        assert answer.status == 200
        complete(s3, bucket, upload, [{"PartNumber": 1, "ETag": answer.headers["etag"]}])


class TestChecksums:
    """User Guide, "Checking object integrity": composite and full object checksums of multipart uploads."""

    def test_composite(self, s3: Any, bucket: str, begin: Callable[..., str]) -> None:
        upload = begin(ChecksumAlgorithm="SHA256")
        parts = []
        for number, body in ((1, FIVE), (2, b"tail")):
            answer = s3.upload_part(
                Bucket=bucket,
                Key="k",
                UploadId=upload,
                PartNumber=number,
                Body=body,
                ChecksumAlgorithm="SHA256",
            )
            assert answer["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(body).digest()).decode()
            parts.append(
                {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": answer["ChecksumSHA256"]}
            )
        with refused("InvalidRequest"):
            without = [{k: v for k, v in part.items() if k != "ChecksumSHA256"} for part in parts]
            complete(s3, bucket, upload, without)
        digests = hashlib.sha256(FIVE).digest() + hashlib.sha256(b"tail").digest()
        expected = base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-2"
        assert complete(s3, bucket, upload, parts)["ChecksumSHA256"] == expected
        head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert head["ChecksumSHA256"] == expected
        assert head["ResponseMetadata"]["HTTPHeaders"]["x-amz-checksum-type"] == "COMPOSITE"

    def test_full_object_from_parts_that_bring_none(self, store: Store, s3: Any, bucket: str) -> None:
        path = f"/{bucket}/k"
        headers = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
        begun = call(store, "POST", path, "uploads", headers=headers)
        assert begun.headers["x-amz-checksum-type"] == "FULL_OBJECT"
        upload = begun.xml.findtext(f"{NAMESPACE}UploadId") or ""
        for number, body in ((1, FIVE), (2, b"tail")):
            assert call(store, "PUT", path, f"partNumber={number}&uploadId={upload}", body).status == 200
        parts = part_xml(1, FIVE) + part_xml(2, b"tail")
        expected = base64.b64encode(zlib.crc32(FIVE + b"tail").to_bytes(4, "big")).decode()
        wrong = {"x-amz-checksum-crc32": crc32_base64(b"other"), "x-amz-checksum-type": "FULL_OBJECT"}
        assert complete_raw(store, bucket, upload, parts, wrong).code == "BadDigest"
        right = {"x-amz-checksum-crc32": expected, "x-amz-checksum-type": "FULL_OBJECT"}
        done = complete_raw(store, bucket, upload, parts, right)
        assert done.xml.findtext(f"{NAMESPACE}ChecksumCRC32") == expected
        assert done.xml.findtext(f"{NAMESPACE}ChecksumType") == "FULL_OBJECT"
        got = call(store, "GET", path, headers={"x-amz-checksum-mode": "ENABLED"})
        assert got.headers["x-amz-checksum-crc32"] == expected

    def test_a_part_of_another_algorithm(self, store: Store, bucket: str, begin: Callable[..., str]) -> None:
        upload = begin(ChecksumAlgorithm="SHA256")
        query = f"partNumber=1&uploadId={upload}"
        crc = {"x-amz-checksum-crc32": crc32_base64(b"x")}
        none: dict[str, str] = {}
        for headers in (crc, none):
            answer = call(store, "PUT", f"/{bucket}/k", query, b"x", headers)
            assert answer.code == "InvalidRequest"
            assert "expected checksum Type: sha256" in answer.field("Message")

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-amz-checksum-algorithm": "MD5"},
            {"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE"},
            {"x-amz-checksum-algorithm": "SHA1", "x-amz-checksum-type": "FULL_OBJECT"},
            {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "OTHER"},
            {"x-amz-checksum-type": "COMPOSITE"},
        ],
    )
    def test_kinds_that_do_not_exist(self, store: Store, bucket: str, headers: dict[str, str]) -> None:
        assert call(store, "POST", f"/{bucket}/k", "uploads", headers=headers).code == "InvalidRequest"


class TestReading:
    @pytest.fixture
    def whole(self, s3: Any, bucket: str, begin: Callable[..., str]) -> bytes:
        """An object "k" of three parts."""
        upload = begin()
        bodies = [FIVE, pattern(6 * MIB)[::-1], b"tail"]
        parts = [send_part(s3, bucket, upload, n, body) for n, body in enumerate(bodies, 1)]
        complete(s3, bucket, upload, parts)
        return b"".join(bodies)

    def test_ranges_across_parts(self, s3: Any, bucket: str, whole: bytes) -> None:
        size = len(whole)
        for first, last in (
            (0, 0),
            (0, 5 * MIB - 1),
            (5 * MIB - 1, 5 * MIB),
            (5 * MIB, 5 * MIB),
            (1000, size - 2),
            (11 * MIB - 10, size - 1),
            (size - 1, size - 1),
        ):
            got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}")
            assert got["Body"].read() == whole[first : last + 1]
            assert got["ContentRange"] == f"bytes {first}-{last}/{size}"
        assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=-6")["Body"].read() == whole[-6:]

    def test_parts_by_number(self, s3: Any, bucket: str, whole: bytes) -> None:
        """API_GetObject and API_HeadObject, partNumber and x-amz-mp-parts-count."""
        begins = [0, 5 * MIB, 11 * MIB, len(whole)]
        for number in (1, 2, 3):
            first, end = begins[number - 1], begins[number]
            got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
            assert got["Body"].read() == whole[first:end]
            assert got["PartsCount"] == 3
            assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
            head = s3.head_object(Bucket=bucket, Key="k", PartNumber=number)
            assert (head["ContentLength"], head["PartsCount"]) == (end - first, 3)
        with refused("InvalidPartNumber"):
            s3.get_object(Bucket=bucket, Key="k", PartNumber=4)
        with refused("InvalidRequest"):
            s3.get_object(Bucket=bucket, Key="k", PartNumber=1, Range="bytes=0-1")

    def test_an_object_put_at_once_is_its_own_part_1(self, s3: Any, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"abc")
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
        assert (got["Body"].read(), got.get("PartsCount")) == (b"abc", None)
        with refused("InvalidPartNumber"):
            s3.get_object(Bucket=bucket, Key="k", PartNumber=2)

    def test_a_read_goes_on_while_the_object_is_deleted(self, s3: Any, bucket: str, whole: bytes) -> None:
        """What a GET has begun is what it ends with, whatever happens to the key meanwhile."""
        got = s3.get_object(Bucket=bucket, Key="k")
        begun = got["Body"].read(1000)
        s3.delete_object(Bucket=bucket, Key="k")
        s3.put_object(Bucket=bucket, Key="k", Body=FIVE)
        assert begun + got["Body"].read() == whole


class TestLists:
    def test_parts(self, s3: Any, bucket: str, begin: Callable[..., str]) -> None:
        """API_ListParts: by number, in pages."""
        upload = begin()
        for number in (3, 1, 7, 10_000):
            send_part(s3, bucket, upload, number, b"x" * number)
        seen, marker = [], 0
        while True:
            page = s3.list_parts(
                Bucket=bucket, Key="k", UploadId=upload, MaxParts=3, PartNumberMarker=marker
            )
            seen += [(part["PartNumber"], part["Size"], part["ETag"]) for part in page["Parts"]]
            marker = page["NextPartNumberMarker"]
            if not page["IsTruncated"]:
                break
        md5 = {n: f'"{hashlib.md5(b"x" * n).hexdigest()}"' for n in (1, 3, 7, 10_000)}
        assert seen == [(n, n, md5[n]) for n in (1, 3, 7, 10_000)]
        assert (page["Bucket"], page["Key"], page["UploadId"]) == (bucket, "k", upload)
        assert page["StorageClass"] == "STANDARD"
        assert page["Owner"]["ID"] == page["Initiator"]["ID"]

    def test_uploads(self, s3: Any, bucket: str, begin: Callable[..., str]) -> None:
        """API_ListMultipartUploads: by key and then by time; prefix, delimiter, markers and encoding."""
        ids = [(key, begin(key)) for key in ("b ü", "a/1", "a/1", "a/2", "c")]
        expected = sorted(ids, key=lambda pair: (pair[0].encode(), pair[1]))
        for size in (1, 2, 5, 1000):
            pages = s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=bucket, PaginationConfig={"PageSize": size}
            )
            seen = [(one["Key"], one["UploadId"]) for page in pages for one in page.get("Uploads", [])]
            assert seen == expected, size
        page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
        assert page["CommonPrefixes"] == [{"Prefix": "a/"}]
        assert [one["Key"] for one in page["Uploads"]] == ["b ü", "c"]
        page = s3.list_multipart_uploads(Bucket=bucket, Prefix="a/", MaxUploads=2)
        assert (page["IsTruncated"], page["NextKeyMarker"], page["NextUploadIdMarker"]) == (
            True,
            "a/1",
            expected[1][1],
        )
        with refused("InvalidArgument"):
            s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a/1", UploadIdMarker="x")
        for key, upload in ids:
            s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        assert uploads_of(s3, bucket) == []


class TestEvents:
    def test_one_event_of_its_own_name(
        self, store: Store, s3: Any, bucket: str, begin: Callable[..., str], make_queue: Callable[..., str]
    ) -> None:
        """User Guide, "Event message structure": named CompleteMultipartUpload, and none before."""
        url = make_queue()
        name = url.rsplit("/", 1)[1]
        sqs = boto3.client(
            "sqs",
            endpoint_url=store.endpoint,
            aws_access_key_id=store.key_id,
            aws_secret_access_key=store.secret,
            region_name="us-east-1",
        )
        arn = f"arn:aws:sqs:us-east-1:{store.account}:{name}"
        rule = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]}
        )
        upload = begin("a b")
        part = send_part(s3, bucket, upload, 1, b"xyz", key="a b")
        done = complete(s3, bucket, upload, [part], key="a b")
        complete(s3, bucket, upload, [part], key="a b")
        bodies = []
        while True:
            got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if not got:
                break
            bodies += [json.loads(message["Body"]) for message in got]
        records = [record for body in bodies for record in body.get("Records", [])]
        assert [record["eventName"] for record in records] == ["ObjectCreated:CompleteMultipartUpload"]
        told = records[0]["s3"]["object"]
        assert (told["key"], told["size"], told["eTag"]) == ("a+b", 3, done["ETag"].strip('"'))


class TestTransferManager:
    @pytest.mark.parametrize("size", [8 * MIB, 8 * MIB + 1, 30 * MIB + 17])
    def test_files_of_8_mib_and_more(self, s3: Any, bucket: str, size: int) -> None:
        """boto3 guide, "File transfer configuration": from 8 MiB on in parts, concurrently."""
        data = pattern(size)
        s3.upload_fileobj(io.BytesIO(data), bucket, "k")
        head = s3.head_object(Bucket=bucket, Key="k")
        assert head["ETag"].endswith(f'-{-(-size // (8 * MIB))}"')
        back = io.BytesIO()
        s3.download_fileobj(bucket, "k", back)
        assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(data).digest()

    def test_with_a_checksum(self, s3: Any, bucket: str) -> None:
        data = pattern(12 * MIB)
        s3.upload_fileobj(io.BytesIO(data), bucket, "k", ExtraArgs={"ChecksumAlgorithm": "SHA1"})
        sums = b"".join(hashlib.sha1(data[at : at + 8 * MIB]).digest() for at in (0, 8 * MIB))
        head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert head["ChecksumSHA1"] == base64.b64encode(hashlib.sha1(sums).digest()).decode() + "-2"

    def test_keys_of_every_kind(self, s3: Any, bucket: str) -> None:
        for key in ("a//b", "../x", "ü ☃+%2e", "a\\b"):
            s3.upload_fileobj(io.BytesIO(FIVE * 2), bucket, key)
            back = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            assert back == FIVE * 2, urllib.parse.quote(key)
