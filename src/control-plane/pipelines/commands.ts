import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import { findJob } from "../store/pipelines.ts";
import type { Row } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { topics } from "../topics.ts";
import { applyEvent } from "./apply.ts";

/** Throws ControlPlaneError `not-found`. A pipeline that has ended, or is being cancelled, stays as it is. */
export async function cancelPipeline(context: Context, pipelineId: string, reason: string): Promise<void> {
  const state = await context.store.transaction((unit) =>
    applyEvent(context, unit, pipelineId, { type: "cancel", reason }),
  );
  if (!state) throw new ControlPlaneError("not-found", `there is no pipeline ${pipelineId}`);
}

/** Throws ControlPlaneError: `not-found`, or `conflict` for a job that does not wait for approval. */
export async function approveJob(context: Context, jobId: string, by: string): Promise<void> {
  await context.store.transaction(async (unit) => {
    const { pipeline_id } = await existingJob(unit, jobId);
    await unit.lock(topics.pipeline(pipeline_id));
    const job = await existingJob(unit, jobId);
    // Approved twice is approved.
    if (job.approved_by !== null) return;
    if (job.status !== "on_hold")
      throw new ControlPlaneError("conflict", `job ${job.name} is ${job.status}: it does not wait for approval`);
    await applyEvent(context, unit, job.pipeline_id, { type: "approve", job: jobId, by });
  });
}

async function existingJob(unit: Unit, id: string): Promise<Row<"job">> {
  const job = await findJob(unit.db, id);
  if (!job) throw new ControlPlaneError("not-found", `there is no job ${id}`);
  return job;
}
