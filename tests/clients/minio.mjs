// The MinIO client for JavaScript against a store: what it wrote it reads back, byte for byte. Prints a line
// for each kind of thing it did; ends with an exception where something is not so.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { Readable } from "node:stream";
import { Client, CopyConditions } from "minio";

const endpoint = new URL(process.env.AWS_ENDPOINT_URL);
const client = new Client({
  endPoint: endpoint.hostname,
  port: Number(endpoint.port),
  useSSL: endpoint.protocol === "https:",
  accessKey: process.env.AWS_ACCESS_KEY_ID,
  secretKey: process.env.AWS_SECRET_ACCESS_KEY,
  partSize: 5 << 20,
});
const bucket = `minio-js-${process.pid}-${Date.now()}`;

function bytesOf(size) {
  const block = createHash("sha512").update(String(size)).digest();
  return Buffer.alloc(size, block);
}

async function readBack(name, expected) {
  assert.ok(expected.equals(await buffer(await client.getObject(bucket, name))), name);
  assert.equal((await client.statObject(bucket, name)).size, expected.length);
}

async function names(prefix = "", recursive = true) {
  const found = [];
  for await (const entry of client.listObjectsV2(bucket, prefix, recursive)) {
    found.push(entry.name ?? entry.prefix);
  }
  return found.sort();
}

await client.makeBucket(bucket, "us-east-1");
assert.ok(await client.bucketExists(bucket));
assert.ok((await client.listBuckets()).some(({ name }) => name === bucket));

const sizes = [0, 1, 16 << 10, (16 << 10) + 1, (12 << 20) + 17];
for (const size of sizes) {
  await client.putObject(bucket, `buffer/${size}`, bytesOf(size), size, { "X-Amz-Meta-Size": String(size) });
  await readBack(`buffer/${size}`, bytesOf(size));
  assert.equal((await client.statObject(bucket, `buffer/${size}`)).metaData.size, String(size));
}
for (const size of sizes.slice(1)) {
  // Of a length that it does not know: uploaded in parts.
  await client.putObject(bucket, `stream/${size}`, Readable.from([bytesOf(size)]));
  await readBack(`stream/${size}`, bytesOf(size));
}
console.log("put and get");

const part = await client.getPartialObject(bucket, `buffer/${12582929}`, 1000, 50);
assert.ok((await buffer(part)).equals(bytesOf(12582929).subarray(1000, 1050)));
await client.putObject(bucket, "ü b+c/%20", "named");
await readBack("ü b+c/%20", Buffer.from("named"));
await client.copyObject(bucket, "copy", `/${bucket}/buffer/1`, new CopyConditions());
await readBack("copy", bytesOf(1));
console.log("ranges, names, copies");

assert.deepEqual(await names("", false), ["buffer/", "copy", "stream/", "ü b+c/"].sort());
assert.equal((await names("stream/")).length, sizes.length - 1);
const got = await fetch(await client.presignedGetObject(bucket, "copy", 60));
assert.ok(Buffer.from(await got.arrayBuffer()).equals(bytesOf(1)));
const put = await client.presignedPutObject(bucket, "presigned", 60);
assert.equal((await fetch(put, { method: "PUT", body: "by a URL" })).status, 200);
await readBack("presigned", Buffer.from("by a URL"));
console.log("listings and presigned URLs");

await client.removeObjects(bucket, await names());
assert.deepEqual(await names(), []);
await client.removeBucket(bucket);
assert.equal(await client.bucketExists(bucket), false);
console.log("removed");
