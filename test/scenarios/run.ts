import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWorkingTree } from "../../src/cli/exec/working-tree.ts";
import { compileConfig, renderDiagnostics } from "../../src/config/index.ts";
import type { ControlPlane, Route } from "../../src/control-plane/control-plane.ts";
import { compileWith, openControlPlane } from "../../src/control-plane/index.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { type LaunchAgent, startLaunchAgent } from "../../src/launch-agent/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { ClassSettings } from "../../src/protocol/resource-class.ts";
import { noNetwork } from "../fakes/tasks.ts";
import { removeStoreOf, storeOf } from "../fakes/test-store.ts";
import type { Scenario } from "./scenario.ts";
import { Story } from "./story.ts";

export interface Stage {
  engine: Engine;
  taskAgentImage: string;
}

const queue = "scenarios/class";
const mebibyte = 1024 ** 2;
const route: Route = {
  queue,
  ...ClassSettings.parse({}),
  limits: {
    memoryBytes: 512 * mebibyte,
    cpus: 1,
    pids: 500,
    openFiles: 4096,
    workspaceBytes: 512 * mebibyte,
    workspaceMedium: "disk",
    outputBytes: 64 * mebibyte,
  },
  network: noNetwork,
  maxRunTimeMs: 60_000,
};

/** Plays a scenario through every process but the containers' engine, which the stage brings. Gives what was seen. */
export async function runScenario(scenario: Scenario, stage: Stage): Promise<Story> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "cofferdam-scenario-"));
  const controlPlane = await openControlPlane({
    dataDirectory,
    ...(await storeOf(dataDirectory)),
    clock: systemClock,
    route: () => route,
    sources: { open: async ({ signal }) => openWorkingTree(join(import.meta.dirname, "tree"), signal) },
    compile: compileWith(),
    logLevel: "error",
  });
  try {
    const agent = await startAgent(controlPlane, stage, join(dataDirectory, "api.sock"));
    try {
      return await watch(controlPlane, scenario);
    } finally {
      await agent.stop("the scenario is over");
    }
  } finally {
    await controlPlane.close({ graceMs: 0 });
    await removeStoreOf(dataDirectory);
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

async function startAgent(controlPlane: ControlPlane, stage: Stage, socketPath: string): Promise<LaunchAgent> {
  const { url } = await controlPlane.listen({ socketPath });
  await controlPlane.putResourceClass({ name: queue });
  const token = await controlPlane.createToken(queue, "scenarios");
  return startLaunchAgent({
    api: { baseUrl: url, socketPath, token },
    engine: stage.engine,
    name: `scenario-${randomUUID().slice(0, 8)}`,
    hostname: "scenario",
    version: "test",
    capacity: { tasks: 4, memoryBytes: 4096 * mebibyte, cpus: 8 },
    taskAgentImage: stage.taskAgentImage,
    clock: systemClock,
    newId: randomUUID,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  });
}

async function watch(controlPlane: ControlPlane, { config, name, expected }: Scenario): Promise<Story> {
  const { id } = await controlPlane.createPipeline({
    project: { slug: `gh/scenarios/${name}`, name },
    config: await compile(config, name),
    source: config,
    vcs: { branch: "main", revision: "0000000000000000000000000000000000000001" },
    trigger: { type: "api", actor: "scenario" },
    environment: { DEPLOY_KEY: "correct-horse-battery" },
    secretNames: ["DEPLOY_KEY"],
    contexts: { team: { TEAM_REGION: "north-pole" } },
  });
  const story = new Story();
  const over = new AbortController();
  let cancelled = false;
  for await (const event of controlPlane.watch(id, { signal: over.signal, output: true })) {
    story.take(event);
    if (event.type === "job" && event.status === "on_hold" && expected.approve.includes(nameOf(story, event.id))) {
      await controlPlane.approve(event.id, "alice");
    }
    if (
      !cancelled &&
      expected.cancelOnOutput !== undefined &&
      everythingSaid(story).includes(expected.cancelOnOutput)
    ) {
      cancelled = true;
      await controlPlane.cancelPipeline(id, "a person changed their mind");
    }
    if (expected.endsOnHold !== undefined && story.stands && story.job(expected.endsOnHold)?.status === "on_hold")
      break;
  }
  return story;
}

async function compile(config: string, name: string) {
  const { compiled, diagnostics, texts } = await compileConfig(config, {
    file: `${name}.yml`,
    pipelineValues: { "pipeline.git.branch": "main" },
  });
  if (compiled) return compiled;
  throw new Error(renderDiagnostics(diagnostics, texts));
}

function nameOf(story: Story, jobId: string): string {
  return story.jobs.get(jobId)?.name ?? "";
}

function everythingSaid(story: Story): string {
  return [...story.jobs.values()].map((job) => job.output).join("");
}
