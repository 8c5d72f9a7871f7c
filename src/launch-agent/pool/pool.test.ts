import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeControlPlane, type FakeTask } from "../../../test/fakes/fake-control-plane.ts";
import { ScriptedTaskAgent } from "../../../test/fakes/scripted-task-agent.ts";
import { aTask, noNetwork } from "../../../test/fakes/tasks.ts";
import {
  createDummyEngine,
  type DummyEngine,
  type DummyEngineOptions,
  type DummyProcess,
} from "../../engine/dummy/index.ts";
import { EngineError } from "../../engine/engine.ts";
import { systemClock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import type { Work } from "../../protocol/task.ts";
import { layGround } from "../ground.ts";
import { type AgentEvent, type LaunchAgent, type LaunchAgentOptions, startLaunchAgent } from "../index.ts";
import { planAhead } from "./plan-ahead.ts";
import type { PoolOptions } from "./pool.ts";

const taskAgentImage = "cofferdam/task-agent";
const never = new AbortController().signal;
const small = { perShape: 1, total: 2, pauseMs: 0, checkMs: 20 };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

let controlPlane: FakeControlPlane;
let url: string;
let engine: DummyEngine;
let agents: LaunchAgent[];
let events: AgentEvent[];

beforeEach(async () => {
  controlPlane = new FakeControlPlane();
  url = await controlPlane.listen();
  agents = [];
  events = [];
});

afterEach(async () => {
  for (const agent of agents) await agent.stop("the test is over");
  const left = await containers();
  await controlPlane.close();
  if (left.length > 0) throw new Error(`left behind: ${left.join(" ")}`);
  if (engine.callerErrors.length > 0) throw engine.callerErrors[0];
});

type Script = (taskAgent: ScriptedTaskAgent, process: DummyProcess) => Promise<number | void>;

const obedient: Script = async (taskAgent) => {
  await taskAgent.begin();
  await taskAgent.run("done\n");
};

function makeEngine(script: Script, options: Partial<DummyEngineOptions> = {}): DummyEngine {
  engine = createDummyEngine({
    requiredLabels: ["dev.cofferdam.agent", "dev.cofferdam.role", "dev.cofferdam.deadline"],
    program: async (process) => (await script(new ScriptedTaskAgent(process), process)) ?? 0,
    images: { [taskAgentImage]: { labels: { "dev.cofferdam.argv": '["/opt/cofferdam/node"]' } } },
    ...options,
  });
  return engine;
}

const common = {
  name: "agent-1",
  hostname: "host",
  version: "test",
  taskAgentImage,
  clock: systemClock,
  newId: () => crypto.randomUUID(),
  log: quiet,
};

function start(
  script: Script,
  pool: Partial<PoolOptions> = {},
  changes: Partial<LaunchAgentOptions> = {},
): LaunchAgent {
  const agent = startLaunchAgent({
    ...common,
    api: { baseUrl: url, token: new Secret(controlPlane.classToken) },
    engine: changes.engine ?? makeEngine(script),
    capacity: { tasks: 4, memoryBytes: 8 * 1024 ** 3, cpus: 8 },
    onEvent: (event) => events.push(event),
    pool: { ...small, ...pool },
    ...changes,
  });
  agents.push(agent);
  return agent;
}

/** A pool by itself, on an engine of its own. */
async function lone(script: Script, pool: Partial<PoolOptions> = {}, options: Partial<DummyEngineOptions> = {}) {
  makeEngine(script, options);
  // Nothing is believed for longer than the moment.
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() * 10_000 };
  return layGround({ ...common, engine, clock, pool: { ...small, ...pool } }, await engine.info(never));
}

