"""./dev as a newcomer meets it: help, refusals, and a reason as the last line."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = ["setup", "run", "test", "bench", "sim", "fuzz", "lint", "boot", "package"]


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "dev", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_does_nothing_else(command: str) -> None:
    done = dev(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: ./dev {command}")


def test_help_lists_every_command() -> None:
    done = dev("--help")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")] == COMMANDS


@pytest.mark.parametrize(
    "arguments",
    [[], ["brew"], ["test", "nothing"], ["setup", "games"], ["sim", "--seeds", "many"], ["fuzz", "--fast"]],
)
def test_a_wrong_command_line_is_refused_with_the_reason_last(arguments: list[str]) -> None:
    done = dev(*arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("dev: ")


@pytest.mark.parametrize("command", ["boot", "package"])
def test_what_does_not_exist_yet_says_so(command: str) -> None:
    done = dev(command)
    assert done.returncode == 1
    assert " yet: " in done.stderr.splitlines()[-1]
