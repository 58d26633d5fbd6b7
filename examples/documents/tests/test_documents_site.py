"""The site and the job against buckets in memory: uploads, pages, JSON, refusals, and what a page escapes."""

from __future__ import annotations

import importlib
import io
import json
import pathlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import forms
import limits
import pytest
from forms import Refused, clean_name, read_body, read_form

EXAMPLE = pathlib.Path(__file__).resolve().parents[1]

OURS = ("app", "pages", "shelf", "tasks")


class NotFound(Exception):
    pass


class Unavailable(ConnectionError):
    pass


class Timeout(TimeoutError):
    pass


class GiveUp(Exception):
    pass


class Conflict(Exception):
    pass


class Headrace:
    """The package's surface that the example uses, over dictionaries."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {"documents-inbox": {}, "headrace-documents": {}}
        self.job = "0193-job"
        self.down = False

    def module(self) -> types.ModuleType:
        made: Any = types.ModuleType("headrace")
        made.Bucket = self.bucket
        made.current = lambda: types.SimpleNamespace(id=self.job)
        made.on = lambda *_, **__: lambda fn: fn
        made.Event = types.SimpleNamespace
        made.NotFound, made.Unavailable, made.Timeout, made.GiveUp = NotFound, Unavailable, Timeout, GiveUp
        made.Conflict = Conflict
        return made

    def bucket(self, name: str) -> Any:
        def objects() -> dict[str, bytes]:
            if self.down:
                raise Unavailable("the store is away")
            if name not in self.buckets:
                raise NotFound(name)
            return self.buckets[name]

        def put(key: str, data: bytes, content_type: str | None = None, if_none_match: bool = False) -> None:
            if if_none_match and key in objects():
                raise Conflict(key)
            objects()[key] = data

        def get(key: str) -> bytes:
            if key not in objects():
                raise NotFound(key)
            return objects()[key]

        def entries() -> Iterator[Any]:
            yield from (types.SimpleNamespace(key=key) for key in sorted(objects()))

        def create() -> None:
            self.buckets.setdefault(name, {})

        return types.SimpleNamespace(put=put, get=get, head=get, list=entries, create=create)

    def run(self, key: str) -> None:
        """What the worker does with a document's job."""
        tasks = importlib.import_module("tasks")
        ending: dict[str, Any] = {"id": self.job, "state": "done", "result": None, "error": None}
        try:
            ending["result"] = tasks.parse(types.SimpleNamespace(key=key))
        except GiveUp as error:
            ending |= {
                "state": "dead",
                "error": {"type": "GiveUp", "message": str(error), "traceback": "secret"},
            }
        ending |= {"attempts": 1, "sent": 1000, "ended": 1250, "request_id": "r1"}
        self.buckets["headrace-documents"][f"result/{self.job}"] = json.dumps(ending).encode()


@pytest.fixture
def headrace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Headrace]:
    fake = Headrace()
    for name in OURS:
        sys.modules.pop(name, None)
    monkeypatch.setitem(sys.modules, "headrace", fake.module())
    yield fake
    for name in OURS:
        sys.modules.pop(name, None)


class Reply:
    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = int(status.split()[0])
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(method: str, path: str, body: bytes = b"", accept: str = "text/html", **more: str) -> Reply:
    application = importlib.import_module("app").app
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode().decode("latin-1"),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_ACCEPT": accept,
        "HTTP_X_REQUEST_ID": "r1",
        "wsgi.input": io.BytesIO(body),
    } | more
    said: list[Any] = []
    pieces = application(environ, lambda status, headers: said.extend((status, headers)))
    return Reply(said[0], said[1], b"".join(pieces))


def ask_json(path: str) -> Any:
    return ask("GET", path, accept="application/json").json


def put(name: str, data: bytes) -> str:
    return str(ask("PUT", "/documents/" + name, data).json["documents"][0]["key"])


def form(*files: tuple[str, bytes], boundary: str = "edge") -> bytes:
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="document"; filename="%s"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%s\r\n" % (boundary.encode(), name.encode(), data)
        for name, data in files
    ]
    return b"".join(parts) + b"--%s--\r\n" % boundary.encode()


FORM_TYPE = "multipart/form-data; boundary=edge"


# ---- the way of a document


def test_a_put_that_was_sent_twice_counts_once(headrace: Headrace) -> None:
    shelf = importlib.import_module("shelf")
    shelf.receive("20260101-000000000-0123456789ab-a.txt", b"first")
    shelf.receive("20260101-000000000-0123456789ab-a.txt", b"first")
    assert list(headrace.buckets["documents-inbox"].values()) == [b"first"]


