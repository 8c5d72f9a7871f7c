import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { Network, Task } from "../../src/protocol/task.ts";
import { anEngineTask } from "../docker/agents.ts";
import { addressUnderTest, engineUnderTest } from "../docker/engine-under-test.ts";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "../docker/leak-check.ts";
import { FakeControlPlane, type FakeTask } from "../fakes/fake-control-plane.ts";
import { Child } from "../faults/child.ts";

const main = fileURLToPath(new URL("../../src/launch-agent/main.ts", import.meta.url));
const never = new AbortController().signal;
const outgoing: Network = { mode: "egress", deny: [], audit: false };

let before: Snapshot;
let engine: Engine;
let controlPlane: FakeControlPlane;
let env: Record<string, string>;
let agents: Child[];

beforeEach(async () => {
  before = await takeSnapshot();
  engine = await engineUnderTest();
  controlPlane = new FakeControlPlane();
  const address = await addressUnderTest();
  if (address.kind !== "socket") throw new Error("this test wants an engine behind a socket");
  env = {
    CIRCLECI_RUNNER_API_URL: await controlPlane.listen(),
    CIRCLECI_RUNNER_API_AUTH_TOKEN: controlPlane.classToken,
    CIRCLECI_RUNNER_NAME: `podman-${randomUUID().slice(0, 8)}`,
    COFFERDAM_HEALTH_ADDRESS: "none",
    COFFERDAM_CPUS: "8",
    DOCKER_HOST: `unix://${address.path}`,
  };
  agents = [];
});

afterEach(async () => {
  for (const agent of agents) {
    agent.signal("SIGTERM");
    await agent.exit;
  }
  await controlPlane.close();
  await assertNoLeaks(before);
});

function startAgent(more: Record<string, string> = {}): Child {
  const agent = new Child({ args: [main], env: { ...env, ...more } });
  agents.push(agent);
  return agent;
}

function enqueue(command: string, container: Partial<Task["container"]> = {}): FakeTask {
  return controlPlane.enqueue(anEngineTask(command, container));
}

function said(task: FakeTask): string {
  const pieces = task.records.filter(({ lane, record }) => lane === "task" && record.type === "output");
  return Buffer.concat(pieces.map(({ body }) => body)).toString();
}

test("jobs run behind all their walls, in images of their own, from sandboxes, and can be cancelled", async () => {
  startAgent({ COFFERDAM_SANDBOX: "required" });
  const foreign = { executor: "docker" as const, images: [{ image: "debian:bookworm-slim", environment: {} }] };

  const walls = enqueue("ulimit -n; grep -E 'CapBnd|Seccomp:' /proc/self/status; touch here && ls /sys/class/net");
  const strict = enqueue("id -u; touch /x 2>&1 || echo closed; touch /tmp/x here && echo open", {
    ...foreign,
    isolation: "strict",
  });
  const reach = "timeout 5 bash -c 'echo > /dev/tcp/198.19.0.1/22' 2>&1";
  const out = enqueue(`ls /sys/class/net; ${reach} || echo refused`, { ...foreign, network: outgoing });
  const endless = enqueue("trap '' TERM; echo begun; while :; do sleep 0.1; done");
  await controlPlane.until(() => said(endless) !== "" && endless.heartbeats > 0);
  controlPlane.cancel(endless, "by alice");

  await expect(controlPlane.ended(walls)).resolves.toMatchObject({ status: "success" });
  expect(said(walls)).toMatch(/^1024\nCapBnd:\t00000000200405fb\nSeccomp:\t2\nlo\n$/);
  await expect(controlPlane.ended(strict)).resolves.toMatchObject({ status: "success" });
  expect(said(strict)).toMatch(/^65534\n[^]*closed\nopen\n$/);
  await expect(controlPlane.ended(out)).resolves.toMatchObject({ status: "success" });
  expect(said(out)).toMatch(/^eth0\nlo\n[^]*refused\n$/);
  await expect(controlPlane.ended(endless)).resolves.toMatchObject({ status: "canceled" });
});

test("a task does not survive its agent, and the next one of that name says so and leaves nothing", async () => {
  const first = startAgent();
  const task = enqueue("echo begun; sleep 600");
  await controlPlane.until(() => said(task) !== "");

  await first.kill();
  startAgent();

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "infrastructure_fail" });
  await expect.poll(async () => await engine.inspect(`cofferdam-${task.task.id}-1-0`, never)).toBeUndefined();
});
