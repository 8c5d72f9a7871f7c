import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { FakeControlPlane, FakeTask } from "../../../test/fakes/fake-control-plane.ts";
import { endOf, said } from "../../../test/fakes/fake-task.ts";
import { AgentStage, anAgent } from "../../../test/fakes/launch-agents.ts";
import { assertClean, ownedBy, runningOf } from "../../../test/fakes/owned.ts";
import { obedient, type Script, scriptedEngine } from "../../../test/fakes/scripted-engine.ts";
import { aTask, noNetwork } from "../../../test/fakes/tasks.ts";
import { until } from "../../../test/fakes/until.ts";
import type { DummyEngine, DummyProcess } from "../../engine/dummy/index.ts";
import type { Work } from "../../protocol/task.ts";
import { layGround } from "../ground.ts";
import type { LaunchAgent, LaunchAgentOptions } from "../index.ts";

const never = new AbortController().signal;
const small = { perShape: 1, total: 2, pauseMs: 0, checkMs: 20 };

let stage: AgentStage;
let controlPlane: FakeControlPlane;
let engine: DummyEngine;

async function openStage(): Promise<void> {
  stage = await new AgentStage().open();
  controlPlane = stage.controlPlane;
}

beforeEach(openStage);

afterEach(async () => {
  await stage.close();
  await assertClean(engine);
});

/** On an engine of its own that follows the script, or on the one that the test has made. */
function start(script: Script, options: Partial<LaunchAgentOptions> = {}): LaunchAgent {
  if (!options.engine) engine = scriptedEngine(script);
  return stage.start({ engine, pool: small, ...options });
}

async function waiting(): Promise<string[]> {
  return await runningOf(engine, "pool");
}

async function untilOneWaits(): Promise<void> {
  await until(async () => (await waiting()).length === 1);
}

async function succeeds(task: FakeTask): Promise<void> {
  expect(await controlPlane.ended(task)).toMatchObject({ status: "success" });
}

/** The second task of a shape finds what was made ready after the first one. */
async function runTwo(id: string): Promise<FakeTask> {
  await succeeds(controlPlane.enqueue(aTask({ id: `${id}-1` })));
  await untilOneWaits();
  return controlPlane.enqueue(aTask({ id: `${id}-2` }));
}

test("hands the second task of a shape to a container that waits, and says so", async () => {
  start(obedient);

  const second = await runTwo("task");

  await succeeds(second);
  expect(said(second, { step: 100 })).toBe("done\n");
  // The task may end before what the launch agent says of it is stored.
  await controlPlane.until(() => said(second, { step: 0 }).includes("Container"));
  expect(said(second, { step: 0 })).toMatch(/Container \S+ was waiting, handed over in \d+ ms/);
  expect([stage.count("miss"), stage.count("hit")]).toEqual([1, 1]);
});

test("never gives a task a container of another shape", async () => {
  start(obedient);
  await controlPlane.ended(await runTwo("task"));

  const other = controlPlane.enqueue(aTask({ id: "other", container: { network: noNetwork } }));

  await succeeds(other);
  expect(stage.count("hit")).toBe(1);
  await controlPlane.until(() => said(other, { step: 0 }).includes("Container"));
  expect(said(other, { step: 0 })).toMatch(/Container \S+ started in/);
});

test("takes nothing from the pool that would be for anybody to remove before the task may end", async () => {
  start(obedient);
  await controlPlane.ended(await runTwo("task"));
  await untilOneWaits();

  const long = controlPlane.enqueue(aTask({ id: "long", work: { maxRunTimeMs: 48 * 3_600_000 } }));

  await succeeds(long);
  expect(stage.count("hit")).toBe(1);
});

test("starts the task cold, at once and once, when what waits does not take it over", async () => {
  let deaf = 0;
  const script: Script = async (taskAgent, process) => {
    if (process.plan.labels["dev.cofferdam.role"] !== "pool") return await obedient(taskAgent, process);
    await taskAgent.synced();
    taskAgent.send({ type: "hello", protocol: 1, version: "deaf" });
    deaf++;
    await new Promise<void>((resolve) => process.killed.addEventListener("abort", () => resolve()));
  };
  start(script, { times: { handOverMs: 20 } });

  const second = await runTwo("task");

  await succeeds(second);
  expect(said(second, { step: 100 })).toBe("done\n");
  expect(second.unclaimed).toEqual([]);
  expect([stage.count("miss"), stage.count("hit")]).toEqual([2, 0]);
  expect(deaf).toBeGreaterThan(0);
});

test.each([
  ["does not begin a task again that has said something before it was killed", true, "infrastructure_fail"],
  ["starts a task cold that was accepted too late, and did not begin", false, "success"],
])("%s", async (_title, begins, end) => {
  const killing = Promise.withResolvers<void>();
  const said = Promise.withResolvers<void>();
  const script: Script = async (taskAgent, process) => {
    if (process.plan.labels["dev.cofferdam.role"] !== "pool") return await obedient(taskAgent, process);
    await taskAgent.synced();
    taskAgent.send({ type: "hello", protocol: 1, version: "slow" });
    const { frame } = await taskAgent.next("task");
    await killing.promise;
    taskAgent.send({ type: "accepted", task: frame.task, attempt: frame.attempt });
    if (begins) taskAgent.record({ type: "step-started", step: 100, name: "late", kind: "run", atMs: 1 });
    said.resolve();
    await new Promise(() => {});
  };
  engine = scriptedEngine(script);
  const kill = engine.kill.bind(engine);
  engine.kill = async (id, signal) => {
    killing.resolve();
    await said.promise;
    await kill(id, signal);
  };
  start(script, { engine, times: { handOverMs: 20 } });

  const second = await runTwo("task");

  expect(await controlPlane.ended(second)).toMatchObject({ status: end });
  const cold = stage.events.filter((event) => event.type === "started" && event.taskId === "task-2");
  expect(cold).toHaveLength(begins ? 0 : 1);
  expect(second.unclaimed).toEqual([]);
});

