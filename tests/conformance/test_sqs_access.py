"""Who may do what with a queue: policies between accounts, permissions, and the rules of single keys.

Source: Developer Guide, "Using custom policies with the Amazon SQS access policy language", "Limitations of
custom policies", "Amazon SQS policy quotas"; IAM User Guide, "Policy evaluation logic".
"""

from __future__ import annotations

import dataclasses
import http.client
import itertools
import json
import pathlib
import socket
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest
import store_process
from sqs_api import Api, JsonApi, QueryApi, SqsError, send, signed
from store_process import REGION, Store

OWNER, FRIEND, STRANGER = "000000000000", "111111111111", "222222222222"
HIDDEN = "AWS.SimpleQueueService.NonExistentQueue"
_numbers = itertools.count(1)

KEYS = f"""
receipt_secret = "{"5e" * 32}"
[[key]]
name = "owner"
account = "{OWNER}"
id = "HROWNER"
secret = "owner-secret"
[[key]]
name = "friend"
account = "{FRIEND}"
id = "HRFRIEND"
secret = "friend-secret"
[[key]]
name = "stranger"
account = "{STRANGER}"
id = "HRSTRANGER"
secret = "stranger-secret"
[[key]]
name = "reports"
account = "{OWNER}"
id = "HRREPORTS"
secret = "reports-secret"
[[key.allow]]
queues = ["reports-*"]
may = ["read"]
[[key.allow]]
queues = ["jobs-*", "{FRIEND}/shared-*"]
may = ["write"]
[[key.allow]]
buckets = ["reports-?"]
may = ["read", "write"]
[[key.allow]]
buckets = ["public"]
may = ["read"]
[[key]]
name = "operator"
account = "{OWNER}"
id = "HROPERATOR"
secret = "operator-secret"
[[key.allow]]
queues = ["*"]
buckets = ["*"]
may = ["admin"]
"""


def write_keys(folder: pathlib.Path, text: str) -> pathlib.Path:
    folder.mkdir(mode=0o700, parents=True)
    path = folder / "keys.toml"
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("access") / "data"
    write_keys(folder, KEYS)
    started = store_process.start(folder)
    yield started
    assert store_process.stop(started) == 0


As = Callable[[str], Api]


def with_key(store: Store, name: str) -> Store:
    return dataclasses.replace(store, key_id=f"HR{name.upper()}", secret=f"{name}-secret")


@pytest.fixture(params=["query", "json"])
def as_(request: pytest.FixtureRequest, shared: Store) -> As:
    """The API as one of the keys sees it, over both protocols."""
    kind: Any = {"query": QueryApi, "json": JsonApi}[request.param]
    apis = {
        name: kind(with_key(shared, name))
        for name in ("owner", "friend", "stranger", "reports", "operator")
    }
    return apis.__getitem__


@pytest.fixture
def queue(as_: As) -> str:
    return str(as_("owner")("CreateQueue", QueueName=f"q-{next(_numbers)}")["QueueUrl"])


def arn_of(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{OWNER}:{queue.rsplit('/', 1)[1]}"


def statement(queue: str, **members: Any) -> dict[str, Any]:
    usual = {
        "Effect": "Allow",
        "Principal": {"AWS": FRIEND},
        "Action": "sqs:SendMessage",
        "Resource": arn_of(queue),
    }
    return usual | members


def set_policy(api: Api, queue: str, *statements: dict[str, Any]) -> None:
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    api("SetQueueAttributes", QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})


def refusal(api: Api, action: str, **members: Any) -> str:
    with pytest.raises(SqsError) as refused:
        api(action, **members)
    return refused.value.code


def denied(api: Api, action: str, **members: Any) -> bool:
    with pytest.raises(SqsError) as refused:
        api(action, **members)
    assert (refused.value.code, refused.value.status) == ("AccessDenied", 403)
    assert "denied" in refused.value.message
    return True


