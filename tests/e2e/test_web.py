"""The application worker as a process: requests, real applications, its supervisor's protocols, its end."""

from __future__ import annotations

import hashlib
import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
import web_process
from web_process import Site, Web

APP = '''
import hashlib, json, os, threading
from wsgiref.validate import validator
from headrace._context import request_id

meeting = threading.Barrier(2)
closed = []

class Body:
    def __init__(self, pieces): self.pieces = iter(pieces)
    def __iter__(self): return self.pieces
    def close(self): closed.append(True)

def plain(environ, start_response):
    length = environ.get("CONTENT_LENGTH")
    body = environ["wsgi.input"].read(int(length)) if length else b""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["REQUEST_METHOD"].encode(), b" ", body]

checked = validator(plain)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    say = lambda status, *headers: start_response(status, list(headers))
    if path == "/checked":
        return checked(environ, start_response)
    if path == "/environ":
        say("200 OK", ("Content-Type", "application/json"))
        kept = {k: v for k, v in environ.items() if isinstance(v, (str, bool, tuple))}
        return [json.dumps(kept | {"context": request_id.get()}).encode()]
    if path == "/meet":
        meeting.wait(20)
        say("200 OK")
        return [b"met"]
    if path == "/digest":
        digest, size = hashlib.sha256(), 0
        while piece := environ["wsgi.input"].read(100_000):
            digest.update(piece)
            size += len(piece)
        say("200 OK")
        return [f"{size} {digest.hexdigest()}".encode()]
    if path == "/lines":
        stream = environ["wsgi.input"]
        first, two = stream.readline(), stream.readline(2)
        more, rest = stream.readlines(4), list(stream)
        say("200 OK")
        return [json.dumps([first.decode(), two.decode(), [m.decode() for m in more],
                            [r.decode() for r in rest], stream.read().decode()]).encode()]
    if path == "/large":
        say("200 OK")
        return (b"%07d\\n" % i * 1000 for i in range(5000))
    if path == "/pieces":
        say("200 OK")
        return Body([b"one", b"", b"two"])
    if path == "/write":
        write = say("200 OK")
        write(b"written ")
        return [b"and returned"]
    if path == "/closed":
        say("200 OK")
        return [str(len(closed)).encode()]
    if path == "/file":
        say("200 OK")
        file = open(__file__, "rb")
        file.read(1)
        return environ["wsgi.file_wrapper"](file)
    if path == "/pid":
        say("200 OK")
        return [str(os.getpid()).encode()]
    return broken(path, say, environ)

def broken(path, say, environ):
    if path == "/raise":
        raise ValueError("before\\nthe start")
    if path == "/raise-started":
        say("200 OK", ("X-Thrown-Away", "1"))
        raise ValueError("after the start")
    if path == "/raise-sent":
        def pieces():
            yield b"begun"
            raise ValueError("in the middle")
        say("200 OK")
        return pieces()
    if path == "/exit":
        raise SystemExit(3)
    if path == "/short":
        say("200 OK", ("Content-Length", "10"))
        return [b"short"]
    if path == "/long":
        say("200 OK", ("Content-Length", "3"))
        return [b"longer"]
    if path == "/split":
        say("200 OK", ("X", "a\\r\\nSet-Cookie: b"))
        return [b""]
    if path == "/str":
        say("200 OK")
        return ["text"]
    if path == "/silent":
        return [b"never started"]
    if path == "/none":
        return None
    say("404 Not Found")
    return [b"no such page"]
'''


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    started = web_process.start(Site(tmp_path_factory.mktemp("site")).write(APP))
    yield started
    assert started.stop() == 0
    started.hear("STOPPING=1")


