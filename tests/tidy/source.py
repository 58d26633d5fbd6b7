"""A source file as the rules see it: its path, its text, and its code with comments and strings blanked."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'  # comments, strings
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",  # characters, but not the ' of 1'000
    re.S,
)


def blank(match: re.Match[str]) -> str:
    """Keeps the lines, and an include's quoted path would be lost: those are put back by `code`."""
    return re.sub(r"[^\n]", " ", match.group())


@dataclass(frozen=True)
class Source:
    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def code(self) -> list[str]:
        """C++ without comments and strings; #include lines as they are."""
        blanked = COMMENT_OR_STRING.sub(blank, self.text).splitlines()
        return [raw if raw.startswith("#include") else code for raw, code in zip(self.lines, blanked)]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def is_cxx(self) -> bool:
        return self.suffix in (".cc", ".h")

    @property
    def is_header(self) -> bool:
        return self.suffix == ".h"

    @property
    def is_product(self) -> bool:
        """C++ that ships: under src, not a unit test, not the simulation."""
        return self.is_cxx and self.under("src") and not self.under("src/sim") and not self.is_unit_test

    @property
    def is_unit_test(self) -> bool:
        return self.name.endswith(("_test.cc", "_test.h"))

    def under(self, *folders: str) -> bool:
        return any(self.path == folder or self.path.startswith(folder + "/") for folder in folders)


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message} [{self.rule}]"
