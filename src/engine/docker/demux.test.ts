import { randomBytes } from "node:crypto";
import { Duplex, PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { demultiplex } from "./demux.ts";

function frame(tag: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head[0] = tag;
  head.writeUInt32BE(bytes.byteLength, 4);
  return Buffer.concat([head, bytes]);
}

function source(): PassThrough {
  return new PassThrough();
}

async function all(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const asIs = (cause: unknown): Error => cause as Error;

test("any frames cut at any place come out whole and in order", async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 50 })), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), async (list, cuts) => {
      const input = source();
      const { stdout, stderr } = demultiplex(input, asIs);
      const results = Promise.all([all(stdout), all(stderr)]);
      const bytes = Buffer.concat(list.map(([tag, data]) => frame(tag, Buffer.from(data))));
      for (let at = 0, cut = 0; at < bytes.byteLength; cut++) {
        const size = cuts[cut % cuts.length] ?? 1;
        input.write(bytes.subarray(at, at + size));
        at += size;
      }
      input.end();
      const expected = [1, 2].map((tag) =>
        Buffer.concat(list.filter(([of]) => of === tag).map(([, data]) => Buffer.from(data))),
      );
      expect(await results).toEqual(expected);
    }),
  );
});

test("a connection that ends in the middle of a frame ends both streams with an error", async () => {
  const input = source();
  const { stdout, stderr } = demultiplex(input, asIs);
  input.end(frame(1, Buffer.from("whole")).subarray(0, 10));
  await expect(all(stdout)).rejects.toThrow("middle of a frame");
  await expect(all(stderr)).rejects.toThrow("middle of a frame");
});

test("bytes that are no multiplexed stream end both streams with an error", async () => {
  const input = source();
  const { stdout } = demultiplex(input, asIs);
  input.write("HTTP/1.1 200 OK\r\n\r\n");
  await expect(all(stdout)).rejects.toThrow("not the engine's multiplexed stream");
  expect(input.destroyed).toBe(true);
});

test("a reader that does not read holds the engine, within bounded memory", async () => {
  let pulled = 0;
  const chunk = frame(1, randomBytes(64 * 1024 - 8));
  const endless = new Duplex({
    read() {
      setImmediate(() => {
        pulled += chunk.byteLength;
        this.push(chunk);
      });
    },
    write: (_chunk, _encoding, done) => done(),
  });
  const { stdout } = demultiplex(endless, asIs);
  for (let i = 0; i < 200; i++) await turn();
  expect(endless.isPaused()).toBe(true);
  expect(stdout.readableLength).toBeLessThan(2 * 1024 * 1024);
  const held = pulled;
  stdout.resume();
  for (let i = 0; i < 50; i++) await turn();
  expect(pulled).toBeGreaterThan(held);
  endless.destroy();
});

test("a reader that gives one stream up does not hold the other", async () => {
  const input = source();
  const { stdout, stderr } = demultiplex(input, asIs);
  stderr.destroy();
  const received = all(stdout);
  for (let i = 0; i < 40; i++) input.write(frame(2, randomBytes(64 * 1024)));
  input.end(frame(1, Buffer.from("after")));
  expect((await received).toString()).toBe("after");
});
