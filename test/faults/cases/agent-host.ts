import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Fault } from "../fault.ts";
import { gushing, ticking } from "../jobs.ts";
import type { Agent, World } from "../world.ts";

const run = promisify(execFile);
const soon = ticking({ ticks: 3, everyMs: 10 });
const diskBytes = 256 * 1024;
/** How long it has no descriptors. Longer than the pauses between its tries. */
const withoutMs = 8_000;

/** The host has nothing left for the agent itself. */
export const agentHostFaults: readonly Fault[] = [
  {
    id: "D16",
    what: "no space where the agent's log and temporary files are: its jobs go on, and it does",
    run: async (world) => await fillAgentsDisk(world),
  },
  {
    id: "D16F",
    what: "no file descriptor left for the agent (EMFILE) for 8 s: what runs goes on, what comes is run once, and it does not end",
    run: async (world) => await takeDescriptors(world),
  },
];

async function fillAgentsDisk(world: World): Promise<string> {
  await world.begin();
  const disk = join(world.directory, "agent");
  await mkdir(disk);
  await run("mount", ["-t", "tmpfs", "-o", `size=${diskBytes}`, "tmpfs", disk]);
  world.own({ [Symbol.asyncDispose]: async () => void (await run("umount", ["-l", disk])) });
  const logFile = join(disk, "agent.log");
  const agent = await world.startAgent({ logFile, env: { TMPDIR: disk } });
  const running = await world.start(gushing({ bursts: 20, lines: 2_000, everyMs: 200 }));
  await world.untilOutput(running);
  await run("dd", ["if=/dev/zero", `of=${join(disk, "filler")}`, "bs=1k"]).catch(() => undefined);
  const problem = await writeFile(join(disk, "more"), Buffer.alloc(8192)).catch(
    ({ code }: NodeJS.ErrnoException) => code,
  );
  if (problem !== "ENOSPC") throw new Error("the agent's disk is not full");
  const before = await readFile(logFile, "utf8");
  await world.ended(await world.start(soon));
  await world.ended(running);
  await Promise.all(["filler", "more"].map(async (name) => await rm(join(disk, name), { force: true })));
  await world.ended(await world.start(soon));
  const after = await readFile(logFile, "utf8");
  if (after.length <= before.length) throw new Error("it writes no log any more");
  return `${await onceOnly(world, agent)}, its log goes on`;
}

async function takeDescriptors(world: World): Promise<string> {
  await world.begin();
  const agent = await world.startAgent();
  const running = await world.start(ticking({ ticks: 150, everyMs: 100 }));
  await world.untilOutput(running);
  const { pid = 0 } = agent.child.process;
  const has = (await readdir(`/proc/${pid}/fd`)).length;
  // Of those that it has open it may keep all; the soft limit is for new ones.
  await run("prlimit", ["--pid", String(pid), `--nofile=${Math.max(1, has - 4)}:`]);
  await world.start(soon, { attempts: [1, 2, 3] });
  await sleep(withoutMs);
  await run("prlimit", ["--pid", String(pid), "--nofile=1024:"]);
  await world.ended(running);
  const evidence = await onceOnly(world, agent);
  const complaints = agent.child.said.match(/EMFILE|too many open files/gi)?.length ?? 0;
  return `${evidence}, EMFILE ${complaints} times in its log`;
}

/** It did not end, and so was not started again. */
async function onceOnly(world: World, agent: Agent): Promise<string> {
  if (agent.child.ended) throw new Error(`the agent ended: ${agent.child.said.slice(-1_000)}`);
  return await world.finish();
}
