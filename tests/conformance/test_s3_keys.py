"""Keys are bytes, never paths: what would be another file is another key. And bodies that are not what they
say.
"""

from __future__ import annotations

import pathlib
import urllib.parse

import pytest
import s3_api
from s3_api import Signer, call, host, send
from store_process import Store

# As sent in the path, and the key it is.
KEYS = [
    ("a//b", "a//b"),
    ("/a", "/a"),
    ("//", "//"),
    ("a/", "a/"),
    ("a/../b", "a/../b"),
    ("../../etc/passwd", "../../etc/passwd"),
    ("..", ".."),
    (".", "."),
    ("./a/.", "./a/."),
    ("%2e%2e/%2e%2e/x", "../../x"),
    ("%2E%2E%2Fx", "../x"),
    ("%252e%252e", "%2e%2e"),
    ("a%2Fb", "a/b"),
    ("a%5C..%5Cb", "a\\..\\b"),
    ("a+b", "a+b"),
    ("a%20b", "a b"),
    ("a%0Ab", "a\nb"),
    ("a%3Fb%23c%26d", "a?b#c&d"),
    ("%C3%BC/%F0%9F%98%80", "ü/😀"),
    ("%27%22%3B--", "'\";--"),
    ("C%3A%5Cwindows", "C:\\windows"),
    ("a:b@c!$&'()*,;=~", "a:b@c!$&'()*,;=~"),
]


class TestKeys:
    @pytest.mark.parametrize(("sent", "key"), KEYS)
    @pytest.mark.parametrize("size", [3, 20_000])
    def test_a_key_is_what_the_path_decodes_to_once(
        self, store: Store, bucket: str, sent: str, key: str, size: int
    ) -> None:
        """User Guide, "Naming Amazon S3 objects": a sequence of Unicode characters; "." and ".." are just
        keys on the wire (SeaweedFS CVE-2026-54917, versitygw, RustFS, MinIO CVE-2023-28433).
        """
        outside = {path for path in pathlib.Path(store.folder).parent.rglob("*") if path.is_file()}
        data = s3_api.pattern(size)
        assert call(store, "PUT", f"/{bucket}/{sent}", body=data).status == 200
        assert call(store, "GET", f"/{bucket}/{sent}").body == data
        assert call(store, "GET", f"/{bucket}/{urllib.parse.quote(key.encode(), safe='')}").body == data
        listed = call(store, "GET", f"/{bucket}", "list-type=2&encoding-type=url").xml
        texts = [e.text or "" for e in listed.iter(f"{s3_api.NAMESPACE}Key")]
        assert [urllib.parse.unquote(text) for text in texts] == [key]
        fresh = {path for path in pathlib.Path(store.folder).parent.rglob("*") if path.is_file()} - outside
        assert not [path for path in fresh if store.folder not in path.parents]
        body = f"<Delete><Object><Key>{escaped(key)}</Key></Object></Delete>".encode()
        md5 = {"Content-MD5": s3_api.md5_base64(body)}
        assert call(store, "POST", f"/{bucket}", "delete", body, md5).status == 200
        assert call(store, "HEAD", f"/{bucket}/{sent}").status == 404

    def test_keys_that_look_alike_are_apart(self, store: Store, bucket: str) -> None:
        """Nothing is normalised: not slashes, not dots, not Unicode forms."""
        alike = ["a/b", "a//b", "a/./b", "a/b/", "/a/b", "a%2F%2Fb/", "%C3%BC", "u%CC%88", "A/b"]
        for sent in alike:
            call(store, "PUT", f"/{bucket}/{sent}", body=sent.encode())
        for sent in alike:
            assert call(store, "GET", f"/{bucket}/{sent}").body == sent.encode()

    @pytest.mark.parametrize("sent", ["a%00b", "%ff", "%C3%28", "%zz", "%", "a%2"])
    def test_what_is_no_key(self, store: Store, bucket: str, sent: str) -> None:
        """InvalidURI for bytes that are not UTF-8 or a bad escape; NUL is refused too (our choice: nginx
        would).
        """
        headers = {"Host": host(store)}
        try:
            headers = Signer(store).headers("PUT", f"/{bucket}/{sent}", "", headers, "UNSIGNED-PAYLOAD")
        except ValueError:
            pass
        answer = send(store, "PUT", f"/{bucket}/{sent}", headers, b"x")
        assert (answer.status, answer.code) == (400, "InvalidURI")

    def test_a_key_is_at_most_1024_bytes(self, store: Store, bucket: str) -> None:
        """User Guide: 1,024 bytes of UTF-8; Error responses: KeyTooLongError."""
        for key in ("k" * 1024, "%C3%BC" * 512):
            assert call(store, "PUT", f"/{bucket}/{key}", body=b"x").status == 200
            assert call(store, "GET", f"/{bucket}/{key}").body == b"x"
        for key in ("k" * 1025, "%C3%BC" * 512 + "k"):
            answer = call(store, "PUT", f"/{bucket}/{key}", body=b"x")
            assert (answer.status, answer.code) == (400, "KeyTooLongError")

    @pytest.mark.parametrize("target", ["//k", "/_headrace/../k", "/..", "/../etc", "/%2e%2e/etc"])
    def test_a_path_leads_nowhere_else(self, store: Store, target: str) -> None:
        """A bucket's name keeps its rules, so that no path means the service's own."""
        signed = Signer(store).headers("GET", target, "", {"Host": host(store)}, s3_api.EMPTY_SHA256)
        assert send(store, "GET", target, signed).status in (400, 403, 404)


