"""One machine for all tests of this folder, in their order: the first boot has no clock to ask."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import emulator
import host_emulated
import pytest


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.Emulated]:
    if emulator.why_not():
        pytest.skip(emulator.why_not())
    yield from host_emulated.made(pathlib.Path(tmp_path_factory.mktemp("qemu")))
