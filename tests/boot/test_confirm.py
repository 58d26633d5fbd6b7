"""An apply that nobody confirms goes back by itself: whoever was locked out gets in again."""

from __future__ import annotations

import base64
import subprocess

from boot_host import CONFIG, curl, eventually
from boot_machine import Machine

OTHER = CONFIG.replace("rate = 0", "rate = 777")
SITE = ("-o", "/dev/null", "-w", "%{http_code}", "https://shop.example/")


def apply(host: Machine, config: str, *more: str) -> subprocess.CompletedProcess[str]:
    write(host, config)
    return host.run("headrace", "host", "apply", *more, check=False)


def write(host: Machine, config: str) -> None:
    text = base64.b64encode(config.encode()).decode()
    host.run("sh", "-c", f"echo {text} | base64 -d > /etc/headrace/headrace.toml")


def nginx(host: Machine) -> str:
    return host.run("cat", "/etc/headrace/nginx.conf").stdout


def status(host: Machine) -> str:
    return host.run("headrace", "host", "status", check=False).stdout


def test_what_nobody_confirms_goes_back(host: Machine) -> None:
    before = nginx(host)
    done = apply(host, OTHER, "--confirm-within", "5s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "headrace host confirm" in done.stdout
    assert "777" in nginx(host) and "777" in host.run("cat", "/etc/headrace/applied.toml").stdout
    eventually("it goes back", lambda: nginx(host) == before)
    unit = "headrace-confirm.service"
    eventually("nobody waits", lambda: host.show(unit, "ActiveState")["ActiveState"] == "inactive")
    assert "777" not in host.run("cat", "/etc/headrace/applied.toml").stdout
    late = host.run("headrace", "host", "confirm", check=False)
    assert late.returncode == 2 and "no apply waits" in late.stderr
    write(host, CONFIG)
    eventually("as before", lambda: status(host).startswith("as /etc"))
    eventually("the site answers", lambda: curl(*SITE).stdout == "200")


def test_what_is_confirmed_stays(host: Machine) -> None:
    done = apply(host, OTHER, "--confirm-within", "10m")
    assert done.returncode == 0, done.stdout + done.stderr
    assert status(host).startswith("waits to be confirmed")
    assert host.show("headrace-confirm.service", "ActiveState") == {"ActiveState": "active"}
    assert host.run("headrace", "host", "confirm").stdout == "confirmed\n"
    unit = "headrace-confirm.service"
    eventually("nobody waits", lambda: host.show(unit, "ActiveState")["ActiveState"] == "inactive")
    assert status(host).startswith("as /etc")
    assert "777" in nginx(host)
    host.run("headrace", "host", "rollback")
    assert "777" not in nginx(host)
    write(host, CONFIG)
    eventually("the site answers", lambda: curl(*SITE).stdout == "200")


def test_an_apply_that_is_killed_while_services_load_is_taken_back(host: Machine) -> None:
    before = nginx(host)
    write(host, OTHER.replace('app = "app:app"', 'app = "nowhere:app"'))
    command = "systemd-run --unit=applying headrace host apply --confirm-within 10m"
    host.run(*command.split())
    unit = "headrace-confirm.service"
    eventually("somebody watches", lambda: host.show(unit, "ActiveState")["ActiveState"] == "active")
    assert "777" in nginx(host)
    host.run("systemctl", "kill", "--signal=KILL", "applying.service")
    eventually("it goes back", lambda: nginx(host) == before)
    write(host, CONFIG)
    eventually("the site answers", lambda: curl(*SITE).stdout == "200")
    eventually("as before", lambda: status(host).startswith("as /etc"))
    host.run("systemctl", "reset-failed", "applying.service", check=False)
