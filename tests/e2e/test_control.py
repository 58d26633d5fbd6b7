"""What people see and change while workers run: `headrace workers, jobs, queues, dead, top, pause, resume,
drain, cancel, log-level`, against real children and a real store."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest
from web_process import UnixConnection
from worker_process import Place, gone, started, until

NAP = (
    "@headrace.task\n"
    "def nap(path: str = '') -> str:\n"
    "    while path and not os.path.exists(path):\n        time.sleep(0.02)\n"
    "    return 'slept'\n"
)
BAD = "@headrace.task(retries=0)\ndef bad(why: str) -> str:\n    raise ValueError(why)\n"

WORSE = (
    "@headrace.task(retries=0)\ndef worse() -> str:\n"
    "    if not os.path.exists('mended'):\n        raise OSError('broken')\n"
    "    return 'well'\n"
)


def run(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    return place.headrace(*words)


def told(place: Place, *words: str) -> dict[str, Any]:
    """The JSON of a command that succeeds."""
    done = run(place, *words, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_workers_and_jobs_show_who_does_what(place: Place) -> None:
    started(place, NAP).worker()
    go = place.folder / "go"
    job = place.send("nap", str(go))
    place.send("nap", "", keep_result=False)
    until(lambda: [row["state"] for row in told(place, "jobs")["jobs"]][:1] == ["running"])
    (pool,) = told(place, "workers")["pools"]
    (child,) = pool["status"]["children"]
    assert (child["state"], child["job"], child["task"]) == ("busy", job, "shop_tasks.nap")
    assert child["memory"] > 1 << 20
    text = run(place, "workers").stdout
    assert job in text and "default" in text and str(child["pid"]) in text
    running = told(place, "jobs", "--state", "running")["jobs"]
    assert [(row["job"], row["pool"], row["pid"]) for row in running] == [(job, "default", child["pid"])]
    everything = told(place, "jobs", "--waiting")["jobs"]
    assert len(everything) == 2
    top = run(place, "top")
    assert top.returncode == 0 and job in top.stdout and "\x1b" not in top.stdout
    go.touch()
    until(lambda: place.depth() == 0)


def test_a_paused_queue_is_not_received_from_until_it_is_resumed(place: Place) -> None:
    worker = started(place, NAP).worker()
    assert run(place, "pause", "default").stdout == "paused: default\n"
    job = place.send("nap")
    (queue,) = told(place, "queues", "default")["queues"]
    assert (queue["waiting"], queue["in_work"], queue["paused"]) == (1, 0, True)
    assert queue["oldest_s"] >= 0 and queue["dead"] == 0
    assert worker.stop() == 0
    worker = place.worker()
    assert worker.status()["paused"] == ["default"], "a pause outlives the worker"
    assert place.depth() == 1 and worker.status()["counts"]["received"] == 0
    assert run(place, "resume", "default").stdout == "no queue is paused\n"
    assert place.result(job)["result"] == "slept"
    assert run(place, "pause", "defualt").returncode == 1
    assert run(place, "pause").returncode == 2


def test_a_drained_pool_begins_nothing_until_it_is_resumed(place: Place) -> None:
    worker = started(place, NAP).worker()
    go = place.folder / "go"
    first = place.send("nap", str(go))
    worker.busy_child()
    late = run(place, "drain", "--within", "0s")
    assert late.returncode == 1 and "1 jobs still run" in late.stderr
    go.touch()
    assert run(place, "drain").returncode == 0
    assert place.result(first)["attempts"] == 1
    second = place.send("nap")
    assert worker.status()["resting"] and worker.status()["counts"]["received"] == 1
    assert run(place, "resume", "--pool", "default").returncode == 0
    assert place.result(second)["result"] == "slept"


# ---- cancelling


def test_a_job_that_waits_is_cancelled_and_never_begins(place: Place) -> None:
    worker = started(place, NAP).worker()
    run(place, "pause", "--all")
    job = place.send("nap")
    asked = run(place, "cancel", job)
    assert asked.returncode == 0 and "none will start it" in asked.stdout
    run(place, "resume", "--all")
    result = place.result(job)
    assert (result["state"], result["attempts"], result["result"]) == ("cancelled", 0, None)
    until(lambda: place.depth() == 0)
    assert worker.lines("job_started") == []
    until(lambda: place.object(f"cancel/{job}") is None)
    again = run(place, "cancel", job)
    assert again.returncode == 1 and "has ended already: cancelled" in again.stderr


def test_a_job_that_runs_is_told_and_ends(place: Place) -> None:
    source = (
        "@headrace.task\n"
        "def nap(path: str) -> str:\n"
        "    try:\n        time.sleep(1000)\n"
        "    except headrace.JobCancelled:\n"
        "        open(path, 'w').write(str(headrace.current().cancelled))\n        raise\n"
        "    return 'slept'\n"
    )
    worker = started(place, source).worker()
    seen = place.folder / "seen"
    job = place.send("nap", str(seen))
    child = worker.busy_child()
    asked = run(place, "cancel", job, "--wait", "30")
    assert asked.returncode == 0 and asked.stdout == f"job {job} ended as cancelled\n"
    assert seen.read_text() == "True"
    assert worker.status()["counts"]["cancelled"] == 1 and worker.status()["counts"]["crashed"] == 0
    assert not gone(child), "the child goes on"
    until(lambda: place.depth() == 0)


def test_a_job_that_does_not_listen_is_killed(place: Place) -> None:
    source = (
        "@headrace.task\n"
        "def deaf() -> None:\n"
        "    while True:\n        try:\n            time.sleep(1)\n"
        "        except BaseException:\n            pass\n"
    )
    worker = started(place, source).worker()
    job = place.send("deaf")
    child = worker.busy_child()
    assert run(place, "cancel", job, "--wait", "60").returncode == 0
    assert gone(child)
    assert place.mark(job) is None


def test_an_async_job_is_cancelled_and_those_beside_it_go_on(place: Place) -> None:
    source = (
        "import asyncio\n"
        "@headrace.task\n"
        "async def nap(path: str) -> str:\n"
        "    while not os.path.exists(path):\n        await asyncio.sleep(0.02)\n"
        "    return 'slept'\n"
    )
    worker = started(place, source).worker()
    go = place.folder / "go"
    first, second = place.send("nap", str(go)), place.send("nap", str(go))
    until(lambda: len(worker.lines("job_started")) == 2)
    assert run(place, "cancel", first, "--wait", "30").returncode == 0
    go.touch()
    assert place.result(second)["attempts"] == 1
    assert len(worker.lines("child_started")) == 1


# ---- dead letters


def test_dead_letters_are_shown_retried_and_purged(place: Place) -> None:
    started(
        place,
        BAD + WORSE,
    ).worker()
    bad = place.send("bad", "no good")
    worse = [place.send("worse") for _ in range(15)]
    until(lambda: told(place, "queues", "default")["queues"][0]["dead"] == 16)
    listed = told(place, "dead", "list")["dead"]
    assert {letter["job"] for letter in listed} == {bad, *worse}
    (one,) = told(place, "dead", "list", "--task", "shop_tasks.bad", "--since", "1h")["dead"]
    assert (one["queue"], one["reason"], one["error"]) == ("default", "exception", "ValueError: no good")
    shown = run(place, "dead", "show", bad)
    assert shown.returncode == 0 and "shop_tasks.py" in shown.stdout and "ValueError: no good" in shown.stdout
    (place.folder / "mended").touch()
    assert run(place, "dead", "retry").returncode == 2, "all of them have to be asked for"
    assert run(place, "dead", "retry", "--task", "shop_tasks.worse").stdout == "retried 15\n"
    for job in worse:
        assert until(lambda: place.object(f"result/{job}"))["result"] == "well"
    until(lambda: told(place, "queues", "default")["queues"][0]["dead"] == 1)
    assert told(place, "dead", "purge", "--reason", "timeout")["purged"] == 0
    assert told(place, "dead", "purge", "--job", bad)["purged"] == 1
    assert told(place, "dead", "list")["dead"] == []
    assert run(place, "dead", "show", bad).returncode == 1


def test_a_retried_job_that_dies_again_is_a_letter_again(place: Place) -> None:
    worker = started(place, BAD).worker()
    place.send("bad", "still")
    until(lambda: len(told(place, "dead", "list")["dead"]) == 1)
    assert run(place, "dead", "retry", "--all").stdout == "retried 1\n"
    worker.wait_for("job_dead", count=2)
    until(lambda: len(told(place, "dead", "list")["dead"]) == 1)


# ---- what waits for its time


def test_what_waits_is_sent_by_one_worker_of_several(place: Place) -> None:
    started(place, NAP)
    s3 = place.client("s3")
    s3.create_bucket(Bucket="headrace-shop")
    now = int(time.time() * 1000)
    minute = time.strftime("%Y%m%d%H%M", time.gmtime(now / 1000))

    def later(**claim: int) -> str:
        call = {"headrace": 1, "id": str(uuid.uuid4()), "task": "shop_tasks.nap", "sent": now}
        body = {"v": 1, "queue": "default", "due": now, "message": json.dumps(call)} | claim
        s3.put_object(Bucket="headrace-shop", Key=f"later/{minute}/{call['id']}", Body=json.dumps(body))
        return str(call["id"])

    jobs = [later() for _ in range(40)] + [later(claimed=now - 60_000)]
    another_has_it = later(claimed=now + 60_000)
    workers = [
        place.worker(ready=False),
        place.worker("--control", str(place.folder / "o.sock"), ready=False),
    ]
    for job in jobs:
        assert place.result(job)["attempts"] == 1

    def left() -> list[str]:
        found = s3.list_objects_v2(Bucket="headrace-shop", Prefix="later/")
        return [entry["Key"] for entry in found.get("Contents", [])]

    until(lambda: left() == [f"later/{minute}/{another_has_it}"])
    sent = [line for worker in workers for line in worker.lines("later_sent")]
    assert len(sent) == len(jobs), "each once"


# ---- small things


def test_the_log_level_can_be_changed_while_it_runs(place: Place) -> None:
    source = (
        "@headrace.task\ndef talk() -> str:\n    headrace.current().log.debug('in detail')\n    return ''\n"
    )
    worker = started(place, source).worker()
    place.result(place.send("talk"))
    assert worker.lines("task_log") == []
    assert run(place, "log-level", "debug").returncode == 0
    place.result(place.send("talk"))
    assert "in detail" in worker.wait_for("task_log")[0]
    assert run(place, "log-level", "loud").returncode == 2


def test_a_result_goes_after_the_time_that_the_application_keeps_it(place: Place) -> None:
    place.write(NAP)
    config = place.folder / "headrace.toml"
    config.write_text(config.read_text().replace("[app]", '[app]\nresults_kept = "3s"'))
    place.start_store()
    worker = place.worker()
    job = place.send("nap")
    assert place.result(job)["result"] == "slept"
    until(lambda: place.object(f"result/{job}") is None)
    assert "prefix=result/ objects=1" in worker.wait_for("old_removed")[0]


def test_without_a_worker_every_command_says_so(place: Place) -> None:
    started(place, NAP)
    for words in (["workers"], ["top"], ["drain"], ["log-level", "debug"], ["jobs"]):
        done = run(place, *words)
        assert (done.returncode, done.stdout) == (4, ""), words
        assert done.stderr.startswith("headrace: no worker runs here: nobody answers at ")
        assert done.stderr.count("\n") == 1 and "worker-default.sock" in done.stderr
    assert run(place, "workers", "--pool", "defualt").returncode == 2


ASK = """
import http.client, os, socket, sys
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
os.setuid(int(sys.argv[2]))
for method, path in (("GET", "/status"), ("POST", "/rest")):
    there = Unix("localhost")
    there.request(method, path)
    print(there.getresponse().status)
