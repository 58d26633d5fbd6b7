"""Log records as the program's other parts write them: one line, time, severity, event, key=value. No value
can pass for another record, another field or a terminal command."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import datetime, timezone

VALUE_MAX = 1024  # bytes; longer ones end with "..."
LINE_MAX = 4000

_UNSEEN = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SYSLOG = {"error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
_COLOUR = {"error": "\x1b[31m", "warning": "\x1b[33m", "debug": "\x1b[2m"}


def _shown(match: re.Match[str]) -> str:
    char = match.group()
    if char == "\\":
        return "\\\\"
    if "\udc80" <= char <= "\udcff":  # a byte that was no UTF-8
        return f"\\x{ord(char) - 0xdc00:02x}"
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))


def visible(text: str) -> str:
    """Printable UTF-8 without control characters, line separators or direction overrides."""
    return _UNSEEN.sub(_shown, text)


def _value(value: object) -> str:
    text = f"{value:.6f}" if isinstance(value, float) else str(value)
    if len(encoded := text.encode("utf-8", "surrogateescape")) > VALUE_MAX:
        text = encoded[:VALUE_MAX].decode("utf-8", "ignore") + "..."
    text = visible(text)
    if text and not any(char in text for char in ' "='):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _prefix() -> Callable[[str, str], str]:
    """How a line begins: for the journal, which adds the time itself; in colour for a terminal; plain."""
    try:
        seen = os.fstat(2)
        if os.environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}":
            return lambda severity, event: f"<{_SYSLOG[severity]}>{event}"
    except OSError:
        pass
    colour = os.isatty(2) and not os.environ.get("NO_COLOR")

    def timed(severity: str, event: str) -> str:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        before, after = (_COLOUR.get(severity, "\x1b[32m"), "\x1b[0m") if colour else ("", "")
        return f"{now} {before}{severity:<7}{after} {event}"

    return timed


class Log:
    """Lines on standard error. Thread-safe."""

    def __init__(self) -> None:
        self._prefix = _prefix()
        self._lock = threading.Lock()

    def __call__(
        self, severity: str, event: str, more: list[str] | None = None, /, **fields: object
    ) -> None:
        """`more`: lines that follow the record, indented, each made visible."""
        line = self._prefix(severity, event)
        omitted = 0
        for key, value in fields.items():
            field = f" {key}={_value(value)}"
            if len(line) + len(field) > LINE_MAX:
                omitted += 1
            else:
                line += field
        if omitted:
            line += f" omitted={omitted}"
        text = "".join([line, "\n", *(f"    {visible(part)[:LINE_MAX]}\n" for part in more or [])])
        self._write(text.encode("utf-8", "backslashreplace"))

    def _write(self, data: bytes) -> None:
        with self._lock:
            try:
                while data:
                    data = data[os.write(2, data) :]
            except OSError:
                pass  # nobody reads, and there is nowhere else to say so


class Handler(logging.Handler):
    """The application's own logging records in the same lines, with the request they belong to."""

    def __init__(self, log: Log, request_id: Callable[[], str | None]) -> None:
        super().__init__()
        self._log = log
        self._request_id = request_id

    def emit(self, record: logging.LogRecord) -> None:
        try:
            severity = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
            fields = {"request": self._request_id()} if self._request_id() else {}
            more = traceback.format_exception(*record.exc_info) if record.exc_info else []
            self._log(
                severity if severity in _SYSLOG else "info",
                "app",
                "".join(more).splitlines(),
                **fields,
                logger=record.name,
                message=record.getMessage(),
            )
        except Exception:
            self.handleError(record)


def flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
