import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWorkingTree } from "../../../src/cli/exec/working-tree.ts";
import type { ControlPlane, NewPipeline, Route, SourceProvider } from "../../../src/control-plane/control-plane.ts";
import { openControlPlane } from "../../../src/control-plane/index.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import type { WatchEvent } from "../../../src/protocol/watch.ts";
import { engineUnderTest } from "../../docker/engine-under-test.ts";
import { pipelineOf } from "../../fakes/pipelines.ts";
import { roomyRoute, startAgentOf } from "../../scenarios/agent.ts";
import { Story } from "../../scenarios/story.ts";

/** On whatever machine. Less than a test's own limit, which says nothing of what there was. */
const hangMs = 150_000;

const defaults = { ...roomyRoute, limits: { ...roomyRoute.limits, cpus: 2 } };

export interface Circumstances {
  route?: Partial<Omit<Route, "limits">> & { limits?: Partial<Route["limits"]> };
  /** Directory that is checked out. */
  tree?: string;
  sources?: SourceProvider;
  vcs?: NewPipeline["vcs"];
  /** Called with every event. What it returns is waited for. */
  onEvent?: (event: WatchEvent, scene: Scene) => Promise<void> | void;
  /** Called at the end, while the control plane is still there. */
  atEnd?: (scene: Scene) => Promise<void>;
}

export interface Scene {
  pipelineId: string;
  controlPlane: ControlPlane;
  story: Story;
  events: WatchEvent[];
}

/**
 * Runs a config with a control plane and a launch agent in this process, on the real engine, under limits that the command line
 * cannot set.
 */
export async function play(config: string, circumstances: Circumstances = {}): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-stage-"));
  const { route = {}, tree, sources } = circumstances;
  const limits = { ...defaults.limits, ...route.limits };
  const controlPlane = await openControlPlane({
    dataDirectory: join(directory, "data"),
    clock: systemClock,
    route: () => ({ ...defaults, ...route, limits }),
    sources: sources ?? { open: async ({ signal }) => openWorkingTree(tree ?? directory, signal) },
    logLevel: "error",
  });
  try {
    const agent = await startAgentOf(controlPlane, {
      socketPath: join(directory, "api.sock"),
      engine: await engineUnderTest(),
      taskAgentImage: "cofferdam/task-agent:dev",
      capacity: { tasks: 4, memoryBytes: 16 * 1024 ** 3, cpus: 16 },
    });
    try {
      return await watch(controlPlane, config, circumstances);
    } finally {
      await agent.stop("the play is over");
    }
  } finally {
    await controlPlane.close({ graceMs: 0 });
    await rm(directory, { recursive: true, force: true });
  }
}

async function watch(controlPlane: ControlPlane, config: string, circumstances: Circumstances): Promise<Scene> {
  const pipeline = await pipelineOf(config, {
    vcs: circumstances.vcs ?? { branch: "main" },
    compile: { file: "config.yml" },
  });
  const { id } = await controlPlane.createPipeline(pipeline);
  const scene: Scene = { pipelineId: id, controlPlane, story: new Story(), events: [] };
  const late = new AbortController();
  const tooLong = setTimeout(() => late.abort(new Error(`It did not end. So far: ${told(scene.story)}`)), hangMs);
  try {
    for await (const event of controlPlane.watch(id, { signal: late.signal, output: true })) {
      scene.story.take(event);
      scene.events.push(event);
      await circumstances.onEvent?.(event, scene);
    }
  } finally {
    clearTimeout(tooLong);
  }
  await circumstances.atEnd?.(scene);
  return scene;
}

function told(story: Story): string {
  const jobs = [...story.jobs.values()];
  return JSON.stringify(jobs.map(({ name, status, messages, output }) => ({ name, status, messages, output })));
}

/** How the steps of a job ended, by name; not those of the launch agent. */
export function stepsOf(story: Story, job: string): Record<string, string> {
  const steps = [...(story.job(job)?.steps ?? [])].filter(([number]) => number >= 100);
  return Object.fromEntries(steps.map(([, { name, outcome }]) => [name, outcome]));
}

/** A config of one job with these steps. */
export function oneJob(executor: string, steps: string[]): string {
  const lines = steps.map((step) => `      - ${step}`).join("\n");
  return `version: 2.1\njobs:\n  build:\n    ${executor}\n    steps:\n${lines}\nworkflows: {w: {jobs: [build]}}\n`;
}
