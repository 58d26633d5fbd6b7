"""Records go on over TLS to another host, and those of while it was away come when it is back."""

from __future__ import annotations

import pathlib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from boot_host import CONFIG, eventually
from boot_machine import OUTSIDE, Machine, run
from test_confirm import apply

PORT = 6514
FORWARD = CONFIG + f'logs_to = "logs.example:{PORT}"\nlogs_authority = "/etc/headrace/logs.pem"\n'


class Receiver:
    """The other host: takes records over TLS, as RFC 5425 has them sent but with a line for each."""

    def __init__(self, certificate: pathlib.Path, key: pathlib.Path) -> None:
        self.lines: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listening: socket.socket | None = None
        self._connections: list[ssl.SSLSocket] = []

    def start(self) -> None:
        self._listening = socket.create_server((OUTSIDE, PORT))
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def stop(self) -> None:
        if self._listening is not None:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
        for each in self._connections:
            each.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                plain, _ = listening.accept()
                connection = self._context.wrap_socket(plain, server_side=True)
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: ssl.SSLSocket) -> None:
        rest = b""
        try:
            while piece := connection.recv(65536):
                *lines, rest = (rest + piece).split(b"\n")
                self.lines += [line.decode(errors="replace") for line in lines]
        except OSError:
            pass

    def has(self, mark: str) -> bool:
        return any(mark in line for line in self.lines)


@pytest.fixture
def receiver(host: Machine, tmp_path: pathlib.Path) -> Iterator[Receiver]:
    certificate, key = tmp_path / "logs.pem", tmp_path / "logs.key"
    names = ("-subj", "/CN=logs.example", "-addext", "subjectAltName=DNS:logs.example")
    made = f"req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {certificate}"
    run("openssl", *made.split(), *names)
    host.run("sh", "-c", f"cat > /etc/headrace/logs.pem <<'END'\n{certificate.read_text()}END")
    host.run("sh", "-c", f"echo '{OUTSIDE} logs.example' >> /etc/hosts")
    out = Receiver(certificate, key)
    yield out
    out.stop()
    assert apply(host, CONFIG).returncode == 0


def log(host: Machine, text: str) -> None:
    """A record of a role, as a role writes it."""
    record = f"<134>1 - - headrace 1 test - {text}"
    send = "import socket;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.connect('/run/headrace/log');"
    host.run("python3", "-c", f"{send}s.send({record!r}.encode())")


def test_records_reach_another_host_over_tls_and_wait_while_it_is_away(
    host: Machine, receiver: Receiver
) -> None:
    receiver.start()
    done = apply(host, FORWARD)
    assert done.returncode == 0, done.stdout + done.stderr
    log(host, "while it listens")
    eventually("it arrives", lambda: receiver.has("while it listens"))
    receiver.stop()
    for number in range(50):
        log(host, f"while it is away, number {number};")
    host.run("systemctl", "restart", "rsyslog.service")  # what waits in memory goes to disk
    log(host, "after a restart")
    here = host.run("cat", "/var/log/headrace/headrace.jsonl").stdout
    assert "number 49;" in here  # nobody waits for the other host
    receiver.start()
    eventually("the last arrives", lambda: receiver.has("after a restart"))
    missing = [number for number in range(50) if not receiver.has(f"number {number};")]
    # What TCP had taken before it knew that nobody is there any more: records have no answer (RFC 5425).
    assert missing == list(range(len(missing))) and len(missing) < 10, missing


def test_a_host_without_the_driver_is_told_before_anything_changes(host: Machine, receiver: Receiver) -> None:
    module = host.run("sh", "-c", "ls /usr/lib/*/rsyslog/lmnsd_gtls.so").stdout.strip()
    host.run("mv", module, f"{module}.away")
    try:
        done = apply(host, FORWARD)
    finally:
        host.run("mv", f"{module}.away", module)
    assert done.returncode == 2 and "apt-get install rsyslog-gnutls" in done.stdout + done.stderr
