"""Versions of objects. "API" is the Amazon S3 API Reference, "UG" its User Guide, "Using versioning"."""

from __future__ import annotations

import re
from typing import Any

import botocore.exceptions
import pytest
from s3_api import call, events, pattern
from store_process import Store


def refused(action: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        action(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def switch(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    switch(s3, bucket, "Enabled")
    return bucket


def put(s3: Any, bucket: str, key: str, *bodies: bytes) -> list[str]:
    return [
        s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId", "null")
        for body in bodies
    ]


def body(s3: Any, bucket: str, key: str, version: str | None = None) -> bytes:
    named = {"VersionId": version} if version else {}
    data: bytes = s3.get_object(Bucket=bucket, Key=key, **named)["Body"].read()
    return data


def shown(s3: Any, bucket: str, **arguments: Any) -> list[tuple[str, str, bool]]:
    """Every version and delete marker, in the order of their kinds: key, id, whether it is the latest."""
    page = s3.list_object_versions(Bucket=bucket, **arguments)
    return [
        (entry["Key"], entry["VersionId"], entry["IsLatest"])
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", [])
    ]


class TestConfiguration:
    def test_is_on_suspended_or_was_never_set(self, s3: Any, bucket: str) -> None:
        """API_PutBucketVersioning, API_GetBucketVersioning."""
        assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
        for status in ("Enabled", "Suspended", "Enabled"):
            switch(s3, bucket, status)
            assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status

    @pytest.mark.parametrize(
        ("document", "code"),
        [
            (
                "<VersioningConfiguration><MfaDelete>Enabled</MfaDelete><Status>Enabled</Status>"
                "</VersioningConfiguration>",
                "NotImplemented",
            ),
            ("<VersioningConfiguration/>", "IllegalVersioningConfigurationException"),
            (
                "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
                "MalformedXML",
            ),
            ("<CreateBucketConfiguration/>", "MalformedXML"),
        ],
    )
    def test_documents_that_are_none(
        self, store: Store, bucket: str, document: str, code: str
    ) -> None:
        """Error responses: IllegalVersioningConfigurationException; two factors are not done here."""
        assert (
            call(store, "PUT", f"/{bucket}", "versioning", document.encode()).code
            == code
        )
        assert b"Status" not in call(store, "GET", f"/{bucket}", "versioning").body


class TestVersions:
    @pytest.mark.parametrize("size", [0, 5, 16 << 10, 100_000])
    def test_an_overwrite_keeps_what_was_there(
        self, s3: Any, versioned: str, size: int
    ) -> None:
        """UG "Adding objects to versioning-enabled buckets"."""
        bodies = [pattern(size), pattern(size + 1), b"last"]
        ids = put(s3, versioned, "k", *bodies)
        assert len(set(ids)) == 3 and all(len(version) == 32 for version in ids)
        assert body(s3, versioned, "k") == b"last"
        for version, data in zip(ids, bodies):
            assert body(s3, versioned, "k", version) == data
            head = s3.head_object(Bucket=versioned, Key="k", VersionId=version)
            assert (head["VersionId"], head["ContentLength"]) == (version, len(data))
        assert s3.get_object(Bucket=versioned, Key="k")["VersionId"] == ids[-1]

    def test_an_object_from_before_is_the_version_null(
        self, s3: Any, bucket: str
    ) -> None:
        """UG: "Objects that are stored in your bucket before you set the versioning state have a version
        ID of null"."""
        put(s3, bucket, "k", b"before")
        switch(s3, bucket, "Enabled")
        assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
        [second] = put(s3, bucket, "k", b"after")
        assert body(s3, bucket, "k", "null") == b"before"
        assert shown(s3, bucket) == [("k", second, True), ("k", "null", False)]
        s3.delete_object(Bucket=bucket, Key="k", VersionId=second)
        assert body(s3, bucket, "k") == b"before"

    def test_suspended_there_is_one_null_version_at_most(
        self, s3: Any, bucket: str
    ) -> None:
        """UG "Adding objects to versioning-suspended buckets": it overwrites the null version, and only
        that."""
        put(s3, bucket, "k", b"null 1")
        switch(s3, bucket, "Enabled")
        [kept] = put(s3, bucket, "k", b"kept")
        switch(s3, bucket, "Suspended")
        assert put(s3, bucket, "k", b"null 2", b"null 3") == ["null", "null"]
        assert shown(s3, bucket) == [("k", "null", True), ("k", kept, False)]
        assert (body(s3, bucket, "k"), body(s3, bucket, "k", kept)) == (
            b"null 3",
            b"kept",
        )
        s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
        assert body(s3, bucket, "k") == b"kept"

    def test_ids_that_are_none(self, s3: Any, versioned: str) -> None:
        """Error responses: NoSuchVersion, 404; InvalidArgument, "Invalid version id specified"."""
        [version] = put(s3, versioned, "k", b"x")
        for action in (s3.get_object, s3.get_object_tagging):
            assert refused(
                action, Bucket=versioned, Key="other", VersionId=version
            ) == (404, "NoSuchVersion")
            assert refused(action, Bucket=versioned, Key="k", VersionId="null") == (
                404,
                "NoSuchVersion",
            )
            for wrong in ("x", version[:-1], version.upper(), "../k"):
                assert refused(action, Bucket=versioned, Key="k", VersionId=wrong) == (
                    400,
                    "InvalidArgument",
                )
        assert refused(s3.get_object, Bucket=versioned, Key="k", VersionId="") == (
            400,
            "InvalidArgument",
        )

    def test_conditions_are_judged_by_the_current_version(
        self, s3: Any, versioned: str
    ) -> None:
        """UG "Conditional requests": a delete marker is no object for If-None-Match."""
        put(s3, versioned, "k", b"one")
        etag = s3.put_object(Bucket=versioned, Key="k", Body=b"two")["ETag"]

        def conditional(**headers: str) -> int:
            def add(request: Any, **_: Any) -> None:
                for name, value in headers.items():
                    request.headers[name.replace("_", "-")] = value

            s3.meta.events.register("before-sign.s3.PutObject", add)
            try:
                status: int = s3.put_object(Bucket=versioned, Key="k", Body=b"n")[
                    "ResponseMetadata"
                ]["HTTPStatusCode"]
                return status
            except botocore.exceptions.ClientError as error:
                return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
            finally:
                s3.meta.events.unregister("before-sign.s3.PutObject", add)

        assert conditional(If_None_Match="*") == 412
        assert conditional(If_Match=etag) == 200
        assert conditional(If_Match=etag) == 412
        s3.delete_object(Bucket=versioned, Key="k")
        assert conditional(If_Match=etag) == 404
        assert conditional(If_None_Match="*") == 200

    def test_of_parts(self, s3: Any, versioned: str) -> None:
        """API_CompleteMultipartUpload: x-amz-version-id."""
        [first] = put(s3, versioned, "k", b"first")
        upload = s3.create_multipart_upload(Bucket=versioned, Key="k")["UploadId"]
        bodies = [pattern(5 << 20), b"tail"]
        parts = [
            {
                "PartNumber": number,
                "ETag": s3.upload_part(
                    Bucket=versioned,
                    Key="k",
                    UploadId=upload,
                    PartNumber=number,
                    Body=data,
                )["ETag"],
            }
            for number, data in enumerate(bodies, 1)
        ]
        made = s3.complete_multipart_upload(
            Bucket=versioned, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}
        )["VersionId"]
        [last] = put(s3, versioned, "k", b"last")
        assert body(s3, versioned, "k", made) == b"".join(bodies)
        s3.delete_object(Bucket=versioned, Key="k", VersionId=last)
        assert body(s3, versioned, "k") == b"".join(bodies)
        assert (
            s3.get_object(Bucket=versioned, Key="k", PartNumber=2)["Body"].read()
            == b"tail"
        )
        s3.delete_object(Bucket=versioned, Key="k", VersionId=made)
        assert (
            body(s3, versioned, "k") == b"first"
            and first == s3.head_object(Bucket=versioned, Key="k")["VersionId"]
        )


class TestDeletes:
    def test_a_delete_marker_hides_the_key(
        self, s3: Any, store: Store, versioned: str
    ) -> None:
        """UG "Working with delete markers": 404 and x-amz-delete-marker; by its id 405, Allow: DELETE."""
        [version] = put(s3, versioned, "k", b"x")
        gone = s3.delete_object(Bucket=versioned, Key="k")
        assert gone["DeleteMarker"] and gone["VersionId"] != version
        hidden = call(store, "GET", f"/{versioned}/k")
        assert (hidden.status, hidden.code) == (404, "NoSuchKey")
        assert hidden.headers["x-amz-delete-marker"] == "true"
        assert hidden.headers["x-amz-version-id"] == gone["VersionId"]
        named = call(store, "GET", f"/{versioned}/k", f"versionId={gone['VersionId']}")
        assert (named.status, named.code) == (405, "MethodNotAllowed")
        assert (named.headers["allow"], named.headers["x-amz-delete-marker"]) == (
            "DELETE",
            "true",
        )
        assert (
            call(
                store, "HEAD", f"/{versioned}/k", f"versionId={gone['VersionId']}"
            ).status
            == 405
        )
        assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
        assert body(s3, versioned, "k", version) == b"x"

    def test_removing_the_marker_brings_the_object_back(
        self, s3: Any, versioned: str
    ) -> None:
        """UG "Removing delete markers to make an older version current"."""
        put(s3, versioned, "k", b"x")
        markers = [
            s3.delete_object(Bucket=versioned, Key="k")["VersionId"] for _ in range(2)
        ]
        removed = s3.delete_object(Bucket=versioned, Key="k", VersionId=markers[1])
        assert removed["DeleteMarker"] and removed["VersionId"] == markers[1]
        assert refused(s3.get_object, Bucket=versioned, Key="k") == (404, "NoSuchKey")
        s3.delete_object(Bucket=versioned, Key="k", VersionId=markers[0])
        assert body(s3, versioned, "k") == b"x"

    def test_a_key_that_never_was_gets_a_marker_too(
        self, s3: Any, versioned: str
    ) -> None:
        """API_DeleteObject: with versioning, a delete inserts a marker; one of a version that is not there
        changes nothing."""
        assert s3.delete_object(Bucket=versioned, Key="none")["DeleteMarker"]
        [(key, version, latest)] = shown(s3, versioned)
        assert (key, latest) == ("none", True)
        s3.delete_object(Bucket=versioned, Key="other", VersionId=version)
        assert shown(s3, versioned) == [(key, version, latest)]
        assert refused(s3.delete_bucket, Bucket=versioned) == (409, "BucketNotEmpty")

    def test_suspended_the_marker_is_null(self, s3: Any, bucket: str) -> None:
        """UG "Deleting objects from versioning-suspended buckets": the null version goes, a null marker
        stays."""
        switch(s3, bucket, "Enabled")
        [kept] = put(s3, bucket, "k", b"kept")
        switch(s3, bucket, "Suspended")
        put(s3, bucket, "k", b"null")
        gone = s3.delete_object(Bucket=bucket, Key="k")
        assert (gone["DeleteMarker"], gone["VersionId"]) == (True, "null")
        assert shown(s3, bucket) == [("k", kept, False), ("k", "null", True)]
        s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
        assert body(s3, bucket, "k") == b"kept"

    def test_a_batch_of_versions_of_one_key(self, s3: Any, versioned: str) -> None:
        """API_DeleteObjects: VersionId of each; DeleteMarker and DeleteMarkerVersionId in the answer."""
        ids = put(s3, versioned, "k", *[b"%d" % i for i in range(30)])
        objects = [{"Key": "k", "VersionId": version} for version in ids[:-1]] + [
            {"Key": "other"}
        ]
        answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})
        assert len(answer["Deleted"]) == 30 and "Errors" not in answer
        [made] = [entry for entry in answer["Deleted"] if entry["Key"] == "other"]
        assert made["DeleteMarker"] and made["DeleteMarkerVersionId"]
        assert shown(s3, versioned) == [
            ("k", ids[-1], True),
            ("other", made["DeleteMarkerVersionId"], True),
        ]
        again = s3.delete_objects(
            Bucket=versioned,
            Delete={
                "Objects": [
                    {"Key": "other", "VersionId": made["DeleteMarkerVersionId"]},
                    {"Key": "k", "VersionId": "x"},
                ]
            },
        )
        assert again["Deleted"][0]["DeleteMarker"]
        assert [error["Code"] for error in again["Errors"]] == ["InvalidArgument"]


