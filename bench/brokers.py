"""Redis and RabbitMQ as Debian has them, on loopback or a unix socket, with a new folder each, no services.

Both are set so that nothing acknowledged is lost with the power: Redis flushes its file before it answers
(appendfsync always; what came meanwhile is flushed together), RabbitMQ's queue is durable and the client
waits for the broker's confirmation.
"""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Mapping

from services import Failed, end, free_port, wait_for, wait_for_port

RABBITMQ = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Redis:
    def __init__(self, folder: pathlib.Path, environment: Mapping[str, str]) -> None:
        folder.mkdir()
        self.socket = folder / "redis.sock"
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        no_pauses = ["--save", "", "--auto-aof-rewrite-percentage", "0"]
        place = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder)]
        self.process = subprocess.Popen(
            ["redis-server", *place, *durable, *no_pauses], env=environment, stdout=subprocess.DEVNULL
        )
        wait_for(self.socket, self.process)

    def length(self, *lists: str) -> int:
        """Of all of them together."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall("".join(f"LLEN {name}\r\n" for name in lists).encode())
            with connection.makefile("rb") as answers:
                return sum(int(answers.readline()[1:]) for _ in lists)

    def close(self) -> None:
        end(self.process)


class RabbitMq:
    def __init__(self, folder: pathlib.Path, environment: Mapping[str, str]) -> None:
        folder.mkdir()
        self.port, distribution, names = free_port(), free_port(), free_port()
        (folder / "plugins").write_text("[].\n")
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        own = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": loopback,
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        }
        epmd = ["epmd", "-address", "127.0.0.1", "-port", str(names)]
        self.names = subprocess.Popen(epmd, stderr=subprocess.DEVNULL)
        wait_for_port(names, self.names)
        with open(folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                [RABBITMQ], env={**environment, **own}, stdout=output, stderr=output, start_new_session=True
            )
        wait_for_port(self.port, self.process)
        self.wait_started(folder / "output")

    def wait_started(self, output: pathlib.Path) -> None:
        for _ in range(1200):
            if b"completed with" in output.read_bytes():
                return
            time.sleep(0.05)
        self.close()
        raise Failed("RabbitMQ did not start within 60 s")

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)  # a script, and the broker that it started
        self.process.wait()
        end(self.names)
