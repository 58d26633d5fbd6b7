"""Text of each kind becomes the words a reader sees and an outline of its headings. Pure.

Raises Unreadable, whose text is one sentence for the person who sent the document.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from html.parser import HTMLParser

import limits


class Unreadable(Exception):
    """This document can never be read: trying again is no use."""


@dataclass(frozen=True)
class Heading:
    level: int
    title: str
    line: int  # of the extracted text, from 1


@dataclass(frozen=True)
class Extract:
    text: str
    outline: list[Heading]


ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
UNDERLINE = re.compile(r" {0,3}(=+|-+) *$")
FENCE = re.compile(r" {0,3}(```|~~~)")
# Bounded repeats: a page of "[[[[" stays linear.
LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\([^()\s]{0,2000}\)")


def heading(level: int, title: str, line: int) -> Heading:
    return Heading(
        level, " ".join(title[: 2 * limits.TITLE_CHARACTERS].split())[: limits.TITLE_CHARACTERS], line
    )


def underlined(line: str, below: str) -> int:
    """The level that a line of = or - below gives to a line of text; 0: none."""
    match = UNDERLINE.match(below)
    if not match or not line.strip() or UNDERLINE.match(line) or len(match.group(1)) < 2:
        return 0
    return 1 if match.group(1)[0] == "=" else 2


def stands_alone(before: str, line: str, after: str) -> bool:
    """A short line between empty ones that does not end as a sentence does."""
    words = line.strip()
    return not before.strip() and not after.strip() and 0 < len(words) <= 70 and words[-1] not in ".,;:!?…"


def read_plain(text: str) -> Extract:
    lines = text.split("\n")
    outline: list[Heading] = []
    for number, line in enumerate(lines):
        if len(outline) == limits.HEADINGS:
            break
        below = lines[number + 1] if number + 1 < len(lines) else ""
        level = underlined(line, below)
        if not level and not UNDERLINE.match(line):
            level = 1 if stands_alone(lines[number - 1] if number else "", line, below) else 0
        if level:
            outline.append(heading(level, line, number + 1))
    return Extract(text, outline)


def read_markdown(text: str) -> Extract:
    """Keeps the lines as they are, without the marks of headings and the targets of links."""
    lines = text.split("\n")
    outline: list[Heading] = []
    shown: list[str] = []
    fenced = False
    for number, line in enumerate(lines):
        if FENCE.match(line):
            fenced = not fenced
            shown.append("")
            continue
        level = 0
        if not fenced:
            line = LINK.sub(r"\1", line)
            if match := ATX.match(line):
                level, line = len(match.group(1)), line[match.end() :].strip().rstrip("#").rstrip()
            else:
                level = underlined(line, lines[number + 1] if number + 1 < len(lines) else "")
        if level and line and len(outline) < limits.HEADINGS:
            outline.append(heading(level, line, number + 1))
        shown.append(line)
    return Extract("\n".join(shown), outline)


COMMENT = re.compile(r"<!--|<!\[")


class Page(HTMLParser):
    """Collects lines of text: a block element begins a new one; scripts and styles are no text."""

    BLOCKS = frozenset(
        "address article aside blockquote body br caption dd details div dl dt fieldset figcaption "
        "figure footer form h1 h2 h3 h4 h5 h6 header hr html li main nav ol option p pre section "
        "summary table tbody td tfoot th thead title tr ul".split()
    )
    HIDDEN = frozenset("script style template noscript".split())
    HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self.outline: list[Heading] = []
        self.words: list[str] = []
        self.level = 0
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.BLOCKS:
            self.end_line()
            self.level = int(tag[1]) if tag in self.HEADINGS else 0
        elif tag in self.HIDDEN:
            self.hidden += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in self.BLOCKS:
            self.end_line()
            self.level = 0
        elif tag in self.HIDDEN and self.hidden:
            self.hidden -= 1

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)

    def end_line(self) -> None:
        line = " ".join("".join(self.words).split())
        self.words.clear()
        if not line:
            return
        self.lines.append(line)
        if self.level and len(self.outline) < limits.HEADINGS:
            self.outline.append(heading(self.level, line, len(self.lines)))


def read_html(text: str) -> Extract:
    page = Page()
    text = without_comments(text)
    end = text.rfind(">") + 1
    try:
        page.feed(text[:end])
        page.close()
    except AssertionError as error:  # html.parser's answer to some malformed declarations
        raise Unreadable(f"the HTML cannot be read: {error}") from error
    page.handle_data(text[end:])
    page.end_line()
    return Extract("\n".join(page.lines), page.outline)


def without_comments(text: str) -> str:
    """Comments and <![...> sections end as browsers end them: an open one lasts to the end. html.parser would
    look for each missing end again and again, which takes minutes for a page of "<!--<!--": hence also the
    cut behind the last ">" in read_html."""
    pieces = []
    place = 0
    while match := COMMENT.search(text, place):
        pieces.append(text[place : match.start()])
        mark = "-->" if match.group() == "<!--" else ">"
        end = text.find(mark, match.end())
        place = end + len(mark) if end >= 0 else len(text)
    return " ".join([*pieces, text[place:]])


def delimiter_of(first_line: str) -> str:
    return max(",;\t|", key=lambda mark: (first_line.count(mark), mark == ","))


def read_csv(text: str) -> Extract:
    """Rows as lines, cells apart by tabs; the outline is the columns, each with its range of numbers."""
    csv.field_size_limit(limits.CSV_FIELD_CHARACTERS)
    first_line = text[: text.find("\n") if "\n" in text else len(text)]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(first_line), strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if len(rows) == limits.CSV_ROWS:
                raise Unreadable(f"the table has over {limits.CSV_ROWS:,} rows")
            if row:
                rows.append([" ".join(cell.split()) for cell in row])
    except csv.Error as error:
        raise Unreadable(f"the table cannot be read: line {reader.line_num}: {error}") from error
    names = rows[0] if rows else []
    outline = [
        heading(1, f"{name}{number_range(rows, column)}", 1)
        for column, name in enumerate(names[: limits.HEADINGS])
    ]
    return Extract("\n".join("\t".join(row) for row in rows), outline)


NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")


def number_range(rows: list[list[str]], column: int) -> str:
    """ ": 3 to 70" when every filled cell below the first row is a number."""
    cells = [row[column] for row in rows[1:] if column < len(row) and row[column]]
    if not cells or not all(NUMBER.fullmatch(cell) for cell in cells):
        return ""
    numbers = [float(cell) for cell in cells]
    return f": {min(numbers):g} to {max(numbers):g}"
