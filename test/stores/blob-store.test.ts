import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { BlobStore, StoredBlob } from "../../src/control-plane/blobs/blob-store.ts";
import { openBlobDirectory } from "../../src/control-plane/blobs/directory.ts";
import { openBucket } from "../../src/control-plane/blobs/s3.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { Secret } from "../../src/lib/secret.ts";
import { S3Server } from "./support/s3-server.ts";

const mebibyte = 1024 * 1024;
const signal = new AbortController().signal;

interface Opened extends AsyncDisposable {
  store: BlobStore;
  /** Uploads that were begun and neither finished nor given up. */
  halves(): Promise<unknown[]>;
}

let server: S3Server;
let buckets = 0;
beforeAll(async () => void (server = await S3Server.start()));
afterAll(async () => await server[Symbol.asyncDispose]());

async function openDirectory(): Promise<Opened> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-blobs-"));
  return {
    store: await openBlobDirectory(directory),
    halves: async () => await readdir(join(directory, "incoming")),
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true }),
  };
}

async function openS3(): Promise<Opened> {
  const settings = await server.bucket(`bucket-${buckets++}`, "some/prefix/");
  const store = await openBucket(settings, systemClock);
  const halves = async () =>
    (await server.client.send(new ListMultipartUploadsCommand({ Bucket: settings.name }))).Uploads ?? [];
  return { store, halves, [Symbol.asyncDispose]: async () => await store.close() };
}

const content = (bytes: Buffer): Readable =>
  Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
    })(),
    { objectMode: false },
  );

/** Undefined: it is not there. */
async function read(store: BlobStore, blob: StoredBlob, onCorrupt = () => undefined): Promise<Buffer | undefined> {
  const stream = await store.open(blob, onCorrupt);
  return stream && (await buffer(stream));
}

describe.each([
  ["a directory", openDirectory],
  ["a bucket", openS3],
])("%s", (_name, open) => {
  test.each([0, 1, 5 * mebibyte, 20 * mebibyte + 1])("gives %i bytes back as they were", async (size) => {
    await using opened = await open();
    const bytes = randomBytes(size);

    const blob = await opened.store.put("caches/a", content(bytes), { signal });

    expect(blob).toMatchObject({ key: "caches/a", sizeBytes: size });
    expect((await read(opened.store, blob))?.equals(bytes)).toBe(true);
    expect(await opened.halves()).toEqual([]);
  });

  test("takes keys as they are", async () => {
    await using opened = await open();
    const keys = ["artifacts/1/a b/ü+%2F&=?.txt", "artifacts/1/a b/'()*!;#", "artifacts/1/日本/..x"];

    const blobs = [];
    for (const key of keys) blobs.push(await opened.store.put(key, content(Buffer.from(key)), { signal }));

    expect(await Promise.all(blobs.map(async (blob) => String(await read(opened.store, blob))))).toEqual(keys);
  });

  test("replaces what was there, of several at once with one of them whole", async () => {
    await using opened = await open();
    const blobs = await Promise.all(
      Array.from({ length: 4 }, () => opened.store.put("a/b", content(randomBytes(9 * mebibyte)), { signal })),
    );

    const whole = [];
    for (const blob of blobs) {
      const bytes = await read(opened.store, blob).catch(() => undefined);
      if (bytes) whole.push(bytes);
    }

    expect(whole).toHaveLength(1);
  });

  test.each([1, 17])("leaves nothing of %i MiB that fail on their way, and keeps what was there", async (mebibytes) => {
    await using opened = await open();
    const before = await opened.store.put("a", content(Buffer.from("before")), { signal });
    async function* breaking() {
      for (let at = 0; at < mebibytes; at++) yield randomBytes(mebibyte);
      await new Promise(setImmediate);
      throw new Error("the caller hung up");
    }

    await expect(opened.store.put("a", Readable.from(breaking()), { signal })).rejects.toThrow("the caller hung up");

    expect(String(await read(opened.store, before))).toBe("before");
    expect(await opened.halves()).toEqual([]);
  });

  test("ends with the signal, and leaves nothing", async () => {
    await using opened = await open();
    const given = new AbortController();
    async function* endless() {
      for (let at = 0; ; at++) {
        if (at === 20) given.abort(new Error("over"));
        yield randomBytes(mebibyte);
        await new Promise(setImmediate);
      }
    }

    await expect(opened.store.put("a", Readable.from(endless()), { signal: given.signal })).rejects.toMatchObject({
      name: "AbortError",
    });

    expect(await read(opened.store, { key: "a", sizeBytes: 1, sha256: "" })).toBeUndefined();
    expect(await opened.halves()).toEqual([]);
  });

  test.each([1, 17])("refuses %i MiB that are more than they may be", async (mebibytes) => {
    await using opened = await open();
    const bytes = randomBytes(mebibytes * mebibyte);

    const put = opened.store.put("a", content(bytes), { signal, maxBytes: bytes.length - 1 });

    await expect(put).rejects.toMatchObject({ code: "too-large" });
    expect(await opened.halves()).toEqual([]);
    await opened.store.put("a", content(bytes), { signal, maxBytes: bytes.length });
  });

  test("hands out no blob of another size, and ends one of other bytes with an error", async () => {
    await using opened = await open();
    const { store } = opened;
    const blob = await store.put("a", content(Buffer.from("stored")), { signal });
    const onCorrupt = vi.fn<() => undefined>();

    expect(await read(store, { ...blob, sizeBytes: 7 })).toBeUndefined();
    expect(await read(store, { ...blob, key: "b" })).toBeUndefined();
    expect(onCorrupt).not.toHaveBeenCalled();
    await expect(read(store, { ...blob, sha256: "0".repeat(64) }, onCorrupt)).rejects.toThrow("not what was stored");
    expect(onCorrupt).toHaveBeenCalledOnce();
  });

  test("a reader that goes away takes nothing with it", async () => {
    await using opened = await open();
    const bytes = randomBytes(20 * mebibyte);
    const blob = await opened.store.put("a", content(bytes), { signal });

    for (let count = 0; count < 20; count++) (await opened.store.open(blob, () => undefined))?.destroy();

    expect((await read(opened.store, blob))?.equals(bytes)).toBe(true);
  });

  test("removes one, or all below a name, and minds nothing that is gone", async () => {
    await using opened = await open();
    const { store } = opened;
    const keys = ["x/1/a", "x/1/b/c", "x/10/a", "x/2"];
    const blobs = [];
    for (const key of keys) blobs.push(await store.put(key, content(Buffer.from("1")), { signal }));

    await store.removeBelow("x/1");
    await store.removeBelow("x/1");
    await store.remove("x/2");
    await store.remove("x/2");

    const left = await Promise.all(blobs.map(async (blob) => (await read(store, blob)) !== undefined));
    expect(left).toEqual([false, false, true, false]);
  });
});

