"""The site: a form and a list, a page for each document, and the same as JSON for who asks for it.

GET /                      the newest documents and their states
POST /documents            a form with files: multipart/form-data
PUT /documents/NAME        one document as it is
GET /documents/KEY         what became of it; KEY/text is its text, KEY/index its keyword index
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import pathlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import forms
import headrace
import limits
import pages
import shelf
from forms import Refused, Upload

log = logging.getLogger("documents")

STYLE = (pathlib.Path(__file__).parent / "style.css").read_bytes()
SAFE = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'"),
    ("Referrer-Policy", "no-referrer"),
]

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True)
class Answer:
    status: str
    body: bytes
    content_type: str = "text/html; charset=utf-8"
    headers: list[tuple[str, str]] = field(default_factory=list)


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    try:
        answer = route(environ)
    except Refused as refused:
        answer = refuse(environ, refused.status, str(refused))
    except (headrace.Unavailable, headrace.Timeout) as error:
        log.warning("the store does not answer: %s", error)
        answer = refuse(environ, "503 Service Unavailable", "try again in a moment", [("Retry-After", "2")])
    head = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))]
    start_response(answer.status, head + answer.headers + SAFE)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]


def route(environ: Environ) -> Answer:
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    method = "GET" if environ["REQUEST_METHOD"] == "HEAD" else environ["REQUEST_METHOD"]
    first, _, rest = path.lstrip("/").partition("/")
    match (method, first, rest):
        case ("GET", "", ""):
            return show_list(environ)
        case ("GET", "style.css", ""):
            return Answer("200 OK", STYLE, "text/css; charset=utf-8")
        case ("POST", "documents", ""):
            return take_form(environ)
        case ("PUT", "documents", name) if name:
            return take_document(environ, name)
        case ("GET", "documents", key) if key:
            return show_document(environ, *key.split("/", 1))
        case (_, "" | "style.css" | "documents", _):
            raise Refused("405 Method Not Allowed", f"{method} is nothing this address does")
    raise Refused("404 Not Found", "there is no such page")


# ---- in


def take_form(environ: Environ) -> Answer:
    body = forms.read_body(environ["wsgi.input"], environ.get("CONTENT_LENGTH", ""), limits.FORM_BYTES)
    keys = [receive(upload) for upload in forms.read_form(body, environ.get("CONTENT_TYPE", ""))]
    if wants_json(environ):
        return received(environ, keys)
    location = pages.link(keys[0]) if len(keys) == 1 else "/"
    return Answer("303 See Other", b"", headers=[("Location", location)])


def take_document(environ: Environ, name: str) -> Answer:
    data = forms.read_body(environ["wsgi.input"], environ.get("CONTENT_LENGTH", ""), limits.UPLOAD_BYTES)
    return received(environ, [receive(Upload(forms.clean_name(name), data))])


def receive(upload: Upload) -> str:
    key = shelf.new_key(upload.name, datetime.datetime.now(datetime.timezone.utc), secrets.token_hex(6))
    try:
        shelf.receive(key, upload.data)
    except headrace.NotFound as error:
        raise Refused(
            "503 Service Unavailable", "no worker has started yet: try again in a moment"
        ) from error
    log.info("received %s: %d bytes", key, len(upload.data))
    return key


def received(environ: Environ, keys: list[str]) -> Answer:
    documents = [{"key": key, "name": shelf.name_of(key), "page": pages.link(key)} for key in keys]
    answer = {"request_id": environ.get("HTTP_X_REQUEST_ID"), "documents": documents}
    return as_json(answer, "201 Created", [("Location", pages.link(keys[0]))])


# ---- out


def show_list(environ: Environ) -> Answer:
    outcomes = [found for key in shelf.newest() if (found := shelf.outcome(key))]
    if wants_json(environ):
        return as_json({"documents": [dataclasses.asdict(outcome) for outcome in outcomes]})
    return Answer("200 OK", pages.listing(outcomes).encode())


def show_document(environ: Environ, key: str, part: str = "") -> Answer:
    if part == "text":
        return kept(shelf.text_key(key), "text/plain; charset=utf-8")
    if part == "index":
        return kept(shelf.index_key(key), "application/json")
    outcome = None if part else shelf.outcome(key)
    if outcome is None:
        raise Refused("404 Not Found", "there is no such document")
    if wants_json(environ):
        return as_json(dataclasses.asdict(outcome))
    text = shelf.fetch(shelf.RESULTS, shelf.text_key(key)) if outcome.state == "done" else None
    return Answer("200 OK", pages.document(outcome, None if text is None else text.decode()).encode())


def kept(key: str, content_type: str) -> Answer:
    data = shelf.fetch(shelf.RESULTS, key)
    if data is None:
        raise Refused("404 Not Found", "nothing has been read from such a document")
    return Answer("200 OK", data, content_type)


def wants_json(environ: Environ) -> bool:
    return "application/json" in environ.get("HTTP_ACCEPT", "")


def as_json(value: Any, status: str = "200 OK", headers: list[tuple[str, str]] | None = None) -> Answer:
    body = json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
    return Answer(status, body, "application/json", headers or [])


def refuse(
    environ: Environ, status: str, sentence: str, headers: list[tuple[str, str]] | None = None
) -> Answer:
    if wants_json(environ) or environ["REQUEST_METHOD"] == "PUT":
        return as_json({"error": sentence}, status, headers)
    return Answer(status, pages.refusal(status, sentence).encode(), headers=headers or [])
