import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Task } from "../../src/protocol/task.ts";
import { assertNoLeaks, dockerode, type Snapshot, takeSnapshot } from "../docker/leak-check.ts";
import { FakeControlPlane, type FakeTask } from "../fakes/fake-control-plane.ts";
import { aRunStep, aTask, noNetwork } from "../fakes/tasks.ts";
import { AgentProcess } from "./support/agent-process.ts";

const mebibyte = 1024 ** 2;

let controlPlane: FakeControlPlane;
let settings: Record<string, string>;
let before: Snapshot;

beforeEach(async () => {
  before = await takeSnapshot();
  controlPlane = new FakeControlPlane();
  settings = {
    CIRCLECI_RUNNER_API_URL: await controlPlane.listen(),
    CIRCLECI_RUNNER_API_AUTH_TOKEN: controlPlane.classToken,
    CIRCLECI_RUNNER_NAME: `process-${randomUUID().slice(0, 8)}`,
  };
});

afterEach(async () => {
  await controlPlane.close();
  await assertNoLeaks(before);
});

function enqueue(
  command: string,
  changes: { container?: Partial<Task["container"]>; work?: Partial<Task["work"]>; job?: string } = {},
): FakeTask {
  const limits = { ...aTask().container.limits, memoryBytes: 256 * mebibyte };
  const task = aTask({
    id: randomUUID(),
    container: { limits, network: noNetwork, ...changes.container },
    work: { steps: [aRunStep(command)], killGraceMs: 500, ...changes.work },
  });
  return controlPlane.enqueue({ ...task, job: { ...task.job, name: changes.job ?? "build" } });
}

function endOf(task: FakeTask) {
  return task.records.find(({ record }) => record.type === "task-ended")?.record;
}

async function ended(task: FakeTask) {
  await controlPlane.until(() => endOf(task) !== undefined);
  return endOf(task);
}

async function began(task: FakeTask): Promise<void> {
  await controlPlane.until(() => task.records.some(({ lane, record }) => lane === "task" && record.type === "output"));
}

/** Lets a task go on that waits for /tmp/released. */
async function release({ task }: FakeTask): Promise<void> {
  const docker = await dockerode();
  const [container] = await docker.listContainers({ filters: { label: [`dev.cofferdam.task=${task.id}`] } });
  if (!container) throw new Error(`no container runs task ${task.id}`);
  const touch = await docker.getContainer(container.Id).exec({ Cmd: ["touch", "/tmp/released"] });
  await touch.start({});
}

test("drains at the first signal: what runs ends as it would, nothing new begins, and it exits with 0", async () => {
  await using agent = await AgentProcess.start({ ...settings, CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: "1" });
  const task = enqueue("echo begun; until [ -e /tmp/released ]; do sleep 0.1; done");
  await began(task);
  await expect(agent.health("/ready")).resolves.toMatchObject({ status: 200 });

  agent.signal("SIGTERM");
  await agent.said("draining");
  const next = enqueue("true");
  const { status, body } = await agent.health("/ready");
  const live = await agent.health("/live");
  const metrics = await agent.health("/metrics");
  await release(task);

  await expect(agent.exited).resolves.toBe(0);
  expect(status).toBe(503);
  expect(body).toContain("draining");
  expect(live.status).toBe(200);
  expect(metrics.body).toMatch(/^cofferdam_tasks_running 1$/m);
  expect(metrics.body).toMatch(/^cofferdam_claims_total\{result="task"\} 1$/m);
  expect(metrics.body).toMatch(/^cofferdam_queue_wait_seconds_sum\{resource_class="ns\/class"\} 7$/m);
  expect(metrics.body).toMatch(/^cofferdam_task_start_seconds_count\{start="miss"\} 1$/m);
  expect(metrics.body).toMatch(/^process_resident_memory_bytes \d+$/m);
  expect(endOf(task)).toMatchObject({ status: "success" });
  expect(next.records).toEqual([]);
});

test("cancels what runs at the second signal, and says so to the control plane before it exits with 130", async () => {
  await using agent = await AgentProcess.start(settings);
  const task = enqueue("trap '' TERM; echo begun; while :; do sleep 0.1; done", { work: { killGraceMs: 10_000 } });
  await began(task);

  agent.signal("SIGTERM");
  await agent.said("draining");
  agent.signal("SIGTERM");

  await expect(agent.exited).resolves.toBe(130);
  expect(endOf(task)).toMatchObject({ status: "canceled" });
});

test("ends after one task where that is its mode", async () => {
  await using agent = await AgentProcess.start({ ...settings, CIRCLECI_RUNNER_MODE: "single-task" });
  const task = enqueue("true");
  const next = enqueue("true");

  await expect(agent.exited).resolves.toBe(0);
  expect(endOf(task)).toMatchObject({ status: "success" });
  expect(next.records).toEqual([]);
});

