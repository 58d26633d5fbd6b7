"""What the documents say of headrace.toml, held against the program's own parser."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest
import store_process
from store_process import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("examples/*/*.md"))]
EXAMPLES = [
    (f"{page.relative_to(ROOT)}#{number}", text)
    for page in PAGES
    for number, text in enumerate(re.findall(r"^```toml\n(.*?)^```", page.read_text(), flags=re.M | re.S), 1)
    if not text.startswith("[[key]]")  # of keys.toml, the store's own file
]
EXAMPLES += [
    (str(file.relative_to(ROOT)), file.read_text()) for file in sorted(ROOT.glob("examples/*/headrace.toml"))
]
KEY = re.compile(r"`((?:app|web|worker\.NAME|services|store|site|host)\.[a-z_0-9]+)`")


def told(folder: pathlib.Path, text: str) -> str:
    """What the store, which reads the whole file, says of it; the data folder is one that cannot be."""
    (folder / "headrace.toml").write_text(text)
    command = [str(store_process.binary()), "store", "--config", "headrace.toml"]
    options = ["--listen", "127.0.0.1:0", "--path", "/dev/null/none"]
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    return done.stderr


@pytest.mark.parametrize("text", [text for _, text in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_every_example_is_taken_by_the_parser(tmp_path: pathlib.Path, text: str) -> None:
    assert "/dev/null/none" in told(tmp_path, text), "the first thing that is wrong is the data folder"


def known(folder: pathlib.Path, text: str) -> list[str]:
    """The words that the parser offers instead of one that is like none of them."""
    listed = re.search(r"known here: ([a-z0-9_.*, ]+)", told(folder, text))
    assert listed, text
    return listed[1].strip().split(", ")


def test_the_page_has_every_key_and_no_other(tmp_path: pathlib.Path) -> None:
    nonsense = "q" * 40
    parsed = set()
    for table in known(tmp_path, f"[{nonsense}]\n"):
        header = table.replace("*", "default")
        for key in known(tmp_path, f"[{header}]\n{nonsense} = 1\n"):
            parsed.add(f"{table.replace('*', 'NAME')}.{key}")
    rows = {
        name: {
            key
            for line in (ROOT / "docs" / name).read_text().splitlines()
            if line.startswith("| `")
            for key in KEY.findall(line.split(" | ")[0])
        }
        for name in ("config.md", "host.md")
        if (ROOT / "docs" / name).exists()
    }
    written = set().union(*rows.values())
    assert parsed - written == set(), "keys that neither docs/config.md nor docs/host.md has a row for"
    assert rows["config.md"] - parsed == set(), "rows of docs/config.md that are no key"
