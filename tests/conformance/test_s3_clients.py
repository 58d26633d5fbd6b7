"""The newest JavaScript SDK against the store, unmodified."""

from __future__ import annotations

import json
import pathlib
import subprocess

from conftest import CLIENTS
from store_process import Store


class TestJavaScriptSdk:
    def test_every_operation_of_this_version(self, store: Store, node: pathlib.Path) -> None:
        """AWS SDK for JavaScript v3, @aws-sdk/client-s3: CRC32 by default, streams as unsigned trailer
        bodies.
        """
        done = subprocess.run(
            [node, CLIENTS / "s3.mjs"],
            env=store.environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["failed"] == []
