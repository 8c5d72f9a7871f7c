import { Readable, Writable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { initialCreditBytes } from "../../protocol/channel.ts";
import { FrameDecoder } from "../../protocol/frames.ts";
import { ByteQueue } from "./byte-queue.ts";
import { Credit, sendDownload } from "./download.ts";
import { Upload } from "./upload.ts";
import { ChannelViolation } from "./violation.ts";
import { FrameWriter } from "./writer.ts";

test("a queue gives back the bytes that went in, in order, however they were cut", () => {
  const move = fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.constant("take" as const));
  fc.assert(
    fc.property(fc.array(move, { maxLength: 20 }), (moves) => {
      const queue = new ByteQueue();
      const put: Buffer[] = [];
      const got: Buffer[] = [];
      for (const [at, size] of moves.entries()) {
        if (size === "take") got.push(queue.shift() ?? Buffer.alloc(0));
        else {
          const piece = Buffer.alloc(size, at + 1);
          put.push(piece);
          queue.push(piece);
        }
      }
      for (let bytes = queue.shift(); bytes; bytes = queue.shift()) got.push(bytes);
      expect(Buffer.concat(got).equals(Buffer.concat(put))).toBe(true);
      expect(queue.byteLength).toBe(0);
    }),
  );
});

test("an upload grants no more than was read of it, and refuses what is beyond", async () => {
  let granted = 0;
  const upload = new Upload((bytes) => {
    granted += bytes;
  });
  for (let sent = 0; sent < initialCreditBytes; sent += 65_536) upload.data(Buffer.alloc(65_536, 1));

  expect(() => upload.data(Buffer.of(1))).toThrow(ChannelViolation);
  expect(granted).toBe(0);
  const read = await takeBytes(upload.stream, initialCreditBytes / 2);

  expect(read).toBeGreaterThanOrEqual(initialCreditBytes / 2);
  expect(granted).toBeGreaterThan(0);
  expect(granted).toBeLessThanOrEqual(initialCreditBytes);
  upload.data(Buffer.of(1));
});

test("an upload carries every byte, and its end", async () => {
  const pieces = Array.from({ length: 40 }, (_, at) => Buffer.alloc(100_000, at));
  let credit = initialCreditBytes;
  let wake = () => {};
  const upload = new Upload((bytes) => {
    credit += bytes;
    wake();
  });
  const whole = (async () => Buffer.concat(await upload.stream.toArray()))();

  for (const piece of pieces) {
    while (credit < piece.byteLength) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    credit -= piece.byteLength;
    upload.data(piece);
  }
  upload.end();

  expect((await whole).equals(Buffer.concat(pieces))).toBe(true);
  expect(() => upload.data(Buffer.of(1))).toThrow(/after the end/);
});

test("a download sends no byte beyond the credit that it has", async () => {
  const { writer, frames } = collect();
  const credit = new Credit();
  const abort = new AbortController();
  const source = Readable.from([Buffer.alloc(3 * initialCreditBytes, 7)]);

  const sent = sendDownload(source as AsyncIterable<Buffer>, { id: 5, credit, writer, signal: abort.signal });
  await new Promise((resolve) => setImmediate(resolve));
  expect(dataBytes(frames())).toBe(initialCreditBytes);
  credit.grant(2 * initialCreditBytes);
  await sent;

  expect(dataBytes(frames())).toBe(3 * initialCreditBytes);
  expect(frames().at(-1)?.header).toEqual({ type: "end", id: 5 });
});

test("a download that is given up ends at once", async () => {
  const { writer } = collect();
  const abort = new AbortController();
  const source = Readable.from([Buffer.alloc(2 * initialCreditBytes)]);
  const sent = sendDownload(source as AsyncIterable<Buffer>, {
    id: 1,
    credit: new Credit(),
    writer,
    signal: abort.signal,
  });

  abort.abort(new Error("given up"));

  await expect(sent).rejects.toThrow("given up");
});

test("acknowledgements are merged while a container does not read, and too much that waits is refused", () => {
  const written: Buffer[] = [];
  let proceed = () => {};
  const stdin = new Writable({
    highWaterMark: 16,
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk);
      proceed = done;
    },
  });
  const writer = new FrameWriter(stdin);

  for (let seq = 1; seq <= 10_000; seq++) writer.ack(seq);
  expect(stdin.writableLength).toBeLessThan(200);
  const flood = () => {
    for (let id = 1; id < 100; id++) writer.send({ type: "data", id }, Buffer.alloc(1_000_000));
  };
  expect(flood).toThrow(ChannelViolation);
  proceed();
});

function collect() {
  const chunks: Buffer[] = [];
  const stdin = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { writer: new FrameWriter(stdin), frames: () => [...new FrameDecoder().push(Buffer.concat(chunks))] };
}

function dataBytes(frames: { header: unknown; body: Buffer }[]): number {
  return frames.reduce((sum, { body }) => sum + body.byteLength, 0);
}

async function takeBytes(stream: Readable, count: number): Promise<number> {
  let read = 0;
  while (read < count) {
    const chunk = stream.read() as Buffer | null;
    if (chunk) read += chunk.byteLength;
    else await new Promise((resolve) => stream.once("readable", resolve));
  }
  return read;
}
