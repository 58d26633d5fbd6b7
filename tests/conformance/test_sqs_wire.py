"""What stands around the actions: the two protocols' forms, errors as bytes, authentication, hosts."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from sqs_api import Answer, Api, exchange, json_request, send, signed
from store_process import REGION, Store

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def query_request(store: Store, path: str, parameters: dict[str, str], **options: Any) -> Answer:
    return send(signed(store, "POST", path, urllib.parse.urlencode(parameters).encode(), FORM, **options))


def error_of(answer: Answer) -> tuple[str, str, str]:
    """Type, code and message of an XML error."""
    root = ET.fromstring(answer.body)
    assert root.tag == f"{NAMESPACE}ErrorResponse"
    assert root.findtext(f"{NAMESPACE}RequestId")
    error = root.find(f"{NAMESPACE}Error")
    assert error is not None
    kind, code, message = (error.findtext(NAMESPACE + name) or "" for name in ("Type", "Code", "Message"))
    return kind, code, message


class TestJsonProtocol:
    def test_an_answer(self, store: Store, queue: str) -> None:
        """Developer Guide, "Amazon SQS API request using AWS JSON protocol": interpreting a response."""
        answer = json_request(
            store, "SendMessage", json.dumps({"QueueUrl": queue, "MessageBody": "x"}).encode()
        )
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/x-amz-json-1.0"
        assert re.fullmatch("[A-Za-z0-9-]{1,64}", answer.headers["x-amzn-RequestId"])
        assert set(answer.json()) == {"MD5OfMessageBody", "MessageId"}

    def test_a_producers_retry_is_told_the_id_of_the_message_that_is_there(
        self, store: Store, json_api: Api, queue: str
    ) -> None:
        """docs/sqs.md, x-headrace-dedup-id: an extension of this store."""
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AmazonSQS.SendMessage",
            "x-headrace-dedup-id": "order-7",
        }
        body = json.dumps({"QueueUrl": queue, "MessageBody": "x"}).encode()
        answers = [send(signed(store, "POST", "/", body, headers)) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200]
        there = json_api("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        assert len(there) == 1
        assert [answer.json()["MessageId"] for answer in answers] == [there[0]["MessageId"]] * 2

    def test_an_error_names_both_codes(self, store: Store, queue: str) -> None:
        """The same page, "Error responses"; the service model's awsQueryCompatible trait."""
        answer = json_request(store, "PurgeQueue", json.dumps({"QueueUrl": queue + "-none"}).encode())
        assert answer.status == 400
        assert answer.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
        assert answer.json() == {
            "__type": "com.amazonaws.sqs#QueueDoesNotExist",
            "message": "The specified queue does not exist.",
        }

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"[]",
            b"\xff",
            b'{"QueueUrl": 1}',
            b'{"a":1,"a":2}',
            b'{"MessageBody":"\\ud800"}',
            b"[" * 100_000,
            b'{"a":' + b"9" * 400 + b"}",
        ],
    )
    def test_malformed_json_is_a_serialization_error(self, store: Store, body: bytes) -> None:
        """CommonErrors; JSON limits of this store: 64 levels, no duplicate names."""
        answer = json_request(store, "SendMessage", body)
        assert answer.status == 400
        assert answer.json()["__type"] == "com.amazon.coral.service#SerializationException"

    def test_an_unknown_action(self, store: Store) -> None:
        """CommonErrors: InvalidAction."""
        answer = json_request(store, "MakeCoffee", b"{}")
        assert answer.status == 400
        assert answer.headers["x-amzn-query-error"] == "InvalidAction;Sender"

    def test_a_body_too_large(self, store: Store) -> None:
        """Limit of this store: 4 MiB, three times the largest message."""
        answer = json_request(store, "SendMessage", b" " * (4 << 20))
        assert answer.status == 400
        try:
            answer = json_request(store, "SendMessage", b" " * ((4 << 20) + 1))
        except OSError:
            return  # it may close while we still write
        assert answer.status == 413