def test_a_document_waits_runs_and_is_done(headrace: Headrace) -> None:
    key = put("mills.txt", (EXAMPLE / "documents/mills.txt").read_bytes())
    assert key.endswith("-mills.txt")
    assert ask_json(f"/documents/{key}")["state"] == "waiting"
    assert "refresh" in ask("GET", f"/documents/{key}").text

    headrace.buckets["documents-results"] = {f"job/{key}": b"0193-job"}
    assert ask_json(f"/documents/{key}")["state"] == "running"

    headrace.run(key)
    outcome = ask_json(f"/documents/{key}")
    assert (outcome["state"], outcome["job"], outcome["request_id"]) == ("done", "0193-job", "r1")
    assert outcome["seconds"] == 0.25
    assert outcome["result"]["words"]["words"] > 400
    assert outcome["result"]["keywords"][0]["word"] == "headrace"
    page = ask("GET", f"/documents/{key}").text
    assert "The sluice gate" in page and "0193-job" in page and "refresh" not in page
    assert ask("GET", f"/documents/{key}/text").text.startswith("A Mill and Its Water")
    assert ask("GET", f"/documents/{key}/index").json["words"]["headrace"]["count"] == 5


def test_a_document_that_cannot_be_read_shows_why_and_no_traceback(headrace: Headrace) -> None:
    key = put("junk.txt", b"\0" * 100)
    headrace.run(key)
    assert ask_json(f"/documents/{key}")["error"].startswith("this is binary data")
    page = ask("GET", f"/documents/{key}").text
    assert "this is binary data" in page and ">dead<" in page and "secret" not in page


def test_a_document_that_is_gone_is_given_up(headrace: Headrace) -> None:
    key = put("a.txt", b"a")
    headrace.buckets["documents-inbox"].clear()
    headrace.run(key)
    assert ask_json(f"/documents/{key}")["error"] == "the document is not in the inbox any more"


def test_the_list_shows_the_newest_first_and_no_more_than_its_limit(
    headrace: Headrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIST_DOCUMENTS", 2)
    put("a.txt", b"a")
    inbox = headrace.buckets["documents-inbox"]
    inbox.clear()
    for day in (1, 3, 2):
        inbox[f"2026010{day}-000000000-0123456789ab-day{day}.txt"] = b"x"
    names = [document["name"] for document in ask_json("/")["documents"]]
    assert names == ["day3.txt", "day2.txt"]
    assert "day3.txt" in ask("GET", "/").text


def test_a_form_of_one_leads_to_its_page_and_of_several_to_the_list(headrace: Headrace) -> None:
    one = ask("POST", "/documents", form(("a.txt", b"\r\nriver\r\n")), CONTENT_TYPE=FORM_TYPE)
    assert one.status == 303
    key = one.headers["location"].removeprefix("/documents/")
    assert headrace.buckets["documents-inbox"][key] == b"\r\nriver\r\n"
    two = ask("POST", "/documents", form(("a.txt", b"1"), ("b.txt", b"")), CONTENT_TYPE=FORM_TYPE)
    assert (two.status, two.headers["location"]) == (303, "/")
    assert len(headrace.buckets["documents-inbox"]) == 3


def test_a_hostile_name_and_text_are_shown_as_text(headrace: Headrace) -> None:
    key = put("<script>alert(1)<script>.html", b"<html><h1>&lt;script&gt;x&lt;/script&gt;</h1></html>")
    assert "<" not in key
    headrace.run(key)
    reply = ask("GET", f"/documents/{key}")
    assert "&lt;script&gt;x" in reply.text and "<script" not in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert ask("GET", f"/documents/{key}/text").headers["content-type"] == "text/plain; charset=utf-8"


def test_a_name_in_any_alphabet_survives(headrace: Headrace) -> None:
    key = put("Mühle 7.txt", b"x")
    assert key.endswith("-Mühle-7.txt")
    assert ask_json(f"/documents/{key}")["name"] == "Mühle-7.txt"


# ---- refusals


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/documents/nothing", 404),
        ("GET", "/documents/a/b/c", 404),
        ("GET", "/documents/x/text", 404),
        ("DELETE", "/documents/x", 405),
        ("POST", "/", 405),
        ("PUT", "/documents/", 405),
        ("GET", "/documents/../../etc/passwd", 404),
        ("GET", "/documents/\x00\xff", 404),
    ],
)
def test_what_is_not_there_says_so(headrace: Headrace, method: str, path: str, status: int) -> None:
    assert ask(method, path).status == status


