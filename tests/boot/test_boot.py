"""A Debian 12 that Headrace makes into a host: `headrace host apply`, then everything from outside and
inside. The tests share one machine and leave it as they found it; the last one boots it again."""

from __future__ import annotations

import json
import pathlib
import shutil
import socket
import subprocess
from typing import Any

import pytest
from boot_host import CONFIG, curl, eventually, upload
from boot_machine import INSIDE, Machine, run


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
    before = packets(host)
    accepted = connected("0.0.0.0", 200)
    assert 20 <= accepted < 200
    after = packets(host)
    let_in, limited = (after[name] - before[name] for name in ("site", "limited"))
    assert let_in >= accepted and limited > 0 and let_in + limited >= 200
    assert after["refused"] >= 2
    other = "10.77.0.201"  # is not made to pay for it
    run("ip", "addr", "add", f"{other}/24", "dev", "ve-hrboot")
    assert connected(other, 5) == 5
    run("ip", "addr", "del", f"{other}/24", "dev", "ve-hrboot")


def packets(host: Machine) -> dict[str, int]:
    """What the firewall has counted."""
    counters = json.loads(host.run("nft", "-j", "list", "counters").stdout)["nftables"]
    return {each["counter"]["name"]: each["counter"]["packets"] for each in counters if "counter" in each}


def connected(came_from: str, times: int) -> int:
    """Of so many connections, as fast as they go: those that were accepted."""
    accepted = 0
    for _ in range(times):
        with socket.socket() as one:
            one.settimeout(0.02 if times > 10 else 5)
            one.bind((came_from, 0))
            accepted += one.connect_ex((INSIDE, 80)) == 0
    return accepted


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


def test_a_record_is_kept_once_and_goes_on_after_a_rotation(host: Machine) -> None:
    host.run("logrotate", "-f", "/etc/logrotate.d/headrace")
    upload("after a rotation")

    def records() -> list[str]:
        log = host.run("cat", "/var/log/headrace/headrace.jsonl", check=False).stdout
        return [line for line in log.splitlines() if '"event":"job_done"' in line]

    eventually("the job is in the new file", lambda: len(records()) > 0)
    assert host.run("test", "-s", "/var/log/headrace/headrace.jsonl.1", check=False).returncode == 0
    assert len(records()) == len(set(records()))
    job = json.loads(records()[0])["data"].split('job="', 1)[1].split('"', 1)[0]
    for beside in ("/var/log/journal", "/var/log/syslog"):
        assert host.run("grep", "-rlF", job, beside, check=False).stdout == ""


def test_another_than_root_cannot_apply_by_polkit_either(host: Machine) -> None:
    action = "org.headrace.host.apply"
    assert action in host.run("pkaction").stdout
    for user in ("shop", "nobody"):
        ask = ("sh", "-c", f"pkcheck --action-id {action} --process $$")
        assert host.run(*ask, user=user, check=False).returncode != 0


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


# The seed's process flow: which box of it each unit is.
FLOW = {
    "Infrastructure Services": ("rsyslog", "headrace-firewall", "headrace-time", "headrace-store"),
    "Web Services": ("nginx", "headrace-api"),
    "Application Services": ("headrace-web@1", "headrace-web@2"),
    "Background Workers": ("headrace-worker@default",),
}


