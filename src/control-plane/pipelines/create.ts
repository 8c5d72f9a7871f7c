import { newToken } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import type { NewPipeline } from "../control-plane.ts";
import { nextNumbers } from "../store/counters.ts";
import { appendEvents } from "../store/events.ts";
import { insertPipeline } from "../store/pipelines.ts";
import type { NewRow } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { applyEvent } from "./apply.ts";
import { continuationVariable, rememberForContinuation } from "./continuation.ts";
import { draftWorkflows } from "./draft.ts";
import { type PlannedWorkflow, planWorkflows, referenceOf } from "./plan.ts";
import { rememberSchedules } from "./remember-schedules.ts";

/** Writes a pipeline down and lets its first jobs begin. Throws ControlPlaneError when `only` names what is not there. */
export async function createPipeline(context: Context, wanted: NewPipeline): Promise<{ id: string; number: number }> {
  return await context.store.transaction(async (unit) => {
    const pipeline = await planAndWritePipeline(context, unit, wanted);
    if (context.schedules) await rememberSchedules(context, unit, wanted);
    return pipeline;
  });
}

/** In the caller's transaction. Throws as `createPipeline` does. */
export async function planAndWritePipeline(
  context: Context,
  unit: Unit,
  wanted: NewPipeline,
): Promise<{ id: string; number: number }> {
  const workflows = planOf(context, wanted);
  const key = wanted.config.setup ? newToken() : undefined;
  const pipeline = {
    id: wanted.id ?? context.newId(),
    number: wanted.number ?? (await nextNumbers(unit.db, "pipeline")),
  };
  const withKey = key ? withVariable(wanted, continuationVariable, key.token.reveal()) : wanted;
  const draft = await draftWorkflows(context, unit, { wanted: withKey, workflows, pipeline });
  const atMs = context.clock.now();
  const row = {
    ...pipelineRow({ ...pipeline, atMs, wanted }),
    ...(key ? rememberForContinuation(wanted, key.hash) : {}),
  };
  await insertPipeline(unit.db, { pipeline: row, ...draft.rows });
  await appendEvents(unit, pipeline.id, [{ told: { type: "pipeline", ...pipeline, atMs, workflows: draft.told } }]);
  await applyEvent(context, unit, pipeline.id, { type: "start" });
  return pipeline;
}

function planOf({ schedules }: Context, { config, vcs, only }: NewPipeline): PlannedWorkflow[] {
  return planWorkflows(config, {
    reference: referenceOf(vcs),
    schedules,
    // What is asked for is in the config that a setup config goes on with.
    ...(only === undefined || config.setup ? {} : { only }),
  });
}

function withVariable(wanted: NewPipeline, name: string, value: string): NewPipeline {
  return {
    ...wanted,
    environment: { ...wanted.environment, [name]: value },
    secretNames: [...wanted.secretNames, name],
  };
}

function pipelineRow(of: { id: string; number: number; atMs: number; wanted: NewPipeline }): NewRow<"pipeline"> {
  const { wanted } = of;
  return {
    id: of.id,
    number: of.number,
    project: wanted.project.slug,
    project_name: wanted.project.name,
    source: wanted.source,
    config_json: JSON.stringify(wanted.config),
    vcs_json: JSON.stringify(wanted.vcs),
    trigger_json: JSON.stringify(wanted.trigger),
    event_seq: 0,
    cancel_reason: null,
    created_ms: of.atMs,
    ended_ms: null,
    continuation_hash: null,
    continuation_json: null,
    continued_ms: null,
  };
}
