"""SQS and S3 as this package uses them, over the native client. One client for the process, made at first
use; threads share it, and it survives forks."""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from headrace import _native, _settings
from headrace._context import request_id, usable_request_id
from headrace._errors import Conflict, NotFound, ServiceError, Unavailable

DEFAULT_TIMEOUT = 30.0  # seconds, of one call with its repetitions
ATTEMPTS_MAX = 4
THROTTLED = {
    "SlowDown",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "KmsThrottled",
    "OverLimit",
}
NOT_FOUND = {"NoSuchKey", "NoSuchBucket", "NotFound", "NoSuchUpload", "QueueDoesNotExist"}
CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict"}
BATCH_MAX = 10  # entries, SQS's own
BATCH_ASKED = 1_000
BATCH_HEADER = "x-headrace-batch-max"
SKEW_TOLD = 60.0  # seconds
_SAFE = "/-_.~"
_log = logging.getLogger("headrace")

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Services:
    """One set of settings with its client."""

    def __init__(self, settings: _settings.Settings, timeout: float) -> None:
        self.settings = settings
        self.timeout = timeout
        self.batch_max = BATCH_MAX  # entries of one request
        self._queue_urls: dict[str, str] = {}
        sqs, s3 = settings.sqs, settings.s3
        self._sqs = _native.Client(sqs.endpoint, sqs.region, sqs.keys)
        self._s3 = self._sqs if s3 == sqs else _native.Client(s3.endpoint, s3.region, s3.keys)
        self._skew = 0.0  # of the clock, as it was last told
        # Headrace's own store, which does a send under the same x-headrace-dedup-id once.
        self.knows_sends = False

    # ---- SQS, JSON 1.0

    def sqs(self, action: str, members: Mapping[str, Any], headers: Headers | None = None) -> dict[str, Any]:
        body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
        fixed = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", f"AmazonSQS.{action}"),
            (BATCH_HEADER, str(BATCH_ASKED)),
        ]
        answer = self._repeat("sqs", "POST", "/", "", fixed + (headers or []), body, _sqs_error)
        # Headrace's own store takes larger batches from who asks, and says how large.
        self.knows_sends = BATCH_HEADER in answer.headers
        self.batch_max = min(int(answer.headers.get(BATCH_HEADER, BATCH_MAX)), BATCH_ASKED)
        return dict(json.loads(answer.body or b"{}"))

    def queue_url(self, queue: str) -> str:
        """NotFound says how a queue comes into being."""
        url = self._queue_urls.get(queue)
        if url is None:
            try:
                url = str(self.sqs("GetQueueUrl", {"QueueName": queue})["QueueUrl"])
            except NotFound as error:
                raise NotFound(
                    error.code,
                    error.status,
                    f"there is no queue {queue!r}: the worker that serves it makes it when it starts; start "
                    "it with `headrace up` or `headrace worker`",
                ) from None
            self._queue_urls[queue] = url
        return url

    def forget_queue(self, queue: str) -> None:
        self._queue_urls.pop(queue, None)

    def now_ms(self) -> int:
        """The time by SQS's clock, as far as it has told that it differs from this host's."""
        return time.time_ns() // 1_000_000 + round(1000 * self._sqs.skew)

    # ---- S3

    def s3(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Headers | None = None,
        body: bytes | bytearray | memoryview = b"",
    ) -> Answer:
        path = "/" + quote(bucket, safe=_SAFE) + ("/" + quote(key, safe=_SAFE) if key else "")
        text = urlencode(query or {}, quote_via=quote, safe="-_.~")
        return self._repeat("s3", method, path, text, headers or [], body, _s3_error)

    # ---- Both

    def _repeat(
        self,
        service: str,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        body: bytes | bytearray | memoryview,
        error_of: Any,
    ) -> Answer:
        """Repeats what the service refused for being busy (it was not done), and after its failures what does
        the same when done twice."""
        deadline = time.monotonic() + self.timeout
        current = usable_request_id(request_id.get())
        traced = headers + [("x-request-id", current)] if current else headers
        unconditional = not any(name.lower().startswith("if-") for name, _ in headers)
        for attempt in range(1, ATTEMPTS_MAX + 1):
            left = max(0.001, round(deadline - time.monotonic(), 3))
            client = self._sqs if service == "sqs" else self._s3
            try:
                status, fields, data = client.request(service, method, path, query, traced, body, left)
            except Unavailable:
                # Once more: a store that is not ours may break off what it reads while it is written.
                if method not in ("GET", "HEAD") or attempt > 1:
                    raise
                continue
            if abs(client.skew - self._skew) > SKEW_TOLD:
                self._tell_skew(client.skew)
            answer = Answer(status, dict(fields), data)
            if status < 300:
                return answer
            error: ServiceError = error_of(answer)
            pause = random.uniform(0.5, 1.0) * 0.05 * 2**attempt
            again = method in ("GET", "HEAD") or (method == "PUT" and unconditional)
            busy = error.code in THROTTLED or status == 429 or (status >= 500 and again)
            if not busy or attempt == ATTEMPTS_MAX or time.monotonic() + pause > deadline:
                raise error
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _tell_skew(self, skew: float) -> None:
        """Once for each clock that is wrong."""
        self._skew = skew
        where = "behind" if skew > 0 else "ahead of"
        _log.error(
            "this host's clock is %.0f s %s the service's: requests are signed with the service's time",
            abs(skew),
            where,
        )


