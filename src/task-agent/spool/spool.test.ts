import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Spool } from "./spool.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cofferdam-spool-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

describe("the spool", () => {
  test("gives records in order, again after a rewind, and forgets what is acknowledged", () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant("append" as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }) }),
      fc.record({ do: fc.constantFrom("next" as const, "rewind" as const) }),
      fc.record({ do: fc.constant("ack" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), fc.boolean(), (actions, withDirectory) => {
        const spool = new Spool({ memoryBytes: 300, directory: () => (withDirectory ? directory : undefined) });
        const all: Buffer[] = [];
        let sent = 0;
        let acked = 0;
        let right = true;
        for (const act of actions) {
          if (act.do === "append") spool.append(all.push(Buffer.from(act.bytes)), Buffer.from(act.bytes));
          else if (act.do === "rewind") {
            spool.rewind();
            sent = acked;
          } else if (act.do === "ack") {
            acked += Math.floor((sent - acked) * act.part);
            spool.ack(acked);
          } else {
            const bytes = spool.next();
            right &&= bytes?.toString("hex") === all[sent]?.toString("hex");
            if (bytes) sent += 1;
          }
          right &&= spool.empty === (acked === all.length);
        }
        expect(right).toBe(true);
      }),
    );
  });

  test("keeps no more in memory than it may, and leaves neither names nor open files behind", () => {
    const before = openFiles();
    const spool = new Spool({ memoryBytes: 1_000_000, directory: () => directory });

    for (let seq = 1; seq <= 200; seq += 1) spool.append(seq, Buffer.alloc(250_000, seq));

    expect(spool.full).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
    expect(openFiles()).toBeGreaterThan(before);
    for (let seq = 1; seq <= 200; seq += 1) {
      expect(spool.next()?.every((byte) => byte === seq % 256)).toBe(true);
      spool.ack(seq);
    }
    expect(openFiles()).toBeLessThanOrEqual(before + 1);
  });

  test("keeps records in memory where no file can be written", () => {
    const spool = new Spool({ memoryBytes: 10, directory: () => "/proc/nowhere" });

    spool.append(1, Buffer.alloc(100, 1));
    spool.append(2, Buffer.alloc(100, 2));

    expect([spool.next()?.[0], spool.next()?.[0], spool.next()]).toEqual([1, 2, undefined]);
  });
});
