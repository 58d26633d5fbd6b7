"""The process in which a worker's tasks run, spoken to as its parent does."""

from __future__ import annotations

import pathlib
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from child_process import Child
from conftest import PACKAGE

TASKS = """
import asyncio, dataclasses, logging, subprocess, sys, time
import headrace

@headrace.task(queue="sums", retries=3, timeout=60, aliases=["old.add"])
def add(a: int, b: int) -> int:
    logging.getLogger("sums").info("adding %d", a)
    return a + b

@headrace.task
def silent(a: int) -> None:
    return a

@headrace.task
async def later(a: int) -> int:
    await asyncio.sleep(0)
    return a

@headrace.task
def raises(text: str):
    raise KeyError(text)

@headrace.task
def again(delay):
    raise headrace.Retry(delay=delay)

@headrace.task
def give_up():
    raise headrace.GiveUp("no use")

@headrace.task
def leaves():
    sys.exit(3)

@headrace.task
def odd():
    return {1: "a"}

@headrace.task
def half():
    return "\\ud800"

@headrace.task
def context():
    now = headrace.current()
    return [now.id, now.task, now.queue, now.attempt, now.request_id, 0 < now.remaining() <= 300]

@headrace.task
def hang(pid_file: str):
    child = subprocess.Popen(["sleep", "600"])
    with open(pid_file + ".new", "w") as out:
        out.write(str(child.pid))
    import os
    os.rename(pid_file + ".new", pid_file)
    while True:
        pass

@headrace.task
def forks(n: int) -> int:
    import multiprocessing
    processes = [multiprocessing.get_context("fork").Process(target=say) for _ in range(n)]
    for process in processes: process.start()
    for process in processes: process.join()
    return sum(process.exitcode for process in processes)

@headrace.task
def waits(path: str) -> str:
    import os
    while not os.path.exists(path):
        time.sleep(0.01)
    return path

def say():
    for _ in range(200): logging.getLogger("forked").info("x" * 1000)

@headrace.consumer(queue="orders")
def order(message: headrace.Message) -> None:
    logging.getLogger("orders").info("%s %s", message.json(), dict(message.attributes))

@headrace.on("s3:ObjectCreated:*", bucket="inbox", prefix="in/", suffix=".pdf")
def arrived(event: headrace.Event) -> dict:
    return dataclasses.asdict(event) | {"time": event.time.timestamp()}
"""

Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    started = []

    def make(text: str = TASKS, modules: str = "app_tasks", **environment: str) -> Child:
        (tmp_path / "app_tasks.py").write_text(text)
        child = Child(tmp_path, PACKAGE, modules, **environment)
        started.append(child)
        return child

    yield make
    for child in started:
        child.end()


@pytest.fixture
def child(start: Start) -> Child:
    child = start()
    assert child.receive()["op"] == "ready"
    return child


def test_it_says_what_its_modules_declare(start: Start) -> None:
    ready = start().receive()
    assert ready["op"] == "ready"
    tasks = {task["name"]: task for task in ready["tasks"]}
    assert tasks["app_tasks.add"] == {
        "name": "app_tasks.add",
        "queue": "sums",
        "retries": 3,
        "backoff": 1.0,
        "backoff_cap": 600.0,
        "timeout": 60.0,
        "keep_result": True,
        "async": False,
        "aliases": ["old.add"],
    }
    assert not tasks["app_tasks.silent"]["keep_result"]
    assert tasks["app_tasks.raises"]["keep_result"]
    assert ready["triggers"] == [
        {
            "task": "app_tasks.arrived",
            "event": "s3:ObjectCreated:*",
            "bucket": "inbox",
            "prefix": "in/",
            "suffix": ".pdf",
            "queue": "on-app_tasks-arrived",
        }
    ]
    assert ready["consumers"] == [{"task": "app_tasks.order", "queue": "orders"}]


def test_it_runs_tasks_and_ends_when_asked(child: Child) -> None:
    done = child.run("app_tasks.add", 1, 2)
    assert (done["op"], done["result"]) == ("done", 3)
    assert [(log["level"], log["logger"], log["message"], log["id"]) for log in child.logs] == [
        ("info", "sums", "adding 1", done["id"])
    ]
    assert child.run("old.add", 2, kwargs={"b": 5})["result"] == 7
    assert child.run("app_tasks.later", 4)["result"] == 4
    assert child.run("app_tasks.silent", 4, keep_result=False)["result"] is None
    assert child.stop() == 0


def test_what_is_taken_back_before_it_began_never_begins(child: Child, tmp_path: pathlib.Path) -> None:
    first, go = tmp_path / "first", tmp_path / "go"
    first.touch()
    assert child.run("app_tasks.waits", str(first))["op"] == "done"
    child.give("app_tasks.waits", str(go))
    child.give("app_tasks.add", 1, 1)
    child.give("app_tasks.add", 2, 2)
    while child.begun() < 2:
        time.sleep(0.01)
    assert child.take_back() == 2
    go.touch()
    assert child.receive()["result"] == str(go)
    assert child.run("app_tasks.add", 3, 3)["result"] == 6
    assert [log["message"] for log in child.logs] == ["adding 3"]