test("goes on without it when what waits dies in the moment of the hand-over", async () => {
  const script: Script = async (taskAgent, process) => {
    if (process.plan.labels["dev.cofferdam.role"] !== "pool") return await obedient(taskAgent, process);
    await taskAgent.synced();
    taskAgent.send({ type: "hello", protocol: 1, version: "mortal" });
    await taskAgent.next("task");
    return 1;
  };
  start(script);

  const second = await runTwo("task");

  await succeeds(second);
  expect(stage.count("hit")).toBe(0);
});

test("replaces what died, and leaves nothing of it", async () => {
  start(obedient);
  await controlPlane.ended(await runTwo("task"));
  await untilOneWaits();
  const [first = ""] = await waiting();

  await engine.kill(first, never);

  await until(async () => (await waiting()).some((id) => id !== first));
  // Its successor may be there while it is still being removed.
  await until(async () => !(await ownedBy(engine)).includes(first));
  expect(await waiting()).not.toContain(first);
});

test("gives way to tasks that need the memory", async () => {
  const hold = Promise.withResolvers<void>();
  const script: Script = async (taskAgent) => {
    const work: Work = await taskAgent.begin();
    if (work.environment["HOLD"] === "1") await hold.promise;
    await taskAgent.run("x");
  };
  start(script, { capacity: { tasks: 4, memoryBytes: 2 * 1024 ** 3, cpus: 8 } });
  await controlPlane.ended(await runTwo("task"));
  await untilOneWaits();

  const work = { environment: { HOLD: "1" } };
  const limits = { ...aTask().container.limits, memoryBytes: 2 * 1024 ** 3 };
  const big = controlPlane.enqueue(aTask({ id: "big", work, container: { limits } }));

  await until(async () => (await runningOf(engine, "task")).length === 1 && (await waiting()).length === 0);
  hold.resolve();
  expect(await controlPlane.ended(big)).toMatchObject({ status: "success" });
  await until(async () => (await waiting()).length > 0);
});

test("removes what a dead agent of its name left waiting", async () => {
  engine = scriptedEngine(obedient);
  const { pool } = layGround({ ...anAgent, engine, pool: small }, await engine.info(never));
  await pool.prewarm(aTask().container);
  await untilOneWaits();
  const [orphan = ""] = await ownedBy(engine);

  start(obedient, { engine });

  await until(async () => !(await ownedBy(engine)).includes(orphan));
  expect(pool.waiting).toBe(0);
});

test("keeps nothing once it is drained", async () => {
  const agent = start(obedient);
  await controlPlane.ended(await runTwo("task"));

  await agent.drain();

  expect(await ownedBy(engine)).toEqual([]);
});

test("no container ever runs two tasks, whatever dies when", { timeout: 30_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 25 }), async (fates) => {
      // A fake hands its next task to a claim that has gone, too: one for each agent.
      await stage.close();
      await openStage();
      const runs = new Map<DummyProcess, string[]>();
      const script: Script = async (taskAgent, process) => {
        runs.set(process, []);
        await taskAgent.synced();
        taskAgent.send({ type: "hello", protocol: 1, version: "t" });
        const { frame } = await taskAgent.next("task");
        runs.get(process)?.push(frame.task);
        const fate = fates[Number(frame.task.split("-")[1])] ?? 0;
        const waited = process.plan.labels["dev.cofferdam.role"] === "pool";
        if (fate === 1 && waited) return 1;
        if (fate === 2 && waited) return await new Promise<number>(() => {});
        taskAgent.send({ type: "accepted", task: frame.task, attempt: frame.attempt });
        await taskAgent.run("done\n");
        return 0;
      };
      const agent = start(script, { pool: { ...small, perShape: 2, total: 3 }, times: { handOverMs: 15 } });
      for (const [at, fate] of fates.entries()) {
        if (fate === 3) for (const id of await waiting()) await engine.kill(id, never);
        const task = controlPlane.enqueue(aTask({ id: `task-${at}` }));
        if (fate === 5) {
          // May hit the task itself, which then ends in another way.
          for (const id of await waiting()) await engine.kill(id, never);
          await controlPlane.until(() => task.unclaimed.length > 0 || endOf(task) !== undefined);
          continue;
        }
        await succeeds(task);
        expect(said(task, { step: 100 })).toBe("done\n");
        if (fate === 4) await until(async () => (await waiting()).length > 0);
      }
      await agent.stop("over");
      for (const tasks of runs.values()) expect(tasks.length).toBeLessThanOrEqual(1);
      expect(await ownedBy(engine)).toEqual([]);
    }),
    { numRuns: 10 },
  );
});