class TestQueryProtocol:
    def test_a_queue_by_the_path_of_its_url(self, store: Store, queue: str) -> None:
        """Developer Guide, "Query API POST requests": the queue URL is the endpoint."""
        path = urllib.parse.urlsplit(queue).path
        answer = query_request(
            store, path, {"Action": "SendMessage", "MessageBody": "a b+c%", "Version": "2012-11-05"}
        )
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml")
        root = ET.fromstring(answer.body)
        assert root.tag == f"{NAMESPACE}SendMessageResponse"
        assert (
            root.findtext(f"{NAMESPACE}ResponseMetadata/{NAMESPACE}RequestId")
            == answer.headers["x-amzn-RequestId"]
        )
        answer = query_request(store, path, {"Action": "ReceiveMessage", "AttributeName": "All"})
        message = ET.fromstring(answer.body).find(f"{NAMESPACE}ReceiveMessageResult/{NAMESPACE}Message")
        assert message is not None
        assert message.findtext(f"{NAMESPACE}Body") == "a b+c%"

    def test_a_get_with_everything_in_the_query(self, store: Store, queue: str) -> None:
        """Developer Guide, "Query API GET requests"; signed in the query."""
        url = f"{queue}?" + urllib.parse.urlencode(
            {"Action": "GetQueueUrl", "QueueName": queue.rsplit("/", 1)[1]}
        )
        request = AWSRequest(method="GET", url=url)
        SigV4QueryAuth(Credentials(store.key_id, store.secret), "sqs", REGION, expires=60).add_auth(request)
        answer = exchange("GET", request.url, b"", {})
        assert answer.status == 200, answer.body
        assert (
            ET.fromstring(answer.body).findtext(f"{NAMESPACE}GetQueueUrlResult/{NAMESPACE}QueueUrl") == queue
        )

    @pytest.mark.parametrize(
        ("parameters", "code"),
        [
            ({"Version": "2012-11-05"}, "MissingAction"),
            ({"Action": "MakeCoffee"}, "InvalidAction"),
            ({"Action": "ListQueues", "Version": "2001-01-01"}, "NoSuchVersion"),
            ({"Action": "GetQueueUrl"}, "MissingParameter"),
            ({"Action": "ListQueues", "AttributeName.x": "All"}, "InvalidQueryParameter"),
            ({"Action": "ListQueues", ".".join("a" * 9): "All"}, "InvalidQueryParameter"),
            ({"Action": "ReceiveMessage", "QueueUrl": "http://nowhere"}, "InvalidAddress"),
            ({"Action": "ReceiveMessage"}, "MissingParameter"),
        ],
    )
    def test_errors(self, store: Store, parameters: dict[str, str], code: str) -> None:
        """CommonErrors; Developer Guide, "Query API: structure of an error response"."""
        answer = query_request(store, "/", parameters)
        assert 400 <= answer.status < 500
        assert error_of(answer)[:2] == ("Sender", code)

    def test_a_bad_escape(self, store: Store) -> None:
        """CommonErrors: InvalidQueryParameter."""
        answer = send(signed(store, "POST", "/", b"Action=ListQueues&QueueNamePrefix=%zz", FORM))
        assert error_of(answer)[1] == "InvalidQueryParameter"

    def test_bytes_that_are_not_text(self, store: Store, queue: str) -> None:
        """API_SendMessage, Errors: InvalidMessageContents."""
        body = b"Action=SendMessage&MessageBody=%ff%fe&QueueUrl=" + urllib.parse.quote(queue).encode()
        assert error_of(send(signed(store, "POST", "/", body, FORM)))[1] == "InvalidMessageContents"


class TestQueueUrls:
    def test_echo_the_host_that_the_caller_used(self, store: Store, queue: str) -> None:
        """JavaScript's SDK sends to the host of the QueueUrl, so that it must be one the caller can reach."""
        port = store.endpoint.rsplit(":", 1)[1]
        name = queue.rsplit("/", 1)[1]
        body = json.dumps({"QueueName": name}).encode()
        headers = {"X-Amz-Target": "AmazonSQS.GetQueueUrl", "Content-Type": "application/x-amz-json-1.0"}
        request = AWSRequest(method="POST", url=f"http://localhost:{port}/", data=body, headers=headers)
        signed_request = signed(store, "POST", "/", body, headers | {"Host": f"localhost:{port}"})
        answer = exchange("POST", request.url, body, dict(signed_request.headers))
        assert answer.json()["QueueUrl"] == f"http://localhost:{port}/{store.account}/{name}", answer.body

    @pytest.mark.parametrize("host", ["http://elsewhere:1", "https://sqs.eu-west-1.amazonaws.com", ""])
    def test_name_a_queue_by_account_and_name_alone(
        self, json_api: Api, store: Store, queue: str, host: str
    ) -> None:
        """Queues are found under every name that this store is reached by."""
        url = f"{host}/{store.account}/{queue.rsplit('/', 1)[1]}"
        assert "MessageId" in json_api("SendMessage", QueueUrl=url, MessageBody="x")

    def test_of_another_account_are_refused(self, store: Store) -> None:
        """CommonErrors: AccessDeniedException."""
        body = json.dumps({"QueueUrl": f"{store.endpoint}/999999999999/q", "MessageBody": "x"}).encode()
        answer = json_request(store, "SendMessage", body)
        assert (answer.status, answer.headers["x-amzn-query-error"]) == (403, "AccessDenied;Sender")