class TestListing:
    def test_pages_of_every_size_show_all_in_order(
        self, s3: Any, versioned: str
    ) -> None:
        """API_ListObjectVersions: by key, the newest first; KeyMarker and VersionIdMarker."""
        for key in ("a", "a/1", "a/2", "b"):
            put(s3, versioned, key, b"1", b"22", b"333")
        s3.delete_object(Bucket=versioned, Key="b")
        whole = s3.list_object_versions(Bucket=versioned)
        assert [(v["Key"], v["Size"]) for v in whole["Versions"]] == [
            (key, size) for key in ("a", "a/1", "a/2", "b") for size in (3, 2, 1)
        ]
        assert [v["IsLatest"] for v in whole["Versions"]] == [
            True,
            False,
            False,
        ] * 3 + [False] * 3
        assert [m["IsLatest"] for m in whole["DeleteMarkers"]] == [True]
        for size in range(1, 14):
            pages = s3.get_paginator("list_object_versions").paginate(
                Bucket=versioned, PaginationConfig={"PageSize": size}
            )
            seen, markers = [], []
            for page in pages:
                seen += page.get("Versions", [])
                markers += page.get("DeleteMarkers", [])
            assert seen == whole["Versions"] and markers == whole["DeleteMarkers"]

    def test_with_a_delimiter_and_a_prefix(self, s3: Any, versioned: str) -> None:
        for key in ("a/1", "a/2", "b", "c/d/e"):
            put(s3, versioned, key, b"1", b"2")
        page = s3.list_object_versions(Bucket=versioned, Delimiter="/")
        assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/", "c/"]
        assert [v["Key"] for v in page["Versions"]] == ["b", "b"]
        page = s3.list_object_versions(Bucket=versioned, Delimiter="/", MaxKeys=1)
        assert (page["IsTruncated"], page["NextKeyMarker"]) == (True, "a/")
        page = s3.list_object_versions(Bucket=versioned, Delimiter="/", KeyMarker="a/")
        assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["c/"]
        assert [
            v["Key"]
            for v in s3.list_object_versions(Bucket=versioned, Prefix="a/")["Versions"]
        ] == [
            "a/1",
            "a/1",
            "a/2",
            "a/2",
        ]

    def test_a_version_marker_needs_a_key_marker(
        self, store: Store, versioned: str
    ) -> None:
        """InvalidArgument: "A version-id marker cannot be specified without a key marker."."""
        assert (
            call(store, "GET", f"/{versioned}", "versions&version-id-marker=null").code
            == "InvalidArgument"
        )
        assert (
            call(
                store,
                "GET",
                f"/{versioned}",
                "versions&key-marker=k&version-id-marker=x",
            ).code
            == "InvalidArgument"
        )


