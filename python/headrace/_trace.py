"""W3C trace context (https://www.w3.org/TR/trace-context/): from a web request or a sender to its job, and
from a job to what it sends. Nothing is recorded here; whoever records finds the same ids everywhere."""

from __future__ import annotations

import os
import re
import sys
from contextvars import ContextVar

# "00-TRACE-SPAN-FLAGS" of what runs here; what is sent from here names it as its parent.
traceparent: ContextVar[str | None] = ContextVar("headrace_traceparent", default=None)

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


def usable(text: str | None) -> str | None:
    return text if text and _FORM.match(text) else None


def below(parent: str | None) -> str | None:
    """A span of our own in the parent's trace."""
    if (known := usable(parent)) is None:
        return None
    return f"{known[:36]}{os.urandom(8).hex()}{known[52:]}"


def here() -> str | None:
    """What runs now: OpenTelemetry's span where the application records one, else ours."""
    recorder = sys.modules.get("opentelemetry.trace")
    if recorder is not None:
        span = recorder.get_current_span().get_span_context()
        if span.is_valid:
            return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
    return traceparent.get()
