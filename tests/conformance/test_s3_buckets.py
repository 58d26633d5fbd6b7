"""Buckets and the service, with boto3 and by hand. "API" is the Amazon S3 API Reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.exceptions
import pytest
import s3_api
from s3_api import Answer, bodies, call, events
from store_process import Store


def refused(action: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        action(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


class TestCreateBucket:
    def test_shows_in_the_list_with_its_owner(self, s3: Any, bucket: str) -> None:
        """API_ListBuckets, Response Elements: Buckets, Owner."""
        answer = s3.list_buckets()
        assert bucket in [entry["Name"] for entry in answer["Buckets"]]
        assert len(answer["Owner"]["ID"]) == 64

    def test_again_by_the_owner_is_a_conflict(self, s3: Any, bucket: str) -> None:
        """API_CreateBucket, Errors: BucketAlreadyOwnedByYou, 409 (us-east-1's old 200 is not imitated)."""
        assert refused(s3.create_bucket, Bucket=bucket) == (409, "BucketAlreadyOwnedByYou")

    @pytest.mark.parametrize(
        "name", ["ab", "Abc", "a_b", "a..b", "-ab", "192.168.5.4", "xn--abc", "a" * 64, "_abc"]
    )
    def test_a_name_against_the_rules_is_refused(self, store: Store, name: str) -> None:
        """User Guide, "General purpose bucket naming rules"; Error responses: InvalidBucketName."""
        answer = call(store, "PUT", f"/{name}")
        assert (answer.status, answer.code) == (400, "InvalidBucketName")

    def test_a_foreign_location_is_refused(self, s3: Any) -> None:
        """Error responses: IllegalLocationConstraintException."""
        configuration = {"LocationConstraint": "eu-central-1"}
        name = s3_api.new_bucket_name()
        status, code = refused(s3.create_bucket, Bucket=name, CreateBucketConfiguration=configuration)
        assert (status, code) == (400, "IllegalLocationConstraintException")

    @pytest.mark.parametrize(
        "header",
        [
            ("x-amz-acl", "public-read"),
            ("x-amz-bucket-object-lock-enabled", "true"),
            ("x-amz-grant-read", "id=1"),
        ],
    )
    def test_what_is_not_done_is_refused(self, store: Store, header: tuple[str, str]) -> None:
        """API_CreateBucket, Request: the headers exist; this server has no ACLs and no locks. Nothing is
        created.
        """
        name = s3_api.new_bucket_name()
        answer = call(store, "PUT", f"/{name}", headers=dict([header]))
        assert (answer.status, answer.code) == (501, "NotImplemented")
        assert call(store, "HEAD", f"/{name}").status == 404

    def test_the_private_acl_is_what_there_is(self, s3: Any) -> None:
        """User Guide, "Canned ACL": private is the default; rclone sends it."""
        name = s3_api.new_bucket_name()
        s3.create_bucket(Bucket=name, ACL="private")
        s3.delete_bucket(Bucket=name)


class TestBucket:
    def test_head_says_that_it_is_there(self, s3: Any, bucket: str) -> None:
        """API_HeadBucket: 200, and x-amz-bucket-region."""
        answer = s3.head_bucket(Bucket=bucket)
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "us-east-1"

    def test_head_of_none_is_404_without_a_body(self, store: Store) -> None:
        """API_HeadBucket: "A message body is not included, so you cannot determine the exception beyond
        these".
        """
        answer = call(store, "HEAD", "/no-such-bucket")
        assert (answer.status, answer.body) == (404, b"")

    def test_location_of_the_first_region_is_empty(self, s3: Any, bucket: str) -> None:
        """API_GetBucketLocation: "Buckets in Region us-east-1 have a LocationConstraint of null"."""
        assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None

    def test_versioning_was_never_set(self, s3: Any, bucket: str) -> None:
        """API_GetBucketVersioning, Examples: a bucket that never had versioning has an empty document."""
        assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)

    def test_the_acl_says_what_is_so(self, s3: Any, bucket: str) -> None:
        """API_GetBucketAcl: the owner has FULL_CONTROL."""
        acl = s3.get_bucket_acl(Bucket=bucket)
        assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL"]
        assert acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"]

    def test_a_bucket_with_keys_stays(self, s3: Any, bucket: str) -> None:
        """API_DeleteBucket: all objects must be deleted first; Error responses: BucketNotEmpty, 409."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"")
        assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")

    def test_a_deleted_bucket_is_gone(self, s3: Any) -> None:
        """API_DeleteBucket: 204; Error responses: NoSuchBucket, 404."""
        name = s3_api.new_bucket_name()
        s3.create_bucket(Bucket=name)
        assert s3.delete_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert refused(s3.delete_bucket, Bucket=name) == (404, "NoSuchBucket")
        assert refused(s3.list_objects_v2, Bucket=name) == (404, "NoSuchBucket")
        assert refused(s3.put_object, Bucket=name, Key="k", Body=b"x") == (404, "NoSuchBucket")

    def test_another_owner_is_not_expected(self, s3: Any, bucket: str) -> None:
        """User Guide, "Verifying bucket ownership with bucket owner condition": 403 when it fails."""
        assert refused(s3.list_objects_v2, Bucket=bucket, ExpectedBucketOwner="999999999999") == (
            403,
            "AccessDenied",
        )

    def test_a_bucket_can_be_part_of_the_host(self, store: Store, s3: Any, bucket: str) -> None:
        """User Guide, "Virtual hosting of buckets"."""
        s3.put_object(Bucket=bucket, Key="a/b", Body=b"by host")
        port = s3_api.host(store).rsplit(":", 1)[1]
        for name in (f"{bucket}.localhost:{port}", f"{bucket}.s3.localhost:{port}"):
            assert call(store, "GET", "/a/b", headers={"Host": name}).body == b"by host"


class TestListBuckets:
    def test_pages_and_prefix(self, store: Store, s3: Any) -> None:
        """API_ListBuckets, URI Request Parameters: max-buckets, prefix, continuation-token."""
        names = [f"paged-{i}-bucket" for i in range(3)]
        for name in names:
            s3.create_bucket(Bucket=name)
        seen: list[str] = []
        query = "max-buckets=2&prefix=paged-"
        first = call(store, "GET", "/", query).xml
        seen += [e.text or "" for e in first.iter(f"{s3_api.NAMESPACE}Name")]
        token = first.findtext(f"{s3_api.NAMESPACE}ContinuationToken") or ""
        rest = call(
            store, "GET", "/", f"{query}&continuation-token={token.replace('+', '%2B').replace('=', '%3D')}"
        ).xml
        seen += [e.text or "" for e in rest.iter(f"{s3_api.NAMESPACE}Name")]
        assert seen == names
        assert rest.find(f"{s3_api.NAMESPACE}ContinuationToken") is None
        for name in names:
            s3.delete_bucket(Bucket=name)


UNSUPPORTED = [
    ("PUT", "", "acl", "PutBucketAcl"),
    ("PUT", "/k", "acl", "PutObjectAcl"),
    ("PUT", "", "object-lock", "PutObjectLockConfiguration"),
    ("PUT", "", "website", "PutBucketWebsite"),
    ("DELETE", "", "website", "DeleteBucketWebsite"),
    ("PUT", "", "replication", "PutBucketReplication"),
    ("PUT", "", "encryption", "PutBucketEncryption"),
    ("PUT", "", "logging", "PutBucketLogging"),
    ("GET", "", "metrics", "ListBucketMetricsConfigurations"),
    ("POST", "/k", "select&select-type=2", "SelectObjectContent"),
    ("PUT", "/k", "retention", "PutObjectRetention"),
    ("PUT", "/k", "legal-hold", "PutObjectLegalHold"),
]


class TestNotImplemented:
    @pytest.mark.parametrize(("method", "path", "query", "name"), UNSUPPORTED)
    def test_what_is_not_done_says_so_by_its_name_and_changes_nothing(
        self, store: Store, s3: Any, bucket: str, method: str, path: str, query: str, name: str
    ) -> None:
        """Error responses: NotImplemented, 501. PUT ?versioning on a new name must not make a bucket."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"stays")
        answer = call(store, method, f"/{bucket}{path}", query, body=b"<x/>" if method == "PUT" else b"")
        assert (answer.status, answer.code) == (501, "NotImplemented")
        assert name in answer.field("Message")
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"stays"
        if not path and method == "PUT":
            call(store, "PUT", "/never-made-bucket", query, body=b"<x/>")
            assert call(store, "HEAD", "/never-made-bucket").status == 404

    @pytest.mark.parametrize(
        ("method", "query"), [("PUT", "newfeature"), ("GET", "newfeature"), ("DELETE", "x=1&y=2")]
    )
    def test_an_unknown_sub_resource_is_not_passed_over(
        self, store: Store, method: str, query: str
    ) -> None:
        """Nobody's documented operation: the request is refused, not answered as CreateBucket or
        ListObjects.
        """
        assert call(store, method, "/some-new-bucket", query).status == 501
        assert call(store, "HEAD", "/some-new-bucket").status == 404

    def test_a_method_of_no_resource(self, store: Store, bucket: str) -> None:
        """Error responses: MethodNotAllowed, 405."""
        for method, path in (("POST", f"/{bucket}/k"), ("PATCH", f"/{bucket}"), ("PUT", "/")):
            answer = call(store, method, path)
            assert (answer.status, answer.code) == (405, "MethodNotAllowed")

    def test_two_sub_resources_conflict(self, store: Store, bucket: str) -> None:
        """InvalidArgument, "Conflicting query string parameters"."""
        assert call(store, "GET", f"/{bucket}", "acl&policy").code == "InvalidArgument"


