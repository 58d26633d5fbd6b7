"""More than one job at a time in a child: plain functions in threads, batches of messages for one call."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from worker_process import Place, until

FAST = "backoff=0.1, backoff_cap=0.2"


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    there = Place(tmp_path / "app")
    yield there
    there.end()


def started(place: Place, source: str) -> Place:
    place.write(source).start_store()
    return place


def test_plain_functions_run_in_threads_where_they_may(place: Place) -> None:
    """No one ends before all have begun."""
    source = (
        "here = []\n"
        "@headrace.task(threads=True)\ndef meet(count: int) -> str:\n"
        "    here.append(1)\n"
        "    while len(here) < count:\n        time.sleep(0.01)\n"
        "    return f'{headrace.current().id} {os.getpid()}'\n"
    )
    started(place, source).worker()
    jobs = place.python(
        "import shop_tasks\nfor job in shop_tasks.meet.many([(20,)] * 20): print(job.id)"
    ).split()
    results = [place.result(job)["result"].split() for job in jobs]
    assert [result[0] for result in results] == jobs, "each in its own context"
    assert len({result[1] for result in results}) == 1


def test_a_thread_that_hangs_is_ended_with_its_child_and_the_others_run_again(place: Place) -> None:
    source = (
        "@headrace.task(threads=True, timeout=1, retries=0)\ndef hang() -> None:\n    time.sleep(1000)\n"
        "@headrace.task(threads=True)\ndef nap() -> str:\n"
        "    while not os.path.exists('go'):\n        time.sleep(0.02)\n"
        "    return 'slept'\n"
    )
    worker = started(place, source).worker()
    beside = place.send("nap")
    place.send("hang")
    assert place.dead_letter()["headrace-reason"] == "timeout"
    (place.folder / "go").touch()
    assert place.result(beside)["attempts"] == 1
    assert worker.status()["counts"]["crashed"] == 0


def test_a_batch_of_messages_fails_in_part(place: Place) -> None:
    source = (
        f"@headrace.consumer(queue='orders', batch=50, retries=1, {FAST})\n"
        "def orders(messages: list) -> None:\n"
        "    bodies = [message.body for message in messages]\n"
        "    with open('batches', 'a') as out:\n        out.write(' '.join(bodies) + '\\n')\n"
        "    bad = {m.id: ValueError(m.body) for m in messages if m.body.startswith('bad')}\n"
        "    if bad:\n        raise headrace.PartialFailure(bad)\n"
    )
    started(place, source)
    sqs = place.client("sqs")
    sqs.create_queue(QueueName="orders")
    for start in range(0, 40, 10):
        entries = [
            {"Id": str(n), "MessageBody": f"{'bad' if n in (7, 23) else 'good'}{n}"}
            for n in range(start, start + 10)
        ]
        sqs.send_message_batch(QueueUrl=place.url("orders"), Entries=entries)
    place.worker()
    letters = {place.dead_letter("orders")["body"] for _ in range(2)}
    assert letters == {"bad7", "bad23"}
    until(lambda: place.depth("orders") == 0)
    batches = [line.split() for line in (place.folder / "batches").read_text().splitlines()]
    seen = [body for batch in batches for body in batch]
    assert len(batches) < 30 and max(map(len, batches)) > 1
    assert sorted(seen) == sorted([f"good{n}" for n in range(40) if n not in (7, 23)] + ["bad7", "bad23"] * 2)


def test_a_batch_that_crashes_is_tried_one_by_one(place: Place) -> None:
    """Then it shows which of its messages did it."""
    source = (
        f"@headrace.consumer(queue='orders', batch=50, retries=5, {FAST})\n"
        "def orders(messages: list) -> None:\n"
        "    if any(message.body == 'poison' for message in messages):\n        os._exit(3)\n"
        "    with open('done', 'a') as out:\n"
        "        out.writelines(message.body + '\\n' for message in messages)\n"
    )
    started(place, source)
    sqs = place.client("sqs")
    sqs.create_queue(QueueName="orders")
    bodies = [f"good{n}" for n in range(9)]
    for body in [*bodies[:5], "poison", *bodies[5:]]:
        sqs.send_message(QueueUrl=place.url("orders"), MessageBody=body)
    place.worker()
    letter = place.dead_letter("orders")
    assert (letter["body"], letter["headrace-reason"]) == ("poison", "crashed")
    until(lambda: place.depth("orders") == 0)
    assert sorted((place.folder / "done").read_text().split()) == bodies
