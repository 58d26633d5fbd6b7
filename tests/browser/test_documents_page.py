"""The example's pages in a real browser: headless Chromium, which trusts the certificate by its key."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from documents_stack import SAMPLES, Site, Stack, running

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running() as ready:
        yield ready


def key_pin(stack: Stack) -> str:
    """SHA-256 of the certificate's public key."""
    pem = subprocess.run(
        ["openssl", "x509", "-in", stack.certificate, "-noout", "-pubkey"], capture_output=True, check=True
    ).stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"], input=pem, capture_output=True, check=True
    ).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def chromium(stack: Stack, profile: pathlib.Path, *arguments: str) -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "there is no chromium: ./dev setup test"
    command = [
        program,
        "--headless",
        "--no-sandbox",  # which root cannot have
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        f"--ignore-certificate-errors-spki-list={key_pin(stack)}",
        "--virtual-time-budget=5000",
        "--window-size=1000,1400",
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_documents_page_shows_what_is_in_it(stack: Stack, tmp_path: pathlib.Path) -> None:
    site = Site(stack)
    page = site.upload("waterworks.html", (SAMPLES / "waterworks.html").read_bytes())["page"]
    outcome = site.ended(page)
    shown = chromium(stack, tmp_path / "profile", "--dump-dom", stack.url + page)
    assert '<span class="state done">done</span>' in shown
    for part in ("The filter house", "groundwater", outcome["job"], outcome["request_id"], outcome["key"]):
        assert part in shown, part

    picture = tmp_path / "page.png"
    chromium(stack, tmp_path / "profile", f"--screenshot={picture}", stack.url + page)
    assert picture.read_bytes().startswith(PNG) and picture.stat().st_size > 20_000


def test_the_list_shows_results_and_the_dead_letters_reason(stack: Stack, tmp_path: pathlib.Path) -> None:
    site = Site(stack)
    for name in ("locks.md", "broken.pdf"):
        site.ended(site.upload(name, (SAMPLES / name).read_bytes())["page"])
    shown = chromium(stack, tmp_path / "profile", "--dump-dom", stack.url + "/")
    assert "<form" in shown and 'type="file"' in shown
    assert "Markdown, 369 words: chamber" in shown
    assert "pdftotext cannot read it" in shown and '<span class="state dead">dead</span>' in shown


def test_a_certificate_that_is_not_pinned_is_refused(stack: Stack, tmp_path: pathlib.Path) -> None:
    """So the other tests do see this stack's own certificate."""
    program = shutil.which("chromium") or "chromium-browser"
    done = subprocess.run(
        [program, "--headless", "--no-sandbox", f"--user-data-dir={tmp_path}", "--dump-dom", stack.url + "/"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "<h1>Documents</h1>" not in done.stdout
