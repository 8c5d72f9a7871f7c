import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { FakeControlPlane, FakeTask } from "../fakes/fake-control-plane.ts";
import { outputOf } from "../fakes/fake-task.ts";
import { Child } from "../faults/child.ts";
import { EngineStage, execIn, inImages } from "./agents.ts";
import { addressUnderTest } from "./engine-under-test.ts";

const main = fileURLToPath(new URL("../../src/launch-agent/main.ts", import.meta.url));
const lines = 60_000;
/**
 * Half a megabyte in some seconds: whoever attaches again finds the task agent in the middle of a frame now and then. And then it
 * waits to be let go, however long the next agent takes to come.
 */
const chatter = `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i"; [ $((i % 1000)) -ne 0 ] || sleep 0.1; done; until [ -e /tmp/go ]; do sleep 0.1; done`;
const said = Array.from({ length: lines }, (_, at) => `line ${at + 1}\n`).join("");

let stage: EngineStage;
let controlPlane: FakeControlPlane;
let processes: Child[];

beforeEach(async () => {
  stage = await EngineStage.of("docker-adoption");
  controlPlane = stage.controlPlane;
  processes = [];
});

afterEach(async () => {
  for (const process of processes) {
    process.signal("SIGTERM");
    await process.exit;
  }
  await stage.close();
});

/** Resolves when it claims. */
async function startProcess(env: Record<string, string> = {}): Promise<Child> {
  const address = await addressUnderTest();
  if (address.kind !== "socket") throw new Error("this test wants an engine behind a socket");
  const before = controlPlane.claims.length;
  const child = new Child({
    args: [main],
    env: {
      CIRCLECI_RUNNER_API_URL: stage.url,
      CIRCLECI_RUNNER_API_AUTH_TOKEN: controlPlane.classToken,
      CIRCLECI_RUNNER_NAME: stage.name,
      COFFERDAM_HEALTH_ADDRESS: "none",
      CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: "2",
      COFFERDAM_CPUS: "8",
      DOCKER_HOST: `unix://${address.path}`,
      ...env,
    },
  });
  processes.push(child);
  await controlPlane.until(() => controlPlane.claims.length > before);
  return child;
}

function hashOf(bytes: string | Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function saidBy(task: FakeTask): Buffer {
  return outputOf(task, { lane: "task" });
}

async function untilSaid(task: FakeTask, bytes: number): Promise<void> {
  await controlPlane.until(() => saidBy(task).byteLength > bytes);
}

test("a task whose agent is killed twice says every byte once, and its services go on", async () => {
  const service = { image: "busybox:latest", command: ["sh", "-c", "echo serving; sleep 600"] };
  const first = await startProcess();
  const task = stage.enqueue(chatter, inImages({ image: "debian:bookworm-slim" }, service));
  await untilSaid(task, 50_000);

  await first.kill();
  const before = saidBy(task).byteLength;
  const second = await startProcess();
  await untilSaid(task, Math.min(before + 100_000, said.length - 1));
  await second.kill();
  await startProcess();
  await execIn(`cofferdam-${task.task.id}-1-0`, "touch /tmp/go");

  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });
  expect(hashOf(saidBy(task))).toBe(hashOf(said));
  const aboutService = task.records.filter(
    ({ lane, record }) => lane === "launch" && "step" in record && record.step === 1,
  );
  expect(aboutService.map(({ record }) => record.type)).toEqual(["step-started", "output", "step-ended"]);
});

test("a task in a container of the pool survives its agent, and the others of the pool do not", async () => {
  const pool = { COFFERDAM_POOL_PER_SHAPE: "1", COFFERDAM_POOL_TOTAL: "1" };
  const first = await startProcess(pool);
  const warmUp = stage.enqueue("true");
  await controlPlane.ended(warmUp);
  await expect.poll(async () => await stage.running("pool"), { timeout: 20_000 }).toHaveLength(1);
  const [handedOut = ""] = await stage.running("pool");
  const task = stage.enqueue(chatter);
  await untilSaid(task, 50_000);
  await expect.poll(async () => await stage.running("pool"), { timeout: 20_000 }).toHaveLength(2);

  await first.kill();
  await startProcess();

  await expect.poll(async () => await stage.running("pool"), { timeout: 10_000 }).toEqual([handedOut]);
  await execIn(handedOut, "touch /tmp/go");
  await expect(controlPlane.ended(task)).resolves.toMatchObject({ status: "success" });
  expect(hashOf(saidBy(task))).toBe(hashOf(said));
});
