import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { AllowList } from "../../../src/launch-agent/images/allow-list.ts";
import { RegistryAuth } from "../../../src/launch-agent/images/registry-auth.ts";
import { type LaunchAgent, type LaunchAgentOptions, startLaunchAgent } from "../../../src/launch-agent/index.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { Secret } from "../../../src/lib/secret.ts";
import type { Task } from "../../../src/protocol/task.ts";
import { FakeControlPlane, type FakeTask } from "../../fakes/fake-control-plane.ts";
import { aRunStep, aTask, noNetwork } from "../../fakes/tasks.ts";
import { engineUnderTest } from "../engine-under-test.ts";
import { assertNoLeaks, dockerode, type Snapshot, takeSnapshot } from "../leak-check.ts";
import { account, startTestRegistry, type TestRegistry } from "./registry.ts";
import { removeNewImages } from "./remove-new-images.ts";

let registry: TestRegistry;
let controlPlane: FakeControlPlane;
let url: string;
let agents: LaunchAgent[];
let logged: string[];
let before: Snapshot;
let cleanUp: () => Promise<void>;

beforeAll(async () => {
  before = await takeSnapshot();
  registry = await startTestRegistry();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await assertNoLeaks(before);
});

beforeEach(async () => {
  cleanUp = await removeNewImages(await engineUnderTest());
  controlPlane = new FakeControlPlane();
  url = await controlPlane.listen();
  agents = [];
  logged = [];
});

afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.stop("the test is over")));
  await controlPlane.close();
  await cleanUp();
});

async function start(images: LaunchAgentOptions["images"] = {}): Promise<void> {
  const write = (facts: object, message: string) => logged.push(JSON.stringify({ ...facts, message }));
  const agent = startLaunchAgent({
    api: { baseUrl: url, token: new Secret(controlPlane.classToken) },
    engine: await engineUnderTest(),
    name: `registry-test-${randomUUID().slice(0, 8)}`,
    hostname: "test",
    version: "test",
    capacity: { tasks: 2, memoryBytes: 4 * 1024 ** 3, cpus: 8 },
    sandboxes: { mode: "off" },
    taskAgentImage: "cofferdam/task-agent:dev",
    clock: systemClock,
    newId: randomUUID,
    log: { debug: write, info: write, warn: write, error: write },
    images: { marks: true, pauseMs: 1, ...images },
  });
  agents.push(agent);
}

function enqueue(
  image: string,
  of: { pipeline?: string; container?: Partial<Task["container"]>; auth?: typeof account } = {},
) {
  const { pipeline = randomUUID(), container = {}, auth } = of;
  const images = [{ image, environment: {}, ...(auth && { auth }) }];
  const task = aTask({
    id: randomUUID(),
    container: { executor: "docker", images, network: noNetwork, ...container },
    work: { steps: [aRunStep("md5sum /random-file; env; sleep 0.2")] },
  });
  return controlPlane.enqueue({ ...task, pipeline: { id: pipeline, number: 1 } });
}

async function ended(task: FakeTask) {
  const end = () => task.records.find(({ record }) => record.type === "task-ended")?.record;
  await controlPlane.until(() => end() !== undefined);
  return end();
}

function said(task: FakeTask, lane: "launch" | "task"): string {
  const pieces = task.records.filter((stored) => stored.lane === lane && stored.record.type === "output");
  return Buffer.concat(pieces.map(({ body }) => body)).toString();
}

async function contentSeenBy(task: FakeTask): Promise<string | undefined> {
  await expect(ended(task)).resolves.toMatchObject({ status: "success" });
  return /^[0-9a-f]{32}/m.exec(said(task, "task"))?.[0];
}

test("all tasks of a pipeline get one content of a tag, though it is moved and wherever they run", async () => {
  await start();
  const name = `${registry.open}/moving-${randomUUID().slice(0, 8)}:1`;
  const pipeline = randomUUID();
  const digest = await registry.push(name);
  const always = { pull: "always" } as const;
  const first = await contentSeenBy(enqueue(name, { pipeline, container: always }));

  await registry.push(name);
  await cleanUp();

  const raced = enqueue(name, { pipeline, container: always });
  await expect(contentSeenBy(raced)).resolves.toBe(first);
  const told = enqueue(name, { pipeline });
  told.task.imagePins = { [name]: digest };
  await expect(contentSeenBy(told)).resolves.toBe(first);
  expect(said(told, "launch")).toContain(`${digest.slice(7, 19)} in the whole pipeline`);
  await expect(contentSeenBy(enqueue(name, { container: always }))).resolves.not.toBe(first);
});

test("a private image runs with the agent's credentials, which nobody gets to see", async () => {
  await start({ auth: new RegistryAuth([[registry.closed, account]]) });
  const name = `${registry.closed}/app-${randomUUID().slice(0, 8)}:1`;
  await registry.push(name);

  const task = enqueue(name);
  await expect(ended(task)).resolves.toMatchObject({ status: "success" });

  const docker = await dockerode();
  const known = await Promise.all(
    (await docker.listImages()).map(async ({ Id }) => await docker.getImage(Id).inspect()),
  );
  const everything = JSON.stringify([logged, known, task.records, said(task, "launch"), said(task, "task")]);
  expect(everything).not.toContain(account.password);
  expect(everything).not.toContain(Buffer.from(`${account.username}:${account.password}`).toString("base64"));
});

test("a private image that one task pulled fails another one without credentials, as the config's fault", async () => {
  await start();
  const name = `${registry.closed}/app-${randomUUID().slice(0, 8)}:1`;
  await registry.push(name);
  await expect(ended(enqueue(name, { auth: account }))).resolves.toMatchObject({ status: "success" });

  for (const pull of ["if-not-present", "always", "never"] as const) {
    const other = enqueue(name, { container: { pull } });
    await expect(ended(other)).resolves.toMatchObject({ status: "failed" });
  }
});

test.each([
  ["the resource class", { allowedImages: ["debian"] }, {}, "resource class ns/class, which allows debian"],
  ["the operator", {}, { allowed: new AllowList("operator of this host", ["debian"]) }, "operator of this host"],
])(
  "an image that %s does not allow is refused with that said, in whatever spelling",
  async (_who, container, rules, words) => {
    await start(rules);

    for (const image of ["busybox", "docker.io/library/busybox:latest", "index.docker.io/busybox"]) {
      const end = await ended(enqueue(image, { container }));
      expect(end).toMatchObject({ status: "failed", message: expect.stringContaining(words) as string });
    }
  },
);
