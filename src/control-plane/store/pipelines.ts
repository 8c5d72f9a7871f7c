import type { JobState, PipelineState, TaskState, WorkflowState } from "../pipelines/state.ts";
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
  for (const workflow of rows.workflows) await db.insertInto("workflow").values(workflow).execute();
  for (const job of rows.jobs) await db.insertInto("job").values(job).execute();
  for (const task of rows.tasks) await db.insertInto("task").values(task).execute();
}

export async function findPipeline(db: Db, id: string): Promise<Row<"pipeline"> | undefined> {
  return await db.selectFrom("pipeline").selectAll().where("id", "=", id).executeTakeFirst();
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
    .select(["id", "status"])
    .where("pipeline_id", "=", pipelineId)
    .orderBy("position")
    .execute();
  return workflows as WorkflowState[];
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
    .select(["id", "workflow_id", "name", "kind", "requires_json", "status", "reason", "refusal", "approved_by"])
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
    .set({ status: to.status, ...(to.reason === undefined ? {} : { reason: to.reason }) })
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
export function taskColumns(to: {
  status: TaskState["status"];
  attempt: number;
  message?: string;
}): Partial<Row<"task">> {
  const message = to.message === undefined ? {} : { message: to.message };
  const columns = { status: to.status, attempt: to.attempt, ...message };
  if (to.status === "queued")
    return {
      ...columns,
      agent: null,
      claim_id: null,
      lease_expires_ms: null,
      fenced: 0,
      begun: 0,
      output_bytes: 0,
      output_dropped: 0,
    };
  return isTaskEnd(to.status) ? { ...columns, lease_expires_ms: null } : columns;
}

export async function findJob(db: Db, id: string): Promise<Row<"job"> | undefined> {
  return await db.selectFrom("job").selectAll().where("id", "=", id).executeTakeFirst();
}

export type GraphJob = Pick<Row<"job">, "id" | "name" | "position" | "requires_json">;

export async function jobsOfWorkflow(db: Db, workflowId: string): Promise<GraphJob[]> {
  return await db
    .selectFrom("job")
    .select(["id", "name", "position", "requires_json"])
    .where("workflow_id", "=", workflowId)
    .orderBy("position")
    .execute();
}
