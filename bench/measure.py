"""Measurements and their ratios: what bench/run's parts share.

What is compared is measured in turns, one after the other, so that whatever else the machine does meets all
of them; the spread of a ratio is that of the turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services import Failed, log, output_of


@dataclass(frozen=True)
class Row:
    name: str
    unit: str
    once: Callable[[], float]


@dataclass(frozen=True)
class Ratio:
    what: str
    against: str
    aim: float | None = None  # at least; `below`: at most
    below: bool = False


class Suite:
    """One pass over the parts: results by name, the ratios wanted of them, and what was left out and why."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, flush_ms: float) -> None:
        self.options = options
        self.folder = folder
        self.build: pathlib.Path = options.build
        self.flush_ms = flush_ms
        self.results: dict[str, dict[str, Any]] = {}
        self.wanted: list[Ratio] = []
        self.limits: list[tuple[str, float]] = []  # rows whose median may be so much at most
        self.settings: dict[str, str] = {}
        self.skipped: list[str] = []
        self.failed = False
        self.number = 0

    def fresh(self) -> pathlib.Path:
        self.number += 1
        return self.folder / f"run{self.number}"

    def environment(self) -> dict[str, str]:
        """Of every program that stores something: its flushes take as long as this pass says."""
        if self.flush_ms == 0:
            return dict(os.environ)
        library = self.build / "bench" / "libbench_flush_delay.so"
        added = {
            "LD_PRELOAD": str(library),
            "HEADRACE_BENCH_FLUSH_US": str(round(self.flush_ms * 1000)),
        }
        return os.environ | added

    @contextlib.contextmanager
    def tidied(self) -> Iterator[None]:
        """Removes the fresh folders of what happens within."""
        before = self.number
        try:
            yield
        finally:
            for number in range(before + 1, self.number + 1):
                shutil.rmtree(self.folder / f"run{number}", ignore_errors=True)

    def skip(self, what: str, reason: str) -> None:
        log(f"  left out: {what}: {reason}")
        self.skipped.append(f"{what}: {reason}")

    def load(self, scenario: str, target: str, keys: Mapping[str, str], *more: str) -> dict[str, Any]:
        usual = {"--seconds": self.options.seconds, "--warmup": 0.5}
        said = {option.split("=")[0] for option in more}
        command = [
            str(self.build / "bench" / "bench_load"),
            scenario,
            f"--target={target}",
            *more,
        ]
        command += [f"{option}={value}" for option, value in usual.items() if option not in said]
        answer: dict[str, Any] = json.loads(output_of(command, self.folder, {**os.environ, **keys}))
        return answer

    def latency(self, what: str, *more: str, keys: Mapping[str, str] | None = None) -> dict[str, Any]:
        command = [str(self.build / "bench" / "bench_latency"), what, *more]
        answer: dict[str, Any] = json.loads(
            output_of(command, self.folder, self.environment() | (keys or {}))
        )
        return answer

    def in_turns(self, rows: Sequence[Row]) -> None:
        """One that fails is left out, and the whole run ends with exit code 1."""
        values: dict[str, list[float]] = {row.name: [] for row in rows}
        for turn in range(self.options.repeat):
            for row in [row for row in rows if row.name in values]:
                log(f"  {row.name} {turn + 1}/{self.options.repeat}")
                try:
                    values[row.name].append(row.once())
                except (Failed, subprocess.CalledProcessError) as error:
                    self.failed = True
                    self.skip(row.name, f"FAILED: {error}")
                    del values[row.name]
                    self.results.pop(row.name, None)
                    continue
                all_values = values[row.name]
                self.results[row.name] = {
                    "unit": row.unit,
                    **spread(all_values),
                    "all": all_values,
                }

    def ratios(self) -> list[dict[str, Any]]:
        """Of medians; least and most are of the turns, in which both were measured one after the other."""
        rows = []
        for wanted in self.wanted:
            if wanted.what not in self.results or wanted.against not in self.results:
                continue
            what, against = self.results[wanted.what], self.results[wanted.against]
            turns = [quotient(a, b) for a, b in zip(what["all"], against["all"])]
            rows.append(
                {
                    "what": wanted.what,
                    "against": wanted.against,
                    "ratio": quotient(what["median"], against["median"]),
                    "least": min(turns),
                    "most": max(turns),
                    "aim": wanted.aim,
                    "below": wanted.below,
                }
            )
        return rows

    def as_json(self) -> dict[str, Any]:
        return {
            "flush_ms": self.flush_ms,
            "results": self.results,
            "ratios": self.ratios(),
            "limits": dict(self.limits),
            "settings": self.settings,
            "skipped": self.skipped,
        }


def quotient(a: float, b: float) -> float:
    """Of one that did nothing in its time nobody can say how many times slower it is."""
    return a / b if b else math.inf


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
    }


def table(suite: Suite) -> str:
    lines = [f"Added to each flush: {suite.flush_ms:g} ms", ""] if suite.flush_ms else []
    lines.append(f"{'':<44}{'median':>12}{'least':>12}{'most':>12}  unit")
    for name, row in suite.results.items():
        figures = "".join(figure(row[key]) for key in ("median", "least", "most"))
        lines.append(f"{name:<44}{figures}  {row['unit']}{limit_of(suite, name, row['median'])}".rstrip())
    lines += ["", f"{'':<44}{'against':<44}{'ratio':>8}{'least':>8}{'most':>8}  aim"]
    for row in suite.ratios():
        figures = "".join(f"{short(row[key]):>8}" for key in ("ratio", "least", "most"))
        lines.append(f"{row['what']:<44}{row['against']:<44}{figures}  {aim_of(row)}".rstrip())
    if suite.settings:
        lines += [
            "",
            *(f"{name}: {setting}" for name, setting in suite.settings.items()),
        ]
    if suite.skipped:
        lines += ["", *(f"LEFT OUT  {line}" for line in suite.skipped)]
    return "\n".join(lines)


def figure(value: float) -> str:
    return f"{value:>12,.0f}" if value >= 100 else f"{value:>12.2f}"


def short(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def limit_of(suite: Suite, name: str, median: float) -> str:
    for limited, most in suite.limits:
        if limited == name:
            return f"  <= {most:g}{'' if median <= most else '  MISSED'}"
    return ""


def aim_of(row: Mapping[str, Any]) -> str:
    if row["aim"] is None:
        return ""
    met = row["ratio"] <= row["aim"] if row["below"] else row["ratio"] >= row["aim"]
    return f"{'<' if row['below'] else '>'}= {row['aim']:g}{'' if met else '  MISSED'}"
