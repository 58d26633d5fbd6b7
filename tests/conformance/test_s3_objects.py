"""Objects: put, get, head, delete, their conditions, ranges and checksums.

"API" is the Amazon S3 API Reference.
"""

from __future__ import annotations

import base64
import concurrent.futures
import datetime
import hashlib
import io
from typing import Any

import pytest
import s3_api
from s3_api import SIZES, Answer, call, crc32_base64, md5_base64, pattern
from store_process import Store
from test_s3_buckets import refused


def put(store: Store, bucket: str, key: str, body: bytes = b"x", **headers: str) -> Answer:
    return call(
        store,
        "PUT",
        f"/{bucket}/{key}",
        body=body,
        headers={n.replace("_", "-"): v for n, v in headers.items()},
    )


class TestPutAndGet:
    @pytest.mark.parametrize("size", SIZES)
    def test_every_size_comes_back_byte_for_byte(self, s3: Any, bucket: str, size: int) -> None:
        """API_PutObject, API_GetObject; the ETag of an unencrypted put is the MD5 (API_Object, ETag)."""
        data = pattern(size)
        etag = s3.put_object(Bucket=bucket, Key="k", Body=data)["ETag"]
        answer = s3.get_object(Bucket=bucket, Key="k")
        assert answer["Body"].read() == data
        assert answer["ETag"] == etag == f'"{hashlib.md5(data).hexdigest()}"'
        assert answer["ContentLength"] == size

    @pytest.mark.parametrize("size", SIZES)
    def test_an_unsigned_payload_with_md5(self, store: Store, bucket: str, size: int) -> None:
        """User Guide, "Checking object integrity"; rclone sends UNSIGNED-PAYLOAD with Content-MD5."""
        data = pattern(size)
        headers = {"Content-MD5": md5_base64(data)}
        assert (
            call(store, "PUT", f"/{bucket}/k", "", data, headers, payload="UNSIGNED-PAYLOAD").status == 200
        )
        assert call(store, "GET", f"/{bucket}/k").body == data

    def test_metadata_and_headers_come_back(self, s3: Any, bucket: str) -> None:
        """API_PutObject, Request Parameters: the system-defined and user-defined metadata."""
        s3.put_object(
            Bucket=bucket,
            Key="k",
            Body=b"x",
            ContentType="text/plain",
            CacheControl="max-age=1",
            ContentDisposition='attachment; filename="a"',
            ContentEncoding="gzip",
            ContentLanguage="de",
            Expires=datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc),
            Metadata={"foo_bar": "1", "foo.bar": "2", "Case": "Kept"},
        )
        for answer in (s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
            assert answer["ContentType"] == "text/plain"
            assert answer["CacheControl"] == "max-age=1"
            assert answer["ContentDisposition"] == 'attachment; filename="a"'
            assert answer["ContentEncoding"] == "gzip"
            assert answer["ContentLanguage"] == "de"
            assert answer["Expires"].year == 2030
            assert answer["Metadata"] == {"foo_bar": "1", "foo.bar": "2", "case": "Kept"}

    def test_the_default_content_type(self, s3: Any, store: Store, bucket: str) -> None:
        """API_GetObject: S3's default is binary/octet-stream."""
        put(store, bucket, "k")
        assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"

    def test_an_overwrite_replaces_all_of_it(self, s3: Any, bucket: str) -> None:
        """User Guide: strong read-after-write consistency. From file to inline and back."""
        for size in (20_000, 5, 0, 30_000, 7):
            s3.put_object(Bucket=bucket, Key="k", Body=pattern(size), Metadata={"size": str(size)})
            answer = s3.get_object(Bucket=bucket, Key="k")
            assert answer["Body"].read() == pattern(size)
            assert answer["Metadata"] == {"size": str(size)}

    def test_a_reader_never_sees_parts_of_two_writes(self, store: Store, bucket: str) -> None:
        """User Guide, "Amazon S3 data consistency model": updates to a single key are atomic."""
        bodies = [bytes([65 + i]) * size for i, size in enumerate((10, 9_000, 17_000, 40_000))]
        s3 = s3_api.client(store, max_pool_connections=8)
        s3.put_object(Bucket=bucket, Key="k", Body=bodies[0])

        def write(i: int) -> bool:
            s3.put_object(Bucket=bucket, Key="k", Body=bodies[i % len(bodies)])
            return True

        def read(_: int) -> bool:
            answer = s3.get_object(Bucket=bucket, Key="k")
            body = answer["Body"].read()
            return body in bodies and answer["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            writes = [pool.submit(write, i) for i in range(150)]
            reads = [pool.submit(read, i) for i in range(300)]
            assert all(one.result() for one in writes + reads)

    def test_a_key_that_is_not_there(self, store: Store, bucket: str) -> None:
        """Error responses: NoSuchKey, 404, with the Key; HEAD has no body."""
        answer = call(store, "GET", f"/{bucket}/none")
        assert (answer.status, answer.code, answer.field("Key")) == (404, "NoSuchKey", "none")
        assert call(store, "HEAD", f"/{bucket}/none").status == 404

    def test_head_announces_the_length(self, store: Store, bucket: str) -> None:
        """API_HeadObject: the headers of a GET without its body."""
        put(store, bucket, "k", pattern(40_000))
        answer = call(store, "HEAD", f"/{bucket}/k")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "40000")

    @pytest.mark.parametrize("version", ["null", "other", ""])
    def test_versions_of_an_unversioned_bucket(self, store: Store, bucket: str, version: str) -> None:
        """User Guide, "Working with objects in a versioning-suspended bucket": the version id is null."""
        put(store, bucket, "k")
        answer = call(store, "GET", f"/{bucket}/k", f"versionId={version}")
        assert answer.status == (200 if version == "null" else 400)

    def test_an_object_has_its_owners_acl(self, s3: Any, bucket: str) -> None:
        """API_GetObjectAcl; s3cmd asks for it before it copies."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="bucket-owner-full-control")
        assert s3.get_object_acl(Bucket=bucket, Key="k")["Grants"][0]["Permission"] == "FULL_CONTROL"
        assert refused(s3.get_object_acl, Bucket=bucket, Key="none") == (404, "NoSuchKey")

    def test_expect_100_continue(self, s3: Any, store: Store, bucket: str) -> None:
        """boto3 sends Expect: 100-continue with every body; a refusal comes before the body."""
        s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(pattern(100_000)))
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == pattern(100_000)
        assert refused(s3.put_object, Bucket="no-such-bucket", Key="k", Body=pattern(100_000)) == (
            404,
            "NoSuchBucket",
        )


class TestRanges:
    @pytest.mark.parametrize("size", [1000, 40_000])
    @pytest.mark.parametrize(
        ("text", "first", "last"),
        [
            ("0-0", 0, 0),
            ("5-9", 5, 9),
            ("990-", 990, None),
            ("-10", -10, None),
            ("0-99999999", 0, None),
            ("-99999999", 0, None),
        ],
    )
    def test_one_range(
        self, s3: Any, bucket: str, size: int, text: str, first: int, last: int | None
    ) -> None:
        """API_GetObject, Range; RFC 9110, section 14.2."""
        data = pattern(size)
        s3.put_object(Bucket=bucket, Key="k", Body=data)
        answer = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={text}")
        wanted = data[first:] if last is None else data[first : last + 1]
        begin = first % size
        assert answer["Body"].read() == wanted
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["ContentRange"] == f"bytes {begin}-{begin + len(wanted) - 1}/{size}"
        assert s3.head_object(Bucket=bucket, Key="k", Range=f"bytes={text}")["ContentLength"] == len(wanted)

    @pytest.mark.parametrize("text", ["bytes=1000-", "bytes=-0", "bytes=2000-3000"])
    def test_beyond_the_object(self, store: Store, bucket: str, text: str) -> None:
        """Error responses: InvalidRange, 416, with RangeRequested and ActualObjectSize."""
        put(store, bucket, "k", pattern(1000))
        answer = call(store, "GET", f"/{bucket}/k", headers={"Range": text})
        assert (answer.status, answer.code) == (416, "InvalidRange")
        assert (answer.field("RangeRequested"), answer.field("ActualObjectSize")) == (text, "1000")
        assert answer.headers["content-range"] == "bytes */1000"

    @pytest.mark.parametrize("text", ["bytes=0-1,5-6", "bytes=9-2", "lines=1-2", "bytes=x"])
    def test_what_is_no_single_range_gives_the_whole(self, store: Store, bucket: str, text: str) -> None:
        """API_GetObject: "Amazon S3 doesn't support retrieving multiple ranges of data per GET request"."""
        put(store, bucket, "k", pattern(1000))
        answer = call(store, "GET", f"/{bucket}/k", headers={"Range": text})
        assert (answer.status, answer.body) == (200, pattern(1000))

    def test_a_range_of_nothing(self, store: Store, bucket: str) -> None:
        """RFC 9110: no byte of an empty object can be sent."""
        put(store, bucket, "k", b"")
        assert call(store, "GET", f"/{bucket}/k", headers={"Range": "bytes=0-"}).status == 416


class TestConditionalReads:
    @pytest.fixture
    def etag(self, s3: Any, bucket: str) -> str:
        return str(s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"])

    def read(self, store: Store, bucket: str, **headers: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        statuses = {call(store, method, f"/{bucket}/k", headers=sent).status for method in ("GET", "HEAD")}
        assert len(statuses) == 1
        return statuses.pop()

    def date(self, hours: int) -> str:
        then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        return then.strftime("%a, %d %b %Y %H:%M:%S GMT")

    def test_if_match(self, store: Store, bucket: str, etag: str) -> None:
        """API_GetObject, If-Match: 412 otherwise."""
        assert self.read(store, bucket, If_Match=etag) == 200
        assert self.read(store, bucket, If_Match=etag.strip('"')) == 200
        assert self.read(store, bucket, If_Match="*") == 200
        assert self.read(store, bucket, If_Match='"other"') == 412

    def test_if_none_match(self, store: Store, bucket: str, etag: str) -> None:
        """API_GetObject, If-None-Match: 304 otherwise."""
        assert self.read(store, bucket, If_None_Match=etag) == 304
        assert self.read(store, bucket, If_None_Match='"other"') == 200

    def test_dates(self, store: Store, bucket: str, etag: str) -> None:
        """API_GetObject, If-Modified-Since (304) and If-Unmodified-Since (412)."""
        assert self.read(store, bucket, If_Modified_Since=self.date(+1)) == 304
        assert self.read(store, bucket, If_Modified_Since=self.date(-1)) == 200
        assert self.read(store, bucket, If_Unmodified_Since=self.date(-1)) == 412
        assert self.read(store, bucket, If_Unmodified_Since=self.date(+1)) == 200

    def test_an_etag_goes_before_a_date(self, store: Store, bucket: str, etag: str) -> None:
        """API_GetObject: If-Match true and If-Unmodified-Since false gives 200; If-None-Match false and
        If-Modified-Since true gives 304.
        """
        assert self.read(store, bucket, If_Match=etag, If_Unmodified_Since=self.date(-1)) == 200
        assert self.read(store, bucket, If_None_Match=etag, If_Modified_Since=self.date(-1)) == 304

    def test_a_failed_condition_is_named(self, store: Store, bucket: str, etag: str) -> None:
        """Error responses: PreconditionFailed; the Condition element."""
        answer = call(store, "GET", f"/{bucket}/k", headers={"If-Match": '"x"'})
        assert (answer.code, answer.field("Condition")) == ("PreconditionFailed", "If-Match")


class TestConditionalWrites:
    def test_if_none_match_writes_once(self, store: Store, bucket: str) -> None:
        """User Guide, "How to prevent object overwrites with conditional writes": 412 when the key is
        there.
        """
        for size in (3, 20_000):
            key = f"k{size}"
            assert put(store, bucket, key, b"1" * size, If_None_Match="*").status == 200
            answer = put(store, bucket, key, b"2" * size, If_None_Match="*")
            assert (answer.status, answer.code) == (412, "PreconditionFailed")
            assert call(store, "GET", f"/{bucket}/{key}").body == b"1" * size

    def test_of_many_writers_one_wins(self, store: Store, bucket: str) -> None:
        """The same: among concurrent writers one succeeds, the others get 412 (or 409)."""
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            writes = [
                pool.submit(put, store, bucket, "lock", str(i).encode(), If_None_Match="*")
                for i in range(48)
            ]
            answers = [one.result().status for one in writes]
        assert answers.count(200) == 1
        assert set(answers) <= {200, 409, 412}

    def test_if_match_writes_over_what_was_read(self, store: Store, bucket: str) -> None:
        """User Guide, "How to prevent overwriting of objects": 412 on another ETag, 404 on no object."""
        etag = put(store, bucket, "k", b"1").headers["etag"]
        assert put(store, bucket, "k", b"2", If_Match='"other"').status == 412
        assert put(store, bucket, "k", b"2", If_Match=etag).status == 200
        assert put(store, bucket, "k", b"3", If_Match=etag).status == 412
        answer = put(store, bucket, "none", b"1", If_Match=etag)
        assert (answer.status, answer.code) == (404, "NoSuchKey")

    def test_a_counter_kept_by_if_match_loses_no_step(self, store: Store, bucket: str) -> None:
        """Compare and swap: what successful writers add up to is what is stored."""
        put(store, bucket, "n", b"0")

        def add(_: int) -> int:
            done = 0
            while done < 5:
                seen = call(store, "GET", f"/{bucket}/n")
                answer = put(
                    store, bucket, "n", str(int(seen.body) + 1).encode(), If_Match=seen.headers["etag"]
                )
                assert answer.status in (200, 409, 412)
                done += answer.status == 200
            return done

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(add, range(6))) == 30
        assert call(store, "GET", f"/{bucket}/n").body == b"30"

    @pytest.mark.parametrize(
        "headers",
        [
            {"If-None-Match": '"etag"'},
            {"If-Match": "a", "If-None-Match": "*"},
            {"If-Unmodified-Since": "x"},
        ],
    )
    def test_conditions_that_s3_has_not(self, store: Store, bucket: str, headers: dict[str, str]) -> None:
        """API_PutObject, If-None-Match: "Expects the '*' character"; otherwise NotImplemented."""
        answer = call(store, "PUT", f"/{bucket}/k", body=b"x", headers=headers)
        assert (answer.status, answer.code) == (501, "NotImplemented")
        assert call(store, "HEAD", f"/{bucket}/k").status == 404


class TestDelete:
    def test_again_is_fine(self, s3: Any, bucket: str) -> None:
        """API_DeleteObject: 204, also when nothing was there."""
        for size in (1, 20_000):
            s3.put_object(Bucket=bucket, Key="k", Body=pattern(size))
            for _ in range(2):
                answer = s3.delete_object(Bucket=bucket, Key="k")
                assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
            assert refused(s3.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")

    def test_if_match(self, store: Store, bucket: str) -> None:
        """User Guide, "How to perform conditional deletes": 412 on another ETag, 404 on no object."""
        etag = put(store, bucket, "k").headers["etag"]
        assert call(store, "DELETE", f"/{bucket}/k", headers={"If-Match": '"other"'}).status == 412
        assert call(store, "DELETE", f"/{bucket}/k", headers={"If-Match": etag}).status == 204
        assert call(store, "DELETE", f"/{bucket}/k", headers={"If-Match": etag}).status == 404
        assert call(store, "DELETE", f"/{bucket}/k", headers={"If-None-Match": "*"}).status == 501

    def test_a_version_that_never_was(self, store: Store, bucket: str) -> None:
        """Invalid version id: the object stays."""
        put(store, bucket, "k")
        assert call(store, "DELETE", f"/{bucket}/k", "versionId=v1").code == "InvalidArgument"
        assert call(store, "HEAD", f"/{bucket}/k").status == 200
        assert call(store, "DELETE", f"/{bucket}/k", "versionId=null").status == 204

    def test_many(self, s3: Any, bucket: str) -> None:
        """API_DeleteObjects: up to 1,000 keys; keys that are not there count as deleted."""
        keys = [f"k/{i}" for i in range(1000)]
        for key in keys[:20]:
            s3.put_object(Bucket=bucket, Key=key, Body=pattern(17_000))
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        assert [entry["Key"] for entry in answer["Deleted"]] == keys
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)

    def delete_xml(
        self, store: Store, bucket: str, xml: str, headers: dict[str, str] | None = None
    ) -> Answer:
        body = xml.encode()
        return call(
            store, "POST", f"/{bucket}", "delete=", body, headers or {"Content-MD5": md5_base64(body)}
        )

    def test_quiet_and_errors_by_key(self, store: Store, bucket: str) -> None:
        """API_DeleteObjects: Quiet lists errors only; ETag makes the delete of a key conditional."""
        etag = put(store, bucket, "a").headers["etag"]
        put(store, bucket, "b")
        answer = self.delete_xml(
            store,
            bucket,
            f"<Delete><Quiet>true</Quiet><Object><Key>a</Key><ETag>{etag}</ETag></Object>"
            f"<Object><Key>b</Key><ETag>other</ETag></Object>"
            f"<Object><Key>{'x' * 1025}</Key></Object></Delete>",
        )
        assert answer.status == 200
        errors = [
            (e.findtext(f"{s3_api.NAMESPACE}Key"), e.findtext(f"{s3_api.NAMESPACE}Code"))
            for e in answer.xml
        ]
        assert errors == [("b", "PreconditionFailed"), ("x" * 1025, "KeyTooLongError")]
        assert call(store, "HEAD", f"/{bucket}/a").status == 404
        assert call(store, "HEAD", f"/{bucket}/b").status == 200

    def test_the_body_must_be_covered(self, store: Store, bucket: str) -> None:
        """API_DeleteObjects: Content-MD5 or a checksum header is required, and compared."""
        put(store, bucket, "a")
        xml = "<Delete><Object><Key>a</Key></Object></Delete>"
        assert self.delete_xml(store, bucket, xml, {"x": "y"}).code == "InvalidRequest"
        assert (
            self.delete_xml(store, bucket, xml, {"Content-MD5": md5_base64(b"other")}).code == "BadDigest"
        )
        wrong = {"x-amz-checksum-crc32": crc32_base64(b"other")}
        assert self.delete_xml(store, bucket, xml, wrong).code == "BadDigest"
        assert call(store, "HEAD", f"/{bucket}/a").status == 200
        right = {"x-amz-checksum-crc32": crc32_base64(xml.encode())}
        assert self.delete_xml(store, bucket, xml, right).status == 200
        assert call(store, "HEAD", f"/{bucket}/a").status == 404

    @pytest.mark.parametrize(
        "xml",
        [
            "",
            "<Delete>",
            "<Delete/>",
            "<Other/>",
            "<Delete>" + "<Object><Key>k</Key></Object>" * 1001 + "</Delete>",
            '<!DOCTYPE d [<!ENTITY a "b">]><Delete><Object><Key>&a;</Key></Object></Delete>',
            '<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete><Object><Key>k</Key></Object></Delete>',
            "<Delete>" + "<a>" * 5000 + "</a>" * 5000 + "</Delete>",
        ],
    )
    def test_xml_that_is_not_the_schema(self, store: Store, bucket: str, xml: str) -> None:
        """Error responses: MalformedXML, 400. No entity is expanded, nothing is fetched."""
        answer = self.delete_xml(store, bucket, xml)
        assert (answer.status, answer.code) == (400, "MalformedXML")
        assert b"root:" not in answer.body

    def test_a_body_beyond_the_limit(self, store: Store, bucket: str) -> None:
        """Error responses: MaxMessageLengthExceeded."""
        answer = self.delete_xml(store, bucket, "<Delete>" + " " * (2 << 20) + "</Delete>")
        assert (answer.status, answer.code) == (400, "MaxMessageLengthExceeded")


def digests(data: bytes) -> dict[str, str]:
    return {
        "crc32": crc32_base64(data),
        "sha1": base64.b64encode(hashlib.sha1(data).digest()).decode(),
        "sha256": base64.b64encode(hashlib.sha256(data).digest()).decode(),
    }


class TestChecksums:
    @pytest.mark.parametrize("size", [0, 5, 40_000])
    @pytest.mark.parametrize("algorithm", ["crc32", "sha1", "sha256"])
    def test_a_checksum_is_verified_stored_and_shown_on_request(
        self, store: Store, bucket: str, algorithm: str, size: int
    ) -> None:
        """User Guide, "Checking object integrity"; API_GetObject, x-amz-checksum-mode."""
        data = pattern(size)
        name = f"x-amz-checksum-{algorithm}"
        answer = call(store, "PUT", f"/{bucket}/k", body=data, headers={name: digests(data)[algorithm]})
        assert answer.headers[name] == digests(data)[algorithm]
        assert name not in call(store, "GET", f"/{bucket}/k").headers
        for method in ("GET", "HEAD"):
            shown = call(store, method, f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED"})
            assert shown.headers[name] == digests(data)[algorithm]
            assert shown.headers["x-amz-checksum-type"] == "FULL_OBJECT"
        if size:
            part = call(
                store,
                "GET",
                f"/{bucket}/k",
                headers={"x-amz-checksum-mode": "ENABLED", "Range": "bytes=0-1"},
            )
            assert name not in part.headers  # it would be that of another body
        wrong = call(store, "PUT", f"/{bucket}/k2", body=data, headers={name: digests(b"other")[algorithm]})
        assert (wrong.status, wrong.code) == (400, "BadDigest")
        assert call(store, "HEAD", f"/{bucket}/k2").status == 404

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({"x-amz-checksum-crc32": "AAAA"}, "InvalidRequest"),
            ({"x-amz-checksum-crc32": ""}, "InvalidRequest"),
            ({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="}, "InvalidRequest"),
            ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest"),
            ({"x-amz-checksum-crc99": "AAAAAA=="}, "NotImplemented"),
            ({"Content-MD5": "AAAA"}, "InvalidDigest"),
            ({"Content-MD5": "not base64"}, "InvalidDigest"),
            ({"Content-MD5": md5_base64(b"other")}, "BadDigest"),
        ],
    )
    def test_checksums_that_cannot_be(
        self, store: Store, bucket: str, headers: dict[str, str], code: str
    ) -> None:
        """Error responses: InvalidDigest, BadDigest, InvalidRequest."""
        for data in (b"x", pattern(20_000)):
            assert call(store, "PUT", f"/{bucket}/k", body=data, headers=headers).code == code
        assert call(store, "HEAD", f"/{bucket}/k").status == 404

    def test_a_signed_body_that_is_another(self, store: Store, bucket: str) -> None:
        """Error responses: XAmzContentSHA256Mismatch."""
        for data in (b"x", pattern(20_000)):
            answer = call(
                store, "PUT", f"/{bucket}/k", body=data, payload=hashlib.sha256(b"other").hexdigest()
            )
            assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
        assert call(store, "HEAD", f"/{bucket}/k").status == 404

    def test_boto3_asks_for_it(self, s3: Any, bucket: str) -> None:
        """boto3's ChecksumAlgorithm: the header form over plain HTTP."""
        answer = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
        assert answer["ChecksumSHA256"] == digests(b"hello")["sha256"]
        got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert got["Body"].read() == b"hello"


class TestRefusedWishes:
    @pytest.mark.parametrize(
        "header",
        [
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
            ("x-amz-storage-class", "GLACIER"),
            ("x-amz-acl", "public-read"),
            ("x-amz-grant-full-control", "id=1"),
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-object-lock-legal-hold", "ON"),
            ("x-amz-website-redirect-location", "/other"),
            ("x-amz-write-offset-bytes", "0"),
            ("x-amz-from-the-future", "1"),
        ],
    )
    def test_a_header_that_asks_for_more_is_refused(
        self, store: Store, bucket: str, header: tuple[str, str]
    ) -> None:
        """Error responses: NotImplemented, "A header you provided implies functionality that is not
        implemented".
        """
        answer = call(store, "PUT", f"/{bucket}/k", body=b"x", headers=dict([header]))
        assert (answer.status, answer.code) == (501, "NotImplemented")
        assert call(store, "HEAD", f"/{bucket}/k").status == 404

    def test_metadata_beyond_two_kibibytes(self, store: Store, bucket: str) -> None:
        """User Guide, "User-defined object metadata": 2 KB; Error responses: MetadataTooLarge."""
        assert put(store, bucket, "k", b"x", x_amz_meta_ab="v" * 2046).status == 200
        assert put(store, bucket, "k", b"x", x_amz_meta_ab="v" * 2047).code == "MetadataTooLarge"


def test_a_body_that_is_gone_from_the_disk_is_said_to_be(store: Store, bucket: str) -> None:
    """Error responses: InternalError. No 503, which clients would ask again and again."""
    before = set((store.folder / "blob").glob("*/*"))
    put(store, bucket, "k", b"x" * 100_000)
    (file,) = set((store.folder / "blob").glob("*/*")) - before
    assert call(store, "GET", f"/{bucket}/k").status == 200
    file.unlink()
    answer = call(store, "GET", f"/{bucket}/k")
    assert (answer.status, answer.code) == (500, "InternalError")
    assert put(store, bucket, "k", b"again").status == 200
    assert call(store, "GET", f"/{bucket}/k").body == b"again"


def test_waits_are_not_needed_to_read_what_was_written(store: Store, bucket: str) -> None:
    """User Guide: a list, a head and a get after the put's answer see it, from any connection."""
    for i in range(50):
        put(store, bucket, f"k{i}", str(i).encode())
        assert call(store, "GET", f"/{bucket}/k{i}").body == str(i).encode()
        listed = call(store, "GET", f"/{bucket}", f"list-type=2&prefix=k{i}&max-keys=1")
        assert f"<Key>k{i}</Key>".encode() in listed.body


def test_boto3_transfer_manager_below_its_multipart_threshold(s3: Any, bucket: str, tmp_path: Any) -> None:
    """boto3's upload_file and download_file, the calls that people use."""
    source = tmp_path / "source"
    source.write_bytes(pattern(7 << 20))
    s3.upload_file(str(source), bucket, "k", ExtraArgs={"Metadata": {"a": "b"}})
    s3.download_file(bucket, "k", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
