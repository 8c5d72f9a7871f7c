import { hashToken } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import type { NewPipeline } from "../control-plane.ts";
import { ControlPlaneError } from "../errors.ts";
import { allOrbs } from "../orbs/source.ts";
import { expectHolder } from "../queue/holder.ts";
import { appendEvents } from "../store/events.ts";
import {
  findPipeline,
  insertPipelineParts,
  pipelineOfContinuation,
  setContinued,
  takenPlaces,
} from "../store/pipelines.ts";
import type { Row } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { topics } from "../topics.ts";
import { applyEvent } from "./apply.ts";
import { draftWorkflows } from "./draft.ts";
import { planWorkflows, referenceOf } from "./plan.ts";

/** What a setup workflow goes on with. */
export interface Continuation {
  configuration: string;
  parameters: Record<string, unknown>;
  request?: string | undefined;
}

export const continuationVariable = "CIRCLE_CONTINUATION_KEY";
/** How long a setup config may be continued. CircleCI's limit. */
const timeLimitMs = 6 * 60 * 60_000;

type Remembered = Pick<NewPipeline, "environment" | "secretNames" | "contexts" | "only" | "parameters">;

/** What the workflows that are added later need of what the pipeline was made with. */
export function rememberForContinuation(
  { environment, secretNames, contexts, only, parameters }: NewPipeline,
  keyHash: string,
): Pick<Row<"pipeline">, "continuation_hash" | "continuation_json"> {
  const remembered = { environment, secretNames, contexts, only, parameters } as Remembered;
  return { continuation_hash: keyHash, continuation_json: JSON.stringify(remembered) };
}

/** With the key of CIRCLE_CONTINUATION_KEY. Throws ControlPlaneError: see `continuePipeline`. */
export async function continueByKey(context: Context, key: string, continuation: Continuation): Promise<void> {
  const pipeline = await pipelineOfContinuation(context.store.db, hashToken(key));
  if (!pipeline)
    throw new ControlPlaneError("not-found", `this is no continuation key: take the one in ${continuationVariable}`);
  await continuePipeline(context, pipeline, continuation);
}

/** For a task of the pipeline itself. */
export async function continueByTask(context: Context, task: Row<"task">, continuation: Continuation): Promise<void> {
  const pipeline = await findPipeline(context.store.db, task.pipeline_id);
  if (!pipeline?.continuation_json)
    throw new ControlPlaneError("conflict", "only a pipeline whose config has `setup: true` can be continued");
  if (continuation.request !== undefined && requestOf(pipeline) === continuation.request) return;
  await continuePipeline(context, pipeline, { ...continuation, check: (unit) => expectHolder(unit, task) });
}

/** Whose continuation it was. */
function requestOf({ continuation_json }: Row<"pipeline">): string | undefined {
  return (JSON.parse(continuation_json ?? "{}") as { request?: string }).request;
}

/**
 * Adds the workflows of another config to a pipeline whose config has `setup: true`. Throws ControlPlaneError: `conflict` the second time,
 * after six hours, and when the pipeline is over; `bad-request` for a config that does not compile or is a setup config itself, and for
 * parameters that have another value already; `unavailable` where nothing compiles.
 */
async function continuePipeline(
  context: Context,
  pipeline: Row<"pipeline">,
  { configuration, parameters: given, request, check }: Continuation & { check?: (unit: Unit) => Promise<void> },
): Promise<void> {
  checkOpen(pipeline, context.clock.now());
  const remembered = JSON.parse(pipeline.continuation_json ?? "null") as Remembered;
  const parameters = mergeParameters(remembered.parameters ?? {}, given);
  const wanted = { ...newPipelineOf(pipeline, configuration), ...remembered, parameters };
  const config = await compile(context, wanted, pipeline);
  const workflows = planWorkflows(config, {
    reference: referenceOf(wanted.vcs),
    ...(wanted.only === undefined ? {} : { only: wanted.only }),
  });
  await context.store.transaction(async (unit) => {
    await unit.lock(topics.pipeline(pipeline.id));
    await check?.(unit);
    // Another one may have been first meanwhile.
    const now = await findPipeline(unit.db, pipeline.id);
    if (now) checkOpen(now, context.clock.now());
    const draft = await draftWorkflows(context, unit, {
      wanted: { ...wanted, config },
      workflows,
      pipeline: { id: pipeline.id, number: pipeline.number },
      after: await takenPlaces(unit.db, pipeline.id),
    });
    const atMs = context.clock.now();
    await setContinued(unit.db, pipeline.id, { atMs, source: configuration, config: JSON.stringify(config), request });
    await insertPipelineParts(unit.db, draft.rows);
    const told = { type: "workflows-added", id: pipeline.id, atMs, workflows: draft.told } as const;
    await appendEvents(unit, pipeline.id, [{ told }]);
    await applyEvent(context, unit, pipeline.id, { type: "start" });
  });
}

function checkOpen(pipeline: Row<"pipeline">, nowMs: number): void {
  const { number } = pipeline;
  if (pipeline.continued_ms !== null)
    throw new ControlPlaneError("conflict", `pipeline ${number} has been continued already, and can be only once`);
  if (pipeline.ended_ms !== null || pipeline.cancel_reason !== null)
    throw new ControlPlaneError("conflict", `pipeline ${number} is over: it can be continued only while it runs`);
  if (nowMs - pipeline.created_ms > timeLimitMs)
    throw new ControlPlaneError(
      "conflict",
      `pipeline ${number} began more than 6 hours ago, and cannot be continued any more`,
    );
}

/** Parameters of the trigger hold for both configs. */
function mergeParameters(ofTrigger: Record<string, unknown>, given: Record<string, unknown>): Record<string, unknown> {
  const conflicts = Object.keys(given).filter(
    (name) => Object.hasOwn(ofTrigger, name) && ofTrigger[name] !== given[name],
  );
  if (conflicts.length > 0)
    throw new ControlPlaneError(
      "bad-request",
      `Conflicting pipeline parameters: ${conflicts.join(", ")} had another value when the pipeline was triggered`,
    );
  return { ...ofTrigger, ...given };
}

function newPipelineOf(pipeline: Row<"pipeline">, source: string) {
  return {
    project: { slug: pipeline.project, name: pipeline.project_name },
    source,
    vcs: JSON.parse(pipeline.vcs_json) as NewPipeline["vcs"],
    trigger: JSON.parse(pipeline.trigger_json) as NewPipeline["trigger"],
  };
}

async function compile(
  context: Context,
  {
    source,
    parameters,
    vcs,
    project,
  }: Pick<NewPipeline, "source" | "vcs" | "project"> & { parameters: Record<string, unknown> },
  { number, id }: Row<"pipeline">,
): Promise<NewPipeline["config"]> {
  if (!context.compile)
    throw new ControlPlaneError("unavailable", "nothing compiles configs here, so that no pipeline can be continued");
  const result = await context.compile({
    text: source,
    parameters,
    vcs,
    project,
    pipeline: { id, number },
    orbs: allOrbs(context),
  });
  if ("errors" in result)
    throw new ControlPlaneError("bad-request", `the config to go on with has errors:\n${result.errors}`);
  if (result.compiled.setup)
    throw new ControlPlaneError("bad-request", "the config to go on with has `setup: true` itself: take that out");
  return result.compiled;
}
