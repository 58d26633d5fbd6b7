"""The job: an object has come into the inbox, so its document is read and what it says is kept.

What a reader of the page needs is the job's result. The whole text and the keyword index are objects of their
own.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import Any

import headrace
import limits
import reading
import shelf
import words
from formats import Unreadable

log = logging.getLogger("documents")


@headrace.on("s3:ObjectCreated:*", bucket=shelf.INBOX, retries=3, timeout=60)
def parse(event: headrace.Event) -> dict[str, Any]:
    return file_document(event.key)


def file_document(key: str) -> dict[str, Any]:
    """Doing it twice is doing it once: every object it writes has the document's key in its name."""
    shelf.record_job(key, headrace.current().id)
    data = shelf.fetch(shelf.INBOX, key)
    if data is None:
        raise headrace.GiveUp("the document is not in the inbox any more")
    try:
        document = reading.read(shelf.name_of(key), data)
    except Unreadable as error:
        raise headrace.GiveUp(str(error)) from error
    counts = words.count_words(document.text)
    index = words.keyword_index(document.text, counts)
    shelf.keep(shelf.text_key(key), document.text.encode("utf-8", "replace"), "text/plain; charset=utf-8")
    shelf.keep(shelf.index_key(key), index_json(index), "application/json")
    log.info("read %s: %s, %d words", key, document.kind, counts.total())
    return {
        "name": shelf.name_of(key),
        "bytes": len(data),
        "type": document.kind,
        "packed": document.packed,
        "encoding": document.encoding,
        "note": document.note,
        "outline": [dataclasses.asdict(heading) for heading in document.outline],
        "words": dataclasses.asdict(words.statistics(document.text, counts)),
        "keywords": [dataclasses.asdict(entry) for entry in index[: limits.KEYWORDS]],
    }


def index_json(index: list[words.Entry]) -> bytes:
    by_word = {entry.word: {"count": entry.count, "lines": entry.lines} for entry in index}
    return json.dumps({"v": 1, "words": by_word}, ensure_ascii=False).encode()