class TestAuthentication:
    """CommonErrors, and General Reference, "Signature Version 4": what a bad signature is answered with."""

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"secret": "wrong"}, "SignatureDoesNotMatch"),
            ({"key_id": "AKIANOBODY0000000000"}, "InvalidClientTokenId"),
            ({"region": "eu-west-1"}, "SignatureDoesNotMatch"),
        ],
    )
    def test_wrong_keys_and_scopes(self, store: Store, options: dict[str, str], code: str) -> None:
        """CommonErrors: InvalidClientTokenId, SignatureDoesNotMatch."""
        answer = json_request(store, "ListQueues", b"{}", **options)
        assert answer.status == 403
        assert answer.headers["x-amzn-query-error"] == f"{code};Sender"
        answer = query_request(store, "/", {"Action": "ListQueues"}, **options)
        assert (answer.status, error_of(answer)[1]) == (403, code)

    def test_nothing_signed(self, store: Store) -> None:
        """CommonErrors: MissingAuthenticationToken."""
        answer = exchange("POST", store.endpoint + "/", b"{}", {"X-Amz-Target": "AmazonSQS.ListQueues"})
        assert (answer.status, answer.headers["x-amzn-query-error"]) == (
            403,
            "MissingAuthenticationToken;Sender",
        )
        assert store.secret.encode() not in answer.body

    @pytest.mark.parametrize(
        "change",
        [
            lambda request: request.headers.replace_header("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
            lambda request: request.headers.replace_header(
                "Authorization", request.headers["Authorization"][:-1]
            ),
            lambda request: request.headers.replace_header(
                "Authorization", request.headers["Authorization"] + "0"
            ),
        ],
        ids=["parts-missing", "short", "long"],
    )
    def test_malformed_signatures(self, store: Store, change: Any) -> None:
        """CommonErrors: IncompleteSignature."""
        request = signed(store, "POST", "/", b"{}", {"X-Amz-Target": "AmazonSQS.ListQueues"})
        change(request)
        answer = send(request)
        assert answer.status in (400, 403)
        assert answer.headers["x-amzn-query-error"] == "IncompleteSignature;Sender"

    def test_a_changed_body_or_target_or_unsigned_header(self, store: Store) -> None:
        """General Reference: the canonical request covers body, path and every x-amz-* header."""
        for change in ("body", "target", "header"):
            request = signed(store, "POST", "/", b"{}", {"X-Amz-Target": "AmazonSQS.ListQueues"})
            if change == "body":
                request.data = b"{ }"
            elif change == "target":
                request.headers.replace_header("X-Amz-Target", "AmazonSQS.PurgeQueue")
            else:
                request.headers["X-Amz-Extra"] = "1"
            answer = send(request)
            assert (answer.status, answer.headers["x-amzn-query-error"]) == (
                403,
                "SignatureDoesNotMatch;Sender",
            ), change

    def test_a_request_from_another_time(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """CommonErrors: RequestExpired."""
        import datetime

        import botocore.auth

        class Earlier(datetime.datetime):
            @classmethod
            def utcnow(cls) -> Any:
                return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(
                    minutes=16
                )

        monkeypatch.setattr(botocore.auth.datetime, "datetime", Earlier)
        answer = json_request(store, "ListQueues", b"{}")
        assert (answer.status, answer.headers["x-amzn-query-error"]) == (400, "RequestExpired;Sender")


class TestUnixSocket:
    def request(self, store: Store, body: bytes) -> tuple[int, bytes]:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(30)
            peer.connect(store.socket)
            peer.sendall(
                b"POST / HTTP/1.1\r\nHost: headrace\r\nConnection: close\r\n"
                b"X-Amz-Target: AmazonSQS.ListQueues\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
        return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]

    def test_the_stores_own_user_needs_no_signature(self, store: Store, queue: str) -> None:
        """This store's rule: a peer of the unix socket is who the kernel says it is."""
        assert store.socket and os.path.exists(store.socket), "the store made no unix socket"
        name = queue.rsplit("/", 1)[1]
        status, body = self.request(store, json.dumps({"QueueNamePrefix": name}).encode())
        assert status == 200
        assert json.loads(body) == {"QueueUrls": [f"http://headrace/{store.account}/{name}"]}


class TestLongPollsThatGoAway:
    def test_take_no_message(self, store: Store, json_api: Api, queue: str) -> None:
        """Developer Guide, "long polling": what a closed connection waited for is given to the next one."""
        body = json.dumps({"QueueUrl": queue, "WaitTimeSeconds": 20}).encode()
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.ReceiveMessage"}
        request = signed(store, "POST", "/", body, headers)
        host, port = store.endpoint.removeprefix("http://").rsplit(":", 1)
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        with socket.create_connection((host, int(port)), timeout=30) as peer:
            text = "\r\n".join(
                ["POST / HTTP/1.1", f"Host: {host}:{port}", *lines, f"Content-Length: {len(body)}"]
            )
            peer.sendall(text.encode() + b"\r\n\r\n" + body)
            self.wait_for_pollers(store, 1)
        self.wait_for_pollers(store, 0)
        json_api("SendMessage", QueueUrl=queue, MessageBody="kept")
        (message,) = json_api("ReceiveMessage", QueueUrl=queue)["Messages"]
        assert message["Body"] == "kept"

    @staticmethod
    def wait_for_pollers(store: Store, count: int) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            metrics = exchange("GET", store.endpoint + "/_headrace/metrics", b"", {}).body.decode()
            if re.search(rf"^headrace_receivers_waiting {count}$", metrics, re.MULTILINE):
                return
            threading.Event().wait(0.05)
        raise AssertionError(f"the store never had {count} waiting receivers")
