from __future__ import annotations

from collections.abc import Iterator

import boot_host
import boot_machine
import pytest


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boot_machine.Machine]:
    if boot_machine.why_not():
        pytest.skip(boot_machine.why_not())
    yield from boot_host.running(tmp_path_factory.mktemp("boot"))