async function containers(role?: string): Promise<string[]> {
  const labels = role === undefined ? { "dev.cofferdam.agent": "agent-1" } : { "dev.cofferdam.role": role };
  const objects = await engine.list(labels, never);
  return objects
    .filter(({ kind, running }) => kind === "container" && (role === undefined || running))
    .map(({ id }) => id);
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function ended(task: FakeTask): Promise<string> {
  await controlPlane.until(() => task.records.some(({ record }) => record.type === "task-ended"));
  const record = task.records.find((stored) => stored.record.type === "task-ended")?.record;
  return record?.type === "task-ended" ? record.status : "";
}

function isEnd({ record }: FakeTask["records"][number]): boolean {
  return record.type === "task-ended";
}

function said(task: FakeTask, step: number): string {
  const pieces = task.records.filter(({ record }) => record.type === "output" && record.step === step);
  return Buffer.concat(pieces.map(({ body }) => body)).toString();
}

function count(type: AgentEvent["type"]): number {
  return events.filter((event) => event.type === type).length;
}

/** The second task of a shape finds what was made ready after the first one. */
async function runTwo(id: string): Promise<FakeTask> {
  const first = controlPlane.enqueue(aTask({ id: `${id}-1` }));
  expect(await ended(first)).toBe("success");
  await until(async () => (await containers("pool")).length === 1);
  return controlPlane.enqueue(aTask({ id: `${id}-2` }));
}

describe("an agent with a pool", () => {
  test("hands the second task of a shape to a container that waits, and says so", async () => {
    start(obedient);

    const second = await runTwo("task");

    expect(await ended(second)).toBe("success");
    expect(said(second, 100)).toBe("done\n");
    // The task may end before what the launch agent says of it is stored.
    await controlPlane.until(() => said(second, 0).includes("Container"));
    expect(said(second, 0)).toMatch(/Container \S+ was waiting, handed over in \d+ ms/);
    expect([count("miss"), count("hit")]).toEqual([1, 1]);
  });

  test("never gives a task a container of another shape", async () => {
    start(obedient);
    await ended(await runTwo("task"));

    const other = controlPlane.enqueue(aTask({ id: "other", container: { network: noNetwork } }));

    expect(await ended(other)).toBe("success");
    expect(count("hit")).toBe(1);
    await controlPlane.until(() => said(other, 0).includes("Container"));
    expect(said(other, 0)).toMatch(/Container \S+ started in/);
  });

  test("takes nothing from the pool that would be for anybody to remove before the task may end", async () => {
    start(obedient);
    await ended(await runTwo("task"));
    await until(async () => (await containers("pool")).length === 1);

    const long = controlPlane.enqueue(aTask({ id: "long", work: { maxRunTimeMs: 48 * 3_600_000 } }));

    expect(await ended(long)).toBe("success");
    expect(count("hit")).toBe(1);
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
    start(script, {}, { times: { handOverMs: 20 } });

    const second = await runTwo("task");

    expect(await ended(second)).toBe("success");
    expect(said(second, 100)).toBe("done\n");
    expect(second.unclaimed).toEqual([]);
    expect([count("miss"), count("hit")]).toEqual([2, 0]);
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
    makeEngine(script);
    const kill = engine.kill.bind(engine);
    engine.kill = async (id, signal) => {
      killing.resolve();
      await said.promise;
      await kill(id, signal);
    };
    start(script, {}, { engine, times: { handOverMs: 20 } });

    const second = await runTwo("task");

    expect(await ended(second)).toBe(end);
    const cold = events.filter((event) => event.type === "started" && event.taskId === "task-2");
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

    expect(await ended(second)).toBe("success");
    expect(count("hit")).toBe(0);
  });

  test("replaces what died, and leaves nothing of it", async () => {
    start(obedient);
    await ended(await runTwo("task"));
    await until(async () => (await containers("pool")).length === 1);
    const [first = ""] = await containers("pool");

    await engine.kill(first, never);

    await until(async () => (await containers("pool")).some((id) => id !== first));
    expect(await containers()).not.toContain(first);
  });

  test("gives way to tasks that need the memory", async () => {
    const hold = Promise.withResolvers<void>();
    const script: Script = async (taskAgent) => {
      const work: Work = await taskAgent.begin();
      if (work.environment["HOLD"] === "1") await hold.promise;
      await taskAgent.run("x");
    };
    start(script, {}, { capacity: { tasks: 4, memoryBytes: 2 * 1024 ** 3, cpus: 8 } });
    await ended(await runTwo("task"));
    await until(async () => (await containers("pool")).length === 1);

    const work = { environment: { HOLD: "1" } };
    const limits = { ...aTask().container.limits, memoryBytes: 2 * 1024 ** 3 };
    const big = controlPlane.enqueue(aTask({ id: "big", work, container: { limits } }));

    await until(async () => (await containers("task")).length === 1 && (await containers("pool")).length === 0);
    hold.resolve();
    expect(await ended(big)).toBe("success");
    await until(async () => (await containers("pool")).length > 0);
  });

  test("removes what a dead agent of its name left waiting", async () => {
    const { pool } = await lone(obedient);
    await pool.prewarm(aTask().container);
    await until(async () => (await containers("pool")).length === 1);
    const [orphan = ""] = await containers();

    start(obedient, {}, { engine });

    await until(async () => !(await containers()).includes(orphan));
    expect(pool.waiting).toBe(0);
  });

  test("keeps nothing once it is drained", async () => {
    const agent = start(obedient);
    await ended(await runTwo("task"));

    await agent.drain();

    expect(await containers()).toEqual([]);
  });
});

describe("a pool", () => {
  test("starts one ahead of its task, and waits for its greeting", async () => {
    const { pool, ground } = await lone(obedient);

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
    const { pool } = await lone(obedient);

    await pool.prewarm({ ...aTask().container, ...structuredClone(container) } as never);

    expect(pool.size).toBe(0);
    expect(engine.calls.filter((call) => call.startsWith("create"))).toEqual([]);
  });

  test.each([
    ["its total", { total: 2 }],
    ["its memory", { total: 9, memoryBytes: 2 * 64 * 1024 ** 2 }],
  ])("keeps to %s", async (_what, options) => {
    const { pool } = await lone(obedient, options);

    for (let times = 0; times < 4; times++) await pool.prewarm(aTask().container);

    expect(pool.size).toBe(2);
    await pool.close();
  });

  test.each(["create", "attach", "start"] as const)("leaves nothing when %s fails", async (call) => {
    const fault = (called: string) => (called === call ? new EngineError("failed", "no") : undefined);
    const { pool } = await lone(obedient, {}, { fault });

    await pool.prewarm(aTask().container);

    await until(() => pool.size === 0);
    await pool.close();
    expect(await containers()).toEqual([]);
  });

  test("leaves nothing when it is closed in the middle of a start", async () => {
    const { pool } = await lone(async () => {
      await new Promise(() => {});
    });

    const started = pool.prewarm(aTask().container);
    await pool.close();

    await started;
    expect(await containers()).toEqual([]);
  });

  test("replaces what was made from an image that is another one by now", async () => {
    const { pool } = await lone(obedient);
    const image = engine.image.bind(engine);
    let id = "sha256:old";
    engine.image = async (reference, signal) => {
      const found = await image(reference, signal);
      return found && { ...found, environment: { NODE_OPTIONS: id } };
    };
    await pool.prewarm(dummyJob);
    const [old = ""] = await containers();
    const plans = () => engine.calls.filter((call) => call.startsWith("create")).length;
    id = "";

    const kept = new AbortController();
    const keeping = pool.keep({ signal: kept.signal, freeBytes: () => 1024 ** 3 });
    await until(async () => !(await containers()).includes(old) && (await containers("pool")).length === 1);

    expect(plans()).toBe(2);
    kept.abort();
    await keeping;
    await pool.close();
  });
});

const dummyJob = { ...aTask().container, executor: "docker" as const, images: [{ image: "dummy", environment: {} }] };

test("no container ever runs two tasks, whatever dies when", { timeout: 30_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 25 }), async (fates) => {
      // A fake hands its next task to a claim that has gone, too: one for each agent.
      await controlPlane.close();
      controlPlane = new FakeControlPlane();
      url = await controlPlane.listen();
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
      const pool = { perShape: 2, total: 3 };
      const agent = start(script, pool, { engine: makeEngine(script), times: { handOverMs: 15 } });
      for (const [at, fate] of fates.entries()) {
        if (fate === 3) for (const id of await containers("pool")) await engine.kill(id, never);
        const task = controlPlane.enqueue(aTask({ id: `task-${at}` }));
        if (fate === 5) {
          // May hit the task itself, which then ends in another way.
          for (const id of await containers("pool")) await engine.kill(id, never);
          await controlPlane.until(() => task.unclaimed.length > 0 || task.records.some(isEnd));
          continue;
        }
        expect(await ended(task)).toBe("success");
        expect(said(task, 100)).toBe("done\n");
        if (fate === 4) await until(async () => (await containers("pool")).length > 0);
      }
      await agent.stop("over");
      for (const tasks of runs.values()) expect(tasks.length).toBeLessThanOrEqual(1);
      expect(await containers()).toEqual([]);
    }),
    { numRuns: 10 },
  );
});

async function planOf(ground: ReturnType<typeof layGround>["ground"]) {
  const plan = await planAhead(ground, { spec: aTask().container, id: "x", longestMs: 1, signal: never });
  if (!plan) throw new Error("no plan");
  return plan;
}
