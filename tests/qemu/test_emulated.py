"""What a container cannot show: a wrong hardware clock, limits that the kernel holds, and power cuts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from emulator import Emulated
from host_emulated import Load, Site, eventually, findings, off_by, python, text_of

import boot_host  # found by emulator

HEAVY = "headrace-worker@heavy.service"
CLOCK = "the clock follows a source, and is right"


def booted(host: Emulated) -> None:
    def is_up() -> bool:
        state = host.run("systemctl is-system-running", check=False).stdout.strip()
        assert state != "maintenance", host.run("journalctl --no-pager -b -p warning | tail -n 60").stdout
        return state in ("running", "degraded")

    eventually("it runs", is_up)
    assert host.run("systemctl --failed --no-legend --plain").stdout.strip() == ""


def microseconds(host: Emulated, unit: str, name: str) -> int:
    return int(host.show(unit, f"{name}TimestampMonotonic"))


@pytest.fixture(scope="module")
def source(host: Emulated) -> Iterator[None]:
    """From the first test that asks for it on, somebody knows the time."""
    with boot_host.clock(host.outside):
        yield


def test_a_wrong_clock_without_a_source_is_waited_for_and_said(host: Emulated) -> None:
    host.boot("2025-06-01T03:00:00")
    booted(host)
    assert off_by(host) < -86_400
    timer = "headrace-time.service"
    waited = microseconds(host, timer, "ActiveEnter") - microseconds(host, timer, "InactiveExit")
    assert waited > 25_000_000
    assert microseconds(host, "headrace-store.service", "InactiveExit") >= microseconds(
        host, timer, "ActiveEnter"
    )
    assert "no source of time after 30 s" in host.run(f"journalctl --no-pager -u {timer}").stdout
    clock = findings(host)[CLOCK]
    assert clock["what"] == "it follows nothing" and clock["why"]
    assert "-. missing .->" in host.run("headrace diagram").stdout


def test_once_a_source_is_there_the_clock_is_set_and_everything_goes_on(host: Emulated, source: None) -> None:
    host.run(str(findings(host)[CLOCK]["mend"]))
    eventually("the clock is right", lambda: abs(off_by(host)) < 5)
    page = Site().put_document("after the clock was set")
    eventually("its text", lambda: "was set" in text_of(page))
    wrong = [name for name, each in findings(host).items() if not each["ok"]]
    assert wrong == [], wrong


def test_a_balloon_is_killed_alone(host: Emulated, source: None) -> None:
    before = [host.show(HEAVY, name) for name in ("MainPID", "NRestarts")]
    witness = python(host, "import heavy; print(heavy.steady.delay(20).id)")
    balloon = python(host, "import heavy; print(heavy.balloon.delay(400).id)")

    def state(identity: str) -> object:
        done = host.run(f"headrace jobs {identity} --json", check=False)
        return json.loads(done.stdout)["result"]["state"] if done.returncode == 0 else None

    eventually("the balloon is dead", lambda: state(balloon) == "dead")
    eventually("the other is done", lambda: state(witness) == "done")
    assert [host.show(HEAVY, name) for name in ("MainPID", "NRestarts")] == before


def test_the_kernel_holds_the_memory_limit_of_a_pools_unit(host: Emulated, source: None) -> None:
    before = [host.show(HEAVY, name) for name in ("MainPID", "NRestarts")]
    group = "/sys/fs/cgroup" + host.show(HEAVY, "ControlGroup")
    limit = int(host.show(HEAVY, "MemoryMax"))
    killed = int(re.findall(r"oom_kill (\d+)", host.run(f"cat {group}/memory.events").stdout)[0])
    touch = "held = bytearray(700 << 20)\nfor at in range(0, len(held), 4096): held[at] = 1"
    script = f"echo $$ > {group}/cgroup.procs; echo 300 > /proc/self/oom_score_adj; exec python3 -c '{touch}'"
    done = host.run(f"bash <<'END'\n{script}\nEND", check=False)
    assert done.returncode == 137, done.stdout
    after = host.run(f"cat {group}/memory.events").stdout
    assert int(re.findall(r"oom_kill (\d+)", after)[0]) == killed + 1
    assert int(host.run(f"cat {group}/memory.peak").stdout) <= limit
    assert [host.show(HEAVY, name) for name in ("MainPID", "NRestarts")] == before


def test_spinning_children_stay_under_their_quota(host: Emulated, source: None) -> None:
    python(host, "import heavy\nfor each in range(2): heavy.spin.delay(45)")
    group = "/sys/fs/cgroup" + host.show(HEAVY, "ControlGroup")

    def read() -> dict[str, int]:
        text = host.run(f"cat {group}/cpu.stat").stdout
        return {name: int(value) for name, value in (line.split() for line in text.splitlines())}

    begun = read()["nr_throttled"]
    eventually("both spin", lambda: read()["nr_throttled"] > begun + 10)
    script = f"head -n 1 {group}/cpu.stat; cut -d ' ' -f 1 /proc/uptime"
    told = host.run(f"{script}; sleep 15; {script}").stdout.split()
    used, passed = (int(told[4]) - int(told[1])) / 1e6, float(told[5]) - float(told[2])
    share = used / passed
    print(f"two spinning children took {share:.3f} of a processor")
    assert 0.35 < share < 0.75  # of two; 0.7 is their quota
    page = Site().put_document("while others spin")
    eventually("its text", lambda: "others spin" in text_of(page))


@pytest.mark.parametrize("round", [1, 2, 3])
def test_nothing_that_was_acknowledged_is_lost_when_the_power_is_cut(
    host: Emulated, source: None, round: int
) -> None:
    if not host.is_on():
        host.boot("2031-02-03T04:05:06")
        booted(host)
    cache = host.run("cat /sys/block/vda/queue/write_cache").stdout.strip()
    assert cache == "write back"  # the disk may forget, and the kernel knows
    load = Load(host, round)
    load.until_power_goes()
    # This time its hardware clock is ahead; the source is there before the store starts.
    begun = time.monotonic()
    host.boot("2031-02-03T04:05:06")
    booted(host)
    counts = f"{len(load.documents)} documents, {len(load.sent)} messages, {len(load.deleted)} deletes"
    print(f"cut {round}: {counts} acknowledged; up again after {time.monotonic() - begun:.0f} s")
    assert abs(off_by(host)) < 5
    started = host.show("headrace-store", "ActiveEnterTimestamp")
    assert abs(int(host.run(f"date +%s -d '{started}'").stdout) - time.time()) < 3600  # not in 2031
    there = load.messages_now()
    assert load.sent - load.taken - there == set()
    assert load.deleted & there == set()
    for page, text in load.documents.items():
        eventually(f"the text of {page}", lambda: text_of(page) == text)