"""


def asked_by(place: Place, user: int) -> str:
    """What the control socket answers to a process of somebody else, who may connect."""
    path = place.folder / ".headrace/run/worker-default.sock"
    path.chmod(0o666)
    for folder in list(path.parents)[:-1]:
        if folder.stat().st_mode & 0o055 != 0o055:
            folder.chmod(0o755)
    return subprocess.run(
        [sys.executable, "-c", ASK, str(path), str(user)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to ask as another user")
def test_only_operators_and_the_workers_own_user_change_things(place: Place) -> None:
    one, other = (pwd.getpwnam(name) for name in ("daemon", "bin"))
    group = grp.getgrgid(one.pw_gid).gr_name
    worker = started(place, NAP, f'[host]\noperators = "{group}"\n').worker()
    for stranger in (other.pw_uid, 65534):
        assert asked_by(place, stranger) == "200\n403\n"
    assert not worker.status()["resting"]
    assert asked_by(place, one.pw_uid) == "200\n200\n"
    assert worker.status()["resting"]


def test_what_the_control_socket_does_not_understand_changes_nothing(place: Place) -> None:
    worker = started(place, NAP).worker()

    def ask(method: str, target: str, body: bytes = b"") -> int:
        there = UnixConnection(str(place.folder / ".headrace/run/worker-default.sock"))
        there.request(method, target, body)
        status = there.getresponse().status
        there.close()
        return status

    level = json.dumps({"level": "debug"}).encode()
    assert ask("POST", "/log-level", level.ljust(64 << 10)) == 200, "as long as it may be"
    assert ask("POST", "/log-level", level.ljust((64 << 10) + 1)) == 400
    assert ask("POST", "/log-level", b'{"level":') == ask("POST", "/log-level", b"[]") == 400
    assert ask("POST", "/log-level", b'{"level":7}') == 400
    assert ask("POST", "/handed-over") == 403, "no successor was started"
    assert ask("GET", "/rest") == ask("DELETE", "/status") == ask("POST", "/status") == 404
    assert not worker.status()["resting"] and not worker.status()["draining"]


def test_every_command_answers_with_one_json_object(place: Place) -> None:
    worker = started(place, NAP + BAD).worker()
    done, bad, other = place.send("nap"), place.send("bad", "x"), place.send("bad", "y")
    place.result(done), place.result(bad), place.result(other)
    until(lambda: len(told(place, "dead", "list")["dead"]) == 2)
    waits = str(uuid.uuid4())
    for words in (
        ("workers",),
        ("top",),
        ("jobs",),
        ("jobs", done),
        ("queues",),
        ("dead", "list"),
        ("dead", "show", bad),
        ("dead", "retry", "--job", bad),
        ("dead", "purge", "--job", other),
        ("pause", "default"),
        ("resume", "default"),
        ("drain",),
        ("resume", "--pool", "default"),
        ("cancel", waits),
        ("log-level", "debug"),
        ("reload",),
    ):
        answer = run(place, *words, "--json")
        assert (answer.returncode, answer.stderr) == (0, ""), words
        assert isinstance(json.loads(answer.stdout), dict), words
    assert worker.process.wait(60) == 0, "another one has its place"