class TestAnotherAccount:
    def test_may_nothing_without_a_policy(self, as_: As, queue: str) -> None:
        """Policy evaluation logic: what nobody allows is denied."""
        cases: tuple[tuple[str, dict[str, Any]], ...] = (
            ("SendMessage", {"MessageBody": "x"}),
            ("ReceiveMessage", {}),
            ("GetQueueAttributes", {"AttributeNames": ["All"]}),
            ("PurgeQueue", {}),
        )
        for action, members in cases:
            assert denied(as_("friend"), action, QueueUrl=queue, **members)

    def test_does_not_learn_whether_a_queue_exists(self, as_: As, queue: str) -> None:
        """API_GetQueueUrl, Errors: QueueDoesNotExist also for queues without access."""
        name = queue.rsplit("/", 1)[1]
        for wanted in (name, name + "-none"):
            with pytest.raises(SqsError) as refused:
                as_("friend")("GetQueueUrl", QueueName=wanted, QueueOwnerAWSAccountId=OWNER)
            assert refused.value.code == HIDDEN
            assert "or you do not have access to it" in refused.value.message
            url = queue.replace(name, wanted)
            assert denied(as_("friend"), "SendMessage", QueueUrl=url, MessageBody="x")

    def test_may_what_a_statement_allows_and_no_more(self, as_: As, queue: str) -> None:
        """Using custom policies: the first example, SendMessage for one account."""
        set_policy(as_("owner"), queue, statement(queue))
        as_("friend")("SendMessage", QueueUrl=queue, MessageBody="from a friend")
        entries = [{"Id": "a", "MessageBody": "batched"}]
        answer = as_("friend")("SendMessageBatch", QueueUrl=queue, Entries=entries)
        assert len(answer["Successful"]) == 1, "a batch needs the right to its action"
        assert denied(as_("friend"), "ReceiveMessage", QueueUrl=queue)
        assert denied(as_("stranger"), "SendMessage", QueueUrl=queue, MessageBody="x")
        got = as_("owner")(
            "ReceiveMessage",
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            AttributeNames=["SenderId"],
        )
        assert {message["Attributes"]["SenderId"] for message in got["Messages"]} == {"HRFRIEND"}

    def test_works_on_a_shared_queue_from_url_to_delete(self, as_: As, queue: str) -> None:
        """API_AddPermission, Actions: *; API_GetQueueUrl, QueueOwnerAWSAccountId."""
        as_("owner")(
            "AddPermission",
            QueueUrl=queue,
            Label="all",
            AWSAccountIds=[FRIEND],
            Actions=["*"],
        )
        friend = as_("friend")
        name = queue.rsplit("/", 1)[1]
        url = friend("GetQueueUrl", QueueName=name, QueueOwnerAWSAccountId=OWNER)["QueueUrl"]
        assert url == queue
        assert refusal(friend, "GetQueueUrl", QueueName=name) == HIDDEN
        friend("SendMessage", QueueUrl=url, MessageBody="x")
        (message,) = friend("ReceiveMessage", QueueUrl=url)["Messages"]
        handle = message["ReceiptHandle"]
        friend(
            "ChangeMessageVisibility",
            QueueUrl=url,
            ReceiptHandle=handle,
            VisibilityTimeout=5,
        )
        friend("DeleteMessage", QueueUrl=url, ReceiptHandle=handle)
        as_("owner")("RemovePermission", QueueUrl=queue, Label="all")
        assert denied(friend, "SendMessage", QueueUrl=url, MessageBody="x")

    def test_never_administers_whatever_a_policy_says(self, as_: As, queue: str) -> None:
        """Limitations of custom policies: actions without cross-account permissions."""
        set_policy(as_("owner"), queue, statement(queue, Action="sqs:*", Principal="*"))
        cases: tuple[tuple[str, dict[str, Any]], ...] = (
            ("DeleteQueue", {}),
            ("SetQueueAttributes", {"Attributes": {"DelaySeconds": "1"}}),
            ("TagQueue", {"Tags": {"a": "b"}}),
            ("UntagQueue", {"TagKeys": ["a"]}),
            ("ListQueueTags", {}),
            (
                "AddPermission",
                {"Label": "l", "AWSAccountIds": [FRIEND], "Actions": ["*"]},
            ),
            ("RemovePermission", {"Label": "l"}),
        )
        for action, members in cases:
            assert denied(as_("friend"), action, QueueUrl=queue, **members)
        as_("friend")("PurgeQueue", QueueUrl=queue)

    def test_is_not_shown_the_owners_queues(self, as_: As, queue: str) -> None:
        """API_ListQueues: the queues of the caller."""
        set_policy(as_("owner"), queue, statement(queue, Action="sqs:*"))
        assert queue not in as_("friend")("ListQueues").get("QueueUrls", [])


