"""What a handler and its surroundings can do to a worker, on the real thing. Always: the worker goes on, the
reason is visible to a person, no other job pays for it."""

from __future__ import annotations

import functools
import signal

import pytest
from worker_process import Place, gone, until

FAST = "backoff=0.1, backoff_cap=0.2"


def started(place: Place, source: str, more: str = "") -> Place:
    place.write(source + "\n@headrace.task\ndef well() -> int:\n    return os.getpid()\n", more).start_store()
    return place


def goes_on(place: Place) -> int:
    """An ordinary job succeeds at its first attempt; the child that ran it."""
    result = place.result(place.send("well"))
    assert (result["state"], result["attempts"]) == ("done", 1)
    return int(result["result"])


# ---- ends of the process


CRASHES = {
    "a segmentation fault": "import ctypes; ctypes.string_at(0)",
    "closing every descriptor": "os.closerange(3, 10_000)",
    "killing its own group": "os.killpg(0, 9)",
}


@pytest.mark.parametrize("what", CRASHES)
def test_a_crash_is_counted_and_its_reason_told(place: Place, what: str) -> None:
    source = f"@headrace.task(retries=50, {FAST})\ndef crash() -> None:\n    {CRASHES[what]}\n"
    worker = started(place, source).worker()
    job = place.send("crash")
    letter = place.dead_letter()
    assert (letter["headrace-job"], letter["headrace-reason"]) == (job, "crashed")
    assert " ended with " in letter["headrace-error"], letter["headrace-error"]
    assert worker.status()["counts"]["crashed"] == 3
    goes_on(place)


# ---- exceptions and results that cannot be told


