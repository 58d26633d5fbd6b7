"""What goes wrong on a host, and comes right again: killed processes, a clock without a source."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from boot_host import curl, eventually, upload
from boot_machine import Machine

SITE = ("-o", "/dev/null", "-w", "%{http_code}", "https://shop.example/")
UNITS = (
    "headrace-store", "headrace-api", "headrace-web@1", "headrace-web@2", "headrace-worker@default", "nginx",
    "rsyslog", "chrony",
)  # fmt: skip


def state(host: Machine, unit: str) -> tuple[str, str]:
    shown = host.show(f"{unit}.service", "ActiveState", "MainPID")
    return shown["ActiveState"], shown["MainPID"]


def is_another(host: Machine, unit: str, pid: str) -> bool:
    active, now = state(host, unit)
    return active == "active" and now != pid


def test_whatever_is_killed_comes_back(host: Machine) -> None:
    eventually("everything runs", lambda: {state(host, unit)[0] for unit in UNITS} == {"active"})
    before = {unit: state(host, unit) for unit in UNITS}
    host.run("kill", "-KILL", *(pid for _, pid in before.values()))
    for unit, (_, pid) in before.items():
        eventually(f"another {unit}", lambda: is_another(host, unit, pid))
    eventually("the site answers", lambda: curl(*SITE).stdout == "200")
    page = upload("after everything was killed")
    eventually("its text", lambda: "was killed" in curl(f"https://shop.example{page}/text").stdout)
    assert host.run("systemctl", "--failed", "--no-legend").stdout == ""


@pytest.fixture
def no_source(host: Machine) -> Iterator[None]:
    """The clock on the other side of the network stands still meanwhile."""
    assert host.clock is not None
    host.clock.send_signal(signal.SIGSTOP)
    yield
    host.clock.send_signal(signal.SIGCONT)


def source_of(host: Machine) -> str:
    return host.run("chronyc", "-c", "tracking", check=False).stdout.split(",")[0]


def test_a_clock_without_a_source_is_not_taken_for_right(host: Machine, no_source: None) -> None:
    host.run("systemctl", "restart", "chrony.service")
    assert source_of(host) == "00000000"
    assert host.run("chronyc", "waitsync", "1", "0.1", "0", "1", check=False).returncode != 0
    assert "-. missing .->" in host.run("headrace", "diagram").stdout


def test_a_clock_that_finds_its_source_again_follows_it(host: Machine) -> None:
    eventually("a source", lambda: source_of(host) == "0A4D0001")
    assert host.run("chronyc", "waitsync", "10", "0.1", "0", "1", check=False).returncode == 0


def test_what_starts_last_waits_for_everything_before_it(host: Machine) -> None:
    worker = "headrace-worker@default.service"
    assert worker in host.run("systemd-analyze", "critical-chain", worker, "--no-pager").stdout
    after = host.show(worker, "After")["After"].split()
    assert {"nginx.service", "headrace-api.service", "headrace-web@1.service"} <= set(after)
    store = host.show("headrace-store.service", "After")["After"].split()
    assert {"headrace-firewall.service", "rsyslog.service", "headrace-time.service"} <= set(store)
