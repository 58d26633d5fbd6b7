"""Never two runs of one job at a time, and no start without a reason: whatever outlives a lease, and whatever
is killed with -9 at whatever moment."""

from __future__ import annotations

import functools
import pathlib
import random
import time

import pytest
from worker_process import Place, Worker, gone, started, until

SHORT = 'processes = 2\nlease = "15s"'  # renewed every 5 s; children end 5 s before it


def killed(worker: Worker) -> None:
    worker.process.kill()
    worker.process.wait()


def pids_in(file: pathlib.Path, count: int) -> list[int]:
    def read() -> list[int] | None:
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return [int(line) for line in lines] if len(lines) == count else None

    return until(read)


# ---- a worker that is killed

TOOL = (
    "import subprocess\n"
    "def tool(**how) -> None:\n"
    "    with open('pids', 'a') as out:\n        out.write(f'{os.getpid()}\\n')\n"
    "    pid = subprocess.Popen(['sleep', '1000'], **how).pid\n"
    "    with open('pids', 'a') as out:\n        out.write(f'{pid}\\n')\n"
)
WAITS = {
    "waits for it": "tool()\n    time.sleep(1000)",
    "holds the interpreter in C": "tool()\n    import ctypes; ctypes.PyDLL(None).poll(None, 0, -1)",
    "ignores every signal": "import signal\n"
    "    for n in signal.valid_signals() - {9, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\n"
    "    tool()\n    time.sleep(1000)",
    "blocks every signal in its thread": "import signal\n"
    "    tool()\n    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n    time.sleep(1000)",
}


@pytest.mark.parametrize("what", WAITS)
def test_a_killed_worker_takes_along_what_a_handler_started(place: Place, what: str) -> None:
    worker = started(place, f"{TOOL}@headrace.task\ndef job() -> None:\n    {WAITS[what]}\n").worker()
    place.send("job")
    handler, tool = pids_in(place.folder / "pids", 2)
    killed(worker)
    until(lambda: gone(handler) and gone(tool))


def test_what_left_the_group_of_a_killed_worker_is_ended_by_the_next_one(
    place: Place,
) -> None:
    source = (
        f"{TOOL}@headrace.task\ndef job() -> None:\n    tool(start_new_session=True)\n    time.sleep(1000)\n"
    )
    first = started(place, source).worker()
    place.send("job")
    handler, tool = pids_in(place.folder / "pids", 2)
    killed(first)
    until(functools.partial(gone, handler))
    assert not gone(tool), "nobody knows of it yet"
    second = place.worker()
    assert gone(tool) and " processes=1" in second.wait_for("orphans_ended")[0]


def test_a_second_worker_leaves_alone_what_a_living_one_runs(place: Place) -> None:
    source = (
        f"{TOOL}@headrace.task\ndef job() -> None:\n    tool(start_new_session=True)\n    time.sleep(1000)\n"
    )
    started(place, source).worker()
    place.send("job")
    handler, tool = pids_in(place.folder / "pids", 2)
    other = place.worker("--control", str(place.folder / "other.sock"))
    assert not gone(handler) and not gone(tool) and not other.lines("orphans_ended")


# A run holds a lock that its own processes inherit: whoever gets it is alone.
ALONE = (
    "import fcntl, subprocess\n"
    "def note(text: str) -> None:\n"
    "    with open('runs', 'a') as runs:\n        runs.write(text + '\\n')\n"
    "@headrace.task(retries=50)\ndef alone(seconds: float) -> int:\n"
    "    name = headrace.current().id\n"
    "    lock = os.open('lock-' + name, os.O_CREAT | os.O_RDWR)\n"
    "    os.set_inheritable(lock, True)\n"
    "    try:\n        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "    except OSError:\n        note(f'overlap {name}')\n"
    "    note(f'begin {name}')\n"
    "    subprocess.run(['sleep', str(seconds)], pass_fds=[lock])\n"
    "    note(f'end {name}')\n"
    "    os.close(lock)\n"
    "    return 1\n"
)


def test_jobs_of_a_worker_that_is_killed_again_and_again_never_overlap(place: Place) -> None:
    chance = random.Random(7)
    started(place, ALONE, SHORT)
    jobs: list[str] = []
    kills = 10
    runs = place.folder / "runs"
    runs.touch()
    for _ in range(kills):
        worker = place.worker()
        # After so many have begun: the kill meets what comes next, whatever it is.
        enough = runs.read_text().count("begin") + chance.randrange(1, 6)
        jobs += [place.send("alone", chance.choice((0.01, 0.2))) for _ in range(8)]
        until(lambda: runs.read_text().count("begin") >= enough)
        killed(worker)
    place.worker()
    states = {job: place.result(job, within=120)["state"] for job in jobs}
    until(lambda: place.depth() == 0)
    rows = [line.split() for line in runs.read_text().splitlines()]
    assert not [row for row in rows if row[0] == "overlap"]
    begins = [job for what, job in rows if what == "begin"]
    assert set(begins) == set(jobs)
    for job in jobs:  # the third kill in a row ends a job
        assert states[job] == "done" or begins.count(job) >= 3
    assert len(begins) <= len(jobs) + 2 * kills, "a kill costs what its two children ran, no more"


# ---- what takes longer than a lease

LONG = (
    "import asyncio, ctypes\n"
    "def note(text: str) -> None:\n"
    "    with open('runs', 'a') as runs:\n        runs.write(text + '\\n')\n"
    "@headrace.task\ndef plain() -> int:\n    note('plain')\n    time.sleep(25)\n    return 1\n"
    "@headrace.task\ndef held() -> int:\n    note('held')\n    ctypes.PyDLL(None).sleep(25)\n    return 1\n"
    "@headrace.task\nasync def loop() -> int:\n    note('loop')\n    await asyncio.sleep(25)\n    return 1\n"
    "@headrace.task\ndef due() -> int:\n    note('due')\n    return 1\n"
    "@headrace.task(retries=1)\ndef again() -> int:\n"
    "    note('again')\n"
    "    if headrace.current().attempt == 1:\n        raise headrace.Retry('later', delay=20)\n"
    "    return 1\n"
)


def test_what_outlives_its_lease_starts_once(place: Place) -> None:
    """Beside a second worker that would have it at once."""
    started(place, LONG, 'processes = 4\nlease = "15s"')
    workers = [
        place.worker(),
        place.worker("--control", str(place.folder / "other.sock")),
    ]
    jobs = {name: place.send(name) for name in ("plain", "held", "loop", "again")}
    jobs["due"] = place.send("due", not_before=int(time.time() * 1000) + 20_000)
    for name, job in jobs.items():
        result = place.result(job, within=90)
        assert (result["state"], result["attempts"]) == (
            "done",
            2 if name == "again" else 1,
        ), name
    until(lambda: place.depth() == 0)
    starts = (place.folder / "runs").read_text().split()
    assert {name: starts.count(name) for name in jobs} == dict.fromkeys(jobs, 1) | {"again": 2}
    assert not [line for worker in workers for line in worker.lines("lease_lost")]
