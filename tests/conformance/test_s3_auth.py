"""Who may ask: signatures in headers and URLs, and every way to get them wrong.

"SigV4": Amazon S3 API Reference, "Authenticating requests (AWS Signature Version 4)"; "Query": its part on
query parameters; "V2": "Signing and authenticating REST requests (AWS Signature Version 2)".
"""

from __future__ import annotations

import datetime
import socket
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
import s3_api
from s3_api import Answer, Signer, call, host, send
from store_process import Store


@pytest.fixture
def path(store: Store, bucket: str) -> str:
    call(store, "PUT", f"/{bucket}/k", body=b"secret")
    return f"/{bucket}/k"


def at(minutes: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)


class TestHeaders:
    def test_nobody_is_refused_before_anything_is_said(self, store: Store, path: str) -> None:
        """Anonymous requests learn nothing: the same 403 for what is there and what is not (MinIO
        CVE-2024-36107: conditions were judged first).
        """
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            for target in (path, "/no-such-bucket/k", path.rsplit("/", 1)[0], "/no-such-bucket"):
                for name, value in (
                    ("X-Nothing", "0"),
                    ("If-None-Match", "*"),
                    ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
                ):
                    answer = send(store, method, target, {name: value})
                    assert answer.status == 403
                    assert method == "HEAD" or answer.code == "AccessDenied"
        assert call(store, "GET", path).body == b"secret"

    @pytest.mark.parametrize("query", ["versions", "uploads", "list-type=2", "acl", "policy", "location"])
    def test_no_other_way_to_list(self, store: Store, path: str, query: str) -> None:
        """No sub-resource has a looser check."""
        assert send(store, "GET", f"{path.rsplit('/', 1)[0]}?{query}", {}).status == 403

    def test_a_wrong_secret_and_an_unknown_key_are_told_apart(self, store: Store, path: str) -> None:
        """Error responses: SignatureDoesNotMatch, InvalidAccessKeyId."""
        answers = [
            call(store, "GET", path, signer=signer)
            for signer in (Signer(store, secret="wrong"), Signer(store, key_id="AKIANOSUCHKEY0000000"))
        ]
        assert {answer.status for answer in answers} == {403}
        assert [answer.code for answer in answers] == ["SignatureDoesNotMatch", "InvalidAccessKeyId"]
        assert answers[1].field("Message").endswith("does not exist in our records.")

    @pytest.mark.parametrize("minutes", [-16.0, 16.0])
    def test_a_clock_too_far_off_is_told_the_time(self, store: Store, path: str, minutes: float) -> None:
        """Error responses: RequestTimeTooSkewed, 15 minutes; the server's time is in the answer."""
        answer = call(store, "GET", path, signer=Signer(store, now=at(minutes)))
        assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed")
        assert answer.field("ServerTime").endswith("Z")

    @pytest.mark.parametrize("minutes", [-14.0, 14.0])
    def test_a_clock_within_the_window(self, store: Store, path: str, minutes: float) -> None:
        """The same, inside."""
        assert call(store, "GET", path, signer=Signer(store, now=at(minutes))).status == 200

    def test_another_service_opens_nothing(self, store: Store, path: str) -> None:
        """SigV4, "Credential": the scope's service is s3."""
        for service in ("sqs", "ec2", ""):
            assert call(store, "GET", path, signer=Signer(store, service=service)).status in (400, 403)

    def test_a_wrong_region_is_told_the_right_one(self, store: Store, path: str) -> None:
        """Error responses: AuthorizationHeaderMalformed, with the right Region."""
        answer = call(store, "GET", path, signer=Signer(store, region="eu-west-1"))
        assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed")
        assert answer.field("Region") == "us-east-1"

    @pytest.mark.parametrize(
        "name", ["x-amz-acl", "x-amz-meta-a", "x-amz-date", "host", "x-amz-copy-source"]
    )
    def test_a_header_that_matters_must_be_signed(self, store: Store, path: str, name: str) -> None:
        """SigV4, "CanonicalHeaders": host and every x-amz-* header (MinIO CVE-2026-97731)."""
        headers = {} if name in ("x-amz-date", "host") else {name: "private"}
        answer = call(
            store, "PUT", path, body=b"changed", headers=headers, signer=Signer(store, unsigned=(name,))
        )
        assert answer.status in (400, 403)
        assert call(store, "GET", path).body == b"secret"

    @pytest.mark.parametrize(
        "change",
        [
            lambda a: a[:-1],
            lambda a: a.replace("Signature=", "Signature=F"),
            lambda a: a[: a.index("Signature=")] + "Signature=",
            lambda a: a[:-64] + a[-64:].upper(),
            lambda a: a.replace("aws4_request", "aws5_request"),
            lambda a: a.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            lambda a: a.replace("SignedHeaders=host;", "SignedHeaders=x-amz-date;host;"),
            lambda a: a.replace("SignedHeaders=host;", "SignedHeaders=host;host;"),
            lambda a: a.replace("SignedHeaders=host;", "SignedHeaders=absent;host;"),
            lambda a: a.replace("Credential=", "Credential=/"),
            lambda _: "AWS4-HMAC-SHA256",
            lambda _: "Basic dXNlcjpwYXNz",
            lambda _: "AWS key:signature",
            lambda _: "",
        ],
    )
    def test_a_malformed_authorization(self, store: Store, path: str, change: Any) -> None:
        """SigV4, the header's parts: each damaged once."""
        signed = Signer(store).headers("GET", path, "", {"Host": host(store)}, s3_api.EMPTY_SHA256)
        signed["Authorization"] = change(signed["Authorization"])
        assert send(store, "GET", path, signed).status in (400, 403)

    def test_two_ways_to_sign_at_once(self, store: Store, path: str) -> None:
        """Error responses: InvalidArgument, "Only one auth mechanism allowed"."""
        query = Signer(store).presign("GET", path, "60")
        signed = Signer(store).headers("GET", path, query, {"Host": host(store)}, s3_api.EMPTY_SHA256)
        answer = send(store, "GET", f"{path}?{query}", signed)
        assert (answer.status, answer.code) == (400, "InvalidArgument")

    def test_a_body_for_a_get_must_be_the_signed_one(self, store: Store, path: str) -> None:
        """XAmzContentSHA256Mismatch also where a body means nothing."""
        xml = b"<NotificationConfiguration/>"
        bucket = path.rsplit("/", 1)[0]
        answer = call(store, "PUT", bucket, "notification", xml, payload=s3_api.EMPTY_SHA256)
        assert answer.code == "XAmzContentSHA256Mismatch"

    def test_secrets_are_in_no_answer(self, store: Store, path: str) -> None:
        """No error shows the secret or the signature that would have been right."""
        signer = Signer(store, secret="wrong")
        answer = call(store, "GET", path, signer=signer)
        right = Signer(store, now=signer.now)
        right.headers("GET", path, "", {"Host": host(store)}, s3_api.EMPTY_SHA256)
        assert store.secret.encode() not in answer.body
        assert right.previous.encode() not in answer.body


