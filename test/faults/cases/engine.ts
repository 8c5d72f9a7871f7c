import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { until } from "../child.ts";
import { createOfTask } from "../engine.ts";
import type { Fault } from "../fault.ts";
import { ticking } from "../jobs.ts";
import type { Agent, World } from "../world.ts";

const soon = ticking({ ticks: 3, everyMs: 10 });

/** The engine dies, stops, is slow, or somebody else is at work on it. */
export const engineFaults: readonly Fault[] = [
  {
    id: "D02",
    what: "dockerd killed -9 in the middle of a job, back at once, without live-restore: infrastructure, and the next job runs",
    alone: true,
    run: async (world) => await killEngine(world),
  },
  {
    id: "D03",
    what: "the same with live-restore: the job goes on",
    alone: true,
    run: async (world) => await killEngineLiveRestore(world),
  },
  {
    id: "D04",
    what: "dockerd stopped (SIGSTOP) for 60 s, longer than any call's deadline: the job goes on",
    alone: true,
    run: async (world) => await stopEngine(world, 60_000),
  },
  {
    id: "D05",
    what: "containerd killed -9 before a container starts, back after 3 s: the job runs",
    alone: true,
    run: async (world) => await killContainerd(world),
  },
  {
    id: "D06",
    what: "somebody else kills one container and removes another: infrastructure, told within 2 s",
    run: async (world) => await meddle(world),
  },
  {
    id: "D07",
    what: "the image is removed between the look at it and the container: pulled once more",
    run: async (world) => await removeImage(world),
  },
  {
    id: "D10",
    what: "a container is made and the answer lost: no second one runs, none is left",
    run: async (world) => await loseAnswers(world, createOfTask),
  },
  {
    id: "D10S",
    what: "a container is started and the answer lost: no second one runs, none is left",
    run: async (world) => await loseAnswers(world, /\/containers\/[^/]+\/start/),
  },
  {
    id: "D17",
    what: "no network can be made any more: jobs run all the same",
    alone: true,
    run: async (world) => await exhaustNetworks(world),
  },
  {
    id: "D18",
    what: "an engine that takes 1 s longer for every call: no deadline misfires",
    run: async (world) => await slowEngine(world),
  },
];

async function killEngine(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  const running = await world.start(ticking({ ticks: 600, everyMs: 100 }), {
    status: "infrastructure_fail",
    output: "prefix",
  });
  await world.untilOutput(running);
  await world.engine.killDaemon("dockerd");
  await world.engine.startDaemon("dockerd");
  await world.ended(running);
  await world.start(soon);
  return await world.finish();
}

async function killEngineLiveRestore(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  const running = await world.start(ticking({ ticks: 80, everyMs: 100 }));
  await world.untilOutput(running);
  await world.engine.killDaemon("dockerd");
  await world.engine.startDaemon("dockerd", ["--live-restore"]);
  return await world.finish();
}

async function stopEngine(world: World, forMs: number): Promise<string> {
  await world.begin();
  await world.startAgent();
  const running = await world.start(ticking({ ticks: 60, everyMs: 100 }));
  await world.untilOutput(running);
  const pid = await world.engine.pid("dockerd");
  process.kill(pid, "SIGSTOP");
  // One that has to start meanwhile.
  const waiting = await world.start(soon);
  await sleep(forMs);
  process.kill(pid, "SIGCONT");
  await world.ended(running);
  await world.ended(waiting);
  return await world.finish();
}

async function killContainerd(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  // An agent that cannot start anything at its own start ends: that is for whoever started it to see.
  await world.ended(await world.start(soon));
  await world.engine.killDaemon("containerd");
  await world.start(soon);
  await sleep(3_000);
  await world.engine.startDaemon("containerd");
  return await world.finish();
}