def test_head_is_get_without_the_body(headrace: Headrace) -> None:
    reply = ask("HEAD", "/")
    assert (reply.status, reply.body) == (200, b"") and int(reply.headers["content-length"]) > 100


def test_an_upload_beyond_the_limit_is_refused_unread(headrace: Headrace) -> None:
    reply = ask("PUT", "/documents/a.txt", b"", CONTENT_LENGTH=str(limits.UPLOAD_BYTES + 1))
    assert (reply.status, headrace.buckets["documents-inbox"]) == (413, {})
    assert "at most" in reply.json["error"]


@pytest.mark.parametrize("length", ["", "-1", "1e3", "٣", "9" * 30])
def test_an_upload_without_a_length_is_refused(headrace: Headrace, length: str) -> None:
    assert ask("PUT", "/documents/a.txt", b"a", CONTENT_LENGTH=length).status == 411


def test_a_store_that_is_away_is_said_to_the_sender(headrace: Headrace) -> None:
    headrace.down = True
    reply = ask("PUT", "/documents/a.txt", b"a")
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")


def test_before_the_first_worker_uploads_wait_and_the_list_is_empty(headrace: Headrace) -> None:
    del headrace.buckets["documents-inbox"]
    assert ask("PUT", "/documents/a.txt", b"a").status == 503
    assert ask_json("/") == {"documents": []}


# ---- forms


def refusal(body: bytes, content_type: str = FORM_TYPE) -> str:
    with pytest.raises(Refused) as raised:
        read_form(body, content_type)
    return f"{raised.value.status.split()[0]} {raised.value}"


def test_a_form_gives_its_files_byte_for_byte() -> None:
    every = bytes(range(256)) * 3
    body = b"preamble\r\n" + form(("a.bin", every), ("b.bin", b"x--edge"), ("", b""), ("c.txt", b""))
    assert [(upload.name, upload.data) for upload in read_form(body, FORM_TYPE)] == [
        ("a.bin", every),
        ("b.bin", b"x--edge"),
        ("c.txt", b""),
    ]


def test_a_malformed_form_is_refused() -> None:
    whole = form(("a.txt", b"river"))
    assert refusal(whole, "text/plain").startswith("415")
    assert refusal(whole, "multipart/form-data").startswith("415")
    assert refusal(whole, "multipart/form-data; boundary=other") == "400 the form's boundary is not in it"
    assert refusal(b"") == "400 the form's boundary is not in it"
    assert refusal(b"--edge--\r\n") == "400 the form holds no file"
    assert refusal(b"--edge\r\n\r\n--edge--").startswith("400")
    for length in range(len(b"--edge"), len(whole) - len(b"\r\n--edge--\r\n") + 1):
        assert refusal(whole[:length]).startswith("400"), length


def test_a_form_of_too_many_or_too_large_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    most = [("a.txt", b"a")] * limits.FORM_FILES
    assert len(read_form(form(*most), FORM_TYPE)) == limits.FORM_FILES
    assert refusal(form(*most, ("b.txt", b"b"))).startswith("413")
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 3)
    assert read_form(form(("a.txt", b"abc")), FORM_TYPE)[0].data == b"abc"
    assert refusal(form(("a.txt", b"abcd"))).startswith("413")


def test_a_body_that_ends_too_early_is_refused() -> None:
    assert read_body(io.BytesIO(b"abc"), "3", 3) == b"abc"
    with pytest.raises(Refused, match="too early"):
        read_body(io.BytesIO(b"ab"), "3", 3)


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("a.txt", "a.txt"),
        ("C:\\Users\\me\\a b.txt", "a-b.txt"),
        ("../../etc/passwd", "passwd"),
        ("...", "unnamed"),
        ("", "unnamed"),
        ("/", "unnamed"),
        ("a\r\nX: y", "a-X-y"),
        ("\x00", "unnamed"),
        ("x" * 300 + ".pdf.gz", "x" * (limits.NAME_CHARACTERS - 3) + ".gz"),
        ("." + "y" * 300, "y" * limits.NAME_CHARACTERS),
    ],
)
def test_names_are_made_safe(given: str, clean: str) -> None:
    assert clean_name(given) == clean
    assert len(forms.clean_name(given)) <= limits.NAME_CHARACTERS
