"""Power cuts on real file systems: the store works on a disk whose writes and flushes are known in their
order, power goes at some point of it, the file system is mounted again and the store started on it. What was
answered before the cut is there, as promised; `headrace store check` says that all is well.

HEADRACE_POWERLOSS_STATES: how many cuts on each file system. HEADRACE_POWERLOSS_SEED: others.
HEADRACE_POWERLOSS_FS: only these file systems.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator

import pytest
from headrace_subject import HeadraceSubject
from power_disk import FILE_SYSTEMS, PowerDisk, cannot_run, own_mounts, power_disk
from subject import Outcome, cut_power, record

STATES = int(os.environ.get("HEADRACE_POWERLOSS_STATES", "20"))
STATES_OF_ONE_LOAD = 100
SEED = int(os.environ.get("HEADRACE_POWERLOSS_SEED", "20260401"))
CHOSEN = os.environ.get("HEADRACE_POWERLOSS_FS", " ".join(FILE_SYSTEMS)).split()


@pytest.fixture(scope="module", autouse=True)
def _mounts() -> None:
    if os.geteuid() == 0:
        own_mounts()


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[PowerDisk]:
    if reason := cannot_run(request.param):
        pytest.skip(reason)
    with power_disk(request.param) as disk:
        yield disk


on_each_file_system = pytest.mark.parametrize("disk", CHOSEN, indirect=True)
on_one_file_system = pytest.mark.parametrize("disk", CHOSEN[:1], indirect=True)


def expect_well(outcome: Outcome) -> None:
    assert not outcome.bad, "\n".join(f"crash {cut} {fate}: {what}" for cut, fate, what in outcome.bad[:5])


@on_each_file_system
def test_no_power_cut_loses_what_was_acknowledged(disk: PowerDisk) -> None:
    whole = Outcome()
    dice = random.Random(SEED)
    while whole.states < STATES:
        journal = record(disk, HeadraceSubject())
        count = min(STATES - whole.states, STATES_OF_ONE_LOAD)
        whole.add(cut_power(disk, HeadraceSubject(), journal, count, dice.randrange(1 << 32)))
        expect_well(whole)
        disk.make_file_system()
    assert whole.acknowledged > 10 * STATES, "too little load to mean anything"
    print(f"{disk.file_system}: {whole.states} states, {whole.acknowledged} answers before them, none lost")


@on_each_file_system
def test_a_disk_that_only_says_it_flushes_is_found_out(disk: PowerDisk) -> None:
    journal = record(disk, HeadraceSubject(), "lie")
    outcome = cut_power(disk, HeadraceSubject(), journal, 6, SEED)
    assert outcome.bad, "acknowledged writes that were never flushed, and nobody noticed"


FAULTS = [(file_system, operation, errno.EIO) for file_system in CHOSEN for operation in ("write", "flush")]
FAULTS += [(CHOSEN[0], operation, errno.ENOSPC) for operation in ("write", "flush")]


@pytest.mark.parametrize(("disk", "operation", "error"), FAULTS, indirect=["disk"])
def test_after_an_error_of_the_disk_it_ends_and_has_lost_nothing(
    disk: PowerDisk, operation: str, error: int
) -> None:
    subject = HeadraceSubject(expect_failure=True)
    journal = record(disk, subject, f"fail {operation} {error} 1500")
    assert journal.notes, "the disk failed before anything was acknowledged"
    assert subject.exit_code not in (0, None), "it went on as if nothing had happened"
    with disk.as_it_is() as folder:  # without a cut: what the file system kept of its failed writes counts
        verdict = HeadraceSubject().judge(folder, journal.before(journal.events))
    assert verdict.is_well, str(verdict)
    expect_well(cut_power(disk, HeadraceSubject(), journal, 2, SEED))


@on_one_file_system
def test_on_a_disk_that_flushes_slowly_answers_wait_for_it(disk: PowerDisk) -> None:
    journal = record(disk, HeadraceSubject(), "delay 5")
    assert journal.notes
    expect_well(cut_power(disk, HeadraceSubject(), journal, 4, SEED))