def _error(code: str, status: int, message: str) -> ServiceError:
    kind = NotFound if code in NOT_FOUND else Conflict if code in CONFLICT else ServiceError
    return kind(code, status, message)


def _sqs_error(answer: Answer) -> ServiceError:
    try:
        said = json.loads(answer.body)
        code = str(said["__type"]).rpartition("#")[2]
        return _error(code, answer.status, str(said.get("message") or said.get("Message") or code))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _error("Unknown", answer.status, f"SQS answered HTTP {answer.status} with no error of its own")


def _s3_error(answer: Answer) -> ServiceError:
    by_status = {304: "NotModified", 404: "NotFound", 412: "PreconditionFailed", 403: "AccessDenied"}
    try:
        root = ElementTree.fromstring(answer.body)
        code = root.findtext("Code") or "Unknown"
        return _error(code, answer.status, root.findtext("Message") or code)
    except ElementTree.ParseError:  # an answer to HEAD has no body
        code = by_status.get(answer.status, "Unknown")
        return _error(code, answer.status, f"S3 answered HTTP {answer.status}")


_lock = threading.Lock()
_services: Services | None = None
_overrides: dict[str, str] = {}
_timeout = DEFAULT_TIMEOUT


def services() -> Services:
    """Unavailable when nobody has said where they are."""
    global _services
    found = _services
    if found is None:
        with _lock:
            if _services is None:
                _services = Services(_settings.resolve(_overrides), _timeout)
            found = _services
    return found


def configure(
    *,
    endpoint: str | None = None,
    keys: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    session_token: str | None = None,
    region: str | None = None,
    app: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> None:
    """Says where the services are, above the environment and headrace.toml; what is left out is looked for
    there. `keys` is the path of a keys.toml; `timeout` is that of one call, in seconds."""
    global _services, _overrides, _timeout
    if bool(access_key) != bool(secret_key):
        raise ValueError("access_key and secret_key belong together; give both, or keys=")
    if not timeout > 0:
        raise ValueError("timeout= is a number of seconds above 0")
    given = {
        "endpoint": endpoint,
        "keys": keys,
        "access_key": access_key,
        "secret_key": secret_key,
        "session_token": session_token,
        "region": region,
        "app": app,
    }
    with _lock:
        _overrides = {name: value for name, value in given.items() if value}
        _timeout = timeout
        _services = None


def _after_fork() -> None:
    """Another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
