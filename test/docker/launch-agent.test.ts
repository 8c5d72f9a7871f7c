import { afterEach, beforeEach, expect, test } from "vitest";
import { aPlan } from "../fakes/containers.ts";
import type { FakeControlPlane, FakeTask } from "../fakes/fake-control-plane.ts";
import * as fake from "../fakes/fake-task.ts";
import { EngineStage, inImages } from "./agents.ts";

const mebibyte = 1024 ** 2;
const never = new AbortController().signal;

let stage: EngineStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await EngineStage.of("docker-test");
  controlPlane = stage.controlPlane;
});

afterEach(async () => await stage.close());

function containerOf(task: FakeTask): string {
  return `cofferdam-${task.task.id}-1-0`;
}

function said(task: FakeTask): string {
  return fake.said(task, { lane: "task" });
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
  stage.startAgent();

  const task = stage.enqueue("echo works here; pwd", inImages({ image }));

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });
  expect(said(task)).toMatch(/^works here\n\/.*project\n$/);
});

test("tells in words that an image has no shell", async () => {
  stage.startAgent();

  const task = stage.enqueue("echo works", inImages({ image: "cofferdam/test-no-shell:dev" }));

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "failed" });
  const failed = task.records.find(({ record }) => record.type === "step-ended" && record.step >= 100)?.record;
  expect(JSON.stringify(failed)).toMatch(/shell/);
});

test("strict isolation runs steps as nobody, in a root that cannot be written", async () => {
  stage.startAgent();

  const task = stage.enqueue('id -u; touch /x 2>&1 || echo "root is closed"; touch here && echo "workspace is open"', {
    ...inImages({ image: "debian:bookworm-slim" }),
    isolation: "strict",
  });

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });
  expect(said(task)).toMatch(/^65534\n[^]*root is closed\nworkspace is open\n$/);
});

test("reaches services on localhost and by name, though there is no network", async () => {
  stage.startAgent();

  const service = {
    image: "busybox:latest",
    name: "db",
    command: ["sh", "-c", "echo serving; echo from-the-service > index.html; exec httpd -f -p 8123"],
  };
  const script = "for at in 1 2 3 4 5 6 7 8 9 10; do wget -q -O - http://db:8123/ && exit 0; sleep 0.2; done; exit 1";
  const task = stage.enqueue(script, inImages({ image: "busybox:latest" }, service));

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });
  expect(said(task)).toContain("from-the-service");
  const shown = () => task.records.find(({ record }) => record.type === "output" && record.step === 1);
  // What is told of a service may come after the end of its task.
  await expect.poll(() => shown()?.body.toString()).toBe("serving\n");
});

test("reaches a running step with a cancellation, and ends one that ignores it", async () => {
  stage.startAgent({ times: { cancelSlackMs: 500 } });
  const task = stage.enqueue("trap '' TERM; echo begun; while :; do sleep 0.1; done");
  await began(task);
  await controlPlane.until(() => task.heartbeats > 0);

  controlPlane.cancel(task, "by alice");

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "canceled" });
});

test("a step that takes more memory than there is fails the job, and is no infrastructure failure", async () => {
  stage.startAgent();

  const task = stage.enqueue("tail /dev/zero");

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "failed" });
});

test("runs many tasks side by side, each in a container of its own, and leaves none", async () => {
  stage.startAgent({ capacity: { tasks: 8, memoryBytes: 8 * 1024 * mebibyte, cpus: 100 } });

  const tasks = Array.from({ length: 16 }, () => stage.enqueue("hostname", inImages({ image: "busybox:latest" })));

  for (const task of tasks) await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });
  expect(new Set(tasks.map(said)).size).toBe(16);
});

test.each(["kill", "remove"] as const)(
  "a container that somebody else made away with by %s is infrastructure's fault",
  async (how) => {
    stage.startAgent();
    const task = stage.enqueue("echo begun; sleep 60");
    await began(task);

    await stage.engine[how](containerOf(task), never);

    await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "infrastructure_fail" });
  },
);

test("removes what an agent of its name left that was killed", async () => {
  const agent = stage.startAgent();
  const task = stage.enqueue("echo begun; sleep 60");
  await began(task);
  const plan = await stage.engine.inspect(containerOf(task), never);
  void agent.stop("first");
  await agent.stop("hurry");
  const labels = { ...plan?.labels, "dev.cofferdam.attempt": "7" };
  const workspace = { path: "/w", owner: { uid: 0, gid: 0 }, medium: "disk", sizeBytes: mebibyte } as const;
  const left = aPlan({ name: `left-${stage.name}`, labels, image: "busybox:latest", workspace });
  const id = await stage.engine.create(left, never);

  stage.startAgent();

  await expect.poll(async () => await stage.engine.inspect(id, never), { timeout: 10_000 }).toBeUndefined();
});

test("carries a hundred megabytes of output, byte for byte, in flat memory", async () => {
  stage.startAgent();
  const megabytes = 100;

  const task = stage.enqueue(`head -c ${megabytes * 1_000_000} /dev/urandom | base64 -w 99`);
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

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });
  for (const stored of task.records) if (stored.body.byteLength > 0) keep(stored);
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  const encoded = Math.ceil((megabytes * 1_000_000) / 3) * 4;
  expect(bytes).toBe(encoded + Math.ceil(encoded / 99));
  expect(most).toBeLessThan(300 * mebibyte);
});
