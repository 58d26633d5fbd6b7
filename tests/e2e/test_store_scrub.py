"""Damage on the disk: found by the scrub, told, never handed out as if it were whole, and never deleted."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import s3_api
import store_process
from store_process import Store
from up_process import wait_for

PROGRAM = str(store_process.binary())
BODY = bytes(range(256)) * 2_000


@contextlib.contextmanager
def a_store(folder: pathlib.Path, rate: str = "1G") -> Iterator[Store]:
    config = folder / "headrace.toml"
    config.write_text(f'[store]\nscrub_rate = "{rate}"\n')
    started = store_process.start(folder / "data", "--config", str(config))
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(timeout=30)


def headrace(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, "store", *words], capture_output=True, text=True, timeout=60, check=False)


def scrub(store: Store, *words: str) -> Any:
    done = headrace("scrub", "--path", str(store.folder), "--json", *words)
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout)
    assert done.returncode == (1 if told["damaged"] else 0)
    return told


def scrubbed(store: Store) -> Any:
    """A whole pass, begun now."""
    before = scrub(store, "--now")["passes"]
    wait_for("a pass of the scrub", lambda: scrub(store)["passes"] > before)
    return scrub(store)


def metric(store: Store, name: str) -> float:
    text = s3_api.send(store, "GET", "/_headrace/metrics", {}).body.decode()
    return float(next(line for line in text.splitlines() if line.startswith(name + " ")).split()[1])


def blobs(store: Store) -> list[pathlib.Path]:
    return sorted(store.folder.glob("blob/*/*"), key=lambda path: path.stat().st_size)


def flip(path: pathlib.Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_a_flipped_bit_is_found_told_and_not_handed_out(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with a_store(tmp_path) as store:
        s3 = s3_api.client(store)
        s3.create_bucket(Bucket="inbox")
        s3.put_object(Bucket="inbox", Key="a b", Body=BODY)
        s3.put_object(Bucket="inbox", Key="whole", Body=BODY + b"!")
        assert scrubbed(store)["damage"] == []
        flip(blobs(store)[0], 300_000)
        found = scrubbed(store)
        assert [(one["bucket"], one["key"]) for one in found["damage"]] == [("inbox", "a b")]
        assert found["damage"][0]["files"] == [str(blobs(store)[0].relative_to(store.folder))]
        assert metric(store, "headrace_damaged_objects") == 1

        answer = s3_api.call(store, "GET", "/inbox/a%20b")
        assert answer.status == 500 and b"The object is damaged" in answer.body
        assert s3_api.call(store, "GET", "/inbox/a%20b", headers={"range": "bytes=0-9"}).status == 500
        copied = s3_api.call(
            store, "PUT", "/inbox/copy", headers={"x-amz-copy-source": "/inbox/a%20b"}
        )
        assert copied.status == 500
        assert s3.head_object(Bucket="inbox", Key="a b")["ContentLength"] == len(BODY)
        assert s3.get_object(Bucket="inbox", Key="whole")["Body"].read() == BODY + b"!"
        assert len(blobs(store)) == 2

        text = headrace("scrub", "--path", str(store.folder))
        assert text.returncode == 1
        assert "DAMAGED  inbox/a b: its MD5 is not that of what was stored" in text.stdout
    assert 'store.damaged' in capfd.readouterr().err

    # What is known is known after a restart, also to a store that does not scrub.
    with a_store(tmp_path, rate="0") as store:
        assert s3_api.call(store, "GET", "/inbox/a%20b").status == 500
        assert headrace("scrub", "--now", "--path", str(store.folder)).returncode == 4
        s3_api.client(store).put_object(Bucket="inbox", Key="a b", Body=BODY)
        assert s3_api.call(store, "GET", "/inbox/a%20b").body == BODY
    with a_store(tmp_path) as store:
        assert scrubbed(store)["damage"] == []


def test_a_part_that_is_damaged_takes_its_object_with_it(tmp_path: pathlib.Path) -> None:
    with a_store(tmp_path) as store:
        s3 = s3_api.client(store)
        s3.create_bucket(Bucket="inbox")
        upload = s3.create_multipart_upload(Bucket="inbox", Key="k")["UploadId"]
        done = [
            {
                "PartNumber": number,
                "ETag": s3.upload_part(
                    Bucket="inbox", Key="k", UploadId=upload, PartNumber=number, Body=body
                )["ETag"],
            }
            for number, body in ((1, b"x" * (5 << 20)), (2, b"tail"))
        ]
        flip(blobs(store)[0], 2)
        assert [one["key"] for one in scrubbed(store)["damage"]] == ["part 2 of an upload"]
        s3.complete_multipart_upload(
            Bucket="inbox", Key="k", UploadId=upload, MultipartUpload={"Parts": done}
        )
        assert s3_api.call(store, "GET", "/inbox/k").status == 500
        found = scrubbed(store)["damage"]
        assert [(one["bucket"], one["key"], len(one["files"])) for one in found] == [("inbox", "k", 2)]


@pytest.mark.parametrize("what", ["gone", "shorter"])
def test_a_read_that_meets_damage_says_so_at_once(tmp_path: pathlib.Path, what: str) -> None:
    with a_store(tmp_path, rate="0") as store:
        assert s3_api.call(store, "PUT", "/inbox").status == 200
        assert s3_api.call(store, "PUT", "/inbox/k", body=BODY).status == 200
        path = blobs(store)[0]
        if what == "gone":
            path.unlink()
        else:
            with path.open("r+b") as file:
                file.truncate(1_000)
        answer = s3_api.call(store, "GET", "/inbox/k")
        assert answer.status == 500 and b"The object is damaged" in answer.body
        assert [one["key"] for one in scrub(store)["damage"]] == ["k"]


def test_a_damaged_index_answers_an_error_and_is_told(tmp_path: pathlib.Path) -> None:
    with a_store(tmp_path, rate="0") as store:
        assert s3_api.call(store, "PUT", "/inbox").status == 200
        for number in range(50):
            assert s3_api.call(store, "PUT", f"/inbox/k{number:02}", body=BODY[:16_000]).status == 200
        store.process.terminate()
        assert store.process.wait(timeout=30) == 0
    tables = sorted(store.folder.glob("index/*.sst"), key=lambda path: path.stat().st_size)
    for at in range(0, tables[-1].stat().st_size * 9 // 10, 4_000):
        flip(tables[-1], at)
    with a_store(tmp_path) as store:
        assert s3_api.call(store, "GET", "/inbox/k01").status == 500
        wait_for("a pass of the scrub", lambda: scrub(store)["passes"])
        found = scrub(store)["damage"]
        assert "k01" in {one["key"] for one in found} and all(one["files"] == [] for one in found)
        assert all("block checksum mismatch" in one["reason"] for one in found)


def test_what_is_left_can_be_written_out_by_an_operator(tmp_path: pathlib.Path) -> None:
    with a_store(tmp_path) as store:
        s3 = s3_api.client(store)
        s3.create_bucket(Bucket="inbox")
        s3.put_object(Bucket="inbox", Key="k", Body=BODY)
        s3.put_object(Bucket="inbox", Key="small", Body=b"small")
        store.process.terminate()
        assert store.process.wait(timeout=30) == 0
    with a_store(tmp_path) as store:
        where = ["--path", str(store.folder)]
        out = tmp_path / "out"
        done = headrace("salvage", "inbox", "small", str(tmp_path / "small"), *where)
        assert done.returncode == 0 and (tmp_path / "small").read_bytes() == b"small"
        flip(blobs(store)[0], 100)
        done = headrace("salvage", "inbox", "k", str(out), *where)
        assert done.returncode == 1 and "DAMAGED" in done.stderr
        damaged = bytearray(BODY)
        damaged[100] ^= 1
        assert out.read_bytes() == damaged
        assert headrace("salvage", "inbox", "k", str(out), *where).returncode == 2
        assert out.read_bytes() == damaged
        with blobs(store)[0].open("r+b") as file:
            file.truncate(1_000)
        done = headrace("salvage", "inbox", "k", str(tmp_path / "cut"), *where)
        assert done.returncode == 1 and "cannot be read; zeros stand for them" in done.stderr
        assert (tmp_path / "cut").read_bytes() == bytes(damaged[:1_000]) + bytes(len(BODY) - 1_000)
        for bucket, key in (("inbox", "none"), ("none", "k")):
            assert headrace("salvage", bucket, key, str(tmp_path / "none"), *where).returncode == 2
        assert not (tmp_path / "none").exists()


def test_the_scrub_is_told_to_operators_only(tmp_path: pathlib.Path) -> None:
    with a_store(tmp_path) as store:
        assert s3_api.send(store, "GET", "/_headrace/scrub", {}).status == 403
        assert s3_api.send(store, "POST", "/_headrace/scrub", {}).status == 403