class TestErrorDocument:
    def test_names_the_resource_and_the_request(self, store: Store) -> None:
        """Error responses, "REST error responses": Code, Message, Resource, RequestId, and
        x-amz-request-id.
        """
        answer: Answer = call(store, "GET", "/no-such-bucket/k")
        assert answer.headers["content-type"] == "application/xml"
        assert answer.code == "NoSuchBucket"
        assert answer.field("Resource") == "/no-such-bucket/k"
        assert answer.field("BucketName") == "no-such-bucket"
        assert answer.field("RequestId") == answer.headers["x-amz-request-id"] != ""
        assert answer.field("HostId") == answer.headers["x-amz-id-2"] != ""


class TestNotifications:
    def queue_arn(self, store: Store, queue: str) -> str:
        return f"arn:aws:sqs:us-east-1:{store.account}:{queue.rsplit('/', 1)[1]}"

    def rule(self, arn: str, **more: Any) -> dict[str, Any]:
        return {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], **more}]}

    def test_a_queue_is_told_of_every_put_and_delete_once(
        self, store: Store, s3: Any, bucket: str, queue: str, json_api: Any
    ) -> None:
        """User Guide, "Event message structure" (2.1): the test event first, then one message a change."""
        arn = self.queue_arn(store, queue)
        filters = {
            "Key": {
                "FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".pdf"}]
            }
        }
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "Id": "one",
                        "QueueArn": arn,
                        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
                        "Filter": filters,
                    }
                ]
            },
        )
        [written] = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
        assert (written["Id"], written["QueueArn"]) == ("one", arn)
        assert [r["Name"] for r in written["Filter"]["Key"]["FilterRules"]] == ["Prefix", "Suffix"]
        etag = s3.put_object(Bucket=bucket, Key="in/a b.pdf", Body=b"hello")["ETag"]
        s3.put_object(Bucket=bucket, Key="in/skipped.txt", Body=b"x")
        s3.put_object(Bucket=bucket, Key="out/skipped.pdf", Body=b"x")
        s3.delete_object(Bucket=bucket, Key="in/a b.pdf")
        s3.delete_object(Bucket=bucket, Key="in/a b.pdf")
        told = bodies(json_api, queue)
        assert [body.get("Event") for body in told if "Event" in body] == ["s3:TestEvent"]
        records = [body["Records"][0] for body in told if "Records" in body]
        by_name = {record["eventName"]: record for record in records}
        assert len(records) == 2 and set(by_name) == {"ObjectCreated:Put", "ObjectRemoved:Delete"}
        created = by_name["ObjectCreated:Put"]["s3"]
        assert created["object"]["key"] == "in/a+b.pdf"
        assert created["object"]["size"] == 5
        assert f'"{created["object"]["eTag"]}"' == etag
        assert created["bucket"]["name"] == bucket and created["configurationId"] == "one"
        assert by_name["ObjectRemoved:Delete"]["s3"]["object"]["sequencer"] > created["object"]["sequencer"]

    def test_a_batch_delete_tells_of_each_key_that_was_there(
        self, store: Store, s3: Any, bucket: str, queue: str, json_api: Any
    ) -> None:
        """User Guide, "Event notification types": s3:ObjectRemoved:Delete, also of DeleteObjects."""
        configuration = self.rule(self.queue_arn(store, queue))
        configuration["QueueConfigurations"][0]["Events"] = ["s3:ObjectRemoved:Delete"]
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
        keys = [f"k{i:03}" for i in range(150)]
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in [*keys, "absent", "k000"]]}
        )
        told = [record["s3"]["object"]["key"] for record in events(json_api, queue)]
        assert sorted(told) == keys

    def test_an_empty_configuration_removes_all(
        self, store: Store, s3: Any, bucket: str, queue: str
    ) -> None:
        """API_PutBucketNotificationConfiguration: "If you send an empty NotificationConfiguration, all are
        turned off".
        """
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=self.rule(self.queue_arn(store, queue))
        )
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)

    @pytest.mark.parametrize(
        "arn",
        [
            "arn:aws:sqs:us-east-1:000000000000:no-such-queue",
            "arn:aws:sqs:eu-west-1:000000000000:no-such-queue",
            "arn:aws:sqs:us-east-1:999999999999:q",
            "arn:aws:sqs:us-east-1:000000000000:q.fifo",
        ],
    )
    def test_a_queue_that_cannot_be_reached_is_refused(
        self, store: Store, s3: Any, bucket: str, arn: str
    ) -> None:
        """API_PutBucketNotificationConfiguration: S3 verifies that the queue exists."""
        arn = arn.replace("000000000000", store.account)
        put = s3.put_bucket_notification_configuration
        with pytest.raises(
            botocore.exceptions.ClientError, match="Unable to validate the following destination"
        ):
            put(Bucket=bucket, NotificationConfiguration=self.rule(arn))
        assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)

    def test_an_arn_that_is_none(self, s3: Any, bucket: str) -> None:
        """As Amazon answers: InvalidArgument, "The ARN could not be parsed", ArgumentName Queue."""
        with pytest.raises(botocore.exceptions.ClientError, match="The ARN could not be parsed"):
            s3.put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration=self.rule("queue")
            )

    def test_other_destinations_are_not_implemented(self, s3: Any, bucket: str) -> None:
        """Topics, functions and EventBridge exist at Amazon and not here."""
        for configuration in (
            {
                "TopicConfigurations": [
                    {"TopicArn": "arn:aws:sns:us-east-1:1:t", "Events": ["s3:ObjectCreated:*"]}
                ]
            },
            {
                "LambdaFunctionConfigurations": [
                    {"LambdaFunctionArn": "arn:aws:lambda:x", "Events": ["s3:ObjectCreated:*"]}
                ]
            },
            {"EventBridgeConfiguration": {}},
        ):
            put = s3.put_bucket_notification_configuration
            assert refused(put, Bucket=bucket, NotificationConfiguration=configuration) == (
                501,
                "NotImplemented",
            )

    def test_rules_that_overlap_or_name_no_event(
        self, store: Store, s3: Any, bucket: str, queue: str
    ) -> None:
        """User Guide, "Examples of notification configurations with overlapping prefixes and suffixes"."""
        arn = self.queue_arn(store, queue)
        one = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
        put = s3.put_bucket_notification_configuration
        twice = {"QueueConfigurations": [one, one]}
        assert refused(put, Bucket=bucket, NotificationConfiguration=twice) == (400, "InvalidArgument")
        wrong = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:Nothing"]}]}
        assert refused(put, Bucket=bucket, NotificationConfiguration=wrong) == (400, "InvalidArgument")
