"""A Debian 12 that Headrace makes into a host: what the tests say to it, from outside and inside."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import time
from collections.abc import Callable, Iterator

import boot_machine
from boot_machine import INSIDE, OUTSIDE, Machine

WITHIN_S = 90.0
EXAMPLE = boot_machine.ROOT / "examples" / "documents"
CONFIG = f"""
[app]
name = "documents"
root = "/srv/shop"
python = "/srv/shop/venv/bin/python"
user = "shop"
[web]
app = "app:app"
[worker.default]
modules = ["tasks"]
network = "none"
[site]
names = ["shop.example"]
rate = 0
[host]
operators = "ops"
time = "{OUTSIDE}"
"""
# A container must not steer the clock of its host.
CHRONY = """
[Unit]
ConditionCapability=
[Service]
ExecStart=
ExecStart=!/usr/sbin/chronyd -x -f /etc/chrony/headrace.conf
"""
CLOCK = "local stratum 8\nallow all\ncmdport 0\nuser root\npidfile /run/clock.pid\n"


def package() -> pathlib.Path:
    named = os.environ.get("HEADRACE_DEB")
    made = sorted((boot_machine.ROOT / "build" / "release" / "packages").glob("headrace_*.deb"))
    assert named or made, "there is no package: ./dev package"
    return pathlib.Path(named) if named else made[-1]


def eventually(what: str, done: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not done():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:g} s: {what}"
        time.sleep(0.2)


def prepare(made: Machine, config: str = CONFIG) -> None:
    made.put(package(), "/srv/headrace.deb")
    made.inside("dpkg", "--install", "/srv/headrace.deb")
    for file in EXAMPLE.glob("*"):
        if file.is_file() and file.suffix in (".py", ".css"):
            made.put(file, f"/srv/shop/{file.name}")
    made.write("/etc/headrace/headrace.toml", config)
    made.write("/etc/systemd/system/chrony.service.d/zz-test.conf", CHRONY)
    made.write("/etc/clock.conf", CLOCK)
    made.inside("python3", "-m", "venv", "/srv/shop/venv")


@contextlib.contextmanager
def clock(root: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """On the other side of the network: a source of the right time."""
    command = ["chroot", str(root), "/usr/sbin/chronyd", "-d", "-x", "-f", "/etc/clock.conf"]
    shown = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield shown
    finally:
        shown.terminate()
        shown.wait(20)


def apply(made: Machine) -> None:
    made.boot()
    done = made.run("headrace", "host", "apply", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def running(work: pathlib.Path) -> Iterator[Machine]:
    """Booted, applied, and gone at the end; with a clock on the other side of its network."""
    with boot_machine.machine(work) as made:
        prepare(made)
        with clock(made.root) as source:
            made.clock = source
            apply(made)
            yield made


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    names = ["--resolve", f"shop.example:80:{INSIDE}", "--resolve", f"shop.example:443:{INSIDE}"]
    return boot_machine.run("curl", "-sS", "-k", "-m", "20", *names, *arguments, check=False)


def upload(text: str) -> str:
    """A document through nginx; where its page is."""
    done = curl("-X", "PUT", "--data-binary", text, "https://shop.example/documents/note.txt")
    return str(json.loads(done.stdout)["documents"][0]["page"])
