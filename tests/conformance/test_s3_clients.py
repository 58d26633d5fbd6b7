"""Whole programs against the store, unmodified: the AWS CLI and the newest JavaScript SDK."""

from __future__ import annotations

import json
import pathlib
import subprocess
import urllib.request

import pytest
from conftest import CLIENTS
from s3_api import new_bucket_name, pattern
from store_process import Store

CLI = pathlib.Path("/usr/bin/aws")


@pytest.mark.skipif(not CLI.exists(), reason="Debian's awscli is not installed")
class TestAwsCli:
    def aws(self, store: Store, *arguments: str) -> str:
        done = subprocess.run(
            ["/usr/bin/python3", CLI, *arguments, "--endpoint-url", store.endpoint],
            env=store.environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def test_s3_carries_folders_there_and_back(self, store: Store, tmp_path: pathlib.Path) -> None:
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
        self.aws(store, "s3", "mb", f"s3://{bucket}")
        self.aws(store, "s3", "sync", str(there), f"s3://{bucket}/x")
        listed = self.aws(store, "s3", "ls", "--recursive", f"s3://{bucket}")
        assert sorted(line.split(maxsplit=3)[3] for line in listed.splitlines()) == sorted(
            f"x/{n}" for n in files
        )
        assert "PRE x/" in self.aws(store, "s3", "ls", f"s3://{bucket}")
        self.aws(store, "s3", "cp", "--recursive", f"s3://{bucket}/x", str(back))
        for name, size in files.items():
            assert (back / name).read_bytes() == pattern(size)
        url = self.aws(store, "s3", "presign", f"s3://{bucket}/x/sub/file").strip()
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.read() == pattern((16 << 10) + 1)
        self.aws(store, "s3", "mv", f"s3://{bucket}/x/one", str(tmp_path / "moved"))
        assert (tmp_path / "moved").read_bytes() == pattern(1)
        self.aws(store, "s3", "rm", "--recursive", f"s3://{bucket}")
        self.aws(store, "s3", "rb", f"s3://{bucket}")

    def test_s3api(self, store: Store, tmp_path: pathlib.Path) -> None:
        """AWS CLI Command Reference, s3api."""
        bucket = new_bucket_name()
        body = tmp_path / "body"
        body.write_bytes(pattern(30_000))
        self.aws(store, "s3api", "create-bucket", "--bucket", bucket)
        self.aws(
            store,
            *("s3api", "put-object", "--bucket", bucket, "--key", "k", "--body", str(body)),
            *("--checksum-algorithm", "SHA256", "--metadata", "a=b"),
        )
        head = json.loads(self.aws(store, "s3api", "head-object", "--bucket", bucket, "--key", "k"))
        assert (head["ContentLength"], head["Metadata"]) == (30_000, {"a": "b"})
        part = tmp_path / "part"
        self.aws(
            store,
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
        versions = json.loads(self.aws(store, "s3api", "list-object-versions", "--bucket", bucket))[
            "Versions"
        ]
        assert [version["VersionId"] for version in versions] == ["null"]
        self.aws(
            store, "s3api", "delete-objects", "--bucket", bucket, "--delete", "Objects=[{Key=k},{Key=none}]"
        )
        self.aws(store, "s3api", "delete-bucket", "--bucket", bucket)


class TestJavaScriptSdk:
    def test_every_operation_of_this_version(self, store: Store, node: pathlib.Path) -> None:
        """AWS SDK for JavaScript v3, @aws-sdk/client-s3: CRC32 by default, streams as unsigned trailer
        bodies.
        """
        done = subprocess.run(
            [node, CLIENTS / "s3.mjs"],
            env=store.environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["failed"] == []
