"""One request between the native server and a WSGI application (PEP 3333)."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

from headrace import _native

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | None
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class FileWrapper:
    """wsgi.file_wrapper: a file that the kernel sends if it can be, else read in blocks."""

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data: bytes = self.filelike.read(self.blksize)
        if not data:
            raise StopIteration
        return data

    def region(self) -> tuple[int, int, int] | None:
        """Descriptor, offset and size of the rest of a plain file. Types that only look like one (a
        compressed file has the descriptor of its compressed bytes) are not taken."""
        file = self.filelike
        raw = file.raw if isinstance(file, (io.BufferedReader, io.BufferedRandom)) else file
        if not isinstance(raw, io.FileIO):
            return None
        if isinstance(file, io.BufferedRandom):
            file.flush()
        seen = os.fstat(raw.fileno())
        if not stat.S_ISREG(seen.st_mode):
            return None
        offset = file.tell()
        return raw.fileno(), offset, max(0, seen.st_size - offset)


class Answering:
    """What an application is given to answer one request, and what is done with what it returns."""

    def __init__(self, request: _native.Request) -> None:
        self._request = request
        self._headers: list[tuple[str, str]] = []

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo = None
    ) -> Callable[[bytes], None]:
        if exc_info:
            try:
                if self._request.sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no cycle through this frame
        elif self._request.started:
            raise AssertionError("start_response was called a second time without exc_info")
        refusal = self._request.body_refusal
        if refusal and isinstance(status, str) and status.startswith("5"):
            status = f"{refusal[0]} Request Refused"  # what failed here is the client's body
        self._request.start(status, headers)
        self._headers = headers
        return self._write

    def _write(self, data: bytes) -> None:
        if data or not isinstance(data, bytes):
            self._request.send(data, False)

    def run(self, application: Application, environ: dict[str, Any]) -> None:
        """Raises whatever the application raises, ConnectionError or TimeoutError when the peer is gone."""
        result = application(environ, self.start_response)
        try:
            self._transmit(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _transmit(self, result: Iterable[bytes]) -> None:
        if isinstance(result, FileWrapper) and (region := result.region()):
            self._check_started()
            descriptor, offset, size = region
            self._request.send_file(descriptor, offset, min(size, self._announced(size)))
            return
        last = b""
        if isinstance(result, (list, tuple)):
            last = b"".join(result)
        else:
            for piece in result:
                if piece or not isinstance(piece, bytes):
                    self._check_started()
                    self._request.send(piece, False)
        self._check_started()
        self._request.send(last, True)

    def _announced(self, default: int) -> int:
        """Content-Length; the native side has checked that it is a number."""
        for name, value in self._headers:
            if name.lower() == "content-length":
                return int(value)
        return default

    def _check_started(self) -> None:
        if not self._request.started:
            raise AssertionError("the application did not call start_response")
