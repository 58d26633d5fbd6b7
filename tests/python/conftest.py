"""Fixtures of the Python package's tests: a running store, and the package as the build made it."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import store_process
from store_process import Store

# Where the build unpacked the wheel.
PACKAGE = store_process.binary().parent / "python"
sys.path.insert(0, str(PACKAGE))

APP = "tested"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    started = store_process.start(tmp_path_factory.mktemp("store") / "data")
    yield started
    assert store_process.stop(started) == 0


@pytest.fixture(autouse=True)
def no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or (name.startswith("HEADRACE_") and name not in ("HEADRACE_BIN",)):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["tcp", "unix"])
def headrace(request: pytest.FixtureRequest, store: Store) -> Iterator[Any]:
    """The package, configured for the store over either kind of socket."""
    import headrace as package

    endpoint = store.endpoint if request.param == "tcp" else f"unix:{store.socket}"
    package.configure(endpoint=endpoint, keys=f"{store.folder}/keys.toml", app=APP)
    package.Bucket(f"headrace-{APP}").create()
    yield package
    package.configure()
