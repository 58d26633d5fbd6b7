"""A Debian 12 that Headrace makes into a host: `headrace host apply`, then everything from outside and
inside. The tests share one machine and leave it as they found it; the last one boots it again."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import boot_machine
import pytest
from boot_machine import INSIDE, OUTSIDE, Machine

pytestmark = pytest.mark.skipif(bool(boot_machine.why_not()), reason=boot_machine.why_not())

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


def prepare(made: Machine) -> None:
    made.put(package(), "/srv/headrace.deb")
    made.inside("dpkg", "--install", "/srv/headrace.deb")
    for file in EXAMPLE.glob("*"):
        if file.is_file() and file.suffix in (".py", ".css"):
            made.put(file, f"/srv/shop/{file.name}")
    made.write("/etc/headrace/headrace.toml", CONFIG)
    made.write("/etc/systemd/system/chrony.service.d/zz-test.conf", CHRONY)
    made.write("/etc/clock.conf", CLOCK)
    made.inside("python3", "-m", "venv", "/srv/shop/venv")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with boot_machine.machine(tmp_path_factory.mktemp("boot")) as made:
        prepare(made)
        clock = subprocess.Popen(
            ["chroot", str(made.root), "/usr/sbin/chronyd", "-d", "-x", "-f", "/etc/clock.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            made.boot()
            made.run("headrace", "python", "install", "/srv/shop/venv")
            done = made.run("headrace", "host", "apply", check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            yield made
        finally:
            clock.terminate()
            clock.wait(20)


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    names = ["--resolve", f"shop.example:80:{INSIDE}", "--resolve", f"shop.example:443:{INSIDE}"]
    return boot_machine.run("curl", "-sS", "-k", "-m", "20", *names, *arguments, check=False)


def upload(text: str) -> str:
    """A document through nginx; where its page is."""
    done = curl("-X", "PUT", "--data-binary", text, "https://shop.example/documents/note.txt")
    return str(json.loads(done.stdout)["documents"][0]["page"])


def test_what_was_applied_needs_no_change(host: Machine) -> None:
    assert host.run("headrace", "host", "plan", check=False).returncode == 0
    assert host.run("headrace", "host", "status").stdout == "as /etc/headrace/headrace.toml says\n"
    assert host.run("systemctl", "--failed", "--no-legend").stdout == ""


def test_a_document_goes_in_over_tls_and_its_result_comes_out(host: Machine) -> None:
    assert "308" in curl("-o", "/dev/null", "-w", "%{http_code}", "http://shop.example/").stdout
    page = upload("headrace boots a whole machine")
    eventually("its text", lambda: "whole machine" in curl(f"https://shop.example{page}/text").stdout)


def test_what_is_not_the_site_is_dropped_and_too_many_connections_are_counted(host: Machine) -> None:
    for port in (9324, 8080):
        with pytest.raises(TimeoutError):
            socket.create_connection((INSIDE, port), timeout=1.5)
    accepted = 0
    for _ in range(200):
        with socket.socket() as one:
            one.settimeout(0.02)
            accepted += one.connect_ex((INSIDE, 80)) == 0
    assert 20 <= accepted < 200
    counters = host.run("nft", "-j", "list", "counters").stdout
    packets = {
        each["counter"]["name"]: each["counter"]["packets"]
        for each in json.loads(counters)["nftables"]
        if "counter" in each
    }
    assert packets["limited"] > 0
    assert packets["refused"] > 0


def test_records_with_structured_data_are_in_their_files(host: Machine) -> None:
    upload("a record of this")

    def done() -> bool:
        text = host.run("cat", "/var/log/headrace/headrace.jsonl").stdout
        records = [json.loads(line) for line in text.splitlines()]
        return any(each["event"] == "job_done" and 'job="' in each["data"] for each in records)

    eventually("job_done in headrace.jsonl", done)
    assert '"app":"headrace-web"' in host.run("cat", "/var/log/headrace/headrace.jsonl").stdout
    access = host.run("cat", "/var/log/headrace/access.jsonl").stdout
    assert any(json.loads(line)["path"] == "/documents/note.txt" for line in access.splitlines())


def test_an_operator_may_restart_our_units_and_nothing_else(host: Machine) -> None:
    host.run("useradd", "-G", "ops", "operator1")
    host.run("useradd", "plain1")

    def allowed(user: str, *command: str) -> bool:
        done = host.run("systemctl", "--no-ask-password", *command, user=user, check=False)
        return done.returncode == 0

    assert allowed("operator1", "restart", "headrace-worker@default.service")
    assert not allowed("plain1", "restart", "headrace-worker@default.service")
    for command in (
        ("restart", "nginx.service"),
        ("stop", "headrace-firewall.service"),
        ("kill", "headrace-web@1.service"),
        ("mask", "headrace-web@1.service"),
    ):
        assert not allowed("operator1", *command), command


def test_units_start_in_the_order_of_the_process_flow(host: Machine) -> None:
    host.run("systemctl", "restart", "headrace.target")
    order = [
        ["headrace-firewall.service", "rsyslog.service", "headrace-time.service"],
        ["headrace-store.service"],
        ["headrace-api.service", "headrace-web@1.service", "headrace-web@2.service"],
        ["headrace-worker@default.service"],
    ]
    began = "ActiveEnterTimestampMonotonic"
    times = [[int(host.show(unit, began)[began]) for unit in level] for level in order]
    for before, after in zip(times, times[1:]):
        assert 0 < max(before) <= min(after)


def test_no_unit_is_more_exposed_than_its_limit_while_it_runs(host: Machine) -> None:
    limits = {"nginx": 27, "rsyslog": 27, "headrace-store": 6, "headrace-api": 6, "headrace-web@1": 12}
    limits["headrace-worker@default"] = 6
    for unit, limit in limits.items():
        command = ("systemd-analyze", "security", "--no-pager", f"--threshold={limit}", f"{unit}.service")
        done = host.run(*command, check=False)
        assert done.returncode == 0, done.stdout[-300:]
    assert host.show("headrace-web@1.service", "ProtectSystem") == {"ProtectSystem": "strict"}


def test_the_diagrams_change_with_the_host_and_come_back(host: Machine) -> None:
    def page() -> str:
        return host.run("headrace", "diagram").stdout

    def all_there() -> bool:
        return not any(word in page() for word in ("(missing)", "(stranger)", "(unknown)"))

    eventually("everything declared is observed", all_there)
    before = page()
    for units in (["headrace-web@2.service", "headrace-web@2.socket"], ["syslog.socket", "rsyslog.service"]):
        host.run("systemctl", "stop", *units)
        assert "(missing)" in page()
        host.run("systemctl", "start", *units)
        assert page() == before
    opened = "systemd-run --unit=opened python3 -m http.server 8081"
    host.run(*opened.split())
    eventually("a stranger on port 8081", lambda: "Port 8081<br/>(stranger)" in page())
    host.run("systemctl", "stop", "opened.service")
    eventually("the same bytes again", lambda: page() == before)


def test_the_doctor_finds_nothing_and_says_what_is_wrong_when_something_is(host: Machine) -> None:
    well = host.run("headrace", "doctor", check=False)
    assert well.returncode == 0, well.stdout
    host.run("chmod", "644", "/etc/headrace/tls/key.pem")
    ill = host.run("headrace", "doctor", "--json", check=False)
    host.run("chmod", "600", "/etc/headrace/tls/key.pem")
    assert ill.returncode == 1
    wrong = [each for each in json.loads(ill.stdout) if not each["ok"]]
    assert [each["mend"] for each in wrong] == ["chmod 600 /etc/headrace/tls/key.pem"]


def test_application_workers_are_restarted_under_load_without_a_failed_request(host: Machine) -> None:
    restart = subprocess.Popen(
        host.command("systemctl", "restart", "headrace-web@1.service", "headrace-web@2.service")
    )
    codes: list[str] = []
    while restart.poll() is None or len(codes) < 20:
        codes.append(curl("-o", "/dev/null", "-w", "%{http_code}", "https://shop.example/").stdout)
    assert set(codes) == {"200"}


def test_files_that_do_not_work_are_taken_back(host: Machine) -> None:
    before = host.run("cat", "/etc/headrace/nginx.conf").stdout
    broken = CONFIG.replace('app = "app:app"', 'app = "nowhere:app"')
    host.run("sh", "-c", f"cat > /etc/headrace/broken.toml <<'END'\n{broken}\nEND")
    done = host.run("headrace", "host", "apply", "--config", "/etc/headrace/broken.toml", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "going back" in done.stderr
    assert host.run("cat", "/etc/headrace/nginx.conf").stdout == before
    site = ("-o", "/dev/null", "-w", "%{http_code}", "https://shop.example/")
    eventually("the site answers again", lambda: curl(*site).stdout == "200")


def test_a_hung_worker_is_killed_by_its_watchdog_and_heals(host: Machine) -> None:
    unit = "headrace-worker@default.service"
    eventually("it runs", lambda: host.show(unit, "ActiveState")["ActiveState"] == "active")
    before = host.show(unit, "MainPID")["MainPID"]
    host.run("kill", "-STOP", before)
    eventually("another process", lambda: host.show(unit, "MainPID")["MainPID"] not in ("0", before))
    eventually("it runs", lambda: host.show(unit, "ActiveState")["ActiveState"] == "active")


def test_another_boot_ends_at_running_and_finishes_what_was_waiting(host: Machine) -> None:
    host.run("systemctl", "stop", "headrace-worker@default.service")
    page = upload("waiting for another boot")
    host.restart()
    assert host.run("systemctl", "is-system-running", check=False).stdout == "running\n"
    eventually("its text", lambda: "another boot" in curl(f"https://shop.example{page}/text").stdout)


def test_nothing_of_this_machine_was_touched() -> None:
    assert shutil.which("nginx") is None or not pathlib.Path("/etc/headrace/nginx.conf").exists()
