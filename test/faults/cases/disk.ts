import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createDockerEngine } from "../../../src/engine/docker/index.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { diskProbe } from "../../../src/launch-agent/disk/space.ts";
import { readiness } from "../../../src/launch-agent/health/readiness.ts";
import { serveHealth } from "../../../src/launch-agent/health/server.ts";
import { markName } from "../../../src/launch-agent/images/marks.ts";
import { type LaunchAgent, startLaunchAgent } from "../../../src/launch-agent/index.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { Secret } from "../../../src/lib/secret.ts";
import type { Task } from "../../../src/protocol/task.ts";
import { startTestRegistry } from "../../docker/registry/registry.ts";
import { FakeControlPlane, type FakeTask } from "../../fakes/fake-control-plane.ts";
import { aRunStep, aTask, noNetwork } from "../../fakes/tasks.ts";
import { until } from "../child.ts";
import { FaultEngine } from "../engine.ts";
import type { Fault } from "../fault.ts";

const run = promisify(execFile);
const script = "scripts/setup-small-disk-engine.sh";
const disk = join(process.env["COFFERDAM_ENGINE_SMALL_DISK"] ?? "/var/lib/cofferdam-engine-small", "disk");
const filler = join(disk, "filler");
const never = new AbortController().signal;
const mebibyte = 1024 ** 2;
const marks = { highPercent: 93, lowPercent: 90, floorBytes: 100 * mebibyte };
const waitMs = 60_000;
/** How long a claim is held. */
const heldMs = 500;

/** An engine whose disk is full, in earnest. */
export const diskFaults: readonly Fault[] = [
  {
    id: "D15",
    what: "the disk at 95 %: images go to the low mark, those in use and foreign ones stay; below the floor nothing is claimed until there is room; what it was too late for is infrastructure, and looked into at once",
    run: async () => await fillDisk(),
  },
];

interface Stage {
  fault: FaultEngine;
  engine: Engine;
  controlPlane: FakeControlPlane;
  url: string;
}

