"""`headrace store repair` on stores that boto3 filled and that were then damaged, each in one way.

Each time: `store check` finds it, a start refuses it and names the command (unless a start can live with it),
without --yes nothing is changed, with it the store is whole, and everything that was not in the damaged bytes
is there.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
from typing import Any

import boto3
import pytest
from botocore.config import Config
from store_client import Client, StoreProcess, binary

SMALL = {f"k{size}": b"o" * size for size in (0, 100, 16_385, 200_000)}


class Filled:
    """A stopped store, and what was answered while it ran."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        config = folder.with_name("store.toml")
        config.write_text("[store]\nsegment_mib = 4\n")
        self.store = StoreProcess(folder, "--config", str(config))
        self.ids: dict[str, str] = {}  # body: MessageId
        self.urls: dict[str, str] = {}

    def copy_to(self, folder: pathlib.Path) -> Filled:
        """The same store in another folder."""
        shutil.copytree(self.folder, folder)
        copy = Filled(folder)
        copy.ids, copy.urls = dict(self.ids), dict(self.urls)
        return copy

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.store.port}",
            region_name="us-east-1",
            aws_access_key_id=self.store.credentials.access_key,
            aws_secret_access_key=self.store.credentials.secret_key,
            config=Config(retries={"max_attempts": 0}),
        )

    def send(self, queue: str, *bodies: str) -> None:
        sqs = self.client("sqs")
        fifo = queue.endswith(".fifo")
        url = self.urls.get(queue)
        if url is None:
            attributes = {"FifoQueue": "true"} if fifo else {}
            url = self.urls[queue] = sqs.create_queue(QueueName=queue, Attributes=attributes)["QueueUrl"]
        for body in bodies:
            more = (
                {"MessageGroupId": body[-2], "MessageDeduplicationId": body.replace(" ", "-")} if fifo else {}
            )
            self.ids[body] = sqs.send_message(QueueUrl=url, MessageBody=body, **more)["MessageId"]

    def delete(self, queue: str, count: int) -> None:
        sqs = self.client("sqs")
        while count > 0:
            for message in sqs.receive_message(QueueUrl=self.urls[queue], MaxNumberOfMessages=10)["Messages"]:
                sqs.delete_message(QueueUrl=self.urls[queue], ReceiptHandle=message["ReceiptHandle"])
                del self.ids[message["Body"]]
                count -= 1

    def put_objects(self) -> None:
        s3 = self.client("s3")
        s3.create_bucket(Bucket="inbox")
        for key, body in SMALL.items():
            s3.put_object(Bucket="inbox", Key=key, Body=body)

    def refused(self) -> str:
        """What a start says that does not come to its end."""
        done = subprocess.run(
            [binary(), "store", "--path", self.folder, "--listen", "127.0.0.1:0"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 1, done.stderr
        return done.stdout + done.stderr

    def inspect(self, command: str, *more: str) -> tuple[int, dict[str, Any]]:
        where = ["--path", str(self.folder), "--config", str(self.folder.with_name("store.toml"))]
        line = [str(binary()), "store", command, *where, "--json", *more]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def contents(self) -> dict[str, bytes]:
        files = (p for p in self.folder.rglob("*") if p.is_file() and "index/LOG" not in str(p))
        return {str(p): p.read_bytes() for p in files}

    def mend(self) -> dict[str, Any]:
        """Told first, then done; what it said."""
        before = self.contents()
        code, told = self.inspect("repair")
        assert code == 3 and told["steps"] and not told["done"], told
        assert self.contents() == before
        code, done = self.inspect("repair", "--yes")
        assert code == 0, done
        assert done["done"] and done["left"] == [] and done["lost"] == told["lost"]
        assert json.loads((self.folder / done["aside"] / "repair.json").read_text())["lost"] == told["lost"]
        assert self.inspect("check", "--bodies")[1]["damage"] == []
        assert self.inspect("repair")[0] == 0
        return done

    def expect(self, *, without: tuple[str, ...] = ()) -> None:
        """It starts, twice, with every message and object but those."""
        for _ in range(2):
            self.store.port = 0
            self.store.start()
            client = Client(self.store)
            bodies = [body for url in self.urls.values() for body in client.bodies(url)]
            assert sorted(bodies) == sorted(set(self.ids) - set(without))
            if "inbox" in [b["Name"] for b in self.client("s3").list_buckets()["Buckets"]]:
                for key, body in SMALL.items():
                    assert self.client("s3").get_object(Bucket="inbox", Key=key)["Body"].read() == body
            self.send("jobs", f"sent again {len(self.ids)}")
            self.delete("jobs", 1)
            assert self.store.stop() == 0

    def segments(self) -> list[pathlib.Path]:
        return sorted((self.folder / "log").glob("*.log"))

    def spoil(self, text: str) -> pathlib.Path:
        """Turns a bit in the body that says so; the segment in which it stands."""
        for path in reversed(self.segments()):
            content = bytearray(path.read_bytes())
            at = content.rfind(text.encode())
            if at >= 0:
                content[at] ^= 1
                path.write_bytes(content)
                return path
        raise AssertionError(f"{text} is not in the log")


@pytest.fixture(scope="module")
def whole_log(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    filled = Filled(tmp_path_factory.mktemp("short") / "data")
    filled.store.start()
    filled.send("jobs", *(f"job number {i:02}!" for i in range(20)))
    filled.put_objects()
    filled.send("orders.fifo", *(f"order number {i:02}!" for i in range(6)))
    filled.delete("jobs", 3)
    filled.send("jobs", "job number 90!")
    assert filled.store.stop() == 0
    return filled


@pytest.fixture
def short(whole_log: Filled, tmp_path: pathlib.Path) -> Filled:
    """Its log has everything from the beginning."""
    return whole_log.copy_to(tmp_path / "data")


@pytest.fixture(scope="module")
def cut_log(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    filled = Filled(tmp_path_factory.mktemp("long") / "data")
    filled.store.start()
    filled.put_objects()
    filled.send("jobs", *(f"early number {i:02}!" for i in range(20)))
    filled.send("orders.fifo", *(f"order number {i:02}!" for i in range(6)))
    sqs = filled.client("sqs")
    bulk = sqs.create_queue(QueueName="bulk")["QueueUrl"]
    for i in range(500):
        if filled.segments()[0].name != "00000001.log" and list(
            (filled.folder / "state").glob("*.checkpoint")
        ):
            break
        sqs.send_message(QueueUrl=bulk, MessageBody="x" * 200_000)
        got = sqs.receive_message(QueueUrl=bulk)["Messages"][0]
        sqs.delete_message(QueueUrl=bulk, ReceiptHandle=got["ReceiptHandle"])
    assert filled.segments()[0].name != "00000001.log"
    filled.send("jobs", *(f"later number {i:02}!" for i in range(5)))
    assert filled.store.stop() == 0
    return filled


@pytest.fixture
def long(cut_log: Filled, tmp_path: pathlib.Path) -> Filled:
    """Its log was cut: what came first is in the checkpoint and the index, and stands far back in the log."""
    return cut_log.copy_to(tmp_path / "data")


def test_garbage_behind_the_end_is_a_torn_tail_and_nothing_to_mend(short: Filled) -> None:
    last = short.segments()[-1]
    content = bytearray(last.read_bytes())
    end = len(content.rstrip(b"\0"))
    at = (end + 511) // 512 * 512
    content[at : at + 700] = b"\xa5" * 700
    last.write_bytes(content)
    assert short.inspect("check")[0] == 0
    code, told = short.inspect("repair", "--yes")
    assert (code, told["steps"], told["done"]) == (0, [], False)
    short.expect()


def test_a_damaged_send_costs_that_message_alone(short: Filled) -> None:
    segment = short.spoil("job number 07!")
    code, found = short.inspect("check")
    assert code == 1 and any(segment.name in what for what in found["damage"])
    said = short.refused()
    assert f"headrace store repair --path {short.folder}" in said and segment.name in said
    done = short.mend()
    # Its MessageId went with its record; its number in the queue did not.
    assert done["lost"] == [{"queue": "jobs", "number": 8, "id": ""}]
    assert segment.name in str(done["damage"]) and segment.name in str(done["unknown"])
    assert (short.folder / done["aside"] / "log" / segment.name).exists()
    short.expect(without=("job number 07!",))


def test_a_damaged_send_to_a_fifo_queue_costs_that_message_alone(short: Filled) -> None:
    short.spoil("order number 02!")
    assert "headrace store repair" in short.refused()
    assert short.mend()["lost"] == [{"queue": "orders.fifo", "number": 3, "id": ""}]
    short.expect(without=("order number 02!",))


def test_a_damaged_record_of_a_message_that_the_checkpoint_knows_is_listed_by_its_id(long: Filled) -> None:
    segment = long.spoil("early number 04!")
    # A start does not read that far back: nothing but a receive of that message finds it.
    code, found = long.inspect("check")
    assert code == 1 and segment.name in str(found["damage"])
    assert [m["id"] for m in long.mend()["lost"]] == [long.ids["early number 04!"]]
    long.expect(without=("early number 04!",))


def test_messages_of_a_damaged_page_of_the_state_are_found_in_the_log(long: Filled) -> None:
    files = sorted((long.folder / "state").glob("*.checkpoint"))
    for path in files:
        content = bytearray(path.read_bytes())
        content[40] ^= 1  # behind the head's block: messages come first
        path.write_bytes(content)
    code, found = long.inspect("check")
    assert code == 1 and files[-1].name in str(found["damage"])
    assert "headrace store repair" in long.refused()
    assert long.mend()["lost"] == []
    long.expect()


def test_a_state_without_its_list_is_made_again_where_the_log_has_all_of_it(short: Filled) -> None:
    (short.folder / "state").mkdir(exist_ok=True)
    (short.folder / "state" / "00000001.checkpoint").write_bytes(b"no checkpoint at all, but as long as one")
    assert short.inspect("check")[0] == 1
    assert "headrace store repair" in short.refused()
    assert short.mend()["lost"] == []
    short.expect()


def test_what_no_other_place_holds_is_not_mended_and_left_as_it_is(long: Filled) -> None:
    newest = sorted((long.folder / "state").glob("*.checkpoint"))[-1]
    content = newest.read_bytes()
    newest.write_bytes(content[:-32] + b"\0" * 32)
    before = long.contents()
    for more in ((), ("--yes",)):
        code, told = long.inspect("repair", *more)
        assert (code, told["steps"], told["done"]) == (1, [], False)
        assert "in no other place" in told["cannot"]
    assert long.contents() == before
    newest.write_bytes(content)
    long.expect()


def test_a_broken_index_is_made_again_from_a_log_that_has_all_of_it(short: Filled) -> None:
    (short.folder / "index" / "CURRENT").write_bytes(b"MANIFEST-999999\n")
    assert short.inspect("repair")[1]["steps"][0].startswith("move index/")
    assert "headrace store repair" in short.refused()
    done = short.mend()
    assert done["lost"] == [] and (short.folder / done["aside"] / "index" / "CURRENT").exists()
    short.expect()


def test_a_broken_index_behind_a_log_that_was_cut_is_not_mended(long: Filled) -> None:
    (long.folder / "index" / "CURRENT").write_bytes(b"MANIFEST-999999\n")
    before = long.contents()
    code, told = long.inspect("repair", "--yes")
    assert code == 1 and "in no other place" in told["cannot"]
    assert long.contents() == before


def test_files_that_are_not_the_stores_are_moved_away(short: Filled) -> None:
    (short.folder / "log" / "core.4711").write_bytes(b"dumped")
    (short.folder / "state").mkdir(exist_ok=True)
    (short.folder / "state" / "notes.txt").write_bytes(b"look here")
    assert "core.4711" in short.refused() or "notes.txt" in short.refused()
    aside = short.folder / short.mend()["aside"]
    assert (aside / "core.4711").read_bytes() == b"dumped"
    assert (aside / "notes.txt").read_bytes() == b"look here"
    short.expect()


def test_a_missing_segment_costs_what_stood_in_it(tmp_path: pathlib.Path) -> None:
    filled = Filled(tmp_path / "data")
    filled.store.start()
    filled.put_objects()
    raw = Client(filled.store)
    bulk = raw.queue("bulk")
    for i in range(28):
        filled.send("jobs", f"job number {i:02}!")
        raw.sqs("SendMessage", QueueUrl=bulk, MessageBody="x" * 400_000)
    assert filled.store.stop() == 0
    victim = filled.segments()[1]
    assert victim != filled.segments()[-1]
    content = victim.read_bytes()
    gone = [body for body in filled.ids if body.encode() in content]
    assert gone and len(gone) < 20
    victim.unlink()
    assert victim.name in str(filled.inspect("check")[1]["damage"])
    assert victim.name in filled.refused()
    lost = [m["number"] for m in filled.mend()["lost"] if m["queue"] == "jobs"]
    assert lost == [int(body[11:13]) + 1 for body in gone]
    filled.expect(without=tuple(gone))


def test_a_lost_end_of_the_log_costs_what_came_after_the_checkpoint(long: Filled) -> None:
    last = long.segments()[-1]
    held = {body for body in long.ids if body.encode() in last.read_bytes()}
    last.unlink()
    assert "headrace store repair" in long.refused()
    told = long.mend()
    assert told["unknown"]
    long.store.start()
    left = [body for url in long.urls.values() for body in Client(long.store).bodies(url)]
    assert set(long.ids) - held <= set(left) <= set(long.ids)
    assert long.store.stop() == 0


def test_a_repair_that_was_interrupted_between_files_is_finished(short: Filled) -> None:
    short.spoil("job number 07!")
    done = short.mend()
    aside = short.folder / done["aside"]
    for folder in ("log", "state"):
        (aside / "new" / folder).mkdir(parents=True)
        for path in (short.folder / folder).iterdir():
            path.rename(aside / "new" / folder / path.name)
    (aside / "log" / "00000001.log").rename(short.folder / "log" / "00000001.log")
    (short.folder / "log" / "repair.going").write_text(done["aside"])
    assert "headrace store repair" in short.refused()
    assert short.inspect("repair")[0] == 3
    assert short.inspect("repair", "--yes")[0] == 0
    assert (aside / "log" / "00000001.log").exists() and not (aside / "new").exists()
    short.expect(without=("job number 07!",))


def test_bodies_of_objects_that_are_gone_are_named_and_the_rest_is_mended(short: Filled) -> None:
    short.spoil("job number 07!")
    blob = max((short.folder / "blob").glob("*/*"), key=lambda path: path.stat().st_size)
    blob.unlink()
    code, told = short.inspect("repair", "--yes")
    assert code == 1 and told["done"]
    assert len(told["left"]) == 1 and 'the body of object "k200000"' in told["left"][0]
    short.store.start()
    assert short.client("s3").get_object(Bucket="inbox", Key="k100")["Body"].read() == SMALL["k100"]
    assert short.store.stop() == 0


def test_a_running_store_and_a_folder_without_one_are_refused(short: Filled, tmp_path: pathlib.Path) -> None:
    short.store.port = 0
    short.store.start()
    told = [str(binary()), "store", "repair", "--path", str(short.folder)]
    for command in (told, [*told, "--yes"]):
        done = subprocess.run(command, capture_output=True, timeout=60)
        assert done.returncode == 4
    assert short.store.stop() == 0
    done = subprocess.run([binary(), "store", "repair", "--path", tmp_path / "none"], capture_output=True)
    assert done.returncode == 2
