"""Who may do what on an installed host, and whose credentials the doctor looks at."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from boot_host import CONFIG
from boot_machine import Machine

AMAZON = CONFIG + '[services]\nsqs = "aws"\ns3 = "aws"\nregion = "eu-central-1"\n'
KEYS = "AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secret AWS_SESSION_TOKEN=token"


def write(host: Machine, path: str, text: str) -> None:
    coded = base64.b64encode(text.encode()).decode()
    host.run("sh", "-c", f"mkdir -p $(dirname {path}); echo {coded} | base64 -d > {path}")


@pytest.fixture
def amazon(host: Machine) -> Iterator[Machine]:
    """As if it had been applied for Amazon's services, with keys in the environment of the API alone."""
    host.run("cp", "-p", "/etc/headrace/applied.toml", "/root/applied.toml")
    write(host, "/etc/headrace/applied.toml", AMAZON)
    write(host, "/root/amazon.toml", AMAZON)
    nowhere = "[Service]\nEnvironment=AWS_EC2_METADATA_DISABLED=true\n"
    write(host, "/run/systemd/system/headrace-web@1.service.d/amazon.conf", nowhere)
    write(host, "/run/systemd/system/headrace-api.service.d/amazon.conf", nowhere + f"Environment={KEYS}\n")
    host.run("systemctl", "daemon-reload")
    yield host
    for unit in ("headrace-web@1", "headrace-api"):
        host.run("rm", "-r", f"/run/systemd/system/{unit}.service.d")
    host.run("systemctl", "daemon-reload")
    host.run("cp", "-p", "/root/applied.toml", "/etc/headrace/applied.toml")


def test_credentials_for_amazon_are_looked_up_as_who_uses_them(amazon: Machine) -> None:
    done = amazon.run("headrace", "doctor", "--config", "/root/amazon.toml", "--json", check=False)
    found = {each["name"]: each["what"] for each in json.loads(done.stdout)}
    api = found["the credentials for Amazon that headrace-api finds are there and last"]
    assert api == "those of environment are temporary, and nothing says until when"
    shop = found["the credentials for Amazon that shop finds are there and last"]
    assert "AWS_ACCESS_KEY_ID is not set" in shop and "AWS_EC2_METADATA_DISABLED is true" in shop
    assert "secret" not in done.stdout and 'token"' not in done.stdout


def test_what_workers_do_is_shown_and_changed_by_root_alone(host: Machine) -> None:
    host.run("useradd", "-G", "ops", "operator2")
    host.run("useradd", "plain2")
    for user in ("operator2", "plain2"):
        for command in (["workers"], ["jobs"], ["pause", "--all"], ["reload"]):
            done = host.run("headrace", *command, user=user, check=False)
            assert done.returncode == 2 and done.stdout == "", (user, command)
            assert (
                done.stderr
                == "headrace: /var/lib/headrace/store/keys.toml: cannot be read: Permission denied\n"
            )
        connect = "import socket; socket.socket(socket.AF_UNIX).connect('{}')"
        for path in ("/run/headrace/worker-default/control.sock", "/run/headrace/store.sock"):
            done = host.run("python3", "-c", connect.format(path), user=user, check=False)
            assert "PermissionError" in done.stderr, (user, path)
    assert host.run("headrace", "workers").returncode == 0