FAILURES = {
    "an exception that does not print": (
        "    class Mute(Exception):\n        def __str__(self):\n            raise OSError('no')\n"
        "    raise Mute()\n",
        "Mute",
    ),
    "an exception that does not pickle": (
        "    error = ValueError('held')\n    error.lock = __import__('threading').Lock()\n    raise error\n",
        "held",
    ),
    "an exception with half a character": ("    raise ValueError('\\udcff and on')\n", "ValueError"),
    "endless recursion": ("    return endless()\n", "RecursionError"),
    "a result of 100 MiB": ("    return 'x' * (100 << 20)\n", "bytes of JSON"),
    "a result of bytes": ("    return b'abc'\n", "bytes"),
    "a result with half a character": ("    return '\\udcff'\n", ""),
    "a result in itself": ("    loop = []\n    loop.append(loop)\n    return loop\n", ""),
    "a very deep result": (
        "    deep = []\n    for _ in range(100_000):\n        deep = [deep]\n    return deep\n",
        "",
    ),
    "an exit in a thread": (
        "    import threading, sys\n    thread = threading.Thread(target=sys.exit, args=(3,))\n"
        "    thread.start()\n    thread.join()\n    raise OSError('after it')\n",
        "after it",
    ),
    "KeyboardInterrupt": ("    raise KeyboardInterrupt('as if')\n", "KeyboardInterrupt"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_told_whatever_it_is(place: Place, what: str) -> None:
    body, told = FAILURES[what]
    worker = started(place, f"@headrace.task(retries=0)\ndef endless():\n{body}").worker()
    child = goes_on(place)
    job = place.send("endless")
    letter = place.dead_letter()
    assert (letter["headrace-job"], letter["headrace-reason"]) == (job, "exception")
    assert told in letter["headrace-error"]
    assert goes_on(place) == child, "the same child goes on"
    assert worker.status()["counts"]["crashed"] == 0


# ---- what keeps the interpreter, or stops


HANGS = {
    "C that holds the interpreter": "import ctypes; ctypes.PyDLL(None).sleep(1000)",
    "SIGSTOP": "import signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "ignored signals": "import signal\n    for n in (2, 10, 12, 14, 15): signal.signal(n, signal.SIG_IGN)\n"
    "    time.sleep(1000)",
}


@pytest.mark.parametrize("what", HANGS)
def test_a_handler_that_hangs_is_ended_at_its_timeout(place: Place, what: str) -> None:
    source = f"@headrace.task(retries=0, timeout=1)\ndef hang() -> None:\n    {HANGS[what]}\n"
    worker = started(place, source, 'processes = "2..2"').worker()
    place.send("hang")
    worker.busy_child()
    goes_on(place)
    letter = place.dead_letter()
    assert (letter["headrace-reason"], letter["headrace-attempts"]) == ("timeout", "1")
    goes_on(place)
    assert worker.stop() == 0


# ---- what it leaves behind


def test_processes_that_fork_and_hide_are_all_ended(place: Place) -> None:
    """A small bomb: each of 60 processes leaves the group and forgets its parent."""
    source = (
        "@headrace.task(retries=0, timeout=3)\ndef bomb(path: str) -> None:\n"
        "    for number in range(60):\n"
        "        if os.fork() == 0:\n"
        "            if number % 2:\n                os.setsid()\n"
        "            if os.fork() == 0:\n"
        "                with open(path, 'a') as out:\n                    out.write(f'{os.getpid()}\\n')\n"
        "                time.sleep(1000)\n"
        "            os._exit(0)\n"
        "    time.sleep(1000)\n"
    )
    worker = started(place, source).worker()
    pids = place.folder / "pids"
    place.send("bomb", str(pids))
    assert place.dead_letter()["headrace-reason"] == "timeout"
    seen = [int(line) for line in pids.read_text().split()]
    assert len(seen) == 60
    for pid in seen:
        until(functools.partial(gone, pid))
    goes_on(place)
    assert worker.stop() == 0


def test_a_handler_that_closes_its_standard_streams_harms_nobody(place: Place) -> None:
    source = (
        "import subprocess\n"
        "@headrace.task\ndef close() -> str:\n"
        "    for fd in (0, 1, 2):\n        os.close(fd)\n"
        "    return 'closed'\n"
        "@headrace.task(retries=0)\ndef program() -> str:\n"
        "    return subprocess.run(['echo', 'here'], capture_output=True, text=True, check=True).stdout\n"
    )
    worker = started(place, source).worker()
    child = goes_on(place)
    assert place.result(place.send("close"))["result"] == "closed"
    assert goes_on(place) == child
    assert place.result(place.send("program"))["result"] == "here\n"
    assert worker.status()["counts"]["crashed"] == 0


def test_a_flood_of_output_and_log_lines_delays_no_result(place: Place) -> None:
    source = (
        "import sys\n"
        "@headrace.task\ndef flood() -> int:\n"
        "    for _ in range(200):\n        sys.stdout.write('o' * 99_999 + '\\n')\n"
        "    for number in range(2_000):\n"
        "        headrace.current().log.warning('%d %s', number, 'l' * 5_000)\n"
        "    return 1\n"
        "@headrace.task(retries=0)\ndef garbage() -> int:\n"
        "    os.write(1, bytes(range(256)) * 100)\n"
        "    headrace.current().log.warning('\\udcff\\x00\\x1b[31m')\n"
        "    return 2\n"
    )
    worker = started(place, source).worker()
    assert place.result(place.send("flood"))["attempts"] == 1
    assert place.result(place.send("garbage"))["result"] == 2
    lines = worker.lines("task_log")
    assert lines and "\x1b" not in "".join(lines)
    goes_on(place)


# ---- around the pool


def test_a_child_that_dies_after_its_return_costs_no_second_run(place: Place) -> None:
    source = (
        "import threading\n"
        "@headrace.task(retries=0)\ndef last() -> int:\n"
        "    with open('runs', 'a') as runs:\n        runs.write('x')\n"
        "    threading.Timer(0.2, os.kill, (os.getpid(), 9)).start()\n"
        "    return 1\n"
    )
    worker = started(place, source).worker()
    job = place.send("last")
    assert place.result(job)["attempts"] == 1
    worker.wait_for("child_ended")
    until(lambda: place.depth() == 0)
    goes_on(place)
    assert (place.folder / "runs").read_text() == "x"
    assert worker.status()["counts"]["crashed"] == 0


NAPS = (
    "@headrace.task(retries=0)\ndef nap(number: int, seconds: float) -> int:\n"
    "    with open('runs', 'a') as runs:\n        runs.write(f'begin {number}\\n')\n"
    "    time.sleep(seconds)\n"
    "    with open('runs', 'a') as runs:\n        runs.write(f'end {number}\\n')\n"
    "    return number\n"
)


def restart_store(place: Place) -> None:
    assert place.store
    place.store.process.kill()
    place.store.process.wait()
    place.start_store()


def test_a_store_that_restarts_while_jobs_run_and_end_costs_no_run(place: Place) -> None:
    worker = started(place, NAPS, 'processes = "2..2"').worker()
    jobs = [place.send("nap", number, 0.1 * number) for number in range(20)]
    worker.busy_child()
    for _ in range(3):
        restart_store(place)
    for number, job in enumerate(jobs):
        result = place.result(job, within=90)
        assert (result["state"], result["result"], result["attempts"]) == ("done", number, 1)
    runs = (place.folder / "runs").read_text().split("\n")
    assert sorted(runs) == sorted([f"{word} {n}" for word in ("begin", "end") for n in range(20)] + [""])
    assert worker.status()["counts"]["lost"] == 0


def test_a_message_that_is_taken_away_from_a_running_job_harms_nobody(place: Place) -> None:
    """Its receipt is worth nothing then."""
    worker = started(place, NAPS).worker()
    job = place.send("nap", 1, 1.0)
    worker.busy_child()
    place.client("sqs").purge_queue(QueueUrl=place.url("default"))
    assert place.result(job)["result"] == 1
    until(lambda: worker.status()["held"] == 0)
    goes_on(place)


# ---- leases that end

SHORT = 'processes = 2\nlease = "15s"'  # renewed every 5 s; children end 5 s before it
HOLD = (
    "@headrace.task(retries=0)\ndef hold(name: str) -> int:\n"
    "    with open('runs', 'a') as runs:\n        runs.write(f'begin {name} {os.getpid()}\\n')\n"
    "    while not os.path.exists(name):\n        time.sleep(0.02)\n"
    "    with open('runs', 'a') as runs:\n        runs.write(f'end {name} {os.getpid()}\\n')\n"
    "    return os.getpid()\n"
)


def runs_of(place: Place, name: str) -> list[tuple[str, int]]:
    """("begin" or "end", the process), in their order."""
    rows = [line.split() for line in (place.folder / "runs").read_text().splitlines()]
    return [(what, int(pid)) for what, job, pid in rows if job == name]


def test_a_store_that_is_gone_for_longer_than_a_lease_loses_nothing(place: Place) -> None:
    worker = started(place, HOLD, SHORT).worker()
    ended, cut = place.send("hold", "ended"), place.send("hold", "cut")
    until(lambda: (place.folder / "runs").exists() and runs_of(place, "ended") and runs_of(place, "cut"))
    ((_, child),) = runs_of(place, "cut")
    assert place.store
    place.store.process.kill()
    place.store.process.wait()
    (place.folder / "ended").touch()  # its result finds nobody
    until(lambda: gone(child))
    worker.wait_for("lease_lost", count=2)
    (place.folder / "cut").touch()
    place.start_store()
    for job in (ended, cut):
        result = place.result(job)
        assert (result["state"], result["attempts"]) == ("done", 1)
    assert [what for what, _ in runs_of(place, "ended")] == ["begin", "end"] * 2
    assert [what for what, _ in runs_of(place, "cut")] == ["begin", "begin", "end"], "one after the other"
    until(lambda: place.depth() == 0)
    assert worker.status()["counts"]["lost"] == 2
    goes_on(place)


def test_a_stopped_worker_ends_its_runs_before_another_one_gets_them(place: Place) -> None:
    worker = started(place, HOLD, SHORT).worker()
    job = place.send("hold", "go")
    until(lambda: (place.folder / "runs").exists())
    ((_, child),) = runs_of(place, "go")
    other = place.worker("--control", str(place.folder / "other.sock"))
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: gone(child))
    assert [what for what, _ in runs_of(place, "go")] == ["begin"], "nobody has it yet"
    (place.folder / "go").touch()
    result = place.result(job)
    (_, (_, second), (_, third)) = runs_of(place, "go")
    assert (result["result"], result["attempts"]) == (second, 1) and second == third != child
    until(lambda: place.depth() == 0)
    worker.process.send_signal(signal.SIGCONT)
    until(lambda: worker.status()["counts"]["lost"] == 1)
    assert other.stop() == 0
    assert place.result(job) == result, "what was lost commits nothing"
    goes_on(place)


# ---- cancelled, used up, remembered


def test_a_handler_that_holds_the_interpreter_is_cancelled_too(place: Place) -> None:
    source = "import ctypes\n@headrace.task\ndef hang() -> None:\n    ctypes.PyDLL(None).sleep(1000)\n"
    worker = started(place, source).worker()
    job = place.send("hang")
    worker.busy_child()
    assert place.headrace("cancel", job, "--wait", "60").returncode == 0
    goes_on(place)


def test_a_child_without_descriptors_is_replaced(place: Place) -> None:
    source = (
        "kept = []\n"
        f"@headrace.task(retries=3, {FAST})\ndef leak() -> str:\n"
        "    if headrace.current().attempt == 1:\n"
        "        while True:\n            kept.append(os.open('/dev/null', os.O_RDONLY))\n"
        "    return 'mended'\n"
    )
    worker = started(place, source).worker()
    child = goes_on(place)
    job = place.send("leak")
    result = place.result(job)
    assert (result["result"], result["attempts"]) == ("mended", 2)
    assert goes_on(place) != child
    assert "reason=descriptors" in worker.wait_for("child_retired")[0]
    assert worker.status()["counts"]["crashed"] == 0


def test_the_last_log_lines_of_what_died_are_kept(place: Place) -> None:
    source = (
        "@headrace.task(retries=0)\ndef talks() -> None:\n"
        "    for number in range(50):\n        headrace.current().log.info('step %d', number)\n"
        "    raise ValueError('at last')\n"
    )
    started(place, source).worker()
    job = place.send("talks")
    log = place.result(job)["error"]["log"].splitlines()
    assert len(log) == 20 and log[-1] == "info step 49"
    shown = place.headrace("dead", "show", job).stdout
    assert "step 49" in shown and "step 29" not in shown


# ---- async handlers


def test_a_blocked_event_loop_is_ended_by_its_jobs_hard_limit(place: Place) -> None:
    """Those beside it on that loop begin again, and nobody is blamed for them."""
    source = (
        "import asyncio\n"
        "@headrace.task(retries=0, timeout=1)\nasync def spin() -> None:\n    while True:\n        pass\n"
        "@headrace.task(retries=3)\nasync def beside() -> int:\n"
        "    await asyncio.sleep(0.5)\n    return headrace.current().attempt\n"
    )
    worker = started(place, source).worker()
    jobs = [place.send("beside") for _ in range(3)]
    job = place.send("spin")
    letter = place.dead_letter()
    assert (letter["headrace-job"], letter["headrace-reason"]) == (job, "timeout")
    assert all(place.result(beside)["state"] == "done" for beside in jobs)
    goes_on(place)
    assert worker.status()["counts"]["dead"] == 1


def test_async_handlers_of_a_child_are_never_more_than_its_concurrency(place: Place) -> None:
    source = (
        "import asyncio\nnow = most = 0\n"
        "@headrace.task\nasync def count() -> int:\n"
        "    global now, most\n    now += 1\n    most = max(most, now)\n"
        "    with open('begun', 'a') as begun:\n        begun.write('x')\n"
        "    while not os.path.exists('go'):\n        await asyncio.sleep(0.01)\n"
        "    now -= 1\n    return most\n"
    )
    started(place, source, "processes = 1\nconcurrency = 3").worker()
    jobs = [place.send("count") for _ in range(12)]
    begun = place.folder / "begun"
    until(lambda: begun.exists() and begun.read_text() == "xxx")
    (place.folder / "go").touch()
    assert max(place.result(job)["result"] for job in jobs) == 3
