"""Man pages and completions, as the program writes them for its package."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program() -> str:
    return os.environ.get("HEADRACE_BIN", str(ROOT / "build" / "release" / "headrace"))


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("manual")
    run(program(), "manual", str(folder))
    return folder


def commands(*of: str) -> list[str]:
    """What --help lists."""
    text = run(program(), *of, "--help").partition("Subcommands:\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in text.splitlines() if re.match(r"  [a-z]", line)]


def test_each_command_has_a_page_that_names_each_of_its_options(manual: pathlib.Path) -> None:
    assert "host" in commands() and "apply" in commands("host")
    for command in commands():
        page = (manual / "man" / f"headrace-{command}.1").read_text().replace("\\-", "-")
        lines = [run(program(), command, "--help")]
        lines += [run(program(), command, inner, "--help") for inner in commands(command)]
        options = set(re.findall(r"^  (?:-\w,)?(--[\w-]+)", "".join(lines), re.MULTILINE))
        assert "--help" in options
        assert [each for each in sorted(options) if each not in page] == [], command


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_groff_reads_every_page_without_a_warning(manual: pathlib.Path) -> None:
    for page in (manual / "man").iterdir():
        done = subprocess.run(
            ["groff", "-man", "-ww", "-z", str(page)], capture_output=True, text=True, check=True
        )
        assert done.stderr == "", page.name


def offered(manual: pathlib.Path, *typed: str) -> list[str]:
    words = " ".join(f"'{word}'" for word in ("headrace", *typed))
    script = f"""source {manual}/bash/headrace
COMP_WORDS=({words}) COMP_CWORD={len(typed)}
_headrace
printf '%s\\n' "${{COMPREPLY[@]}}" """
    return run("bash", "-c", script).split()


def test_bash_offers_what_may_follow(manual: pathlib.Path) -> None:
    assert "host" in offered(manual, "") and "store" in offered(manual, "")
    assert offered(manual, "doc") == ["doctor"]
    assert set(commands("host")) <= set(offered(manual, "host", ""))
    assert offered(manual, "host", "--json", "apply", "--conf") == ["--config", "--confirm-within"]
    assert "--confirm-within" not in offered(manual, "host", "plan", "--")


def test_after_an_option_with_a_value_bash_offers_files(
    manual: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "headrace.toml").touch()
    assert offered(manual, "host", "plan", "--config", f"{tmp_path}/head") == [f"{tmp_path}/headrace.toml"]


@pytest.mark.parametrize("shell, file", [("zsh", "zsh/_headrace"), ("fish", "fish/headrace.fish")])
def test_other_shells_read_theirs(manual: pathlib.Path, shell: str, file: str) -> None:
    assert "confirm-within" in (manual / file).read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    run(shell, "-n", str(manual / file))
