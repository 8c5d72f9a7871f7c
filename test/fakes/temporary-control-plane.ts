import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CompiledConfig, CompiledInvocation, CompiledJob } from "../../src/config/compiled.ts";
import {
  type ControlPlane,
  type ControlPlaneOptions,
  type ListenAddress,
  type NewPipeline,
  openControlPlane,
  type Route,
} from "../../src/control-plane/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { ClassSettings } from "../../src/protocol/resource-class.ts";
import type { WatchEvent } from "../../src/protocol/watch.ts";
import { FakeAgent } from "./fake-agent.ts";
import { newPipeline } from "./pipelines.ts";
import { noNetwork } from "./tasks.ts";
import { removeStoreOf, storeOf } from "./test-store.ts";

export const testClass = "test/class";

export const testRoute: Route = {
  queue: testClass,
  ...ClassSettings.parse({}),
  limits: {
    memoryBytes: 256 * 1024 * 1024,
    cpus: 1,
    pids: 100,
    openFiles: 1024,
    workspaceBytes: 1024 * 1024,
    workspaceMedium: "disk",
    outputBytes: 1024 * 1024,
  },
  network: noNetwork,
  maxRunTimeMs: 60_000,
};

/** A control plane in a folder of its own, served on a unix socket, with a class, a token and an agent. */
export interface TemporaryControlPlane extends AsyncDisposable {
  controlPlane: ControlPlane;
  directory: string;
  address: ListenAddress;
  agent: FakeAgent;
  token: string;
  start(config: CompiledConfig, more?: Partial<NewPipeline>): Promise<{ id: string; number: number }>;
}

export async function temporaryControlPlane({
  onSqlite = false,
  ...options
}: Partial<ControlPlaneOptions> & { onSqlite?: boolean } = {}): Promise<TemporaryControlPlane> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-control-plane-"));
  const dataDirectory = options.dataDirectory ?? join(directory, "data");
  const controlPlane = await openControlPlane({
    dataDirectory,
    ...(onSqlite ? {} : await storeOf(dataDirectory)),
    clock: systemClock,
    route: () => testRoute,
    sources: { open: () => Promise.reject(new Error("no sources in this test")) },
    logLevel: "silent",
    ...options,
  });
  const address = await controlPlane.listen({ socketPath: join(directory, "socket") });
  await controlPlane.putResourceClass({ name: testClass });
  const token = (await controlPlane.createToken(testClass, "test")).reveal();
  const agent = new FakeAgent(address);
  return {
    controlPlane,
    directory,
    address,
    agent,
    token,
    start: (config, more = {}) => controlPlane.createPipeline({ ...newPipeline(config), ...more }),
    [Symbol.asyncDispose]: async () => {
      await agent[Symbol.asyncDispose]();
      await controlPlane.close({ graceMs: 0 });
      // Of another one's directory, the store is that one's, too.
      if (options.dataDirectory === undefined) await removeStoreOf(dataDirectory);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A workflow `w` of jobs with one step each. */
export function configOf(jobs: CompiledInvocation[], more: Partial<CompiledJob> = {}): CompiledConfig {
  const names = jobs.map((job) => (typeof job === "string" ? job : (Object.keys(job)[0] ?? "")));
  const body: CompiledJob = { machine: true, steps: [{ run: "true" }], ...more };
  return { jobs: Object.fromEntries(names.map((name) => [name, body])), workflows: { w: { jobs } } };
}

/** The whole story of a pipeline, once it has ended. */
export async function storyOf(controlPlane: ControlPlane, id: string, output = true): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  const signal = AbortSignal.timeout(20_000);
  for await (const event of controlPlane.watch(id, { signal, output })) events.push(event);
  return events;
}

/** How each job ended, by name. */
export function jobEnds(story: readonly WatchEvent[]): Record<string, string> {
  const [first] = story;
  if (first?.type !== "pipeline") throw new Error("the story does not begin with the pipeline");
  const names = new Map(first.workflows.flatMap(({ jobs }) => jobs.map(({ id, name }) => [id, name])));
  const ends: Record<string, string> = {};
  for (const event of story) if (event.type === "job") ends[names.get(event.id) ?? ""] = event.status;
  return ends;
}
