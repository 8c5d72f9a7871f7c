import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Attachment, ContainerPlan, Engine, Image } from "../../src/engine/engine.ts";
import { FakeLaunchAgent } from "../fakes/fake-launch-agent.ts";
import { runStep, workOf } from "../fakes/task-agent.ts";
import { engineUnderTest } from "./engine-under-test.ts";

/** The task agent's bundle, in containers of images that have next to nothing in common. */
const reference = "cofferdam/task-agent:dev";
const labels = { "dev.cofferdam.test": randomUUID() };
const { signal } = new AbortController();
let engine: Engine;
let agentImage: Image;
let volume = "";
const made: string[] = [];

beforeAll(async () => {
  engine = await engineUnderTest();
  const image = await engine.image(reference, signal);
  if (!image) throw new Error(`The engine has no image ${reference}. Run \`sh scripts/setup.sh\`.`);
  agentImage = image;
  volume = `cofferdam-test-${image.id.replace("sha256:", "").slice(0, 12)}`;
  await engine.ensureSharedVolume({ name: volume, image: reference, path: "/opt/cofferdam", labels }, signal);
});
afterEach(async () => {
  for (const id of made.splice(0)) await engine.remove(id, signal);
});
afterAll(async () => {
  for (const object of await engine.list(labels, signal)) await engine.removeObject(object, signal);
});

interface Container {
  id: string;
  launch: FakeLaunchAgent;
  attachment: Attachment;
  stderr: () => string;
}

async function start(image: string, overrides: Partial<ContainerPlan> = {}): Promise<Container> {
  const present = await engine.image(image, signal);
  if (!present) throw new Error(`The engine has no image ${image}. Run \`sh scripts/setup.sh --for test\`.`);
  const account = await engine.account(present, undefined, signal);
  const path = `${account.home === "/" ? "" : account.home}/project`;
  const id = await engine.create(
    {
      name: `cofferdam-test-${randomUUID()}`,
      labels,
      image,
      entrypoint: JSON.parse(agentImage.labels["dev.cofferdam.argv"] ?? "[]") as string[],
      command: [],
      environment: {},
      workingDirectory: path,
      limits: { memoryBytes: 512 * 2 ** 20, cpus: 2, pids: 200, openFiles: 1024 },
      isolation: "standard",
      network: { mode: "none" },
      workspace: { path, owner: account, medium: "disk", sizeBytes: 2 ** 30 },
      shared: image === reference ? [] : [{ volume, path: "/opt/cofferdam" }],
      ...overrides,
    },
    signal,
  );
  made.push(id);
  const attachment = await engine.attach(id, signal);
  let told = "";
  attachment.stderr.on("data", (chunk: Buffer) => {
    told += chunk.toString();
  });
  const launch = new FakeLaunchAgent();
  launch.attach(attachment.stdin, attachment.stdout);
  await engine.start(id, signal);
  return { id, launch, attachment, stderr: () => told };
}

describe.each([
  ["the task-agent image", reference],
  ["Debian", "debian:bookworm-slim"],
  ["nothing but busybox", "busybox:latest"],
  ["musl", "cofferdam/test-musl:dev"],
  ["a user without rights", "cofferdam/test-user:dev"],
  ["an entrypoint of its own", "cofferdam/test-entrypoint:dev"],
])("in an image with %s", (_name, image) => {
  test("steps run, move files without a network, and halt", async () => {
    const { id, launch, stderr } = await start(image);
    launch.handOver(
      workOf([
        "echo out; echo err >/dev/stderr; pwd",
        "mkdir -p cache; echo cached > cache/f; echo 'export X=1' >> \"$BASH_ENV\"",
        { type: "save_cache", name: "save", key: 'k-{{ checksum "cache/f" }}', paths: ["cache"], when: "on_success" },
        "rm -r cache",
        { type: "restore_cache", name: "restore", keys: ["k-"] },
        "cat cache/f; sleep 1000 & true",
        { type: "store_artifacts", name: "artifacts", path: "cache" },
        "circleci-agent step halt",
        "echo no",
      ]),
    );
    const ended = await launch.ended();
    const exit = await engine.wait(id, signal);

    expect(stderr()).toBe("");
    expect(ended).toMatchObject({ status: "success" });
    expect(launch.output(100, "stdout")).toMatch(/^out\n\/\S*\/?project\n$/);
    expect(launch.output(100, "stderr")).toBe("err\n");
    expect(launch.output(105)).toBe("cached\n");
    expect(launch.stores.artifacts.get("cache/f")?.toString()).toBe("cached\n");
    expect(exit.code).toBe(0);
  });
});

test("strict isolation leaves room to work in", async () => {
  const { id, launch } = await start("debian:bookworm-slim", {
    isolation: "strict",
    workingDirectory: "/work/project",
    workspace: { path: "/work/project", owner: { uid: 65534, gid: 65534 }, medium: "disk", sizeBytes: 2 ** 30 },
  });
  launch.handOver(
    workOf([
      "echo hi | tee /dev/stderr > f; cat f; touch /etc/x 2>/dev/null || echo read-only",
      "circleci-agent step halt",
      "echo no",
    ]),
  );

  expect(await launch.ended()).toMatchObject({ status: "success" });
  expect(launch.output(100, "stdout")).toBe("hi\nread-only\n");
  expect((await engine.wait(id, signal)).code).toBe(0);
});

test("an image without any shell is told in words", async () => {
  const { launch } = await start("cofferdam/test-no-shell:dev");
  launch.handOver(workOf([runStep("true", { name: "x" })]));

  expect(await launch.ended()).toMatchObject({
    status: "failed",
    message: expect.stringMatching(/neither \/bin\/bash nor \/bin\/sh/),
  });
});

test("a full disk is told", async () => {
  const account = { uid: 0, gid: 0 };
  const { launch } = await start("debian:bookworm-slim", {
    workspace: { path: "/root/project", owner: account, medium: "memory", sizeBytes: 8 * 2 ** 20 },
  });
  launch.handOver(workOf(["head -c 20M /dev/zero > f"]));

  expect(await launch.ended()).toMatchObject({ status: "failed" });
  expect(launch.output(100)).toMatch(/The disk of the workspace \(\/root\/project\) is full/);
});

test("an agent that comes back gets every byte", async () => {
  const { id, launch, attachment } = await start("debian:bookworm-slim");
  launch.options = { acknowledges: false };
  launch.handOver(
    workOf(["for i in $(seq 20000); do echo line $i; done; until test -e go; do sleep 0.01; done", "echo last"]),
  );
  await launch.until(() => launch.output(100).includes("line 500\n"));
  attachment.close();

  const second = await engine.attach(id, signal);
  launch.options = {};
  launch.attach(second.stdin, second.stdout);
  await launch.until(() => launch.output(100).endsWith("line 20000\n"));
  launch.cancel();

  expect(await launch.ended()).toMatchObject({ status: "canceled" });
  expect(launch.hellos).toHaveLength(2);
  expect(launch.output(100)).toBe(Array.from({ length: 20000 }, (_, index) => `line ${index + 1}\n`).join(""));
});

test("processes that left their step are gone at its end, and sudo works", async () => {
  const { id, launch } = await start(reference);
  launch.handOver(workOf(["setsid sleep 1000 & setsid sudo sleep 1000 & sudo id -u"]));

  expect(await launch.ended()).toMatchObject({ status: "success" });
  expect(launch.output(100, "stdout")).toBe("0\n");
  expect((await engine.wait(id, signal)).code).toBe(0);
});
