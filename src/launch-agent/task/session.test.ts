import { PassThrough, Readable, Writable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { aTask } from "../../../test/fakes/tasks.ts";
import { syncMarker } from "../../protocol/channel.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { ApiFailure } from "../api/failure.ts";
import { RecordRelay } from "../relay/records.ts";
import type { BlobCalls } from "../relay/requests.ts";
import { TaskLane } from "../relay/task-lane.ts";
import { TaskSession } from "./session.ts";

const nonce = Buffer.alloc(16, 1);
const opening = Buffer.concat([
  syncMarker(nonce),
  encodeFrame({ type: "hello", protocol: 1, version: "1" }),
  encodeFrame({ type: "accepted", task: "task-1", attempt: 1 }),
]);

/** A control plane that takes everything, has every cache, and refuses every artifact. */
const blobs: BlobCalls = {
  restoreCache: async () => ({ body: Readable.from([Buffer.alloc(3_000_000)]), sizeBytes: 3_000_000, key: "k" }),
  hasCache: async () => true,
  saveCache: async (_key, body) => await swallow(body, true),
  workspaceLayers: async () => ({ layers: [] }),
  fetchLayer: async () => undefined,
  persistLayer: async (_step, body) => await swallow(body, undefined),
  storeArtifact: async () => {
    throw new ApiFailure("too big", { status: 413, code: "too-big" });
  },
  storeTestResults: async (_step, body) => await swallow(body, undefined),
  continuePipeline: async (body) => await swallow(body, undefined),
  source: async () => ({ body: Readable.from([Buffer.alloc(10)]) }),
};

async function swallow<T>(body: Readable, value: T): Promise<T> {
  for await (const _chunk of body) {
    // Only its end matters.
  }
  return value;
}

function open(options: { stdinReads: boolean }) {
  const stdout = new PassThrough();
  const stdin = new Writable({ write: (_chunk, _encoding, done) => (options.stdinReads ? done() : undefined) });
  const violations: Error[] = [];
  const abort = new AbortController();
  const session = new TaskSession({
    task: aTask(),
    attachment: { stdin, stdout, stderr: new PassThrough(), close: () => stdin.destroy() },
    greeting: { nonce, opening: "first" },
    blobs,
    lane: new TaskLane(
      new RecordRelay({
        post: async () => ({ acked: Number.MAX_SAFE_INTEGER, gap: false }),
        onAck: () => {},
        onFailure: () => {},
      }),
    ),
    signal: abort.signal,
    onAccepted: () => {},
    onViolation: (violation) => violations.push(violation),
    onApiFailure: () => {},
  });
  return { session, stdin, stdout, violations, abort };
}

const id = fc.integer({ min: 1, max: 30 });
const request = fc.constantFrom(
  { op: "restore-cache", keys: ["k"] },
  { op: "has-cache", key: "k" },
  { op: "save-cache", key: "k" },
  { op: "list-workspace" },
  { op: "fetch-workspace", layer: "l" },
  { op: "persist-workspace", step: 100 },
  { op: "store-artifact", path: "a/b" },
  { op: "store-test-results", step: 100 },
  { op: "checkout", method: "full" },
);
/** Frames that are right each by itself, in any order. */
const anyFrame = fc.oneof(
  fc.record({ type: fc.constant("request"), id, request }).map((header) => encodeFrame(header)),
  fc.record({ type: fc.constant("data"), id }).map((header) => encodeFrame(header, Buffer.alloc(100_000))),
  fc.record({ type: fc.constant("end"), id }).map((header) => encodeFrame(header)),
  fc.record({ type: fc.constant("credit"), id, bytes: fc.integer({ min: 1 }) }).map((header) => encodeFrame(header)),
  fc.record({ type: fc.constant("abort"), id, message: fc.string() }).map((header) => encodeFrame(header)),
  fc
    .record({ seq: fc.integer({ min: 1, max: 5 }), status: fc.constantFrom("success", "failed") })
    .map(({ seq, status }) => encodeFrame({ type: "record", seq, record: { type: "task-ended", status, atMs: 1 } })),
);

test("no order of frames crashes it, or leaves it standing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(anyFrame, { maxLength: 40 }), async (stdinReads, frames) => {
      const { session, stdout, violations, abort } = open({ stdinReads });
      stdout.write(opening);
      for (const frame of frames) if (!stdout.destroyed) stdout.write(frame);
      stdout.end();

      await session.ended;
      abort.abort();
      await session.close();

      expect(violations.length).toBeLessThan(frames.length + 1);
    }),
    { numRuns: 200 },
  );
});

test("a container that asks for much and reads nothing does not grow the agent", async () => {
  const { session, stdin, stdout, abort } = open({ stdinReads: false });
  stdout.write(opening);
  const answered = Array.from({ length: 200 }, (_, at) =>
    encodeFrame({ type: "request", id: at + 1, request: { op: "restore-cache", keys: ["k"] } }),
  );

  stdout.end(Buffer.concat(answered));
  await session.ended;

  expect(stdin.writableLength).toBeLessThan(20 * 1024 * 1024);
  abort.abort();
  await session.close();
});

test("tells why it refuses what it asks the control plane for in vain", async () => {
  const written: Buffer[] = [];
  const { session, stdout, stdin, abort } = open({ stdinReads: true });
  stdin._write = (chunk: Buffer, _encoding, done) => {
    written.push(chunk);
    done();
  };
  stdout.write(opening);
  stdout.write(encodeFrame({ type: "request", id: 1, request: { op: "store-artifact", path: "a" } }));

  await expect
    .poll(() => Buffer.concat(written).toString())
    .toContain('"message":"store-artifact: too big","infrastructure":false');
  stdout.end();
  await session.ended;
  abort.abort();
  await session.close();
});

test("gives up a stream that the control plane breaks off, as infrastructure's fault", async () => {
  const written: Buffer[] = [];
  const { session, stdout, stdin, abort } = open({ stdinReads: true });
  stdin._write = (chunk: Buffer, _encoding, done) => {
    written.push(chunk);
    done();
  };
  const broken = blobs.source;
  blobs.source = async () => ({ body: Readable.from(breakingOff()) });
  stdout.write(opening);
  stdout.write(encodeFrame({ type: "request", id: 1, request: { op: "checkout", method: "full" } }));

  await expect
    .poll(() => Buffer.concat(written).toString())
    .toContain('"message":"checkout: cut","infrastructure":true');
  blobs.source = broken;
  stdout.end();
  await session.ended;
  abort.abort();
  await session.close();
});

async function* breakingOff(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(10);
  throw new Error("cut");
}
