"""`headrace up`, driven as a user drives it: ready, TLS through nginx, roles that are killed, everything that
may be in its way at the start, and an end that leaves nothing."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from up_process import Up, a_place, running, wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running() as started:
        yield started


def test_a_request_over_tls_reaches_an_application_worker_with_its_id(up: Up) -> None:
    answer = up.curl("/hello?x=1", "-i")
    head, body = answer.replace("\r", "").split("\n\n", 1)
    saw = json.loads(body)
    told = re.search(r"(?im)^x-request-id: ([0-9a-f]{32})$", head)
    assert told and saw["headers"]["X-Request-Id"] == told.group(1)
    assert saw["path"] == "/hello?x=1"
    assert saw["headers"]["X-Forwarded-Proto"] == "https"
    assert saw["headers"]["X-Forwarded-For"] == "127.0.0.1"


def test_plain_http_is_served_beside_it(up: Up) -> None:
    assert json.loads(up.curl("/plain", scheme="http"))["headers"]["X-Forwarded-Proto"] == "http"


def test_both_application_workers_are_used(up: Up) -> None:
    assert {json.loads(up.curl("/"))["pid"] for _ in range(20)} == {up.pid("web-1"), up.pid("web-2")}


def test_a_client_cannot_say_its_own_address_or_request_id(up: Up) -> None:
    saw = json.loads(up.curl("/", "-H", "X-Forwarded-For: 10.9.9.9", "-H", "X-Request-Id: mine"))
    assert saw["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert saw["headers"]["X-Request-Id"] != "mine"


def test_the_access_log_is_json_with_the_request_id_and_no_query(up: Up) -> None:
    told = json.loads(up.curl("/logged?secret=1"))["headers"]["X-Request-Id"]
    lines = (up.place.state / "log" / "access.jsonl").read_text().splitlines()
    line = next(entry for entry in map(json.loads, lines) if entry["request_id"] == told)
    assert (line["path"], line["status"], line["method"]) == ("/logged", 200, "GET")
    assert line["upstream"].startswith("unix:") and line["seconds"] >= 0


def test_the_api_answers_below_its_prefix(up: Up) -> None:
    status = json.loads(up.curl("/_headrace/status"))
    assert status["app"] == "probe" and status["store"] is True
    assert [web["answers"] for web in status["web"]] == [True, True]
    assert json.loads(up.curl("/_headrace/health")) == {"status": "ok"}


def test_every_line_has_its_role_before_it_and_cannot_steer_the_terminal(up: Up) -> None:
    up.curl("/a-line")
    wait_for("the line", lambda: "saw /a-line" in up.place.said)
    lines = up.place.said.splitlines()
    assert all(re.match(r"(up|store|nginx|api|web-[12]) +\| ", line) for line in lines), lines
    assert any(re.match(r"web-[12] \| saw /a-line \\x1b\[31mred$", line) for line in lines)
    assert "\x1b" not in up.place.said
    kept = (up.place.state / "log" / "headrace.log").read_text().splitlines()
    assert set(lines) <= set(kept)


def test_the_certificate_is_ecdsa_and_for_this_host(up: Up) -> None:
    file = str(up.place.state / "tls" / "cert.pem")
    shown = subprocess.run(
        ["openssl", "x509", "-in", file, "-noout", "-text"], capture_output=True, text=True, check=True
    ).stdout
    assert "P-256" in shown and "ecdsa-with-SHA256" in shown
    assert "DNS:localhost, IP Address:127.0.0.1" in shown


def test_tls_1_1_is_refused(up: Up) -> None:
    done = subprocess.run(
        ["curl", "-sk", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", up.ready()["https"]],
        check=False,
    )
    assert done.returncode == 35


def test_others_find_the_store_and_its_key(up: Up) -> None:
    client = json.loads((up.place.state / "client.json").read_text())
    assert client["app"] == "probe" and client["region"] == "us-east-1"
    assert pathlib.Path(client["keys"]).stat().st_mode & 0o777 == 0o600
    assert pathlib.Path(client["socket"]).is_socket()
    assert client["endpoint"] == up.ready()["endpoint"]
    assert up.place.state.stat().st_mode & 0o777 == 0o700


def connect(address: tuple[str, int] | str) -> None:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(30)
        client.connect(address)


@pytest.mark.parametrize("role", ["store", "api", "web-1", "nginx"])
def test_a_killed_role_starts_again_and_refuses_no_connection(up: Up, role: str) -> None:
    port = int(up.ready()["https"].rsplit(":", 1)[1])
    store_port = int(up.ready()["endpoint"].rsplit(":", 1)[1])
    sockets = {name: str(up.place.state / "run" / f"{name}.sock") for name in ("store", "api", "web-1")}
    done = threading.Event()
    refused: list[OSError] = []
    made = 0

    def knock() -> None:
        nonlocal made
        while not done.is_set():
            try:
                connect(("127.0.0.1", port) if role == "nginx" else sockets[role])
                if role == "store":
                    connect(("127.0.0.1", store_port))
                made += 1
            except OSError as error:
                refused.append(error)
            done.wait(0.001)

    before = up.pid(role)
    readied = up.place.said.count(f"up.role_ready role={role}\n")
    knocking = threading.Thread(target=knock)
    knocking.start()
    os.kill(before, signal.SIGKILL)
    wait_for("ready again", lambda: up.place.said.count(f"up.role_ready role={role}\n") > readied)
    done.set()
    knocking.join()
    assert not refused and made > 10
    assert up.pid(role) != before
    assert json.loads(up.curl("/"))["path"] == "/"
    assert up.curl("/_headrace/ready") == '{"status":"ready"}\n'


def test_no_request_fails_while_an_application_worker_is_killed(up: Up) -> None:
    for _ in range(3):
        before = up.pid("web-2")
        os.kill(before, signal.SIGKILL)
        for _ in range(10):
            assert "pid" in json.loads(up.curl("/"))
        wait_for("another process", lambda: up.pid("web-2") != before)


def test_a_second_up_on_the_state_folder_is_refused(up: Up) -> None:
    refused = up.place.refused()
    assert refused.returncode == 4
    assert f"(process {up.process.pid})" in refused.stderr and "--state" in refused.stderr
    assert up.curl("/_headrace/ready")


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_in_reverse_order_and_leaves_no_process(asked: signal.Signals) -> None:
    with running(web="daemon") as up:

        def daemons() -> int:
            return sum(line.startswith("sleep 1000") for line in up.place.processes().values())

        wait_for("what left its group", lambda: daemons() == 2)
        lines = list(up.place.processes().values())
        assert sum("nginx" in line for line in lines) >= 2 and len(lines) >= 8
        assert up.stop(asked) == 0, up.place.said
        assert up.place.processes() == {}
        ended = re.findall(r"up\.ended role=(\S+)", up.place.said)
        assert ended[-1] == "store" and set(ended) == {"store", "nginx", "api", "web-1", "web-2"}
        assert not re.search(r"up\.(kills|restarts)", up.place.said)


def test_a_second_signal_kills() -> None:
    with running(web="stubborn") as up:
        up.process.send_signal(signal.SIGINT)
        wait_for("stopping", lambda: "up.stops role=web-1" in up.place.said)
        assert up.stop() == 1
        assert up.place.processes() == {}
        assert 'reason="asked to stop twice"' in up.place.said


def test_what_it_started_ends_when_it_is_killed() -> None:
    with running() as up:
        up.process.kill()
        up.process.wait(timeout=30)
        wait_for("the end of all", lambda: not up.place.processes())


def test_a_state_folder_is_used_again() -> None:
    with running() as up:
        certificate = (up.place.state / "tls" / "cert.pem").read_text()
        keys = (up.place.state / "store" / "keys.toml").read_text()
        assert up.stop() == 0
        again = up.place.start().wait_until_ready()
        assert (up.place.state / "tls" / "cert.pem").read_text() == certificate
        assert (up.place.state / "store" / "keys.toml").read_text() == keys
        assert again.stop() == 0


def test_without_an_application_nginx_and_the_api_run() -> None:
    with running(web="") as up:
        assert up.curl("/", "-o", "/dev/null", "-w", "%{http_code}") == "404"
        assert json.loads(up.curl("/_headrace/status"))["web"] == []
        assert up.stop() == 0


def test_a_role_that_ends_at_once_starts_again_after_longer_and_longer_pauses() -> None:
    with a_place(more='[web]\nprocesses = 1\ncommand = ["sh", "-c", "echo oh no; exit 3"]\n') as place:
        up = place.start()
        try:
            wait_for("four tries", lambda: place.said.count("oh no") >= 4)
            pauses = [int(n) for n in re.findall(r"up\.restarts role=web-1 in_ms=(\d+)", place.said)]
            assert pauses[:3] == [100, 200, 400]
        finally:
            assert up.stop() == 0


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ('["no-such-program"]', "no-such-program: no such program in PATH"),
        ('["sh", "-c", "echo the setting is wrong >&2; exit 2"]', "the setting is wrong"),
    ],
)
def test_a_role_that_is_misconfigured_ends_everything(command: str, sentence: str) -> None:
    with a_place(more=f"[web]\ncommand = {command}\n") as place:
        refused = place.refused()
        assert refused.returncode == 2
        assert sentence in refused.stdout and "up.gives_up" in refused.stdout
        last = refused.stdout.splitlines()[-1]
        assert "up.gave_up" in last and sentence in last, "once more where it is seen"
        assert place.processes() == {}


def refused_with(code: int, *words: str, more: str = "", options: tuple[str, ...] = ()) -> None:
    """One sentence, no role started."""
    with a_place(more=more) as place:
        refused = place.refused(*options)
        assert refused.returncode == code, refused
        assert all(word in refused.stderr for word in words), refused.stderr
        assert refused.stdout == "" and refused.stderr.count("\n") == 1


@pytest.mark.parametrize("flag", ["--http", "--https"])
def test_a_port_in_use_is_named(flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused_with(4, address, "in use", flag, options=(flag, address))


def test_what_only_an_installed_host_does_is_said(tmp_path: pathlib.Path) -> None:
    with a_place(more='[host]\nfirewall = true\noperators = "ops"\n') as place:
        done = place.refused("--state", f"{tmp_path}/" + "a" * 100)
        lines = done.stderr.splitlines()
        file = place.folder / "headrace.toml"
        assert lines[:2] == [
            f"headrace: {file}:6:12: host.firewall is not enforced by `headrace up`",
            f"headrace: {file}:7:13: host.operators is not enforced by `headrace up`",
        ]
        assert done.returncode == 2 and len(lines) == 3


def test_one_address_for_two_is_refused_before_it_is_in_use() -> None:
    with a_place() as place:
        done = place.refused("--http", "127.0.0.1:18099", "--https", "127.0.0.1:18099")
        assert done.returncode == 2
        assert done.stderr.startswith("headrace: HTTP and HTTPS are both to be served at 127.0.0.1:18099")


def test_it_tells_its_own_supervisor_that_it_is_ready_alive_and_stopping(tmp_path: pathlib.Path) -> None:
    with a_place() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(60)
        up = place.start("env", f"NOTIFY_SOCKET={tmp_path}/notify", "WATCHDOG_USEC=400000")
        words: list[str] = []

        def hear(word: str, times: int = 1) -> None:
            while words.count(word) < times:
                words.append(told.recv(4096).decode())

        try:
            hear("READY=1")
            alive = words.count("WATCHDOG=1")
            hear("WATCHDOG=1", alive + 2)
            assert up.stop(signal.SIGTERM) == 0
            hear("STOPPING=1")
        finally:
            up.process.kill()


def test_services_of_aws_without_a_region_end_it_with_the_reason() -> None:
    with a_place(more='[services]\nsqs = "aws"\ns3 = "aws"\n') as place:
        unsaid = ("-u", "AWS_REGION", "-u", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE=/dev/null")
        up = place.start("env", *unsaid)
        assert up.process.wait(timeout=60) == 2
        assert "no region is said: set services.region" in place.said


def test_a_wrong_address_is_refused() -> None:
    refused_with(2, "nowhere", options=("--https", "nowhere"))


def test_a_certificate_without_its_key_is_refused() -> None:
    refused_with(2, "needs site.key", more='[site]\ncertificate = "a.pem"\n')


def test_a_certificate_that_is_missing_is_refused_in_nginx_words() -> None:
    with a_place(more='[site]\ncertificate = "a.pem"\nkey = "a.key"\n') as place:
        refused = place.refused()
        assert refused.returncode == 2 and "a.pem" in refused.stderr and "nginx" in refused.stderr


def test_a_path_too_long_for_sockets_is_refused() -> None:
    refused_with(2, "too long", "--state", options=("--state", "/tmp/" + "a" * 100))


def test_without_a_configuration_it_says_what_to_name() -> None:
    with a_place() as place:
        (place.folder / "headrace.toml").unlink()
        refused = place.refused()
        assert refused.returncode == 2 and "no such configuration file" in refused.stderr


@needs_root
def test_somebody_elses_state_folder_is_refused() -> None:
    with a_place() as place:
        place.state.mkdir()
        os.chown(place.state, 65534, 65534)
        refused = place.refused()
        assert refused.returncode == 4
        assert "belongs to nobody (uid 65534)" in refused.stderr and refused.stderr.count("\n") == 1


@needs_root
def test_without_nginx_it_names_the_package() -> None:
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    assert nginx
    with a_place() as place:
        hidden = f'mount --bind /dev/null {nginx} && exec "$@"'
        refused = subprocess.run(
            ["unshare", "--mount", "sh", "-c", hidden, "sh", *place.command()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode == 4
        assert (
            refused.stderr == "headrace: nginx is not installed; install it with: apt install nginx-light\n"
        )


@needs_root
def test_as_an_ordinary_user_everything_runs_as_that_user() -> None:
    with a_place(web="plain") as place:
        os.chown(place.folder, 65534, 65534)
        up = place.start("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        try:
            up.wait_until_ready()
            assert json.loads(up.curl("/"))["path"] == "/"
            owners = {os.stat(f"/proc/{pid}").st_uid for pid in place.processes()}
            assert owners == {65534}
            assert "user " not in (place.state / "nginx" / "nginx.conf").read_text().split("http {")[0]
        finally:
            assert up.stop() == 0


def first_child(pid: int) -> int:
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@needs_root
def test_as_the_first_process_of_a_container_it_reaps_strangers() -> None:
    with running(web="daemon", before=("unshare", "--pid", "--fork", "--mount-proc")) as up:
        first = first_child(up.process.pid)
        orphan = next(pid for pid, line in up.place.processes().items() if line.startswith("sleep 1000"))
        os.kill(orphan, signal.SIGKILL)
        wait_for("the orphan is reaped", lambda: not pathlib.Path(f"/proc/{orphan}").exists())
        assert json.loads(up.curl("/"))["path"] == "/"
        os.kill(first, signal.SIGTERM)
        assert up.process.wait(timeout=60) == 0
        assert up.place.processes() == {}
