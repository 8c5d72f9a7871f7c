import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../child.ts";
import { createOfTask } from "../engine.ts";
import type { Fault } from "../fault.ts";
import { job, pouring, ticking } from "../jobs.ts";
import type { Running, World } from "../world.ts";

const soon = ticking({ ticks: 3, everyMs: 10 });
const long = ticking({ ticks: 600, everyMs: 100 });
const canceled = { status: "canceled", output: "prefix" } as const;
/** From the cancellation to the end of the task. */
const cancelMs = 5_000;

/** How agents and tasks are told to end. */
export const lifecycleFaults: readonly Fault[] = [
  { id: "K01", what: "SIGTERM with a job running: it ends, nothing new is claimed, exit 0", run: drain },
  { id: "K02", what: "a second SIGTERM: the job is cancelled and told within 15 s", run: stop },
  { id: "K03A", what: "cancelled while queued", run: cancelQueued },
  {
    id: "K03B",
    what: "cancelled while its container is made",
    run: async (world) => await cancelHeld(world, createOfTask),
  },
  { id: "K03C", what: "cancelled while its image is pulled", run: cancelPulling },
  { id: "K03D", what: "cancelled while it runs", run: cancelRunning },
  { id: "K03E", what: "cancelled while it uploads an artifact", run: cancelUploading },
  { id: "K04", what: "no output for too long, and deaf to SIGTERM: killed, what it wrote is kept", run: fallSilent },
  { id: "K05", what: "40 tasks through one agent, four at once, with a pool: nothing left", run: manyTasks },
  { id: "K11", what: "an agent is replaced while it runs a job: drained, and no job is lost", run: replace },
];

async function drain(world: World): Promise<string> {
  await world.begin();
  const agent = await world.startAgent({ tasks: 2 });
  const running = await world.start(ticking({ ticks: 30, everyMs: 100 }));
  await world.untilOutput(running);
  agent.signal("SIGTERM");
  // A task that is handed out while the agent hangs up is run by the next one, a lease later.
  await sleep(500);
  const late = await world.start(soon);
  const { code } = await agent.child.ends(30_000);
  if (code !== 0) throw new Error(`the agent ended with ${code}`);
  const events = await world.plane.call("events", { pipeline: late.pipeline });
  if (events.some((event) => event.type === "task" && event.status === "running"))
    throw new Error("a task was claimed after SIGTERM");
  await world.startAgent();
  return await world.finish();
}

async function stop(world: World): Promise<string> {
  await world.begin();
  const agent = await world.startAgent();
  const running = await world.start(long, canceled);
  await world.untilOutput(running);
  agent.signal("SIGTERM");
  // Two signals at the same moment are one.
  await sleep(300);
  agent.signal("SIGTERM");
  const { code } = await agent.child.ends(15_000);
  // As the table of its --help says of one that was interrupted.
  if (code !== 130) throw new Error(`the agent ended with ${code}`);
  return await world.finish();
}

async function cancel(world: World, running: Running): Promise<string> {
  await world.plane.call("cancel", { pipeline: running.pipeline });
  const began = performance.now();
  await world.ended(running, cancelMs);
  const tookMs = Math.round(performance.now() - began);
  return `${await world.finish()}, told after ${tookMs} ms`;
}

async function cancelQueued(world: World): Promise<string> {
  await world.begin();
  return await cancel(world, await world.start(long, { ...canceled, attempts: [0, 1] }));
}

/** While the engine takes its time over a call. */
async function cancelHeld(world: World, match: RegExp, image?: string): Promise<string> {
  await world.begin();
  const proxy = await world.engineProxy();
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  await world.startAgent({ engineSocket: proxy.socketPath });
  const rule = proxy.add({ match, fault: { kind: "first", run: async () => await held } });
  const running = await world.start(ticking({ ticks: 3, everyMs: 10, ...(image ? { image } : {}) }), canceled);
  await until("the engine is called", 30_000, () => (rule.hits > 0 ? true : undefined));
  await world.plane.call("cancel", { pipeline: running.pipeline });
  const began = performance.now();
  await world.ended(running, cancelMs);
  const tookMs = Math.round(performance.now() - began);
  rule.remove();
  letGo();
  return `${await world.finish()}, told after ${tookMs} ms`;
}

async function cancelPulling(world: World): Promise<string> {
  return await cancelHeld(world, /\/images\/create/, "cofferdam/is-nowhere:1");
}

async function cancelRunning(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  const running = await world.start(long, canceled);
  await world.untilOutput(running);
  return await cancel(world, running);
}

async function cancelUploading(world: World): Promise<string> {
  await world.begin();
  const upload = world.proxy.add({ match: /^PUT .*\/artifacts/, fault: { kind: "black-hole" } });
  await world.startAgent();
  const command = "head -c 100000 /dev/zero >large; echo written";
  const after = ["- store_artifacts: {path: large}"];
  const running = await world.start(job({ command, output: "written\n", after }), canceled);
  await until("the upload has begun", 30_000, () => (upload.hits > 0 ? true : undefined));
  return await cancel(world, running);
}

async function fallSilent(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  const command = "trap '' TERM; echo the last word; while true; do sleep 0.2; done";
  const silent = job({ command, output: "the last word\n", step: ["no_output_timeout: 1s"] });
  const running = await world.start(silent, { status: "failed", output: "prefix" });
  await world.ended(running, 30_000);
  return await world.finish();
}

async function manyTasks(world: World): Promise<string> {
  await world.begin();
  const agent = await world.startAgent({ tasks: 4, pool: 2 });
  for (let count = 0; count < 40; count++) await world.start(pouring({ lines: 500 + count }));
  const evidence = await world.finish();
  const hits = agent.child.said.split("task claimed").length - 1;
  return `${evidence}, ${hits} claims`;
}

async function replace(world: World): Promise<string> {
  await world.begin();
  const old = await world.startAgent({ tasks: 1 });
  const running = await world.start(ticking({ ticks: 40, everyMs: 100 }));
  await world.untilOutput(running);
  for (let count = 0; count < 3; count++) await world.start(soon);
  await world.startAgent({ tasks: 1 });
  old.signal("SIGTERM");
  const { code } = await old.child.ends(30_000);
  if (code !== 0) throw new Error(`the old agent ended with ${code}`);
  return await world.finish();
}
