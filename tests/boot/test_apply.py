"""`headrace host apply` on a host that runs: nothing is refused meanwhile, what does not work goes back, what
is no more leaves nothing behind, and nobody is locked out."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from boot_host import CONFIG, curl, eventually, upload
from boot_machine import INSIDE, OUTSIDE, Machine
from test_confirm import apply, nginx, status, write

SITE = ("-o", "/dev/null", "-w", "%{http_code}", "https://shop.example/")
OPEN = CONFIG + "firewall = false\n"
SOMEBODY_S = "add table inet other { chain input { type filter hook input priority 10 ; } ; }"
METADATA = "169.254.169.254"


@pytest.fixture
def as_it_was(host: Machine) -> Iterator[None]:
    """Afterwards."""
    yield
    done = apply(host, CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr


def tables(host: Machine) -> set[str]:
    return set(host.run("nft", "list", "tables").stdout.split("\n")) - {""}


@pytest.mark.usefixtures("as_it_was")
def test_a_firewall_that_is_switched_off_is_gone_and_other_tables_stay(host: Machine) -> None:
    host.run("nft", SOMEBODY_S)
    try:
        assert tables(host) == {"table inet headrace", "table inet other"}
        host.run("systemctl", "reload", "headrace-firewall.service")
        assert tables(host) == {"table inet headrace", "table inet other"}
        done = apply(host, OPEN)
        assert done.returncode == 0, done.stdout + done.stderr
        assert tables(host) == {"table inet other"}
    finally:
        host.run("nft", "delete", "table", "inet", "other")


@pytest.mark.usefixtures("as_it_was")
def test_whom_a_new_firewall_locked_out_gets_in_again(host: Machine) -> None:
    assert apply(host, OPEN).returncode == 0
    host.run("systemd-run", "--unit=mine", "python3", "-m", "http.server", "8082")

    def reached() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((INSIDE, 8082), timeout=1):
            return True
        return False

    eventually("the port is open", reached)
    done = apply(host, CONFIG, "--confirm-within", "5s")
    assert done.returncode == 0, done.stdout + done.stderr
    eventually("the port is open again", reached)
    assert tables(host) == set()
    host.run("systemctl", "stop", "mine.service")
    unit = "headrace-confirm.service"
    eventually("nobody waits", lambda: host.show(unit, "ActiveState")["ActiveState"] == "inactive")


def test_the_port_of_the_ssh_session_that_applies_stays_open(host: Machine) -> None:
    session = f"SSH_CONNECTION={OUTSIDE} 50000 {INSIDE} 2222"
    for command in ("plan", "apply"):
        done = host.run("env", session, "sh", "-c", f"env -i headrace host {command}", check=False)
        assert done.returncode == 2, (command, done.stdout, done.stderr)
        assert "host.ssh: ssh is used on port 2222" in done.stdout + done.stderr
    own = f"SSH_CONNECTION={OUTSIDE} 50000 {INSIDE} 22"
    assert host.run("env", own, "headrace", "host", "plan", check=False).returncode == 0


def test_nobody_but_who_needs_it_reaches_the_metadata_service(host: Machine) -> None:
    page = f"http://{METADATA}/_headrace/nginx"  # here it is nginx that has the address
    ask = ("curl", "-sS", "-m", "5", "--interface", "127.0.0.1", "-o", "/dev/null", "-w", "%{http_code}")

    def seen_by(user: str) -> str:
        return host.run(*ask, page, user=user, check=False).stdout

    host.run("ip", "addr", "add", f"{METADATA}/32", "dev", "lo")
    assert seen_by("root") == "204"
    for user in ("shop", "headrace-api", "headrace-store", "nobody"):
        assert seen_by(user) == "000", user
    host.run("ip", "addr", "del", f"{METADATA}/32", "dev", "lo")
    counted = host.run("nft", "list", "counter", "inet", "headrace", "metadata").stdout
    assert int(counted.split("packets ")[1].split()[0]) >= 4


class Load:
    """Visitors who read and upload, each over a connection of its own, kept as long as it is good."""

    def __init__(self, visitors: int) -> None:
        self.codes: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(i,)) for i in range(visitors)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _visit(self, number: int) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        visitor: Visitor | None = None
        turn = 0
        while not self._over.wait(0.02):
            turn += 1
            visitor = visitor or Visitor(context)
            upload = (turn + number) % 8 == 0
            code, last = visitor.ask(f"visitor {number}, turn {turn}" if upload else None)
            with self._lock:
                self.codes[code] += 1
            if last:
                visitor.close()
                visitor = None


class Visitor(http.client.HTTPSConnection):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__("shop.example", timeout=30, context=context)
        plain = socket.create_connection((INSIDE, 443), timeout=30)
        self.sock = context.wrap_socket(plain, server_hostname="shop.example")
        self.used = False

    def ask(self, text: str | None) -> tuple[str, bool]:
        """What came back, and whether the connection is over. A kept connection may be closed between two
        requests: then a client asks again over a new one, so that does not count."""
        try:
            if text is None:
                self.request("GET", "/")
            else:
                self.request("PUT", "/documents/load.txt", text.encode())
            response = self.getresponse()
            response.read()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            return ("closed between requests" if self.used else "closed unasked"), True
        self.used = True
        return str(response.status), response.getheader("Connection") == "close"


def test_nothing_is_refused_while_files_are_applied_under_load(host: Machine) -> None:
    pid = host.show("nginx.service", "MainPID")["MainPID"]
    other = CONFIG.replace("rate = 0", "rate = 0\nconnections = 500").replace(
        'app = "app:app"', 'app = "app:app"\ntimeout = "45s"'
    )
    with Load(8) as load:
        for config in (other, CONFIG):
            done = apply(host, config)
            assert done.returncode == 0, done.stdout + done.stderr
    load.codes.pop("closed between requests", None)
    assert set(load.codes) == {"200", "201"}, load.codes
    assert load.codes["200"] > 100 and load.codes["201"] > 10, load.codes
    assert host.show("nginx.service", "MainPID")["MainPID"] == pid, "its ports were closed for a moment"


def test_workers_restarted_under_load_fail_no_request_and_lose_or_repeat_no_task(host: Machine) -> None:
    units = ("headrace-worker@default.service", "headrace-web@1.service", "headrace-web@2.service")
    host.run("truncate", "-s0", "/var/log/headrace/headrace.jsonl")
    with Load(8) as load:
        for _ in range(2):
            host.run("systemctl", "restart", *units)
    load.codes.pop("closed between requests", None)
    assert set(load.codes) == {"200", "201"}, load.codes

    def jobs(event: str) -> list[str]:
        log = host.run("cat", "/var/log/headrace/headrace.jsonl").stdout
        lines = [line for line in log.splitlines() if f'"event":"{event}"' in line]
        return [line.split('job=\\"', 1)[1].split('\\"', 1)[0] for line in lines]

    eventually("as many ends as uploads", lambda: len(set(jobs("job_done"))) >= load.codes["201"])
    for event in ("job_started", "job_done"):
        assert len(jobs(event)) == len(set(jobs(event))) == load.codes["201"], event


def test_a_server_of_ones_own_that_does_not_answer_is_taken_back(host: Machine) -> None:
    before = nginx(host)
    broken = CONFIG.replace('app = "app:app"', 'command = ["/usr/bin/sleep", "1000"]')
    done = apply(host, broken)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a request goes through nginx to an application worker: " in done.stderr
    assert nginx(host) == before
    write(host, CONFIG)
    eventually("the site answers again", lambda: curl(*SITE).stdout == "200")
    assert status(host).startswith("as /etc")


@pytest.mark.usefixtures("as_it_was")
def test_a_certificate_of_ones_own_is_found_where_links_lead(host: Machine) -> None:
    live, archive = "/etc/letsencrypt/live/shop.example", "/etc/letsencrypt/archive/shop.example"
    host.run("mkdir", "-p", live, archive)
    made = f"req -x509 -newkey rsa:2048 -nodes -days 30 -keyout {archive}/key1.pem -out {archive}/cert1.pem"
    names = ("-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example")
    host.run("openssl", *made.split(), *names)
    for name in ("key", "cert"):
        host.run("ln", "-sfn", f"../../archive/shop.example/{name}1.pem", f"{live}/{name}.pem")
    own = f'names = ["shop.example"]\ncertificate = "{live}/cert.pem"\nkey = "{live}/key.pem"'
    done = apply(host, CONFIG.replace('names = ["shop.example"]', own))
    assert done.returncode == 0, done.stdout + done.stderr
    told = curl("-v", "https://shop.example/")
    assert "strict-transport-security: max-age=63072000" in told.stderr.lower()
    assert "CN=shop.example" in told.stderr
    found = host.run("headrace", "doctor", check=False).stdout
    assert f"ok    only who should can reach {live}/key.pem" in found
    more = own.replace('"shop.example"', '"shop.example", "www.shop.example"')
    assert apply(host, CONFIG.replace('names = ["shop.example"]', more)).returncode == 0
    found = host.run("headrace", "doctor", check=False).stdout
    assert f"{live}/cert.pem does not hold www.shop.example" in found
    host.run("rm", f"{archive}/cert1.pem")
    done = apply(host, CONFIG.replace('names = ["shop.example"]', own))
    assert done.returncode == 2
    assert f"site.certificate: {live}/cert.pem is not there" in done.stdout + done.stderr


def test_a_package_that_comes_again_leaves_what_runs_alone(host: Machine) -> None:
    units = ("headrace-store", "headrace-api", "headrace-web@1", "headrace-worker@default", "nginx")
    before = {unit: host.show(f"{unit}.service", "MainPID") for unit in units}
    host.run("dpkg", "--install", "/srv/headrace.deb")
    assert {unit: host.show(f"{unit}.service", "MainPID") for unit in units} == before
    # Of a program of another version the package would be another too.
    host.run("sh", "-c", "rm -r /srv/shop/venv/lib/python3*/site-packages/headrace*")
    host.run("chown", "-R", "shop:", "/srv/shop/venv")
    assert host.run("headrace", "host", "apply").stdout.startswith("0 changed")
    package = "stat -c %U /srv/shop/venv/lib/python3*/site-packages/headrace"
    assert host.run("sh", "-c", package).stdout == "shop\n"
    page = upload("after an upgrade")
    eventually("its text", lambda: "an upgrade" in curl(f"https://shop.example{page}/text").stdout)


def test_what_is_left_of_a_package_that_was_removed_is_quiet(host: Machine) -> None:
    host.run("dpkg", "--remove", "headrace")
    try:
        unit = "headrace-worker@default.service"
        assert host.show(unit, "ActiveState")["ActiveState"] == "inactive"
        host.run("systemctl", "start", "headrace.target", check=False)
        assert host.show(unit, "ActiveState", "NRestarts") == {"ActiveState": "inactive", "NRestarts": "0"}
        assert host.run("systemctl", "--failed", "--no-legend").stdout == ""
        assert "table inet headrace" in tables(host)
    finally:
        host.run("dpkg", "--install", "/srv/headrace.deb")
        write(host, CONFIG)
        host.run("headrace", "host", "apply")
    eventually("the site answers again", lambda: curl(*SITE).stdout == "200")