async function fillDisk(): Promise<string> {
  // What a run that was killed has left would be in the way of the numbers.
  await run("sh", [script, "remove"]);
  const { stdout } = await run("sh", [script, "start"]);
  const path = stdout.trim().replace(/^unix:\/\//, "");
  const controlPlane = new FakeControlPlane();
  try {
    const engine = createDockerEngine({ address: { kind: "socket", path } });
    const stage = { fault: new FaultEngine(path), engine, controlPlane, url: await controlPlane.listen() };
    await using registry = await startTestRegistry(stage.fault.docker);
    const toPull = `${registry.open}/app:1`;
    await registry.push(toPull);
    const words = [await collect(stage), await runOutOfSpace(stage, toPull)];
    return words.join("; ");
  } finally {
    await controlPlane.close();
    await run("sh", [script, "remove"]);
  }
}

/** As an agent has it who looks often. */
async function collect(stage: Stage): Promise<string> {
  const images = await makeImages(stage.fault);
  const agent = await startAgent(stage, { lookMs: 600 });
  try {
    await fillTo(95);
    await until("the disk is down to its low mark", waitMs, async () =>
      (await usedPercent()) <= marks.lowPercent ? true : undefined,
    );
    const left = new Set((await stage.engine.images(never)).map(({ id }) => id));
    if (!left.has(images.used) || !left.has(images.foreign))
      throw new Error("an image in use, or a foreign one, is gone");
    const gone = images.pulled.filter((id) => !left.has(id)).length;
    if (gone !== 2) throw new Error(`${gone} images went, and two were enough`);
    await succeeds(enqueue(stage.controlPlane));

    await fillTo(99.5);
    const reason = await pausesAndResumes(stage, agent);
    return `${gone} images of ${images.pulled.length} went, then not ready: ${reason}`;
  } finally {
    await agent.stop("the fault is over");
  }
}

/** Returns what /ready says meanwhile. */
async function pausesAndResumes({ controlPlane, engine }: Stage, agent: LaunchAgent): Promise<string> {
  const ready = readiness({ status: () => agent.status(), engine, clock: systemClock });
  const health = await serveHealth({ address: "127.0.0.1:0", ready, metrics: async () => "" });
  const ask = async () => await fetch(`http://${health.address}/ready`);
  try {
    const reason = await until("the agent is not ready", waitMs, async () => {
      const answer = await ask();
      return answer.status === 503 ? await answer.text() : undefined;
    });
    if (!reason.includes("disk: the engine's disk has")) throw new Error(`not ready, but: ${reason}`);
    // One that was held when the disk filled up may still bring a task.
    await sleep(2 * heldMs);
    const waiting = enqueue(controlPlane);
    await sleep(2 * heldMs);
    if (waiting.records.length > 0) throw new Error("a task was taken though the disk is full");
    await rm(filler);
    await succeeds(waiting);
    await until("the agent is ready again", waitMs, async () => ((await ask()).ok ? true : undefined));
    return (JSON.parse(reason) as { reasons: string[] }).reasons.join();
  } finally {
    await health.close();
  }
}

/**
 * Somebody takes all the rest between two looks: the engine itself has to say so, at a container and at a pull. Either way the agent looks at once,
 * long before its time, and takes nothing more until there is room.
 */
async function runOutOfSpace(stage: Stage, toPull: string): Promise<string> {
  const agent = await startAgent(stage, { lookMs: 3_600_000 });
  try {
    await until("the agent looked at the disk", waitMs, () => agent.status().disk?.space);
    const noContainer = await findFull(stage, agent, {});
    const images = [{ image: toPull, environment: {} }];
    const noImage = await findFull(stage, agent, { executor: "docker", images });
    for (const words of [noContainer, noImage])
      if (!words.includes("no space left on device")) throw new Error(`not in words: ${words}`);
    if (!noImage.includes("make room on it")) throw new Error(`no advice: ${noImage}`);
    return `then ${noContainer}; ${noImage}`;
  } finally {
    await agent.stop("the fault is over");
    await rm(filler, { force: true });
  }
}

/** Returns why the task was given back. A second one waits meanwhile, and runs once there is room. */
async function findFull({ controlPlane }: Stage, agent: LaunchAgent, container: Partial<Task["container"]>) {
  await fillTo(100);
  const words = await givenBack(enqueue(controlPlane, container));
  // First in the engine's words, then in its own.
  await until("the agent says how much is free", waitMs, () =>
    agent.status().disk?.problem?.match("the engine's disk has"),
  );
  const second = enqueue(controlPlane);
  await sleep(2 * heldMs);
  if (second.records.length > 0) throw new Error("a task was taken though the engine had said that its disk is full");
  await rm(filler);
  await succeeds(second);
  return words;
}

/** Of 60 MB each, 3 % of the disk: four that an agent pulled, of which a container uses one, and one of somebody else. */
async function makeImages({ docker }: FaultEngine) {
  const ids: string[] = [];
  for (let index = 0; index < 5; index++) {
    const made = await docker.createContainer({
      Image: "busybox:latest",
      Cmd: ["sh", "-c", `head -c 60000000 /dev/urandom > /${index}`],
      HostConfig: { NetworkMode: "none" },
    });
    await made.start();
    await made.wait();
    const { Id } = (await made.commit({ repo: "test", tag: String(index) })) as { Id: string };
    await made.remove({ v: true });
    ids.push(Id);
  }
  const [foreign = "", ...pulled] = ids;
  for (const id of pulled) {
    const [repo = "", tag = ""] = markName("pulled", id).split(":");
    await docker.getImage(id).tag({ repo, tag });
  }
  const [used = ""] = pulled;
  await docker.createContainer({ Image: used, name: "keeps-an-image", Cmd: ["sh"] });
  return { used, foreign, pulled };
}

/** Resolves when all that it needs is on the engine's disk. */
async function startAgent({ fault, engine, controlPlane, url }: Stage, { lookMs }: { lookMs: number }) {
  const silent = () => {};
  const agent = startLaunchAgent({
    api: { baseUrl: url, token: new Secret(controlPlane.classToken) },
    engine,
    name: `disk-${randomUUID().slice(0, 8)}`,
    hostname: "test",
    version: "test",
    capacity: { tasks: 1, memoryBytes: 4 * 1024 ** 3, cpus: 8 },
    sandboxes: { mode: "off" },
    taskAgentImage: "cofferdam/task-agent:dev",
    clock: systemClock,
    newId: randomUUID,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    images: { marks: true },
    disk: { probe: diskProbe(disk), ...marks, lookMs, imageMaxAgeMs: 3_600_000_000, foreignImages: false },
    claimWaitMs: heldMs,
  });
  await agent.ready;
  await until("the task agent's volume is there", waitMs, async () => {
    const containers = await fault.docker.listContainers({ all: true });
    return containers.find(({ Names }) => Names.some((name) => /^\/cofferdam-task-agent-[0-9a-f]+$/.test(name)));
  });
  return agent;
}

function enqueue(controlPlane: FakeControlPlane, container: Partial<Task["container"]> = {}): FakeTask {
  const work = { steps: [aRunStep("true")] };
  return controlPlane.enqueue(aTask({ id: randomUUID(), container: { network: noNetwork, ...container }, work }));
}

async function succeeds({ records, unclaimed }: FakeTask): Promise<void> {
  await until("a task succeeded", waitMs, () => {
    if (unclaimed.length > 0) throw new Error(`a task was given back: ${unclaimed.join()}`);
    const end = records.map(({ record }) => record).find(({ type }) => type === "task-ended");
    if (end?.type === "task-ended" && end.status !== "success") throw new Error(`a task ended: ${JSON.stringify(end)}`);
    return end;
  });
}

/** Returns why: nothing of it has run, so it is infrastructure's, and anybody's to try again. */
async function givenBack({ unclaimed }: FakeTask): Promise<string> {
  return await until("a task was given back", waitMs, () => unclaimed[0]);
}

async function usedPercent(): Promise<number> {
  const { bavail, blocks } = await statfs(disk);
  return (1 - bavail / blocks) * 100;
}

/** All at once: what grows while images go already is measured wrong. */
async function fillTo(percent: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(disk);
  const bytes = Math.floor(bavail - (blocks * (100 - percent)) / 100) * bsize;
  const { size } = await stat(filler).catch(() => ({ size: 0 }));
  await run("fallocate", ["--length", String(size + bytes), filler]).catch((error: unknown) => {
    // The file system needs some of it for itself; the file has the rest.
    if (percent < 100 || !String(error).includes("No space left on device")) throw error;
  });
}
