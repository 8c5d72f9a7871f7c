import { afterEach, beforeEach, expect, test } from "vitest";
import { obedient } from "../../test/fakes/scripted-engine.ts";
import { ScriptedStage } from "../../test/fakes/scripted-stage.ts";
import { aTask } from "../../test/fakes/tasks.ts";
import { EngineError } from "../engine/engine.ts";
import { systemClock } from "../lib/clock.ts";

const hour = 3_600_000;
/** Between two looks of an agent that waits for room. */
const restMs = 5_000;

let stage: ScriptedStage;

beforeEach(async () => {
  stage = await new ScriptedStage().open();
});

afterEach(async () => await stage.close());

test("a container for which there is no space: its task is anybody's again, and nothing more is claimed until there is room", async () => {
  const { controlPlane } = stage;
  const world = { freeBytes: 50, looks: 0, isFull: false };
  const first = controlPlane.enqueue(aTask({ id: "first" }));
  const { agent } = stage.run(obedient, {
    engine: {
      fault: (call) => {
        if (call !== "create" || world.isFull) return undefined;
        world.isFull = true;
        world.freeBytes = 0;
        return new EngineError("disk-full", "no space left on device");
      },
    },
    options: {
      clock: {
        ...systemClock,
        sleep: async (ms, signal) => await systemClock.sleep(ms === restMs ? 10 : ms, signal),
      },
      disk: {
        probe: async () => {
          world.looks++;
          return { freeBytes: world.freeBytes, totalBytes: 100 };
        },
        lookMs: hour,
        highPercent: 90,
        lowPercent: 80,
        floorBytes: 10,
        imageMaxAgeMs: hour,
        foreignImages: false,
      },
    },
  });

  await controlPlane.until(() => first.unclaimed.length > 0);
  await expect.poll(() => agent.status().disk?.problem).toContain("the engine's disk has 0 bytes free");
  const second = controlPlane.enqueue(aTask({ id: "second" }));
  const looks = world.looks;
  await expect.poll(() => world.looks).toBeGreaterThan(looks + 3);
  expect(second.heartbeats + second.records.length).toBe(0);
  world.freeBytes = 50;

  expect(await controlPlane.ended(second, "task")).toMatchObject({ status: "success" });
  expect(first.unclaimed).toEqual([expect.stringContaining("no space left on device")]);
  expect(second.unclaimed).toEqual([]);
});
