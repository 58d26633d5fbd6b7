"""Clients that people have, unmodified, do their work directly and through a host's nginx: every upload is
read back byte for byte."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nginx_front
import pytest
from aws_cli import aws, needs_aws_cli
from s3_api import new_bucket_name, pattern
from store_process import REGION, Store

CLIENTS = pathlib.Path(__file__).resolve().parents[1] / "clients"
MOUNTED_WITHIN_S = 30.0
FILES = {
    "empty": 0,
    "one": 1,
    "sub/inline": 16 << 10,
    "sub/file": (16 << 10) + 1,
    "sub/ü b+c": 300_000,
    "sub/deeper/many parts": (20 << 20) + 17,
}


@dataclass(frozen=True)
class Way:
    """How a client reaches the store."""

    endpoint: str
    certificate: pathlib.Path | None

    @property
    def host(self) -> str:
        return self.endpoint.split("//")[1]


@pytest.fixture(scope="module", params=["direct", "nginx"])
def way(
    request: pytest.FixtureRequest,
    store: Store,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Way]:
    if request.param == "direct":
        yield Way(store.endpoint, None)
        return
    with nginx_front.running(store, tmp_path_factory.mktemp("nginx")) as front:
        yield Way(front.endpoint, front.certificate)


@pytest.fixture
def there(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder of files to be stored."""
    folder = tmp_path / "there"
    for name, size in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pattern(size))
    return folder


def run(
    command: list[str], environment: dict[str, str], cwd: pathlib.Path | None = None
) -> str:
    done = subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def same(folder: pathlib.Path) -> None:
    found = {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    }
    assert found == set(FILES)
    for name, size in FILES.items():
        assert (folder / name).read_bytes() == pattern(size), name


def stored(s3: Any, bucket: str, prefix: str = "") -> None:
    """The same, as boto3 sees it directly."""
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert {entry["Key"] for entry in listed if not entry["Key"].endswith("/")} == {
        prefix + n for n in FILES
    }
    for name, size in FILES.items():
        assert s3.get_object(Bucket=bucket, Key=prefix + name)[
            "Body"
        ].read() == pattern(size), name


def clear(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=entry["Key"])
    s3.delete_bucket(Bucket=bucket)


