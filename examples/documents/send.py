#!/usr/bin/env python3
"""Sends documents through nginx over TLS, waits for what becomes of each, and prints a table.

Without FILE: the documents beside this program; broken.pdf among them must end as a dead letter, the others
with a result. Exit codes: 0 all as it should be, 1 not, 2 usage, 4 the site does not answer.
"""

from __future__ import annotations

import argparse
import http.client
import json
import pathlib
import ssl
import sys
import time
import tomllib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = [
    "mills.txt",
    "mills.txt.gz",
    "locks.md",
    "waterworks.html",
    "rivers.csv",
    "headrace.pdf",
    "broken.pdf",
]
BROKEN = HERE / "documents" / "broken.pdf"
POLL_SECONDS = 0.1
ENDED = ("done", "dead")


class Site:
    """One connection to the site; its certificate is trusted because the file is at hand, and is checked."""

    def __init__(self, url: str, certificate: pathlib.Path) -> None:
        self.url = url.rstrip("/")
        place = urlsplit(self.url)
        context = ssl.create_default_context(cafile=certificate)
        self.connection = http.client.HTTPSConnection(
            place.hostname or "localhost", place.port, timeout=30, context=context
        )

    def ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        self.connection.request(method, path, body, {"Accept": "application/json"})
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise http.client.HTTPException(f"{method} {path}: {response.status} {answer[:200]!r}")
        return dict(json.loads(answer))


@dataclass
class Sent:
    path: pathlib.Path
    key: str
    request_id: str
    page: str
    outcome: dict[str, Any]

    @property
    def ended(self) -> bool:
        return self.outcome.get("state") in ENDED

    @property
    def as_it_should_be(self) -> bool:
        """broken.pdf dies, and says why; of a file of the user's own, any end will do."""
        if self.path.parent != HERE / "documents":
            return self.ended
        expected = "dead" if self.path == BROKEN else "done"
        return self.outcome.get("state") == expected and (expected == "done" or bool(self.outcome["error"]))


def send(site: Site, path: pathlib.Path) -> Sent:
    answer = site.ask("PUT", "/documents/" + quote(path.name), path.read_bytes())
    document = answer["documents"][0]
    return Sent(path, document["key"], answer["request_id"], document["page"], {})


def wait(site: Site, sent: list[Sent], seconds: float) -> None:
    """Returns when every document has come to its end, or the time is over."""
    deadline = time.monotonic() + seconds
    while waiting := [document for document in sent if not document.ended]:
        for document in waiting:
            document.outcome = site.ask("GET", document.page)
        if time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS)


def row(document: Sent) -> list[str]:
    outcome, result = document.outcome, document.outcome.get("result")
    kind, words, what = "", "", f"nothing came back: {outcome.get('state')}"
    if result:
        kind = result["type"] + (" in gzip" if result["packed"] else "")
        words = f"{result['words']['words']:,}"
        what = ", ".join(entry["word"] for entry in result["keywords"][:4])
    elif outcome.get("state") == "dead":
        what = f"dead letter: {outcome['error']}"
    seconds = "" if outcome.get("seconds") is None else f"{outcome['seconds']:.2f}"
    return [document.path.name, kind, words, seconds, outcome.get("job") or "", what]


def print_table(rows: list[list[str]]) -> None:
    head = ["document", "type", "words", "seconds", "job", "keywords, or why there are none"]
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    for line in [head, *rows]:
        cells = [
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ]
        print("  ".join(cells).rstrip())


def address_of(state: pathlib.Path) -> str:
    """Of the stack that runs on this state folder, else of the configuration."""
    try:
        return str(json.loads((state / "ready").read_text())["https"])
    except (OSError, ValueError, KeyError):
        listen = tomllib.loads((HERE / "headrace.toml").read_text())["site"]["https"]
        return f"https://localhost:{listen.rpartition(':')[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--url", help="of the site; else the one that runs on STATE, else headrace.toml's")
    parser.add_argument(
        "--state", type=pathlib.Path, default=HERE / ".headrace", help="state folder of `headrace up`"
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for the results (60)")
    options = parser.parse_args()
    files = [file.resolve() for file in options.files] or [HERE / "documents" / name for name in SAMPLES]
    if missing := [str(file) for file in files if not file.is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")
    url = options.url or address_of(options.state)
    try:
        site = Site(url, options.state / "tls" / "cert.pem")
        sent = [send(site, file) for file in files]
        wait(site, sent, options.timeout)
    except (OSError, http.client.HTTPException) as error:
        print(f"send.py: {url}: {error}", file=sys.stderr)
        return 4
    print_table([row(document) for document in sent])
    print(f"\nall documents   {site.url}/\none of them     {site.url}{sent[0].page}")
    wrong = [document.path.name for document in sent if not document.as_it_should_be]
    if wrong:
        print(f"send.py: not as it should be: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
