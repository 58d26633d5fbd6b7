// Runs sqs-consumer against $AWS_ENDPOINT_URL: jobs that succeed, one that fails at first, and whole batches.
// The last line of the output is JSON: {"passed": [names], "failed": [{"name", "reason"}]}.
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const client = new SQSClient({ maxAttempts: 1 });
const call = (Command, members) => client.send(new Command(members));

const fill = async (QueueUrl, count) => {
  for (let first = 0; first < count; first += 10) {
    const Entries = [];
    for (let i = first; i < Math.min(first + 10, count); i++) {
      Entries.push({ Id: `e${i}`, MessageBody: JSON.stringify({ job: i }) });
    }
    const sent = await call(SendMessageBatchCommand, { QueueUrl, Entries });
    assert.equal(sent.Successful.length, Entries.length);
  }
};

const left = async (QueueUrl) => {
  const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
  const { Attributes } = await call(GetQueueAttributesCommand, { QueueUrl, AttributeNames: names });
  return names.map((name) => Attributes[name]);
};

// Lets a consumer work until the queue has nothing more to give.
const work = async (queueUrl, options) => {
  const consumer = Consumer.create({ queueUrl, sqs: client, batchSize: 10, waitTimeSeconds: 1, ...options });
  const errors = [];
  consumer.on("error", (error) => errors.push(error));
  consumer.on("timeout_error", (error) => errors.push(error));
  consumer.start();
  await once(consumer, "empty");
  const stopped = once(consumer, "stopped");
  consumer.stop();
  await stopped;
  assert.deepEqual(errors, []);
};

const cases = {
  async "every job is done once and deleted"(queueUrl) {
    await fill(queueUrl, 35);
    const done = [];
    await work(queueUrl, {
      handleMessage: (message) => {
        done.push(JSON.parse(message.Body).job);
        return Promise.resolve(message); // done: delete it
      },
    });
    assert.deepEqual(done.toSorted((a, b) => a - b), [...Array(35).keys()]);
    assert.deepEqual(await left(queueUrl), ["0", "0"]);
  },
  async "a job that fails is given again at once"(queueUrl) {
    await fill(queueUrl, 3);
    const seen = [];
    await work(queueUrl, {
      terminateVisibilityTimeout: true,
      attributeNames: ["ApproximateReceiveCount"],
      handleMessage: (message) => {
        const { job } = JSON.parse(message.Body);
        seen.push([job, message.Attributes.ApproximateReceiveCount]);
        if (job === 1 && message.Attributes.ApproximateReceiveCount === "1")
          return Promise.reject(new Error("not yet"));
        return Promise.resolve(message);
      },
    });
    assert.deepEqual(seen.toSorted(), [[0, "1"], [1, "1"], [1, "2"], [2, "1"]]);
    assert.deepEqual(await left(queueUrl), ["0", "0"]);
  },
  async "batches are handled and deleted together"(queueUrl) {
    await fill(queueUrl, 20);
    const sizes = [];
    await work(queueUrl, {
      handleMessageBatch: (messages) => {
        sizes.push(messages.length);
        return Promise.resolve(messages);
      },
    });
    assert.deepEqual(sizes, [10, 10]);
    assert.deepEqual(await left(queueUrl), ["0", "0"]);
  },
};

const passed = [];
const failed = [];
for (const [name, run] of Object.entries(cases)) {
  const QueueName = `consumer-${passed.length + failed.length}`;
  try {
    const { QueueUrl } = await call(CreateQueueCommand, { QueueName });
    await run(QueueUrl);
    passed.push(name);
  } catch (error) {
    failed.push({ name, reason: String(error?.stack ?? error) });
  }
}
console.log(JSON.stringify({ passed, failed }));
