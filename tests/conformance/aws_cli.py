"""The AWS CLI as Debian packages it, run unmodified."""

from __future__ import annotations

import pathlib
import platform
import subprocess

import pytest
from store_process import Store

CLI = pathlib.Path("/usr/bin/aws")

# On Debian `./dev setup` installs it, so there a missing one fails.
needs_aws_cli = pytest.mark.skipif(
    not CLI.exists() and platform.freedesktop_os_release().get("ID") != "debian",
    reason="this distribution packages no AWS CLI (Ubuntu 24.04 has none)",
)


def aws(
    store: Store, *arguments: str, endpoint: str | None = None, certificate: pathlib.Path | None = None
) -> str:
    """What it prints; it must end well."""
    trusted = {"AWS_CA_BUNDLE": str(certificate)} if certificate else {}
    done = subprocess.run(
        ["/usr/bin/python3", CLI, *arguments, "--endpoint-url", endpoint or store.endpoint],
        env=store.environment() | trusted,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
