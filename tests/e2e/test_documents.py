"""The example as a user meets it: `headrace up`, uploads by curl over TLS, results, the dead letter and its
reason, and one request id and job id from nginx's log to the result."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from documents_stack import PYTHON, SAMPLES, Site, Stack, running


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running() as ready:
        yield ready


@pytest.fixture
def site(stack: Stack) -> Site:
    return Site(stack)


def curl(stack: Stack, *arguments: str) -> str:
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "60",
        "--cacert",
        str(stack.certificate),
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def curl_json(stack: Stack, *arguments: str) -> Any:
    return json.loads(curl(stack, "--header", "Accept: application/json", *arguments))


def send(stack: Stack, name: str) -> dict[str, Any]:
    said = curl_json(stack, "--upload-file", str(SAMPLES / name), f"{stack.url}/documents/{name}")
    return {"request_id": said["request_id"], **said["documents"][0]}


def access_lines(stack: Stack) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (stack.state / "log" / "access.jsonl").read_text().splitlines()]


def log_lines(stack: Stack, *words: str) -> list[str]:
    lines = (stack.state / "log" / "headrace.log").read_text(errors="replace").splitlines()
    return [line for line in lines if all(word in line for word in words)]


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("mills.txt", "text", "headrace"),
        ("mills.txt.gz", "text", "headrace"),
        ("locks.md", "Markdown", "chamber"),
        ("waterworks.html", "HTML", "waterworks"),
        ("rivers.csv", "CSV", "mediterranean"),
        ("headrace.pdf", "PDF", "headrace"),
    ],
)
def test_every_kind_of_document_comes_out(stack: Stack, site: Site, name: str, kind: str, word: str) -> None:
    outcome = site.ended(send(stack, name)["page"])
    assert outcome["state"] == "done", outcome["error"]
    assert outcome["result"]["type"] == kind
    assert outcome["result"]["packed"] == name.endswith(".gz")
    assert word in [entry["word"] for entry in outcome["result"]["keywords"]]
    assert outcome["attempts"] == 1
    page = curl(stack, f"{stack.url}/documents/{outcome['key']}")
    assert f"<td>{word}<td" in page and outcome["job"] in page
    text = curl(stack, f"{stack.url}/documents/{outcome['key']}/text")
    assert len(text) == outcome["result"]["words"]["characters"]


def test_a_form_upload_leads_to_the_documents_page(stack: Stack) -> None:
    said = curl(stack, "--form", f"document=@{SAMPLES / 'locks.md'}", "--location", f"{stack.url}/documents")
    assert re.search(r"<h1>locks\.md <span class=\"state (waiting|running|done)\"", said)


def test_the_broken_pdf_is_a_dead_letter_with_its_reason(stack: Stack, site: Site) -> None:
    sent = send(stack, "broken.pdf")
    outcome = site.ended(sent["page"])
    assert outcome["state"] == "dead"
    assert outcome["error"].startswith("pdftotext cannot read it: ")
    assert outcome["attempts"] == 1, "GiveUp is final"
    assert outcome["error"] in curl(stack, f"{stack.url}{sent['page']}").replace("&#x27;", "'")

    letters = dead_letters(stack)
    assert [letter["headrace-job"] for letter in letters] == [outcome["job"]]
    assert letters[0]["headrace-task"] == "tasks.parse"
    assert letters[0]["headrace-reason"] == "exception"
    assert letters[0]["headrace-error"].endswith(f"GiveUp: {outcome['error']}")


def dead_letters(stack: Stack) -> list[dict[str, str]]:
    sqs = stack.store_client("sqs")
    url = sqs.get_queue_url(QueueName="on-tasks-parse-dead")["QueueUrl"]
    got = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
    )
    return [
        {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        for message in got.get("Messages", [])
    ]


def test_one_request_id_and_one_job_id_from_nginx_to_the_result(stack: Stack, site: Site) -> None:
    sent = send(stack, "mills.txt")
    outcome = site.ended(sent["page"])
    request, job = sent["request_id"], outcome["job"]
    assert re.fullmatch(r"[0-9a-f]{32}", request)

    [access] = [line for line in access_lines(stack) if line["request_id"] == request]
    assert (access["method"], access["path"], access["status"]) == ("PUT", "/documents/mills.txt", 201)
    assert log_lines(stack, "request", f"request={request}", "PUT"), "the application worker's own line"
    for event in ("job_started", "job_done"):
        assert len(log_lines(stack, event, f"job={job}", f"request={request}")) == 1, event
    assert log_lines(stack, f"job={job}", "read ", "mills.txt"), "the handler's own log line"
    assert outcome["request_id"] == request


def test_the_story_of_a_job_is_told(stack: Stack, site: Site) -> None:
    sent = send(stack, "broken.pdf")
    outcome = site.ended(sent["page"])
    told = stack.headrace("jobs", outcome["job"])
    assert told.returncode == 0, told.stderr
    for word in (outcome["job"], sent["request_id"], "tasks.parse", "dead", "pdftotext cannot read it"):
        assert word in told.stdout, word
    as_json = stack.headrace("jobs", outcome["job"], "--json")
    assert as_json.returncode == 0 and json.loads(as_json.stdout)
    unknown = stack.headrace("jobs", "00000000-0000-7000-8000-000000000000")
    assert unknown.returncode == 1
    assert len(unknown.stderr.strip().splitlines()) == 1


def test_the_sender_prints_a_table_and_is_content(stack: Stack) -> None:
    done = subprocess.run(
        [PYTHON, stack.app / "send.py", "--url", stack.url, "--state", stack.state],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert "text in gzip" in rows["mills.txt.gz"] and "waterworks" in rows["waterworks.html"]
    assert "dead letter: pdftotext cannot read it" in rows["broken.pdf"]


def test_plain_http_serves_the_same_on_loopback(stack: Stack) -> None:
    assert "<h1>Documents</h1>" in curl(stack, f"http://127.0.0.1:{stack.http}/")


def test_an_upload_beyond_the_limit_is_refused_and_harms_nobody(stack: Stack, site: Site) -> None:
    status, _, answer = site.ask("PUT", "/documents/big.txt", b"x" * (8 << 20) + b"y")
    assert status == 413 and b"at most" in answer
    edge = Site(stack).upload("edge.txt", b"wheel " * ((4 << 20) // 6))
    assert Site(stack).ended(edge["page"])["state"] == "done"


def test_a_stop_leaves_no_process_and_a_start_finds_everything(stack: Stack, site: Site) -> None:
    sent = send(stack, "locks.md")
    before = site.ended(sent["page"])
    assert {process.kind for process in stack.processes()} >= {"up", "store", "api", "web", "worker", "child"}
    assert stack.stop() == 0, stack.end_of_log()
    assert stack.processes() == []
    stack.start()
    assert Site(stack).outcome(sent["page"]) == before
