"""`headrace store backup` of running and stopped stores, and `restore`: with clients at work, with kills in
the middle, and with everything that must be refused."""

from __future__ import annotations

import json
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import boto3
import botocore.config
import pytest
from headrace_subject import CONFIGURATION, Hand, HeadraceSubject, checkpoints, prepare
from store_client import Client, StoreProcess, binary


def headrace(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary(), "store", *arguments], capture_output=True, text=True, timeout=300)


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[StoreProcess]:
    config = tmp_path / "headrace.toml"
    config.write_text(CONFIGURATION)
    (tmp_path / "of").mkdir()
    process = StoreProcess(tmp_path / "of" / "data", "--config", str(config))
    process.start()
    yield process
    if process.process is not None and process.process.poll() is None:
        process.stop()


def boto(store: StoreProcess, service: str):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{store.port}",
        region_name="us-east-1",
        aws_access_key_id=store.credentials.access_key,
        aws_secret_access_key=store.credentials.secret_key,
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )


def fill(store: StoreProcess) -> None:
    url = Client(store).queue("jobs")
    sqs = boto(store, "sqs")
    for i in range(20):
        sqs.send_message(QueueUrl=url, MessageBody=f"m{i}")
    client = Client(store)
    client.request("s3", "PUT", "/inbox")
    for size in (0, 10, 16_384, 16_385, 300_000):
        client.request("s3", "PUT", f"/inbox/key-{size}", b"x" * size, {"x-amz-meta-size": str(size)})


def expect_filled(folder: pathlib.Path) -> None:
    store = StoreProcess(folder)
    store.start()
    sqs, s3 = boto(store, "sqs"), boto(store, "s3")
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    assert sorted(m["Body"] for m in Client(store).drain(url)) == sorted(f"m{i}" for i in range(20))
    for size in (0, 10, 16_384, 16_385, 300_000):
        got = s3.get_object(Bucket="inbox", Key=f"key-{size}")
        assert got["Body"].read() == b"x" * size
        assert got["Metadata"] == {"size": str(size)}
    assert store.stop() == 0


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_store_comes_back_from_its_backup(
    store: StoreProcess, tmp_path: pathlib.Path, running: bool
) -> None:
    fill(store)
    if not running:
        assert store.stop() == 0
    made = headrace("backup", "--path", store.folder, tmp_path / "copy")
    assert made.returncode == 0, made.stderr
    assert "20 messages in 1 queues, 5 objects in 1 buckets" in made.stdout
    summary = json.loads((tmp_path / "copy" / "backup.json").read_text())
    assert (summary["format"], summary["messages"], summary["objects"]) == (1, 20, 5)
    assert not (store.folder / "snapshot").exists()
    back = headrace("restore", "--path", tmp_path / "back", tmp_path / "copy")
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "back" / "keys.toml").stat().st_mode & 0o777 == 0o600
    expect_filled(tmp_path / "back")
    again = headrace("restore", "--path", tmp_path / "again", tmp_path / "copy")
    assert again.returncode == 0, "a store that ran on what was restored has changed the backup"


def test_a_backup_holds_what_was_answered_before_it_and_nothing_half(
    store: StoreProcess, tmp_path: pathlib.Path
) -> None:
    """While clients send, take, put and remove, and the keeper writes checkpoints and cuts the log."""
    notes: list[str] = []
    urls = prepare(Client(store))
    notes.append(f"ready! {store.credentials.access_key}")
    stop = threading.Event()
    hands = [Hand(f"t{i}", store, urls, notes.append, stop) for i in range(4)]
    threads = [threading.Thread(target=hand.run) for hand in hands]
    for thread in threads:
        thread.start()
    backups: list[tuple[pathlib.Path, list[str]]] = []
    try:
        while len(backups) < 3 or checkpoints(store) < 2:
            before = len(notes)
            copy = tmp_path / f"copy-{len(backups)}"
            made = headrace("backup", "--path", store.folder, copy)
            assert made.returncode == 0, made.stderr
            during = [note for note in notes[before:] if "?" in note.split(" ", 1)[0]]
            backups.append((copy, notes[:before] + during))
            assert all(thread.is_alive() for thread in threads), "too little load to mean anything"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert store.stop() == 0
    for copy, known in backups[-3:]:
        folder = tmp_path / f"{copy.name}-back"
        back = headrace("restore", "--path", folder / "data", copy)
        assert back.returncode == 0, back.stderr
        verdict = HeadraceSubject().judge(folder, known)
        assert verdict.is_well, str(verdict)


