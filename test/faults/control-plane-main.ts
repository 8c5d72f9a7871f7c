import { setTimeout as sleep } from "node:timers/promises";
import { openControlPlane, type Route } from "../../src/control-plane/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { ClassSettings } from "../../src/protocol/resource-class.ts";
import type { WatchEvent } from "../../src/protocol/watch.ts";
import { pipelineOf } from "../fakes/pipelines.ts";
import type { Calls, PlaneSettings, Seen } from "./control-plane-process.ts";

/** The control plane as a process that can be killed, told over its channel what a person would ask of it. */
const settings = JSON.parse(process.argv[2] ?? "") as PlaneSettings;
let aheadMs = 0;
const controlPlane = await openControlPlane({
  dataDirectory: settings.directory,
  clock: { ...systemClock, now: () => systemClock.now() + aheadMs },
  route: (resourceClass): Route | undefined => {
    if (resourceClass === undefined) return undefined;
    return { queue: resourceClass, ...ClassSettings.parse(settings.classSettings) };
  },
  sources: { open: () => Promise.reject(new Error("there are no sources here")) },
  logLevel: "info",
  ...(settings.leaseMs === undefined ? {} : { leaseMs: settings.leaseMs }),
  ...(settings.tls ? { tls: settings.tls } : {}),
});
process.on("SIGHUP", () => controlPlane.reloadCertificate());
const { url } = await controlPlane.listen({ host: "127.0.0.1", port: settings.port });
const stories = new Map<string, WatchEvent[]>();

const calls: Calls = {
  prepare: async ({ resourceClass }) => {
    await controlPlane.putResourceClass({ name: resourceClass });
    return (await controlPlane.createToken(resourceClass, "faults")).reveal();
  },
  start: async ({ config, secret }) => {
    const secrets = { environment: { JOB_SECRET: secret }, secretNames: ["JOB_SECRET"] };
    const { id } = await controlPlane.createPipeline(await pipelineOf(config, { vcs: {}, ...secrets }));
    return id;
  },
  cancel: async ({ pipeline }) => await controlPlane.cancelPipeline(pipeline, "the test cancels it"),
  setClock: async ({ byMs }) => {
    aheadMs += byMs;
    await Promise.resolve();
  },
  events: async ({ pipeline }) => {
    if (!stories.has(pipeline)) void follow(pipeline);
    await Promise.resolve();
    return (stories.get(pipeline) ?? []).map(shortened);
  },
};

async function follow(pipeline: string): Promise<void> {
  const story: WatchEvent[] = [];
  stories.set(pipeline, story);
  const { signal } = new AbortController();
  for await (const event of controlPlane.watch(pipeline, { signal, output: true })) story.push(event);
}

/** Output without its bytes: how many there are is all that is asked for while it comes. */
function shortened(event: WatchEvent): Seen {
  if (event.type !== "output") return event;
  const { data, ...rest } = event;
  return { ...rest, bytes: Buffer.byteLength(data, "base64") };
}

process.on("message", (message: { id: number; call: keyof Calls; argument: never }) => {
  const answer = (facts: object): void => void process.send?.({ id: message.id, ...facts });
  calls[message.call](message.argument).then(
    (result) => answer({ result }),
    (error: unknown) => answer({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
process.once("SIGTERM", () => {
  void controlPlane.close({ graceMs: 500 }).then(async () => {
    // What is logged last goes out first.
    await sleep(10);
    process.exit(0);
  });
});
process.stderr.write(`control plane listens on ${url}\n`);
