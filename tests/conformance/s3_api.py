"""What the S3 tests share: a boto3 client, and requests signed by hand, so that every byte can be wrong.

The signer is its own (AWS, "Create a signed AWS API request"), independent of the one under test.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import http.client
import itertools
import json
import urllib.parse
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from store_process import REGION, Store

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIZES = (0, 1, (16 << 10) - 1, 16 << 10, (16 << 10) + 1, 1 << 20, 20 << 20)

_numbers = itertools.count(1)


def client(store: Store, **config: Any) -> Any:
    options: dict[str, Any] = {"retries": {"max_attempts": 0}, **config}
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.key_id,
        aws_secret_access_key=store.secret,
        region_name=REGION,
        config=Config(**options),
    )


def new_bucket_name() -> str:
    return f"bucket-{next(_numbers)}"


def pattern(size: int) -> bytes:
    """Bytes that differ at every place where a block could be swapped."""
    block = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(512))
    return (block * (size // len(block) + 1))[:size]


def md5_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def crc32_base64(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)

    @property
    def code(self) -> str:
        """The error's code, or nothing where the answer was a good one."""
        return self.field("Code") if self.status >= 400 and self.body else ""

    def field(self, name: str) -> str:
        return self.xml.findtext(name) or ""


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical_query(query: str) -> str:
    """Sorted and encoded again, byte for byte (Latin-1 stands for any byte)."""
    pairs = urllib.parse.parse_qsl(query.replace("+", "%2B"), keep_blank_values=True, encoding="latin-1")
    encoded = sorted(
        tuple(urllib.parse.quote(text.encode("latin-1"), safe="-_.~") for text in pair) for pair in pairs
    )
    return "&".join(f"{name}={value}" for name, value in encoded)