describe("a bucket", () => {
  test("keeps to its prefix, of more objects than a page holds too", async () => {
    const settings = await server.bucket(`bucket-${buckets++}`, "mine/");
    const { client } = server;
    const put = async (Key: string) =>
      await client.send(new PutObjectCommand({ Bucket: settings.name, Key, Body: "x" }));
    for (let count = 0; count < 1100; count += 100)
      await Promise.all(Array.from({ length: 100 }, (_unused, index) => put(`mine/a/${count + index}`)));
    await put("a/theirs");
    const store = await openBucket(settings, systemClock);

    await store.removeBelow("a");

    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: settings.name }));
    expect(Contents?.map(({ Key }) => Key)).toEqual(["a/theirs"]);
    await store.close();
  });

  test("removes halves whose writer was killed, and not those that are under way, or others'", async () => {
    const settings = await server.bucket(`bucket-${buckets++}`, "mine/");
    const Bucket = settings.name;
    for (const Key of ["mine/half", "theirs/half"])
      await server.client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const store = await openBucket(settings, systemClock);
    const halves = async () =>
      (await server.client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.map(({ Key }) => Key);

    await store.removeAbandoned(Date.now() - 60_000);
    expect(await halves()).toEqual(["mine/half", "theirs/half"]);
    await store.removeAbandoned(Date.now() + 60_000);

    expect(await halves()).toEqual(["theirs/half"]);
    await store.close();
  });

  test("that cannot be used is said in words, with what to do", async () => {
    const settings = await server.bucket(`bucket-${buckets++}`);
    const credentials = { accessKeyId: "tester", secretAccessKey: new Secret("wrong") };
    const problem = async (other: object) =>
      await openBucket({ ...settings, ...other }, hurried()).then(
        () => "none",
        (error: unknown) => String(error),
      );

    expect(await problem({ name: "nowhere" })).toContain('has no bucket "nowhere"; create it');
    expect(await problem({ credentials })).toMatch(/refuses us bucket.*look at the key/);
    expect(await problem({ credentials: { ...credentials, accessKeyId: "nobody" } })).toMatch(/refuses us bucket/);
    expect(await problem({ endpoint: "http://127.0.0.1:1" })).toContain("cannot be reached (ECONNREFUSED)");
    expect(await problem({ endpoint: "https://no-such-host.invalid" })).toMatch(
      /cannot be reached \((ENOTFOUND|EAI_AGAIN)\)/,
    );
  });

  test("that goes away and comes back is used again", { timeout: 60_000 }, async () => {
    await using own = await S3Server.start();
    const store = await openBucket(await own.bucket("bucket"), systemClock);
    const blob = await store.put("a", content(Buffer.from("stored")), { signal });

    await own.stop();
    const calls = [store.put("b", content(randomBytes(mebibyte)), { signal }), store.open(blob, () => undefined)];
    const refused = await Promise.allSettled(calls);
    await own.run();

    expect(refused).toMatchObject([{ reason: { code: "unavailable" } }, { reason: { code: "unavailable" } }]);
    expect(String(await read(store, blob))).toBe("stored");
    await store.close();
  });
});

/** Whoever waits by it has no patience. */
function hurried(): Clock {
  let now = 0;
  return { now: () => now, monotonic: () => (now += 60_000), sleep: () => Promise.resolve() };
}
