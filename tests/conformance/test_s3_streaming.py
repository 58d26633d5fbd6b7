"""aws-chunked bodies in every form, and every way to get them wrong.

"Signed chunks": Amazon S3 API Reference, "Signature calculations for the authorization header: transferring
payload in multiple chunks (AWS Signature Version 4)" and its variant with trailing headers; "Checking object
integrity for data uploads" for the unsigned trailer.
"""

from __future__ import annotations

import gc
import pathlib
import socket
import time

import pytest
import s3_api
from s3_api import (
    SIGNED_CHUNKS,
    SIGNED_TRAILER,
    SIZES,
    UNSIGNED_TRAILER,
    Signer,
    call,
    crc32_base64,
    pattern,
    put_stream,
)
from store_process import Store

FORMS = (SIGNED_CHUNKS, SIGNED_TRAILER, UNSIGNED_TRAILER)


def is_absent(store: Store, path: str) -> bool:
    return call(store, "HEAD", path).status == 404


class TestForms:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
    @pytest.mark.parametrize("encoding", ["", "aws-chunked"], ids=["bare", "named"])
    def test_the_payload_alone_is_stored(
        self, store: Store, bucket: str, form: str, size: int, chunked: bool, encoding: str
    ) -> None:
        """The form is recognised by x-amz-content-sha256 alone (restic names no Content-Encoding), with
        Content-Length or Transfer-Encoding: chunked (the JavaScript SDK).
        """
        data = pattern(size)
        headers = {"Content-Encoding": encoding} if encoding else {}
        answer = put_stream(store, f"/{bucket}/k", None, data, form, headers, chunked=chunked)
        assert answer.status == 200, answer.body
        got = call(store, "GET", f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED"})
        assert got.body == data
        assert "content-encoding" not in got.headers
        if form != SIGNED_CHUNKS:
            assert got.headers["x-amz-checksum-crc32"] == crc32_base64(data)

    def test_the_encoding_of_the_content_stays(self, store: Store, bucket: str) -> None:
        """User Guide: S3 stores the object without aws-chunked in its Content-Encoding."""
        headers = {"Content-Encoding": "aws-chunked,gzip"}
        assert put_stream(store, f"/{bucket}/k", None, b"data", UNSIGNED_TRAILER, headers).status == 200
        assert call(store, "GET", f"/{bucket}/k").headers["content-encoding"] == "gzip"

    def test_content_encoding_alone_is_no_streaming(self, store: Store, bucket: str) -> None:
        """A body whose hash is signed is stored as it is."""
        body = b"5\r\nhello\r\n0\r\n\r\n"
        call(store, "PUT", f"/{bucket}/k", body=body, headers={"Content-Encoding": "aws-chunked"})
        assert call(store, "GET", f"/{bucket}/k").body == body

    def test_a_presigned_url_takes_a_streaming_body(self, store: Store, bucket: str) -> None:
        """The unsigned trailer form with the signature in the query is judged by that signature."""
        data = pattern(20_000)
        headers = {
            "Host": s3_api.host(store),
            "x-amz-content-sha256": UNSIGNED_TRAILER,
            "x-amz-decoded-content-length": str(len(data)),
            "x-amz-trailer": "x-amz-checksum-crc32",
        }
        for secret, status in ((store.secret, 200), ("wrong-secret", 403)):
            signer = Signer(store, secret=secret)
            # Such a URL covers the form by the header that names it.
            signer_query = presign_with_payload(signer, f"/{bucket}/{status}", headers)
            body = s3_api.stream_body(signer, data, UNSIGNED_TRAILER)
            answer = s3_api.send(store, "PUT", f"/{bucket}/{status}?{signer_query}", headers, body)
            assert answer.status == status, answer.body
        assert call(store, "GET", f"/{bucket}/200").body == data
        assert is_absent(store, f"/{bucket}/403")


def presign_with_payload(signer: Signer, path: str, headers: dict[str, str]) -> str:
    return signer.presign("PUT", path, "60", headers=headers, payload=headers["x-amz-content-sha256"])


class TestSignatureOfTheRequest:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("size", [5, 40_000])
    def test_a_wrong_secret(self, store: Store, bucket: str, form: str, size: int) -> None:
        """MinIO's CVE-2025-31489: the unsigned trailer's request signature must be checked all the same."""
        answer = put_stream(
            store, f"/{bucket}/k", None, pattern(size), form, signer=Signer(store, secret="wrong")
        )
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
        assert is_absent(store, f"/{bucket}/k")

    def test_an_unknown_key_stores_nothing(self, store: Store, bucket: str) -> None:
        """Error responses: SignatureDoesNotMatch, InvalidAccessKeyId."""
        answers = [
            put_stream(store, f"/{bucket}/k", None, b"x", UNSIGNED_TRAILER, signer=signer)
            for signer in (
                Signer(store, secret="wrong"),
                Signer(store, key_id="NOSUCHKEY0000000000", secret="wrong"),
            )
        ]
        assert [answer.code for answer in answers] == ["SignatureDoesNotMatch", "InvalidAccessKeyId"]
        assert is_absent(store, f"/{bucket}/k")

    def test_no_signature_at_all(self, store: Store, bucket: str) -> None:
        """The sentinel is no credential."""
        headers = {
            "x-amz-content-sha256": UNSIGNED_TRAILER,
            "x-amz-decoded-content-length": "5",
            "x-amz-trailer": "x-amz-checksum-crc32",
        }
        body = (
            s3_api.unsigned_frames(b"hello")
            + f"x-amz-checksum-crc32:{crc32_base64(b'hello')}\r\n\r\n".encode()
        )
        for target in (f"/{bucket}/k", f"/{bucket}/k?X-Amz-Credential={store.key_id}"):
            assert s3_api.send(store, "PUT", target, headers, body).status in (400, 403)
        assert is_absent(store, f"/{bucket}/k")

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize(
        ("method", "path", "query"),
        [
            ("PUT", "/another-bucket", ""),
            ("POST", "/{bucket}", "delete="),
            ("PUT", "/{bucket}", "notification="),
            ("GET", "/{bucket}/k", ""),
            ("DELETE", "/{bucket}/k", ""),
        ],
    )
    def test_other_operations_take_no_stream(
        self, store: Store, bucket: str, form: str, method: str, path: str, query: str
    ) -> None:
        """versitygw issue 1679: the sentinels are PutObject's (and UploadPart's) only: 400."""
        call(store, "PUT", f"/{bucket}/k", body=b"stays")
        answer = call(store, method, path.format(bucket=bucket), query, payload=form)
        assert (answer.status, answer.code) == (400, "InvalidRequest")
        assert call(store, "GET", f"/{bucket}/k").body == b"stays"
        assert is_absent(store, "/another-bucket")


def flipped(frames: list[bytes], frame: int) -> list[bytes]:
    at = frames[frame].index(b"\r\n") + 2 + 10
    changed = frames[frame][:at] + bytes([frames[frame][at] ^ 1]) + frames[frame][at + 1 :]
    return [*frames[:frame], changed, *frames[frame + 1 :]]


class TestSignedChain:
    data = pattern(300_000)

    def attempt(
        self, store: Store, bucket: str, change: object, data: bytes | None = None
    ) -> s3_api.Answer:
        """Signs the chunks well, then changes them; the object must not be there."""
        data = self.data if data is None else data
        signer = Signer(store)
        headers = {"Host": s3_api.host(store), "x-amz-decoded-content-length": str(len(data))}
        signed = signer.headers("PUT", f"/{bucket}/k", "", headers, SIGNED_CHUNKS)
        body = b"".join(change(s3_api.signed_chunks(signer, data)))  # type: ignore[operator]
        answer = s3_api.send(store, "PUT", f"/{bucket}/k", signed, body)
        assert is_absent(store, f"/{bucket}/k")
        return answer

    @pytest.mark.parametrize("frame", [0, 2, 4])
    def test_a_flipped_bit(self, store: Store, bucket: str, frame: int) -> None:
        """Each chunk's signature covers its bytes."""
        answer = self.attempt(store, bucket, lambda frames: flipped(frames, frame))
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")

    def test_a_flipped_bit_in_a_small_body(self, store: Store, bucket: str) -> None:
        """The same for a body that is kept in memory."""
        answer = self.attempt(store, bucket, lambda frames: flipped(frames, 0), pattern(500))
        assert answer.code == "SignatureDoesNotMatch"

    def test_swapped_chunks(self, store: Store, bucket: str) -> None:
        """Each signature covers the one before."""
        answer = self.attempt(store, bucket, lambda f: [f[1], f[0], *f[2:]])
        assert answer.code == "SignatureDoesNotMatch"

    def test_a_chunk_twice(self, store: Store, bucket: str) -> None:
        """A replayed chunk breaks the chain."""
        assert self.attempt(store, bucket, lambda f: [f[0], f[0], *f[1:]]).status in (400, 403)

    def test_a_dropped_chunk(self, store: Store, bucket: str) -> None:
        """And so does a missing one."""
        assert self.attempt(store, bucket, lambda f: [f[0], *f[2:]]).status in (400, 403)

    def test_no_last_chunk(self, store: Store, bucket: str) -> None:
        """The empty chunk ends the object; without it nothing is stored."""
        answer = self.attempt(store, bucket, lambda f: f[:-1])
        assert (answer.status, answer.code) == (400, "IncompleteBody")

    def test_bytes_after_the_last_chunk(self, store: Store, bucket: str) -> None:
        """Garbage behind the end is refused."""
        assert self.attempt(store, bucket, lambda f: [*f, b"more"]).status == 400

    def test_no_signature_in_a_chunk(self, store: Store, bucket: str) -> None:
        """A chunk of the unsigned form is none of the signed one."""
        assert self.attempt(store, bucket, lambda f: [b"5\r\nhello\r\n0\r\n\r\n"], b"hello").status in (
            400,
            403,
        )

    def test_chunks_of_another_request(self, store: Store, bucket: str) -> None:
        """The chain begins at this request's signature."""
        other = Signer(store)
        other.headers("PUT", "/elsewhere/k", "", {"Host": "x"}, SIGNED_CHUNKS)
        frames = s3_api.signed_chunks(other, b"hello")
        assert self.attempt(store, bucket, lambda _: frames, b"hello").code == "SignatureDoesNotMatch"

    @pytest.mark.parametrize("lie", [-1, 1, 1 << 40])
    @pytest.mark.parametrize("form", FORMS)
    def test_a_lie_about_the_length(self, store: Store, bucket: str, form: str, lie: int) -> None:
        """x-amz-decoded-content-length is what the chunks must add up to."""
        for data in (b"hello", self.data):
            headers = {"x-amz-decoded-content-length": str(len(data) + lie)}
            answer = put_stream(store, f"/{bucket}/k", None, data, form, headers)
            assert answer.status == 400 and answer.code in ("IncompleteBody", "EntityTooLarge")
            assert is_absent(store, f"/{bucket}/k")

    @pytest.mark.parametrize("length", ["", "x", "-1", "0x5", "5 5"])
    @pytest.mark.parametrize("form", FORMS)
    def test_a_length_that_is_none(self, store: Store, bucket: str, form: str, length: str) -> None:
        """InvalidArgument; without the header, MissingContentLength, 411."""
        answer = put_stream(
            store, f"/{bucket}/k", None, b"hello", form, {"x-amz-decoded-content-length": length}
        )
        assert answer.status == 400
        assert is_absent(store, f"/{bucket}/k")

    def test_no_length(self, store: Store, bucket: str) -> None:
        """Error responses: MissingContentLength, 411."""
        signed = Signer(store).headers(
            "PUT", f"/{bucket}/k", "", {"Host": s3_api.host(store)}, UNSIGNED_TRAILER
        )
        answer = s3_api.send(store, "PUT", f"/{bucket}/k", signed, b"0\r\n\r\n")
        assert (answer.status, answer.code) == (411, "MissingContentLength")


class TestTrailers:
    @pytest.mark.parametrize("form", [SIGNED_TRAILER, UNSIGNED_TRAILER])
    @pytest.mark.parametrize("data", [b"hello", pattern(40_000)], ids=["small", "large"])
    def test_a_wrong_checksum(self, store: Store, bucket: str, form: str, data: bytes) -> None:
        """Error responses: BadDigest."""
        answer = put_stream(store, f"/{bucket}/k", None, data, form, checksum=crc32_base64(b"other"))
        assert (answer.status, answer.code) == (400, "BadDigest")
        assert is_absent(store, f"/{bucket}/k")

    @pytest.mark.parametrize(
        "end",
        [
            b"\r\n",
            b"x-amz-checksum-sha1:AAAA\r\n\r\n",
            b"x-amz-meta-a:b\r\n\r\n",
            b"x-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
            b"x-amz-checksum-crc32\r\n\r\n",
            b"x-amz-checksum-crc32:\r\n\r\n",
            b"x-amz-checksum-crc32:NhCmhg==\r\n",
            b"x-amz-checksum-crc32:NhCmhg==\r\n\r\nmore",
            b"x-amz-checksum-crc32:NhCmhg==\n\n",
            b"x-amz-checksum-crc32:" + b"A" * 5000 + b"\r\n\r\n",
            b"",
        ],
    )
    def test_a_trailer_that_cannot_be(self, store: Store, bucket: str, end: bytes) -> None:
        """Missing, not announced, twice, without a value, unfinished, or followed by more: nothing is
        stored.
        """
        answer = put_stream(
            store, f"/{bucket}/k", [s3_api.unsigned_frames(b"hello") + end], b"hello", UNSIGNED_TRAILER
        )
        assert answer.status == 400
        assert is_absent(store, f"/{bucket}/k")

    def test_a_forged_trailer_signature(self, store: Store, bucket: str) -> None:
        """The trailer's signature continues the chain."""
        signer = Signer(store)
        headers = {
            "Host": s3_api.host(store),
            "x-amz-decoded-content-length": "5",
            "x-amz-trailer": "x-amz-checksum-crc32",
        }
        signed = signer.headers("PUT", f"/{bucket}/k", "", headers, SIGNED_TRAILER)
        frames = b"".join(s3_api.signed_chunks(signer, b"hello"))[:-2]
        line = f"x-amz-checksum-crc32:{crc32_base64(b'hello')}\r\n"
        for forged in (f"x-amz-trailer-signature:{'0' * 64}\r\n", ""):
            body = frames + f"{line}{forged}\r\n".encode()
            answer = s3_api.send(store, "PUT", f"/{bucket}/k", signed, body)
            assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
        assert is_absent(store, f"/{bucket}/k")

    def test_a_trailer_without_a_form_that_has_one(self, store: Store, bucket: str) -> None:
        """x-amz-trailer on a plain body promises what cannot come."""
        headers = {"x-amz-trailer": "x-amz-checksum-crc32"}
        assert call(store, "PUT", f"/{bucket}/k", body=b"x", headers=headers).code == "InvalidRequest"
        assert (
            put_stream(store, f"/{bucket}/k", None, b"x", SIGNED_CHUNKS, headers).code == "InvalidRequest"
        )

    def test_a_trailer_that_is_no_checksum(self, store: Store, bucket: str) -> None:
        """ "The value specified in the x-amz-trailer header is not supported"."""
        headers = {"x-amz-trailer": "x-amz-meta-a"}
        assert (
            put_stream(store, f"/{bucket}/k", None, b"x", UNSIGNED_TRAILER, headers).code
            == "InvalidRequest"
        )

    def test_an_unknown_streaming_form(self, store: Store, bucket: str) -> None:
        """SigV4A and what else may come: refused, never stored raw."""
        answer = call(
            store, "PUT", f"/{bucket}/k", body=b"x", payload="STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
        )
        assert answer.status == 400
        assert is_absent(store, f"/{bucket}/k")


def blob_files(store: Store) -> set[pathlib.Path]:
    return {path for path in (store.folder / "blob").rglob("*") if path.is_file()}


def settles(what: object, within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not what():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class TestAbandonedUploads:
    @pytest.mark.parametrize("sent", [0, 1, 300_000, 3 << 20])
    def test_a_peer_that_goes_away_leaves_no_file(self, store: Store, bucket: str, sent: int) -> None:
        """Facts: abandoned uploads must not fill the disk, nor the table of descriptors."""
        before = blob_files(store)
        size = 5 << 20
        headers = Signer(store).headers(
            "PUT",
            f"/{bucket}/k",
            "",
            {"Host": s3_api.host(store), "Content-Length": str(size)},
            "UNSIGNED-PAYLOAD",
        )
        head = (
            f"PUT /{bucket}/k HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items()) + "\r\n"
        )
        name, port = s3_api.host(store).rsplit(":", 1)
        with socket.create_connection((name, int(port)), timeout=20) as connection:
            connection.sendall(head.encode() + pattern(sent))
            if sent > 1 << 20:
                assert settles(lambda: blob_files(store) != before)
        assert settles(lambda: blob_files(store) == before)
        assert is_absent(store, f"/{bucket}/k")

    def test_refused_uploads_leave_no_file(self, store: Store, bucket: str) -> None:
        """Wrong digest, wrong chain, failed condition, vanished bucket: the bytes go again."""
        data = pattern(2 << 20)
        call(store, "PUT", f"/{bucket}/there", body=b"x")
        gc.collect()
        before = blob_files(store)
        md5 = {"Content-MD5": s3_api.md5_base64(b"other")}
        assert call(store, "PUT", f"/{bucket}/k", body=data, headers=md5).status == 400
        assert (
            put_stream(store, f"/{bucket}/k", None, data, UNSIGNED_TRAILER, checksum="AAAAAA==").status
            == 400
        )
        condition = {"If-None-Match": "*"}
        assert call(store, "PUT", f"/{bucket}/there", body=data, headers=condition).status == 412
        assert settles(lambda: blob_files(store) == before)

    def test_an_overwritten_or_deleted_file_goes(self, store: Store, bucket: str) -> None:
        """The disk holds what is there, once the change is applied."""
        before = blob_files(store)
        for _ in range(3):
            call(store, "PUT", f"/{bucket}/k", body=pattern(100_000))
        assert settles(lambda: len(blob_files(store)) == len(before) + 1)
        call(store, "DELETE", f"/{bucket}/k")
        assert settles(lambda: blob_files(store) == before)
