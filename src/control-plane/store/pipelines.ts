import type { JobState, LockState, PipelineState, TaskState, WorkflowState } from "../pipelines/state.ts";
import { isTaskEnd } from "../pipelines/status.ts";
import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

export interface NewPipelineRows {
  pipeline: NewRow<"pipeline">;
  workflows: NewRow<"workflow">[];
  jobs: NewRow<"job">[];
  tasks: NewRow<"task">[];
}

export async function insertPipeline(db: Db, rows: NewPipelineRows): Promise<void> {
  await db.insertInto("pipeline").values(rows.pipeline).execute();
  await insertPipelineParts(db, rows);
}

/** Into a pipeline that is there already. */
export async function insertPipelineParts(db: Db, rows: Omit<NewPipelineRows, "pipeline">): Promise<void> {
  for (const workflow of rows.workflows) await db.insertInto("workflow").values(workflow).execute();
  for (const job of rows.jobs) await db.insertInto("job").values(job).execute();
  for (const task of rows.tasks) await db.insertInto("task").values(task).execute();
}

export async function findPipeline(db: Db, id: string): Promise<Row<"pipeline"> | undefined> {
  return await db.selectFrom("pipeline").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function pipelineOfNumber(db: Db, number: number): Promise<Row<"pipeline"> | undefined> {
  return await db.selectFrom("pipeline").selectAll().where("number", "=", number).executeTakeFirst();
}

export async function jobsOfPipeline(db: Db, id: string): Promise<Pick<Row<"job">, "id" | "name" | "status">[]> {
  return await db
    .selectFrom("job")
    .select(["id", "name", "status"])
    .where("pipeline_id", "=", id)
    .orderBy("position")
    .execute();
}

/**
 * What the scheduler decides from, read back from the rows. Undefined: no such pipeline. With `onlyJob`, this job alone and
 * no workflow: enough for what cannot touch any other job, however many there are.
 */
export async function loadState(
  db: Db,
  pipelineId: string,
  { onlyJob }: { onlyJob?: string } = {},
): Promise<PipelineState | undefined> {
  const pipeline = await db
    .selectFrom("pipeline")
    .select(["cancel_reason", "ended_ms"])
    .where("id", "=", pipelineId)
    .executeTakeFirst();
  if (!pipeline) return undefined;
  return {
    ...(pipeline.cancel_reason === null ? {} : { cancelReason: pipeline.cancel_reason }),
    ended: pipeline.ended_ms !== null,
    workflows: onlyJob === undefined ? await loadWorkflows(db, pipelineId) : [],
    jobs: await loadJobs(db, pipelineId, onlyJob),
  };
}

async function loadWorkflows(db: Db, pipelineId: string): Promise<WorkflowState[]> {
  const workflows = await db
    .selectFrom("workflow")
    .select(["id", "status", "reason", "reruns_left"])
    .where("pipeline_id", "=", pipelineId)
    .orderBy("position")
    .execute();
  return workflows.map(({ id, status, reason, reruns_left }) => ({
    id,
    status: status as WorkflowState["status"],
    rerunsLeft: reruns_left,
    ...(reason === null ? {} : { reason }),
  }));
}

async function loadJobs(db: Db, pipelineId: string, onlyJob: string | undefined): Promise<JobState[]> {
  const tasks = await db
    .selectFrom("task")
    .select(["id", "job_id", "attempt", "status", "cancel_reason", "message"])
    .where("pipeline_id", "=", pipelineId)
    .$if(onlyJob !== undefined, (query) => query.where("job_id", "=", onlyJob ?? ""))
    .orderBy("job_id")
    .orderBy("node_index")
    .execute();
  const tasksOf = Map.groupBy(tasks, (task) => task.job_id);
  const jobs = await db
    .selectFrom("job")
    .select(["id", "workflow_id", "name", "kind", "requires_json", "status", "reason", "approved_by"])
    .select(["refusal", "refusal_status", "lock_key", "lock_state"])
    .where("pipeline_id", "=", pipelineId)
    .$if(onlyJob !== undefined, (query) => query.where("id", "=", onlyJob ?? ""))
    .orderBy("position")
    .execute();
  return jobs.map((job) => ({
    id: job.id,
    name: job.name,
    workflowId: job.workflow_id,
    kind: job.kind as JobState["kind"],
    requires: JSON.parse(job.requires_json) as JobState["requires"],
    status: job.status as JobState["status"],
    ...(job.reason === null ? {} : { reason: job.reason }),
    ...(job.refusal === null ? {} : { refusal: job.refusal }),
    ...(job.refusal_status === null ? {} : { refusalStatus: "unauthorized" as const }),
    ...(job.lock_key === null ? {} : { lock: job.lock_key }),
    ...(job.lock_state === null ? {} : { lockState: job.lock_state as LockState }),
    ...(job.approved_by === null ? {} : { approvedBy: job.approved_by }),
    tasks: (tasksOf.get(job.id) ?? []).map(taskState),
  }));
}

function taskState(row: Pick<Row<"task">, "id" | "attempt" | "status" | "cancel_reason" | "message">): TaskState {
  return {
    id: row.id,
    attempt: row.attempt,
    status: row.status as TaskState["status"],
    canceling: row.cancel_reason !== null,
    ...(row.message === null ? {} : { message: row.message }),
  };
}

export async function setJobStatus(db: Db, id: string, to: { status: string; reason?: string }): Promise<void> {
  await db
    .updateTable("job")
    .set({ status: to.status, reason: to.reason ?? null })
    .where("id", "=", id)
    .execute();
}

export async function setApproved(db: Db, id: string, by: string): Promise<void> {
  await db.updateTable("job").set({ approved_by: by }).where("id", "=", id).execute();
}

export async function setWorkflowStatus(db: Db, id: string, status: string): Promise<void> {
  await db.updateTable("workflow").set({ status }).where("id", "=", id).execute();
}

export async function setCancelled(db: Db, id: string, reason: string): Promise<void> {
  await db.updateTable("pipeline").set({ cancel_reason: reason }).where("id", "=", id).execute();
}

export async function setEnded(db: Db, id: string, atMs: number): Promise<void> {
  await db.updateTable("pipeline").set({ ended_ms: atMs }).where("id", "=", id).execute();
}

/** How a task's row follows from its new status. A task that is queued again starts over. */
export function taskColumns(
  to: { status: TaskState["status"]; attempt: number; message?: string },
  atMs: number,
): Partial<Row<"task">> {
  const message = to.message === undefined ? {} : { message: to.message };
  const columns = { status: to.status, attempt: to.attempt, ...message };
  if (to.status === "queued")
    return {
      ...columns,
      agent: null,
      claim_id: null,
      queued_ms: atMs,
      claimed_ms: null,
      lease_expires_ms: null,
      fenced: 0,
      begun: 0,
      output_bytes: 0,
      output_dropped: 0,
    };
  return isTaskEnd(to.status) ? { ...columns, lease_expires_ms: null, ended_ms: atMs } : columns;
}

export async function findJob(db: Db, id: string): Promise<Row<"job"> | undefined> {
  return await db.selectFrom("job").selectAll().where("id", "=", id).executeTakeFirst();
}

export type GraphJob = Pick<Row<"job">, "id" | "name" | "position" | "requires_json">;

/** Of all its workflows: a workflow that is run again goes on from jobs of the first one. */
export async function graphOfPipeline(db: Db, pipelineId: string): Promise<GraphJob[]> {
  return await db
    .selectFrom("job")
    .select(["id", "name", "position", "requires_json"])
    .where("pipeline_id", "=", pipelineId)
    .orderBy("position")
    .execute();
}

export interface WorkflowRows {
  workflow: Row<"workflow">;
  jobs: Row<"job">[];
  tasks: Row<"task">[];
  /** Where what is added to the pipeline comes. */
  nextWorkflowPosition: number;
  nextJobPosition: number;
}

export async function loadWorkflow(db: Db, id: string): Promise<WorkflowRows> {
  const workflow = await db.selectFrom("workflow").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  const jobs = await db.selectFrom("job").selectAll().where("workflow_id", "=", id).orderBy("position").execute();
  const tasks = await db
    .selectFrom("task")
    .innerJoin("job", "job.id", "task.job_id")
    .selectAll("task")
    .where("job.workflow_id", "=", id)
    .orderBy("job.position")
    .orderBy("task.node_index")
    .execute();
  return { workflow, jobs, tasks, ...(await nextPositions(db, workflow.pipeline_id)) };
}

export async function nextPositions(
  db: Db,
  pipelineId: string,
): Promise<Pick<WorkflowRows, "nextWorkflowPosition" | "nextJobPosition">> {
  const last = async (table: "workflow" | "job"): Promise<number> => {
    const row = await db
      .selectFrom(table)
      .select((eb) => eb.fn.max<number | null>("position").as("last"))
      .where("pipeline_id", "=", pipelineId)
      .executeTakeFirst();
    return row?.last ?? -1;
  };
  return { nextWorkflowPosition: (await last("workflow")) + 1, nextJobPosition: (await last("job")) + 1 };
}

/** What is taken in a pipeline that gets more workflows. */
export async function takenPlaces(
  db: Db,
  pipelineId: string,
): Promise<{ workflows: number; jobs: number; artifactDirectories: string[] }> {
  const { nextWorkflowPosition, nextJobPosition } = await nextPositions(db, pipelineId);
  const jobs = await db.selectFrom("job").select("artifact_directory").where("pipeline_id", "=", pipelineId).execute();
  const artifactDirectories = jobs.map(({ artifact_directory }) => artifact_directory);
  return { workflows: nextWorkflowPosition, jobs: nextJobPosition, artifactDirectories };
}

export async function pipelineOfContinuation(db: Db, hash: string): Promise<Row<"pipeline"> | undefined> {
  return await db.selectFrom("pipeline").selectAll().where("continuation_hash", "=", hash).executeTakeFirst();
}

/** What it was made with for this is not needed any more. */
export async function setContinued(
  db: Db,
  pipelineId: string,
  { atMs, source, config, request }: { atMs: number; source: string; config: string; request: string | undefined },
): Promise<void> {
  await db
    .updateTable("pipeline")
    .set({ continued_ms: atMs, source, config_json: config, continuation_json: JSON.stringify({ request }) })
    .where("id", "=", pipelineId)
    .execute();
}

export async function setRerunsLeft(db: Db, workflowId: string, rerunsLeft: number): Promise<void> {
  await db.updateTable("workflow").set({ reruns_left: rerunsLeft }).where("id", "=", workflowId).execute();
}