def arrows(host: Machine) -> list[tuple[str, str]]:
    """Of the process flow that `headrace diagram` draws, by the names of its boxes."""
    drawn = json.loads(host.run("headrace", "diagram", "--json").stdout)
    flow = next(each for each in drawn if each["title"] == "Process Flow Diagram")
    return [(each["from"], each["to"]) for each in flow["arrows"]]


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
    host.run("sh", "-c", "headrace diagram > /srv/saved.md")

    def check() -> int:
        return host.run("headrace", "diagram", "--check", "/srv/saved.md", check=False).returncode

    assert check() == 0
    for units in (["headrace-web@2.service", "headrace-web@2.socket"], ["syslog.socket", "rsyslog.service"]):
        host.run("systemctl", "stop", *units)
        assert "(missing)" in page() and check() == 3
        host.run("systemctl", "start", *units)
        assert page() == before and check() == 0
    file = "/etc/headrace/nginx.conf"
    host.run("cp", "-p", file, "/root/nginx.conf")
    host.run("sed", "-i", "s/server_name shop.example;/server_name shop.example other.example;/", file)
    assert "Nginx serves other.example<br/>(stranger)" in page()

    def is_changed() -> bool:
        host.run("touch", file)
        return "Port 80/443<br/>(unknown)" in page()

    eventually("it is known that nginx did not load it", is_changed)
    host.run("cp", "-p", "/root/nginx.conf", file)
    assert page() == before
    connect = "s=socket.socket(socket.AF_UNIX);s.connect('/run/headrace/api.sock');time.sleep(99)"
    host.run("systemd-run", "--unit=caller", "python3", "-c", f"import socket,time;{connect}")
    eventually("a stranger is connected", lambda: "caller.service<br/>(stranger)" in page())
    host.run("systemctl", "stop", "caller.service")
    eventually("it is gone", lambda: page() == before)
    opened = "systemd-run --unit=opened python3 -m http.server 8081"
    host.run(*opened.split())
    eventually("a stranger on port 8081", lambda: "Port 8081<br/>(stranger)" in page())
    host.run("systemctl", "stop", "opened.service")
    eventually("the same bytes again", lambda: page() == before)


def test_the_evidence_names_who_told_and_what_was_counted(host: Machine) -> None:
    evidence = host.run("headrace", "diagram", "--evidence").stdout
    for part in (
        "headrace.target active; told by D-Bus",
        "nginx -T: listens on 0.0.0.0:443, 0.0.0.0:80",
        "| SQS, by the store | queue default | waiting | 0 |",
        "table inet headrace drops by default",
        "| Firewall | packets | limited | ",
        "connected to /run/headrace/store.sock: headrace-",
        "headrace-worker@default.service (pid ",
    ):
        assert part in evidence, part
    drawn = json.loads(host.run("headrace", "diagram", "--json").stdout)
    counts = {(each["of"], each["name"]): each["value"] for each in counted(drawn)}
    assert counts["queue default", "waiting"] == counts["queue default", "dead"] == 0
    assert counts["packets", "site"] > 0


