"""`headrace store check` and `headrace store dump`: on whole folders that a store left, and damaged ones."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

import pytest
from store_client import Client, StoreProcess, binary


def headrace(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Messages, objects in the log and in files, an upload going on; stopped."""
    store = StoreProcess(tmp_path / "data")
    store.start()
    client = Client(store)
    url = client.queue("jobs")
    for i in range(30):
        client.sqs("SendMessage", QueueUrl=url, MessageBody=f"secret-{i}")
    got = client.sqs("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(got)]
    client.sqs("DeleteMessageBatch", QueueUrl=url, Entries=entries)
    client.request("s3", "PUT", "/inbox")
    for size in (0, 10, 16_384, 16_385, 200_000):
        client.put("inbox", f"key-{size}", b"x" * size)
    client.request("s3", "POST", "/inbox/parts?uploads=")
    assert store.stop() == 0
    return tmp_path / "data"


def check(folder: pathlib.Path, *more: str) -> tuple[int, dict[str, object]]:
    done = headrace("store", "check", "--path", folder, "--json", *more)
    return done.returncode, json.loads(done.stdout)


def one_blob(folder: pathlib.Path) -> pathlib.Path:
    return sorted((folder / "blob").glob("*/*"), key=lambda path: path.stat().st_size)[-1]


def test_a_whole_store_is_counted(folder: pathlib.Path) -> None:
    code, report = check(folder, "--bodies")
    assert code == 0
    assert report["damage"] == []
    assert (report["queues"], report["messages"], report["buckets"]) == (1, 20, 1)
    assert (report["objects"], report["uploads"], report["bodies"]) == (5, 1, 2)
    text = headrace("store", "check", "--path", folder)
    assert text.returncode == 0
    assert text.stdout.endswith("all is well\n")


def test_checking_changes_nothing(folder: pathlib.Path) -> None:
    def contents() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    before = contents()
    assert check(folder)[0] == 0
    assert headrace("store", "dump", "--path", folder).returncode == 0
    after = contents()
    # RocksDB begins a new journal of its own (LOG) wherever it opens.
    assert {p for p in before if "/index/LOG" not in p} == {p for p in after if "/index/LOG" not in p}
    assert all(after[p] == before[p] for p in before if "/index/LOG" not in p)


def test_damage_in_the_log_is_named(folder: pathlib.Path) -> None:
    segment = sorted((folder / "log").glob("*.log"))[0]
    with segment.open("r+b") as file:
        file.seek(2_000)
        file.write(b"\xff" * 64)
    code, report = check(folder)
    assert code == 1
    assert any(segment.name in str(what) for what in list(report["damage"]))  # type: ignore[call-overload]
    text = headrace("store", "check", "--path", folder)
    assert text.returncode == 1
    assert "DAMAGED" in text.stdout


def versioned(client: Client) -> None:
    """Versions large and small, one before versioning, one replaced, one removed, tags, a delete marker."""
    client.request("s3", "PUT", "/versions")
    client.put("versions", "k", b"before")
    for status in ("Enabled", "Suspended"):
        client.request(
            "s3",
            "PUT",
            "/versions?versioning=",
            f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>".encode(),
        )
        for size in (5, 16_385, 300_000):
            client.put("versions", "k", status[0].encode() * size)
        client.request("s3", "DELETE", "/versions/k")
    page = client.request("s3", "GET", "/versions?versions=").decode()
    removed = re.findall(r"<VersionId>(v\w+)</VersionId>", page)[-1]
    client.request("s3", "DELETE", f"/versions/k?versionId={removed}")


def test_versions_are_looked_at_in_the_log_and_in_the_index(tmp_path: pathlib.Path) -> None:
    store = StoreProcess(tmp_path / "data")
    store.start()
    versioned(Client(store))
    store.kill()
    code, in_log = check(store.folder, "--bodies")
    assert (code, in_log["damage"], in_log["index_position"]) == (0, [], 0)
    store.start()
    assert store.stop() == 0
    code, in_index = check(store.folder, "--bodies")
    assert (code, in_index["damage"]) == (0, [])
    assert (in_index["objects"], in_index["bodies"]) == (in_log["objects"], in_log["bodies"]) == (2, 2)
    one_blob(store.folder).unlink()
    damage = str(check(store.folder)[1]["damage"])
    assert re.search(r'is missing: the body of version v\w{31} of object "k"', damage), damage


def test_a_missing_body_is_named_with_its_object(folder: pathlib.Path) -> None:
    blob = one_blob(folder)
    blob.unlink()
    code, report = check(folder)
    assert code == 1
    assert report["damage"] == [
        f'blob/{blob.parent.name}/{blob.name} is missing: the body of object "key-200000"'
    ]


def test_a_changed_body_is_found_when_bodies_are_read(folder: pathlib.Path) -> None:
    blob = one_blob(folder)
    content = bytearray(blob.read_bytes())
    content[100] ^= 1
    blob.write_bytes(content)
    assert check(folder)[0] == 0
    code, report = check(folder, "--bodies")
    assert code == 1
    assert blob.name in str(report["damage"])


def test_a_dump_has_a_line_for_each_record_and_no_body(folder: pathlib.Path) -> None:
    done = headrace("store", "dump", "--path", folder)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    names = [line.split()[2] for line in lines]
    assert names.count("MessageSent") == 30
    assert names.count("ObjectPut") == 5
    assert "QueueCreated" in names and "MessagesErased" in names and "UploadSet" in names
    assert "secret" not in done.stdout
    groups = [int(line.split()[0]) for line in lines]
    assert groups == sorted(groups)


def test_a_running_store_is_not_checked(folder: pathlib.Path) -> None:
    store = StoreProcess(folder)
    store.start()
    done = headrace("store", "check", "--path", folder)
    assert done.returncode == 4
    assert str(folder) in done.stderr
    assert store.stop() == 0


def test_a_folder_without_a_store_is_told(tmp_path: pathlib.Path) -> None:
    done = headrace("store", "check", "--path", tmp_path)
    assert done.returncode == 2
    assert "there is no store in this folder" in done.stderr
