"""The pages as HTML text. Everything that came from outside passes through `escape`."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

import limits
from shelf import Outcome

FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{refresh}<title>{title}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
{body}
</body>
</html>
"""

FORM = """<form method="post" action="/documents" enctype="multipart/form-data">
<input type="file" name="document" multiple required> <button>Send</button>
<p>Text, Markdown, HTML, CSV or PDF, or a gzip of those; at most {mib} MiB each.</p>
</form>"""


BACK = '<p><a href="/">All documents</a></p>'


def page(title: str, body: str, refresh: bool = False) -> str:
    again = '<meta http-equiv="refresh" content="1">\n' if refresh else ""
    return FRAME.format(title=escape(title), body=body, refresh=again)


def link(key: str, suffix: str = "") -> str:
    return "/documents/" + quote(key) + suffix


def state(outcome: Outcome) -> str:
    return f'<span class="state {outcome.state}">{outcome.state}</span>'


def listing(outcomes: list[Outcome]) -> str:
    body = "<h1>Documents</h1>\n" + FORM.format(mib=limits.UPLOAD_BYTES >> 20)
    if outcomes:
        head = "<tr><th>document<th>state<th>what it holds</tr>"
        body += f"\n<h2>The newest {len(outcomes)}</h2>\n<table>\n{head}\n"
        body += "\n".join(map(row, outcomes)) + "\n</table>"
    return page(
        "Documents", body, refresh=any(outcome.state in ("waiting", "running") for outcome in outcomes)
    )


def row(outcome: Outcome) -> str:
    if outcome.result is not None:
        words = ", ".join(entry["word"] for entry in outcome.result["keywords"][:5])
        what = f"{outcome.result['type']}, {outcome.result['words']['words']:,} words: {words}"
    else:
        what = outcome.error or ""
    name = f'<a href="{link(outcome.key)}">{escape(outcome.name)}</a>'
    return f"<tr><td>{name}<td>{state(outcome)}<td>{escape(what)}</tr>"


def document(outcome: Outcome, text: str | None) -> str:
    body = f"{BACK}\n<h1>{escape(outcome.name)} {state(outcome)}</h1>\n{ids(outcome)}"
    if outcome.error:
        body += f'\n<p class="reason">{escape(outcome.error)}</p>'
    if outcome.result is not None:
        body += "\n" + findings(outcome, outcome.result)
    if text is not None:
        body += (
            f'\n<h2>Text</h2>\n<p><a href="{link(outcome.key, "/text")}">all of it</a></p>\n{numbered(text)}'
        )
    return page(outcome.name, body, refresh=outcome.state in ("waiting", "running"))


def ids(outcome: Outcome) -> str:
    known = {"key": outcome.key, "job": outcome.job, "request": outcome.request_id}
    lines = [f"{name} <code>{escape(value)}</code>" for name, value in known.items() if value]
    if outcome.seconds is not None:
        lines.append(f"{outcome.seconds:.2f} s, attempts: {outcome.attempts}")
    return '<p class="ids">' + "<br>\n".join(lines) + "</p>"


def findings(outcome: Outcome, result: dict[str, Any]) -> str:
    words = result["words"]
    kind = result["type"] + (", from a gzip" if result["packed"] else "")
    note = f"<p>{escape(result['note'])}</p>\n" if result["note"] else ""
    headings = "\n".join(map(heading_link, result["outline"]))
    keywords = "\n".join(map(keyword_row, result["keywords"]))
    return f"""{note}<p class="summary">{escape(kind)}: {words["words"]:,} words,
{words["distinct"]:,} of them distinct, on {words["lines"]:,} lines; {words["average_length"]} letters a word;
the longest is {escape(words["longest"] or "none")}.</p>
<h2>Outline</h2>
{headings or "<p>no headings</p>"}
<h2>Keywords</h2>
<table class="keywords">
<tr><th>word<th class="number">times<th>on lines</tr>
{keywords}
</table>
<p><a href="{link(outcome.key, "/index")}">the whole index</a></p>"""


def heading_link(item: dict[str, Any]) -> str:
    return f'<div class="level{item["level"]}"><a href="#L{item["line"]}">{escape(item["title"])}</a></div>'


def keyword_row(entry: dict[str, Any]) -> str:
    lines = line_links(entry["lines"])
    return f'<tr><td>{escape(entry["word"])}<td class="number">{entry["count"]}<td>{lines}</tr>'


def line_links(lines: list[int]) -> str:
    return ", ".join(f'<a href="#L{line}">{line}</a>' for line in lines)


def numbered(text: str) -> str:
    lines = text.split("\n", limits.SHOWN_LINES)[: limits.SHOWN_LINES]
    shown = (
        f'<span id="L{number}" data-line="{number}">{escape(line[: limits.SHOWN_CHARACTERS])}</span>'
        for number, line in enumerate(lines, 1)
    )
    return "<pre>" + "".join(shown) + "</pre>"


def refusal(status: str, sentence: str) -> str:
    return page(status, f"{BACK}\n<h1>{escape(status)}</h1>\n<p>{escape(sentence)}</p>")
