"""Keys that may do little: what they may not is refused whatever way it is asked for (docs/keys.md)."""

from __future__ import annotations

import base64
import json
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
import s3_api
import store_process
from s3_api import Signer, call, md5_base64, send
from store_process import Store

BOUNDARY = "----a-boundary"


def narrow(folder: pathlib.Path, *rules: str) -> tuple[str, str]:
    command = [str(store_process.binary()), "keys", "--path", str(folder), "add", *rules]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    told = dict(line.split("=", 1) for line in made.stdout.splitlines())
    return told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Signer, Signer]]:
    """A store with the buckets `mine` and `theirs`; a key that writes to `mine`, one that reads it."""
    folder = tmp_path_factory.mktemp("narrow") / "data"
    assert store_process.stop(store_process.start(folder)) == 0
    writer = narrow(folder, "writer", "--bucket", "mine", "--may", "read,write")
    reader = narrow(folder, "reader", "--bucket", "mine", "--may", "read")
    store = store_process.start(folder)
    for bucket in ("mine", "theirs"):
        assert call(store, "PUT", f"/{bucket}").status == 200
        assert call(store, "PUT", f"/{bucket}/k", body=b"secret").status == 200
    yield (
        store,
        Signer(store, key_id=writer[0], secret=writer[1]),
        Signer(store, key_id=reader[0], secret=reader[1]),
    )
    assert store_process.stop(store) == 0


@pytest.mark.parametrize(
    "source", ["/theirs/k", "theirs/k", "/theirs/k?versionId=null", "/theirs/../mine/k", "/theirs//k"]
)
def test_nothing_is_copied_from_a_bucket_that_the_key_may_not_read(
    place: tuple[Store, Signer, Signer], source: str
) -> None:
    """RustFS GHSA-mx42-j6wv-px98, GHSA-wfxj-ph3v-7mjf."""
    store, writer, _ = place
    begun = call(store, "POST", "/mine/parts", "uploads=", signer=writer)
    upload = begun.field("UploadId")
    copied = call(store, "PUT", "/mine/copy", headers={"x-amz-copy-source": source}, signer=writer)
    part = call(
        store,
        "PUT",
        "/mine/parts",
        f"partNumber=1&uploadId={upload}",
        headers={"x-amz-copy-source": source},
        signer=writer,
    )
    assert [(one.status, one.code) for one in (copied, part)] == [(403, "AccessDenied")] * 2
    assert call(store, "GET", "/mine/copy").status == 404


@pytest.mark.parametrize("source", ["/mine/../theirs/k", "/mine/%2e%2e/theirs/k", "/mine/..%2Ftheirs%2Fk"])
def test_a_source_with_dots_is_a_key_and_leads_nowhere(
    place: tuple[Store, Signer, Signer], source: str
) -> None:
    store, writer, _ = place
    answer = call(store, "PUT", "/mine/copy", headers={"x-amz-copy-source": source}, signer=writer)
    assert (answer.status, answer.code) == (404, "NoSuchKey")


def test_a_source_with_a_nul_is_no_key(place: tuple[Store, Signer, Signer]) -> None:
    store, writer, _ = place
    answer = call(store, "PUT", "/mine/copy", headers={"x-amz-copy-source": "/mine/k%00"}, signer=writer)
    assert (answer.status, answer.code) == (400, "InvalidURI")


def test_a_key_that_reads_writes_in_no_way(place: tuple[Store, Signer, Signer]) -> None:
    """RustFS GHSA-w5fh-f8xh-5x3p: the form was the way round."""
    store, _, reader = place
    assert call(store, "GET", "/mine/k", signer=reader).body == b"secret"
    batch = b"<Delete><Object><Key>k</Key></Object></Delete>"
    answers = [
        call(store, "PUT", "/mine/k", body=b"x", signer=reader),
        call(store, "DELETE", "/mine/k", signer=reader),
        call(store, "POST", "/mine", "delete=", batch, {"Content-MD5": md5_base64(batch)}, signer=reader),
        call(store, "POST", "/mine/k", "uploads=", signer=reader),
        call(store, "PUT", "/mine/copy", headers={"x-amz-copy-source": "/mine/k"}, signer=reader),
        call(store, "PUT", "/mine/k", "tagging=", b"<Tagging><TagSet/></Tagging>", signer=reader),
        post(store, reader),
    ]
    assert [(one.status, one.code) for one in answers] == [(403, "AccessDenied")] * len(answers)
    assert call(store, "GET", "/mine/k").body == b"secret"


def post(store: Store, signer: Signer) -> s3_api.Answer:
    fields = {
        "key": "k",
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{signer.key_id}/{signer.scope}",
        "x-amz-date": signer.date,
    }
    conditions = [{name: value} for name, value in fields.items()]
    policy = {"expiration": "2100-01-01T00:00:00Z", "conditions": conditions}
    fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
    fields["x-amz-signature"] = signer.sign_text(fields["policy"])
    lines = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (fields | {"file": "x"}).items()
    ]
    headers = {"Host": s3_api.host(store), "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return send(store, "POST", "/mine", headers, ("".join(lines) + f"--{BOUNDARY}--\r\n").encode())