def test_a_killed_backup_is_none_and_the_next_one_works(store: StoreProcess, tmp_path: pathlib.Path) -> None:
    fill(store)
    for i in range(200):
        Client(store).put("inbox", f"more-{i}", b"y" * 100_000)
    killed = subprocess.Popen([binary(), "store", "backup", "--path", store.folder, tmp_path / "copy"])
    while not (tmp_path / "copy" / "store").exists() and killed.poll() is None:
        pass
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    if (tmp_path / "copy" / "backup.json").exists():
        pytest.skip("it was done before it could be killed")
    back = headrace("restore", "--path", tmp_path / "back", tmp_path / "copy")
    assert back.returncode == 2
    assert "not a finished backup" in back.stderr
    assert not (tmp_path / "back").exists()
    end = time.monotonic() + 60
    while (made := headrace("backup", "--path", store.folder, tmp_path / "next")).returncode != 0:
        assert (
            "another backup" in made.stderr
        ), made.stderr  # for as long as the store waits for the killed one
        assert time.monotonic() < end
    assert headrace("restore", "--path", tmp_path / "back", tmp_path / "next").returncode == 0


def test_a_store_killed_during_a_backup_starts_without_its_snapshot(
    store: StoreProcess, tmp_path: pathlib.Path
) -> None:
    fill(store)
    request = b"POST /_headrace/snapshots HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(store.folder / "store.sock"))
        control.sendall(request)
        assert control.recv(100).startswith(b"HTTP/1.1 200")
    assert (store.folder / "snapshot" / "index").is_dir()
    store.kill()
    store.start()
    assert not (store.folder / "snapshot").exists()
    assert store.stop() == 0
    expect_filled(store.folder)


def test_a_snapshot_is_for_the_stores_own_user_on_its_socket(store: StoreProcess) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{store.port}/_headrace/snapshots", data=b"", method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 403


def test_neither_overwrites_anything(store: StoreProcess, tmp_path: pathlib.Path) -> None:
    fill(store)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_text("mine")
    made = headrace("backup", "--path", store.folder, tmp_path / "copy")
    assert (made.returncode, "not empty" in made.stderr) == (2, True)
    inside = headrace("backup", "--path", store.folder, store.folder / "copy")
    assert (inside.returncode, "inside" in inside.stderr) == (2, True)
    assert headrace("backup", "--path", tmp_path / "nothing", tmp_path / "c").returncode == 2
    assert headrace("backup", "--path", store.folder, tmp_path / "good").returncode == 0
    over = headrace("restore", "--path", store.folder, tmp_path / "good")
    assert (over.returncode, "not empty" in over.stderr) == (2, True)
    assert list((tmp_path / "copy").iterdir()) == [tmp_path / "copy" / "mine"]


@pytest.mark.parametrize("part", ["blob", "log", "index"])
def test_a_damaged_backup_is_not_restored(store: StoreProcess, tmp_path: pathlib.Path, part: str) -> None:
    fill(store)
    assert headrace("backup", "--path", store.folder, tmp_path / "copy").returncode == 0
    named = {"blob": "*-*", "log": "*.log", "index": "*.sst"}[part]
    damaged = next((tmp_path / "copy" / "store" / part).rglob(named))
    data = bytearray(damaged.read_bytes())
    data[1200 if part == "log" else 10] ^= 1  # of the log: in a record
    damaged.unlink()  # it may be a link to the store's own
    damaged.write_bytes(data)
    back = headrace("restore", "--path", tmp_path / "back", tmp_path / "copy")
    assert back.returncode == 1, back.stdout
    assert "damaged" in back.stderr or "orrupt" in back.stderr
    assert not (tmp_path / "back").exists()
