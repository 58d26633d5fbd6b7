"""Actions on queues, over both protocols. "API" is the Amazon SQS API Reference."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest
from sqs_api import Api, SqsError
from store_process import REGION, Store

NOT_THERE = "AWS.SimpleQueueService.NonExistentQueue"


def attributes_of(api: Api, queue: str, *names: str) -> dict[str, str]:
    return dict(api("GetQueueAttributes", QueueUrl=queue, AttributeNames=list(names)).get("Attributes", {}))


def arn(store: Store, queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{store.account}:{queue.rsplit('/', 1)[1]}"


class TestCreateQueue:
    def test_answers_a_url_of_the_callers_own_host(self, api: Api, store: Store, queue_name: str) -> None:
        """API_CreateQueue, Response Elements: QueueUrl."""
        url = api("CreateQueue", QueueName=queue_name)["QueueUrl"]
        assert url == f"{store.endpoint}/{store.account}/{queue_name}"
        api("DeleteQueue", QueueUrl=url)

    def test_again_with_the_same_attributes_answers_the_same_queue(self, api: Api, queue_name: str) -> None:
        """API_CreateQueue: "If you provide the name of an existing queue along with the exact names and
        values of all the queue's attributes, CreateQueue returns the queue URL for the existing queue."
        """
        members = {"QueueName": queue_name, "Attributes": {"DelaySeconds": "3"}}
        url = api("CreateQueue", **members)["QueueUrl"]
        assert api("CreateQueue", **members)["QueueUrl"] == url
        api("DeleteQueue", QueueUrl=url)

    def test_again_with_other_attributes_is_refused(self, api: Api, make_queue: Callable[..., str]) -> None:
        """API_CreateQueue, Errors: QueueNameExists."""
        name = make_queue(DelaySeconds="3").rsplit("/", 1)[1]
        with pytest.raises(SqsError) as refused:
            api("CreateQueue", QueueName=name, Attributes={"DelaySeconds": "4"})
        assert refused.value.code == "QueueAlreadyExists"
        assert refused.value.status == 400
        assert "DelaySeconds" in refused.value.message

    @pytest.mark.parametrize("name", ["a b", "a.b", "a/b", "x" * 81, "ä"])
    def test_refuses_names_outside_the_rules(self, api: Api, name: str) -> None:
        """API_CreateQueue, QueueName: up to 80 alphanumeric characters, hyphens and underscores."""
        with pytest.raises(SqsError) as refused:
            api("CreateQueue", QueueName=name)
        assert refused.value.code == "InvalidParameterValue"

    def test_takes_a_name_of_80_characters(self, api: Api) -> None:
        """API_CreateQueue, QueueName."""
        url = api("CreateQueue", QueueName="n" * 80)["QueueUrl"]
        api("DeleteQueue", QueueUrl=url)

    def test_without_a_name_misses_a_parameter(self, api: Api) -> None:
        """CommonErrors: MissingParameter."""
        with pytest.raises(SqsError) as refused:
            api("CreateQueue", QueueName="")
        assert refused.value.code == "MissingParameter"

    @pytest.mark.parametrize(
        ("name", "low", "high"),
        [
            ("DelaySeconds", 0, 900),
            ("MaximumMessageSize", 1024, 1048576),
            ("MessageRetentionPeriod", 60, 1209600),
            ("ReceiveMessageWaitTimeSeconds", 0, 20),
            ("VisibilityTimeout", 0, 43200),
        ],
    )
    def test_attributes_have_ranges(
        self, api: Api, make_queue: Callable[..., str], name: str, low: int, high: int
    ) -> None:
        """API_CreateQueue, Attributes: the range of each."""
        for value in (low, high):
            assert attributes_of(api, make_queue(**{name: str(value)}), name) == {name: str(value)}
        for value in (low - 1, high + 1):
            with pytest.raises(SqsError) as refused:
                api("CreateQueue", QueueName="out-of-range", Attributes={name: str(value)})
            assert refused.value.code == "InvalidAttributeValue"

    def test_unknown_attributes_are_refused(self, api: Api) -> None:
        """API_CreateQueue, Errors: InvalidAttributeName."""
        with pytest.raises(SqsError) as refused:
            api("CreateQueue", QueueName="q", Attributes={"Colour": "red"})
        assert refused.value.code == "InvalidAttributeName"

    def test_tags_are_kept(self, api: Api, queue_name: str) -> None:
        """API_CreateQueue, tags; API_ListQueueTags."""
        url = api("CreateQueue", QueueName=queue_name, tags={"team": "a&b", "stage": ""})["QueueUrl"]
        assert api("ListQueueTags", QueueUrl=url)["Tags"] == {"team": "a&b", "stage": ""}
        api("DeleteQueue", QueueUrl=url)


class TestGetQueueUrl:
    def test_finds_the_queue_by_its_name(self, api: Api, queue: str) -> None:
        """API_GetQueueUrl."""
        assert api("GetQueueUrl", QueueName=queue.rsplit("/", 1)[1])["QueueUrl"] == queue

    def test_of_no_queue_is_an_error(self, api: Api, store: Store) -> None:
        """API_GetQueueUrl, Errors: QueueDoesNotExist."""
        with pytest.raises(SqsError) as refused:
            api("GetQueueUrl", QueueName="never-made")
        assert (refused.value.code, refused.value.status) == (NOT_THERE, 400)
        with pytest.raises(SqsError) as refused:
            api("GetQueueUrl", QueueName="never-made", QueueOwnerAWSAccountId="999999999999")
        assert refused.value.code == NOT_THERE


class TestListQueues:
    def test_by_prefix_and_in_pages(self, api: Api, json_api: Api) -> None:
        """API_ListQueues: QueueNamePrefix, MaxResults, NextToken."""
        urls = [json_api("CreateQueue", QueueName=f"paged-{n}")["QueueUrl"] for n in range(5)]
        found: list[str] = []
        members: dict[str, object] = {"QueueNamePrefix": "paged-", "MaxResults": 2}
        for expected in (2, 2, 1):
            page = api("ListQueues", **members)
            assert len(page["QueueUrls"]) == expected
            found += page["QueueUrls"]
            members["NextToken"] = page.get("NextToken", "")
        assert found == urls
        assert members["NextToken"] == ""
        for url in urls:
            json_api("DeleteQueue", QueueUrl=url)

    def test_of_nothing_leaves_the_key_out(self, api: Api) -> None:
        """API_ListQueues: AWS answers without QueueUrls."""
        assert api("ListQueues", QueueNamePrefix="no-such-prefix") == {}

    @pytest.mark.parametrize(
        "members", [{"MaxResults": 0}, {"MaxResults": 1001}, {"MaxResults": 1, "NextToken": "?"}]
    )
    def test_refuses_bad_pages(self, api: Api, members: dict[str, object]) -> None:
        """API_ListQueues, MaxResults: 1 to 1,000."""
        with pytest.raises(SqsError) as refused:
            api("ListQueues", **members)
        assert refused.value.code == "InvalidParameterValue"


class TestDeleteQueue:
    def test_the_queue_is_gone(self, api: Api, queue_name: str) -> None:
        """API_DeleteQueue."""
        url = api("CreateQueue", QueueName=queue_name)["QueueUrl"]
        assert api("DeleteQueue", QueueUrl=url) == {}
        with pytest.raises(SqsError) as refused:
            api("DeleteQueue", QueueUrl=url)
        assert refused.value.code == NOT_THERE


class TestGetQueueAttributes:
    def test_all_of_a_new_queue(self, api: Api, store: Store, queue: str) -> None:
        """API_GetQueueAttributes: the attributes and their defaults; what is not set is not there."""
        got = attributes_of(api, queue, "All")
        now = time.time()
        for name in ("CreatedTimestamp", "LastModifiedTimestamp"):
            assert abs(int(got.pop(name)) - now) < 60
        assert got == {
            "QueueArn": arn(store, queue),
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
            "VisibilityTimeout": "30",
            "MaximumMessageSize": "1048576",
            "MessageRetentionPeriod": "345600",
            "DelaySeconds": "0",
            "ReceiveMessageWaitTimeSeconds": "0",
            "SqsManagedSseEnabled": "false",
        }

    def test_only_what_is_asked_for(self, api: Api, store: Store, queue: str) -> None:
        """API_GetQueueAttributes, AttributeNames."""
        assert attributes_of(api, queue, "QueueArn", "Policy") == {"QueueArn": arn(store, queue)}
        assert api("GetQueueAttributes", QueueUrl=queue) == {}

    def test_unknown_names_are_refused(self, api: Api, queue: str) -> None:
        """API_GetQueueAttributes, Errors: InvalidAttributeName."""
        with pytest.raises(SqsError) as refused:
            attributes_of(api, queue, "Colour")
        assert (refused.value.code, refused.value.message) == (
            "InvalidAttributeName",
            "Unknown Attribute Colour.",
        )

    def test_counts_messages_by_state(self, api: Api, queue: str) -> None:
        """API_GetQueueAttributes: the three Approximate counts."""
        for body in ("visible", "in flight"):
            api("SendMessage", QueueUrl=queue, MessageBody=body)
        api("SendMessage", QueueUrl=queue, MessageBody="delayed", DelaySeconds=900)
        api("ReceiveMessage", QueueUrl=queue)
        got = attributes_of(api, queue, "All")
        assert got["ApproximateNumberOfMessages"] == "1"
        assert got["ApproximateNumberOfMessagesNotVisible"] == "1"
        assert got["ApproximateNumberOfMessagesDelayed"] == "1"


class TestSetQueueAttributes:
    def test_changes_what_is_named(self, api: Api, queue: str) -> None:
        """API_SetQueueAttributes."""
        changes = {"VisibilityTimeout": "7", "DelaySeconds": "2", "KmsMasterKeyId": "alias/x"}
        assert api("SetQueueAttributes", QueueUrl=queue, Attributes=changes) == {}
        assert attributes_of(api, queue, *changes) == changes
        api("SetQueueAttributes", QueueUrl=queue, Attributes={"KmsMasterKeyId": ""})
        assert attributes_of(api, queue, "KmsMasterKeyId") == {}

    def test_a_policy_is_kept_and_can_be_removed(self, api: Api, queue: str) -> None:
        """API_SetQueueAttributes, Policy."""
        statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        api("SetQueueAttributes", QueueUrl=queue, Attributes={"Policy": policy})
        assert attributes_of(api, queue, "Policy") == {"Policy": policy}
        api("SetQueueAttributes", QueueUrl=queue, Attributes={"Policy": ""})
        assert attributes_of(api, queue, "Policy") == {}

    def test_bad_values_change_nothing(self, api: Api, queue: str) -> None:
        """API_SetQueueAttributes, Errors: InvalidAttributeValue, InvalidAttributeName."""
        for changes, code in (
            ({"DelaySeconds": "1", "VisibilityTimeout": "-1"}, "InvalidAttributeValue"),
            ({"DelaySeconds": "1", "Colour": "red"}, "InvalidAttributeName"),
            ({"DelaySeconds": "1", "RedriveAllowPolicy": "{}"}, "InvalidAttributeValue"),
        ):
            with pytest.raises(SqsError) as refused:
                api("SetQueueAttributes", QueueUrl=queue, Attributes=changes)
            assert refused.value.code == code
        assert attributes_of(api, queue, "DelaySeconds") == {"DelaySeconds": "0"}


class TestRedrivePolicy:
    def test_a_message_received_too_often_moves(
        self, api: Api, store: Store, make_queue: Callable[..., str]
    ) -> None:
        """Developer Guide, "Using dead-letter queues": after maxReceiveCount receives."""
        dead = make_queue()
        policy = json.dumps({"deadLetterTargetArn": arn(store, dead), "maxReceiveCount": 2})
        source = make_queue(RedrivePolicy=policy, VisibilityTimeout="0")
        assert json.loads(attributes_of(api, source, "RedrivePolicy")["RedrivePolicy"]) == json.loads(policy)
        sent = api("SendMessage", QueueUrl=source, MessageBody="poison")
        for _ in range(2):
            assert len(api("ReceiveMessage", QueueUrl=source)["Messages"]) == 1
        assert api("ReceiveMessage", QueueUrl=source) == {}
        asked = {"WaitTimeSeconds": 5, "AttributeNames": ["DeadLetterQueueSourceArn"]}
        (moved,) = api("ReceiveMessage", QueueUrl=dead, **asked)["Messages"]
        assert (moved["MessageId"], moved["Body"]) == (sent["MessageId"], "poison")
        assert moved["Attributes"] == {"DeadLetterQueueSourceArn": arn(store, source)}
        listed = api("ListDeadLetterSourceQueues", QueueUrl=dead)
        assert listed["queueUrls"] == [source]

    def test_bad_policies_are_refused(self, api: Api, store: Store, queue: str) -> None:
        """API_CreateQueue, RedrivePolicy."""
        target = arn(store, queue)
        for policy, reason in (
            ("x", "not a valid JSON map"),
            (json.dumps({"deadLetterTargetArn": target}), "mandatory attribute: maxReceiveCount"),
            (
                json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 0}),
                "Invalid value for maxReceiveCount",
            ),
            (
                json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 1001}),
                "Invalid value for maxReceiveCount",
            ),
            (json.dumps({"deadLetterTargetArn": target + "-none", "maxReceiveCount": 1}), "does not exist"),
            (
                json.dumps({"deadLetterTargetArn": "arn:aws:sqs:mars:1:q", "maxReceiveCount": 1}),
                "deadLetterTargetArn",
            ),
        ):
            with pytest.raises(SqsError) as refused:
                api("CreateQueue", QueueName="never", Attributes={"RedrivePolicy": policy})
            assert refused.value.code == "InvalidParameterValue"
            assert reason in refused.value.message

    def test_the_target_says_who_may_use_it(
        self, api: Api, store: Store, make_queue: Callable[..., str]
    ) -> None:
        """API_SetQueueAttributes, RedriveAllowPolicy: denyAll."""
        dead = make_queue(RedriveAllowPolicy=json.dumps({"redrivePermission": "denyAll"}))
        policy = json.dumps({"deadLetterTargetArn": arn(store, dead), "maxReceiveCount": 2})
        with pytest.raises(SqsError) as refused:
            api("CreateQueue", QueueName="never", Attributes={"RedrivePolicy": policy})
        assert "RedriveAllowPolicy" in refused.value.message

    def test_the_target_names_up_to_ten_sources(
        self, api: Api, store: Store, make_queue: Callable[..., str]
    ) -> None:
        """API_SetQueueAttributes, RedriveAllowPolicy: byQueue, sourceQueueArns."""
        dead, friend, stranger = make_queue(), make_queue(), make_queue()
        allow = {"redrivePermission": "byQueue", "sourceQueueArns": [arn(store, friend)]}
        api("SetQueueAttributes", QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(allow)})
        redrive = {
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn(store, dead), "maxReceiveCount": 2})
        }
        api("SetQueueAttributes", QueueUrl=friend, Attributes=redrive)
        with pytest.raises(SqsError) as refused:
            api("SetQueueAttributes", QueueUrl=stranger, Attributes=redrive)
        assert refused.value.code == "InvalidParameterValue"
        allow["sourceQueueArns"] = [f"{arn(store, dead)}{n}" for n in range(11)]
        with pytest.raises(SqsError) as refused:
            api("SetQueueAttributes", QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(allow)})
        assert refused.value.code == "InvalidAttributeValue"

    def test_sources_come_in_pages(self, api: Api, store: Store, make_queue: Callable[..., str]) -> None:
        """API_ListDeadLetterSourceQueues: MaxResults, NextToken."""
        dead = make_queue()
        policy = json.dumps({"deadLetterTargetArn": arn(store, dead), "maxReceiveCount": 2})
        sources = [make_queue(RedrivePolicy=policy) for _ in range(5)]
        found: list[str] = []
        members: dict[str, object] = {"QueueUrl": dead, "MaxResults": 2}
        for expected in (2, 2, 1):
            page = api("ListDeadLetterSourceQueues", **members)
            assert len(page["queueUrls"]) == expected
            found += page["queueUrls"]
            members["NextToken"] = page.get("NextToken", "")
        assert (sorted(found), members["NextToken"]) == (sorted(sources), "")
        assert api("ListDeadLetterSourceQueues", QueueUrl=sources[0]).get("queueUrls", []) == []


class TestPurgeQueue:
    def test_everything_is_gone(self, api: Api, queue: str) -> None:
        """API_PurgeQueue: visible, delayed and in-flight messages."""
        for delay in (0, 0, 900):
            api("SendMessage", QueueUrl=queue, MessageBody="x", DelaySeconds=delay)
        api("ReceiveMessage", QueueUrl=queue)
        assert api("PurgeQueue", QueueUrl=queue) == {}
        got = attributes_of(api, queue, "All")
        assert [value for name, value in got.items() if re.match("Approximate", name)] == ["0", "0", "0"]
        assert api("ReceiveMessage", QueueUrl=queue) == {}

    def test_of_no_queue_is_an_error(self, api: Api, queue: str) -> None:
        """API_PurgeQueue, Errors: QueueDoesNotExist."""
        with pytest.raises(SqsError) as refused:
            api("PurgeQueue", QueueUrl=queue + "-none")
        assert refused.value.code == NOT_THERE


class TestTags:
    def test_are_set_overwritten_listed_and_removed(self, api: Api, queue: str) -> None:
        """API_TagQueue: "A new tag with a key identical to that of an existing tag overwrites the existing
        tag." API_UntagQueue, API_ListQueueTags.
        """
        assert api("TagQueue", QueueUrl=queue, Tags={"team": "a", "größe": "ä & <b>"}) == {}
        assert api("TagQueue", QueueUrl=queue, Tags={"team": "b", "empty": ""}) == {}
        assert api("ListQueueTags", QueueUrl=queue)["Tags"] == {"team": "b", "größe": "ä & <b>", "empty": ""}
        assert api("UntagQueue", QueueUrl=queue, TagKeys=["team", "never there"]) == {}
        assert api("ListQueueTags", QueueUrl=queue)["Tags"] == {"größe": "ä & <b>", "empty": ""}
        api("UntagQueue", QueueUrl=queue, TagKeys=["größe", "empty"])
        assert api("ListQueueTags", QueueUrl=queue) == {}

    def test_are_50_at_most(self, api: Api, queue: str) -> None:
        """Developer Guide, "Tagging": 50 tags for each queue."""
        api("TagQueue", QueueUrl=queue, Tags={f"k{n}": "v" for n in range(50)})
        api("TagQueue", QueueUrl=queue, Tags={"k0": "again"})
        with pytest.raises(SqsError) as refused:
            api("TagQueue", QueueUrl=queue, Tags={"one more": "v"})
        assert (refused.value.code, refused.value.status) == ("InvalidParameterValue", 400)
        assert len(api("ListQueueTags", QueueUrl=queue)["Tags"]) == 50

    @pytest.mark.parametrize(
        "tags",
        [{"": "v"}, {"k" * 129: "v"}, {"k": "v" * 257}, {"aws:k": "v"}, {f"k{n}": "" for n in range(51)}],
    )
    def test_outside_the_limits_are_refused(self, api: Api, queue: str, tags: dict[str, str]) -> None:
        """Developer Guide, "Tagging": keys of 1 to 128, values of 0 to 256 characters."""
        with pytest.raises(SqsError) as refused:
            api("TagQueue", QueueUrl=queue, Tags=tags)
        assert refused.value.code == "InvalidParameterValue"
        assert api("ListQueueTags", QueueUrl=queue) == {}

    def test_of_no_queue_is_an_error(self, api: Api, queue: str) -> None:
        """API_TagQueue, Errors: QueueDoesNotExist."""
        with pytest.raises(SqsError) as refused:
            api("TagQueue", QueueUrl=queue + "-none", Tags={"a": "b"})
        assert refused.value.code == NOT_THERE
        with pytest.raises(SqsError) as refused:
            api("UntagQueue", QueueUrl=queue + "-none", TagKeys=["a"])
        assert refused.value.code == NOT_THERE


class TestPermissions:
    def test_are_statements_of_the_policy(self, api: Api, store: Store, queue: str) -> None:
        """API_AddPermission: "AddPermission generates a policy for you." API_RemovePermission."""
        members: dict[str, object] = {
            "QueueUrl": queue,
            "AWSAccountIds": ["111111111111"],
            "Actions": ["SendMessage"],
        }
        assert api("AddPermission", Label="first", **members) == {}
        two = ["111111111111", "222222222222"]
        api("AddPermission", QueueUrl=queue, Label="second", AWSAccountIds=two, Actions=["*"])
        policy = json.loads(attributes_of(api, queue, "Policy")["Policy"])
        own = arn(store, queue)
        assert policy["Id"] == f"{own}/SQSDefaultPolicy"
        assert policy["Statement"][0] == {
            "Sid": "first",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
            "Action": "SQS:SendMessage",
            "Resource": own,
        }
        assert policy["Statement"][1]["Principal"]["AWS"] == [
            "arn:aws:iam::111111111111:root",
            "arn:aws:iam::222222222222:root",
        ]
        with pytest.raises(SqsError) as refused:
            api("AddPermission", Label="first", **members)
        assert refused.value.message == "Value first for parameter Label is invalid. Reason: Already exists."
        assert api("RemovePermission", QueueUrl=queue, Label="first") == {}
        (left,) = json.loads(attributes_of(api, queue, "Policy")["Policy"])["Statement"]
        assert left["Sid"] == "second"
        api("RemovePermission", QueueUrl=queue, Label="second")
        assert attributes_of(api, queue, "Policy") == {}

    def test_that_are_not_there_cannot_be_removed(self, api: Api, queue: str) -> None:
        """AWS's own words."""
        with pytest.raises(SqsError) as refused:
            api("RemovePermission", QueueUrl=queue, Label="test")
        assert (refused.value.code, refused.value.message) == (
            "InvalidParameterValue",
            "Value test for parameter Label is invalid. Reason: can't find label on existing policy.",
        )

    @pytest.mark.parametrize(
        ("change", "code", "status"),
        [
            ({"Actions": ["SendMessage"] * 8}, "OverLimit", 403),
            ({"Actions": ["DeleteQueue"]}, "InvalidParameterValue", 400),
            ({"Actions": ["Sing"]}, "InvalidParameterValue", 400),
            ({"AWSAccountIds": ["12"]}, "InvalidParameterValue", 400),
            ({"Label": "a b"}, "InvalidParameterValue", 400),
            ({"Label": "l" * 81}, "InvalidParameterValue", 400),
            ({"Label": ""}, "MissingParameter", 400),
        ],
    )
    def test_outside_the_rules_are_refused(
        self, api: Api, queue: str, change: dict[str, object], code: str, status: int
    ) -> None:
        """API_AddPermission, Errors: OverLimit; Label, AWSAccountIds, Actions."""
        members: dict[str, object] = {
            "Label": "l",
            "AWSAccountIds": ["111111111111"],
            "Actions": ["SendMessage"],
        }
        with pytest.raises(SqsError) as refused:
            api("AddPermission", QueueUrl=queue, **(members | change))
        assert (refused.value.code, refused.value.status) == (code, status)
        assert attributes_of(api, queue, "Policy") == {}
