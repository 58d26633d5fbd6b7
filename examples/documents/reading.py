"""A document's bytes and name become a Document: what kind it is by its content, then by its name.

Raises Unreadable with one sentence for the person who sent it. Every input is bounded (limits.py).
"""

from __future__ import annotations

import codecs
import re
import zlib
from dataclasses import dataclass

import limits
from formats import Extract, Heading, Unreadable, read_csv, read_html, read_markdown, read_plain
from pdf import read_pdf


@dataclass(frozen=True)
class Document:
    kind: str  # "text", "Markdown", "HTML", "CSV", "PDF"
    packed: bool  # it came in a gzip
    encoding: str
    text: str
    outline: list[Heading]
    note: str  # where the name and the content disagree


KIND_OF_SUFFIX = {
    "md": "Markdown",
    "markdown": "Markdown",
    "html": "HTML",
    "htm": "HTML",
    "xhtml": "HTML",
    "csv": "CSV",
    "tsv": "CSV",
    "pdf": "PDF",
    "txt": "text",
    "text": "text",
}
READ = "text, Markdown, HTML, CSV and PDF are read, and a gzip of those"
READERS = {"text": read_plain, "Markdown": read_markdown, "HTML": read_html, "CSV": read_csv}

# What people send by mistake, told apart so that the answer can name it.
STRANGERS = {
    b"PK\x03\x04": "a ZIP archive (as .docx and .odt are)",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"\x7fELF": "a program",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
}
BYTE_ORDER_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
HTML_START = re.compile(
    rb"\s*(<\?xml[^>]{0,200}>\s*)?(<!--.{0,1000}?-->\s*)?<(!doctype\s+html|html|head|body)\b", re.I | re.S
)
HTML_CHARSET = re.compile(rb"charset\s{0,8}=\s{0,8}[\"']?([A-Za-z0-9_.:-]{1,40})", re.I)
# Only what web pages use: Python also knows codecs that are no encodings, or slow ones (idna, punycode).
PAGE_ENCODINGS = re.compile(
    r"utf-8|utf-16|ascii|iso8859-\d+|cp125\d|koi8-[ru]|shift_jis|euc_jp|euc_kr|gb2312|gbk|gb18030|big5"
)


def read(name: str, data: bytes) -> Document:
    packed = data.startswith(b"\x1f\x8b")
    if packed:
        data = inflate(data)
        name = re.sub(r"\.gz$", "", name, flags=re.I)
        if data.startswith(b"\x1f\x8b"):
            raise Unreadable("there is a gzip inside the gzip")
    named = KIND_OF_SUFFIX.get(name.rpartition(".")[2].lower(), "") if "." in name else ""
    kind = kind_of(data, named)
    if kind == "PDF":
        encoding, extract = "", read_pdf(data)
    else:
        encoding, text = decode(data, kind)
        extract = READERS[kind](text)
    check_size(extract)
    note = f"it is named as {named}, and its content is {kind}" if named and named != kind else ""
    return Document(kind, packed, encoding, extract.text, extract.outline, note)


def kind_of(data: bytes, named: str) -> str:
    if b"%PDF-" in data[:1024]:
        return "PDF"
    for mark, what in STRANGERS.items():
        if data.startswith(mark):
            raise Unreadable(f"this is {what}; {READ}")
    if HTML_START.match(data[:4096].removeprefix(codecs.BOM_UTF8)):
        return "HTML"
    return named if named and named != "PDF" else "text"


def check_size(extract: Extract) -> None:
    if len(extract.text) > limits.TEXT_CHARACTERS:
        raise Unreadable(f"its text is over {limits.TEXT_CHARACTERS:,} characters")


def inflate(data: bytes) -> bytes:
    """All members of a gzip; zeros may follow, as tape writers leave them."""
    whole = bytearray()
    for _ in range(limits.GZIP_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        try:
            whole += member.decompress(data, limits.INFLATED_BYTES + 1 - len(whole))
        except zlib.error as error:
            raise Unreadable(f"the gzip is damaged: {error}") from error
        if len(whole) > limits.INFLATED_BYTES:
            raise Unreadable(f"the gzip holds over {limits.INFLATED_BYTES >> 20} MiB")
        if not member.eof:
            raise Unreadable("the gzip ends too early")
        data = member.unused_data
        if not data.strip(b"\0"):
            return bytes(whole)
    raise Unreadable(f"the gzip has over {limits.GZIP_MEMBERS} members")


def decode(data: bytes, kind: str) -> tuple[str, str]:
    """The encoding and the text, with lines that end in one newline character."""
    encoding = encoding_of(data, kind)
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        raise Unreadable(f"it is not {encoding}, which it says it is: {error}") from error
    if kind == "HTML" and len(data) > limits.HTML_BYTES:
        raise Unreadable(f"the page is over {limits.HTML_BYTES >> 20} MiB")
    if len(text) > limits.TEXT_CHARACTERS:
        raise Unreadable(f"its text is over {limits.TEXT_CHARACTERS:,} characters")
    controls = sum(text.count(chr(code)) for code in (*range(9), 11, *range(14, 32), *range(127, 160)))
    if controls > limits.CONTROL_SHARE * len(text):
        raise Unreadable(f"this is binary data; {READ}")
    return encoding.removesuffix("-sig"), text.replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(data: bytes, kind: str) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    if kind == "HTML" and (match := HTML_CHARSET.search(data[:2048])):
        try:
            named = codecs.lookup(match.group(1).decode("ascii")).name
        except LookupError:
            named = ""
        if PAGE_ENCODINGS.fullmatch(named):
            return named
    try:
        data.decode("cp1252")
        return "cp1252"
    except UnicodeDecodeError:
        return "latin-1"
