// A no-op job of BullMQ, in JavaScript: `bullmq.mjs SOCKET work` runs them, many at a time and without
// keeping any that is done; `bullmq.mjs SOCKET COUNT` adds so many in bulk and says when it began (by
// CLOCK_MONOTONIC).
import { Queue, Worker } from 'bullmq';

const [path, what] = process.argv.slice(2);
const connection = { path, maxRetriesPerRequest: null };
const AT_ONCE = 100;
const BULK = 1000;

if (what === 'work') {
  const options = { connection, concurrency: AT_ONCE, removeOnComplete: { count: 0 } };
  const worker = new Worker('bench', async () => {}, options);
  worker.on('error', (error) => console.error(error));
} else {
  const queue = new Queue('bench', { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  console.log(Number(process.hrtime.bigint()) / 1e9);
  for (let first = 0; first < Number(what); first += BULK) {
    const length = Math.min(BULK, Number(what) - first);
    await queue.addBulk(Array.from({ length }, (_, i) => ({ name: 'nothing', data: { number: first + i } })));
  }
  await queue.close();
}
