import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { type AgentEvent, type LaunchAgent, startLaunchAgent } from "../../src/launch-agent/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Secret } from "../../src/lib/secret.ts";
import { Network } from "../../src/protocol/task.ts";
import { FakeControlPlane, type FakeTask } from "../fakes/fake-control-plane.ts";
import { aRunStep, aTask } from "../fakes/tasks.ts";
import { engineUnderTest } from "./engine-under-test.ts";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "./leak-check.ts";

/** COFFERDAM_TEST_TASKS=1000 for the whole proof, which takes minutes. */
const tasks = Number(process.env["COFFERDAM_TEST_TASKS"] ?? 24);
const mebibyte = 1024 ** 2;
const never = new AbortController().signal;

let controlPlane: FakeControlPlane;
let engine: Engine;
let agent: LaunchAgent;
let before: Snapshot;
let name: string;
let events: AgentEvent[];

beforeEach(async () => {
  before = await takeSnapshot();
  engine = await engineUnderTest();
  controlPlane = new FakeControlPlane();
  name = `docker-single-use-${randomUUID().slice(0, 8)}`;
  events = [];
  agent = startLaunchAgent({
    api: { baseUrl: await controlPlane.listen(), token: new Secret(controlPlane.classToken) },
    engine,
    name,
    hostname: "test",
    version: "test",
    capacity: { tasks: 3, memoryBytes: 4096 * mebibyte, cpus: 8 },
    taskAgentImage: "cofferdam/task-agent:dev",
    clock: systemClock,
    newId: randomUUID,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    onEvent: (event) => events.push(event),
    pool: { perShape: 2, total: 2, pauseMs: 0, checkMs: 500 },
    sandboxes: { mode: "required", ready: 2 },
  });
});

afterEach(async () => {
  await agent.stop("the test is over");
  await controlPlane.close();
  await assertNoLeaks(before);
});

/** Fails in a container in which a task has been before, and where another task has the sandbox's network at the same time. */
const command = `if [ -e /tmp/was-here ]; then exit 1; fi; touch /tmp/was-here
if (exec 9<>/dev/tcp/127.0.0.1/18777) 2>/dev/null; then exit 2; fi
perl -MIO::Socket::INET -e 'IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 18777, Listen => 1, ReuseAddr => 1) or exit 3; select undef, undef, undef, 0.02'`;

function enqueue(): FakeTask {
  const limits = { ...aTask().container.limits, memoryBytes: 256 * mebibyte };
  const images = [{ image: "debian:bookworm-slim", environment: {} }];
  const container = { limits, network: Network.parse({}), executor: "docker" as const, images };
  return controlPlane.enqueue(
    aTask({ id: randomUUID(), container, work: { steps: [aRunStep(command)], killGraceMs: 500 } }),
  );
}

/** Undefined while it goes on. One whose container was killed before it began goes back to the queue. */
function endOf(task: FakeTask): string | undefined {
  const end = task.records.map(({ record }) => record).find((record) => record.type === "task-ended");
  return end?.type === "task-ended" ? end.status : task.unclaimed.length > 0 ? "given back" : undefined;
}

test(`no container, and no sandbox at once, is ever had by two of ${tasks} tasks, whatever is killed meanwhile`, {
  timeout: tasks * 5_000 + 60_000,
}, async () => {
  const all: FakeTask[] = [enqueue()];
  await controlPlane.until(() => all.every((task) => endOf(task) !== undefined));
  // The next one is a hit, before anything is killed.
  await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(0);
  const killing = new AbortController();
  const killer = killNowAndThen(killing.signal);
  for (let left = tasks - 1; left > 0; left--) {
    all.push(enqueue());
    await controlPlane.until(() => all.filter((task) => endOf(task) === undefined).length < 4);
  }
  await controlPlane.until(() => all.every((task) => endOf(task) !== undefined));
  killing.abort();
  const killed = await killer;

  const ends = Object.groupBy(all, (task) => endOf(task) ?? "");

  expect(ends["failed"]).toBeUndefined();
  expect(ends["success"]?.length).toBeGreaterThanOrEqual(all.length - killed);
  expect(events.filter(({ type }) => type === "hit").length).toBeGreaterThan(0);
});

async function waiting(): Promise<number> {
  const found = await engine.list({ "dev.cofferdam.agent": name, "dev.cofferdam.role": "pool" }, never);
  return found.filter(({ kind, running }) => kind === "container" && running).length;
}

/** Something that waits, runs or holds a network, each time. Returns how many. */
async function killNowAndThen(signal: AbortSignal): Promise<number> {
  let killed = 0;
  for (let round = 0; !signal.aborted; round++) {
    await systemClock.sleep(700, signal).catch(() => undefined);
    const role = ["pool", "task", "sandbox"][round % 3] ?? "pool";
    const found = await engine.list({ "dev.cofferdam.agent": name, "dev.cofferdam.role": role }, never);
    const victim = found.find(({ kind, running }) => kind === "container" && running);
    if (signal.aborted || !victim) continue;
    await engine.kill(victim.id, never);
    killed++;
  }
  return killed;
}
