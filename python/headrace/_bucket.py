"""Bucket: the application's own objects."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from headrace._errors import ServiceError
from headrace._services import Answer, services

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
META = "x-amz-meta-"


@dataclass(frozen=True)
class ObjectInfo:
    """What is known of an object without reading it. Listings know no content type and no metadata."""

    key: str
    size: int
    etag: str
    last_modified: datetime
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None


class Bucket:
    """Objects by key, whole. NotFound where there is no such bucket or object."""

    def __init__(self, name: str) -> None:
        if not name or "/" in name:
            raise ValueError(f"{name!r} is no bucket's name: those have lower-case letters, digits and '-'")
        self.name = name

    def __repr__(self) -> str:
        return f"Bucket({self.name!r})"

    def create(self) -> None:
        """Nothing happens when the bucket is yours already."""
        try:
            services().s3("PUT", self.name)
        except ServiceError as error:
            if error.code != "BucketAlreadyOwnedByYou":
                raise

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview | str,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_none_match: bool = False,
    ) -> str:
        """Writes an object and returns its ETag. When this returns, it is on disk. With `if_none_match`,
        Conflict when there is an object of that key already."""
        headers = [("content-type", content_type)] if content_type else []
        headers += [(META + name, value) for name, value in (metadata or {}).items()]
        if if_none_match:
            headers.append(("if-none-match", "*"))
        body = data.encode() if isinstance(data, str) else data
        answer = services().s3("PUT", self.name, _checked(key), headers=headers, body=body)
        return answer.headers.get("etag", "").strip('"')

    def get(self, key: str) -> bytes:
        return services().s3("GET", self.name, _checked(key)).body

    def head(self, key: str) -> ObjectInfo:
        return _info(key, services().s3("HEAD", self.name, _checked(key)))

    def delete(self, key: str) -> None:
        """Nothing happens when there is no such object."""
        services().s3("DELETE", self.name, _checked(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """The objects whose key begins with `prefix`, in the order of their keys, a page at a time."""
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        while True:
            page = ElementTree.fromstring(services().s3("GET", self.name, query=query).body)
            for entry in page.iter(f"{_NAMESPACE}Contents"):
                yield _listed(entry)
            token = page.findtext(f"{_NAMESPACE}NextContinuationToken")
            if not token:
                return
            query["continuation-token"] = token


def _checked(key: str) -> str:
    if not key or len(key.encode()) > 1024:
        raise ValueError("an object's key has 1 to 1024 bytes of UTF-8")
    return key


def _info(key: str, answer: Answer) -> ObjectInfo:
    headers = answer.headers
    return ObjectInfo(
        key=key,
        size=int(headers["content-length"]),
        etag=headers.get("etag", "").strip('"'),
        last_modified=parsedate_to_datetime(headers["last-modified"]),
        content_type=headers.get("content-type"),
        metadata={name[len(META) :]: value for name, value in headers.items() if name.startswith(META)},
    )


def _listed(entry: ElementTree.Element) -> ObjectInfo:
    def text(name: str) -> str:
        return entry.findtext(_NAMESPACE + name) or ""

    return ObjectInfo(
        key=unquote(text("Key")),
        size=int(text("Size")),
        etag=text("ETag").strip('"'),
        last_modified=datetime.fromisoformat(text("LastModified")),
    )
