"""`headrace store` as its operator meets it: what it logs, refuses and says at its start, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import s3_api
import store_process
from sqs_api import JsonApi, SqsError
from store_process import Store
from up_process import wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PROGRAM = str(store_process.binary())
MIB = 1 << 20


@contextlib.contextmanager
def a_store(folder: pathlib.Path, *more: str, config: str = "") -> Iterator[Store]:
    if config:
        file = folder / "headrace.toml"
        file.write_text(config)
        more = (*more, "--config", str(file))
    started = store_process.start(folder / "data", *more)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(timeout=30)


def refused(folder: pathlib.Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Of a store that ends by itself."""
    command = [PROGRAM, "store", "--path", str(folder / "data"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


# ---- what it says


def test_requests_are_logged_when_asked_for_and_tell_no_secret(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with a_store(tmp_path, "--verbose") as store:
        JsonApi(store)("CreateQueue", QueueName="told")
        signer = s3_api.Signer(store)
        assert s3_api.call(store, "PUT", "/told").status == 200
        query = signer.presign("GET", "/told/none", "60")
        answer = s3_api.send(store, "GET", f"/told/none?{query}", {"Host": s3_api.host(store)})
        assert answer.status == 404
    lines = [line for line in capfd.readouterr().err.splitlines() if " request " in line]
    assert any("method=POST path=/ action=AmazonSQS.CreateQueue status=200" in line for line in lines)
    asked = next(line for line in lines if "path=/told/none" in line)
    assert f"request_id={answer.headers['x-amz-request-id']} " in asked and " status=404 " in asked
    assert "bytes_out=" in asked and "seconds=0." in asked
    assert not any("Signature" in line or store.key_id in line for line in lines)


def test_metrics_count_bodies_and_what_was_no_operation(tmp_path: pathlib.Path) -> None:
    with a_store(tmp_path) as store:
        assert s3_api.call(store, "PUT", "/counted").status == 200
        assert s3_api.call(store, "PUT", "/counted/k", body=b"0123456789").status == 200
        assert s3_api.call(store, "GET", "/counted/k").body == b"0123456789"
        assert s3_api.send(store, "PATCH", "/counted/k", {}).status >= 400
        told = s3_api.send(store, "GET", "/_headrace/metrics", {}).body.decode().splitlines()
        assert "headrace_s3_body_received_bytes_total 10" in told
        assert "headrace_s3_body_sent_bytes_total 10" in told
        assert "headrace_s3_unrouted_total 1" in told


def test_help_names_the_default_folder() -> None:
    done = subprocess.run([PROGRAM, "store", "--help"], capture_output=True, text=True, check=True)
    assert "/var/lib/headrace" in done.stdout


# ---- what it refuses


def test_an_address_that_is_taken_leaves_no_folder(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = refused(tmp_path, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 4 and "Address already in use" in done.stderr
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_refused_leaves_no_folder(tmp_path: pathlib.Path) -> None:
    done = refused(tmp_path, "--listen", "0.0.0.0:0")
    assert done.returncode == 2 and "not a loopback address" in done.stderr
    assert not (tmp_path / "data").exists()


@needs_root
def test_a_folder_of_somebody_else_is_a_plain_sentence(tmp_path: pathlib.Path) -> None:
    done = refused(tmp_path, "--listen", "127.0.0.1:0", user="nobody", cwd="/")
    assert done.returncode == 4
    assert f"{tmp_path}/data: cannot be used as the data folder: Permission denied" in done.stderr
    assert "disk.open" not in done.stderr


def test_no_room_at_the_start_names_the_folder_and_what_it_takes(tmp_path: pathlib.Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 * MIB, 16 * MIB))

    done = refused(tmp_path, "--listen", "127.0.0.1:0", preexec_fn=limit, restore_signals=False)
    assert done.returncode == 4
    assert f"{tmp_path}/data: cannot be used as the data folder: " in done.stderr
    assert "the log needs 192 MiB to start" in done.stderr


# ---- limits of its configuration


def test_object_bytes_max_is_kept_at_its_edge(tmp_path: pathlib.Path) -> None:
    with a_store(tmp_path, config="[store]\nobject_bytes_max = 1048576\n") as store:
        assert s3_api.call(store, "PUT", "/edge").status == 200
        assert s3_api.call(store, "PUT", "/edge/fits", body=bytes(MIB)).status == 200
        over = s3_api.call(store, "PUT", "/edge/over", body=bytes(MIB + 1))
        assert (over.status, over.code) == (400, "EntityTooLarge")
        assert over.field("MaxSizeAllowed") == str(MIB)


def test_the_smallest_segments_take_the_largest_message(tmp_path: pathlib.Path) -> None:
    with a_store(tmp_path, config="[store]\nsegment_mib = 4\n") as store:
        sqs = JsonApi(store)
        url = sqs("CreateQueue", QueueName="large")["QueueUrl"]
        for _ in range(6):
            sqs("SendMessage", QueueUrl=url, MessageBody="x" * MIB)


def test_copies_count_as_uploads(tmp_path: pathlib.Path) -> None:
    """256 large bodies at one moment; the next one, sent or copied, is told to come later."""
    with a_store(tmp_path) as store:
        assert s3_api.call(store, "PUT", "/busy").status == 200
        assert s3_api.call(store, "PUT", "/busy/source", body=bytes(100_000)).status == 200

        def copy() -> s3_api.Answer:
            headers = {"x-amz-copy-source": "/busy/source"}
            return s3_api.call(store, "PUT", "/busy/copy", headers=headers)

        with contextlib.ExitStack() as slow:
            for number in range(256):
                upload, status = begun_upload(store, f"/busy/{number}")
                slow.enter_context(upload)
                assert status == 100
            late, status = begun_upload(store, "/busy/late")
            late.close()
            assert status == 503
            answer = copy()
            assert (answer.status, answer.code) == (503, "SlowDown")
        wait_for("room", lambda: copy().status == 200)


def begun_upload(store: Store, path: str) -> tuple[socket.socket, int]:
    """Its headers are sent; and what came: 100, the body may follow, or a refusal."""
    host = s3_api.host(store)
    headers = {"Host": host, "Content-Length": "100000", "Expect": "100-continue"}
    signed = s3_api.Signer(store).headers("PUT", path, "", headers, "UNSIGNED-PAYLOAD")
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    address, port = host.rsplit(":", 1)
    connection = socket.create_connection((address, int(port)), timeout=30)
    connection.sendall(f"PUT {path} HTTP/1.1\r\n{lines}\r\n".encode())
    return connection, int(connection.recv(4096).split()[1])


# ---- how it is started and stopped


def test_a_tcp_socket_alone_may_be_passed(tmp_path: pathlib.Path) -> None:
    ready = tmp_path / "ready"
    with socket.create_server(("127.0.0.1", 0)) as passed:
        begin = f'exec 3<&{passed.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
        store = [PROGRAM, "store", "--path", str(tmp_path / "data"), "--ready-file", str(ready)]
        process = subprocess.Popen(["bash", "-c", begin, "bash", *store], pass_fds=[passed.fileno()])
        try:
            wait_for("ready", lambda: ready.exists() or process.poll() is not None)
            assert process.poll() is None
            told = json.loads(ready.read_text())
            assert told["endpoint"] == f"http://127.0.0.1:{passed.getsockname()[1]}" and told["socket"] == ""
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0


def test_a_hang_up_stops_it_in_order(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    with a_store(tmp_path) as store:
        store.process.send_signal(signal.SIGHUP)
        assert store.process.wait(timeout=30) == 0
    assert "store.stopping" in capfd.readouterr().err


def test_a_last_flush_that_fails_is_a_failure(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with a_store(tmp_path) as store:
        assert s3_api.call(store, "PUT", "/lost").status == 200
        shutil.rmtree(tmp_path / "data" / "index")
        assert store_process.stop(store) == 1
    assert "store.failed" in capfd.readouterr().err


@needs_root
def test_a_disk_that_fills_up_is_told_once_and_so_is_its_end(tmp_path: pathlib.Path) -> None:
    data, said, ready = tmp_path / "data", tmp_path / "said", tmp_path / "ready"
    data.mkdir()
    config = tmp_path / "headrace.toml"
    config.write_text(f'[store]\npath = "{data}"\nlisten = "127.0.0.1:0"\nsegment_mib = 4\n')
    begin = 'mount -t tmpfs -o size=48m,mode=700 none "$1" && head -c 16M /dev/zero > "$1/ballast" && shift'
    command = [PROGRAM, "store", "--config", str(config), "--ready-file", str(ready)]
    with said.open("w") as output:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", f'{begin} && exec "$@"', "sh", str(data), *command],
            stderr=output,
        )
    try:
        wait_for("ready", lambda: ready.exists() or process.poll() is not None)
        inside = pathlib.Path(f"/proc/{process.pid}/root{data}")
        sqs = JsonApi(store_process.told(process, ready, inside))
        url = sqs("CreateQueue", QueueName="full")["QueueUrl"]
        with pytest.raises(SqsError):
            for _ in range(200):
                sqs("SendMessage", QueueUrl=url, MessageBody="x" * (MIB // 2))
        wait_for("the warning", lambda: "store.disk_full" in said.read_text())
        (inside / "ballast").unlink()
        wait_for("its end", lambda: "store.disk_has_room" in said.read_text())
        sqs("SendMessage", QueueUrl=url, MessageBody="there is room")
        assert said.read_text().count("store.disk_full") == 1
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