def curl(web: Web, *arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(
        ["curl", "-sS", "--max-time", "60", "--unix-socket", web.path, *arguments],
        input=data,
        capture_output=True,
        check=True,
    ).stdout


# ---- Requests and answers


def test_a_page_is_answered_and_logged_with_its_request_id(web: Web) -> None:
    status, body = web.get("/environ?a=%20b", X_Request_Id="abcdef-0123456789")
    seen = json.loads(body)
    assert status == 200
    assert seen["QUERY_STRING"] == "a=%20b"
    assert seen["context"] == seen["HTTP_X_REQUEST_ID"] == "abcdef-0123456789"
    line = web.log_line(" info    request ", "request=abcdef-0123456789")
    assert re.search(r"method=GET path=/environ status=200 seconds=0\.\d{6}$", line)


def test_a_request_id_that_is_none_is_replaced(web: Web) -> None:
    for told in ("short", "has spaces in it", "x" * 65):
        seen = json.loads(web.get("/environ", X_Request_Id=told)[1])
        assert re.fullmatch("[0-9a-f]{32}", seen["context"])


def test_the_environ_is_what_the_proxy_says(web: Web) -> None:
    answer = web.raw(
        b"GET /environ HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n"
        b"X-Forwarded-Proto: https\r\nX_Forwarded_For: forged\r\nProxy: http://evil\r\n"
        b"Connection: close\r\n\r\n"
    )
    seen = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    assert seen["REMOTE_ADDR"] == "192.0.2.7"
    assert seen["wsgi.url_scheme"] == "https"
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("shop.example", "443")
    assert seen["HTTP_X_FORWARDED_FOR"] == "6.6.6.6, 192.0.2.7"
    assert "HTTP_PROXY" not in seen
    assert seen["wsgi.multithread"] is True and seen["wsgi.run_once"] is False
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.1" and seen["SCRIPT_NAME"] == ""


def test_the_standards_own_checker_finds_nothing(web: Web) -> None:
    assert curl(web, "http://x/checked") == b"GET "
    assert curl(web, "http://x/checked", "--data-binary", "@-", data=b"sent") == b"POST sent"
    assert curl(web, "-I", "http://x/checked").startswith(b"HTTP/1.1 200 OK\r\n")
    assert curl(web, "http://x/checked", "-X", "DELETE", "-0") == b"DELETE "
    assert "AssertionError" not in web.log()


def test_two_requests_run_at_the_same_time(web: Web) -> None:
    answers: list[tuple[int, bytes]] = []
    threads = [threading.Thread(target=lambda: answers.append(web.get("/meet"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(200, b"met")] * 2


def test_a_large_upload_arrives_whole(web: Web, tmp_path: pathlib.Path) -> None:
    content = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(1_000_000))
    file = tmp_path / "upload"
    file.write_bytes(content)
    wanted = f"{len(content)} {hashlib.sha256(content).hexdigest()}".encode()
    assert curl(web, "http://x/digest", "-T", str(file)) == wanted
    assert curl(web, "http://x/digest", "-T", str(file), "-H", "Expect: 100-continue") == wanted
    assert curl(web, "http://x/digest", "-T", str(file), "-H", "Transfer-Encoding: chunked") == wanted


def test_a_large_download_arrives_whole(web: Web) -> None:
    wanted = b"".join(b"%07d\n" % i * 1000 for i in range(5000))
    assert curl(web, "http://x/large") == wanted
    assert curl(web, "http://x/large", "--http1.0") == wanted


def test_the_body_is_read_as_a_file(web: Web) -> None:
    body = b"first\nsecond\nthird\nfourth\nlast"
    wanted = ["first\n", "se", ["cond\n"], ["third\n", "fourth\n", "last"], ""]
    assert json.loads(curl(web, "http://x/lines", "--data-binary", "@-", data=body)) == wanted
    connection = web.connection()
    connection.request("POST", "/lines", iter([body[:8], body[8:9], body[9:]]), encode_chunked=True)
    assert json.loads(connection.getresponse().read()) == wanted
    connection.close()


def test_pieces_are_chunks_and_the_iterable_is_closed(web: Web) -> None:
    before = int(web.get("/closed")[1])
    answer = web.raw(b"GET /pieces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert int(web.get("/closed")[1]) == before + 1
    assert web.get("/write") == (200, b"written and returned")


def test_a_file_is_sent_from_where_it_stands(web: Web) -> None:
    assert web.get("/file") == (200, APP.encode()[1:])
    assert b"Content-Length: %d\r\n" % (len(APP.encode()) - 1) in curl(web, "-i", "http://x/file")


def test_one_connection_serves_many_requests(web: Web) -> None:
    connection = web.connection()
    connection.connect()
    used = connection.sock
    for _ in range(50):
        connection.request("POST", "/pid", b"unread")
        assert connection.getresponse().read() == str(web.process.pid).encode()
    assert connection.sock is used
    connection.close()


# ---- What is wrong


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\nY: z\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_framing_that_could_be_read_in_two_ways_is_refused(web: Web, head: bytes) -> None:
    answer = web.raw(head + b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("path", ["/raise", "/raise-started", "/exit", "/split", "/str", "/silent", "/none"])
def test_an_application_that_fails_is_answered_with_500_and_its_id(web: Web, path: str) -> None:
    identity = f"failing-{path[1:]}"
    answer = curl(web, "-i", f"http://x{path}", "-H", f"X-Request-Id: {identity}")
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert identity.encode() in answer
    assert b"Set-Cookie" not in answer and b"Thrown" not in answer
    web.log_line(" error   request_failed ", f"request={identity}")
    web.log_line(" request ", f"request={identity}", "status=500")
    assert web.get("/pid")[0] == 200


def test_a_failure_is_logged_with_its_traceback_and_forges_no_line(web: Web) -> None:
    web.get("/raise", X_Request_Id="with-traceback")
    line = web.log_line("request_failed", "request=with-traceback")
    assert r'error="ValueError: before\x0athe start"' in line
    assert 'raise ValueError("before' in web.log()
    assert "_web.py" not in web.log()


def test_a_failure_in_the_middle_ends_the_connection(web: Web) -> None:
    answer = web.raw(b"GET /raise-sent HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n5\r\nbegun\r\n")


def test_a_wrong_length_is_never_the_next_answers_problem(web: Web) -> None:
    two = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\nGET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    short = web.raw(two % b"short")
    assert short.endswith(b"\r\n\r\nshort")
    long = web.raw(two % b"long")
    assert b"\r\n\r\nlonHTTP/1.1 200 OK\r\n" in long
    web.log_line("answer_length_wrong", "path=/short", "missing=5")
    web.log_line("answer_length_wrong", "path=/long", "excess=3")


def test_an_upload_that_breaks_off_is_no_error_of_the_application(web: Web) -> None:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(web.path)
        asking.sendall(
            b"POST /digest HTTP/1.1\r\nHost: x\r\nX-Request-Id: broken-off\r\nContent-Length: 9\r\n\r\nabc"
        )
        asking.shutdown(socket.SHUT_WR)
        assert asking.recv(4096).startswith(b"HTTP/1.1 400 ")
    web.log_line(" request ", "request=broken-off", "status=400")
    assert not re.search("request_failed.*broken-off", web.log())


# ---- A real framework

FLASK = '''
import logging
from flask import Flask, Response, jsonify, request, send_file
app = Flask(__name__)

@app.post("/json")
def json():
    return jsonify(got=request.get_json(), address=request.remote_addr, secure=request.is_secure)

@app.post("/upload")
def upload():
    file = request.files["file"]
    return f"{file.filename} {len(file.read())}"

@app.get("/stream")
def stream():
    return Response((f"{i}\\n" for i in range(1000)), mimetype="text/plain")

@app.get("/file")
def file():
    return send_file(__file__)

@app.get("/fail")
def fail():
    logging.getLogger("shop").warning("about to fail")
    raise RuntimeError("oh")
'''


def test_flask_runs(tmp_path: pathlib.Path) -> None:
    web = web_process.start(Site(tmp_path / "flask").write(FLASK))
    sent = ("-H", "Content-Type: application/json", "-d", '{"a": 1}', "-H", "X-Forwarded-Proto: https")
    seen = json.loads(curl(web, "http://x/json", *sent, "-H", "X-Forwarded-For: 192.0.2.7"))
    assert seen == {"got": {"a": 1}, "address": "192.0.2.7", "secure": True}
    large = tmp_path / "large"
    large.write_bytes(b"x" * 3_000_000)
    assert curl(web, "http://x/upload", "-F", f"file=@{large}") == b"large 3000000"
    assert curl(web, "http://x/stream").decode().splitlines() == [str(i) for i in range(1000)]
    assert curl(web, "http://x/file") == FLASK.encode()
    assert curl(web, "-r", "0-9", "http://x/file") == FLASK.encode()[:10]
    assert curl(web, "-I", "http://x/file").startswith(b"HTTP/1.1 200 ")
    assert web.get("/nowhere")[0] == 404
    assert web.get("/fail", X_Request_Id="flask-fails")[0] == 500
    web.log_line(" warning app ", "request=flask-fails", "logger=shop", 'message="about to fail"')
    web.log_line(" error   app ", "request=flask-fails", "/fail")
    assert web.stop() == 0


# ---- Its supervisor


def test_a_restart_under_load_refuses_and_loses_nothing(tmp_path: pathlib.Path) -> None:
    site = Site(tmp_path / "load").write(APP)
    listening = web_process.listen(tmp_path / "web.sock")
    web = web_process.start(site, listening)
    pids: set[bytes] = set()
    failures: list[str] = []
    over = threading.Event()

    def ask(keep: bool) -> None:
        connection = web.connection()
        while not over.is_set():
            try:
                connection.request("POST", "/pid", b"x" * 100)
                answer = connection.getresponse()
                pids.add(answer.read())
                assert answer.status == 200
                if not keep:
                    connection.close()
            except (AssertionError, OSError, http.client.HTTPException) as error:
                failures.append(f"{keep}: {error!r}")
                connection.close()

    threads = [threading.Thread(target=ask, args=(number % 2 == 0,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert web.stop() == 0
        web = web_process.start(site, listening)
        while str(web.process.pid).encode() not in pids and not failures:
            assert web.get("/pid") == (200, str(web.process.pid).encode())
    over.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(pids) == 3
    assert web.stop() == 0
    listening.close()


def test_a_body_that_one_thread_reads_is_not_anothers(tmp_path: pathlib.Path) -> None:
    source = '''
import threading, time
told = threading.Event()
def app(environ, start_response):
    body = environ["wsgi.input"]
    if environ["PATH_INFO"] == "/told":
        told.wait(20)
        start_response("200 OK", [])
        return [b"told"]
    first, rest = body.read(1), []
    reader = threading.Thread(target=lambda: rest.append(body.read()))
    reader.start()
    deadline, refused = time.monotonic() + 10, b"never refused"
    while refused == b"never refused" and time.monotonic() < deadline:
        try:
            body.read(0)  # takes nothing, as long as the reader is not inside its call
        except RuntimeError as error:
            refused = str(error).encode()
    told.set()
    reader.join()
    start_response("200 OK", [])
    return [refused, b"; ", first, rest[0]]
'''
    web = web_process.start(Site(tmp_path / "shared", threads=2).write(source))
    with socket.socket(socket.AF_UNIX) as upload:
        upload.settimeout(30)
        upload.connect(web.path)
        upload.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc")
        assert web.get("/told") == (200, b"told")
        upload.sendall(b"def")
        answer = b"".join(iter(lambda: upload.recv(65536), b""))
    assert b"another thread is using this request; " in answer
    assert answer.replace(b"\r\n", b"").count(b"def") == 1
    assert web.stop() == 0


def test_a_stop_waits_for_what_runs(tmp_path: pathlib.Path) -> None:
    source = '''
import threading
begun, go = threading.Event(), threading.Event()
def app(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        begun.set()
        go.wait(20)
    elif environ["PATH_INFO"] == "/begun":
        begun.wait(20)
    else:
        go.set()
    start_response("200 OK", [])
    return [b"done"]
'''
    web = web_process.start(Site(tmp_path / "drain").write(source))
    waiting, other = web.connection(), web.connection()
    waiting.request("GET", "/wait")
    other.request("GET", "/begun")
    assert other.getresponse().read() == b"done"
    web.process.send_signal(signal.SIGTERM)
    web.hear("STOPPING=1")
    # An open connection is still served, with the hint to close it.
    other.request("GET", "/go")
    assert other.getresponse().headers["Connection"] == "close"
    answer = waiting.getresponse()
    assert (answer.status, answer.headers["Connection"], answer.read()) == (200, "close", b"done")
    assert web.wait() == 0


def test_a_request_past_its_time_ends_a_worker_of_one_thread(tmp_path: pathlib.Path) -> None:
    source = "import time\ndef app(environ, start_response):\n    time.sleep(60)\n"
    web = web_process.start(Site(tmp_path / "slow", threads=1, timeout="1s").write(source))
    assert web.get("/slow", X_Request_Id="much-too-slow")[0] == 504
    assert web.wait() == 1
    web.log_line(" error   request_timeout ", "request=much-too-slow", "path=/slow")
    assert "time.sleep(60)" in web.log()


def test_a_request_past_its_time_lets_the_other_threads_finish(tmp_path: pathlib.Path) -> None:
    source = '''
import threading
expired = threading.Event()
def app(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        threading.Event().wait(60)
    threading.Event().wait(0.7)
    start_response("200 OK", [])
    return [b"done"]
'''
    web = web_process.start(Site(tmp_path / "stuck", threads=2, timeout="1s").write(source))
    stuck, other = web.connection(), web.connection()
    stuck.request("GET", "/stuck")
    answers = []
    for _ in range(2):  # the second one runs when the first request is given up
        other.request("GET", "/other")
        answer = other.getresponse()
        answers.append((answer.status, answer.read()))
    assert answers == [(200, b"done")] * 2
    assert stuck.getresponse().status == 504
    assert web.wait() == 1


def test_the_watchdog_is_fed(tmp_path: pathlib.Path) -> None:
    web = web_process.start(Site(tmp_path / "dog").write(APP), WATCHDOG_USEC="400000")
    web.hear("WATCHDOG=1")
    web.said.clear()
    web.hear("WATCHDOG=1")
    assert web.stop() == 0


def test_any_other_server_gets_the_same_socket(tmp_path: pathlib.Path) -> None:
    site = Site(tmp_path / "other", app="", more='command = ["python3", "server.py"]\n').write()
    (site.folder / "server.py").write_text(
        "import os, socket\n"
        "assert os.environ['LISTEN_PID'] == str(os.getpid()) and os.environ['LISTEN_FDS'] == '1'\n"
        "listening = socket.socket(fileno=3)\n"
        "with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:\n"
        "    out.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n"
        "listening.accept()[0].sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nmine')\n"
    )
    web = web_process.start(site)
    assert web.raw(b"").endswith(b"mine")
    assert web.wait() == 0


# ---- Starts that fail: one sentence, and an exit code


def refused(site: Site, **more: str) -> str:
    done = site.run(env=web_process.environment(**more))
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("headrace")
    return done.stderr


def test_a_missing_interpreter_is_named(tmp_path: pathlib.Path) -> None:
    assert "venv/bin/python" in refused(Site(tmp_path / "a", python="venv/bin/python").write(APP))


@pytest.mark.parametrize(
    ("python", "sentence"),
    [("/bin/ls", "/bin/ls is no Python"), ("/etc/passwd", "/etc/passwd: is not a program that may be run")],
)
def test_an_interpreter_that_is_none_is_told(tmp_path: pathlib.Path, python: str, sentence: str) -> None:
    assert f"app.python: {sentence}" in refused(Site(tmp_path / "a", python=python).write(APP))


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path: pathlib.Path) -> None:
    assert "headrace python install" in refused(Site(tmp_path / "a").write(APP), PYTHONPATH="")


def test_a_missing_module_is_named(tmp_path: pathlib.Path) -> None:
    said = refused(Site(tmp_path / "a", app="nowhere.wsgi:app").write(APP))
    assert "nowhere.wsgi:app" in said and "no module nowhere" in said


def test_a_missing_attribute_is_named(tmp_path: pathlib.Path) -> None:
    said = refused(Site(tmp_path / "a", app="site_app:application").write(APP))
    assert "site_app has no application" in said


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_like_it\n", "site_app.py:1: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("\n\nraise RuntimeError('no database')\n", "site_app.py:3: RuntimeError: no database"),
        ("def app(:\n", "site_app.py:1: SyntaxError"),
        ("app = 7\n", "an int and cannot be called"),
        ("async def app(scope, receive, send): pass\n", "ASGI"),
    ],
)
def test_an_application_that_cannot_be_loaded_is_explained(
    tmp_path: pathlib.Path, source: str, words: str
) -> None:
    assert words in refused(Site(tmp_path / "a").write(source))


def test_a_configuration_without_an_application_is_refused(tmp_path: pathlib.Path) -> None:
    assert "[web] app" in refused(Site(tmp_path / "a", app="").write())
    done = Site(tmp_path / "a").run("--config", "nowhere.toml")
    assert done.returncode == 2 and "nowhere.toml" in done.stderr


def test_a_package_of_another_version_is_refused(tmp_path: pathlib.Path) -> None:
    assert "0.0.9" in refused(Site(tmp_path / "a").write(APP), HEADRACE_VERSION="0.0.9")


def test_a_socket_that_is_alive_is_left_alone(web: Web) -> None:
    folder = pathlib.Path(web.path).parents[2]
    done = Site(folder).run("--instance", "1")
    assert done.returncode == 4
    assert "another process listens there" in done.stderr
    assert web.get("/pid") == (200, str(web.process.pid).encode())


def test_a_stale_socket_is_replaced(tmp_path: pathlib.Path) -> None:
    site = Site(tmp_path / "stale").write(APP)
    path = site.folder / ".headrace" / "run" / "web-1.sock"
    path.parent.mkdir(parents=True)
    web_process.listen(path).close()
    web = web_process.start(site)
    assert web.get("/pid")[0] == 200
    assert web.stop() == 0
