import { randomUUID } from "node:crypto";
import Docker from "dockerode";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { type AgentEvent, type LaunchAgent, startLaunchAgent } from "../../src/launch-agent/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Secret } from "../../src/lib/secret.ts";
import { FakeControlPlane, type FakeTask } from "../fakes/fake-control-plane.ts";
import { aRunStep, aTask, noNetwork } from "../fakes/tasks.ts";
import { addressUnderTest, engineUnderTest } from "./engine-under-test.ts";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "./leak-check.ts";

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
  name = `docker-pool-${randomUUID().slice(0, 8)}`;
  events = [];
  agent = startLaunchAgent({
    api: { baseUrl: await controlPlane.listen(), token: new Secret(controlPlane.classToken) },
    engine,
    name,
    hostname: "test",
    version: "test",
    capacity: { tasks: 2, memoryBytes: 4096 * mebibyte, cpus: 8 },
    taskAgentImage: "cofferdam/task-agent:dev",
    clock: systemClock,
    newId: randomUUID,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    onEvent: (event) => events.push(event),
    pool: { perShape: 1, total: 2, pauseMs: 0, checkMs: 500 },
  });
});

afterEach(async () => {
  await agent.stop("the test is over");
  await controlPlane.close();
  await assertNoLeaks(before);
});

/** What a container is, as seen from inside: its own name for itself, and whether an earlier task was here. */
function enqueue(): FakeTask {
  const command = "hostname; ls ~/project /tmp; touch ~/project/x /tmp/x";
  const limits = { ...aTask().container.limits, memoryBytes: 256 * mebibyte };
  const images = [{ image: "debian:bookworm-slim", environment: {} }];
  const container = { limits, network: noNetwork, executor: "docker" as const, images };
  return controlPlane.enqueue(
    aTask({ id: randomUUID(), container, work: { steps: [aRunStep(command)], killGraceMs: 500 } }),
  );
}

async function ended(task: FakeTask): Promise<string | undefined> {
  const end = () => task.records.find(({ record }) => record.type === "task-ended")?.record;
  await controlPlane.until(() => end() !== undefined);
  const record = end();
  return record?.type === "task-ended" ? record.status : undefined;
}

function said(task: FakeTask): string[] {
  const pieces = task.records.filter(({ lane, record }) => lane === "task" && record.type === "output");
  return Buffer.concat(pieces.map(({ body }) => body))
    .toString()
    .split("\n")
    .filter((line) => line !== "" && !line.endsWith(":"));
}

/** Ids of what waits: of role `pool`, and running. */
async function waiting(): Promise<string[]> {
  const found = await engine.list({ "dev.cofferdam.agent": name, "dev.cofferdam.role": "pool" }, never);
  return found.filter(({ kind, running }) => kind === "container" && running).map(({ id }) => id);
}

async function untilOneWaits(except: readonly string[] = []): Promise<string> {
  for (;;) {
    const found = (await waiting()).find((id) => !except.includes(id));
    if (found !== undefined) return found;
    await systemClock.sleep(20);
  }
}

function count(type: AgentEvent["type"]): number {
  return events.filter((event) => event.type === type).length;
}

test("hands the next task to the container that waits, and leaves nothing", async () => {
  const first = enqueue();
  expect(await ended(first)).toBe("success");
  const id = await untilOneWaits();

  const second = enqueue();

  expect(await ended(second)).toBe("success");
  // Its own name is the beginning of its id, and it is as new.
  expect(said(second)).toEqual([id.slice(0, 12)]);
  expect([count("miss"), count("hit")]).toEqual([1, 1]);
});

test("starts the task cold when what waits has been stopped", async () => {
  expect(await ended(enqueue())).toBe("success");
  const id = await untilOneWaits();
  await stopEverythingIn(id);

  const task = enqueue();

  expect(await ended(task)).toBe("success");
  expect(said(task)).not.toEqual([id.slice(0, 12)]);
  expect(task.unclaimed).toEqual([]);
  expect(count("hit")).toBe(0);
});

test("never runs two tasks in one container, whatever is killed meanwhile", async () => {
  const tasks: FakeTask[] = [];
  const killed: string[] = [];
  for (let round = 0; round < 8; round++) {
    const task = enqueue();
    tasks.push(task);
    expect(await ended(task)).toBe("success");
    if (round % 3 !== 1) continue;
    // In its sleep, and with the next task on its way to it.
    const id = await untilOneWaits(killed);
    killed.push(id);
    await engine.kill(id, never);
  }

  const hosts = tasks.flatMap(said);

  expect(hosts).toHaveLength(tasks.length);
  expect(new Set(hosts).size).toBe(tasks.length);
});

/** Its init goes on, so the engine sees nothing of it. */
async function stopEverythingIn(id: string): Promise<void> {
  const container = (await client()).getContainer(id);
  const exec = await container.exec({ Cmd: ["sh", "-c", "kill -STOP -1"] });
  await exec.start({});
  while ((await exec.inspect()).Running) await systemClock.sleep(20);
}

async function client(): Promise<Docker> {
  const address = await addressUnderTest();
  return new Docker(
    address.kind === "socket" ? { socketPath: address.path } : { host: address.host, port: address.port },
  );
}
