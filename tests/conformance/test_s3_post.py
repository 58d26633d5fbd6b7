"""Uploads from browsers' forms.

"API" is the Amazon S3 API Reference, "Browser-based uploads using POST" and POST Object.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import pathlib
from typing import Any

import pytest
import s3_api
from s3_api import Answer, Signer, events, host, pattern, send
from store_process import Store

BOUNDARY = "----a-boundary"
Fields = list[tuple[str, str]]


def encode(
    fields: Fields, body: bytes | None, name: str = "f.txt", more: str = ""
) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields
    ]
    if body is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n{more}\r\n'
        parts.append(head.encode() + body + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post(store: Store, bucket: str, form: bytes, **headers: str) -> Answer:
    sent = {
        "Host": host(store),
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        **headers,
    }
    return send(store, "POST", f"/{bucket}", sent, form)


def in_time(minutes: int = 10) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
        minutes=minutes
    )
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def signed(
    store: Store,
    conditions: list[Any],
    fields: Fields,
    expires: str = "",
    secret: str = "",
    key_id: str = "",
) -> Fields:
    """The fields with a V4 signature over a policy of these conditions, and what the signature needs."""
    signer = Signer(store, secret=secret, key_id=key_id)
    own = [
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", f"{signer.key_id}/{signer.scope}"),
        ("x-amz-date", signer.date),
    ]
    policy = {
        "expiration": expires or in_time(),
        "conditions": [*conditions, *({name: value} for name, value in own)],
    }
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    return [
        *fields,
        *own,
        ("policy", text),
        ("x-amz-signature", signer.sign_text(text)),
    ]


def usual(
    store: Store, bucket: str, key: str = "k", more: list[Any] | None = None
) -> Fields:
    return signed(
        store,
        [{"bucket": bucket}, ["starts-with", "$key", ""], *(more or [])],
        [("key", key)],
    )


def absent(store: Store, bucket: str, key: str = "k") -> bool:
    return s3_api.call(store, "HEAD", f"/{bucket}/{key}").status == 404


class TestUploads:
    @pytest.mark.parametrize("size", [0, 1, 16 << 10, (16 << 10) + 1, 3 << 20])
    def test_comes_back_as_it_was_sent(
        self, store: Store, s3: Any, bucket: str, size: int
    ) -> None:
        """API: 204 without a success_action_status; ETag and Location."""
        answer = post(store, bucket, encode(usual(store, bucket), pattern(size)))
        assert (answer.status, answer.body) == (204, b""), answer.body
        got = s3.get_object(Bucket=bucket, Key="k")
        assert got["Body"].read() == pattern(size)
        assert got["ETag"] == answer.headers["etag"]
        assert answer.headers["location"].endswith(f"/{bucket}/k")

    @pytest.mark.parametrize("version", ["s3v4", "s3"])
    def test_forms_of_boto3(
        self, store: Store, s3: Any, bucket: str, version: str
    ) -> None:
        """boto3's generate_presigned_post: V4, and by default V2."""
        maker = s3_api.client(store, signature_version=version)
        form = maker.generate_presigned_post(
            bucket,
            "user/${filename}",
            Fields={"x-amz-meta-who": "me", "Content-Type": "text/plain"},
            Conditions=[
                ["starts-with", "$Content-Type", "text/"],
                {"x-amz-meta-who": "me"},
            ],
        )
        answer = post(
            store,
            bucket,
            encode(list(form["fields"].items()), b"body", "C:\\dir\\a b.txt"),
        )
        assert answer.status == 204, answer.body
        got = s3.get_object(Bucket=bucket, Key="user/a b.txt")
        assert got["Body"].read() == b"body"
        assert (got["ContentType"], got["Metadata"]) == ("text/plain", {"who": "me"})

    def test_what_the_answer_is_to_be(self, store: Store, bucket: str) -> None:
        """API: success_action_status 200, 201 with a document; another value is as if there were none."""
        for status, expected in (
            ("200", 200),
            ("201", 201),
            ("204", 204),
            ("302", 204),
        ):
            fields = signed(
                store,
                [
                    {"bucket": bucket},
                    {"key": "k"},
                    ["eq", "$success_action_status", status],
                ],
                [("key", "k"), ("success_action_status", status)],
            )
            answer = post(store, bucket, encode(fields, b"x"))
            assert answer.status == expected
            if expected == 201:
                assert (answer.field("Bucket"), answer.field("Key")) == (bucket, "k")
                assert answer.field("ETag") == answer.headers["etag"]

    def test_a_redirect(self, store: Store, bucket: str) -> None:
        """API: success_action_redirect, 303, with bucket, key and etag; what is no URL is passed over."""
        for url, status in (
            ("https://example.com/done?a=b", 303),
            ("javascript:alert(1)", 204),
        ):
            fields = signed(
                store,
                [{"bucket": bucket}, {"key": "a b"}, {"success_action_redirect": url}],
                [("key", "a b"), ("success_action_redirect", url)],
            )
            answer = post(store, bucket, encode(fields, b"x"))
            assert answer.status == status
        assert answer.headers["location"].startswith("http://")

    def test_tags_and_an_event(
        self, store: Store, s3: Any, bucket: str, queue: str, json_api: Any
    ) -> None:
        """API: the field tagging is a Tagging document; UG: s3:ObjectCreated:Post."""
        arn = f"arn:aws:sqs:us-east-1:{store.account}:{queue.rsplit('/', 1)[1]}"
        rule = {"QueueArn": arn, "Events": ["s3:ObjectCreated:Post"]}
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]}
        )
        document = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
        fields = signed(
            store,
            [{"bucket": bucket}, {"key": "k"}, {"tagging": document}],
            [("key", "k"), ("tagging", document)],
        )
        assert post(store, bucket, encode(fields, b"x")).status == 204
        assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [
            {"Key": "a", "Value": "1"}
        ]
        names = [record["eventName"] for record in events(json_api, queue)]
        assert names == ["ObjectCreated:Post"]

    def test_virtual_host_and_what_follows_the_file(
        self, store: Store, s3: Any, bucket: str
    ) -> None:
        """API: "The file or content must be the last field in the form. Any fields below it are ignored"."""
        form = encode(usual(store, bucket), b"x")
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="key"'
        extra = f"{head}\r\n\r\nother\r\n--{BOUNDARY}--\r\n"
        form = form[: -len(f"--{BOUNDARY}--\r\n")] + extra.encode()
        assert post(store, bucket, form).status == 204
        assert absent(store, bucket, "other") and not absent(store, bucket)


