import { afterEach, describe, expect, test } from "vitest";
import { anAgent } from "../../../test/fakes/launch-agents.ts";
import { assertClean, ownedBy, runningOf } from "../../../test/fakes/owned.ts";
import { obedient, type Script, scriptedEngine } from "../../../test/fakes/scripted-engine.ts";
import { aTask } from "../../../test/fakes/tasks.ts";
import { until } from "../../../test/fakes/until.ts";
import type { DummyEngine, DummyEngineOptions } from "../../engine/dummy/index.ts";
import { EngineError } from "../../engine/engine.ts";
import { systemClock } from "../../lib/clock.ts";
import { layGround } from "../ground.ts";
import { planAhead } from "./plan-ahead.ts";
import type { PoolOptions } from "./pool.ts";

const never = new AbortController().signal;

let engine: DummyEngine;

afterEach(async () => await assertClean(engine));

/** A pool by itself, on an engine of its own. */
async function open(script: Script, pool: Partial<PoolOptions> = {}, options: Partial<DummyEngineOptions> = {}) {
  engine = scriptedEngine(script, options);
  // Nothing is believed for longer than the moment.
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() * 10_000 };
  const small = { perShape: 1, total: 2, pauseMs: 0, checkMs: 20 };
  return layGround({ ...anAgent, engine, clock, pool: { ...small, ...pool } }, await engine.info(never));
}

describe("a pool", () => {
  test("starts one ahead of its task, and waits for its greeting", async () => {
    const { pool, ground } = await open(obedient);

    await pool.prewarm(aTask().container);

    const member = pool.take(await planOf(ground), 0);
    await expect(member?.ready).resolves.toMatchObject({ id: expect.any(String) });
    expect(pool.take(await planOf(ground), 0)).toBeUndefined();
    await member?.drop();
    await pool.close();
  });

  test.each([
    ["would have to be pulled", { executor: "docker", images: [{ image: "absent", environment: {} }] }],
    ["needs services", { executor: "docker", images: [1, 2].map(() => ({ image: "dummy", environment: {} })) }],
    ["cannot be run", { workingDirectory: "/proc" }],
  ] as const)("makes none ahead for what %s", async (_what, container) => {
    const { pool } = await open(obedient);

    await pool.prewarm({ ...aTask().container, ...structuredClone(container) } as never);

    expect(pool.size).toBe(0);
    expect(engine.calls.filter((call) => call.startsWith("create"))).toEqual([]);
  });

  test.each([
    ["its total", { total: 2 }],
    ["its memory", { total: 9, memoryBytes: 2 * 64 * 1024 ** 2 }],
  ])("keeps to %s", async (_what, options) => {
    const { pool } = await open(obedient, options);

    for (let times = 0; times < 4; times++) await pool.prewarm(aTask().container);

    expect(pool.size).toBe(2);
    await pool.close();
  });

  test.each(["create", "attach", "start"] as const)("leaves nothing when %s fails", async (call) => {
    const fault = (called: string) => (called === call ? new EngineError("failed", "no") : undefined);
    const { pool } = await open(obedient, {}, { fault });

    await pool.prewarm(aTask().container);

    await until(() => pool.size === 0);
    await pool.close();
    expect(await ownedBy(engine)).toEqual([]);
  });

  test("leaves nothing when it is closed in the middle of a start", async () => {
    const { pool } = await open(async () => {
      await new Promise(() => {});
    });

    const started = pool.prewarm(aTask().container);
    await pool.close();

    await started;
    expect(await ownedBy(engine)).toEqual([]);
  });

  test("replaces what was made from an image that is another one by now", async () => {
    const { pool } = await open(obedient);
    const image = engine.image.bind(engine);
    let id = "sha256:old";
    engine.image = async (reference, signal) => {
      const found = await image(reference, signal);
      return found && { ...found, environment: { NODE_OPTIONS: id } };
    };
    await pool.prewarm(dummyJob);
    const [old = ""] = await ownedBy(engine);
    const plans = () => engine.calls.filter((call) => call.startsWith("create")).length;
    id = "";

    const kept = new AbortController();
    const keeping = pool.keep({ signal: kept.signal, freeBytes: () => 1024 ** 3 });
    await until(async () => !(await ownedBy(engine)).includes(old) && (await runningOf(engine, "pool")).length === 1);

    expect(plans()).toBe(2);
    kept.abort();
    await keeping;
    await pool.close();
  });
});

const dummyJob = { ...aTask().container, executor: "docker" as const, images: [{ image: "dummy", environment: {} }] };

async function planOf(ground: ReturnType<typeof layGround>["ground"]) {
  const plan = await planAhead(ground, { spec: aTask().container, id: "x", longestMs: 1, signal: never });
  if (!plan) throw new Error("no plan");
  return plan;
}