@dataclass
class Signer:
    """One request's signature, and the chain of chunk signatures that follows from it."""

    store: Store
    secret: str = ""
    key_id: str = ""
    region: str = REGION
    service: str = "s3"
    now: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.timezone.utc))
    unsigned: Iterable[str] = ()  # headers to leave out of SignedHeaders

    def __post_init__(self) -> None:
        self.secret = self.secret or self.store.secret
        self.key_id = self.key_id or self.store.key_id
        self.date = self.now.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.date[:8]}/{self.region}/{self.service}/aws4_request"
        key = _hmac(f"AWS4{self.secret}".encode(), self.date[:8])
        for part in (self.region, self.service, "aws4_request"):
            key = _hmac(key, part)
        self.key = key
        self.previous = ""

    def sign_text(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def _names(self, headers: dict[str, str]) -> list[str]:
        return sorted(name.lower() for name in headers if name.lower() not in self.unsigned)

    def _signature(self, method: str, path: str, query: str, headers: dict[str, str], payload: str) -> str:
        names = self._names(headers)
        lower = {name.lower(): value for name, value in headers.items()}
        uri = urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/-_.~")
        lines = [f"{name}:{' '.join(lower[name].split())}\n" for name in names]
        canonical = "\n".join(
            [method, uri, canonical_query(query), "".join(lines), ";".join(names), payload]
        )
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        return self.sign_text(f"AWS4-HMAC-SHA256\n{self.date}\n{self.scope}\n{hashed}")

    def headers(
        self, method: str, path: str, query: str, headers: dict[str, str], payload: str
    ) -> dict[str, str]:
        out = {"x-amz-date": self.date, "x-amz-content-sha256": payload, **headers}
        self.previous = self._signature(method, path, query, out, payload)
        names = ";".join(self._names(out))
        credential = f"Credential={self.key_id}/{self.scope}"
        out[
            "Authorization"
        ] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={self.previous}"
        return out

    def presign(
        self,
        method: str,
        path: str,
        expires: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        payload: str = "UNSIGNED-PAYLOAD",
    ) -> str:
        """The whole query of a presigned URL, `query` in front."""
        sent = headers or {"Host": host(self.store)}
        whole = (
            query
            + ("&" if query else "")
            + urllib.parse.urlencode(
                {
                    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                    "X-Amz-Credential": f"{self.key_id}/{self.scope}",
                    "X-Amz-Date": self.date,
                    "X-Amz-Expires": expires,
                    "X-Amz-SignedHeaders": ";".join(self._names(sent)),
                },
                quote_via=urllib.parse.quote,
                safe="",
            )
        )
        return f"{whole}&X-Amz-Signature={self._signature(method, path, whole, sent, payload)}"

    def chunk_signature(self, data: bytes) -> str:
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{self.date}\n{self.scope}\n{self.previous}\n{EMPTY_SHA256}\n"
        self.previous = self.sign_text(text + hashlib.sha256(data).hexdigest())
        return self.previous

    def trailer_signature(self, lines: str) -> str:
        text = f"AWS4-HMAC-SHA256-TRAILER\n{self.date}\n{self.scope}\n{self.previous}\n"
        return self.sign_text(text + hashlib.sha256(lines.encode()).hexdigest())


def host(store: Store) -> str:
    return store.endpoint.split("//")[1]


def send(
    store: Store, method: str, target: str, headers: dict[str, str], body: bytes | list[bytes] = b""
) -> Answer:
    """Sends exactly these headers (and Content-Length, unless there is a Transfer-Encoding)."""
    connection = http.client.HTTPConnection(host(store), timeout=60)
    try:
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        names = {name.lower() for name in headers}
        for name, value in headers.items():
            connection.putheader(name, value)
        if not names & {"content-length", "transfer-encoding"} and (body or method in ("PUT", "POST")):
            connection.putheader(
                "Content-Length", str(len(b"".join(body) if not isinstance(body, bytes) else body))
            )
        connection.endheaders()
        chunked = "transfer-encoding" in names
        for piece in [body] if isinstance(body, bytes) else body:
            if piece:
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            connection.send(b"0\r\n\r\n")
        response = connection.getresponse()
        return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def call(
    store: Store,
    method: str,
    path: str,
    query: str = "",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    payload: str | None = None,
    signer: Signer | None = None,
) -> Answer:
    """One request, signed in its headers. `path` and `query` go out as they are."""
    signer = signer or Signer(store)
    hashed = hashlib.sha256(body).hexdigest() if payload is None else payload
    signed = signer.headers(method, path, query, {"Host": host(store), **(headers or {})}, hashed)
    return send(store, method, f"{path}?{query}" if query else path, signed, body)


def split(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def signed_chunks(signer: Signer, data: bytes, size: int = 64 << 10) -> list[bytes]:
    """The frames of a signed stream, the last one empty."""
    return [
        b"%x;chunk-signature=%b\r\n%b\r\n" % (len(chunk), signer.chunk_signature(chunk).encode(), chunk)
        for chunk in [*split(data, size), b""]
    ]


def unsigned_frames(data: bytes, size: int = 64 << 10) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in split(data, size)) + b"0\r\n"


def put_stream(
    store: Store,
    path: str,
    frames: Iterable[bytes] | None,
    data: bytes,
    form: str,
    headers: dict[str, str] | None = None,
    signer: Signer | None = None,
    chunked: bool = False,
    checksum: str | None = None,
) -> Answer:
    """A streaming upload of `data` in the form given; `frames` replace the right ones when they are given."""
    signer = signer or Signer(store)
    sent = {"Host": host(store), "x-amz-decoded-content-length": str(len(data)), **(headers or {})}
    if form != SIGNED_CHUNKS:
        sent.setdefault("x-amz-trailer", "x-amz-checksum-crc32")
    if chunked:
        sent["Transfer-Encoding"] = "chunked"
    signer.unsigned = {*signer.unsigned, "transfer-encoding"}
    sent = signer.headers("PUT", path, "", sent, form)
    body = b"".join(frames) if frames is not None else stream_body(signer, data, form, checksum)
    return send(store, "PUT", path, sent, list(split(body, 100_000)) if chunked else body)


def stream_body(signer: Signer, data: bytes, form: str, checksum: str | None = None) -> bytes:
    trailer = f"x-amz-checksum-crc32:{crc32_base64(data) if checksum is None else checksum}"
    if form == SIGNED_CHUNKS:
        return b"".join(signed_chunks(signer, data))
    if form == UNSIGNED_TRAILER:
        return unsigned_frames(data) + f"{trailer}\r\n\r\n".encode()
    frames = signed_chunks(signer, data)
    frames[-1] = frames[-1][:-2]  # no blank line before the trailer
    signature = signer.trailer_signature(trailer + "\n")
    return b"".join(frames) + f"{trailer}\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()


def bodies(json_api: Any, queue: str) -> list[dict[str, Any]]:
    """Of all messages that a queue holds, as JSON."""
    found: list[dict[str, Any]] = []
    while messages := json_api("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
    return found


def events(json_api: Any, queue: str) -> list[dict[str, Any]]:
    """The records of the events that a queue was told of, but not the test event."""
    return [record for body in bodies(json_api, queue) for record in body.get("Records", [])]
