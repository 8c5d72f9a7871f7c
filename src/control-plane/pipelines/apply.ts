import type { Context } from "../context.ts";
import { appendEvents, type NewEvent } from "../store/events.ts";
import { loadClaims, newestHolders, setLockState } from "../store/locks.ts";
import {
  loadState,
  setApproved,
  setCancelled,
  setEnded,
  setJobStatus,
  setWorkflowStatus,
  taskColumns,
} from "../store/pipelines.ts";
import type { Unit } from "../store/store.ts";
import { findTask, updateTask } from "../store/tasks.ts";
import { topics } from "../topics.ts";
import { judgeLock } from "./locks.ts";
import { transition } from "./machine.ts";
import { rerunWorkflow } from "./rerun.ts";
import type { Effect, PipelineEvent, PipelineState } from "./state.ts";

type Needed = Pick<Context, "clock" | "newId">;

/**
 * Lets an event happen to a pipeline, in the caller's transaction: decided by the machine, written down and told here, with all
 * that follows from it for pipelines that wait for the same locks. Undefined: there is no such pipeline.
 */
export async function applyEvent(
  context: Needed,
  unit: Unit,
  pipelineId: string,
  event: PipelineEvent,
): Promise<PipelineState | undefined> {
  const locks = new Set<string>();
  const state = await applyToOne({ context, unit, locks }, pipelineId, event);
  await settleLocks(context, unit, locks);
  return state;
}

/** Tells those who wait for these locks what has become of it. */
export async function settleLocks(context: Needed, unit: Unit, locks: Set<string>): Promise<void> {
  for (const key of locks) {
    locks.delete(key);
    await unit.lock(`lock:${key}`);
    const [claims, newest] = [await loadClaims(unit.db, key), await newestHolders(unit.db, key)];
    const verdicts = judgeLock({ key, claims, newestHolders: newest, nowMs: context.clock.now() });
    for (const { pipelineId, event } of verdicts) await applyToOne({ context, unit, locks }, pipelineId, event);
  }
}

interface Applying {
  context: Needed;
  unit: Unit;
  /** Gets the keys of locks that others may get now. */
  locks: Set<string>;
}

async function applyToOne(
  applying: Applying,
  pipelineId: string,
  event: PipelineEvent,
): Promise<PipelineState | undefined> {
  const { context, unit, locks } = applying;
  await unit.lock(topics.pipeline(pipelineId));
  const before = await loadState(unit.db, pipelineId, await scopeOf(unit, event));
  if (!before) return undefined;
  const { state, effects } = transition(before, event);
  const atMs = context.clock.now();
  const told: NewEvent[] = [];
  for (const effect of effects) {
    await write(unit, effect, { pipelineId, atMs });
    const event = tell(effect, { pipelineId, atMs, state });
    if (event) told.push(event);
  }
  await appendEvents(unit, pipelineId, told);
  for (const effect of effects) {
    if (effect.type === "lock" && effect.state !== "held") locks.add(effect.key);
    if (effect.type !== "rerun") continue;
    await appendEvents(unit, pipelineId, [{ told: await rerunWorkflow(context, unit, effect.workflow) }]);
    await applyToOne(applying, pipelineId, { type: "start" });
  }
  return state;
}

/** A claim moves its own job alone, so that handing out takes as long in a big pipeline as in a small one. */
async function scopeOf(unit: Unit, event: PipelineEvent): Promise<{ onlyJob?: string }> {
  if (event.type !== "claimed") return {};
  const task = await findTask(unit.db, event.task);
  return task ? { onlyJob: task.job_id } : {};
}

interface At {
  pipelineId: string;
  atMs: number;
}

async function write(unit: Unit, effect: Effect, { pipelineId, atMs }: At): Promise<void> {
  switch (effect.type) {
    case "task":
      return await writeTask(unit, effect, atMs);
    case "cancel-task":
      await updateTask(unit.db, effect.task, { cancel_reason: effect.reason });
      return unit.notify(topics.task(effect.task));
    case "approved":
      return await setApproved(unit.db, effect.job, effect.by);
    case "job":
      return await setJobStatus(unit.db, effect.job, effect);
    case "cancelled":
      return await setCancelled(unit.db, pipelineId, effect.reason);
    case "lock":
      return await setLockState(unit.db, effect.job, { state: effect.state, atMs });
    case "workflow":
      return await setWorkflowStatus(unit.db, effect.workflow, effect.status);
    case "pipeline-ended":
      return await setEnded(unit.db, pipelineId, atMs);
    case "rerun":
      // Once all else is written down.
      return;
  }
}

async function writeTask(unit: Unit, effect: Effect & { type: "task" }, atMs: number): Promise<void> {
  await updateTask(unit.db, effect.task, taskColumns(effect, atMs));
  // An agent that holds the call open learns at once that its task is over.
  unit.notify(topics.task(effect.task));
  if (effect.status !== "queued") return;
  const task = await findTask(unit.db, effect.task);
  if (task) unit.notify(topics.queue(task.queue));
}

function tell(effect: Effect, { pipelineId, atMs, state }: At & { state: PipelineState }): NewEvent | undefined {
  switch (effect.type) {
    case "task": {
      const { type, task: taskId, job: jobId, attempt, status, agent, message } = effect;
      const index = state.jobs.find((job) => job.id === jobId)?.tasks.findIndex((task) => task.id === taskId) ?? 0;
      const words = { ...(agent === undefined ? {} : { agent }), ...(message === undefined ? {} : { message }) };
      return { told: { type, jobId, taskId, index, attempt, status, ...words, atMs }, attempt };
    }
    case "job":
      return { told: { type: "job", id: effect.job, status: effect.status, ...reasonOf(effect), atMs } };
    case "workflow":
      return { told: { type: "workflow", id: effect.workflow, status: effect.status, ...reasonOf(effect), atMs } };
    case "pipeline-ended":
      return { told: { type: "pipeline-ended", id: pipelineId, atMs } };
    default:
      return undefined;
  }
}

function reasonOf({ reason }: { reason?: string }): { reason?: string } {
  return reason === undefined ? {} : { reason };
}