def test_a_task_knows_its_job(child: Child) -> None:
    done = child.run("app_tasks.context", attempt=3)
    assert done["result"] == [done["id"], "app_tasks.context", "default", 3, "req-1", True]


def test_failures_carry_type_message_and_a_traceback_of_the_handler(child: Child) -> None:
    failed = child.run("app_tasks.raises", "here")
    assert (failed["op"], failed["type"], failed["message"], failed["retry"], failed["delay"]) == (
        "failed",
        "KeyError",
        "'here'",
        True,
        None,
    )
    assert "in raises" in failed["traceback"] and "_child.py" not in failed["traceback"]


def test_retry_give_up_and_exit_are_outcomes(child: Child) -> None:
    assert child.run("app_tasks.again", 7.5)["delay"] == 7.5
    assert child.run("app_tasks.give_up")["retry"] is False
    left = child.run("app_tasks.leaves")
    assert (left["op"], left["type"], left["retry"]) == ("failed", "SystemExit", True)
    assert child.run("app_tasks.nothing")["retry"] is False
    assert child.run("app_tasks.add", 1)["type"] == "TypeError"


def test_a_result_that_json_cannot_carry_is_not_retried(child: Child) -> None:
    odd = child.run("app_tasks.odd")
    assert odd["retry"] is False and "has the key 1; keys must be text" in odd["message"]
    assert child.run("app_tasks.half")["retry"] is False


def test_processes_that_a_handler_forks_do_not_speak_to_the_parent(child: Child) -> None:
    assert child.run("app_tasks.forks", 3)["result"] == 0
    assert child.logs == []
    assert child.run("app_tasks.add", 1, 1)["result"] == 2


def test_an_event_becomes_the_handlers_argument(child: Child) -> None:
    event = {
        "bucket": "inbox",
        "key": "in/a b.pdf",
        "size": 3,
        "etag": "e",
        "event_name": "ObjectCreated:Put",
        "sequencer": "01",
        "time": "2026-01-02T03:04:05.678Z",
        "request_id": "r",
    }
    assert child.run("app_tasks.arrived", event=event)["result"] == event | {"time": 1767323045.678}


def test_a_message_becomes_the_consumers_argument(child: Child) -> None:
    event = {"id": "m", "body": '{"n": 1}', "sent": 1700000000000, "attributes": {"from": "till"}}
    done = child.run("app_tasks.order", event=event, keep_result=False)
    assert (done["op"], done["result"]) == ("done", None)
    assert child.logs[0]["message"] == "{'n': 1} {'from': 'till'}"


def test_an_import_error_names_file_and_line(start: Start, tmp_path: pathlib.Path) -> None:
    child = start("import headrace\n\nimport not_there\n")
    failed = child.receive()
    assert failed["op"] == "failed_start"
    assert "cannot import app_tasks: ModuleNotFoundError" in failed["message"]
    assert (failed["file"], failed["line"]) == (str(tmp_path / "app_tasks.py"), 3)
    assert child.process.wait(timeout=30) == 2


def test_a_module_that_is_not_there_names_the_option_and_no_file_of_pythons_own(start: Start) -> None:
    failed = start(modules="tsaks", HEADRACE_POOL="slow").receive()
    assert failed["message"].startswith("worker.slow.modules: cannot import tsaks: ModuleNotFoundError")
    assert (failed["file"], failed["line"]) == ("", 0)


def test_a_syntax_error_names_file_and_line(start: Start, tmp_path: pathlib.Path) -> None:
    failed = start("x = 1\ndef broken(:\n").receive()
    assert (failed["file"], failed["line"]) == (str(tmp_path / "app_tasks.py"), 2)


def test_two_tasks_of_one_name_are_refused(start: Start) -> None:
    text = TASKS + "\n@headrace.task(name='app_tasks.add')\ndef other(): ...\n"
    assert "two tasks are named app_tasks.add" in start(text).receive()["message"]


def test_another_version_of_the_program_is_refused(start: Start) -> None:
    failed = start(HEADRACE_VERSION="9.9.9").receive()
    assert failed["op"] == "failed_start" and "headrace python install" in failed["message"]


def gone(pid: int) -> bool:
    """Ended, reaped or not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for_file(path: pathlib.Path, child: Child) -> str:
    while not path.exists():
        assert child.process.poll() is None
        signal.sigtimedwait([], 0.02)
    return path.read_text()


def test_the_parents_end_ends_a_running_job_and_its_processes(child: Child, tmp_path: pathlib.Path) -> None:
    child.give("app_tasks.hang", str(tmp_path / "pid"))
    grandchild = int(wait_for_file(tmp_path / "pid", child))
    child.socket.close()
    assert child.process.wait(timeout=30) == -signal.SIGKILL
    while not gone(grandchild):
        signal.sigtimedwait([], 0.02)


def test_a_lease_that_is_not_renewed_ends_the_child(child: Child, tmp_path: pathlib.Path) -> None:
    child.set_lease(60)
    assert child.run("app_tasks.add", 1, 2)["result"] == 3
    child.set_lease(5.5)
    assert child.process.wait(timeout=30) == -signal.SIGKILL
