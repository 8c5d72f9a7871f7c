import { createHash, randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { zstdDecompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { Task } from "../../src/protocol/task.ts";
import { FakeControlPlane, type FakeTask } from "../fakes/fake-control-plane.ts";
import { aRunStep, aTask, noNetwork } from "../fakes/tasks.ts";
import { Child } from "../faults/child.ts";
import { addressUnderTest, engineUnderTest } from "./engine-under-test.ts";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "./leak-check.ts";

const main = fileURLToPath(new URL("../../src/launch-agent/main.ts", import.meta.url));
const never = new AbortController().signal;
const lines = 60_000;
/** Half a megabyte in some seconds: whoever attaches again finds the task agent in the middle of a frame now and then. */
const chatter = `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i"; [ $((i % 1000)) -ne 0 ] || sleep 0.1; done`;
const said = Array.from({ length: lines }, (_, at) => `line ${at + 1}\n`).join("");

let controlPlane: FakeControlPlane;
let engine: Engine;
let before: Snapshot;
let url: string;
let name: string;
let processes: Child[];

beforeEach(async () => {
  before = await takeSnapshot();
  engine = await engineUnderTest();
  controlPlane = new FakeControlPlane();
  url = await controlPlane.listen();
  name = `docker-adoption-${randomUUID().slice(0, 8)}`;
  processes = [];
});

afterEach(async () => {
  for (const process of processes) {
    process.signal("SIGTERM");
    await process.exit;
  }
  await controlPlane.close();
  await assertNoLeaks(before);
});

async function startProcess(env: Record<string, string> = {}): Promise<Child> {
  const address = await addressUnderTest();
  if (address.kind !== "socket") throw new Error("this test wants an engine behind a socket");
  const child = new Child({
    args: [main],
    env: {
      CIRCLECI_RUNNER_API_URL: url,
      CIRCLECI_RUNNER_API_AUTH_TOKEN: controlPlane.classToken,
      CIRCLECI_RUNNER_NAME: name,
      COFFERDAM_HEALTH_ADDRESS: "none",
      COFFERDAM_MAX_TASKS: "2",
      COFFERDAM_CPUS: "8",
      DOCKER_HOST: `unix://${address.path}`,
      ...env,
    },
  });
  processes.push(child);
  return child;
}

function enqueue(command: string, container: Partial<Task["container"]> = {}): FakeTask {
  const limits = { ...aTask().container.limits, memoryBytes: 256 * 1024 ** 2 };
  const work = { steps: [aRunStep(command)], killGraceMs: 500 };
  const id = randomUUID();
  return controlPlane.enqueue(aTask({ id, container: { limits, network: noNetwork, ...container }, work }));
}

function outputOf(task: FakeTask): Buffer {
  const pieces = task.records.filter(({ lane, record }) => lane === "task" && record.type === "output");
  return Buffer.concat(
    pieces.map(({ record, body }) => {
      const isPacked = record.type === "output" && record.encoding === "zstd";
      return isPacked ? zstdDecompressSync(body) : body;
    }),
  );
}

function endOf(task: FakeTask): string | undefined {
  const record = task.records.find((stored) => stored.record.type === "task-ended")?.record;
  return record?.type === "task-ended" ? record.status : undefined;
}

function hashOf(bytes: string | Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function untilSaid(task: FakeTask, bytes: number): Promise<void> {
  await controlPlane.until(() => outputOf(task).byteLength > bytes);
}

test("a task whose agent is killed twice says every byte once, and its services go on", async () => {
  const service = { image: "busybox:latest", command: ["sh", "-c", "echo serving; sleep 600"], environment: {} };
  const images = [{ image: "debian:bookworm-slim", environment: {} }, service];
  const first = await startProcess();
  const task = enqueue(chatter, { executor: "docker", images });
  await untilSaid(task, 50_000);

  await first.kill();
  const second = await startProcess();
  await untilSaid(task, outputOf(task).byteLength + 100_000);
  await second.kill();
  await startProcess();

  await controlPlane.until(() => endOf(task) !== undefined);
  expect(endOf(task)).toBe("success");
  expect(hashOf(outputOf(task))).toBe(hashOf(said));
  const aboutService = task.records.filter(
    ({ lane, record }) => lane === "launch" && "step" in record && record.step === 1,
  );
  expect(aboutService.map(({ record }) => record.type)).toEqual(["step-started", "output"]);
});

test("a task in a container of the pool survives its agent, and the others of the pool do not", async () => {
  const pool = { COFFERDAM_POOL_PER_SHAPE: "1", COFFERDAM_POOL_TOTAL: "1" };
  const first = await startProcess(pool);
  const warmUp = enqueue("true");
  await controlPlane.until(() => endOf(warmUp) !== undefined);
  await expect.poll(async () => await running("pool"), { timeout: 20_000 }).toHaveLength(1);
  const [handedOut] = await running("pool");
  const task = enqueue(chatter);
  await untilSaid(task, 50_000);
  await expect.poll(async () => await running("pool"), { timeout: 20_000 }).toHaveLength(2);

  await first.kill();
  await startProcess();

  await expect.poll(async () => await running("pool"), { timeout: 10_000 }).toEqual([handedOut]);
  await controlPlane.until(() => endOf(task) !== undefined);
  expect(endOf(task)).toBe("success");
  expect(hashOf(outputOf(task))).toBe(hashOf(said));
});

async function running(role: string): Promise<string[]> {
  const objects = await engine.list({ "dev.cofferdam.agent": name, "dev.cofferdam.role": role }, never);
  return objects.filter(({ kind, running }) => kind === "container" && running).map(({ id }) => id);
}
