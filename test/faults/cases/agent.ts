import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.ts";
import { gushing, ticking } from "../jobs.ts";
import type { World } from "../world.ts";

/** Nobody is to lose a task because a machine is busy. */
const patientLeaseMs = 120_000;
const soon = ticking({ ticks: 3, everyMs: 10 });

/** The launch agent dies, alone or with everything else. */
export const agentFaults: readonly Fault[] = [
  {
    id: "D12",
    what: "launch agent killed -9 in the middle of a job, back under its name: adopts it, nothing of the output is missing",
    run: async (world) => await killAgent(world, { times: 1, pool: 0 }),
  },
  {
    id: "D12P",
    what: "the same three times, with containers that wait in a pool",
    run: async (world) => await killAgent(world, { times: 3, pool: 1 }),
  },
  {
    id: "D12O",
    what: "launch agent killed -9 at a random moment of a start: one end for each job, nothing left",
    run: async (world) => await killWhileStarting(world, 4),
  },
  {
    id: "D13",
    what: "everything killed -9 at once, containers too, and started again: the job ends as infrastructure_fail, the next one runs",
    alone: true,
    run: async (world) => await reboot(world),
  },
  {
    id: "D14",
    what: "two agents on one engine, one killed -9 and started again: neither touches what is the other's",
    run: async (world) => await twoAgents(world),
  },
  {
    id: "T06",
    what: "two live agents of one name: noticed, and no task runs twice",
    run: async (world) => await cloneAgent(world),
  },
];

async function killAgent(world: World, options: { times: number; pool: number }): Promise<string> {
  await world.begin({ leaseMs: patientLeaseMs });
  const agent = await world.startAgent({ pool: options.pool, tasks: 2 });
  if (options.pool > 0) await world.ended(await world.start(soon));
  const running = [
    await world.start(ticking({ ticks: 100 * options.times, everyMs: 100 })),
    await world.start(gushing({ bursts: 50 * options.times, lines: 2_000, everyMs: 200 })),
  ];
  for (const job of running) await world.untilOutput(job);
  for (let count = 0; count < options.times; count++) {
    await agent.kill();
    await agent.start();
    await agent.child.says(/adopted/);
  }
  return await world.finish();
}

async function killWhileStarting(world: World, times: number): Promise<string> {
  await world.begin({ leaseMs: 3_000 });
  const agent = await world.startAgent();
  for (let count = 0; count < times; count++) {
    await world.start(soon, { attempts: [1, 2, 3] });
    await sleep(world.random() * 600);
    await agent.kill();
    await agent.start();
  }
  return await world.finish();
}

async function reboot(world: World): Promise<string> {
  await world.begin();
  const agent = await world.startAgent();
  const running = await world.start(ticking({ ticks: 600, everyMs: 100 }), {
    status: "infrastructure_fail",
    output: "prefix",
  });
  await world.untilOutput(running);
  await Promise.all([world.plane.kill(), agent.kill()]);
  await Promise.all([world.engine.killDaemon("dockerd"), world.engine.killDaemon("containerd")]);
  await killContainers(world);
  await world.engine.startDaemon("containerd");
  await world.engine.startDaemon("dockerd");
  await world.plane.start();
  await agent.start();
  await world.ended(running, 60_000);
  await world.start(soon);
  return await world.finish();
}

/** What a machine that loses its power does to them. */
async function killContainers(world: World): Promise<void> {
  const socket = world.engine.socketPath.replace(/docker\.sock$/, "containerd.sock");
  const commands = await processes();
  const shims = commands.filter(({ command }) => command.includes("containerd-shim") && command.includes(socket));
  const family = new Set(shims.map(({ pid }) => pid));
  // Parents come before their children only by chance: once more until nobody joins.
  for (let size = 0; size < family.size; ) {
    size = family.size;
    for (const { pid, parent } of commands) if (family.has(parent)) family.add(pid);
  }
  for (const pid of family) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Gone with its parent.
    }
  }
}

async function processes(): Promise<{ pid: number; parent: number; command: string }[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = pids.map(async (pid) => {
    const [stat, command] = await Promise.all(
      ["stat", "cmdline"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")),
    );
    const parent = Number(/\) \S (\d+)/.exec(stat ?? "")?.[1] ?? 0);
    return { pid: Number(pid), parent, command: command ?? "" };
  });
  return await Promise.all(found);
}

async function twoAgents(world: World): Promise<string> {
  await world.begin({ leaseMs: patientLeaseMs });
  const first = await world.startAgent({ tasks: 1, pool: 1 });
  await world.untilOutput(await world.start(ticking({ ticks: 150, everyMs: 100 })));
  const second = await world.startAgent({ tasks: 1, pool: 1 });
  const two = await world.start(ticking({ ticks: 100, everyMs: 100 }));
  await world.untilOutput(two);
  const before = await world.engine.taskContainersOf(first.name);
  await first.kill();
  // It looks for orphans when it starts, and they are not its own.
  await second.kill();
  await second.start();
  await second.child.says(/adopted/);
  await world.ended(two);
  const after = (await world.engine.taskContainersOf(first.name)).map(({ Id }) => Id);
  const touched = before.filter(({ Id, State }) => State === "running" && !after.includes(Id));
  if (touched.length > 0) throw new Error(`${touched.length} containers of the other agent are gone`);
  await first.start();
  await first.child.says(/adopted/);
  return await world.finish();
}

async function cloneAgent(world: World): Promise<string> {
  await world.begin();
  const first = await world.startAgent({ tasks: 1 });
  const running = await world.start(ticking({ ticks: 60, everyMs: 100 }));
  await world.untilOutput(running);
  const clone = await world.startAgent({ tasks: 1, name: first.name });
  await world.ended(running);
  await world.start(soon);
  const evidence = await world.finish();
  const told = [first, clone].filter(({ child }) => /another|same name|session/i.test(child.said)).length;
  if (told === 0) throw new Error("nobody was told of it");
  return `${evidence}, told by ${told}`;
}
