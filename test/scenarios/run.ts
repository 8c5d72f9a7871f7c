import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWorkingTree } from "../../src/cli/exec/working-tree.ts";
import type { ControlPlane } from "../../src/control-plane/control-plane.ts";
import { compileWith, openControlPlane } from "../../src/control-plane/index.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { pipelineOf } from "../fakes/pipelines.ts";
import { removeStoreOf, storeOf } from "../fakes/test-store.ts";
import { roomyRoute, startAgentOf } from "./agent.ts";
import type { Scenario } from "./scenario.ts";
import { Story } from "./story.ts";

export interface Stage {
  engine: Engine;
  taskAgentImage: string;
}

/** Plays a scenario through every process but the containers' engine, which the stage brings. Gives what was seen. */
export async function runScenario(scenario: Scenario, stage: Stage): Promise<Story> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "cofferdam-scenario-"));
  const controlPlane = await openControlPlane({
    dataDirectory,
    ...(await storeOf(dataDirectory)),
    clock: systemClock,
    route: () => roomyRoute,
    sources: { open: async ({ signal }) => openWorkingTree(join(import.meta.dirname, "tree"), signal) },
    compile: compileWith(),
    logLevel: "error",
  });
  try {
    const agent = await startAgentOf(controlPlane, { ...stage, socketPath: join(dataDirectory, "api.sock") });
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

async function watch(controlPlane: ControlPlane, { config, name, expected }: Scenario): Promise<Story> {
  const pipeline = await pipelineOf(config, {
    project: { slug: `gh/scenarios/${name}`, name },
    vcs: { branch: "main", revision: "0000000000000000000000000000000000000001" },
    trigger: { type: "api", actor: "scenario" },
    environment: { DEPLOY_KEY: "correct-horse-battery" },
    secretNames: ["DEPLOY_KEY"],
    contexts: { team: { TEAM_REGION: "north-pole" } },
    compile: { file: `${name}.yml`, pipelineValues: { "pipeline.git.branch": "main" } },
  });
  const { id } = await controlPlane.createPipeline(pipeline);
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

function nameOf(story: Story, jobId: string): string {
  return story.jobs.get(jobId)?.name ?? "";
}

function everythingSaid(story: Story): string {
  return [...story.jobs.values()].map((job) => job.output).join("");
}