async function meddle(world: World): Promise<string> {
  await world.begin();
  const agent = await world.startAgent({ tasks: 2 });
  const lost = { status: "infrastructure_fail", output: "prefix" } as const;
  const waysOut = ["kill", "remove"] as const;
  const told: string[] = [];
  for (const way of waysOut) {
    const running = await world.start(ticking({ ticks: 600, everyMs: 100 }), lost);
    await world.untilOutput(running);
    const container = world.engine.docker.getContainer(await runningContainer(world, agent));
    const began = performance.now();
    await (way === "kill" ? container.kill() : container.remove({ force: true, v: true }));
    await world.ended(running, 2_000);
    told.push(`${way} told after ${Math.round(performance.now() - began)} ms`);
  }
  return `${await world.finish()}, ${told.join(", ")}`;
}

async function runningContainer(world: World, agent: Agent): Promise<string> {
  return await until("the container runs", 10_000, async () => {
    const containers = await world.engine.taskContainersOf(agent.name);
    return containers.find(({ State }) => State === "running")?.Id;
  });
}

async function removeImage(world: World): Promise<string> {
  await world.begin();
  const { docker } = world.engine;
  const name = "cofferdam/removed-at-the-wrong-moment:now";
  const saved = await imageOfItsOwn(docker, name);
  const proxy = await world.engineProxy();
  // By the time at which this one is made the image has been looked at.
  const create = proxy.add({
    match: createOfTask,
    times: 1,
    fault: { kind: "first", run: async () => void (await docker.getImage(name).remove({ force: true })) },
  });
  const pull = proxy.add({
    match: /\/images\/create/,
    fault: {
      kind: "answer",
      status: 200,
      first: async () => {
        const loaded = await docker.loadImage(Readable.from([saved]));
        await buffer(loaded);
      },
      body: '{"status":"Pulling from cofferdam"}\n{"status":"Status: Downloaded newer image"}\n',
    },
  });
  await world.startAgent({ engineSocket: proxy.socketPath });
  await world.start(ticking({ ticks: 3, everyMs: 10, image: name }));
  const evidence = await world.finish();
  await docker.getImage(name).remove({ force: true });
  if (create.hits !== 1 || pull.hits !== 1) throw new Error(`removed ${create.hits} times, pulled ${pull.hits} times`);
  return `${evidence}, pulled once`;
}

/** An image that nothing else has the layers of; answers it as an archive. */
async function imageOfItsOwn(docker: Docker, name: string): Promise<Buffer> {
  const container = await docker.createContainer({ Image: "busybox:latest", Cmd: ["true"] });
  const [repo, tag] = name.split(":");
  await container.commit({ repo, tag, comment: name });
  await container.remove();
  return await buffer(await docker.getImage(name).get());
}

async function loseAnswers(world: World, match: RegExp): Promise<string> {
  await world.begin();
  const proxy = await world.engineProxy();
  await world.startAgent({ engineSocket: proxy.socketPath });
  // What the agent makes for itself is made by then.
  await world.ended(await world.start(soon));
  const lost = proxy.add({ match, times: 1, fault: { kind: "lose-answer" } });
  await world.start(ticking({ ticks: 10, everyMs: 50 }), { attempts: [1, 2] });
  const evidence = await world.finish();
  if (lost.hits !== 1) throw new Error("no answer was lost");
  return evidence;
}

async function exhaustNetworks(world: World): Promise<string> {
  await world.begin();
  const { docker } = world.engine;
  const names: string[] = [];
  try {
    for (let count = 0; count < 200; count++) {
      const name = `cofferdam-exhaust-${count}`;
      await docker.createNetwork({ Name: name });
      names.push(name);
    }
    throw new Error("200 networks could be made: nothing is exhausted");
  } catch (error) {
    if (names.length === 200) throw error;
  }
  try {
    await world.startAgent();
    await world.start(soon);
    await world.start(ticking({ ticks: 3, everyMs: 10, image: "busybox:latest" }));
    return `${await world.finish()}, ${names.length} networks there`;
  } finally {
    for (const name of names) await docker.getNetwork(name).remove();
  }
}

async function slowEngine(world: World): Promise<string> {
  await world.begin();
  const proxy = await world.engineProxy();
  await world.startAgent({ engineSocket: proxy.socketPath });
  const slow = proxy.add({ match: /./, fault: { kind: "delay", ms: 1_000 } });
  for (let count = 0; count < 3; count++) await world.start(soon);
  const evidence = await world.finish();
  return `${evidence}, ${slow.hits} slow calls`;
}
