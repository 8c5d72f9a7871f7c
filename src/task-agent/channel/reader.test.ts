import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame } from "../../protocol/frames.ts";
import { resyncPaddingBytes, syncMarker } from "../../protocol/sync.ts";
import { type Arrival, ChannelReader } from "./reader.ts";

const nonce = (fill: number): Buffer => Buffer.alloc(16, fill);

function read(bytes: Buffer, cuts: readonly number[] = []): Arrival[] {
  const reader = new ChannelReader();
  const places = [0, ...cuts.map((cut) => cut % (bytes.byteLength + 1)).sort((a, b) => a - b), bytes.byteLength];
  return places.slice(1).flatMap((end, index) => [...reader.push(bytes.subarray(places[index], end))]);
}

function told(arrivals: Arrival[]): unknown[] {
  return arrivals.map((arrival) =>
    arrival.kind === "marker" ? arrival.nonce[0] : [arrival.frame.header, arrival.frame.body.toString("latin1")],
  );
}

describe("the channel's reader", () => {
  const frame = fc.record({ n: fc.integer(), body: fc.uint8Array({ maxLength: 200 }) });

  test("gives markers and frames in order, wherever the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(frame), fc.uint8Array({ maxLength: 100 }), fc.array(fc.nat()), (frames, noise, cuts) => {
        const bytes = Buffer.concat([
          noise,
          syncMarker(nonce(7)),
          ...frames.map(({ n, body }) => encodeFrame({ n }, body)),
        ]);

        expect(told(read(bytes, cuts))).toEqual([
          7,
          ...frames.map(({ n, body }) => [{ n }, Buffer.from(body).toString("latin1")]),
        ]);
      }),
    );
  });

  test("finds the next attachment after any part of a frame", () => {
    const whole = encodeFrame({ type: "data", id: 1 }, Buffer.alloc(300, "x"));
    const after = encodeFrame({ type: "ack", seq: 5 });
    const padding = Buffer.alloc(resyncPaddingBytes);
    for (const part of [0, 1, 3, 4, 5, 6, 7, 20, whole.byteLength - 1, whole.byteLength]) {
      const bytes = Buffer.concat([
        syncMarker(nonce(1)),
        whole.subarray(0, part),
        padding,
        syncMarker(nonce(2)),
        after,
      ]);

      const arrivals = told(read(bytes, [100_000, 4_000_000, bytes.byteLength - 70]));

      expect(arrivals[0]).toBe(1);
      expect(arrivals.slice(-2)).toEqual([2, [{ type: "ack", seq: 5 }, ""]]);
    }
  });

  test("skips garbage of any kind without holding on to it", () => {
    const reader = new ChannelReader();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (garbage) => {
        expect(() => [...reader.push(Buffer.from(garbage))]).not.toThrow();
      }),
    );
    expect(told([...reader.push(syncMarker(nonce(9)))])).toEqual([9]);
  });
});
