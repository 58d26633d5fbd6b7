"""Fixtures of the conformance tests: one store for the run, clients for it, a fresh queue for each test."""

from __future__ import annotations

import itertools
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import s3_api
import store_process
from sqs_api import Api, JsonApi, QueryApi
from store_process import ROOT, Store

CLIENTS = ROOT / "tests" / "clients"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    started = store_process.start(tmp_path_factory.mktemp("store") / "data")
    yield started
    assert store_process.stop(started) == 0


@pytest.fixture(scope="session")
def query_api(store: Store) -> Api:
    return QueryApi(store)


@pytest.fixture(scope="session")
def json_api(store: Store) -> Api:
    return JsonApi(store)


@pytest.fixture(params=["query", "json"])
def api(request: pytest.FixtureRequest) -> Api:
    """Each case runs over both protocols."""
    chosen: Api = request.getfixturevalue(f"{request.param}_api")
    return chosen


@pytest.fixture
def queue_name() -> str:
    return f"q-{next(_numbers)}"


@pytest.fixture
def make_queue(json_api: Api) -> Iterator[Callable[..., str]]:
    """Makes queues with the attributes given; all are deleted at the end."""
    made: list[str] = []

    def make(**attributes: str) -> str:
        url = str(
            json_api(
                "CreateQueue", QueueName=f"q-{next(_numbers)}", Attributes=attributes
            )["QueueUrl"]
        )
        made.append(url)
        return url

    yield make
    for url in made:
        json_api("DeleteQueue", QueueUrl=url)


@pytest.fixture
def queue(make_queue: Callable[..., str]) -> str:
    return make_queue()


@pytest.fixture(scope="session")
def node() -> pathlib.Path:
    """The Node that runs the JavaScript clients: $HEADRACE_NODE, else the one that npm brought."""
    named = os.environ.get("HEADRACE_NODE")
    if named:
        return pathlib.Path(named)
    if not (CLIENTS / "node_modules" / ".package-lock.json").exists():
        npm = shutil.which("npm")
        assert npm, "npm is missing; ./dev setup installs it"
        subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"], cwd=CLIENTS, check=True, timeout=600
        )
    return CLIENTS / "node_modules" / "node" / "bin" / "node"


@pytest.fixture(scope="session")
def s3(store: Store) -> Any:
    """Debian's boto3, without retries, so that one error is one answer."""
    return s3_api.client(store)


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    """A fresh bucket; it and all its keys and versions go at the end."""
    name = s3_api.new_bucket_name()
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(
                Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"]
            )
    s3.delete_bucket(Bucket=name)
