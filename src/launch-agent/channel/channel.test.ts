import { PassThrough, Writable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { syncMarker } from "../../protocol/channel.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { Channel, type ChannelHandlers } from "./channel.ts";
import { ChannelViolation } from "./violation.ts";
import { FrameWriter } from "./writer.ts";

const nonce = Buffer.alloc(16, 7);
const hello = encodeFrame({ type: "hello", protocol: 1, version: "1" });
const accepted = encodeFrame({ type: "accepted", task: "t", attempt: 2 });
const opening = Buffer.concat([syncMarker(nonce), hello, accepted]);

function open(handlers: Partial<ChannelHandlers> = {}) {
  const stdout = new PassThrough();
  const written: Buffer[] = [];
  const stdin = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  const seen: string[] = [];
  const channel = new Channel({
    stdout,
    writer: new FrameWriter(stdin),
    nonce,
    task: { id: "t", attempt: 2 },
    handlers: {
      hello: () => seen.push("hello"),
      accepted: () => seen.push("accepted"),
      record: (seq) => void seen.push(`record ${seq}`),
      transfer: (frame) => void seen.push(frame.type),
      ...handlers,
    },
  });
  return { channel, stdout, written, seen };
}

function record(seq: number, changes: object = {}, body: Buffer = Buffer.from("x")): Buffer {
  const piece = { type: "output", step: 100, stream: "stdout", offset: 0, length: 1, encoding: "identity", ...changes };
  return encodeFrame({ type: "record", seq, record: piece }, body);
}

test("opens with the marker, and skips what stands before its answer", async () => {
  const { channel, stdout, written, seen } = open();

  stdout.write(Buffer.concat([syncMarker(Buffer.alloc(16, 1)), Buffer.from("rest of an older attachment")]));
  for (const byte of opening) stdout.write(Buffer.of(byte));
  stdout.end(record(1));
  await channel.run();

  expect(written).toEqual([syncMarker(nonce)]);
  expect(seen).toEqual(["hello", "accepted", "record 1"]);
});

test.each([
  ["a record before the task is accepted", [syncMarker(nonce), hello, record(1)], /before the task was accepted/],
  ["another protocol", [syncMarker(nonce), encodeFrame({ type: "hello", protocol: 9, version: "" })], /version 9/],
  [
    "another task",
    [syncMarker(nonce), hello, encodeFrame({ type: "accepted", task: "u", attempt: 2 })],
    /another task/,
  ],
  ["a second hello", [opening, hello], /second hello/],
  ["an unknown frame", [opening, encodeFrame({ type: "root-shell" })], /no task agent sends/],
  ["a step of the launch agent", [opening, record(1, { step: 3 })], /step 3/],
  ["a length that lies", [opening, record(1, { length: 2 })], /1 bytes that says 2/],
  ["a piece that is too large", [opening, record(1, { length: 2 ** 30, encoding: "zstd" })], /over 1048576/],
  ["a frame that is too large", [opening, Buffer.alloc(16, 0xff)], /is over/],
])("ends on %s", async (_what, bytes, message) => {
  const { channel, stdout } = open();

  stdout.end(Buffer.concat(bytes));

  await expect(channel.run()).rejects.toThrow(message);
});

test("reads no further while a record waits for room", async () => {
  const room = Promise.withResolvers<void>();
  const { channel, stdout, seen } = open({ record: (seq) => (seq === 1 ? room.promise : undefined) });
  const ran = channel.run();

  stdout.end(Buffer.concat([opening, record(1), encodeFrame({ type: "credit", id: 1, bytes: 1 })]));
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual(["hello", "accepted"]);
  room.resolve();
  await ran;

  expect(seen).toEqual(["hello", "accepted", "credit"]);
});

test("takes a broken stream for its end", async () => {
  const { channel, stdout } = open();
  stdout.destroy(new Error("connection reset"));

  await expect(channel.run()).resolves.toBeUndefined();
});

/** Frames of every kind, right, wrong and cut up. */
const anyBytes = fc.oneof(
  fc.constantFrom(hello, accepted, opening),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record({ seq: fc.integer(), step: fc.integer(), length: fc.integer() })
    .map(({ seq, step, length }) => record(seq, { step, length })),
  fc.dictionary(fc.string(), fc.jsonValue()).map((header) => encodeFrame(header)),
  fc
    .record({
      type: fc.constantFrom("data", "end", "credit", "abort", "request"),
      id: fc.integer(),
      bytes: fc.integer(),
      message: fc.string(),
      request: fc.jsonValue(),
    })
    .map((header) => encodeFrame(header, Buffer.from("body"))),
);

test("no bytes whatever crash it or leave it standing", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(anyBytes, { maxLength: 20 }),
      fc.integer({ min: 1, max: 100 }),
      async (begins, parts, size) => {
        const { channel, stdout } = open();
        const bytes = Buffer.concat(begins ? [opening, ...parts] : parts);
        const ran = channel.run().catch((error: unknown) => error);
        for (let at = 0; at < bytes.byteLength && !stdout.destroyed; at += size)
          stdout.write(bytes.subarray(at, at + size));
        stdout.end();

        const end = await ran;

        expect(end === undefined || end instanceof ChannelViolation).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});
