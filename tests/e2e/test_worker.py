"""Workers as processes: real children, a real store, every way in which a task can end."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from worker_process import Place, gone, started, until

FAST = "backoff=0.1, backoff_cap=0.2"


def test_a_result_is_stored_before_its_message_is_deleted(place: Place) -> None:
    started(place, "@headrace.task\ndef double(x: int) -> int:\n    return 2 * x\n").worker()
    big = 2**61 + 1
    job = place.send("double", big)
    result = place.result(job)
    assert (result["state"], result["result"], result["attempts"]) == ("done", 2 * big, 1)
    assert (result["task"], result["worker"], result["error"]) == ("shop_tasks.double", "default", None)
    until(lambda: place.depth() == 0)
    assert place.mark(job) is None, "a first receive that ends well costs no mark"


def test_delay_and_result_work_from_another_process(place: Place) -> None:
    started(place, "@headrace.task\ndef join(parts: list) -> str:\n    return '-'.join(parts)\n").worker()
    program = "import shop_tasks; print(shop_tasks.join.delay(['a', 'b' * 60000]).result(timeout=30)[:4])"
    sent = subprocess.run(
        [sys.executable, "-c", program],
        cwd=place.folder,
        env=place.environment() | {"HEADRACE_CONFIG": str(place.folder / "headrace.toml")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert sent.stdout == "a-bb\n", sent.stderr


def test_what_raises_is_tried_again_and_then_a_dead_letter_with_its_reason(place: Place) -> None:
    worker = started(
        place, f"@headrace.task(retries=2, {FAST})\ndef bad() -> None:\n    raise ValueError('no good')\n"
    ).worker()
    job = place.send("bad")
    letter = place.dead_letter()
    assert letter["headrace-job"] == job
    assert (letter["headrace-task"], letter["headrace-reason"]) == ("shop_tasks.bad", "exception")
    assert (letter["headrace-error"], letter["headrace-attempts"]) == ("ValueError: no good", "3")
    assert json.loads(letter["body"])["id"] == job
    result = place.result(job)
    assert (result["state"], result["attempts"]) == ("dead", 3)
    assert "shop_tasks.py" in result["error"]["traceback"]
    mark = place.mark(job)
    assert mark and (mark["state"], mark["attempts"], mark["crashes"]) == ("dead", 3, 0)
    assert len(worker.lines("job_started")) == 3
    until(lambda: place.depth() == 0)


def test_a_dead_letter_that_is_sent_back_and_dies_again_is_a_dead_letter_again(place: Place) -> None:
    source = "@headrace.task(retries=0)\ndef bad() -> None:\n    raise ValueError('no good')\n"
    worker = started(place, source).worker()
    job = place.send("bad")
    letter = place.dead_letter()
    place.client("sqs").purge_queue(QueueUrl=place.url("default-dead"))
    place.client("sqs").send_message(QueueUrl=place.url("default"), MessageBody=letter["body"])
    worker.wait_for("job_dead", 2)
    assert place.dead_letter()["headrace-job"] == job


def test_a_retry_that_succeeds_counts_its_attempts(place: Place) -> None:
    started(
        place,
        f"@headrace.task(retries=5, {FAST})\n"
        "def third() -> int:\n"
        "    attempt = headrace.current().attempt\n"
        "    if attempt < 3:\n        raise OSError('not yet')\n"
        "    return attempt\n",
    ).worker()
    result = place.result(place.send("third"))
    assert (result["state"], result["result"], result["attempts"]) == ("done", 3, 3)


def test_giving_up_is_not_tried_again(place: Place) -> None:
    started(place, "@headrace.task\ndef never() -> None:\n    raise headrace.GiveUp('pointless')\n").worker()
    place.send("never")
    letter = place.dead_letter()
    assert (letter["headrace-reason"], letter["headrace-attempts"]) == ("exception", "1")


@pytest.mark.parametrize("how", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_three_crashes_quarantine_a_task_whatever_its_retries(place: Place, how: str) -> None:
    worker = started(place, f"@headrace.task(retries=50, {FAST})\ndef crash() -> None:\n    {how}\n").worker()
    job = place.send("crash")
    letter = place.dead_letter()
    assert (letter["headrace-reason"], letter["headrace-attempts"]) == ("crashed", "3")
    mark = place.mark(job)
    assert mark and (mark["attempts"], mark["crashes"]) == (3, 3)
    assert worker.status()["counts"]["crashed"] == 3
    assert worker.process.poll() is None


def test_leaving_by_sys_exit_is_a_failure_and_not_a_crash(place: Place) -> None:
    started(place, "import sys\n@headrace.task(retries=0)\ndef leave() -> None:\n    sys.exit(4)\n").worker()
    place.send("leave")
    letter = place.dead_letter()
    assert (letter["headrace-reason"], letter["headrace-attempts"]) == ("exception", "1")


def test_a_task_that_hangs_is_ended_with_all_it_started(place: Place) -> None:
    worker = started(
        place,
        "import subprocess\n"
        "@headrace.task(retries=0, timeout=2)\n"
        "def hang(path: str) -> None:\n"
        "    here = subprocess.Popen(['sleep', '1000'])\n"
        "    away = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "    open(path, 'w').write(f'{here.pid} {away.pid} {os.getpid()}')\n"
        "    while True:\n        pass\n",
    ).worker()
    pids = place.folder / "pids"
    place.send("hang", str(pids))
    letter = place.dead_letter()
    assert (letter["headrace-reason"], letter["headrace-attempts"]) == ("timeout", "1")
    for pid in map(int, pids.read_text().split()):
        until(functools.partial(gone, pid), within=10)
    assert worker.stop() == 0


def test_a_child_that_is_killed_is_replaced_and_its_task_runs_again(place: Place) -> None:
    worker = started(
        place,
        f"@headrace.task(retries=3, {FAST})\n"
        "def slow() -> int:\n"
        "    if headrace.current().attempt == 1:\n        time.sleep(60)\n"
        "    return headrace.current().attempt\n",
    ).worker()
    job = place.send("slow")
    os.kill(worker.busy_child(), signal.SIGKILL)
    result = place.result(job)
    assert (result["result"], result["attempts"]) == (2, 2)


def test_an_unknown_task_is_parked_and_stays_visible(place: Place) -> None:
    worker = started(place, "@headrace.task\ndef known() -> None: ...\n").worker()
    job = place.send("later_version")
    line = worker.wait_for("job_parked")[0]
    assert f"job={job}" in line and "retry_in=300" in line
    mark = until(lambda: place.mark(job))
    assert (mark["state"], mark["attempts"]) == ("retrying", 0)
    assert mark["last_error"]["type"] == "UnknownTask"
    assert place.depth() == 1


def test_a_body_that_is_no_envelope_is_a_dead_letter(place: Place) -> None:
    started(place, "@headrace.task\ndef known() -> None: ...\n").worker()
    place.client("sqs").send_message(QueueUrl=place.url("default"), MessageBody="hello")
    letter = place.dead_letter()
    assert (letter["headrace-reason"], letter["body"]) == ("invalid", "hello")
    assert "headrace-task" not in letter


def test_an_object_that_is_put_runs_its_handler(place: Place) -> None:
    worker = started(
        place,
        "@headrace.on('s3:ObjectCreated:*', bucket='inbox', suffix='.txt')\n"
        "def arrived(event: headrace.Event) -> str:\n"
        "    return f'{event.bucket}/{event.key} {event.size}'\n",
    ).worker()
    place.client("s3").put_object(Bucket="inbox", Key="a b+ä.txt", Body=b"12345")
    place.client("s3").put_object(Bucket="inbox", Key="other.pdf", Body=b"1")
    done = worker.wait_for("job_done")[0]
    job = done.split("job=")[1].split()[0]
    assert place.result(job)["result"] == "inbox/a b+ä.txt 5"
    rules = place.client("s3").get_bucket_notification_configuration(Bucket="inbox")["QueueConfigurations"]
    assert [rule["Id"] for rule in rules] == ["headrace-shop_tasks.arrived"]
    assert len(worker.lines("job_started")) == 1


def test_logging_of_a_task_carries_its_job(place: Place) -> None:
    worker = started(
        place,
        "@headrace.task\ndef talk() -> None:\n    headrace.current().log.warning('half way')\n",
    ).worker()
    job = place.send("talk", trace={"request_id": "req-1"})
    line = worker.wait_for("task_log")[0]
    assert "half way" in line and f"job={job}" in line and "request=req-1" in line


def test_a_pool_grows_while_its_children_are_busy_and_messages_wait(place: Place) -> None:
    worker = started(
        place, "@headrace.task\ndef nap() -> None:\n    time.sleep(4)\n", 'processes = "1..3"'
    ).worker()
    for _ in range(6):
        place.send("nap", keep_result=False)
    until(lambda: [child["state"] for child in worker.status()["children"]] == ["busy"] * 3)


# ---- stopping and dying


def test_drain_lets_what_runs_end_and_leaves_the_rest(place: Place) -> None:
    worker = started(
        place, "@headrace.task\ndef nap(s: float) -> str:\n    time.sleep(s)\n    return 'slept'\n"
    ).worker()
    first = place.send("nap", 2)
    worker.busy_child()
    second = place.send("nap", 0)
    assert worker.stop() == 0
    assert place.result(first)["result"] == "slept"
    assert place.object(f"result/{second}") is None
    assert "signal" not in "".join(worker.lines("child_ended"))
    place.worker()
    assert place.result(second)["attempts"] == 1


def test_what_outlasts_the_drain_is_handed_back_without_an_attempt(place: Place) -> None:
    source = (
        "@headrace.task(retries=0)\ndef nap() -> str:\n"
        "    if not os.path.exists('again'):\n        time.sleep(60)\n    return 'slept'\n"
    )
    worker = started(place, source).worker("--drain", "1s")
    job = place.send("nap")
    child = worker.busy_child()
    assert worker.stop() == 0
    assert gone(child)
    mark = place.mark(job)
    assert mark and (mark["attempts"], mark["releases"], mark["state"]) == (0, 1, "retrying")
    (place.folder / "again").touch()
    place.worker()
    assert place.result(job)["attempts"] == 1


def test_a_killed_worker_takes_its_children_along_and_the_next_one_runs_the_task_again(place: Place) -> None:
    source = (
        "@headrace.task(retries=0)\ndef nap() -> str:\n"
        "    if not os.path.exists('again'):\n        time.sleep(300)\n    return 'slept'\n"
    )
    worker = started(place, source, 'lease = "15s"').worker()
    job = place.send("nap")
    child = worker.busy_child()
    worker.process.kill()
    worker.process.wait()
    until(lambda: gone(child), within=5)
    (place.folder / "again").touch()
    place.worker()
    result = place.result(job, within=90)  # the lease runs out first
    assert (result["state"], result["attempts"]) == ("done", 1)
    until(lambda: place.mark(job) is None)


def test_the_store_may_come_later_and_may_restart(place: Place) -> None:
    place.write("@headrace.task\ndef one() -> int:\n    return 1\n").start_store()
    assert place.store
    place.store.process.kill()
    place.store.process.wait()
    worker = place.worker(ready=False)
    worker.wait_for("services_unreachable")
    place.start_store()
    worker.wait_for("worker_ready")
    assert place.result(place.send("one"))["result"] == 1
    place.store.process.kill()
    place.store.process.wait()
    place.start_store()
    assert place.result(place.send("one"))["result"] == 1


# ---- starts that fail


def failed(place: Place, *arguments: str) -> tuple[int, str]:
    worker = place.worker(*arguments, ready=False)
    return worker.process.wait(timeout=60), worker.text()


def test_a_module_that_cannot_be_imported_is_one_sentence_with_its_place(place: Place) -> None:
    started(place, "\nimport nothing_of_that_name\n")
    code, text = failed(place)
    assert code == 2
    last = text.splitlines()[-1]
    assert last.startswith(f"headrace: {place.folder}/shop_tasks.py:3: ") and "nothing_of_that_name" in last


def test_a_missing_interpreter_is_named(place: Place) -> None:
    place.write("", python="/nowhere/python").start_store()
    code, text = failed(place)
    assert code == 2 and "/nowhere/python" in text and text.count("\n") == 1


def test_a_pool_that_is_not_configured_is_named(place: Place) -> None:
    started(place, "")
    code, text = failed(place, "--pool", "defualt")
    assert code == 2 and 'did you mean "default"?' in text


def test_a_second_worker_of_a_pool_is_refused(place: Place) -> None:
    started(place, "@headrace.task\ndef one() -> int:\n    return 1\n").worker()
    code, text = failed(place)
    assert code == 4 and "worker-default.sock" in text


def test_a_consumer_gets_the_messages_of_its_queue_as_they_are(place: Place) -> None:
    worker = started(
        place,
        f"@headrace.consumer(queue='orders', retries=1, {FAST})\n"
        "def order(message: headrace.Message) -> None:\n"
        "    if message.body == 'bad':\n        raise ValueError('not an order')\n"
        "    number, sender = message.json()['n'], message.attributes['from']\n"
        "    headrace.current().log.info('got %s from %s', number, sender)\n",
    ).worker()
    attributes = {"from": {"DataType": "String", "StringValue": "till"}}
    for body in ('{"n": 7}', "bad"):
        place.client("sqs").send_message(
            QueueUrl=place.url("orders"), MessageBody=body, MessageAttributes=attributes
        )
    assert "got 7 from till" in worker.wait_for("task_log")[0]
    letter = place.dead_letter("orders")
    assert (letter["body"], letter["headrace-task"]) == ("bad", "shop_tasks.order")
    assert letter["headrace-attempts"] == "2"
    until(lambda: place.depth("orders") == 0)


def test_a_consumer_is_not_given_what_headrace_asks_of_every_pool(place: Place) -> None:
    worker = started(
        place, "@headrace.consumer(queue='orders')\ndef order(message: headrace.Message) -> None:\n    pass\n"
    ).worker()
    question = {"headrace": 1, "id": "canary-1", "task": "headrace.canary", "args": ["back"], "kwargs": {}}
    question |= {"sent": int(time.time() * 1000), "attempt": 0, "keep_result": True, "trace": {}}
    place.client("sqs").send_message(QueueUrl=place.url("orders"), MessageBody=json.dumps(question))
    assert place.result("canary-1")["result"] == "back"
    assert not [line for line in worker.lines("job_started") if "shop_tasks.order" in line]


def test_a_job_that_expired_is_a_dead_letter_and_never_runs(place: Place) -> None:
    worker = started(
        place, "@headrace.task\ndef nap(s: float) -> None:\n    time.sleep(s)\n"
    ).worker()
    place.python("import shop_tasks; shop_tasks.nap.delay(2); shop_tasks.nap.using(expires=0.5).delay(0)")
    assert place.dead_letter()["headrace-reason"] == "expired"
    assert len(worker.lines("job_started")) == 1


# ---- async handlers


def test_async_handlers_run_beside_each_other_in_one_child(place: Place) -> None:
    """No one ends before all have begun."""
    worker = started(
        place,
        "import asyncio\nhere = []\n"
        "@headrace.task\nasync def meet(count: int) -> int:\n"
        "    here.append(1)\n"
        "    while len(here) < count:\n        await asyncio.sleep(0.01)\n"
        "    return os.getpid()\n",
    ).worker()
    jobs = place.python(
        "import shop_tasks\nfor job in shop_tasks.meet.many([(60,)] * 60): print(job.id)"
    ).split()
    assert len({place.result(job)["result"] for job in jobs}) == 1
    assert worker.status()["counts"]["failed"] == 0


def test_an_async_handler_is_cancelled_at_its_timeout_and_others_go_on(place: Place) -> None:
    worker = started(
        place,
        "import asyncio\n"
        "@headrace.task(timeout=1, retries=0)\nasync def hang() -> None:\n    await asyncio.sleep(1000)\n"
        "@headrace.task\nasync def nap() -> str:\n    await asyncio.sleep(2)\n    return 'slept'\n",
    ).worker()
    other = place.send("nap")
    place.send("hang")
    letter = place.dead_letter()
    assert (letter["headrace-reason"], letter["headrace-attempts"]) == ("timeout", "1")
    assert place.result(other)["attempts"] == 1
    assert len(worker.lines("child_started")) == 1


def test_a_crash_among_async_handlers_is_blamed_on_the_one_that_did_it(place: Place) -> None:
    worker = started(
        place,
        f"import asyncio\n@headrace.task(retries=5, {FAST})\nasync def nap(crash: bool) -> str:\n"
        "    await asyncio.sleep(0.3)\n"
        "    if crash:\n        os._exit(3)\n"
        "    return 'slept'\n",
    ).worker()
    jobs = place.python(
        "import shop_tasks\nfor job in shop_tasks.nap.many([(n == 5,) for n in range(10)]): print(job.id)"
    ).split()
    results = [place.result(job, within=90) for job in jobs]
    assert [result["state"] for result in results] == ["done"] * 5 + ["dead"] + ["done"] * 4
    assert results[5]["error"]["type"] == "Crashed"
    assert [result["attempts"] for result in results] == [1] * 5 + [3] + [1] * 4
    assert worker.status()["counts"]["crashed"] == 3


# ---- many at a time


def test_a_child_that_dies_takes_no_job_along_that_it_had_not_begun(place: Place) -> None:
    """A burst of short tasks lies ahead of the child when one of them ends it."""
    source = (
        f"@headrace.task(retries=5, {FAST})\n"
        "def short(number: int) -> int:\n"
        "    with open('runs', 'a') as runs:\n        runs.write(f'{number}\\n')\n"
        "    if number == 150 and headrace.current().attempt == 1:\n        os._exit(3)\n"
        "    return number\n"
    )
    worker = started(place, source).worker()
    place.python("import shop_tasks; shop_tasks.short.many([(n,) for n in range(300)])")
    until(lambda: place.depth() == 0)
    runs = [int(line) for line in (place.folder / "runs").read_text().split()]
    assert sorted(runs) == sorted([*range(300), 150]), "one run more, of the one that crashed"
    counts = worker.status()["counts"]
    assert (counts["done"], counts["failed"], counts["crashed"]) == (300, 1, 1)


def test_a_long_task_lets_go_what_waits_behind_it(place: Place) -> None:
    source = (
        "@headrace.task\ndef work(number: int) -> int:\n"
        "    while number == 40 and not os.path.exists('go'):\n        time.sleep(0.02)\n"
        "    return number\n"
    )
    worker = started(place, source, 'processes = "2..2"').worker()
    jobs = place.python(
        "import shop_tasks\n"
        "for job in shop_tasks.work.many([(n,) for n in range(100)]): print(job.id)"
    ).split()
    for number, job in enumerate(jobs):
        if number != 40:
            assert place.result(job)["attempts"] == 1
    assert worker.status()["counts"]["done"] == 99
    (place.folder / "go").touch()
    assert place.result(jobs[40])["attempts"] == 1


# ---- limits of a child


def test_a_soft_limit_is_raised_in_the_handler(place: Place) -> None:
    started(
        place,
        "@headrace.task(soft_timeout=0.3, timeout=30)\n"
        "def patient() -> str:\n"
        "    try:\n        time.sleep(20)\n"
        "    except headrace.SoftTimeLimit as limit:\n        return str(limit)\n"
        "    return 'slept'\n"
        "@headrace.task(soft_timeout=0.3, timeout=30, retries=0)\n"
        "def spins() -> None:\n"
        "    while True:\n        pass\n",
    ).worker()
    assert place.result(place.send("patient"))["result"].endswith("ran longer than its soft limit, 0.3 s")
    place.send("spins")
    assert place.dead_letter()["headrace-error"].startswith("headrace.SoftTimeLimit: ")


def test_a_task_that_takes_too_much_memory_is_ended_while_it_runs(place: Place) -> None:
    worker = started(
        place,
        "import subprocess, sys\n"
        f"@headrace.task(retries=0, {FAST})\n"
        "def balloon(in_child: bool) -> None:\n"
        "    grow = 'a = []\\nwhile True: a.append(bytes(1 << 20) + b\"x\")'\n"
        "    if in_child:\n        subprocess.run([sys.executable, '-c', grow])\n"
        "    exec(grow)\n"
        "@headrace.task\ndef modest() -> int:\n    return 1\n",
        'memory = "150M"',
    ).worker()
    for in_child in (False, True):
        place.send("balloon", in_child)
        letter = place.dead_letter()
        assert (letter["headrace-reason"], letter["headrace-attempts"]) == ("memory", "1")
        assert letter["headrace-error"].startswith("MemoryLimit: its processes used ")
    assert place.result(place.send("modest"))["result"] == 1
    assert worker.status()["counts"]["crashed"] == 2


def test_a_child_is_replaced_after_so_many_jobs(place: Place) -> None:
    worker = started(
        place, "@headrace.task\ndef who() -> int:\n    return os.getpid()\n", "recycle = 10"
    ).worker()
    jobs = place.python(
        "import shop_tasks\nfor job in shop_tasks.who.many([()] * 35): print(job.id)"
    ).split()
    pids = [place.result(job)["result"] for job in jobs]
    assert sorted(map(pids.count, set(pids))) == [5, 10, 10, 10]
    assert len(worker.lines("child_retired")) == 3


def test_a_pool_shrinks_to_its_least_when_there_is_nothing_to_do(place: Place) -> None:
    worker = started(
        place, "@headrace.task\ndef nap() -> None:\n    time.sleep(1)\n", 'processes = "1..3"'
    ).worker()
    for _ in range(6):
        place.send("nap", keep_result=False)
    until(lambda: len(worker.status()["children"]) == 3)
    until(lambda: len(worker.status()["children"]) == 1, within=90)
    assert "signal" not in "".join(worker.lines("child_ended"))
