"""A store of its own for the tests: started on a free port, its key read, ended by its process id."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
import tomllib
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_WITHIN_S = 30.0
REGION = "us-east-1"


@dataclass(frozen=True)
class Store:
    endpoint: str
    socket: str
    folder: pathlib.Path
    key_id: str
    secret: str
    account: str
    process: subprocess.Popen[bytes]

    def environment(self) -> dict[str, str]:
        """What a client program needs to reach this store, and nothing of the caller's own AWS setup."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_PAGER": "",
        }


def binary() -> pathlib.Path:
    named = os.environ.get("HEADRACE_BIN")
    candidates = (
        [pathlib.Path(named)]
        if named
        else [ROOT / "build" / kind / "headrace" for kind in ("release", "dev")]
    )
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"no headrace binary at {', '.join(map(str, candidates))}; build it first")


def start(folder: pathlib.Path, *more: str) -> Store:
    """Returns when the store has said that it is ready."""
    ready = folder.with_name(folder.name + ".ready")
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        [binary(), "store", "--path", folder, "--listen", "127.0.0.1:0", "--ready-file", ready, *more]
    )
    deadline = time.monotonic() + READY_WITHIN_S
    while not ready.exists():
        if process.poll() is not None:
            raise RuntimeError(f"the store ended with {process.returncode} before it was ready")
        if time.monotonic() > deadline:
            process.kill()
            raise TimeoutError(f"the store was not ready within {READY_WITHIN_S} s")
        time.sleep(0.02)
    return told(process, ready, folder)


def told(process: subprocess.Popen[bytes], ready: pathlib.Path, folder: pathlib.Path) -> Store:
    """A store that has written its ready file; `folder` is where its keys can be read."""
    said = json.loads(ready.read_text())
    key = tomllib.loads((folder / "keys.toml").read_text())["key"][0]
    return Store(
        endpoint=said["endpoint"],
        socket=said["socket"],
        folder=folder,
        key_id=key["id"],
        secret=key["secret"],
        account=key["account"],
        process=process,
    )


def stop(store: Store) -> int:
    store.process.send_signal(signal.SIGTERM)
    try:
        return store.process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        store.process.kill()
        raise
