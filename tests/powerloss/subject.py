"""What a power cut is tried on: something that stores what clients send, and what it promised to keep.

A load tells the disk what it asks for ("put? ...") and what it was answered ("put! ..."), so that it is known
for each power cut which answers had been given before it.
"""

from __future__ import annotations

import pathlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from power_disk import Journal, PowerDisk

Note = Callable[[str], None]


@dataclass
class Verdict:
    """On one state of the disk."""

    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)  # was acknowledged and is not there, or came back
    wrong: list[str] = field(default_factory=list)  # any other broken promise
    refused: str = ""  # it does not start: why

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.wrong or self.refused)

    def __str__(self) -> str:
        if self.refused:
            return f"does not start: {self.refused}"
        found = (("lost", self.lost), ("wrong", self.wrong))
        said = [f"{len(what)} {name}, as {what[0]}" for name, what in found if what]
        return "; ".join(said) or "well"


class Subject(Protocol):
    name: str

    def load(self, folder: pathlib.Path, note: Note) -> None:
        """Starts, works for some seconds, and is killed."""

    def judge(self, folder: pathlib.Path, notes: list[str]) -> Verdict:
        """Starts on what a power cut has left, looks, and stops."""


def record(disk: PowerDisk, subject: Subject, *faults: str) -> Journal:
    """What happened to the disk while the subject worked. The faults end with it."""
    with disk.as_it_is() as folder:
        for command in ("record", *faults):
            disk.command(command)
        try:
            subject.load(folder, disk.note)
        finally:
            disk.command("stop")
            disk.command("honest")
    return disk.journal()


@dataclass
class Outcome:
    states: int = 0
    acknowledged: int = 0  # in all states
    lost: int = 0
    worst: int = 0  # lost in one state
    bad: list[tuple[int, int, str]] = field(default_factory=list)  # cut, seed, what was found
    kinds: Counter[str] = field(default_factory=Counter)  # states with something lost, wrong, refused

    def add(self, more: Outcome) -> None:
        self.states += more.states
        self.acknowledged += more.acknowledged
        self.lost += more.lost
        self.worst = max(self.worst, more.worst)
        self.bad += more.bad
        self.kinds += more.kinds


def cut_power(disk: PowerDisk, subject: Subject, journal: Journal, count: int, seed: int) -> Outcome:
    """Judges `count` states of what `journal` tells of."""
    outcome = Outcome()
    dice = random.Random(seed)
    for cut in journal.cuts(count, dice):
        fate = dice.randrange(1 << 32)
        try:
            with disk.after_power_cut(cut, fate) as folder:
                verdict = subject.judge(folder, journal.before(cut))
        except OSError as error:  # of mount: what lies to a file system may leave it beyond repair
            verdict = Verdict(refused=str(error))
        outcome.states += 1
        outcome.acknowledged += verdict.acknowledged
        outcome.lost += len(verdict.lost)
        outcome.worst = max(outcome.worst, len(verdict.lost))
        for kind in ("lost", "wrong", "refused"):
            outcome.kinds[kind] += bool(getattr(verdict, kind))
        if not verdict.is_well:
            outcome.bad.append((cut, fate, str(verdict)))
    return outcome