class TestTheRest:
    def test_copies_of_a_version(self, s3: Any, versioned: str) -> None:
        """API_CopyObject: ?versionId= in the source; x-amz-copy-source-version-id; an older version may be
        copied onto its own key."""
        old, _ = put(s3, versioned, "k", b"old", b"new")
        source = {"Bucket": versioned, "Key": "k", "VersionId": old}
        copied = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)
        assert copied["CopySourceVersionId"] == old and copied["VersionId"] != old
        assert body(s3, versioned, "k") == b"old"
        upload = s3.create_multipart_upload(Bucket=versioned, Key="p")["UploadId"]
        part = s3.upload_part_copy(
            Bucket=versioned, Key="p", UploadId=upload, PartNumber=1, CopySource=source
        )
        assert part["CopySourceVersionId"] == old
        s3.abort_multipart_upload(Bucket=versioned, Key="p", UploadId=upload)
        marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
        hidden = {"Bucket": versioned, "Key": "k"}
        assert refused(
            s3.copy_object, Bucket=versioned, Key="c", CopySource=hidden
        ) == (404, "NoSuchKey")
        named = {**hidden, "VersionId": marker}
        assert refused(s3.copy_object, Bucket=versioned, Key="c", CopySource=named) == (
            400,
            "InvalidRequest",
        )

    def test_tags_are_a_versions_own(self, s3: Any, versioned: str) -> None:
        """API_PutObjectTagging: versionId."""
        old, new = put(s3, versioned, "k", b"old", b"new")
        tags = {"TagSet": [{"Key": "a", "Value": "1"}]}
        answer = s3.put_object_tagging(
            Bucket=versioned, Key="k", VersionId=old, Tagging=tags
        )
        assert answer["VersionId"] == old
        assert s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"] == []
        assert (
            s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=old)["TagSet"]
            == tags["TagSet"]
        )
        s3.put_object_tagging(Bucket=versioned, Key="k", Tagging=tags)
        assert (
            s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=new)["TagSet"]
            == tags["TagSet"]
        )
        s3.delete_object_tagging(Bucket=versioned, Key="k", VersionId=old)
        assert (
            s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=old)["TagSet"]
            == []
        )
        assert (body(s3, versioned, "k", old), body(s3, versioned, "k")) == (
            b"old",
            b"new",
        )

    def test_attributes_and_acl_of_a_version(self, s3: Any, versioned: str) -> None:
        old, _ = put(s3, versioned, "k", b"old", b"longer")
        told = s3.get_object_attributes(
            Bucket=versioned, Key="k", VersionId=old, ObjectAttributes=["ObjectSize"]
        )
        assert (told["ObjectSize"], told["VersionId"]) == (3, old)
        assert (
            len(s3.get_object_acl(Bucket=versioned, Key="k", VersionId=old)["Grants"])
            == 1
        )

    def test_a_queue_is_told_which_version(
        self, store: Store, s3: Any, versioned: str, queue: str, json_api: Any
    ) -> None:
        """UG "Event message structure": versionId; s3:ObjectRemoved:DeleteMarkerCreated and :Delete."""
        arn = f"arn:aws:sqs:us-east-1:{store.account}:{queue.rsplit('/', 1)[1]}"
        rule = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        s3.put_bucket_notification_configuration(
            Bucket=versioned, NotificationConfiguration={"QueueConfigurations": [rule]}
        )
        [version] = put(s3, versioned, "k", b"x")
        marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
        s3.delete_object(Bucket=versioned, Key="k", VersionId=version)
        told = {
            record["eventName"]: record["s3"]["object"]
            for record in events(json_api, queue)
        }
        assert {name: about["versionId"] for name, about in told.items()} == {
            "ObjectCreated:Put": version,
            "ObjectRemoved:DeleteMarkerCreated": marker,
            "ObjectRemoved:Delete": version,
        }
        assert (
            told["ObjectRemoved:DeleteMarkerCreated"]["eTag"]
            == "d41d8cd98f00b204e9800998ecf8427e"
        )
        sequence = [told[name]["sequencer"] for name in told]
        assert all(re.fullmatch("[0-9A-F]{18}", one) for one in sequence)
