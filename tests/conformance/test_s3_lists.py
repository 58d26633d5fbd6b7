"""Listings, v1, v2 and versions, against an oracle. "API" is the Amazon S3 API Reference."""

from __future__ import annotations

import random
from typing import Any

import pytest
import s3_api
from s3_api import NAMESPACE, call
from store_process import Store

KEYS = sorted(
    [
        "a",
        "a/",
        "a/b",
        "a/b/c",
        "a/c",
        "a//d",
        "a/../e",
        "b",
        "b/x y",
        "b/ü",
        "c+d",
        "c%2Fd",
        "z\\z",
        "é/1",
        "é/2",
    ]
    + [f"many/{i:04}" for i in range(40)],
    key=lambda key: key.encode(),
)


@pytest.fixture(scope="module")
def full(store: Store) -> Any:
    s3 = s3_api.client(store)
    name = s3_api.new_bucket_name()
    s3.create_bucket(Bucket=name)
    for key in KEYS:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    yield name
    s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": key} for key in KEYS]})
    s3.delete_bucket(Bucket=name)


def expected(prefix: str, delimiter: str, after: str = "") -> tuple[list[str], list[str]]:
    """The keys and common prefixes of a whole listing, by the definition of API_ListObjectsV2."""
    keys: list[str] = []
    prefixes: list[str] = []
    for key in KEYS:
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            keys.append(key)
        elif (common := key[: at + len(delimiter)]) not in prefixes:
            prefixes.append(common)
    return keys, prefixes


class TestPages:
    @pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2", "list_object_versions"])
    @pytest.mark.parametrize("delimiter", ["", "/", "b/", "any/0"])
    @pytest.mark.parametrize("prefix", ["", "a", "a/", "many/", "é/", "none"])
    def test_pages_of_any_size_make_the_whole(
        self, s3: Any, full: str, operation: str, prefix: str, delimiter: str
    ) -> None:
        """API_ListObjects, API_ListObjectsV2, API_ListObjectVersions: keys in UTF-8 byte order, common
        prefixes rolled up, each once over all pages.
        """
        entries = "Versions" if operation == "list_object_versions" else "Contents"
        for size in (1, 2, 7, 1000):
            keys: list[str] = []
            prefixes: list[str] = []
            pages = s3.get_paginator(operation).paginate(
                Bucket=full, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size}
            )
            for page in pages:
                assert len(page.get(entries, [])) + len(page.get("CommonPrefixes", [])) <= size
                keys += [entry["Key"] for entry in page.get(entries, [])]
                prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            assert (keys, prefixes) == expected(prefix, delimiter)

    def test_random_starts(self, s3: Any, full: str) -> None:
        """start-after and marker are exclusive, and need not be keys."""
        dice = random.Random(7)
        for _ in range(60):
            after = dice.choice([*KEYS, "", "a0", "many/", "many/0017x", "é", "zz"])
            prefix = dice.choice(["", "a", "many/"])
            keys = expected(prefix, "", after)[0]
            v2 = s3.list_objects_v2(Bucket=full, Prefix=prefix, StartAfter=after)
            v1 = s3.list_objects(Bucket=full, Prefix=prefix, Marker=after)
            assert [entry["Key"] for entry in v2.get("Contents", [])] == keys
            assert [entry["Key"] for entry in v1.get("Contents", [])] == keys

    def test_what_an_entry_says(self, s3: Any, full: str) -> None:
        """API_Object: Key, LastModified, ETag, Size, StorageClass; Owner when it is asked for."""
        [entry] = s3.list_objects_v2(Bucket=full, Prefix="b/ü", FetchOwner=True)["Contents"]
        head = s3.head_object(Bucket=full, Key="b/ü")
        assert (entry["Size"], entry["StorageClass"], entry["ETag"]) == (4, "STANDARD", head["ETag"])
        assert entry["LastModified"].replace(microsecond=0) == head["LastModified"]
        assert len(entry["Owner"]["ID"]) == 64
        assert "Owner" not in s3.list_objects_v2(Bucket=full, Prefix="b/ü")["Contents"][0]
        assert "Owner" in s3.list_objects(Bucket=full, Prefix="b/ü")["Contents"][0]

    def test_versions_of_an_unversioned_bucket(self, s3: Any, full: str) -> None:
        """API_ListObjectVersions: the null version is the latest; nothing was ever deleted with a marker."""
        page = s3.list_object_versions(Bucket=full)
        assert {(v["VersionId"], v["IsLatest"]) for v in page["Versions"]} == {("null", True)}
        assert "DeleteMarkers" not in page


class TestParameters:
    def test_encoding_type_url(self, store: Store, full: str) -> None:
        """API_ListObjectsV2, EncodingType: "test_file(3).png will appear as test_file%283%29.png"."""
        xml = call(store, "GET", f"/{full}", "list-type=2&encoding-type=url&prefix=c%2B").xml
        assert xml.findtext(f"{NAMESPACE}EncodingType") == "url"
        assert xml.findtext(f"{NAMESPACE}Prefix") == "c%2B"
        assert xml.findtext(f"{NAMESPACE}Contents/{NAMESPACE}Key") == "c%2Bd"

    @pytest.mark.parametrize(
        ("text", "answered"), [("0", "0"), ("1000", "1000"), ("1001", "1000"), ("2147483647", "1000")]
    )
    def test_max_keys(self, store: Store, full: str, text: str, answered: str) -> None:
        """API_ListObjectsV2: "returns up to 1,000 key names"."""
        for version in ("list-type=2", "marker=", "versions="):
            xml = call(store, "GET", f"/{full}", f"{version}&max-keys={text}").xml
            assert xml.findtext(f"{NAMESPACE}MaxKeys") == answered
            assert xml.findtext(f"{NAMESPACE}IsTruncated") == "false"

    @pytest.mark.parametrize(
        "query",
        [
            "max-keys=-1",
            "max-keys=x",
            "max-keys=",
            "max-keys=2147483648",
            "encoding-type=base64",
            "list-type=1",
            "list-type=2&continuation-token=nonsense",
            "list-type=2&continuation-token=",
            "versions&version-id-marker=v1",
        ],
    )
    def test_what_cannot_be(self, store: Store, full: str, query: str) -> None:
        """Error responses: InvalidArgument, with ArgumentName and ArgumentValue."""
        answer = call(store, "GET", f"/{full}", query)
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert answer.field("ArgumentName") in query

    def test_v1_names_the_next_marker_with_a_delimiter_only(self, store: Store, full: str) -> None:
        """API_ListObjects, NextMarker: "returned only if you have the delimiter request parameter
        specified".
        """
        plain = call(store, "GET", f"/{full}", "max-keys=1").xml
        rolled = call(store, "GET", f"/{full}", "max-keys=1&delimiter=/").xml
        assert (
            plain.findtext(f"{NAMESPACE}IsTruncated")
            == rolled.findtext(f"{NAMESPACE}IsTruncated")
            == "true"
        )
        assert plain.find(f"{NAMESPACE}NextMarker") is None
        assert rolled.findtext(f"{NAMESPACE}NextMarker") == "a"

    @pytest.mark.parametrize(
        "prefix", ["%27%20OR%201=1", "%25", "%00", "%ff%fe", "..%2F..%2Fetc", "%5C", "*"]
    )
    def test_a_prefix_is_only_bytes(self, store: Store, full: str, prefix: str) -> None:
        """No prefix means more than the bytes it is (injection into the store)."""
        answer = call(store, "GET", f"/{full}", f"list-type=2&prefix={prefix}&encoding-type=url")
        assert answer.status == 200
        assert b"<Contents>" not in answer.body
