import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type Docker from "dockerode";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { Network, type Task } from "../../src/protocol/task.ts";
import { FakeControlPlane } from "../fakes/fake-control-plane.ts";
import { endOf, type FakeTask, said } from "../fakes/fake-task.ts";
import { aRunStep, aTask, noNetwork } from "../fakes/tasks.ts";
import { Child } from "../faults/child.ts";
import { addressUnderTest, dockerodeUnderTest, engineUnderTest } from "./engine-under-test.ts";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "./leak-check.ts";
import type { MortalAgentOptions } from "./mortal-agent.ts";
import { openNetworkWorld } from "./network-world.ts";

const program = fileURLToPath(new URL("mortal-agent.ts", import.meta.url));
const never = new AbortController().signal;

let controlPlane: FakeControlPlane;
let engine: Engine;
let docker: Docker;
let socketPath: string;
let url: string;
let name: string;
let agents: Child[];
let before: Snapshot;

beforeEach(async () => {
  before = await takeSnapshot();
  const address = await addressUnderTest();
  if (address.kind !== "socket") throw new Error("this test wants an engine behind a socket");
  socketPath = address.path;
  engine = await engineUnderTest();
  docker = await dockerodeUnderTest();
  controlPlane = new FakeControlPlane();
  url = await controlPlane.listen();
  name = `docker-life-${randomUUID().slice(0, 8)}`;
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

function start(options: Partial<MortalAgentOptions> = {}): Child {
  const whole: MortalAgentOptions = { url, token: controlPlane.classToken, name, socketPath, ...options };
  const agent = new Child({ args: [program, JSON.stringify(whole)], env: {} });
  agents.push(agent);
  return agent;
}

interface Job {
  command: string;
  services?: string[];
  network?: Network;
  maxRunTimeMs?: number;
}

function enqueue({ command, services = [], network = noNetwork, maxRunTimeMs = 600_000 }: Job): FakeTask {
  const images = [
    { image: "debian:bookworm-slim", environment: {} },
    ...services.map((script) => ({
      image: "busybox:latest",
      command: ["sh", "-c", script],
      environment: { "a.b": "dotted" },
    })),
  ];
  const limits = { ...aTask().container.limits, memoryBytes: 256 * 1024 ** 2 };
  const work = { steps: [aRunStep(command)], killGraceMs: 500, maxRunTimeMs };
  const container = { executor: "docker", images, limits, network } satisfies Partial<Task["container"]>;
  return controlPlane.enqueue(aTask({ id: randomUUID(), container, work }));
}

async function untilSaid(task: FakeTask, words: string, step = 100): Promise<void> {
  await controlPlane.until(() => said(task, { step }).includes(words));
}

async function ended(task: FakeTask): Promise<string | undefined> {
  await controlPlane.ended(task);
  return endOf(task)?.status;
}

function containerOf(task: FakeTask, index = 0): Docker.Container {
  return docker.getContainer(`cofferdam-${task.task.id}-1-${index}`);
}

test("a service whose agent never comes back ends at its deadline, and another agent removes what is left", async () => {
  const stubborn = `trap "" TERM HUP INT; echo serving as $$; while :; do sleep 1; done`;
  const agent = start({ times: { deadlineSlackMs: 1_000 } });
  const task = enqueue({ command: "echo working; sleep 600", services: [stubborn], maxRunTimeMs: 12_000 });
  await Promise.all([untilSaid(task, "serving", 1), untilSaid(task, "working")]);

  await agent.kill();

  expect((await containerOf(task, 1).inspect()).State.Running).toBe(true);
  const { StatusCode }: { StatusCode: number } = await containerOf(task, 1).wait();
  expect(StatusCode).toBe(137);
  start({ name: `${name}-other` });
  const left = async () => (await engine.list({ "dev.cofferdam.agent": name }, never)).map(({ kind }) => kind);
  await expect.poll(left, { timeout: 30_000 }).toEqual([]);
});

test("a service is the process that its image says, with its signals, its variables and its exit code", async () => {
  start();
  const about = `tr '\\0' '\\n' < /proc/$$/environ | grep ^a.b=; tr '\\0' ' ' < /proc/$$/cmdline | cut -c 1-10; echo child of $PPID`;
  const script = `trap "echo asked to end; exit 3" TERM; ${about}; while :; do sleep 0.1; done`;
  const task = enqueue({ command: "sleep 600", services: [script] });
  await untilSaid(task, "child of", 1);

  await containerOf(task, 1).stop({ t: 30 });

  const isEnd = ({ record }: FakeTask["records"][number]) => record.type === "step-ended" && record.step === 1;
  await controlPlane.until(() => task.records.some(isEnd));
  expect(task.records.find(isEnd)?.record).toMatchObject({ outcome: { kind: "exited", code: 3 } });
  expect(said(task, { step: 1 })).toBe("a.b=dotted\nsh -c trap\nchild of 1\nasked to end\n");
  controlPlane.cancel(task, "seen");
  expect(await ended(task)).toBe("canceled");
});

test("a task that somebody pauses is told, and goes on where it was", async () => {
  const agent = start();
  const task = enqueue({ command: "echo before; while [ ! -e go ]; do sleep 0.1; done; echo after" });
  await untilSaid(task, "before");

  await containerOf(task).pause();
  await untilSaid(task, "was paused from outside", 91);
  await agent.says(/a container of a task was paused from outside/);
  await containerOf(task).unpause();
  await untilSaid(task, "goes on, after", 91);
  const exec = await containerOf(task).exec({ Cmd: ["touch", "/root/project/go"] });
  await exec.start({});

  expect(await ended(task)).toBe("success");
  expect(said(task, { step: 100 })).toBe("before\nafter\n");
});

test("a task that stays paused ends as its limits say, also when its agent was killed meanwhile", async () => {
  const times = { runTimeSlackMs: 500, cancelSlackMs: 500 };
  const agent = start({ times });
  const task = enqueue({ command: "echo before; sleep 600", maxRunTimeMs: 8_000 });
  await untilSaid(task, "before");
  await containerOf(task).pause();
  await untilSaid(task, "was paused from outside", 91);

  await agent.kill();
  const second = start({ times });

  await second.says(/task adopted/);
  expect(await ended(task)).toBe("timedout");
});

test("what a class allows by name is looked up anew for a task that was adopted", async () => {
  await using world = await openNetworkWorld();
  const [address = "", port = ""] = world.outside.split(" ");
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-life-"));
  const addressFile = join(directory, "address");
  await writeFile(addressFile, "203.0.113.77");
  const options = { addressFile, sandboxes: { mode: "required", ready: 0 } } as const;
  const agent = start(options);
  const reach = `timeout 1 bash -c 'exec 3<>/dev/tcp/${address}/${port}' 2>/dev/null`;
  const task = enqueue({
    command: `${reach} && echo open || echo closed; until ${reach}; do sleep 0.2; done; echo reached`,
    network: Network.parse({ allow: [{ to: "registry.test", ports: [port] }] }),
  });
  await untilSaid(task, "closed");

  await agent.kill();
  await writeFile(addressFile, address);
  start(options);

  expect(await ended(task)).toBe("success");
  expect(said(task, { step: 100 })).toBe("closed\nreached\n");
  // It may have ended before.
  await untilSaid(task, `refused: ${address} tcp ${port}`, 90);
  await rm(directory, { recursive: true });
});