class TestPolicies:
    @pytest.mark.parametrize(
        ("conditions", "fields", "code"),
        [
            (
                [{"bucket": "another-bucket"}, {"key": "k"}],
                [("key", "k")],
                "AccessDenied",
            ),
            ([{"bucket": "BUCKET"}, {"key": "other"}], [("key", "k")], "AccessDenied"),
            (
                [{"bucket": "BUCKET"}, ["starts-with", "$key", "user/"]],
                [("key", "../user/k")],
                "AccessDenied",
            ),
            (
                [{"bucket": "BUCKET"}, {"key": "k"}],
                [("key", "k"), ("x-amz-meta-a", "b")],
                "AccessDenied",
            ),
            (
                [{"bucket": "BUCKET"}, {"key": "k"}],
                [("key", "k"), ("Content-Type", "text/html")],
                "AccessDenied",
            ),
            (
                [{"bucket": "BUCKET"}, {"key": "k"}],
                [("key", "k"), ("acl", "public-read")],
                "AccessDenied",
            ),
            (
                [{"bucket": "BUCKET"}, {"key": "k"}, {"acl": "public-read"}],
                [("key", "k"), ("acl", "public-read")],
                "NotImplemented",
            ),
            (
                [{"bucket": "BUCKET"}, {"key": "k"}],
                [("key", "k"), ("KEY", "other")],
                "InvalidArgument",
            ),
            (
                [{"bucket": "BUCKET"}, {"key": "k"}],
                [("key", "k"), ("bucket", "other")],
                "AccessDenied",
            ),
            (
                [{"bucket": "BUCKET"}, {"x-amz-meta-a": "b"}, {"key": "k"}],
                [("key", "k")],
                "AccessDenied",
            ),
            (
                [["content-length-range", 10, 20], {"bucket": "BUCKET"}, {"key": "k"}],
                [("key", "k")],
                "EntityTooSmall",
            ),
            (
                [["content-length-range", 0, 3], {"bucket": "BUCKET"}, {"key": "k"}],
                [("key", "k")],
                "EntityTooLarge",
            ),
            (
                [["content-length-range", 4, 4], {"bucket": "BUCKET"}, {"key": "k"}],
                [("key", "k")],
                "",
            ),
            (
                [["like", "$key", "k"], {"bucket": "BUCKET"}],
                [("key", "k")],
                "InvalidPolicyDocument",
            ),
        ],
    )
    def test_a_form_keeps_to_its_policy(
        self,
        store: Store,
        bucket: str,
        conditions: list[Any],
        fields: Fields,
        code: str,
    ) -> None:
        """API "Creating a POST policy": conditions, and no field that none of them speaks of. Nothing is
        left behind."""
        named = json.loads(json.dumps(conditions).replace("BUCKET", bucket))
        answer = post(store, bucket, encode(signed(store, named, fields), b"four"))
        assert answer.code == code, answer.body
        assert absent(store, bucket) == bool(code)

    def test_one_that_has_expired(self, store: Store, bucket: str) -> None:
        """API: "Invalid according to Policy: Policy expired."."""
        fields = signed(
            store,
            [{"bucket": bucket}, {"key": "k"}],
            [("key", "k")],
            expires=in_time(-1),
        )
        answer = post(store, bucket, encode(fields, b"x"))
        assert (answer.status, answer.code) == (403, "AccessDenied")
        assert "expired" in answer.field("Message")

    @pytest.mark.parametrize(
        "policy", ["", "{}", '{"expiration": "2099-01-01T00:00:00Z"}', "[]", "no json"]
    )
    def test_documents_that_are_none(
        self, store: Store, bucket: str, policy: str
    ) -> None:
        """Error responses: InvalidPolicyDocument."""
        fields = dict(usual(store, bucket))
        text = base64.b64encode(policy.encode()).decode() or "A==="
        fields |= {"policy": text, "x-amz-signature": Signer(store).sign_text(text)}
        assert (
            post(store, bucket, encode(list(fields.items()), b"x")).code
            == "InvalidPolicyDocument"
        )

    def test_signatures_that_are_none(self, store: Store, bucket: str) -> None:
        """API "Authenticating requests in browser-based uploads"."""
        rules = [{"bucket": bucket}, {"key": "k"}]
        wrong = signed(store, rules, [("key", "k")], secret="wrong")
        assert post(store, bucket, encode(wrong, b"x")).code == "SignatureDoesNotMatch"
        unknown = signed(store, rules, [("key", "k")], key_id="HRNOSUCHKEY", secret="x")
        assert post(store, bucket, encode(unknown, b"x")).code == "InvalidAccessKeyId"
        good = dict(signed(store, rules, [("key", "k")]))
        other = dict(
            signed(
                store, [{"bucket": bucket}, ["starts-with", "$key", ""]], [("key", "k")]
            )
        )
        swapped = good | {"policy": other["policy"]}
        assert (
            post(store, bucket, encode(list(swapped.items()), b"x")).code
            == "SignatureDoesNotMatch"
        )
        for name in (
            "x-amz-signature",
            "x-amz-date",
            "x-amz-credential",
            "x-amz-algorithm",
            "policy",
        ):
            left = [(field, value) for field, value in good.items() if field != name]
            assert post(store, bucket, encode(left, b"x")).code == "InvalidArgument"
        assert post(store, bucket, encode([("key", "k")], b"x")).code == "AccessDenied"
        both = [*good.items(), ("AWSAccessKeyId", store.key_id), ("signature", "x")]
        assert post(store, bucket, encode(both, b"x")).code == "InvalidRequest"
        v2 = base64.b64encode(
            hmac.new(b"wrong", good["policy"].encode(), hashlib.sha1).digest()
        ).decode()
        old = [
            ("key", "k"),
            ("AWSAccessKeyId", store.key_id),
            ("policy", good["policy"]),
            ("signature", v2),
        ]
        assert post(store, bucket, encode(old, b"x")).code == "SignatureDoesNotMatch"
        assert absent(store, bucket)

    def test_a_signed_request_is_no_form(self, store: Store, bucket: str) -> None:
        """Whoever signs the request has said nothing of the form."""
        form = encode([("key", "k")], b"x")
        sent = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        assert (
            s3_api.call(store, "POST", f"/{bucket}", body=form, headers=sent).code
            == "InvalidRequest"
        )


