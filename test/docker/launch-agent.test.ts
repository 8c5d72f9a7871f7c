import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { type LaunchAgent, type LaunchAgentOptions, startLaunchAgent } from "../../src/launch-agent/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Secret } from "../../src/lib/secret.ts";
import type { Task } from "../../src/protocol/task.ts";
import { FakeControlPlane, type FakeTask } from "../fakes/fake-control-plane.ts";
import { aRunStep, aTask, noNetwork } from "../fakes/tasks.ts";
import { engineUnderTest } from "./engine-under-test.ts";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "./leak-check.ts";

const mebibyte = 1024 ** 2;
const never = new AbortController().signal;

let controlPlane: FakeControlPlane;
let engine: Engine;
let agents: LaunchAgent[];
let before: Snapshot;
let url: string;
let name: string;

beforeEach(async () => {
  before = await takeSnapshot();
  engine = await engineUnderTest();
  controlPlane = new FakeControlPlane();
  url = await controlPlane.listen();
  name = `docker-test-${randomUUID().slice(0, 8)}`;
  agents = [];
});

afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.stop("the test is over")));
  await controlPlane.close();
  await assertNoLeaks(before);
});

function start(options: Partial<LaunchAgentOptions> = {}): LaunchAgent {
  const agent = startLaunchAgent({
    api: { baseUrl: url, token: new Secret(controlPlane.classToken) },
    engine,
    name,
    hostname: "test",
    version: "test",
    capacity: { tasks: 2, memoryBytes: 4096 * mebibyte, cpus: 8 },
    taskAgentImage: "cofferdam/task-agent:dev",
    clock: systemClock,
    newId: randomUUID,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    ...options,
  });
  agents.push(agent);
  return agent;
}

function enqueue(command: string, container: Partial<Task["container"]> = {}): FakeTask {
  const limits = { ...aTask().container.limits, memoryBytes: 256 * mebibyte };
  const work = { steps: [aRunStep(command)], killGraceMs: 500 };
  return controlPlane.enqueue(
    aTask({ id: randomUUID(), container: { limits, network: noNetwork, ...container }, work }),
  );
}

function docker(...images: (Partial<Task["container"]["images"][number]> & { image: string })[]) {
  return { executor: "docker" as const, images: images.map((spec) => ({ environment: {}, ...spec })) };
}

function containerOf(task: FakeTask): string {
  return `cofferdam-${task.task.id}-1-0`;
}

function endOf(task: FakeTask) {
  return task.records.find(({ record }) => record.type === "task-ended")?.record;
}

async function ended(task: FakeTask) {
  await controlPlane.until(() => endOf(task) !== undefined);
  return endOf(task);
}

function said(task: FakeTask): string {
  const pieces = task.records.filter(({ lane, record }) => lane === "task" && record.type === "output");
  return Buffer.concat(pieces.map(({ body }) => body)).toString();
}

async function began(task: FakeTask): Promise<void> {
  await controlPlane.until(() => said(task) !== "");
}

test.each([
  "debian:bookworm-slim",
  "busybox:latest",
  "cofferdam/test-musl:dev",
  "cofferdam/test-user:dev",
  "cofferdam/test-entrypoint:dev",
])("runs steps in %s", async (image) => {
  start();

  const task = enqueue("echo works here; pwd", docker({ image }));

  await expect(ended(task)).resolves.toMatchObject({ status: "success" });
  expect(said(task)).toMatch(/^works here\n\/.*project\n$/);
});

test("tells in words that an image has no shell", async () => {
  start();

  const task = enqueue("echo works", docker({ image: "cofferdam/test-no-shell:dev" }));

  await expect(ended(task)).resolves.toMatchObject({ status: "failed" });
  const failed = task.records.find(({ record }) => record.type === "step-ended" && record.step >= 100)?.record;
  expect(JSON.stringify(failed)).toMatch(/shell/);
});

test("strict isolation runs steps as nobody, in a root that cannot be written", async () => {
  start();

  const task = enqueue('id -u; touch /x 2>&1 || echo "root is closed"; touch here && echo "workspace is open"', {
    ...docker({ image: "debian:bookworm-slim" }),
    isolation: "strict",
  });

  await expect(ended(task)).resolves.toMatchObject({ status: "success" });
  expect(said(task)).toMatch(/^65534\n[^]*root is closed\nworkspace is open\n$/);
});