test("ends when nothing came for the idle timeout", async () => {
  await using agent = await AgentProcess.start({ ...settings, CIRCLECI_RUNNER_IDLE_TIMEOUT: "1s" });

  await expect(agent.exited).resolves.toBe(0);
  expect(agent.output).toContain("no task for as long as it may be idle");
});

test("serves several classes with one capacity, and goes on with the others when the token of one is refused", async () => {
  controlPlane.classes.set("token-two", "ns/two");
  const { CIRCLECI_RUNNER_API_AUTH_TOKEN: _, ...others } = settings;
  const classes = `ns/class=${controlPlane.classToken},ns/two=token-two,ns/gone=token-gone`;
  await using agent = await AgentProcess.start({ ...others, CIRCLECI_RUNNER_RESOURCE_CLASSES: classes });

  const task = enqueue("true");

  await expect(ended(task)).resolves.toMatchObject({ status: "success" });
  expect(controlPlane.claims[0]).toMatchObject({ tokens: [controlPlane.classToken, "token-two"] });
  const refused = agent.lines.filter(({ msg }) => msg === "the control plane refuses the token of a resource class");
  expect(refused).toEqual([expect.objectContaining({ class: "ns/gone" })]);
});

test("fails a task that goes beyond what the operator of the host allows, with the reason for its user", async () => {
  const policy = { COFFERDAM_POLICY_MEMORY_BYTES: String(100 * mebibyte), COFFERDAM_POLICY_IMAGES: "debian:*" };
  await using _agent = await AgentProcess.start({ ...settings, ...policy });

  const large = enqueue("true");
  const privileged = enqueue("true", { container: { privileged: true } });
  const small = { ...aTask().container.limits, memoryBytes: 64 * mebibyte };
  const images = [{ image: "docker.io/library/busybox", environment: {} }];
  const image = enqueue("true", { container: { limits: small, executor: "docker", images } });

  await expect(ended(large)).resolves.toMatchObject({
    status: "failed",
    message: expect.stringContaining("COFFERDAM_POLICY_MEMORY_BYTES"),
  });
  await expect(ended(privileged)).resolves.toMatchObject({ message: expect.stringContaining("privileged container") });
  await expect(ended(image)).resolves.toMatchObject({ message: expect.stringMatching(/busybox.*not allowed/) });
});

test("writes one line of JSON an event, whatever names say, and no secret in any of them", async () => {
  const secrets = {
    task: "planted-task-secret",
    password: "planted-registry-password",
    line: "planted\nsecret-of-lines",
  };
  const registry = Buffer.from(`user:${secrets.password}`).toString("base64");
  const auth = JSON.stringify({ auths: { "127.0.0.1:1": { auth: registry } } });
  const more = { CIRCLECI_RUNNER_LOGGING_LEVEL: "debug", DOCKER_AUTH_CONFIG: auth };
  await using agent = await AgentProcess.start({ ...settings, ...more });

  const work = { secrets: [secrets.task, secrets.line] };
  const good = enqueue("true", { work, job: "two\nlines \u001b[31mred \u009b0m" });
  const told = enqueue("true", {
    work,
    container: { executor: "docker", images: [{ image: secrets.task, environment: {} }] },
  });
  const images = [{ image: "127.0.0.1:1/x/y", environment: {}, auth: { username: "u", password: secrets.password } }];
  const pulled = enqueue("true", { work, container: { executor: "docker", images } });
  for (const task of [good, told, pulled])
    await controlPlane.until(() => endOf(task) !== undefined || task.unclaimed.length > 0);
  agent.signal("SIGTERM");
  await agent.exited;

  const claimed = agent.lines.find(({ msg, task }) => msg === "task claimed" && task === good.task.id);
  expect(claimed).toMatchObject({ attempt: 1, job: "two\nlines \u001b[31mred \u009b0m" });
  for (const secret of [...Object.values(secrets), registry, controlPlane.classToken, good.token]) {
    expect(agent.output).not.toContain(secret);
    expect(agent.output).not.toContain(JSON.stringify(secret).slice(1, -1));
  }
});

test("stays when the control plane is away, says so once, and works when it comes", async () => {
  const { port } = new URL(settings["CIRCLECI_RUNNER_API_URL"] ?? "");
  await controlPlane.close();
  await using agent = await AgentProcess.start(settings);
  await agent.said("nothing listens there");
  const away = await agent.health("/ready");

  controlPlane = new FakeControlPlane();
  const task = enqueue("true");
  await controlPlane.listen(Number(port));

  await expect(ended(task)).resolves.toMatchObject({ status: "success" });
  expect(away.status).toBe(503);
  expect(away.body).toContain("control plane: ");
  expect(agent.lines.filter(({ msg }) => msg === "claiming failed, trying again")).toHaveLength(1);
});
