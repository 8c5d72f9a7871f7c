import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { type LaunchAgent, startLaunchAgent } from "../../src/launch-agent/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Secret } from "../../src/lib/secret.ts";
import { Network, type RunStep, type Task } from "../../src/protocol/task.ts";
import { FakeControlPlane, type FakeTask } from "../fakes/fake-control-plane.ts";
import { aTask } from "../fakes/tasks.ts";
import { engineUnderTest } from "./engine-under-test.ts";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "./leak-check.ts";

const mebibyte = 1024 ** 2;
const never = new AbortController().signal;

let controlPlane: FakeControlPlane;
let engine: Engine;
let agent: LaunchAgent;
let before: Snapshot;
let name: string;

beforeEach(async () => {
  before = await takeSnapshot();
  engine = await engineUnderTest();
  controlPlane = new FakeControlPlane();
  name = `docker-networks-${randomUUID().slice(0, 8)}`;
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
    log: { debug: () => {}, info: () => {}, warn: console.log, error: console.log },
    sandboxes: { mode: "required", ready: 1 },
  });
});

afterEach(async () => {
  await agent.stop("the test is over");
  await controlPlane.close();
  await assertNoLeaks(before);
});

function enqueue(command: string, container: Partial<Task["container"]> = {}): FakeTask {
  const step: RunStep = {
    type: "run",
    name: "run",
    command,
    environment: {},
    when: "on_success",
    background: false,
    noOutputTimeoutMs: 60_000,
    maxAutoReruns: 0,
    autoRerunDelayMs: 0,
  };
  const limits = { ...aTask().container.limits, memoryBytes: 256 * mebibyte };
  const network = Network.parse({});
  const work = { steps: [step], killGraceMs: 500 };
  return controlPlane.enqueue(aTask({ id: randomUUID(), container: { limits, network, ...container }, work }));
}

async function ended(task: FakeTask): Promise<string | undefined> {
  const end = () => task.records.find(({ record }) => record.type === "task-ended")?.record;
  await controlPlane.until(() => end() !== undefined);
  const record = end();
  return record?.type === "task-ended" ? record.status : undefined;
}

function said(task: FakeTask, lane: "launch" | "task"): string {
  const pieces = task.records.filter((each) => each.lane === lane && each.record.type === "output");
  return Buffer.concat(pieces.map(({ body }) => body)).toString();
}

test("a task runs in a sandbox, whose rules its log shows", async () => {
  const task = enqueue("ls /sys/class/net; cat /etc/hosts");

  expect(await ended(task)).toBe("success");
  console.log(said(task, "launch"), said(task, "task"));
  expect(said(task, "launch")).toContain("Network: out, everywhere else. Never: other tasks");
  const sandboxes = await engine.list({ "dev.cofferdam.agent": name, "dev.cofferdam.role": "sandbox" }, never);
  expect(sandboxes.length).toBeGreaterThan(0);
});