def escaped(key: str) -> str:
    return key.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "&#10;")


class TestBodies:
    def test_a_put_needs_a_length(self, store: Store, bucket: str) -> None:
        """Error responses: MissingContentLength (Transfer-Encoding: chunked without a streaming form)."""
        headers = {"Host": host(store), "Transfer-Encoding": "chunked"}
        signer = Signer(store, unsigned=("transfer-encoding",))
        signed = signer.headers("PUT", f"/{bucket}/k", "", headers, "UNSIGNED-PAYLOAD")
        answer = send(store, "PUT", f"/{bucket}/k", signed, [b"hello"])
        assert (answer.status, answer.code) == (411, "MissingContentLength")

    @pytest.mark.parametrize("size", [(5 << 30) + 1, 1 << 62])
    def test_five_gibibytes_are_the_most(self, store: Store, bucket: str, size: int) -> None:
        """API_PutObject: 5 GB in one put; Error responses: EntityTooLarge, before a byte of it is read."""
        headers = {"Host": host(store), "Content-Length": str(size), "Expect": "100-continue"}
        signed = Signer(store).headers("PUT", f"/{bucket}/k", "", headers, "UNSIGNED-PAYLOAD")
        answer = send(store, "PUT", f"/{bucket}/k", signed)
        assert (answer.status, answer.code) == (400, "EntityTooLarge")
        assert answer.field("ProposedSize") == str(size)

    def test_xml_of_other_operations_is_guarded_too(self, store: Store, bucket: str) -> None:
        """No document type, no entity, no depth beyond reason, in any document."""
        bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><NotificationConfiguration>&b;</NotificationConfiguration>'
        deep = (
            b"<NotificationConfiguration>"
            + b"<a>" * 10_000
            + b"</a>" * 10_000
            + b"</NotificationConfiguration>"
        )
        for body in (bomb, deep, b"<NotificationConfiguration>", b"\xff\xfe"):
            assert call(store, "PUT", f"/{bucket}", "notification", body).code == "MalformedXML"
            assert call(store, "PUT", "/some-new-bucket", "", body).code == "MalformedXML"
        assert call(store, "HEAD", "/some-new-bucket").status == 404

    @pytest.mark.parametrize("name", ["x-amz-meta-a", "content-type", "cache-control"])
    def test_a_stored_header_comes_back_as_it_went(self, store: Store, bucket: str, name: str) -> None:
        """What is stored cannot begin another header when it is sent again."""
        value = 'a: b; c="d", e\tf'
        call(store, "PUT", f"/{bucket}/k", body=b"x", headers={name: value})
        got = call(store, "GET", f"/{bucket}/k")
        assert got.headers[name] == value

    def test_internal_names_are_only_metadata(self, store: Store, bucket: str) -> None:
        """MinIO CVE-2026-34204: headers that look like a server's own are refused or plain metadata."""
        answer = call(
            store,
            "PUT",
            f"/{bucket}/k",
            body=b"x",
            headers={"x-amz-meta-x-headrace-blob": "1", "x-headrace-blob": "2"},
        )
        assert answer.status == 200
        got = call(store, "GET", f"/{bucket}/k")
        assert (got.body, got.headers["x-amz-meta-x-headrace-blob"]) == (b"x", "1")
        assert "x-headrace-blob" not in got.headers

    def test_a_foreign_host_is_only_a_name(self, store: Store, bucket: str) -> None:
        """A Host that is not ours means path style, and is covered by the signature."""
        call(store, "PUT", f"/{bucket}/k", body=b"x")
        assert call(store, "GET", f"/{bucket}/k", headers={"Host": "other.example"}).body == b"x"
        signed = Signer(store).headers(
            "GET", f"/{bucket}/k", "", {"Host": "other.example"}, s3_api.EMPTY_SHA256
        )
        assert send(store, "GET", f"/{bucket}/k", {**signed, "Host": host(store)}).status == 403
