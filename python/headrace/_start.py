"""What a child of a worker and an application worker share: how a start fails, and whose fault that is."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

from headrace import _native

MESSAGE_MAX = 8 << 10  # characters of an exception's text


class StartError(Exception):
    """Why no job can run here. `file` and `line` are of the user's code, where it is to blame."""

    def __init__(self, message: str, file: str = "", line: int = 0, trace: str = "") -> None:
        super().__init__(message)
        self.frame: dict[str, Any] = {
            "op": "failed_start",
            "message": message,
            "file": file,
            "line": line,
            "traceback": trace,
        }


def check_version() -> None:
    wanted = os.environ.get("HEADRACE_VERSION", _native.version)
    if wanted != _native.version:
        raise StartError(
            f"the package headrace of {sys.executable} is {_native.version}, the program is {wanted}: "
            f"run `headrace python install {sys.prefix}`"
        )


def blamed_place(error: BaseException) -> tuple[str, int]:
    """The line of user code to look at: of a syntax error, else the innermost one in the working folder."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    package = os.path.dirname(__file__) + os.sep
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", package, importlib.__file__))
    ]
    root = os.getcwd() + os.sep
    ours = [frame for frame in frames if frame.filename.startswith(root)]
    ours = [frame for frame in ours if "site-packages" not in frame.filename]
    chosen = ours or frames
    return (chosen[-1].filename, chosen[-1].lineno or 0) if chosen else ("", 0)


def type_name(error: BaseException) -> str:
    kind = type(error)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE_MAX]
    except Exception:
        return "(the exception's own text failed)"
