"""What comes in an upload: the file of a raw PUT, or the files of a multipart/form-data POST. Pure, bounded.

Raises Refused with the HTTP status that says what is wrong.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from typing import Protocol

import limits


class Refused(Exception):
    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        ...


@dataclass(frozen=True)
class Upload:
    name: str
    data: bytes


def read_body(body: Readable, length_text: str, most: int) -> bytes:
    """Exactly as many bytes as were announced."""
    if not re.fullmatch(r"[0-9]{1,15}", length_text):
        raise Refused("411 Length Required", "an upload says how long it is: Content-Length")
    length = int(length_text)
    if length > most:
        raise Refused("413 Content Too Large", f"an upload holds at most {most:,} bytes")
    whole = bytearray()
    while len(whole) < length:
        piece = body.read(length - len(whole))
        if not piece:
            raise Refused("400 Bad Request", "the upload ended too early")
        whole += piece
    return bytes(whole)


def read_form(body: bytes, content_type: str) -> list[Upload]:
    """The files of a form, in its order. Other fields, and file fields left empty, are passed over."""
    header = headers_of(f"Content-Type: {content_type}\n\n".encode())
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise Refused("415 Unsupported Media Type", "a form comes as multipart/form-data with a boundary")
    uploads = []
    for part in parts_of(body, boundary.encode("latin-1", "replace")):
        head, gap, data = part.partition(b"\r\n\r\n")
        if not gap or len(head) > 8192:
            raise Refused("400 Bad Request", "a part of the form has no headers, or too many")
        name = headers_of(head + b"\n\n").get_filename()
        if not name:
            continue
        if len(data) > limits.UPLOAD_BYTES:
            raise Refused("413 Content Too Large", f"a document holds at most {limits.UPLOAD_BYTES:,} bytes")
        uploads.append(Upload(clean_name(name), data))
        if len(uploads) > limits.FORM_FILES:
            raise Refused("413 Content Too Large", f"a form holds at most {limits.FORM_FILES} documents")
    if not uploads:
        raise Refused("400 Bad Request", "the form holds no file")
    return uploads


def headers_of(data: bytes) -> Message:
    return HeaderParser().parsestr(data.decode("utf-8", "replace").replace("\r\n", "\n"))


def parts_of(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """What stands between the delimiter lines; the closing one ("--" behind it) must be there."""
    mark = b"\r\n--" + boundary
    place = 0 if body.startswith(mark[2:]) else body.find(mark) + 2
    if place == 1:
        raise Refused("400 Bad Request", "the form's boundary is not in it")
    place += len(mark) - 2
    while not body.startswith(b"--", place):
        begin = body.find(b"\r\n", place)
        end = body.find(mark, begin)
        if begin < 0 or end < 0 or body[place:begin].strip(b" \t"):
            raise Refused("400 Bad Request", "the form ended too early")
        yield body[begin + 2 : end] if end > begin else b""
        place = end + len(mark)


def clean_name(name: str) -> str:
    """A name that is safe in a key, a path and a page: letters, digits, dots, dashes and underscores."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    clean = re.sub(r"[^\w.-]+", "-", last).strip("-.")
    if len(clean) > limits.NAME_CHARACTERS:
        stem, dot, suffix = clean.rpartition(".")
        keep = dot + suffix if stem and len(suffix) <= 10 else ""
        clean = clean[: limits.NAME_CHARACTERS - len(keep)] + keep
    return clean or "unnamed"