def counted(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [count for each in drawn for box in each["boxes"] for count in box["counts"]]


# This machine's disk is memory, which the doctor tells by its haste: on a slow processor it may not.
MEMORY = "the disk keeps what it says it keeps"


def doctor(host: Machine) -> dict[str, dict[str, object]]:
    """What it found, by name."""
    done = host.run("headrace", "doctor", "--json", check=False)
    found = json.loads(done.stdout)
    assert done.returncode == (0 if all(each["ok"] for each in found) else 1)
    return {each["name"]: each for each in found}


def wrong(findings: dict[str, dict[str, object]]) -> list[str]:
    return sorted(name for name, each in findings.items() if not each["ok"] and name != MEMORY)


def test_the_doctor_sends_a_request_and_a_job_through_everything(host: Machine) -> None:
    eventually("nothing is wrong", lambda: wrong(doctor(host)) == [])
    found = doctor(host)
    for name in (
        "a request goes through nginx to an application worker",
        "the request is in the access log, with who answered",
        "a job goes through queue default and pool default and comes back as an object",
        "the job's record of pool default is in the log",
        "nobody may not restart headrace-api.service",
        "the firewall counts what it refuses",
        "SQS and S3 take this host's keys",
        "nginx runs with the files that are there",
        "the clocks of this host and of SQS agree",
        "nothing waits in queue default for longer than 30 min",
        "what the configuration gives belongs to root, and nobody else can write it",
        "only who should can reach /run/headrace/worker-default/control.sock",
    ):
        assert found[name]["ok"], name


def test_the_doctor_says_what_is_wrong_and_why_and_the_mend(host: Machine) -> None:
    host.run("chmod", "644", "/etc/headrace/tls/key.pem")
    host.run("systemctl", "stop", "headrace-worker@default.service")
    found = doctor(host)
    host.run("chmod", "600", "/etc/headrace/tls/key.pem")
    host.run("systemctl", "start", "headrace-worker@default.service")
    key, job = (
        "only who should can reach /etc/headrace/tls/key.pem",
        "a job goes through queue default and pool default and comes back as an object",
    )
    assert wrong(found) == sorted([key, job, "headrace-worker@default.service is active"])
    assert found[key]["mend"] == "chmod 600 /etc/headrace/tls/key.pem"
    assert found[key]["what"] == "mode 644" and found[key]["why"]
    assert "no result after 30 s" in str(found[job]["what"])


def test_application_workers_are_restarted_under_load_without_a_failed_request(host: Machine) -> None:
    restart = subprocess.Popen(
        host.command("systemctl", "restart", "headrace-web@1.service", "headrace-web@2.service")
    )
    codes: list[str] = []
    while restart.poll() is None or len(codes) < 20:
        codes.append(curl("-o", "/dev/null", "-w", "%{http_code}", "https://shop.example/").stdout)
    assert set(codes) == {"200"}


def test_pools_are_seen_paused_and_replaced_while_they_run(host: Machine) -> None:
    unit = "headrace-worker@default.service"

    def pool() -> dict[str, Any]:
        told = json.loads(host.run("headrace", "workers", "--json").stdout)
        return dict(told["pools"][0]["status"])

    eventually("it runs", lambda: host.show(unit, "ActiveState")["ActiveState"] == "active")
    before = pool()
    assert before["pid"] == int(host.show(unit, "MainPID")["MainPID"])
    assert host.run("headrace", "pause", "--all").stdout == "paused: all queues\n"
    assert pool()["paused"] == pool()["queues"] != []
    page = upload("waiting for its turn")
    assert host.run("headrace", "resume", "--all").stdout == "no queue is paused\n"
    eventually("its text", lambda: "its turn" in curl(f"https://shop.example{page}/text").stdout)
    host.run("systemctl", "reload", unit)
    eventually("another process", lambda: int(host.show(unit, "MainPID")["MainPID"]) != before["pid"])
    eventually("it runs", lambda: host.show(unit, "ActiveState")["ActiveState"] == "active")
    shown = host.show(unit, "MainPID", "NRestarts")
    assert pool()["pid"] == int(shown["MainPID"])
    page = upload("for the one after it")
    eventually("its text", lambda: "one after it" in curl(f"https://shop.example{page}/text").stdout)
    gone = ("test", "!", "-e", f"/proc/{before['pid']}")
    eventually("the old one has ended", lambda: host.run(*gone, check=False).returncode == 0)
    assert host.show(unit, "MainPID", "NRestarts") == shown


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
    began = "ActiveEnterTimestampMonotonic"
    since = {
        box: [int(host.show(f"{unit}.service", began)[began]) for unit in units]
        for box, units in FLOW.items()
    }
    drawn = [(before, after) for before, after in arrows(host) if before in since and after in since]
    assert len(drawn) == 4, drawn
    for before, after in drawn:
        assert 0 < max(since[before]) <= min(since[after]), (before, after)
    last = "headrace-worker@default.service"
    chain = host.run("systemd-analyze", "critical-chain", last, "--no-pager").stdout
    places = [chain.find(f"{unit}.service") for units in FLOW.values() for unit in units]
    there = [place for place in places if place >= 0]
    # Who waits stands above whom it waits for.
    assert len(there) >= 3 and there == sorted(there, reverse=True), chain
    eventually("its text", lambda: "another boot" in curl(f"https://shop.example{page}/text").stdout)


def test_nothing_of_this_machine_was_touched() -> None:
    assert shutil.which("nginx") is None or not pathlib.Path("/etc/headrace/nginx.conf").exists()
