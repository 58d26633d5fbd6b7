"""A real nginx with the configuration that a host gets, in front of a store: what `headrace host` renders for
site.store_names, with this test's own sockets and folders in place of the host's."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from store_process import Store, binary

READY_WITHIN_S = 20.0


@dataclass(frozen=True)
class Front:
    endpoint: str
    certificate: pathlib.Path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def rendered(folder: pathlib.Path, port: int) -> str:
    """nginx's file, as it would be on a host of this configuration."""
    config = folder / "headrace.toml"
    config.write_text(
        f"""[app]
root = "/srv/app"
[site]
names = ["site.test"]
store_names = ["localhost"]
http = "127.0.0.1:{free_port()}"
https = "127.0.0.1:{port}"
rate = 0
connections = 0
body_max = "1M"
"""
    )
    root = folder / "root"
    root.mkdir()
    command = [str(binary()), "host", "apply", "--config", str(config), "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (root / "etc/headrace/nginx.conf").read_text()


@contextlib.contextmanager
def running(store: Store, folder: pathlib.Path) -> Iterator[Front]:
    port = free_port()
    text = rendered(folder, port)
    for host, here in (
        ("user www-data headrace;", "user root;" if os.geteuid() == 0 else ""),  # whose folders these are
        ("pid /run/nginx.pid;", f"pid {folder}/nginx.pid;"),
        ("syslog:server=unix:/run/headrace/log,tag=nginx warn", f"{folder}/error.log warn"),
        ("access_log syslog:server=unix:/run/headrace/log,tag=nginx_access headrace;", "access_log off;"),
        ("/run/headrace/store.sock", store.socket),
        ("/etc/headrace/tls/", f"{folder}/root/etc/headrace/tls/"),
    ):
        assert host in text, host
        text = text.replace(host, here)
    file = folder / "nginx.conf"
    file.write_text(text)
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert program, "there is no nginx: ./dev setup run"
    errors = ["-e", str(folder / "error.log")]
    process = subprocess.Popen([program, *errors, "-c", str(file), "-g", "daemon off;"])
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)
        yield Front(f"https://localhost:{port}", folder / "root/etc/headrace/tls/cert.pem")
    finally:
        process.terminate()
        process.wait(20)
