"""./dev as a newcomer meets it: help, refusals, and a reason as the last line."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = ["setup", "run", "test", "bench", "sim", "crash", "powerloss", "fuzz", "lint", "boot", "package"]


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
    [
        [],
        ["brew"],
        ["test", "nothing"],
        ["setup", "games"],
        ["sim", "--seeds", "many"],
        ["fuzz", "--fast"],
        ["lint", "--nosuch"],
        ["lint", "no/such.cc"],
        ["bench", "--nosuch"],
        ["bench", "--seconds", "many"],
        ["bench", "--flush-ms", "0.5;2"],
        ["run", "--nosuch"],
        ["run", "--http"],
        ["package", "--nosuch"],
    ],
)
def test_a_wrong_command_line_is_refused_with_the_reason_last(arguments: list[str]) -> None:
    done = dev(*arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("dev: ")
    assert "[1]" not in done.stdout, "before anything is installed or built"


# The parts of ./dev run that start and stop the stack, with a program of the test's own as `headrace`.
def run_with(program: pathlib.Path, script: str, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    lines = [
        "set -euo pipefail",
        f"root={ROOT}",
        ". tools/dev/common.sh",
        ". tools/dev/run.sh",
        f"state={folder}",
        f"headrace_program() {{ echo {program}; }}",
        script,
    ]
    return subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def program_that(folder: pathlib.Path, does: str) -> pathlib.Path:
    program = folder / "headrace"
    program.write_text(f"#!/bin/bash\n{does}\n")
    program.chmod(0o755)
    return program


# The shell has taken note of its end before it is asked for it.
LONG_ENDED = "while kill -0 $stack 2>/dev/null; do sleep 0.05; done"


def test_a_stack_that_does_not_start_is_a_failure_of_dev_run(tmp_path: pathlib.Path) -> None:
    program = program_that(tmp_path, "echo port in use >&2; exit 4")
    done = run_with(program, "start_stack; say 'The stack stays up'", tmp_path)
    assert done.returncode == 1 and "stays up" not in done.stdout
    assert done.stderr.splitlines() == ["port in use", "dev: headrace up ended with exit code 4"]


def test_a_stack_that_ends_without_being_asked_is_a_failure_of_dev_run(tmp_path: pathlib.Path) -> None:
    program = program_that(tmp_path, f"echo {{}} > {tmp_path}/ready; exit 2")
    done = run_with(program, f"start_stack; {LONG_ENDED}; await_stack", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "dev: headrace up ended with exit code 2"


def test_dev_run_waits_for_a_stack_that_it_stops(tmp_path: pathlib.Path) -> None:
    stops = f"trap 'echo stopped > {tmp_path}/said; exit 0' TERM; echo {{}} > {tmp_path}/ready"
    program = program_that(tmp_path, f"{stops}; while true; do sleep 0.05; done")
    done = run_with(program, "start_stack; kill -TERM $$; stop_stack", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said").read_text() == "stopped\n"