def test_rclone(
    store: Store, s3: Any, way: Way, there: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """rclone: mkdir, copy with uploads in parts, check --download, moveto, sync back, purge."""
    environment = store.environment() | {
        "RCLONE_CONFIG": str(tmp_path / "none"),
        "RCLONE_CONFIG_HR_TYPE": "s3",
        "RCLONE_CONFIG_HR_PROVIDER": "Other",
        "RCLONE_CONFIG_HR_ACCESS_KEY_ID": store.key_id,
        "RCLONE_CONFIG_HR_SECRET_ACCESS_KEY": store.secret,
        "RCLONE_CONFIG_HR_ENDPOINT": way.endpoint,
        "RCLONE_CONFIG_HR_REGION": REGION,
        "RCLONE_S3_UPLOAD_CUTOFF": "5M",
        "RCLONE_S3_CHUNK_SIZE": "5M",
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
    }
    if way.certificate:
        environment["RCLONE_CA_CERT"] = str(way.certificate)
    bucket = new_bucket_name()
    far = f"hr:{bucket}/x"
    run(["rclone", "mkdir", f"hr:{bucket}"], environment)
    run(["rclone", "copy", str(there), far], environment)
    stored(s3, bucket, "x/")
    run(["rclone", "check", "--download", str(there), far], environment)
    run(["rclone", "moveto", f"{far}/one", f"{far}/moved"], environment)
    run(["rclone", "moveto", f"{far}/moved", f"{far}/one"], environment)
    run(["rclone", "sync", far, str(tmp_path / "back")], environment)
    same(tmp_path / "back")
    assert run(["rclone", "size", far], environment)
    run(["rclone", "purge", far], environment)
    run(["rclone", "rmdir", f"hr:{bucket}"], environment)


def test_restic(
    store: Store, s3: Any, way: Way, there: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """restic: init, two backups, check --read-data, restore, forget --prune."""
    bucket = new_bucket_name()
    s3.create_bucket(Bucket=bucket)
    environment = store.environment() | {
        "RESTIC_PASSWORD": "p",
        "RESTIC_REPOSITORY": f"s3:{way.endpoint}/{bucket}/repository",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }
    restic = [
        "restic",
        *(["--cacert", str(way.certificate)] if way.certificate else []),
    ]
    run([*restic, "init"], environment)
    run([*restic, "backup", "."], environment, cwd=there)
    (there / "more").write_bytes(b"more")
    run([*restic, "backup", "."], environment, cwd=there)
    (there / "more").unlink()
    run([*restic, "backup", "."], environment, cwd=there)
    run([*restic, "check", "--read-data"], environment)
    run([*restic, "restore", "latest", "--target", str(tmp_path / "back")], environment)
    same(tmp_path / "back")
    run([*restic, "forget", "--keep-last", "1", "--prune"], environment)
    run([*restic, "check"], environment)
    clear(s3, bucket)


def test_s3cmd(
    store: Store, s3: Any, way: Way, there: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """s3cmd: mb, sync, info, cp, get, del, rb; files of 15 MB and more go in parts."""
    config = tmp_path / "s3cfg"
    config.write_text(
        f"""[default]
access_key = {store.key_id}
secret_key = {store.secret}
host_base = {way.host}
host_bucket = {way.host}
bucket_location = {REGION}
use_https = {way.certificate is not None}
ca_certs_file = {way.certificate or ""}
"""
    )
    s3cmd = ["s3cmd", "--no-progress", "-c", str(config)]
    environment = store.environment()
    bucket = new_bucket_name()
    run([*s3cmd, "mb", f"s3://{bucket}"], environment)
    run([*s3cmd, "sync", f"{there}/", f"s3://{bucket}/x/"], environment)
    stored(s3, bucket, "x/")
    assert "FULL_CONTROL" in run([*s3cmd, "info", f"s3://{bucket}/x/one"], environment)
    assert "Location" in run([*s3cmd, "info", f"s3://{bucket}"], environment)
    run([*s3cmd, "cp", f"s3://{bucket}/x/sub/file", f"s3://{bucket}/copy"], environment)
    run([*s3cmd, "get", f"s3://{bucket}/copy", str(tmp_path / "copy")], environment)
    assert (tmp_path / "copy").read_bytes() == pattern((16 << 10) + 1)
    back = tmp_path / "back"
    back.mkdir()
    run([*s3cmd, "sync", f"s3://{bucket}/x/", f"{back}/"], environment)
    same(back)
    run([*s3cmd, "del", "--recursive", "--force", f"s3://{bucket}"], environment)
    run([*s3cmd, "rb", f"s3://{bucket}"], environment)


@contextlib.contextmanager
def mounted(
    store: Store, way: Way, bucket: str, tmp_path: pathlib.Path
) -> Iterator[pathlib.Path]:
    secret = tmp_path / "passwd"
    secret.write_text(f"{store.key_id}:{store.secret}\n")
    secret.chmod(0o600)
    point = tmp_path / "mount"
    point.mkdir()
    options = [
        *(
            "-o",
            f"passwd_file={secret}",
            "-o",
            f"url={way.endpoint}",
            "-o",
            f"endpoint={REGION}",
        ),
        *("-o", "use_path_request_style", "-o", "multipart_size=10", "-o", "retries=3"),
    ]
    environment = store.environment()
    if way.certificate:
        environment["CURL_CA_BUNDLE"] = str(
            way.certificate
        )  # looked at after a first refusal
    with open(tmp_path / "s3fs.log", "wb") as log:
        command = ["s3fs", bucket, str(point), "-f", *options]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + MOUNTED_WITHIN_S
            while not os.path.ismount(point):
                assert process.poll() is None, (tmp_path / "s3fs.log").read_text()
                assert time.monotonic() < deadline, "s3fs does not mount"
                time.sleep(0.05)
            yield point
        finally:
            subprocess.run(
                ["fusermount", "-u", "-z", str(point)], check=False, timeout=60
            )
            process.wait(60)


def test_s3fs(
    store: Store, s3: Any, way: Way, there: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """s3fs: a mounted bucket takes files, renames them (a copy of parts), and gives them back after it was
    mounted again."""
    bucket = new_bucket_name()
    s3.create_bucket(Bucket=bucket)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with mounted(store, way, bucket, first) as point:
        for name in FILES:
            (point / name).parent.mkdir(parents=True, exist_ok=True)
            (point / name).write_bytes((there / name).read_bytes())
        same(point)
        (point / "sub/deeper/many parts").rename(point / "renamed")
        assert not (point / "sub/deeper/many parts").exists()
        (point / "renamed").rename(point / "sub/deeper/many parts")
        with open(point / "one", "ab") as appended:
            appended.write(b"more")
        assert (point / "one").read_bytes() == pattern(1) + b"more"
        (point / "one").write_bytes(pattern(1))
    stored(s3, bucket)
    with mounted(store, way, bucket, second) as point:
        same(point)
        for name in FILES:
            (point / name).unlink()
    clear(s3, bucket)


@pytest.mark.parametrize("script", ["minio.mjs", "s3.mjs"])
def test_javascript(store: Store, way: Way, node: pathlib.Path, script: str) -> None:
    """minio and @aws-sdk/client-s3 of npm: each does its own list of things and reads back what it wrote."""
    environment = store.environment() | {"AWS_ENDPOINT_URL": way.endpoint}
    if way.certificate:
        environment["NODE_EXTRA_CA_CERTS"] = str(way.certificate)
    run([str(node), str(CLIENTS / script)], environment)


@needs_aws_cli
class TestAwsCli:
    def aws(self, store: Store, way: Way, *arguments: str) -> str:
        return aws(store, *arguments, endpoint=way.endpoint, certificate=way.certificate)

    def test_s3_carries_folders_there_and_back(self, store: Store, way: Way, tmp_path: pathlib.Path) -> None:
        """AWS CLI Command Reference, s3: mb, cp, sync, ls, mv to a file, presign, rm, rb. Files of 8 MiB and
        more go as multipart uploads and come back in ranges.
        """
        bucket = new_bucket_name()
        there, back = tmp_path / "there", tmp_path / "back"
        files = {
            "empty": 0,
            "one": 1,
            "sub/inline": 16 << 10,
            "sub/file": (16 << 10) + 1,
            "sub/ü b+c": 7 << 20,
            "sub/at the threshold": 8 << 20,
            "sub/many parts": (30 << 20) + 17,
        }
        for name, size in files.items():
            path = there / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pattern(size))
        self.aws(store, way, "s3", "mb", f"s3://{bucket}")
        self.aws(store, way, "s3", "sync", str(there), f"s3://{bucket}/x")
        listed = self.aws(store, way, "s3", "ls", "--recursive", f"s3://{bucket}")
        assert sorted(line.split(maxsplit=3)[3] for line in listed.splitlines()) == sorted(
            f"x/{n}" for n in files
        )
        assert "PRE x/" in self.aws(store, way, "s3", "ls", f"s3://{bucket}")
        self.aws(store, way, "s3", "cp", "--recursive", f"s3://{bucket}/x", str(back))
        for name, size in files.items():
            assert (back / name).read_bytes() == pattern(size)
        url = self.aws(store, way, "s3", "presign", f"s3://{bucket}/x/sub/file").strip()
        trusted = ssl.create_default_context(cafile=way.certificate) if way.certificate else None
        with urllib.request.urlopen(url, timeout=20, context=trusted) as answer:
            assert answer.read() == pattern((16 << 10) + 1)
        self.aws(store, way, "s3", "mv", f"s3://{bucket}/x/one", str(tmp_path / "moved"))
        assert (tmp_path / "moved").read_bytes() == pattern(1)
        self.aws(store, way, "s3", "rm", "--recursive", f"s3://{bucket}")
        self.aws(store, way, "s3", "rb", f"s3://{bucket}")

    def test_s3api(self, store: Store, way: Way, tmp_path: pathlib.Path) -> None:
        """AWS CLI Command Reference, s3api."""
        bucket = new_bucket_name()
        body = tmp_path / "body"
        body.write_bytes(pattern(30_000))
        self.aws(store, way, "s3api", "create-bucket", "--bucket", bucket)
        self.aws(
            store,
            way,
            *("s3api", "put-object", "--bucket", bucket, "--key", "k", "--body", str(body)),
            *("--checksum-algorithm", "SHA256", "--metadata", "a=b"),
        )
        head = json.loads(self.aws(store, way, "s3api", "head-object", "--bucket", bucket, "--key", "k"))
        assert (head["ContentLength"], head["Metadata"]) == (30_000, {"a": "b"})
        part = tmp_path / "part"
        self.aws(
            store,
            way,
            "s3api",
            "get-object",
            "--bucket",
            bucket,
            "--key",
            "k",
            "--range",
            "bytes=10-19",
            str(part),
        )
        assert part.read_bytes() == pattern(30_000)[10:20]
        versions = json.loads(self.aws(store, way, "s3api", "list-object-versions", "--bucket", bucket))[
            "Versions"
        ]
        assert [version["VersionId"] for version in versions] == ["null"]
        self.aws(
            store,
            way, "s3api", "delete-objects", "--bucket", bucket, "--delete", "Objects=[{Key=k},{Key=none}]"
        )
        self.aws(store, way, "s3api", "delete-bucket", "--bucket", bucket)
