import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { openFleet, type TaskTiming } from "./fleet.ts";
import { type Row, row } from "./measure.ts";
import { image } from "./rows.ts";

const mebibyte = 1024 ** 2;
/** What an agent loads, and warms, after its start is done by then. */
const restMs = 15_000;
/** The state of a job is read for each claim: many small ones cost less than one large one. */
const leakJobs = 10;

/**
 * Best average queue time that CircleCI publishes for its container runner, in seconds (five e2-medium nodes of GKE, 1 to 3 replicas).
 * Source: its documentation's container runner performance benchmarks.
 */
const published: Record<number, { averageS: number; maxS: number }> = {
  20: { averageS: 3.9, maxS: 9.1 },
  40: { averageS: 5.2, maxS: 14.3 },
  80: { averageS: 8.4, maxS: 28 },
  128: { averageS: 12, maxS: 43.9 },
};

/** So many tasks at once with 1, 2 and 3 launch agents on this engine: the worst of the three averages beside their best. */
export async function gridRow(tasks: number): Promise<Row> {
  const theirs = published[tasks];
  if (!theirs) throw new RangeError(`no figures are published for ${tasks} tasks`);
  const lines: string[] = [];
  let worstS = 0;
  for (const agents of [1, 2, 3]) {
    const { averageS, maxS } = await gridRun(tasks, agents);
    worstS = Math.max(worstS, averageS);
    lines.push(`${agents}: ${averageS.toFixed(1)}/${maxS.toFixed(1)}`);
  }
  return row({
    id: `grid-${tasks}`,
    what: `${tasks} tasks, average/maximum queue time with agents ${lines.join(", ")} s; theirs at best ${theirs.averageS}/${theirs.maxS} s; no failure, no leak`,
    unit: "s",
    value: worstS,
    floor: theirs.averageS,
    goal: { atMost: 1 },
  });
}

async function gridRun(tasks: number, agents: number): Promise<{ averageS: number; maxS: number }> {
  await using fleet = await openFleet(agents);
  // Images looked at, the pool's shape known: as a fleet that has run before.
  succeeded(await fleet.run(config(agents)), agents);
  const timings = succeeded(await fleet.run(config(tasks)), tasks);
  const leaks = await fleet.leaks();
  if (leaks.length > 0) throw new Error(`${tasks} tasks on ${agents} agents left behind: ${leaks.join("; ")}`);
  const queued = timings.map(({ queueMs }) => queueMs / 1000);
  return { averageS: queued.reduce((sum, each) => sum + each, 0) / queued.length, maxS: Math.max(...queued) };
}

/**
 * So many tasks through one agent: what stands on the engine afterwards, and its memory at rest before, after each tenth, and at rest again. All
 * are queued from the beginning, so that there is always one more. What it has come to is told on stderr: it takes minutes.
 */
export async function leaksRow(tasks: number): Promise<Row> {
  // While one is removed the next one starts.
  await using fleet = await openFleet(1, { tasksAtOnce: 2 * availableParallelism() });
  await sleep(restMs);
  const before = await fleet.agentBytes();
  const bytes: Promise<number>[] = [];
  const beganAt = performance.now();
  let ended = 0;
  const onSuccess = () => {
    if (++ended % (tasks / 10) !== 0) return;
    bytes.push(fleet.agentBytes());
    const seconds = (performance.now() - beganAt) / 1000;
    process.stderr.write(`${ended} of ${tasks} tasks, ${(ended / seconds).toFixed(1)} a second\n`);
  };
  succeeded(await fleet.run(config(tasks / leakJobs, leakJobs), onSuccess), tasks);
  const rate = (tasks * 1000) / (performance.now() - beganAt);
  await sleep(restMs);
  const after = await fleet.agentBytes();
  const leaks = await fleet.leaks();
  if (leaks.length > 0) process.stderr.write(`left behind: ${leaks.join("; ")}\n`);
  const shown = (await Promise.all(bytes)).map(inMebibytes).join(", ");
  return row({
    id: `leaks-${tasks}`,
    what: `objects left after ${tasks} tasks through one agent, ${rate.toFixed(1)} a second; its memory at rest before ${inMebibytes(before)}, after each tenth ${shown}, at rest after ${inMebibytes(after)} MB`,
    unit: "objects",
    value: leaks.length,
    floor: tasks,
    goal: { value: 0 },
  });
}

function inMebibytes(bytes: number): string {
  return String(Math.round(bytes / mebibyte));
}

/** A launch agent that waits for tasks, with its pool and all that it keeps ready, beside a Node that does nothing. */
export async function restRow(): Promise<Row> {
  await using fleet = await openFleet(1);
  succeeded(await fleet.run(config(1)), 1);
  await sleep(restMs);
  return row({
    id: "agent-rest-mb",
    what: "resident memory of a launch agent at rest after a task, against a node process that does nothing",
    unit: "MB",
    value: (await fleet.agentBytes()) / mebibyte,
    floor: (await bareNodeBytes()) / mebibyte,
    goal: { value: 80 },
  });
}

async function bareNodeBytes(): Promise<number> {
  const child = spawn(process.execPath, ["-e", "console.log('up'); setInterval(() => {}, 1000)"]);
  try {
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const status = await readFile(`/proc/${child.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  } finally {
    child.kill();
  }
}

function succeeded(timings: TaskTiming[], expected: number): TaskTiming[] {
  const green = timings.filter(({ success }) => success).length;
  if (green !== expected) throw new Error(`${green} of ${expected} tasks were green`);
  return timings;
}

function config(parallelism: number, jobs = 1): string {
  const steps = [{ run: { name: "bench", command: "true" } }];
  const job = { docker: [{ image }], parallelism, steps };
  const names = Array.from({ length: jobs }, (_, index) => `bench-${index}`);
  return JSON.stringify({
    version: 2.1,
    jobs: Object.fromEntries(names.map((name) => [name, job])),
    workflows: { main: { jobs: names } },
  });
}
