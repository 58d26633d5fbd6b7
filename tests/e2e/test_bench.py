"""How bench/run compares: by turns, with their spread, and naming what it left out."""

from __future__ import annotations

import argparse
import pathlib
import subprocess

import measure
import pytest
import rival_workers
from services import Failed

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def suite(tmp_path: pathlib.Path) -> measure.Suite:
    return measure.Suite(argparse.Namespace(build=tmp_path, seconds=1.0, repeat=3), tmp_path, 0)


def row(name: str, *values: float) -> measure.Row:
    left = iter(values)
    return measure.Row(name, "a second", lambda: next(left))


def test_a_ratio_is_that_of_medians_with_the_least_and_the_most_of_a_turn(suite: measure.Suite) -> None:
    suite.in_turns([row("ours", 10, 30, 20), row("theirs", 10, 10, 5)])
    suite.wanted = [measure.Ratio("ours", "theirs", 2.5)]
    (ratio,) = suite.ratios()
    assert (ratio["ratio"], ratio["least"], ratio["most"]) == (2.0, 1.0, 4.0)
    assert ">= 2.5  MISSED" in measure.table(suite)


def test_one_that_fails_is_named_and_the_others_go_on(suite: measure.Suite) -> None:
    def fails() -> float:
        raise Failed("it did not start")

    suite.in_turns([measure.Row("theirs", "a second", fails), row("ours", 1, 2, 3)])
    suite.wanted = [measure.Ratio("ours", "theirs", 1.0)]
    assert suite.failed and suite.ratios() == []
    assert suite.results["ours"]["median"] == 2
    assert "LEFT OUT  theirs: FAILED: it did not start" in measure.table(suite)


def test_nothing_done_in_the_time_is_no_division_by_zero(suite: measure.Suite) -> None:
    suite.in_turns([row("ours", 1, 1, 1), row("theirs", 0, 0, 0)])
    suite.wanted = [measure.Ratio("ours", "theirs", 1.0)]
    assert "inf" in measure.table(suite)


def test_what_a_measurement_wrote_is_removed_after_it(suite: measure.Suite) -> None:
    kept = suite.fresh()
    kept.mkdir()
    with suite.tidied():
        suite.fresh().mkdir()
    assert list(suite.folder.iterdir()) == [kept]


def test_a_rival_that_is_not_installed_is_left_out_with_what_to_install(
    suite: measure.Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rival_workers.shutil, "which", lambda program: None)
    assert rival_workers.present(suite, [rival_workers.OURS, rival_workers.RQ]) == [rival_workers.OURS]
    (line,) = suite.skipped
    assert "Debian's redis-server" in line and "./dev setup rivals" in line


@pytest.mark.parametrize("arguments", [["nothing"], ["--flush-ms", "soon"]])
def test_a_wrong_command_line_is_refused_before_anything_runs(arguments: list[str]) -> None:
    done = subprocess.run(
        [ROOT / "bench" / "run", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert arguments[-1] in done.stderr
