// Runs the operations of S3 with @aws-sdk/client-s3 against $AWS_ENDPOINT_URL. The last line of the output is
// JSON: {"passed": [names], "failed": [{"name", "reason"}]}. Cases run in order, each with its own bucket.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketAclCommand,
  GetBucketLocationCommand,
  GetBucketNotificationConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  NoSuchKey,
  PutBucketNotificationConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";

const SIZES = [0, 1, 16383, 16384, 16385, 1 << 20, 20 << 20];

const client = new S3Client({ maxAttempts: 1, forcePathStyle: true });
const call = (Command, members) => client.send(new Command(members));

// The headers of each request as it left, for the forms that a body can take.
const sent = [];
client.middlewareStack.add(
  (next) => (args) => {
    sent.push(args.request.headers);
    return next(args);
  },
  { step: "finalizeRequest", priority: "low", name: "noteHeaders" },
);

function bytesOf(size) {
  const block = Buffer.concat(
    Array.from({ length: 64 }, (_, n) => createHash("sha256").update(String(n)).digest()),
  );
  return Buffer.alloc(size, block);
}

async function readBack(Bucket, Key, data, members = {}) {
  const got = await call(GetObjectCommand, { Bucket, Key, ...members });
  const body = Buffer.from(await got.Body.transformToByteArray());
  assert.ok(body.equals(data), `${Key}: ${body.length} bytes came back, or others`);
  return got;
}

const named = (name) => (error) => error.name === name;

