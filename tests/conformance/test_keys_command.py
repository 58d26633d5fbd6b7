"""`headrace keys`: shows the keys of a store, and makes another (docs/keys.md)."""

from __future__ import annotations

import dataclasses
import pathlib
import stat
import subprocess

import pytest
import store_process
from sqs_api import JsonApi, SqsError


def keys(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(store_process.binary()), "keys", "--path", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A store that has been started once, and stopped."""
    path = tmp_path / "data"
    assert store_process.stop(store_process.start(path)) == 0
    return path


def test_the_first_key_is_shown_without_its_secret(folder: pathlib.Path) -> None:
    shown = keys(folder)
    assert shown.returncode == 0, shown.stderr
    number, account, name, what = shown.stdout.split()
    assert (account, name, what) == ("000000000000", "admin", "everything")
    text = (folder / "keys.toml").read_text()
    assert number in text
    secret = text.rsplit('secret = "', 1)[1].split('"')[0]
    assert secret not in shown.stdout + shown.stderr


def test_a_key_that_was_made_may_do_what_was_said_and_no_more(folder: pathlib.Path) -> None:
    made = keys(folder, "add", "reports", "--queue", "jobs-*", "--queue", "more", "--may", "read,write")
    assert made.returncode == 0, made.stderr
    told = dict(line.split("=", 1) for line in made.stdout.splitlines())
    assert stat.S_IMODE((folder / "keys.toml").stat().st_mode) == 0o600
    line = keys(folder).stdout
    assert (
        f"{told['AWS_ACCESS_KEY_ID']}  000000000000  reports  read,write: queue jobs-*, queue more"
        in line
    )
    store = store_process.start(folder)
    try:
        JsonApi(store)("CreateQueue", QueueName="other")
        queue = JsonApi(store)("CreateQueue", QueueName="jobs-1")["QueueUrl"]
        key_id, secret = told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"]
        reports = JsonApi(dataclasses.replace(store, key_id=key_id, secret=secret))
        reports("SendMessage", QueueUrl=queue, MessageBody="x")
        with pytest.raises(SqsError) as refused:
            reports("SendMessage", QueueUrl=queue.replace("jobs-1", "other"), MessageBody="x")
        assert refused.value.code == "AccessDenied"
    finally:
        assert store_process.stop(store) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["admin"], "a key is called admin already"),
        (["a b"], "is no name"),
        (["x", "--account", "12"], "must be 12 digits"),
        (["x", "--queue", "jobs"], "--may must say"),
        (["x", "--may", "read"], "must name queues or buckets"),
        (["x", "--queue", "a b", "--may", "read"], "is no pattern"),
        (["x", "--queue", 'a"b', "--may", "read"], "no quotes"),
        (["x", "--queue", "a", "--may", "reed"], "reed"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_and_changes_nothing(
    folder: pathlib.Path, arguments: list[str], words: str
) -> None:
    before = (folder / "keys.toml").read_text()
    refused = keys(folder, "add", *arguments)
    assert refused.returncode == 2, refused.stdout
    assert words in refused.stderr
    assert (folder / "keys.toml").read_text() == before


def test_a_folder_without_keys_is_told(tmp_path: pathlib.Path) -> None:
    refused = keys(tmp_path)
    assert refused.returncode == 2
    assert "the store makes it when it starts" in refused.stderr
