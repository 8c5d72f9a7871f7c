import type { Readable } from "node:stream";
import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import type { Requirement } from "../pipelines/state.ts";
import { findJob, type GraphJob, graphOfPipeline } from "../store/pipelines.ts";
import type { Row } from "../store/schema.ts";
import { putWorkspaceLayer, workspaceLayersOf } from "../store/stored.ts";
import { keepBlob } from "./keep.ts";

type Layer = Awaited<ReturnType<typeof workspaceLayersOf>>[number];

/**
 * Layers that a task attaches: those of all jobs that its own requires, directly or not, in graph order; of one job by
 * task, of one task by step. So the order is always the same, and what was persisted later in the graph lies on top.
 */
export async function listLayers(context: Context, task: Row<"task">): Promise<Layer[]> {
  const job = await findJob(context.store.db, task.job_id);
  if (!job) return [];
  const upstream = upstreamOf(await graphOfPipeline(context.store.db, job.pipeline_id), job.id);
  const layers = await workspaceLayersOf(context.store.db, upstream);
  const place = new Map(upstream.map((id, index) => [id, index]));
  return layers.sort(
    (a, b) => (place.get(a.job_id) ?? 0) - (place.get(b.job_id) ?? 0) || a.node_index - b.node_index || a.step - b.step,
  );
}

export async function persistLayer(
  context: Context,
  task: Row<"task">,
  layer: { step: number; content: Readable; signal: AbortSignal },
): Promise<void> {
  const id = context.newId();
  const replaced = await keepBlob(context, task, { ...layer, key: `workspaces/${id}` }, (unit, stored) =>
    putWorkspaceLayer(unit.db, {
      id,
      job_id: task.job_id,
      task_id: task.id,
      attempt: task.attempt,
      step: layer.step,
      blob: stored.key,
      size_bytes: stored.sizeBytes,
      sha256: stored.sha256,
    }),
  );
  if (replaced) await context.blobs.remove(replaced.blob);
}

/** Throws ControlPlaneError `not-found` for a layer that this task does not attach, or whose bytes are gone. */
export async function openLayer(
  context: Context,
  task: Row<"task">,
  id: string,
): Promise<{ sizeBytes: number; content: Readable }> {
  const layer = (await listLayers(context, task)).find((candidate) => candidate.id === id);
  if (!layer) throw new ControlPlaneError("not-found", `this task's workspace has no layer ${id}`);
  const blob = { key: layer.blob, sizeBytes: layer.size_bytes, sha256: layer.sha256 };
  const content = await context.blobs.open(blob, () => undefined);
  if (!content)
    throw new ControlPlaneError(
      "not-found",
      `the bytes of workspace layer ${id} are gone; run the workflow again from its start`,
    );
  return { sizeBytes: layer.size_bytes, content };
}

/** Ids of the jobs that a job requires, directly or not, in graph order. Jobs come with each after those that it requires. */
function upstreamOf(jobs: readonly GraphJob[], id: string): string[] {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const found = new Set<string>();
  const visit = (of: string): void => {
    const job = byId.get(of);
    if (!job) return;
    for (const requirement of JSON.parse(job.requires_json) as Requirement[]) {
      if (found.has(requirement.job)) continue;
      found.add(requirement.job);
      visit(requirement.job);
    }
  };
  visit(id);
  return jobs.filter((job) => found.has(job.id)).map((job) => job.id);
}
