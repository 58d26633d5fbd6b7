"""What the tests of a whole stack share."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from worker_process import Place


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    """A folder for an application of the test's own, and what runs on it."""
    there = Place(tmp_path / "app")
    yield there
    there.end()
