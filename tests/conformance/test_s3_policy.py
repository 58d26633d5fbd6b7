"""Bucket policies, and what is open to who has no key: nothing but what a policy allows.

"UG" is the Amazon S3 User Guide, "Bucket policies".
"""

from __future__ import annotations

import json
from typing import Any

import botocore.exceptions
import pytest
from s3_api import Answer, call, host, send
from store_process import Store

Statement = dict[str, Any]


def refused(action: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        action(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def allow(
    bucket: str, actions: str | list[str], key: str = "", **more: Any
) -> Statement:
    resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
    return {
        "Effect": "Allow",
        "Principal": "*",
        "Action": actions,
        "Resource": resource,
        **more,
    }


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def open_up(s3: Any, bucket: str, *statements: Statement) -> None:
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=document(*statements))


def anybody(
    store: Store, method: str, target: str, body: bytes = b"", **headers: str
) -> Answer:
    sent = {
        "Host": host(store),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return send(store, method, target, sent, body)


class TestDocuments:
    def test_comes_back_as_it_was_put(self, s3: Any, bucket: str) -> None:
        """API_PutBucketPolicy, API_GetBucketPolicy, API_DeleteBucketPolicy, API_GetBucketPolicyStatus."""
        assert refused(s3.get_bucket_policy, Bucket=bucket) == (
            404,
            "NoSuchBucketPolicy",
        )
        policy = document(
            allow(bucket, "s3:GetObject", "*", Principal={"AWS": "123456789012"})
        )
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
        assert (
            s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
            is False
        )
        s3.delete_bucket_policy(Bucket=bucket)
        assert refused(s3.get_bucket_policy_status, Bucket=bucket) == (
            404,
            "NoSuchBucketPolicy",
        )

    @pytest.mark.parametrize(
        "policy",
        [
            "",
            "no json",
            "{}",
            document(allow("another-bucket", "s3:GetObject", "*")),
            document(allow("BUCKET", "s3:NoSuchAction", "*")),
            document(allow("BUCKET", "s3:GetObject", "*", Effect="Maybe")),
            document(allow("BUCKET", "s3:GetObject", "*", Resource="*")),
        ],
    )
    def test_documents_that_are_none(
        self, store: Store, s3: Any, bucket: str, policy: str
    ) -> None:
        """Error responses: MalformedPolicy; a policy is of its own bucket only."""
        s3.delete_public_access_block(Bucket=bucket)
        answer = call(
            store,
            "PUT",
            f"/{bucket}",
            "policy",
            policy.replace("BUCKET", bucket).encode(),
        )
        assert (answer.status, answer.code) == (400, "MalformedPolicy"), answer.body
        assert refused(s3.get_bucket_policy, Bucket=bucket) == (
            404,
            "NoSuchBucketPolicy",
        )

    def test_what_is_not_known_here_is_refused(self, s3: Any, bucket: str) -> None:
        """A condition that nobody looks at would be a hole."""
        condition = {"StringEquals": {"s3:ExistingObjectTag/a": "b"}}
        policy = document(allow(bucket, "s3:GetObject", "*", Condition=condition))
        s3.delete_public_access_block(Bucket=bucket)
        with pytest.raises(botocore.exceptions.ClientError):
            s3.put_bucket_policy(Bucket=bucket, Policy=policy)


class TestAccessBlock:
    def test_a_new_bucket_takes_no_public_policy(self, s3: Any, bucket: str) -> None:
        """UG "Blocking public access": on by default since 2023."""
        block = s3.get_public_access_block(Bucket=bucket)[
            "PublicAccessBlockConfiguration"
        ]
        assert set(block.values()) == {True} and len(block) == 4
        policy = document(allow(bucket, "s3:GetObject", "*"))
        assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=policy) == (
            403,
            "AccessDenied",
        )
        s3.delete_public_access_block(Bucket=bucket)
        assert refused(s3.get_public_access_block, Bucket=bucket) == (
            404,
            "NoSuchPublicAccessBlockConfiguration",
        )
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        assert (
            s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
            is True
        )

    def test_restricted_a_public_policy_lets_nobody_in(
        self, store: Store, s3: Any, bucket: str
    ) -> None:
        """UG: RestrictPublicBuckets."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        open_up(s3, bucket, allow(bucket, "s3:GetObject", "*"))
        assert anybody(store, "GET", f"/{bucket}/k").status == 200
        s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={"RestrictPublicBuckets": True},
        )
        assert anybody(store, "GET", f"/{bucket}/k").status == 403
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"

    def test_ownership_is_the_buckets(self, s3: Any, bucket: str) -> None:
        """API_GetBucketOwnershipControls: BucketOwnerEnforced by default; there are no ACLs to turn on."""
        rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"][
            "Rules"
        ]
        assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        s3.put_bucket_ownership_controls(
            Bucket=bucket, OwnershipControls={"Rules": rules}
        )
        other = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
        assert refused(
            s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=other
        ) == (
            501,
            "NotImplemented",
        )
        s3.delete_bucket_ownership_controls(Bucket=bucket)
        assert refused(s3.get_bucket_ownership_controls, Bucket=bucket) == (
            404,
            "OwnershipControlsNotFoundError",
        )


class TestNobody:
    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", "/"),
            ("PUT", "/some-new-bucket"),
            ("GET", "/BUCKET"),
            ("GET", "/BUCKET?list-type=2"),
            ("GET", "/BUCKET?versions"),
            ("GET", "/BUCKET?uploads"),
            ("GET", "/BUCKET?policy"),
            ("GET", "/BUCKET?acl"),
            ("GET", "/BUCKET?website"),
            ("GET", "/BUCKET/k"),
            ("HEAD", "/BUCKET/k"),
            ("GET", "/BUCKET/none"),
            ("PUT", "/BUCKET/new"),
            ("DELETE", "/BUCKET/k"),
            ("POST", "/BUCKET?delete"),
            ("DELETE", "/BUCKET"),
            ("GET", "/no-such-bucket/k"),
            ("HEAD", "/no-such-bucket"),
        ],
    )
    def test_gets_nothing_without_a_policy(
        self, store: Store, s3: Any, bucket: str, method: str, target: str
    ) -> None:
        """UG: "By default, all Amazon S3 resources are private"; nobody learns what there is."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        conditions: list[dict[str, str]] = [
            {},
            {"If_Modified_Since": "Fri, 02 Jan 2026 03:04:05 GMT"},
            {"If_None_Match": "*"},
        ]
        for condition in conditions:
            answer = anybody(
                store, method, target.replace("BUCKET", bucket), b"", **condition
            )
            assert answer.status == 403, (condition, answer.body)
            if method != "HEAD":
                assert answer.code == "AccessDenied"

    def test_gets_what_is_allowed_and_no_more(
        self, store: Store, s3: Any, bucket: str
    ) -> None:
        """UG "Bucket policy examples": granting read-only permission to an anonymous user."""
        s3.put_object(Bucket=bucket, Key="pub/a", Body=b"open")
        s3.put_object(Bucket=bucket, Key="private", Body=b"shut")
        open_up(s3, bucket, allow(bucket, "s3:GetObject", "pub/*"))
        assert anybody(store, "GET", f"/{bucket}/pub/a").body == b"open"
        assert anybody(store, "HEAD", f"/{bucket}/pub/a").status == 200
        for target in (
            "private",
            "pub",
            "pub/../private",
            "pub%2F..%2Fprivate",
            "pub/none",
            "?list-type=2",
        ):
            answer = anybody(store, "GET", f"/{bucket}/{target}")
            assert (answer.status, answer.code) == (403, "AccessDenied"), target
        for method in ("PUT", "DELETE"):
            assert anybody(store, method, f"/{bucket}/pub/a", b"").status == 403
        named = anybody(store, "GET", f"/{bucket}/pub/a?versionId=null")
        assert named.status == 403
        answer = anybody(
            store, "GET", f"/{bucket}/pub/a?response-content-type=text/html"
        )
        assert (answer.status, answer.code) == (400, "InvalidRequest")

    def test_learns_of_absence_if_he_may_list(
        self, store: Store, s3: Any, bucket: str
    ) -> None:
        """API_GetObject, Permissions: 404 with s3:ListBucket, else 403."""
        open_up(
            s3,
            bucket,
            allow(bucket, "s3:GetObject", "*"),
            allow(bucket, "s3:ListBucket"),
        )
        assert anybody(store, "GET", f"/{bucket}/none").code == "NoSuchKey"
        assert anybody(store, "GET", f"/{bucket}?list-type=2").status == 200
        assert anybody(store, "GET", f"/{bucket}?versions").status == 403

    def test_a_denial_outweighs_all(self, store: Store, s3: Any, bucket: str) -> None:
        """UG: an explicit deny; the owner too is denied, but can always mend the policy."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        deny = allow(bucket, "s3:GetObject", "k", Effect="Deny")
        open_up(s3, bucket, allow(bucket, "s3:GetObject", "*"), deny)
        assert anybody(store, "GET", f"/{bucket}/k").status == 403
        assert refused(s3.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")
        shut = document(
            {
                **deny,
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{bucket}/*", deny["Resource"]],
            }
        )
        s3.put_bucket_policy(Bucket=bucket, Policy=shut)
        s3.delete_bucket_policy(Bucket=bucket)
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"

    def test_a_copy_and_a_batch_are_asked_for_each_key(
        self, store: Store, s3: Any, bucket: str
    ) -> None:
        """The source of a copy needs s3:GetObject; each key of DeleteObjects its own s3:DeleteObject."""
        for key in ("open", "shut"):
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        denials = [
            allow(bucket, action, "shut", Effect="Deny")
            for action in ("s3:GetObject", "s3:DeleteObject")
        ]
        s3.put_bucket_policy(Bucket=bucket, Policy=document(*denials))
        source = {"Bucket": bucket, "Key": "shut"}
        assert refused(
            s3.copy_object, Bucket=bucket, Key="copy", CopySource=source
        ) == (403, "AccessDenied")
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": "open"}, {"Key": "shut"}]}
        )
        assert [entry["Key"] for entry in answer["Deleted"]] == ["open"]
        assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [
            ("shut", "AccessDenied")
        ]
        s3.delete_bucket_policy(Bucket=bucket)

    def test_conditions(self, store: Store, s3: Any, bucket: str) -> None:
        """UG "Bucket policy examples using condition keys": aws:Referer, s3:prefix."""
        s3.put_object(Bucket=bucket, Key="a/k", Body=b"x")
        open_up(
            s3,
            bucket,
            allow(
                bucket,
                "s3:GetObject",
                "*",
                Condition={"StringLike": {"aws:Referer": "https://example.com/*"}},
            ),
            allow(
                bucket, "s3:ListBucket", Condition={"StringEquals": {"s3:prefix": "a/"}}
            ),
        )
        assert anybody(store, "GET", f"/{bucket}/a/k").status == 403
        assert (
            anybody(
                store, "GET", f"/{bucket}/a/k", Referer="https://example.com/x"
            ).status
            == 200
        )
        assert anybody(store, "GET", f"/{bucket}?prefix=a/").status == 200
        assert anybody(store, "GET", f"/{bucket}?prefix=b/").status == 403
        assert anybody(store, "GET", f"/{bucket}").status == 403

    def test_uploads_where_he_is_let(self, store: Store, s3: Any, bucket: str) -> None:
        """UG: s3:PutObject, by PUT and by a form without a signature."""
        open_up(s3, bucket, allow(bucket, "s3:PutObject", "in/*"))
        assert anybody(store, "PUT", f"/{bucket}/in/a", b"put").status == 200
        assert anybody(store, "PUT", f"/{bucket}/out", b"put").status == 403
        for key, status in (("in/b", 204), ("out", 403)):
            form = (
                f'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n{key}\r\n'
                '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nform\r\n--b--\r\n'
            )
            answer = anybody(
                store,
                "POST",
                f"/{bucket}",
                form.encode(),
                Content_Type="multipart/form-data; boundary=b",
            )
            assert answer.status == status, answer.body
        assert s3.get_object(Bucket=bucket, Key="in/b")["Body"].read() == b"form"
