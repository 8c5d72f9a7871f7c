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
