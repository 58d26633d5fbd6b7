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
EDGE = EDGE.replace("rate = 0", f'rate = 2\nconnections = 2\ntrusted_proxies = ["{OUTSIDE}/32"]')
SITE = "https://shop.example/"


@pytest.fixture(scope="module")
def edge(host: Machine) -> Iterator[Machine]:
    text = base64.b64encode(pathlib.Path(__file__).with_name("echo.py").read_bytes()).decode()
    host.run("sh", "-c", f"echo {text} | base64 -d > /srv/shop/echo.py")
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