const cases = {
  async "every size as a buffer, with the checksum that is the default"(Bucket) {
    for (const size of SIZES) {
      const data = bytesOf(size);
      const { ChecksumCRC32 } = await call(PutObjectCommand, { Bucket, Key: `k${size}`, Body: data });
      assert.ok(ChecksumCRC32, "the default checksum is answered");
      const got = await readBack(Bucket, `k${size}`, data);
      assert.equal(got.ETag, `"${createHash("md5").update(data).digest("hex")}"`);
    }
  },

  async "every size as a stream, which comes as aws-chunked with a trailer"(Bucket) {
    for (const size of SIZES) {
      const data = bytesOf(size);
      const Body = Readable.from(size ? [data.subarray(0, size >> 1), data.subarray(size >> 1)] : []);
      await call(PutObjectCommand, { Bucket, Key: `s${size}`, Body, ContentLength: size });
      const headers = sent.at(-1);
      assert.equal(headers["x-amz-content-sha256"], "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
      assert.ok(headers["x-amz-trailer"]);
      const got = await readBack(Bucket, `s${size}`, data, { ChecksumMode: "ENABLED" });
      assert.equal(got.ContentEncoding, undefined);
      assert.equal(got.ChecksumType, "FULL_OBJECT");
    }
  },

  async "each checksum algorithm"(Bucket) {
    const data = bytesOf(50_000);
    for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
      const put = { Bucket, Key: ChecksumAlgorithm, ChecksumAlgorithm };
      const stored = await call(PutObjectCommand, { ...put, Body: data });
      const got = await readBack(Bucket, ChecksumAlgorithm, data, { ChecksumMode: "ENABLED" });
      assert.ok(stored[`Checksum${ChecksumAlgorithm}`]);
      assert.equal(got[`Checksum${ChecksumAlgorithm}`], stored[`Checksum${ChecksumAlgorithm}`]);
      await call(PutObjectCommand, { ...put, Body: Readable.from([data]), ContentLength: data.length });
      await readBack(Bucket, ChecksumAlgorithm, data, { ChecksumMode: "ENABLED" });
    }
  },

  async "metadata, ranges, head and acl"(Bucket) {
    const Metadata = { foo_bar: "1", "foo.bar": "2" };
    const data = bytesOf(40_000);
    await call(PutObjectCommand, { Bucket, Key: "a/b c+d", Body: data, Metadata, ContentType: "text/plain" });
    const head = await call(HeadObjectCommand, { Bucket, Key: "a/b c+d" });
    assert.deepEqual(head.Metadata, Metadata);
    assert.equal(head.ContentType, "text/plain");
    assert.equal(head.ContentLength, 40_000);
    const part = await readBack(Bucket, "a/b c+d", data.subarray(100, 200), { Range: "bytes=100-199" });
    assert.equal(part.ContentRange, "bytes 100-199/40000");
    const { Grants } = await call(GetObjectAclCommand, { Bucket, Key: "a/b c+d" });
    assert.equal(Grants[0].Permission, "FULL_CONTROL");
  },

  async "conditional writes and deletes"(Bucket) {
    const put = (members) => call(PutObjectCommand, { Bucket, Key: "k", Body: "x", ...members });
    const { ETag } = await put({ IfNoneMatch: "*" });
    await assert.rejects(put({ IfNoneMatch: "*" }), named("PreconditionFailed"));
    await assert.rejects(put({ IfMatch: '"other"' }), named("PreconditionFailed"));
    await put({ IfMatch: ETag });
    const conditional = { Bucket, Key: "k", IfMatch: '"other"' };
    await assert.rejects(call(DeleteObjectCommand, conditional), named("PreconditionFailed"));
    await call(DeleteObjectCommand, { Bucket, Key: "k", IfMatch: ETag });
    await assert.rejects(call(GetObjectCommand, { Bucket, Key: "k" }), NoSuchKey);
  },

  async "listings and the batch delete, which is covered by a checksum only"(Bucket) {
    const keys = ["a", "a/1", "a/2", "b ü"];
    for (const Key of keys) await call(PutObjectCommand, { Bucket, Key, Body: Key });
    const v2 = await call(ListObjectsV2Command, { Bucket, MaxKeys: 3, FetchOwner: true });
    assert.deepEqual(v2.Contents.map(({ Key }) => Key), keys.slice(0, 3));
    const rest = await call(ListObjectsV2Command, { Bucket, ContinuationToken: v2.NextContinuationToken });
    assert.deepEqual(rest.Contents.map(({ Key }) => Key), keys.slice(3));
    const v1 = await call(ListObjectsCommand, { Bucket, Delimiter: "/" });
    assert.deepEqual(v1.CommonPrefixes, [{ Prefix: "a/" }]);
    const versions = await call(ListObjectVersionsCommand, { Bucket });
    assert.deepEqual(versions.Versions.map(({ VersionId }) => VersionId), keys.map(() => "null"));
    const Objects = versions.Versions.map(({ Key, VersionId }) => ({ Key, VersionId }));
    const gone = await call(DeleteObjectsCommand, { Bucket, Delete: { Objects } });
    assert.equal(sent.at(-1)["content-md5"], undefined);
    assert.deepEqual(gone.Deleted.map(({ Key }) => Key), keys);
    assert.equal((await call(ListObjectsV2Command, { Bucket })).KeyCount, 0);
  },

  async "what is told about a bucket"(Bucket) {
    await call(HeadBucketCommand, { Bucket });
    assert.ok((await call(ListBucketsCommand, {})).Buckets.some(({ Name }) => Name === Bucket));
    assert.equal((await call(GetBucketLocationCommand, { Bucket })).LocationConstraint, undefined);
    assert.equal((await call(GetBucketVersioningCommand, { Bucket })).Status, undefined);
    assert.equal((await call(GetBucketAclCommand, { Bucket })).Grants.length, 1);
    const configuration = await call(GetBucketNotificationConfigurationCommand, { Bucket });
    assert.equal(configuration.QueueConfigurations, undefined);
  },

  async "multipart uploads, with the checksum that is the default"(Bucket) {
    const parts = [bytesOf(5 << 20), bytesOf(100)];
    const { UploadId } = await call(CreateMultipartUploadCommand, { Bucket, Key: "k" });
    const Parts = [];
    for (const [n, Body] of parts.entries()) {
      const part = { Bucket, Key: "k", UploadId, PartNumber: n + 1, Body };
      const { ETag, ChecksumCRC32 } = await call(UploadPartCommand, part);
      assert.ok(ChecksumCRC32);
      Parts.push({ PartNumber: n + 1, ETag, ChecksumCRC32 });
    }
    const listed = await call(ListPartsCommand, { Bucket, Key: "k", UploadId });
    assert.deepEqual(listed.Parts.map(({ Size }) => Size), parts.map(({ length }) => length));
    await call(CompleteMultipartUploadCommand, { Bucket, Key: "k", UploadId, MultipartUpload: { Parts } });
    await readBack(Bucket, "k", Buffer.concat(parts));
    const second = await readBack(Bucket, "k", parts[1], { PartNumber: 2 });
    assert.equal(second.PartsCount, 2);
    const { UploadId: given } = await call(CreateMultipartUploadCommand, { Bucket, Key: "k" });
    await call(AbortMultipartUploadCommand, { Bucket, Key: "k", UploadId: given });
    const { Uploads = [] } = await call(ListMultipartUploadsCommand, { Bucket });
    assert.equal(Uploads.length, 0);
  },

  async "what is not done is refused by name"(Bucket) {
    const factors = { Bucket, VersioningConfiguration: { Status: "Enabled", MFADelete: "Enabled" } };
    await assert.rejects(call(PutBucketVersioningCommand, factors), named("NotImplemented"));
    const rule = { TopicArn: "arn:aws:sns:us-east-1:1:t", Events: ["s3:ObjectCreated:*"] };
    const topic = { TopicConfigurations: [rule] };
    await assert.rejects(
      call(PutBucketNotificationConfigurationCommand, { Bucket, NotificationConfiguration: topic }),
      named("NotImplemented"),
    );
    const encrypted = { Bucket, Key: "k", Body: "x", ServerSideEncryption: "AES256" };
    await assert.rejects(call(PutObjectCommand, encrypted), named("NotImplemented"));
  },
};

async function empty(Bucket) {
  const { Contents = [] } = await call(ListObjectsV2Command, { Bucket });
  for (const { Key } of Contents) await call(DeleteObjectCommand, { Bucket, Key });
  await call(DeleteBucketCommand, { Bucket });
}

const passed = [];
const failed = [];
for (const [index, [name, run]] of Object.entries(cases).entries()) {
  const Bucket = `js-${index}-bucket`;
  await call(CreateBucketCommand, { Bucket });
  try {
    await run(Bucket);
    passed.push(name);
  } catch (error) {
    failed.push({ name, reason: String(error?.stack ?? error) });
  } finally {
    await empty(Bucket);
  }
}
console.log(JSON.stringify({ passed, failed }));
process.exitCode = failed.length === 0 ? 0 : 1;
