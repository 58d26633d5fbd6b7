"""Checks every text file of the checkout against the house rules; prints each finding and what to do instead.

usage: tidy.py ROOT
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from documents import check_documents
from rules import RULES
from source import Finding, Source

NOT_OURS = {"build", "node_modules", "__pycache__", "corpus"}
HIDDEN_BUT_OURS = {".ci"}
VERBATIM = {"LICENSE"}
SUFFIXES = set(" .cc .h .py .sh .mjs .js .json .cmake .md .txt .toml .yaml .html .css .conf".split(" "))


def files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        hidden = {name for name in folders if name.startswith(".")} - HIDDEN_BUT_OURS
        folders[:] = sorted(set(folders) - NOT_OURS - hidden)
        yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix in SUFFIXES)


def check_file(source: Source) -> Iterator[Finding]:
    for rule in RULES:
        yield from (Finding(source.path, line, rule.name, rule.instead) for line in rule.check(source))


def check_all(root: Path) -> Iterator[Finding]:
    for path in files(root):
        if path.name in VERBATIM or path.is_symlink():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        yield from check_file(Source(path.relative_to(root).as_posix(), text))
    yield from check_documents(root)


def main() -> int:
    root = Path(sys.argv[1]).resolve()
    findings = list(check_all(root))
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings, {len(RULES)} rules")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
