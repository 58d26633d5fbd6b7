"""Cross-origin rules and what they do to answers.

"UG" is the Amazon S3 User Guide, "Using cross-origin resource sharing (CORS)".
"""

from __future__ import annotations

from typing import Any

import botocore.exceptions
import pytest
from s3_api import Answer, call, host, send
from store_process import Store

RULES = [
    {
        "ID": "one",
        "AllowedOrigins": ["https://*.example.com", "https://shop.example"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["x-amz-*", "Content-Type"],
        "ExposeHeaders": ["ETag", "x-amz-request-id"],
        "MaxAgeSeconds": 3000,
    },
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]},
]


def refused(action: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        action(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture
def ruled(s3: Any, bucket: str) -> str:
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    return bucket


def preflight(store: Store, path: str, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return send(store, "OPTIONS", path, {"Host": host(store), **sent})


class TestConfiguration:
    def test_comes_back_as_it_was_put(self, s3: Any, ruled: str) -> None:
        """API_PutBucketCors, API_GetBucketCors, API_DeleteBucketCors."""
        assert s3.get_bucket_cors(Bucket=ruled)["CORSRules"] == RULES
        s3.delete_bucket_cors(Bucket=ruled)
        assert refused(s3.get_bucket_cors, Bucket=ruled) == (
            404,
            "NoSuchCORSConfiguration",
        )

    @pytest.mark.parametrize(
        ("rule", "code"),
        [
            ({"AllowedOrigins": ["*"], "AllowedMethods": ["PATCH"]}, "InvalidRequest"),
            (
                {"AllowedOrigins": ["http://*.*"], "AllowedMethods": ["GET"]},
                "InvalidRequest",
            ),
            ({"AllowedOrigins": ["*"], "AllowedMethods": []}, "MalformedXML"),
            ({"AllowedOrigins": [], "AllowedMethods": ["GET"]}, "MalformedXML"),
            (
                {"AllowedOrigins": ["a\r\nSet-Cookie: x"], "AllowedMethods": ["GET"]},
                "InvalidRequest",
            ),
            (
                {
                    "AllowedOrigins": ["*"],
                    "AllowedMethods": ["GET"],
                    "AllowedHeaders": ["*a*"],
                },
                "InvalidRequest",
            ),
            (
                {
                    "AllowedOrigins": ["*"],
                    "AllowedMethods": ["GET"],
                    "ExposeHeaders": ["x-*"],
                },
                "InvalidRequest",
            ),
            (
                {
                    "AllowedOrigins": ["*"],
                    "AllowedMethods": ["GET"],
                    "ExposeHeaders": ["a\r\nb: c"],
                },
                "InvalidRequest",
            ),
        ],
    )
    def test_rules_that_are_none(
        self, s3: Any, bucket: str, rule: dict[str, Any], code: str
    ) -> None:
        """UG "Elements of a CORS configuration": one wildcard, five methods; no header is ever split."""
        configuration = {"CORSRules": [rule]}
        assert refused(
            s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=configuration
        ) == (400, code)

    def test_a_hundred_rules_at_most(self, s3: Any, bucket: str) -> None:
        """UG: "You can add up to 100 rules to the configuration"."""
        rules = [
            {"AllowedOrigins": [f"http://{i}"], "AllowedMethods": ["GET"]}
            for i in range(101)
        ]
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules[:100]})
        code = refused(
            s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": rules}
        )
        assert code == (400, "InvalidRequest")


class TestPreflight:
    def test_of_what_is_allowed(self, store: Store, ruled: str) -> None:
        """UG "How does Amazon S3 evaluate the CORS configuration on a bucket?"; nobody signs it."""
        answer = preflight(
            store,
            f"/{ruled}/k",
            Origin="https://a.example.com",
            Access_Control_Request_Method="PUT",
            Access_Control_Request_Headers="X-Amz-Date, content-type",
        )
        assert answer.status == 200 and answer.body == b""
        assert answer.headers["access-control-allow-origin"] == "https://a.example.com"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-methods"] == "GET, PUT"
        assert (
            answer.headers["access-control-allow-headers"] == "x-amz-date, content-type"
        )
        assert (
            answer.headers["access-control-expose-headers"] == "ETag, x-amz-request-id"
        )
        assert answer.headers["access-control-max-age"] == "3000"
        assert "Origin" in answer.headers["vary"]

    def test_a_wildcard_never_comes_with_credentials(
        self, store: Store, ruled: str
    ) -> None:
        answer = preflight(
            store, f"/{ruled}", Origin="http://any", Access_Control_Request_Method="GET"
        )
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://any", "Access_Control_Request_Method": "PUT"},
            {
                "Origin": "https://a.example.com.evil",
                "Access_Control_Request_Method": "PUT",
            },
            {
                "Origin": "https://shop.example",
                "Access_Control_Request_Method": "PUT",
                "Access_Control_Request_Headers": "authorization",
            },
        ],
    )
    def test_of_what_is_not(
        self, store: Store, ruled: str, headers: dict[str, str]
    ) -> None:
        """Error responses: AccessForbidden, 403."""
        answer = preflight(store, f"/{ruled}/k", **headers)
        assert (answer.status, answer.code) == (403, "AccessForbidden")
        assert "access-control-allow-origin" not in answer.headers

    def test_without_an_origin_or_a_method(self, store: Store, ruled: str) -> None:
        """API_OptionsObject, "Insufficient information. Origin request header needed."."""
        assert (
            preflight(store, f"/{ruled}", Access_Control_Request_Method="GET").code
            == "BadRequest"
        )
        assert preflight(store, f"/{ruled}", Origin="http://any").code == "BadRequest"

    def test_says_the_same_of_no_rules_and_of_no_bucket(
        self, store: Store, bucket: str
    ) -> None:
        """Nobody learns without a signature which buckets there are."""
        headers = {"Origin": "http://any", "Access_Control_Request_Method": "GET"}
        there, absent = (
            preflight(store, f"/{name}", **headers)
            for name in (bucket, "no-such-bucket")
        )
        assert (there.status, there.code, there.field("Message")) == (
            absent.status,
            absent.code,
            absent.field("Message"),
        )


class TestAnswers:
    def test_carry_what_the_first_fitting_rule_says(
        self, store: Store, ruled: str
    ) -> None:
        """UG: the first rule that matches the Origin and the method of the actual request."""
        headers = {"Origin": "https://shop.example"}
        put = call(store, "PUT", f"/{ruled}/k", body=b"x", headers=headers)
        assert put.headers["access-control-allow-origin"] == "https://shop.example"
        assert put.headers["access-control-expose-headers"] == "ETag, x-amz-request-id"
        got = call(store, "GET", f"/{ruled}/k", headers={"Origin": "http://any"})
        assert (got.body, got.headers["access-control-allow-origin"]) == (b"x", "*")

    def test_errors_too(self, store: Store, ruled: str) -> None:
        """A page must be able to read why it was refused."""
        answer = call(
            store, "GET", f"/{ruled}/none", headers={"Origin": "https://shop.example"}
        )
        assert answer.status == 404
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"

    def test_nothing_without_an_origin_or_a_rule(
        self, store: Store, ruled: str
    ) -> None:
        assert (
            "access-control-allow-origin" not in call(store, "GET", f"/{ruled}").headers
        )
        answer = call(store, "DELETE", f"/{ruled}/k", headers={"Origin": "http://any"})
        assert "access-control-allow-origin" not in answer.headers