class TestForms:
    @pytest.mark.parametrize(
        "key", ["../../etc/passwd", "a//b", "%2e%2e", "a\\b", "/abs", ".", "ü/"]
    )
    def test_keys_are_bytes_and_never_paths(
        self, store: Store, bucket: str, key: str
    ) -> None:
        assert (
            post(store, bucket, encode(usual(store, bucket, key), key.encode())).status
            == 204
        )
        signer = s3_api.client(store)
        assert signer.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()

    @pytest.mark.parametrize("key", ["", "k" * 1025, "a\0b"])
    def test_keys_that_are_none(self, store: Store, bucket: str, key: str) -> None:
        answer = post(store, bucket, encode(usual(store, bucket, key), b"x"))
        assert answer.status == 400, answer.body

    def test_no_field_becomes_a_header_of_its_own(
        self, store: Store, bucket: str
    ) -> None:
        for name in (
            "Content-Type",
            "x-amz-meta-a",
            "Content-Disposition",
            "success_action_redirect",
        ):
            value = "http://a/\r\nSet-Cookie: b"
            fields = signed(
                store,
                [{"bucket": bucket}, {"key": "k"}, {name: value}],
                [("key", "k"), (name, value)],
            )
            assert post(store, bucket, encode(fields, b"x")).code == "InvalidArgument"

    @pytest.mark.parametrize(
        ("form", "code"),
        [
            (b"", "MalformedPOSTRequest"),
            (b"no form at all", "MalformedPOSTRequest"),
            (encode([("key", "k")], None), "InvalidArgument"),
            (encode([("x", "y" * 21_000)], b"x"), "MaxPostPreDataLengthExceeded"),
            (encode([("no-key", "k")], b"x"), "InvalidArgument"),
        ],
    )
    def test_bodies_that_are_none(
        self, store: Store, bucket: str, form: bytes, code: str
    ) -> None:
        """Error responses: MalformedPOSTRequest, MaxPostPreDataLengthExceeded."""
        answer = post(store, bucket, form)
        assert (answer.status, answer.code) == (400, code)

    def test_another_type_is_no_form(self, store: Store, bucket: str) -> None:
        """API: "Bucket POST must be of the enclosure-type multipart/form-data", 412."""
        answer = send(
            store,
            "POST",
            f"/{bucket}",
            {"Host": host(store), "Content-Type": "text/plain"},
            b"x",
        )
        assert (answer.status, answer.code) == (412, "PreconditionFailed")

    def test_a_file_cut_short_leaves_nothing_behind(
        self, store: Store, bucket: str
    ) -> None:
        def files() -> set[pathlib.Path]:
            return {
                path for path in (store.folder / "blobs").rglob("*") if path.is_file()
            }

        before = files()
        form = encode(usual(store, bucket), pattern(2 << 20))
        answer = post(store, bucket, form[: -len(BOUNDARY) - 10])
        assert (answer.status, answer.code) == (400, "MalformedPOSTRequest")
        wrong = encode(
            usual(store, bucket, more=[["content-length-range", 1, 100_000]]),
            pattern(2 << 20),
        )
        assert post(store, bucket, wrong).code == "EntityTooLarge"
        assert absent(store, bucket) and files() == before
