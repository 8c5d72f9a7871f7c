import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { AllowList } from "../../../src/launch-agent/images/allow-list.ts";
import { RegistryAuth } from "../../../src/launch-agent/images/registry-auth.ts";
import type { LaunchAgentOptions } from "../../../src/launch-agent/index.ts";
import type { Task } from "../../../src/protocol/task.ts";
import type { FakeTask } from "../../fakes/fake-control-plane.ts";
import { said } from "../../fakes/fake-task.ts";
import { aRunStep, aTask, noNetwork } from "../../fakes/tasks.ts";
import { EngineStage } from "../agents.ts";
import { dockerode } from "../leak-check.ts";
import { leavesNothingBehind } from "../leaves-nothing-behind.ts";
import { account, startTestRegistry, type TestRegistry } from "./registry.ts";
import { removeNewImages } from "./remove-new-images.ts";

leavesNothingBehind();

let registry: TestRegistry;
let stage: EngineStage;
let logged: string[];
let cleanUp: () => Promise<void>;

beforeAll(async () => {
  registry = await startTestRegistry();
});

afterAll(async () => await registry[Symbol.asyncDispose]());

beforeEach(async () => {
  stage = await EngineStage.of("registry-test");
  cleanUp = await removeNewImages(stage.engine);
  logged = [];
});

afterEach(async () => {
  await stage.close();
  await cleanUp();
});

function start(images: LaunchAgentOptions["images"] = {}): void {
  const write = (facts: object, message: string) => logged.push(JSON.stringify({ ...facts, message }));
  const log = { debug: write, info: write, warn: write, error: write };
  stage.startAgent({ log, sandboxes: { mode: "off" }, images: { marks: true, pauseMs: 1, ...images } });
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
  return stage.controlPlane.enqueue({ ...task, pipeline: { id: pipeline, number: 1 } });
}

async function contentSeenBy(task: FakeTask): Promise<string | undefined> {
  await expect(stage.controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });
  return /^[0-9a-f]{32}/m.exec(said(task, { lane: "task" }))?.[0];
}

test("all tasks of a pipeline get one content of a tag, though it is moved and wherever they run", async () => {
  start();
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
  expect(said(told, { lane: "launch" })).toContain(`${digest.slice(7, 19)} in the whole pipeline`);
  await expect(contentSeenBy(enqueue(name, { container: always }))).resolves.not.toBe(first);
});

test("a private image runs with the agent's credentials, which nobody gets to see", async () => {
  start({ auth: new RegistryAuth([[registry.closed, account]]) });
  const name = `${registry.closed}/app-${randomUUID().slice(0, 8)}:1`;
  await registry.push(name);

  const task = enqueue(name);
  await expect(stage.controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });

  const docker = await dockerode();
  const known = await Promise.all(
    (await docker.listImages()).map(async ({ Id }) => await docker.getImage(Id).inspect()),
  );
  const everything = JSON.stringify([
    logged,
    known,
    task.records,
    said(task, { lane: "launch" }),
    said(task, { lane: "task" }),
  ]);
  expect(everything).not.toContain(account.password);
  expect(everything).not.toContain(Buffer.from(`${account.username}:${account.password}`).toString("base64"));
});

test("a private image that one task pulled fails another one without credentials, as the config's fault", async () => {
  start();
  const name = `${registry.closed}/app-${randomUUID().slice(0, 8)}:1`;
  await registry.push(name);
  await expect(stage.controlPlane.ended(enqueue(name, { auth: account }))).resolves.toMatchObject({
    status: "success",
  });

  for (const pull of ["if-not-present", "always", "never"] as const) {
    const other = enqueue(name, { container: { pull } });
    await expect(stage.controlPlane.ended(other)).resolves.toMatchObject({ status: "failed" });
  }
});

test.each([
  ["the resource class", { allowedImages: ["debian"] }, {}, "resource class ns/class, which allows debian"],
  ["the operator", {}, { allowed: new AllowList("operator of this host", ["debian"]) }, "operator of this host"],
])(
  "an image that %s does not allow is refused with that said, in whatever spelling",
  async (_who, container, rules, words) => {
    start(rules);

    for (const image of ["busybox", "docker.io/library/busybox:latest", "index.docker.io/busybox"]) {
      const end = await stage.controlPlane.ended(enqueue(image, { container }));
      expect(end).toMatchObject({ status: "failed", message: expect.stringContaining(words) as string });
    }
  },
);
