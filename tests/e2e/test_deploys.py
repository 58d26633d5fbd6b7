"""New code under load: a worker's successor takes over, and no job is lost, repeated or left waiting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import up_process
from web_process import UnixConnection, package
from worker_process import Place, gone, started, until

SOURCE = """
VERSION = {version}
@headrace.task(retries=0)
def work(number: int, sent: float) -> str:
    begun = time.time()
    time.sleep(0.005)
    with open("runs", "a") as runs:
        runs.write(f"{{number}} {{VERSION}} {{os.getppid()}} {{begun - sent:.4f}}\\n")
    return "done"
"""
SENDER = """
import sys, time, shop_tasks
for number in range(int(sys.argv[1])):
    shop_tasks.work.delay(number, time.time())
    time.sleep(0.02)
"""


def test_reloads_under_load_lose_repeat_and_delay_nothing(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    count = 600
    worker = started(place, SOURCE.format(version=0), "processes = 2").worker()
    first = worker.status()["pid"]
    sender = subprocess.Popen(
        [sys.executable, "-c", SENDER, str(count)],
        cwd=place.folder,
        env=place.environment() | {"HEADRACE_CONFIG": str(place.folder / "headrace.toml")},
    )

    def has_run(version: int) -> bool:
        runs = place.folder / "runs"
        lines = runs.read_text().splitlines() if runs.exists() else []
        return any(line.split()[1] == str(version) for line in lines)

    for version in (1, 2, 3):
        until(lambda: has_run(version - 1))  # the sender may still be starting
        place.write(SOURCE.format(version=version), "processes = 2")
        reloaded = place.headrace("reload", "--json")
        assert reloaded.returncode == 0, reloaded.stderr + worker.text()
        (pool,) = json.loads(reloaded.stdout)["pools"]
        assert pool["to"] == worker.status()["pid"] != pool["from"]
    assert sender.wait(timeout=120) == 0
    until(lambda: place.depth() == 0)
    rows = [line.split() for line in (place.folder / "runs").read_text().splitlines()]
    assert sorted(int(row[0]) for row in rows) == list(range(count)), "each once"
    assert {row[1] for row in rows} == {"0", "1", "2", "3"}
    assert len({row[2] for row in rows}) == 4, "four parents"
    log = worker.text()
    assert " job_failed " not in log and " lease_lost " not in log and " message_again " not in log
    waits = sorted(float(row[3]) for row in rows)
    record_property("median_wait_s", waits[count // 2])
    record_property("longest_wait_s", waits[-1])
    print(f"waits: median {waits[count // 2]:.4f} s, longest {waits[-1]:.4f} s")
    until(lambda: gone(first))
    last = worker.status()["pid"]
    os.kill(last, signal.SIGTERM)
    until(lambda: gone(last))
    assert not (place.folder / ".headrace/run/worker-default.sock").exists()


def test_what_the_old_process_runs_goes_on_beside_the_new_one(place: Place) -> None:
    nap = (
        "@headrace.task(retries=0)\n"
        "def nap(path: str) -> int:\n"
        "    while not os.path.exists(path):\n        time.sleep(0.02)\n"
        "    return os.getppid()\n"
    )
    worker = started(place, nap).worker()
    old = worker.process.pid
    job = place.send("nap", str(place.folder / "go"))
    worker.busy_child()
    worker.process.send_signal(signal.SIGHUP)
    until(lambda: worker.status()["pid"] != old)
    other = place.send("nap", str(place.folder))
    assert place.result(other)["result"] == worker.status()["pid"]
    (place.folder / "go").touch()
    result = place.result(job)
    assert (result["result"], result["attempts"]) == (old, 1)
    assert worker.process.wait(timeout=60) == 0
    os.kill(worker.status()["pid"], signal.SIGTERM)


def test_a_successor_that_does_not_come_up_changes_nothing(place: Place) -> None:
    worker = started(place, SOURCE.format(version=0)).worker()
    (place.folder / "shop_tasks.py").write_text("import nothing_of_that_name\n")
    reloaded = place.headrace("reload")
    assert reloaded.returncode == 1 and "did not come up" in reloaded.stderr
    assert worker.lines("successor_failed") and "nothing_of_that_name" in worker.text()
    assert worker.status()["pid"] == worker.process.pid
    job = place.send("work", 1, time.time())
    assert place.result(job)["result"] == "done"
    assert worker.stop() == 0


def test_up_hands_a_pool_over_and_ends_what_took_over() -> None:
    more = '[worker.default]\nmodules = ["probe_tasks"]\n'
    with up_process.a_place(more=more) as place:
        config = place.folder / "headrace.toml"
        config.write_text(config.read_text().replace("[app]", f'[app]\npython = "{sys.executable}"'))
        (place.folder / "probe_tasks.py").write_text(
            "import headrace\n@headrace.task\ndef one() -> int:\n    return 1\n"
        )

        def status() -> dict[str, object]:
            connection = UnixConnection(str(place.state / "run/worker-default.sock"))
            connection.request("GET", "/status")
            answer = dict(json.loads(connection.getresponse().read()))
            connection.close()
            return answer

        up = place.start("setsid", "--wait", "env", f"PYTHONPATH={package()}")
        try:
            up.wait_until_ready()
            old = up.pid("worker-default")
            assert status()["pid"] == old
            os.kill(int(up.ready()["pid"]), signal.SIGHUP)
            until(lambda: "up.replaced role=worker-default" in place.said)
            new = int(str(until(lambda: status()["pid"] != old and status()["pid"])))
            until(lambda: gone(old))
            assert not gone(new)
            os.kill(int(up.ready()["pid"]), signal.SIGTERM)
            assert up.process.wait(timeout=up_process.STOP_WITHIN_S) == 0, place.said
            assert gone(new) and place.processes() == {}
        finally:
            up.stop(signal.SIGKILL)
            for pid in place.processes():
                os.kill(pid, signal.SIGKILL)
