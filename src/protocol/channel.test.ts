import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findSyncMarker, resyncPaddingBytes, syncMarker, syncMarkerBytes } from "./channel.ts";
import { maxFrameBytes } from "./frames.ts";

const nonce = fc.uint8Array({ minLength: 16, maxLength: 16 });

describe("sync marker", () => {
  test("is found after any rest of an older attachment", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 500 }),
        nonce,
        fc.uint8Array({ maxLength: 20 }),
        (before, value, after) => {
          const found = findSyncMarker(Buffer.concat([before, syncMarker(value), after]));

          expect(found?.end).toBe(before.length + syncMarkerBytes);
          expect(found && [...found.nonce]).toEqual([...value]);
        },
      ),
    );
  });

  test("of two markers the newer one counts", () => {
    const older = syncMarker(Buffer.alloc(16, 1));
    const newer = syncMarker(Buffer.alloc(16, 2));

    expect(findSyncMarker(Buffer.concat([older, newer]))?.nonce).toEqual(Buffer.alloc(16, 2));
    expect(findSyncMarker(Buffer.concat([older, newer.subarray(0, 20)]))?.nonce).toEqual(Buffer.alloc(16, 1));
  });

  test("is not found in a part of itself", () => {
    const marker = syncMarker(Buffer.alloc(16, 7));

    for (let end = 0; end < marker.length; end++) expect(findSyncMarker(marker.subarray(0, end))).toBeUndefined();
  });

  test("refuses a nonce of another length", () => {
    expect(() => syncMarker(Buffer.alloc(15))).toThrow(RangeError);
  });

  test("the padding before it ends any half frame", () => {
    expect(resyncPaddingBytes).toBeGreaterThan(4 + maxFrameBytes);
  });
});
