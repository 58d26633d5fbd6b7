// Runs the actions of SQS with @aws-sdk/client-sqs against $AWS_ENDPOINT_URL. The last line of the output is
// JSON: {"passed": [names], "failed": [{"name", "reason"}]}. Cases run in order, each with its own queue.
import assert from "node:assert/strict";
import {
  AddPermissionCommand,
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  ListQueueTagsCommand,
  PurgeQueueCommand,
  QueueDoesNotExist,
  ReceiptHandleIsInvalid,
  ReceiveMessageCommand,
  RemovePermissionCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
  TagQueueCommand,
  UntagQueueCommand,
} from "@aws-sdk/client-sqs";

const client = new SQSClient({ maxAttempts: 1 });
const call = (Command, members) => client.send(new Command(members));
const receive = async (QueueUrl, members = {}) =>
  (await call(ReceiveMessageCommand, { QueueUrl, WaitTimeSeconds: 5, ...members })).Messages?.[0];

const cases = {
  async "a message is sent, received and deleted"(QueueUrl) {
    const sent = await call(SendMessageCommand, { QueueUrl, MessageBody: "grüße 😀" });
    const got = await receive(QueueUrl);
    assert.equal(got.Body, "grüße 😀");
    assert.equal(got.MessageId, sent.MessageId);
    await call(DeleteMessageCommand, { QueueUrl, ReceiptHandle: got.ReceiptHandle });
    assert.equal(await receive(QueueUrl, { WaitTimeSeconds: 0 }), undefined);
  },

  async "attributes travel, and are asked for by name"(QueueUrl) {
    const MessageAttributes = {
      text: { DataType: "String", StringValue: "x" },
      bytes: { DataType: "Binary", BinaryValue: new Uint8Array([0, 1, 255]) },
    };
    await call(SendMessageCommand, { QueueUrl, MessageBody: "x", MessageAttributes });
    const got = await receive(QueueUrl, {
      MessageAttributeNames: ["bytes"],
      MessageSystemAttributeNames: ["ApproximateReceiveCount"],
    });
    assert.deepEqual([...got.MessageAttributes.bytes.BinaryValue], [0, 1, 255]);
    assert.equal(got.MessageAttributes.text, undefined);
    assert.deepEqual(got.Attributes, { ApproximateReceiveCount: "1" });
  },

  async "batches of ten"(QueueUrl) {
    const Entries = Array.from({ length: 10 }, (_, n) => ({ Id: `m${n}`, MessageBody: `body ${n}` }));
    const sent = await call(SendMessageBatchCommand, { QueueUrl, Entries });
    assert.equal(sent.Successful.length, 10);
    assert.equal(sent.Failed?.length ?? 0, 0);
    const { Messages } = await call(ReceiveMessageCommand, { QueueUrl, MaxNumberOfMessages: 10 });
    const handles = Messages.map(({ ReceiptHandle }, n) => ({ Id: `m${n}`, ReceiptHandle }));
    const changed = await call(ChangeMessageVisibilityBatchCommand, {
      QueueUrl,
      Entries: handles.map((entry) => ({ ...entry, VisibilityTimeout: 60 })),
    });
    assert.equal(changed.Successful.length, 10);
    const deleted = await call(DeleteMessageBatchCommand, { QueueUrl, Entries: handles });
    assert.equal(deleted.Successful.length, 10);
  },

  async "visibility can be given back"(QueueUrl) {
    await call(SendMessageCommand, { QueueUrl, MessageBody: "x" });
    const { ReceiptHandle } = await receive(QueueUrl);
    await call(ChangeMessageVisibilityCommand, { QueueUrl, ReceiptHandle, VisibilityTimeout: 0 });
    assert.equal((await receive(QueueUrl)).Body, "x");
  },

  async "a long poll is answered by a later send"(QueueUrl) {
    const waiting = receive(QueueUrl, { WaitTimeSeconds: 20 });
    await call(SendMessageCommand, { QueueUrl, MessageBody: "late" });
    assert.equal((await waiting).Body, "late");
  },

  async "queues have attributes, tags and a place in lists"(QueueUrl) {
    const name = QueueUrl.split("/").at(-1);
    await call(SetQueueAttributesCommand, { QueueUrl, Attributes: { DelaySeconds: "1" } });
    const { Attributes } = await call(GetQueueAttributesCommand, { QueueUrl, AttributeNames: ["All"] });
    assert.equal(Attributes.DelaySeconds, "1");
    assert.match(Attributes.QueueArn, /^arn:aws:sqs:[^:]+:\d{12}:/);
    assert.equal((await call(GetQueueUrlCommand, { QueueName: name })).QueueUrl, QueueUrl);
    assert.deepEqual((await call(ListQueuesCommand, { QueueNamePrefix: name })).QueueUrls, [QueueUrl]);
    assert.deepEqual((await call(ListQueueTagsCommand, { QueueUrl })).Tags, { by: "sqs.mjs" });
    await call(PurgeQueueCommand, { QueueUrl });
  },

  async "errors are the SDK's own classes"(QueueUrl) {
    await assert.rejects(call(GetQueueUrlCommand, { QueueName: "never-made" }), (error) => {
      assert(error instanceof QueueDoesNotExist, error.name);
      assert.equal(error.$metadata.httpStatusCode, 400);
      return true;
    });
    const deletion = call(DeleteMessageCommand, { QueueUrl, ReceiptHandle: "x" });
    await assert.rejects(deletion, ReceiptHandleIsInvalid);
    const { Failed } = await call(DeleteMessageBatchCommand, {
      QueueUrl,
      Entries: [{ Id: "bad", ReceiptHandle: "x" }],
    });
    assert.equal(Failed[0].Code, "ReceiptHandleIsInvalid");
  },

  async "tags and permissions"(QueueUrl) {
    await call(TagQueueCommand, { QueueUrl, Tags: { team: "a", stage: "" } });
    await call(UntagQueueCommand, { QueueUrl, TagKeys: ["by"] });
    assert.deepEqual((await call(ListQueueTagsCommand, { QueueUrl })).Tags, { team: "a", stage: "" });
    const share = { Label: "share", AWSAccountIds: ["111111111111"], Actions: ["SendMessage"] };
    await call(AddPermissionCommand, { QueueUrl, ...share });
    const { Attributes } = await call(GetQueueAttributesCommand, { QueueUrl, AttributeNames: ["Policy"] });
    assert.equal(JSON.parse(Attributes.Policy).Statement[0].Sid, "share");
    await call(RemovePermissionCommand, { QueueUrl, Label: "share" });
  },

  async "a FIFO queue keeps a group's order and sends nothing twice"(QueueUrl) {
    const QueueName = `${QueueUrl.split("/").pop()}.fifo`;
    const Attributes = { FifoQueue: "true", ContentBasedDeduplication: "true" };
    const fifo = (await call(CreateQueueCommand, { QueueName, Attributes })).QueueUrl;
    const send = (MessageBody) =>
      call(SendMessageCommand, { QueueUrl: fifo, MessageBody, MessageGroupId: "g" });
    const first = await send("1");
    await send("2");
    const again = await send("1");
    assert.equal(again.MessageId, first.MessageId);
    assert.equal(again.SequenceNumber, first.SequenceNumber);
    const { Messages } = await call(ReceiveMessageCommand, {
      QueueUrl: fifo,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ["All"],
      ReceiveRequestAttemptId: "attempt-1",
    });
    assert.deepEqual(
      Messages.map((message) => message.Body),
      ["1", "2"],
    );
    assert.equal(Messages[0].Attributes.SequenceNumber, first.SequenceNumber);
    await call(DeleteQueueCommand, { QueueUrl: fifo });
  },
};

const passed = [];
const failed = [];
let number = 0;
for (const [name, run] of Object.entries(cases)) {
  const QueueName = `node-${process.pid}-${number++}`;
  const { QueueUrl } = await call(CreateQueueCommand, { QueueName, tags: { by: "sqs.mjs" } });
  try {
    await run(QueueUrl);
    passed.push(name);
  } catch (error) {
    failed.push({ name, reason: String(error?.stack ?? error) });
  } finally {
    await call(DeleteQueueCommand, { QueueUrl });
  }
}
console.log(JSON.stringify({ passed, failed }));
process.exitCode = failed.length === 0 ? 0 : 1;
