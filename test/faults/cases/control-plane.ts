import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { until } from "../child.ts";
import type { Fault } from "../fault.ts";
import { gushing, ticking } from "../jobs.ts";
import type { World } from "../world.ts";

const hourMs = 3_600_000;
const soon = ticking({ ticks: 3, everyMs: 10 });
const run = promisify(execFile);
const mebibyte = 1024 ** 2;

/** The control plane dies, and comes back. */
export const controlPlaneFaults: readonly Fault[] = [
  {
    id: "F01",
    what: "control plane killed -9 in the middle of a job, back after 1 s",
    run: async (world) => await killAndReturn(world, { ticks: 30, awayMs: 1_000 }),
  },
  {
    id: "F01L",
    what: "control plane killed -9, back after more than a lease of 30 s",
    run: async (world) => await killAndReturn(world, { ticks: 50, awayMs: 32_000 }),
  },
  {
    id: "F12",
    what: "the control plane's disk is full for a while: nothing acknowledged is lost",
    run: async (world) => await fillDisk(world),
  },
  {
    id: "F13",
    what: "control plane killed -9 six times at random moments under load",
    run: async (world) => await killAgainAndAgain(world, 6),
  },
  {
    id: "F15",
    what: "the control plane's clock is set an hour ahead, and two back: no lease runs out",
    run: async (world) => await setClock(world),
  },
  {
    id: "F15S",
    what: "the control plane is stopped (SIGSTOP) for longer than a lease: no lease runs out",
    run: async (world) => await pause(world, { leaseMs: 15_000, forMs: 20_000 }),
  },
];

async function killAndReturn(world: World, options: { ticks: number; awayMs: number }): Promise<string> {
  await world.begin();
  await world.startAgent();
  const running = await world.start(ticking({ ticks: options.ticks, everyMs: 100 }));
  await world.untilOutput(running);
  await world.plane.kill();
  await sleep(options.awayMs);
  await world.plane.start();
  return await world.finish();
}

async function killAgainAndAgain(world: World, times: number): Promise<string> {
  await world.begin();
  await world.startAgent({ tasks: 3 });
  const jobs = Array.from({ length: 3 }, () => gushing({ bursts: 40, lines: 2_000, everyMs: 200 }));
  const running = await Promise.all(jobs.map((job) => world.start(job)));
  for (const one of running) await world.untilOutput(one);
  for (let count = 0; count < times; count++) {
    await sleep(200 + world.random() * 1_500);
    await world.plane.kill();
    await sleep(world.random() * 500);
    await world.plane.start();
  }
  return await world.finish();
}

async function fillDisk(world: World): Promise<string> {
  await world.begin({ dataBytes: 48 * mebibyte });
  await world.startAgent();
  const running = await world.start(gushing({ bursts: 30, lines: 2_000, everyMs: 100 }));
  await world.untilOutput(running);
  const filler = join(world.directory, "data", "filler");
  await run("dd", ["if=/dev/zero", `of=${filler}`, "bs=1M"]).catch(() => undefined);
  // The last bytes that a megabyte is too large for.
  await writeFile(join(world.directory, "data", "filler-2"), Buffer.alloc(mebibyte)).catch(() => undefined);
  const refused = (): number => world.proxy.calls.filter(({ status = 0 }) => status >= 500).length;
  await until("five calls are refused", 30_000, () => (refused() >= 5 ? true : undefined));
  await Promise.all([rm(filler), rm(join(world.directory, "data", "filler-2"), { force: true })]);
  const evidence = await world.finish();
  return `${evidence}, ${refused()} calls refused`;
}

async function setClock(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  const running = await world.start(ticking({ ticks: 180, everyMs: 100 }));
  await world.untilOutput(running);
  for (const byMs of [hourMs, -2 * hourMs]) {
    await world.plane.call("setClock", { byMs });
    // Leases are looked at every two seconds.
    await sleep(6_000);
    await world.start(soon);
  }
  return await world.finish();
}

async function pause(world: World, { leaseMs, forMs }: { leaseMs: number; forMs: number }): Promise<string> {
  await world.begin({ leaseMs });
  await world.startAgent();
  const running = await world.start(ticking({ ticks: 300, everyMs: 100 }));
  await world.untilOutput(running);
  world.plane.signal("SIGSTOP");
  await sleep(forMs);
  world.plane.signal("SIGCONT");
  return await world.finish();
}