def fetch(
    store: Store,
    method: str,
    path: str,
    query: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    return send(store, method, f"{path}?{query}", {"Host": host(store), **(headers or {})}, body)


class TestPresignedV4:
    def test_a_url_opens_what_it_names(self, store: Store, path: str) -> None:
        """Query."""
        assert fetch(store, "GET", path, Signer(store).presign("GET", path, "60")).body == b"secret"
        assert (
            fetch(store, "PUT", path, Signer(store).presign("PUT", path, "60"), body=b"new").status == 200
        )
        assert call(store, "GET", path).body == b"new"

    @pytest.mark.parametrize(
        ("expires", "minutes", "code"),
        [
            ("60", -2, "AccessDenied"),
            ("604800", -604801 / 60, "AccessDenied"),
            ("60", 20, "AccessDenied"),
            ("604801", 0, "AuthorizationQueryParametersError"),
            ("0", 0, "AuthorizationQueryParametersError"),
            ("-1", 0, "AuthorizationQueryParametersError"),
            ("x", 0, "AuthorizationQueryParametersError"),
            ("", 0, "AuthorizationQueryParametersError"),
        ],
    )
    def test_only_in_its_time(
        self, store: Store, path: str, expires: str, minutes: float, code: str
    ) -> None:
        """Query, X-Amz-Expires: 1 to 604800 seconds from X-Amz-Date."""
        answer = fetch(store, "GET", path, Signer(store, now=at(minutes)).presign("GET", path, expires))
        assert answer.status in (400, 403)
        assert answer.code in (code, "AccessDenied" if expires == "0" else code)

    def test_seven_days_are_the_longest(self, store: Store, path: str) -> None:
        """Query: 604800."""
        assert fetch(store, "GET", path, Signer(store).presign("GET", path, "604800")).status == 200

    def test_for_nothing_else(self, store: Store, path: str) -> None:
        """The method, the key, the host and each parameter are signed."""
        query = Signer(store).presign("GET", path, "60")
        bucket = path.rsplit("/", 1)[0]
        assert fetch(store, "PUT", path, query, body=b"x").status == 403
        assert fetch(store, "DELETE", path, query).status == 403
        assert fetch(store, "HEAD", path, query).status == 403
        assert fetch(store, "GET", f"{bucket}/other", query).status == 403
        assert fetch(store, "GET", path, query, {"Host": "other.example"}).status == 403
        assert fetch(store, "GET", path, f"{query}&response-content-type=text/html").status == 403
        assert fetch(store, "GET", path, f"acl&{query}").status == 403
        assert (
            fetch(store, "GET", path, query.replace("X-Amz-Expires=60", "X-Amz-Expires=600")).status == 403
        )
        assert fetch(store, "GET", path, query, {"x-amz-meta-a": "b"}).status == 403
        assert call(store, "GET", path).body == b"secret"

    @pytest.mark.parametrize(
        "part",
        [
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-SignedHeaders",
            "X-Amz-Signature",
        ],
    )
    def test_every_part_once(self, store: Store, path: str, part: str) -> None:
        """Query: each parameter is required, and none may come twice."""
        query = Signer(store).presign("GET", path, "60")
        pairs = query.split("&")
        without = "&".join(pair for pair in pairs if not pair.startswith(f"{part}="))
        assert fetch(store, "GET", path, without).status in (400, 403)
        twice = "&".join([*pairs, next(pair for pair in pairs if pair.startswith(f"{part}="))])
        assert fetch(store, "GET", path, twice).status in (400, 403)

    def test_a_wrong_secret(self, store: Store, path: str) -> None:
        """Query: SignatureDoesNotMatch."""
        answer = fetch(store, "GET", path, Signer(store, secret="wrong").presign("GET", path, "60"))
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")

    def test_what_is_moved_into_the_url_still_counts(self, store: Store, bucket: str) -> None:
        """The JavaScript SDK moves x-amz-* headers into the query: they are honoured or refused, never
        ignored.
        """
        path = f"/{bucket}/k"
        refused = Signer(store).presign("PUT", path, "60", "x-amz-acl=public-read")
        assert fetch(store, "PUT", path, refused, body=b"x").code == "NotImplemented"
        crc = urllib.parse.quote(s3_api.crc32_base64(b"hello"), safe="")
        query = Signer(store).presign("PUT", path, "60", f"x-amz-checksum-crc32={crc}")
        assert fetch(store, "PUT", path, query, body=b"other").code == "BadDigest"
        assert fetch(store, "PUT", path, query, body=b"hello").status == 200

    def test_the_response_can_be_dressed_up(self, store: Store, path: str) -> None:
        """API_GetObject, "Overriding response header values through the request"."""
        wanted = "response-content-type=text/x-test"
        wanted += "&response-content-disposition=attachment%3B%20filename%3D%22a%22"
        wanted += "&response-cache-control=no-cache&response-expires=never&response-content-language=de"
        answer = fetch(store, "GET", path, Signer(store).presign("GET", path, "60", wanted))
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/x-test"
        assert answer.headers["content-disposition"] == 'attachment; filename="a"'
        assert answer.headers["content-language"] == "de"

    @pytest.mark.parametrize("value", ["a%0D%0ASet-Cookie:%20x=y", "a%0Ab", "a%00b", "%7F"])
    def test_no_header_is_injected(self, store: Store, path: str, value: str) -> None:
        """Ceph CVE-2020-10753, CVE-2021-3524: CR and LF in response overrides."""
        for name in ("response-content-type", "response-content-disposition", "response-cache-control"):
            answer = fetch(store, "GET", path, Signer(store).presign("GET", path, "60", f"{name}={value}"))
            assert (answer.status, answer.code) == (400, "InvalidArgument")
            assert "set-cookie" not in answer.headers


def opened(
    url: str, method: str = "GET", data: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class TestPresignedByBoto3:
    @pytest.mark.parametrize("version", ["s3", "s3v4"])
    def test_get_and_put(self, store: Store, bucket: str, version: str) -> None:
        """V2 is what Debian's boto3 makes by default, V4 what all current SDKs make."""
        s3 = s3_api.client(store, signature_version=version)
        key = "a b/ü+c"
        put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": key}, ExpiresIn=60)
        assert ("X-Amz-Signature" in put) == (version == "s3v4")
        assert opened(put, "PUT", b"by url", {"Content-Type": ""})[0] in (200, 403)
        typed = s3.generate_presigned_url(
            "put_object", {"Bucket": bucket, "Key": key, "ContentType": "text/plain"}, ExpiresIn=60
        )
        assert opened(typed, "PUT", b"by url", {"Content-Type": "text/plain"})[0] == 200
        get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=60)
        assert opened(get) == (200, b"by url")
        assert opened(get, "DELETE")[0] == 403
        assert opened(get.replace("%20b", "%20c"))[0] == 403

    def test_a_v2_url_in_its_time_only(self, store: Store, path: str) -> None:
        """V2, Expires: a time in seconds since 1970."""
        s3 = s3_api.client(store, signature_version="s3")
        bucket, key = path[1:].split("/")
        past = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=-5)
        assert opened(past)[0] == 403
        url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=60)
        assert opened(url)[0] == 200
        assert opened(url.replace("Expires=", "Expires=1"))[0] in (400, 403)
        assert opened(url + "&acl")[0] == 403
        assert opened(url.replace(store.key_id, "NOSUCHKEY"))[0] == 403

    def test_v2_and_v4_mixed(self, store: Store, path: str) -> None:
        """One mechanism at a time."""
        s3 = s3_api.client(store, signature_version="s3")
        bucket, key = path[1:].split("/")
        v2 = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=60)
        v4 = Signer(store).presign("GET", path, "60")
        assert opened(f"{v2}&{v4}")[0] in (400, 403)

    def test_a_v2_header_is_refused(self, store: Store, path: str) -> None:
        """V2 in the Authorization header is the downgrade that no SDK needs."""
        signed = {
            "Authorization": f"AWS {store.key_id}:c2lnbmF0dXJl",
            "Date": "Fri, 01 Jan 2026 00:00:00 GMT",
        }
        assert send(store, "GET", path, signed).status in (400, 403)


class TestTrustedPeer:
    def test_the_owners_processes_need_no_signature_on_the_unix_socket(
        self, store: Store, path: str
    ) -> None:
        """Our own rule: trusted users of the unix socket act for the store's account."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(store.socket)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"secret")

    def test_but_a_wrong_signature_stays_wrong(self, store: Store, path: str) -> None:
        """A request that carries a signature is always judged by it."""
        signed = Signer(store, secret="wrong").headers(
            "GET", path, "", {"Host": "store"}, s3_api.EMPTY_SHA256
        )
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(store.socket)
            head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
            connection.sendall(f"GET {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


class TestCors:
    def test_a_preflight_is_told_that_there_is_none(self, store: Store, path: str) -> None:
        """API, OPTIONS object: 403 AccessForbidden where the bucket has no CORS configuration."""
        answer = send(
            store, "OPTIONS", path, {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        )
        assert (answer.status, answer.code) == (403, "AccessForbidden")
        assert not [name for name in answer.headers if name.startswith("access-control-")]
