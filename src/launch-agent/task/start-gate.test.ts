import { expect, test } from "vitest";
import { StartGate } from "./start-gate.ts";

test("lets so many through at once, first come first served, failures included", async () => {
  const gate = new StartGate({ width: 2 });
  const order: number[] = [];
  let inside = 0;
  let most = 0;

  const done = await Promise.allSettled(
    [0, 1, 2, 3, 4].map(async (number) =>
      gate.run(async () => {
        order.push(number);
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
        if (number % 2 === 0) throw new Error("start failed");
      }),
    ),
  );

  expect(most).toBe(2);
  expect(order).toEqual([0, 1, 2, 3, 4]);
  expect(done.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "fulfilled", "rejected"]);
});

test("begins what is made ahead of need when nothing else is started, and one at a time", async () => {
  const gate = new StartGate({ width: 2 });
  const order: string[] = [];
  const turn = async () => await new Promise((resolve) => setImmediate(resolve));
  const named = (name: string) => async () => {
    order.push(`${name} begins`);
    await turn();
    order.push(`${name} ends`);
  };

  await Promise.all([
    gate.run(named("a")),
    gate.runWhenIdle(named("ahead 1")),
    gate.runWhenIdle(named("ahead 2")),
    gate.run(named("b")),
    gate.run(named("c")),
  ]);

  expect(order.slice(-4)).toEqual(["ahead 1 begins", "ahead 1 ends", "ahead 2 begins", "ahead 2 ends"]);
});

/** An engine that starts `best` at once as fast as one, and gets slower by half with each beyond. Time is counted, not waited for. */
async function saturate(best: number, starts: number): Promise<StartGate> {
  let nowMs = 0;
  let inside = 0;
  const gate = new StartGate({ width: 4, range: { least: 1, most: 12 }, monotonic: () => nowMs });
  const start = async () => {
    inside++;
    await new Promise((resolve) => setImmediate(resolve));
    nowMs += (100 / Math.min(inside, best)) * 1.5 ** Math.max(0, inside - best);
    inside--;
  };
  await Promise.all(Array.from({ length: starts }, async () => await gate.run(start)));
  return gate;
}

test.each([1, 2, 8])("finds that an engine does best with %i starts at once", async (best) => {
  const gate = await saturate(best, 400);

  expect(Math.abs(gate.width - best)).toBeLessThanOrEqual(2);
});

test("keeps the width that it is given where it may not move", async () => {
  const gate = new StartGate({ width: 3 });

  await Promise.all(Array.from({ length: 100 }, async () => await gate.run(async () => await Promise.resolve())));

  expect(gate.width).toBe(3);
});

test("tells how long each start waited", async () => {
  let nowMs = 0;
  const gate = new StartGate({ width: 1, monotonic: () => nowMs });
  const waits: number[] = [];
  gate.onWait((waitedMs) => waits.push(waitedMs));
  const start = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    nowMs += 10;
  };

  await Promise.all([gate.run(start), gate.run(start), gate.run(start)]);

  expect(waits).toEqual([0, 10, 20]);
});
