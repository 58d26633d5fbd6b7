"""Tags of objects and buckets. "API" is the Amazon S3 API Reference, "UG" its User Guide."""

from __future__ import annotations

from typing import Any

import botocore.exceptions
import pytest
from s3_api import call, events
from store_process import Store

TagSet = list[dict[str, str]]


def tag_set(**tags: str) -> TagSet:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def refused(action: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        action(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def document(tags: TagSet) -> bytes:
    inner = "".join(
        f"<Tag><Key>{tag['Key']}</Key><Value>{tag['Value']}</Value></Tag>"
        for tag in tags
    )
    return f"<Tagging><TagSet>{inner}</TagSet></Tagging>".encode()


class TestObjectTagging:
    def test_tags_come_back_and_the_object_stays(self, s3: Any, bucket: str) -> None:
        """API_PutObjectTagging, API_GetObjectTagging; UG "Object tagging": tags are no part of the object."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"body", Metadata={"a": "b"})
        before = s3.head_object(Bucket=bucket, Key="k")
        assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
        s3.put_object_tagging(
            Bucket=bucket, Key="k", Tagging={"TagSet": tag_set(team="blue", empty="")}
        )
        assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tag_set(
            empty="", team="blue"
        )
        after = s3.get_object(Bucket=bucket, Key="k")
        assert after["Body"].read() == b"body"
        assert (after["TagCount"], after["Metadata"]) == (2, {"a": "b"})
        assert (after["ETag"], after["LastModified"]) == (
            before["ETag"],
            before["LastModified"],
        )

    def test_a_new_set_replaces_the_old_one_and_a_delete_removes_it(
        self, s3: Any, bucket: str
    ) -> None:
        """API_PutObjectTagging: "The set replaces"; API_DeleteObjectTagging: 204."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1&b=2")
        s3.put_object_tagging(
            Bucket=bucket, Key="k", Tagging={"TagSet": tag_set(c="3")}
        )
        assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tag_set(c="3")
        gone = s3.delete_object_tagging(Bucket=bucket, Key="k")
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
        assert "TagCount" not in s3.get_object(Bucket=bucket, Key="k")

    def test_an_overwrite_takes_the_tags_away(self, s3: Any, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1")
        s3.put_object(Bucket=bucket, Key="k", Body=b"")
        assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []

    def test_of_a_large_object_and_of_one_of_parts(self, s3: Any, bucket: str) -> None:
        """API_CreateMultipartUpload: x-amz-tagging."""
        s3.put_object(Bucket=bucket, Key="file", Body=b"x" * 100_000, Tagging="a=1")
        upload = s3.create_multipart_upload(
            Bucket=bucket, Key="parts", Tagging="p%20q=%C3%BC"
        )["UploadId"]
        etag = s3.upload_part(
            Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"part"
        )["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        s3.complete_multipart_upload(
            Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts
        )
        assert s3.get_object_tagging(Bucket=bucket, Key="parts")["TagSet"] == tag_set(
            **{"p q": "ü"}
        )
        for key, body in (("file", b"x" * 100_000), ("parts", b"part")):
            s3.put_object_tagging(
                Bucket=bucket, Key=key, Tagging={"TagSet": tag_set(new="")}
            )
            assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body

    def test_a_copy_keeps_them_or_takes_new_ones(self, s3: Any, bucket: str) -> None:
        """API_CopyObject: x-amz-tagging-directive, COPY is the default."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1")
        source = {"Bucket": bucket, "Key": "k"}
        s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
        assert s3.get_object_tagging(Bucket=bucket, Key="same")["TagSet"] == tag_set(
            a="1"
        )
        s3.copy_object(
            Bucket=bucket,
            Key="new",
            CopySource=source,
            TaggingDirective="REPLACE",
            Tagging="b=2",
        )
        assert s3.get_object_tagging(Bucket=bucket, Key="new")["TagSet"] == tag_set(
            b="2"
        )
        s3.copy_object(
            Bucket=bucket, Key="none", CopySource=source, TaggingDirective="REPLACE"
        )
        assert s3.get_object_tagging(Bucket=bucket, Key="none")["TagSet"] == []
        s3.copy_object(
            Bucket=bucket, Key="meta", CopySource=source, MetadataDirective="REPLACE"
        )
        assert s3.get_object_tagging(Bucket=bucket, Key="meta")["TagSet"] == tag_set(
            a="1"
        )

    def test_of_a_key_that_is_not_there(self, s3: Any, bucket: str) -> None:
        """Error responses: NoSuchKey, NoSuchBucket."""
        for action in (s3.get_object_tagging, s3.delete_object_tagging):
            assert refused(action, Bucket=bucket, Key="none") == (404, "NoSuchKey")
        tags = {"TagSet": tag_set(a="1")}
        assert refused(
            s3.put_object_tagging, Bucket=bucket, Key="none", Tagging=tags
        ) == (404, "NoSuchKey")
        assert refused(
            s3.put_object_tagging, Bucket="no-such-bucket", Key="k", Tagging=tags
        ) == (
            404,
            "NoSuchBucket",
        )

    @pytest.mark.parametrize(
        ("tags", "error"),
        [
            (tag_set(**{f"k{i}": "" for i in range(10)}), ""),
            (tag_set(**{f"k{i}": "" for i in range(11)}), "BadRequest"),
            (tag_set(**{"ü" * 128: "ö" * 256}), ""),
            (tag_set(**{"k" * 129: ""}), "InvalidTag"),
            (tag_set(k="v" * 257), "InvalidTag"),
            (tag_set(**{"": "v"}), "InvalidTag"),
            (tag_set(**{"aws:x": "v"}), "InvalidTag"),
            (tag_set(k="a?b"), "InvalidTag"),
            (tag_set(k="+-=._:/@ 9") + tag_set(k="again"), "InvalidTag"),
            (tag_set(k="+-=._:/@ 9"), ""),
        ],
    )
    def test_the_rules_of_tags(
        self, store: Store, s3: Any, bucket: str, tags: TagSet, error: str
    ) -> None:
        """UG "Object tagging": 10 tags, keys of 128 and values of 256 Unicode characters, unique, letters,
        digits, spaces and + - = . _ : / @; aws: is AWS's own."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"")
        answer = call(store, "PUT", f"/{bucket}/k", "tagging", document(tags))
        assert answer.code == error, answer.body
        assert len(s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]) == (
            0 if error else len(tags)
        )

    @pytest.mark.parametrize(
        ("header", "error"),
        [
            ("a=1&a=2", "InvalidArgument"),
            ("a=%ZZ", "InvalidArgument"),
            ("aws:a=1", "InvalidTag"),
            ("&".join(f"k{i}=" for i in range(11)), "BadRequest"),
            ("a=%3Cscript%3E", "InvalidTag"),
        ],
    )
    def test_a_header_against_the_rules_stores_nothing(
        self, store: Store, bucket: str, header: str, error: str
    ) -> None:
        """API_PutObject: x-amz-tagging "must be encoded as URL Query parameters"."""
        answer = call(
            store, "PUT", f"/{bucket}/k", body=b"x", headers={"x-amz-tagging": header}
        )
        assert (answer.status, answer.code) == (400, error)
        assert call(store, "HEAD", f"/{bucket}/k").status == 404

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<Tagging/>",
            b"<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>",
            b"<Tagging><TagSet><Tag><Key>k</Key><Value/><More/></Tag></TagSet></Tagging>",
            b"<!DOCTYPE x [<!ENTITY e 'v'>]><Tagging><TagSet/></Tagging>",
            b"<Tagging><TagSet>"
            + b"<Tag>" * 100
            + b"</Tag>" * 100
            + b"</TagSet></Tagging>",
        ],
    )
    def test_documents_that_are_none(
        self, store: Store, bucket: str, body: bytes
    ) -> None:
        """Error responses: MalformedXML."""
        call(store, "PUT", f"/{bucket}/k", body=b"")
        assert (
            call(store, "PUT", f"/{bucket}/k", "tagging", body).code == "MalformedXML"
        )

    def test_a_body_that_is_not_what_was_promised(
        self, store: Store, bucket: str
    ) -> None:
        """Error responses: BadDigest."""
        call(store, "PUT", f"/{bucket}/k", body=b"")
        headers = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
        answer = call(
            store,
            "PUT",
            f"/{bucket}/k",
            "tagging",
            document(tag_set(a="1")),
            headers=headers,
        )
        assert answer.code == "BadDigest"

    def test_a_queue_is_told(
        self, store: Store, s3: Any, bucket: str, queue: str, json_api: Any
    ) -> None:
        """UG "Supported event types": s3:ObjectTagging:Put and :Delete; the object has key and eTag."""
        arn = f"arn:aws:sqs:us-east-1:{store.account}:{queue.rsplit('/', 1)[1]}"
        rule = {"QueueArn": arn, "Events": ["s3:ObjectTagging:*"]}
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]}
        )
        s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1")
        s3.put_object_tagging(
            Bucket=bucket, Key="k", Tagging={"TagSet": tag_set(b="2")}
        )
        s3.delete_object_tagging(Bucket=bucket, Key="k")
        told = {
            record["eventName"]: record["s3"]["object"]
            for record in events(json_api, queue)
        }
        expected = {"key": "k", "eTag": "d41d8cd98f00b204e9800998ecf8427e"}
        assert told == {"ObjectTagging:Put": expected, "ObjectTagging:Delete": expected}


class TestBucketTagging:
    def test_tags_of_a_bucket(self, s3: Any, bucket: str) -> None:
        """API_GetBucketTagging: NoSuchTagSet where there are none; API_PutBucketTagging."""
        assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set(cost="blue")})
        assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set(cost="blue")
        s3.delete_bucket_tagging(Bucket=bucket)
        assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")
        s3.delete_bucket_tagging(Bucket=bucket)

    @pytest.mark.parametrize(("count", "code"), [(50, ""), (51, "BadRequest")])
    def test_fifty_tags_at_most(
        self, store: Store, bucket: str, count: int, code: str
    ) -> None:
        """UG "Using cost allocation S3 bucket tags"."""
        tags = tag_set(**{f"k{i}": "" for i in range(count)})
        assert call(store, "PUT", f"/{bucket}", "tagging", document(tags)).code == code
