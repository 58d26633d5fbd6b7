"""The store under a power cut: messages sent and deleted, objects written, replaced and removed, each with
its event. Segments are small, so that the log rolls over, is checkpointed and cut meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import random
import re
import subprocess
import threading
import urllib.request
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from store_client import Client, Refused, StoreProcess, Unknown, binary
from subject import Note, Verdict

THREADS = 4
CHECKPOINTS = 2  # of the load, at least
TURNS_MAX = 2_000  # of a thread
MESSAGES = [10, 300, 300, 300, 30_000, 60_000]
OBJECTS = [0, 10, 300, 16_384, 16_385, 70_000]
KEYS = 6  # of a thread
CONFIGURATION = "[store]\nsegment_mib = 4\n"


def body_of(identity: str, size: int) -> str:
    """Every part of it says which one it is: nothing torn or mixed up goes unseen."""
    return (f"{identity}/" * (size // (len(identity) + 1) + 1))[: max(size, len(identity))]


def object_of(key: str, version: int, size: int) -> bytes:
    return body_of(f"{key}.{version}", size).encode() if size else b""


@dataclass
class Hand:
    """One client thread. `note` puts what it asks for and what it was told into the order of things."""

    name: str
    store: StoreProcess
    urls: dict[str, str]
    note: Note
    stop: threading.Event
    turns: int = 0
    versions: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        client = Client(self.store)
        dice = random.Random(self.name)
        with contextlib.suppress(Unknown):  # the store was killed, or has ended itself
            while not self.stop.is_set() and self.turns < TURNS_MAX:
                self.turns += 1
                what = dice.choices([self.send, self.take, self.put, self.remove], [5, 4, 4, 1])[0]
                with contextlib.suppress(Refused):  # asked for, never acknowledged
                    what(client, dice)

    def send(self, client: Client, dice: random.Random) -> None:
        names = [f"{self.name}-{self.turns}-{i}" for i in range(dice.choice([1, 1, 10]))]
        size = dice.choice(MESSAGES)
        entries = [{"Id": str(i), "MessageBody": body_of(name, size)} for i, name in enumerate(names)]
        self.note(f"send? {size} {' '.join(names)}")
        answer = client.sqs("SendMessageBatch", QueueUrl=self.urls["jobs"], Entries=entries)
        sent = [names[int(entry["Id"])] for entry in answer.get("Successful", [])]
        self.note(f"send! {' '.join(sent)}")

    def take(self, client: Client, dice: random.Random) -> None:
        got = client.sqs(
            "ReceiveMessage", QueueUrl=self.urls["jobs"], MaxNumberOfMessages=10, VisibilityTimeout=1
        ).get("Messages", [])
        names = [message["Body"].split("/")[0] for message in got]
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(got)]
        if not entries:
            return
        self.note(f"delete? {' '.join(names)}")
        answer = client.sqs("DeleteMessageBatch", QueueUrl=self.urls["jobs"], Entries=entries)
        gone = [names[int(entry["Id"])] for entry in answer.get("Successful", [])]
        self.note(f"delete! {' '.join(gone)}")

    def put(self, client: Client, dice: random.Random) -> None:
        key, size = f"{self.name}-{dice.randrange(KEYS)}", dice.choice(OBJECTS)
        self.versions[key] += 1
        version = self.versions[key]
        self.note(f"put? {key} {version} {size}")
        client.put("inbox", key, object_of(key, version, size))
        self.note(f"put! {key} {version}")

    def remove(self, client: Client, dice: random.Random) -> None:
        key = f"{self.name}-{dice.randrange(KEYS)}"
        self.versions[key] += 1
        version = self.versions[key]
        self.note(f"put? {key} {version} -1")
        client.request("s3", "DELETE", f"/inbox/{key}")
        self.note(f"put! {key} {version}")


@dataclass
class Change:
    version: int
    size: int  # -1: the object was removed
    acknowledged: bool = False


@dataclass
class Promised:
    """What the notes before a cut say."""

    key_id: str = ""  # of the access key; empty: nobody was told of the store yet
    sizes: dict[str, int] = field(default_factory=dict)  # of messages that were asked for
    sent: set[str] = field(default_factory=set)
    maybe_deleted: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    changes: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    answers: int = 0

    @classmethod
    def of(cls, notes: list[str]) -> Promised:
        promised = cls()
        for note in notes:
            what, *words = note.split()
            promised.answers += what.endswith("!")
            if what == "ready!":
                promised.key_id = words[0]
            elif what == "send?":
                promised.sizes.update((name, int(words[0])) for name in words[1:])
            elif what == "send!":
                promised.sent.update(words)
            elif what == "delete?":
                promised.maybe_deleted.update(words)
            elif what == "delete!":
                promised.deleted.update(words)
            elif what == "put?":
                promised.changes[words[0]].append(Change(int(words[1]), int(words[2])))
            elif what == "put!":
                promised.changes[words[0]][int(words[1]) - 1].acknowledged = True
        return promised


class HeadraceSubject:
    name = "headrace"

    def __init__(self, expect_failure: bool = False) -> None:
        self.expect_failure = expect_failure  # a fault of the disk is to end the store
        self.exit_code: int | None = None

    def store_in(self, folder: pathlib.Path) -> StoreProcess:
        config = folder.parent / "headrace.toml"
        config.write_text(CONFIGURATION)
        return StoreProcess(folder / "data", "--config", str(config))

    # --- the load ---

    def load(self, folder: pathlib.Path, note: Note) -> None:
        store = self.store_in(folder)
        store.start()
        try:
            urls = prepare(Client(store))
            note(f"ready! {store.credentials.access_key}")
            self.work(store, urls, note)
        finally:
            assert store.process is not None
            self.exit_code = store.process.poll()
            if self.exit_code is None:
                store.kill()

    def work(self, store: StoreProcess, urls: dict[str, str], note: Note) -> None:
        stop = threading.Event()
        hands = [Hand(f"t{i}", store, urls, note, stop) for i in range(THREADS)]
        threads = [threading.Thread(target=hand.run) for hand in hands]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                threads[0].join(0.1)
                if not self.expect_failure and checkpoints(store) >= CHECKPOINTS:
                    break
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if self.expect_failure:
            assert store.process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                store.process.wait(timeout=30)

    # --- what is left ---

    def judge(self, folder: pathlib.Path, notes: list[str]) -> Verdict:
        promised = Promised.of(notes)
        verdict = Verdict(acknowledged=promised.answers)
        store = self.store_in(folder)
        try:
            store.start()
        except (AssertionError, OSError) as error:
            verdict.refused = str(error)
            return verdict
        try:
            if promised.key_id:
                self.look(store, promised, verdict)
        finally:
            code = store.stop()
        if code != 0:
            verdict.wrong.append(f"it ended with {code}")
        check = [binary(), "store", "check", "--bodies", "--path", folder / "data"]
        checked = subprocess.run(check, capture_output=True, text=True, timeout=120)
        if checked.returncode != 0:
            verdict.wrong.append(f"store check: {checked.stdout}{checked.stderr}")
        return verdict

    def look(self, store: StoreProcess, promised: Promised, verdict: Verdict) -> None:
        if store.credentials.access_key != promised.key_id:
            verdict.lost.append("the access key")
            return
        client = Client(store)
        try:
            jobs, events = (client.sqs("GetQueueUrl", QueueName=n)["QueueUrl"] for n in ("jobs", "events"))
            judge_messages(client.bodies(jobs), promised, verdict)
            judge_objects(client, announced(client, events), promised, verdict)
            client.sqs("SendMessage", QueueUrl=jobs, MessageBody="it takes more")
            client.put("inbox", "more", b"more")
        except Refused as refused:
            verdict.lost.append(str(refused))


def prepare(client: Client) -> dict[str, str]:
    urls = {name: client.queue(name) for name in ("jobs", "events")}
    answer = client.sqs("GetQueueAttributes", QueueUrl=urls["events"], AttributeNames=["QueueArn"])
    client.request("s3", "PUT", "/inbox")
    client.request(
        "s3",
        "PUT",
        "/inbox?notification",
        "<NotificationConfiguration><QueueConfiguration>"
        f"<Queue>{answer['Attributes']['QueueArn']}</Queue><Event>s3:ObjectCreated:*</Event>"
        "</QueueConfiguration></NotificationConfiguration>".encode(),
    )
    return urls


def checkpoints(store: StoreProcess) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{store.port}/_headrace/metrics", timeout=60) as answer:
            found = re.search(r"^headrace_checkpoints_total (\S+)$", answer.read().decode(), re.M)
    except OSError:
        return 0
    return int(float(found[1])) if found else 0


def judge_messages(bodies: list[str], promised: Promised, verdict: Verdict) -> None:
    there: Counter[str] = Counter()
    for body in bodies:
        name = body.split("/")[0]
        there[name] += 1
        if name not in promised.sizes:
            verdict.wrong.append(f"message {name[:40]!r}, which nobody sent")
        elif body != body_of(name, promised.sizes[name]):
            verdict.wrong.append(f"message {name}, which is not what was sent")
    verdict.lost += sorted(promised.sent - promised.maybe_deleted - set(there))
    verdict.lost += [f"the deletion of {name}" for name in sorted(promised.deleted & set(there))]
    verdict.wrong += [f"message {name} twice" for name, times in there.items() if times > 1]


def announced(client: Client, url: str) -> Counter[tuple[str, str]]:
    """(key, ETag) of every event."""
    found: Counter[tuple[str, str]] = Counter()
    for body in client.bodies(url):
        for record in json.loads(body).get("Records", []):
            found[record["s3"]["object"]["key"], record["s3"]["object"]["eTag"]] += 1
    return found


def judge_objects(
    client: Client, events: Counter[tuple[str, str]], promised: Promised, verdict: Verdict
) -> None:
    """Each key is as after one of its changes, no older than the last acknowledged one, and exactly the puts
    up to there have been announced."""
    stored = client.keys("inbox")
    if strange := stored - set(promised.changes) - {"more"}:
        verdict.wrong.append(f"objects that nobody put: {sorted(strange)}")
    for key, changes in promised.changes.items():
        body = client.request("s3", "GET", f"/inbox/{key}") if key in stored else None
        told = Counter({tag: n for (name, tag), n in events.items() if name == key})
        known = max((i for i, change in enumerate(changes, 1) if change.acknowledged), default=0)
        candidates = range(known, len(changes) + 1)
        as_after = [i for i in candidates if body == content(key, changes, i)]
        if any(told == tags(key, changes, i) for i in as_after):
            continue
        if as_after:
            verdict.wrong.append(f"{key} and its events differ")
        elif any(body == content(key, changes, i) for i in range(known)):
            verdict.lost.append(f"change {known} of {key}")
        else:
            verdict.wrong.append(f"{key} is not what anybody put")


def content(key: str, changes: list[Change], after: int) -> bytes | None:
    if after == 0 or changes[after - 1].size < 0:
        return None
    change = changes[after - 1]
    return object_of(key, change.version, change.size)


def tags(key: str, changes: list[Change], after: int) -> Counter[str]:
    puts = [change for change in changes[:after] if change.size >= 0]
    bodies = [object_of(key, change.version, change.size) for change in puts]
    return Counter(hashlib.md5(body).hexdigest() for body in bodies)
