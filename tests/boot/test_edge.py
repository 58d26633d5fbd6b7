"""The edge as the configuration says: who is believed about addresses, how much one address may ask for, and
websockets through nginx to a server of the user's own."""

from __future__ import annotations

import base64
import collections
import os
import pathlib
import socket
import ssl
from collections.abc import Iterator

import pytest
from boot_host import CONFIG, curl, eventually
from boot_machine import INSIDE, OUTSIDE, Machine, run
from test_confirm import apply

STRANGER = "10.77.0.200"  # nobody's load balancer
COMMAND = 'command = ["/usr/bin/python3", "/srv/shop/echo.py"]'
EDGE = CONFIG.replace('app = "app:app"', COMMAND)
EDGE = EDGE.replace('names = ["shop.example"]', 'names = ["shop.example", "localhost"]')
LIMITS = f"""rate = 2
connections = 2
trusted_proxies = ["{OUTSIDE}/32"]
console = ["{STRANGER}/32"]
files = "/srv/files"
"""
EDGE = EDGE.replace("rate = 0", LIMITS)
SITE = "https://shop.example/"


@pytest.fixture(scope="module")
def edge(host: Machine) -> Iterator[Machine]:
    text = base64.b64encode(pathlib.Path(__file__).with_name("echo.py").read_bytes()).decode()
    host.run("sh", "-c", f"echo {text} | base64 -d > /srv/shop/echo.py")
    host.run("mkdir", "-p", "/srv/files")
    run("ip", "addr", "add", f"{STRANGER}/24", "dev", "ve-hrboot")
    done = apply(host, EDGE)
    assert done.returncode == 0, done.stdout + done.stderr
    yield host
    run("ip", "addr", "del", f"{STRANGER}/24", "dev", "ve-hrboot")
    done = apply(host, CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_websocket_to_a_wsgi_application_is_refused_by_name(host: Machine) -> None:
    asks = ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13")
    told = curl("--http1.1", *asks, "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "-i", SITE).stdout
    assert told.startswith("HTTP/1.1 501 ") and "web.command" in told, told


def seen_as(came_from: str, *forwarded: str) -> str:
    """Who the application thinks asks."""
    headers = [part for each in forwarded for part in ("-H", f"X-Forwarded-For: {each}")]
    return curl("--interface", came_from, *headers, SITE).stdout


def test_x_forwarded_for_is_believed_from_a_trusted_proxy_alone(edge: Machine) -> None:
    assert seen_as(OUTSIDE, "198.51.100.7") == "198.51.100.7"
    assert seen_as(OUTSIDE, "203.0.113.9, 198.51.100.8") == "198.51.100.8"  # what the client wrote is not
    assert seen_as(OUTSIDE) == OUTSIDE
    assert seen_as(STRANGER, "198.51.100.7") == STRANGER


def test_the_pages_of_headrace_itself_are_shown_to_whom_the_configuration_names(edge: Machine) -> None:
    ask = ("-o", "/dev/null", "-w", "%{http_code}", f"{SITE}_headrace/health")
    assert curl("--interface", STRANGER, *ask).stdout == "200"  # in site.console
    assert curl("--interface", OUTSIDE, *ask).stdout == "403"  # trusted about others, no more
    assert curl("--interface", OUTSIDE, "-H", f"X-Forwarded-For: {STRANGER}", *ask).stdout == "200"


def test_files_are_served_and_nothing_beside_them(edge: Machine) -> None:
    edge.run("sh", "-c", "echo plain > /srv/files/a.txt; echo hidden > /srv/hidden.txt")
    edge.run("ln", "-sfn", "/etc/shadow", "/srv/files/link.txt")
    edge.run("chown", "-h", "shop:", "/srv/files/link.txt")

    visitors = (f"X-Forwarded-For: 192.0.2.{number}" for number in range(1, 100))  # each within its limit

    def page(path: str) -> list[str]:
        ask = ("-H", next(visitors), "--path-as-is", "-w", "\n%{http_code}", f"{SITE}{path}")
        return curl(*ask).stdout.split()

    assert page("static/a.txt") == ["plain", "200"]
    assert page("static/link.txt")[-1] == "403"
    for path in ("static/../hidden.txt", "static../hidden.txt", "static/%2e%2e/hidden.txt"):
        assert "hidden" not in page(path)[:-1], path
    assert page("static/none.txt")[-1] == "404"


def test_who_sends_slowly_is_let_go(edge: Machine) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((INSIDE, 443), timeout=25) as plain:
        with context.wrap_socket(plain, server_hostname="shop.example") as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ")
            assert b"200" not in slow.recv(100)  # closed, or told 408, within client_header_timeout


def test_headers_that_protect_are_sent_unless_the_application_has_its_own(edge: Machine) -> None:
    told = curl("-i", "-H", "X-Forwarded-For: 192.0.2.200", SITE).stdout.lower()
    assert "content-security-policy: frame-ancestors 'self'\n" in told
    assert "x-content-type-options: nosniff\n" in told
    assert "referrer-policy: no-referrer\n" in told and told.count("referrer-policy:") == 1  # its own


def codes(came_from: str, addresses: list[str]) -> collections.Counter[str]:
    """Of requests over one connection, as fast as they go."""
    out = collections.Counter[str]()
    config = []
    for address in addresses:
        config += ["--next", "-sk", "-o", "/dev/null", "-w", "%{http_code}\n", "--interface", came_from]
        config += ["--resolve", f"shop.example:443:{INSIDE}", "-H", f"X-Forwarded-For: {address}", SITE]
    out.update(run("curl", *config[1:]).stdout.split())
    return out


def test_an_address_that_asks_too_much_is_told_429_and_others_are_answered(edge: Machine) -> None:
    several = codes(OUTSIDE, ["198.51.100.20"] * 40)
    assert set(several) == {"200", "429"}
    assert 4 <= several["200"] <= 20  # twice the rate at once, and what comes back meanwhile
    assert codes(OUTSIDE, ["198.51.100.21"]) == {"200": 1}
    pretending = codes(STRANGER, [f"198.51.100.{number}" for number in range(30, 70)])
    assert pretending["429"] >= 20


class WebSocket:
    """One connection through nginx, as a browser makes it."""

    def __init__(self, forwarded: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection((INSIDE, 443), timeout=20)
        self._socket = context.wrap_socket(plain, server_hostname="shop.example")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /talk HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: {forwarded}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self._reader = self._socket.makefile("rb")
        self.status = int(self._reader.readline().split()[1])
        while self._reader.readline().strip():
            pass

    def echo(self, text: str) -> str:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text.encode()))
        self._socket.sendall(bytes([0x81, 0x80 | len(masked)]) + mask + masked)
        head = self._reader.read(2)
        return self._reader.read(head[1]).decode()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


def test_websockets_go_through_to_a_server_of_ones_own_and_count_as_connections(edge: Machine) -> None:
    two = [WebSocket("198.51.100.90") for _ in range(2)]
    assert [each.status for each in two] == [101, 101]
    for number, each in enumerate(two):
        assert each.echo(f"hello {number}") == f"hello {number}"
    third = WebSocket("198.51.100.90")
    other = WebSocket("198.51.100.91")
    assert (third.status, other.status) == (429, 101)
    for each in (*two, third, other):
        each.close()

    def may_again() -> bool:
        again = WebSocket("198.51.100.90")
        again.close()
        return again.status == 101

    eventually("those that ended do not count", may_again)
