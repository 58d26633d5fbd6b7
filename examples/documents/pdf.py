"""A PDF's text by poppler's pdftotext, in a process of its own with a time, memory and output limit.

Raises Unreadable with what pdftotext says about a damaged file; RuntimeError where there is no pdftotext.
"""

from __future__ import annotations

import resource
import subprocess
import tempfile
import threading

import limits
from formats import Extract, Heading, Unreadable, heading

COMMAND = ["pdftotext", "-enc", "UTF-8", "-eol", "unix"]


def read_pdf(data: bytes) -> Extract:
    with tempfile.NamedTemporaryFile(prefix="document-", suffix=".pdf") as file:
        file.write(data)
        file.flush()
        return split_pages(extract(file.name))


def extract(path: str) -> str:
    try:
        process = subprocess.Popen(
            [*COMMAND, path, "-"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise RuntimeError("there is no pdftotext: install poppler-utils") from error
    with process:
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limits.PDF_MEMORY_BYTES, limits.PDF_MEMORY_BYTES))
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(limits.PDF_SECONDS, end)
        timer.start()
        try:
            text, complaint = collect(process)
        finally:
            timer.cancel()
    if late.is_set():
        raise Unreadable(f"pdftotext needed over {limits.PDF_SECONDS} s")
    if process.returncode != 0:
        raise Unreadable(f"pdftotext cannot read it: {complaint or f'exit code {process.returncode}'}")
    return text


def collect(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """What it writes, and the first line of its complaints, both bounded."""
    assert process.stdout is not None and process.stderr is not None
    complaints: list[bytes] = []
    pipe = process.stderr

    def drain() -> None:
        complaints.append(pipe.read(4096))
        while pipe.read(65536):
            pass

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    most = 4 * limits.TEXT_CHARACTERS
    try:
        output = process.stdout.read(most + 1)
        if len(output) > most:
            raise Unreadable(f"the PDF holds over {most >> 20} MiB of text")
        process.wait()
    finally:
        process.kill()
        reader.join()
    lines = complaints[0].decode("utf-8", "replace").strip().splitlines()
    return output.decode("utf-8", "replace"), lines[-1].strip()[:200] if lines else ""


def split_pages(text: str) -> Extract:
    """Form feeds end pages; the outline is each page's first line."""
    lines: list[str] = []
    outline: list[Heading] = []
    for number, page in enumerate(text.removesuffix("\f").split("\f"), 1):
        written = page.rstrip("\n").split("\n")
        first = next((line for line in written if line.strip()), "")
        if first and len(outline) < limits.HEADINGS:
            outline.append(heading(1, f"page {number}: {first}", len(lines) + 1))
        lines += written
    return Extract("\n".join(lines), outline)