test("reaches services on localhost and by name, though there is no network", async () => {
  start();

  const service = {
    image: "busybox:latest",
    name: "db",
    command: ["sh", "-c", "echo serving; echo from-the-service > index.html; exec httpd -f -p 8123"],
  };
  const script = "for at in 1 2 3 4 5 6 7 8 9 10; do wget -q -O - http://db:8123/ && exit 0; sleep 0.2; done; exit 1";
  const task = enqueue(script, docker({ image: "busybox:latest" }, service));

  await expect(ended(task)).resolves.toMatchObject({ status: "success" });
  expect(said(task)).toContain("from-the-service");
  const shown = () => task.records.find(({ record }) => record.type === "output" && record.step === 1);
  // What is told of a service may come after the end of its task.
  await expect.poll(() => shown()?.body.toString()).toBe("serving\n");
});

test("reaches a running step with a cancellation, and ends one that ignores it", async () => {
  start({ times: { cancelSlackMs: 500 } });
  const task = enqueue("trap '' TERM; echo begun; while :; do sleep 0.1; done");
  await began(task);
  await controlPlane.until(() => task.heartbeats > 0);

  controlPlane.cancel(task, "by alice");

  await expect(ended(task)).resolves.toMatchObject({ status: "canceled" });
});

test("a step that takes more memory than there is fails the job, and is no infrastructure failure", async () => {
  start();

  const task = enqueue("tail /dev/zero");

  await expect(ended(task)).resolves.toMatchObject({ status: "failed" });
});

test("runs many tasks side by side, each in a container of its own, and leaves none", async () => {
  start({ capacity: { tasks: 8, memoryBytes: 8 * 1024 * mebibyte, cpus: 100 } });

  const tasks = Array.from({ length: 16 }, () => enqueue("hostname", docker({ image: "busybox:latest" })));

  for (const task of tasks) await expect(ended(task)).resolves.toMatchObject({ status: "success" });
  expect(new Set(tasks.map(said)).size).toBe(16);
});

test.each(["kill", "remove"] as const)(
  "a container that somebody else made away with by %s is infrastructure's fault",
  async (how) => {
    start();
    const task = enqueue("echo begun; sleep 60");
    await began(task);

    await engine[how](containerOf(task), never);

    await expect(ended(task)).resolves.toMatchObject({ status: "infrastructure_fail" });
  },
);

test("removes what an agent of its name left that was killed", async () => {
  const agent = start();
  const task = enqueue("echo begun; sleep 60");
  await began(task);
  const plan = await engine.inspect(containerOf(task), never);
  void agent.stop("first");
  await agent.stop("hurry");
  const id = await engine.create(
    {
      name: `left-${name}`,
      labels: { ...plan?.labels, "dev.cofferdam.attempt": "7" },
      image: "busybox:latest",
      environment: {},
      limits: { memoryBytes: 64 * mebibyte, cpus: 1, pids: 10, openFiles: 100 },
      isolation: "standard",
      network: { mode: "none" },
      workspace: { path: "/w", owner: { uid: 0, gid: 0 }, medium: "disk", sizeBytes: mebibyte },
      shared: [],
    },
    never,
  );

  start();

  await expect.poll(async () => await engine.inspect(id, never), { timeout: 10_000 }).toBeUndefined();
});

test("carries a hundred megabytes of output, byte for byte, in flat memory", async () => {
  start();
  const megabytes = 100;

  const task = enqueue(`head -c ${megabytes * 1_000_000} /dev/urandom | base64 -w 99`);
  let most = 0;
  controlPlane.fault = () => {
    most = Math.max(most, process.memoryUsage().arrayBuffers);
    // What the fake keeps is not the agent's: only the sizes are wanted here.
    for (const stored of task.records) if (stored.body.byteLength > 0) keep(stored);
    return undefined;
  };
  const pieces: { offset: number; length: number }[] = [];
  const keep = (stored: (typeof task.records)[number]) => {
    if (stored.record.type === "output" && stored.lane === "task") pieces.push(stored.record);
    stored.body = Buffer.alloc(0);
  };

  await expect(ended(task)).resolves.toMatchObject({ status: "success" });
  for (const stored of task.records) if (stored.body.byteLength > 0) keep(stored);
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  const encoded = Math.ceil((megabytes * 1_000_000) / 3) * 4;
  expect(bytes).toBe(encoded + Math.ceil(encoded / 99));
  expect(most).toBeLessThan(300 * mebibyte);
});
