"""Where documents and what was read from them stand, and how the page learns what became of one.

documents-inbox     KEY               the document as it was sent; KEY carries when it came and its name
documents-results   job/KEY           the id of its job, written when the job first runs
                    text/KEY          the extracted text
                    index/KEY         word -> how often, and on which lines
The outcome itself is the job's: Headrace keeps one for each job, whether it is done or dead.
"""

from __future__ import annotations

import collections
import datetime
import json
import re
from dataclasses import dataclass
from typing import Any

import headrace
import limits

INBOX = "documents-inbox"
RESULTS = "documents-results"
SYSTEM = "headrace-documents"  # Headrace's own objects of the app called documents: headrace.toml [app] name

KEY = re.compile(r"\d{8}-\d{9}-[0-9a-f]{12}-([\w.-]+)")


@dataclass(frozen=True)
class Outcome:
    key: str
    name: str
    state: str  # "waiting": no job has begun; "running": one has; "done"; "dead"
    job: str | None = None
    request_id: str | None = None
    attempts: int = 0
    seconds: float | None = None  # from the event to the end
    result: dict[str, Any] | None = None
    error: str | None = None


def new_key(name: str, now: datetime.datetime, token: str) -> str:
    """Sorts by time; the token of 12 hexadecimal digits tells documents of one millisecond and name apart."""
    return f"{now:%Y%m%d-%H%M%S}{now.microsecond // 1000:03}-{token}-{name}"


def name_of(key: str) -> str:
    match = KEY.fullmatch(key)
    return match.group(1) if match else key


def text_key(key: str) -> str:
    return f"text/{key}"


def index_key(key: str) -> str:
    return f"index/{key}"


def job_key(key: str) -> str:
    return f"job/{key}"


def fetch(bucket: str, key: str) -> bytes | None:
    """The object, or None where there is none."""
    try:
        return headrace.Bucket(bucket).get(key)
    except headrace.NotFound:
        return None


def keep(key: str, data: bytes, content_type: str) -> None:
    bucket = headrace.Bucket(RESULTS)
    try:
        bucket.put(key, data, content_type=content_type)
    except headrace.NotFound:  # the very first result
        bucket.create()
        bucket.put(key, data, content_type=content_type)


def receive(key: str, data: bytes) -> None:
    """When this returns, the document and the event that announces it are both on the disk. NotFound before
    the first worker has started: it makes the bucket and asks for its events, and nobody else may, for a
    document that comes before would be announced to nobody."""
    try:
        headrace.Bucket(INBOX).put(key, data, if_none_match=True)
    except headrace.Conflict:
        pass  # the answer was lost and the put was sent again: without the condition, a second event


def record_job(key: str, job: str) -> None:
    keep(job_key(key), job.encode(), "text/plain")


def newest() -> list[str]:
    """Keys of the newest documents, newest first."""
    names = (entry.key for entry in headrace.Bucket(INBOX).list())
    try:
        return list(collections.deque(names, maxlen=limits.LIST_DOCUMENTS))[::-1]
    except headrace.NotFound:
        return []


def outcome(key: str) -> Outcome | None:
    """What became of a document; None: there is no such document."""
    if not KEY.fullmatch(key):
        return None
    job = fetch(RESULTS, job_key(key))
    if job is None:
        return Outcome(key, name_of(key), "waiting") if is_there(key) else None
    ending = fetch(SYSTEM, f"result/{job.decode()}")
    if ending is None:
        return Outcome(key, name_of(key), "running", job.decode())
    return ended(key, json.loads(ending))


def is_there(key: str) -> bool:
    try:
        headrace.Bucket(INBOX).head(key)
    except headrace.NotFound:
        return False
    return True


def ended(key: str, ending: dict[str, Any]) -> Outcome:
    error = ending.get("error")
    return Outcome(
        key=key,
        name=name_of(key),
        state=ending["state"],
        job=ending["id"],
        request_id=ending.get("request_id"),
        attempts=ending["attempts"],
        seconds=round((ending["ended"] - ending["sent"]) / 1000, 3),
        result=ending.get("result"),
        error=error["message"] if error else None,
    )