class TestStatements:
    def test_that_deny_outweigh_those_that_allow(self, as_: As, queue: str) -> None:
        """Policy evaluation logic: an explicit deny."""
        deny = statement(queue, Effect="Deny", Principal={"AWS": f"arn:aws:iam::{STRANGER}:root"})
        set_policy(as_("owner"), queue, statement(queue, Principal="*"), deny)
        as_("friend")("SendMessage", QueueUrl=queue, MessageBody="x")
        assert denied(as_("stranger"), "SendMessage", QueueUrl=queue, MessageBody="x")

    def test_that_deny_everybody_bind_the_owner_too_who_can_mend_it(self, as_: As, queue: str) -> None:
        """Using custom policies: explicit denies override all; an owner is never locked out of the policy."""
        owner = as_("owner")
        set_policy(owner, queue, statement(queue, Effect="Deny", Principal="*", Action="sqs:*"))
        assert denied(owner, "SendMessage", QueueUrl=queue, MessageBody="x")
        assert denied(owner, "DeleteQueue", QueueUrl=queue)
        assert (
            "Policy"
            in owner("GetQueueAttributes", QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]
        )
        owner("SetQueueAttributes", QueueUrl=queue, Attributes={"Policy": ""})
        owner("SendMessage", QueueUrl=queue, MessageBody="x")

    @pytest.mark.parametrize(
        ("condition", "allowed"),
        [
            ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
            ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1"]}}, False),
            ({"NotIpAddress": {"aws:SourceIp": "127.0.0.1"}}, False),
            ({"Bool": {"aws:SecureTransport": "true"}}, True),
            ({"StringEquals": {"aws:PrincipalAccount": [FRIEND]}}, True),
            ({"StringNotEquals": {"aws:PrincipalAccount": FRIEND}}, False),
            ({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::bucket"}}, False),
            ({"ArnLikeIfExists": {"aws:SourceArn": "arn:aws:s3:::*"}}, True),
            ({"StringEquals": {"aws:SourceAccount": OWNER}}, False),
        ],
    )
    def test_hold_where_their_conditions_hold(
        self, as_: As, queue: str, condition: dict[str, Any], allowed: bool
    ) -> None:
        """IAM User Guide, "Condition operators". The test's own address is 127.0.0.1."""
        set_policy(as_("owner"), queue, statement(queue, Principal="*", Condition=condition))
        if allowed:
            as_("friend")("SendMessage", QueueUrl=queue, MessageBody="x")
        else:
            assert denied(as_("friend"), "SendMessage", QueueUrl=queue, MessageBody="x")

    @pytest.mark.parametrize(
        ("change", "code", "word"),
        [
            ({"Effect": "Perhaps"}, "InvalidAttributeValue", "Effect"),
            ({"Principal": {"AWS": "12"}}, "InvalidAttributeValue", "12"),
            ({"Action": "s3:GetObject"}, "InvalidAttributeValue", "s3:GetObject"),
            ({"Resource": "arn:aws:s3:::b"}, "InvalidAttributeValue", "arn:aws:s3:::b"),
            (
                {"Condition": {"NumericEquals": {"aws:SourceArn": "1"}}},
                "AWS.SimpleQueueService.UnsupportedOperation",
                "NumericEquals",
            ),
            (
                {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
                "AWS.SimpleQueueService.UnsupportedOperation",
                "aws:PrincipalOrgID",
            ),
            (
                {"Principal": {"AWS": f"arn:aws:iam::{FRIEND}:user/ann"}},
                "AWS.SimpleQueueService.UnsupportedOperation",
                "user/ann",
            ),
        ],
    )
    def test_that_nobody_could_keep_to_are_refused(
        self, as_: As, queue: str, change: dict[str, Any], code: str, word: str
    ) -> None:
        """API_SetQueueAttributes, Errors: InvalidAttributeValue, UnsupportedOperation."""
        with pytest.raises(SqsError) as refused:
            set_policy(as_("owner"), queue, statement(queue, **change))
        assert refused.value.code == code
        assert word in refused.value.message
        answer = as_("owner")("GetQueueAttributes", QueueUrl=queue, AttributeNames=["Policy"])
        assert answer.get("Attributes", {}) == {}

    def test_beyond_the_quotas_are_refused(self, as_: As, queue: str) -> None:
        """Amazon SQS policy quotas: 20 statements, 50 principals, 7 actions."""
        set_policy(as_("owner"), queue, *[statement(queue)] * 20)
        for statements in (
            [statement(queue)] * 21,
            [statement(queue, Principal={"AWS": [FRIEND] * 51})],
            [statement(queue, Action=["sqs:SendMessage"] * 8)],
        ):
            with pytest.raises(SqsError) as refused:
                set_policy(as_("owner"), queue, *statements)
            assert refused.value.code == "OverLimit"


class TestRulesOfAKey:
    def test_allow_reading_what_they_name(self, as_: As) -> None:
        """docs/keys.md: read is receiving, deleting and extending; nothing else."""
        queue = as_("owner")("CreateQueue", QueueName=f"reports-{next(_numbers)}")["QueueUrl"]
        reports = as_("reports")
        as_("owner")("SendMessage", QueueUrl=queue, MessageBody="x")
        (message,) = reports("ReceiveMessage", QueueUrl=queue)["Messages"]
        reports("DeleteMessage", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        assert reports("GetQueueUrl", QueueName=queue.rsplit("/", 1)[1])["QueueUrl"] == queue
        assert denied(reports, "SendMessage", QueueUrl=queue, MessageBody="x")
        assert denied(reports, "PurgeQueue", QueueUrl=queue)

    def test_allow_writing_what_they_name(self, as_: As) -> None:
        """docs/keys.md: write is sending."""
        queue = as_("owner")("CreateQueue", QueueName=f"jobs-{next(_numbers)}")["QueueUrl"]
        as_("reports")("SendMessage", QueueUrl=queue, MessageBody="x")
        as_("reports")("GetQueueAttributes", QueueUrl=queue, AttributeNames=["QueueArn"])
        assert denied(as_("reports"), "ReceiveMessage", QueueUrl=queue)

    def test_hide_and_refuse_all_other_queues(self, as_: As, queue: str) -> None:
        """docs/keys.md: what no rule names is refused whether it exists or not."""
        reports = as_("reports")
        assert denied(reports, "SendMessage", QueueUrl=queue, MessageBody="x")
        assert denied(reports, "SendMessage", QueueUrl=queue + "-none", MessageBody="x")
        assert refusal(reports, "GetQueueUrl", QueueName=queue.rsplit("/", 1)[1]) == HIDDEN
        assert denied(reports, "CreateQueue", QueueName="jobs-of-mine")
        listed = reports("ListQueues").get("QueueUrls", [])
        assert queue not in listed
        assert all(url.rsplit("/", 1)[1].startswith(("reports-", "jobs-")) for url in listed)

    def test_reach_over_accounts_as_far_as_the_policy_there(self, as_: As) -> None:
        """docs/keys.md: ACCOUNT/PATTERN."""
        name = f"shared-{next(_numbers)}"
        queue = as_("friend")("CreateQueue", QueueName=name)["QueueUrl"]
        assert denied(as_("reports"), "SendMessage", QueueUrl=queue, MessageBody="x")
        as_("friend")(
            "AddPermission",
            QueueUrl=queue,
            Label="o",
            AWSAccountIds=[OWNER],
            Actions=["SendMessage"],
        )
        as_("reports")("SendMessage", QueueUrl=queue, MessageBody="x")
        as_("owner")("SendMessage", QueueUrl=queue, MessageBody="x")
        assert denied(as_("operator"), "SendMessage", QueueUrl=queue, MessageBody="x")

    def test_of_an_operator_do_not_show_messages(self, as_: As) -> None:
        """docs/keys.md: admin alone neither reads nor writes."""
        operator = as_("operator")
        queue = operator("CreateQueue", QueueName=f"op-{next(_numbers)}")["QueueUrl"]
        operator("TagQueue", QueueUrl=queue, Tags={"a": "b"})
        operator("SetQueueAttributes", QueueUrl=queue, Attributes={"DelaySeconds": "0"})
        assert denied(operator, "ReceiveMessage", QueueUrl=queue)
        assert denied(operator, "SendMessage", QueueUrl=queue, MessageBody="x")
        operator("DeleteQueue", QueueUrl=queue)

    def test_count_for_looking_at_messages_too(self, shared: Store, as_: As) -> None:
        """docs/sqs.md: /_aws/sqs/messages needs what ReceiveMessage needs."""
        queue = as_("owner")("CreateQueue", QueueName=f"jobs-{next(_numbers)}")["QueueUrl"]
        path = "/_aws/sqs/messages?QueueUrl=" + urllib.parse.quote(queue, safe="")
        assert send(signed(with_key(shared, "reports"), "GET", path)).status == 403
        assert send(signed(with_key(shared, "owner"), "GET", path)).status == 200


def s3_of(store: Store, name: str) -> Any:
    key = with_key(store, name)
    return boto3.client(
        "s3",
        endpoint_url=key.endpoint,
        region_name=REGION,
        aws_access_key_id=key.key_id,
        aws_secret_access_key=key.secret,
    )


def s3_refusal(call: Callable[..., Any], **members: Any) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call(**members)
    return str(refused.value.response["Error"]["Code"])


class TestRulesOfAKeyForBuckets:
    @pytest.fixture(scope="class")
    def buckets(self, shared: Store) -> None:
        owner = s3_of(shared, "owner")
        for name in ("reports-1", "public", "secret"):
            owner.create_bucket(Bucket=name)
            owner.put_object(Bucket=name, Key="k", Body=b"x")

    def test_allow_what_they_name_and_refuse_the_rest(self, shared: Store, buckets: None) -> None:
        """docs/keys.md: the same rules, for buckets."""
        reports = s3_of(shared, "reports")
        reports.put_object(Bucket="reports-1", Key="mine", Body=b"y")
        assert reports.get_object(Bucket="public", Key="k")["Body"].read() == b"x"
        reports.head_bucket(Bucket="public")
        assert s3_refusal(reports.put_object, Bucket="public", Key="k", Body=b"z") == "AccessDenied"
        assert s3_refusal(reports.delete_object, Bucket="public", Key="k") == "AccessDenied"
        assert s3_refusal(reports.get_object, Bucket="secret", Key="k") == "AccessDenied"
        assert s3_refusal(reports.list_objects_v2, Bucket="nowhere") == "AccessDenied"
        assert s3_refusal(reports.create_bucket, Bucket="reports-2") == "AccessDenied"
        assert s3_refusal(reports.delete_bucket, Bucket="reports-1") == "AccessDenied"

    def test_are_asked_about_the_source_of_a_copy(self, shared: Store, buckets: None) -> None:
        """docs/keys.md: a copy reads its source."""
        reports = s3_of(shared, "reports")
        reports.copy_object(Bucket="reports-1", Key="copy", CopySource={"Bucket": "public", "Key": "k"})
        source = {"Bucket": "secret", "Key": "k"}
        assert (
            s3_refusal(reports.copy_object, Bucket="reports-1", Key="c", CopySource=source)
            == "AccessDenied"
        )

    def test_let_nobody_send_through_the_events_of_a_bucket(self, shared: Store, buckets: None) -> None:
        """docs/keys.md: who makes a bucket's events go to a queue needs write of the queue."""
        JsonApi(with_key(shared, "owner"))("CreateQueue", QueueName="events")
        rule = {"QueueArn": f"arn:aws:sqs:{REGION}:{OWNER}:events", "Events": ["s3:ObjectCreated:*"]}
        configuration = {"QueueConfigurations": [rule]}
        members = {"Bucket": "reports-1", "NotificationConfiguration": configuration}
        put = s3_of(shared, "operator").put_bucket_notification_configuration
        assert s3_refusal(put, **members) == "AccessDenied"
        s3_of(shared, "owner").put_bucket_notification_configuration(**members)

    def test_show_only_the_buckets_they_name(self, shared: Store, buckets: None) -> None:
        """docs/keys.md: ListBuckets."""
        listed = {bucket["Name"] for bucket in s3_of(shared, "reports").list_buckets()["Buckets"]}
        assert listed == {"public", "reports-1"}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def test_a_trusted_user_of_the_unix_socket_needs_no_key(shared: Store) -> None:
    """docs/keys.md: the store's own user acts for the account of store.account."""
    connection = UnixConnection(shared.socket)
    connection.request("GET", "/?Action=ListQueues&Version=2012-11-05")
    assert connection.getresponse().status == 200


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('queues = ["a"]\nmay = ["reed"]', 'may: "reed" is none of "read", "write", "admin"'),
        (
            'queue = ["a"]',
            "queue is nothing that a rule has; it has: queues, buckets, may",
        ),
        ('queues = ["a b"]', 'queues: "a b" is no pattern'),
    ],
)
def test_a_file_of_keys_that_cannot_be_read_stops_the_start_with_its_place(
    tmp_path: pathlib.Path, lines: str, words: str
) -> None:
    """docs/keys.md: file, line, column, value and the mend; never a secret."""
    path = write_keys(tmp_path / "data", KEYS + f"[[key.allow]]\n{lines}\n")
    number = len(path.read_text().splitlines())
    ended = subprocess.run(
        [
            store_process.binary(),
            "store",
            "--path",
            path.parent,
            "--listen",
            "127.0.0.1:0",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert f"keys.toml:{number}:" in ended.stderr
    assert words.replace('"', '\\"') in ended.stderr or words in ended.stderr
    assert "secret" not in ended.stderr.replace("receipt_secret", "")
