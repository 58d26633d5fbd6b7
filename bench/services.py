"""The programs that bench/run measures or measures against: started on loopback, each with a folder of its
own, ended by what started them."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A program did not do its part; says which and how."""


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(path: pathlib.Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if path.exists():
            return
        if process.poll() is not None:
            raise Failed(f"{process.args!r} ended with {process.returncode}")
        time.sleep(0.05)
    raise Failed(f"{path} did not appear within 30 s")


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise Failed(f"{process.args!r} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failed(f"{process.args!r} did not listen within 60 s")


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def output_of(
    command: Sequence[str | pathlib.Path], folder: pathlib.Path, environment: Mapping[str, str]
) -> str:
    """What a program prints; Failed, with what it complained of, if it does not end well."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))[:200]}: {done.stderr[-2000:]}")
    return done.stdout


class Store:
    """A `headrace store` on a fresh folder."""

    def __init__(self, build: pathlib.Path, folder: pathlib.Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        ready = folder.with_name(folder.name + ".ready")
        ready.unlink(missing_ok=True)  # of an earlier one on this folder
        self.process = subprocess.Popen(
            [build / "headrace", "store", "--path", folder, "--listen", "127.0.0.1:0", "--ready-file", ready],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        wait_for(ready, self.process)
        self.endpoint: str = json.loads(ready.read_text())["endpoint"]
        keys = (folder / "keys.toml").read_text()
        self.key_id = re.search(r'^id = "(.*)"', keys, re.M)[1]  # type: ignore[index]
        self.secret = re.search(r'^secret = "(.*)"', keys, re.M)[1]  # type: ignore[index]

    @property
    def target(self) -> str:
        return self.endpoint.removeprefix("http://")

    @property
    def keys(self) -> dict[str, str]:
        return {"HEADRACE_KEY_ID": self.key_id, "HEADRACE_KEY_SECRET": self.secret}

    def create(self) -> list[str]:
        """Makes the queue and the bucket `bench`; answers what bench_load has to know of them."""
        self.client("s3").create_bucket(Bucket="bench")
        url = self.client("sqs").create_queue(QueueName="bench")["QueueUrl"]
        return ["--bucket=bench", f"--queue-url={url}"]

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def close(self) -> None:
        end(self.process)


class Nginx:
    """nginx with one worker: `return 200` on /, a 4 KiB file on /file, what its folder has as /large."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.port = free_port()
        self.folder = folder
        folder.mkdir()
        (folder / "file").write_bytes(b"x" * 4096)
        folder.chmod(0o755)
        config = folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(
            f"""{user} worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_body_buffer_size 64k;
  server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 "ok"; }}
            location = /file {{ alias {folder}/file; open_file_cache max=10; }}
            location = /large {{ alias {folder}/large; open_file_cache max=10; }} }}
}}
"""
        )
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([nginx, "-c", config, "-p", folder], stderr=subprocess.DEVNULL)
        wait_for_port(self.port, self.process)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        end(self.process)
