import { expect, test } from "vitest";
import { StartGate } from "./start-gate.ts";

test("lets so many through at once, first come first served, failures included", async () => {
  const gate = new StartGate(2);
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
  const gate = new StartGate(2);
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
