import { topics } from "../topics.ts";
import type { Row } from "./schema.ts";
import type { Db, Unit } from "./store.ts";

export async function updateTask(db: Db, id: string, columns: Partial<Row<"task">>): Promise<void> {
  await db.updateTable("task").set(columns).where("id", "=", id).execute();
}

export async function findTask(db: Db, id: string): Promise<Row<"task"> | undefined> {
  return await db.selectFrom("task").selectAll().where("id", "=", id).executeTakeFirst();
}

/** The task as it is now, and as nobody else changes it until the transaction ends. */
export async function lockTask(
  unit: Unit,
  { id, pipeline_id }: Pick<Row<"task">, "id" | "pipeline_id">,
): Promise<Row<"task"> | undefined> {
  await unit.lock(topics.pipeline(pipeline_id));
  return await findTask(unit.db, id);
}

/**
 * The task that has waited longest in any of these queues, of those that nobody else is taking right now. For the transaction that claims
 * it.
 */
export async function takeOldestQueued(
  { db, hasRowLocks }: Unit,
  queues: readonly string[],
): Promise<Row<"task"> | undefined> {
  return await db
    .selectFrom("task")
    .selectAll()
    .where("status", "=", "queued")
    .where("queue", "in", queues)
    .orderBy("queue_order")
    .limit(1)
    .$if(hasRowLocks, (query) => query.forUpdate().skipLocked())
    .executeTakeFirst();
}

/** The running task that an agent got for this very claim before. */
export async function taskOfClaim(
  db: Db,
  claim: { queues: readonly string[]; agent: string; claimId: string },
): Promise<Row<"task"> | undefined> {
  return await db
    .selectFrom("task")
    .selectAll()
    .where("claim_id", "=", claim.claimId)
    .where("queue", "in", claim.queues)
    .where("agent", "=", claim.agent)
    .where("status", "=", "running")
    .executeTakeFirst();
}

/** Those of these queues that have a task to hand out. */
export async function queuesWithTasks(db: Db, queues: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom("task")
    .select("queue")
    .distinct()
    .where("status", "=", "queued")
    .where("queue", "in", queues)
    .execute();
  return rows.map((row) => row.queue);
}

/** Running tasks whose lease has run out. */
export async function tasksOutOfLease(db: Db, nowMs: number): Promise<Row<"task">[]> {
  return await db
    .selectFrom("task")
    .selectAll()
    .where("status", "=", "running")
    .where("lease_expires_ms", "<", nowMs)
    .execute();
}

/** Every lease lasts until `untilMs`. */
export async function setLeases(db: Db, untilMs: number): Promise<void> {
  await db.updateTable("task").set({ lease_expires_ms: untilMs }).where("status", "=", "running").execute();
}

/** Prolongs one attempt's lease, if it still holds it. */
export async function renewLease(db: Db, task: { id: string; attempt: number }, untilMs: number): Promise<void> {
  await db
    .updateTable("task")
    .set({ lease_expires_ms: untilMs })
    .where("id", "=", task.id)
    .where("attempt", "=", task.attempt)
    .where("status", "=", "running")
    .execute();
}

/** The number up to which a lane is stored. */
export async function ackedOf(db: Db, key: { taskId: string; attempt: number; lane: string }): Promise<number> {
  const row = await db
    .selectFrom("lane")
    .select("acked")
    .where("task_id", "=", key.taskId)
    .where("attempt", "=", key.attempt)
    .where("lane", "=", key.lane)
    .executeTakeFirst();
  return row?.acked ?? 0;
}

export async function setAcked(
  db: Db,
  key: { taskId: string; attempt: number; lane: string },
  acked: number,
): Promise<void> {
  await db
    .insertInto("lane")
    .values({ task_id: key.taskId, attempt: key.attempt, lane: key.lane, acked })
    .onConflict((conflict) => conflict.columns(["task_id", "attempt", "lane"]).doUpdateSet({ acked }))
    .execute();
}

/** Pipelines that have not ended, and have a task in this queue. */
export async function openPipelinesOfQueue(db: Db, queue: string): Promise<string[]> {
  const rows = await db
    .selectFrom("pipeline")
    .select("id")
    .where("ended_ms", "is", null)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom("task")
          .select("task.id")
          .whereRef("task.pipeline_id", "=", "pipeline.id")
          .where("task.queue", "=", queue),
      ),
    )
    .execute();
  return rows.map(({ id }) => id);
}

export async function runningTasksOf(
  db: Db,
  { pipelineId, queue }: { pipelineId: string; queue: string },
): Promise<Pick<Row<"task">, "id" | "attempt">[]> {
  return await db
    .selectFrom("task")
    .select(["id", "attempt"])
    .where("pipeline_id", "=", pipelineId)
    .where("queue", "=", queue)
    .where("status", "=", "running")
    .execute();
}

/** Tasks of a queue that have not ended. */
export async function countTasks(db: Db, queue?: string): Promise<{ queued: number; running: number }> {
  const query = db
    .selectFrom("task")
    .select((eb) => ["status", eb.fn.countAll<number>().as("count")])
    .where("status", "in", ["queued", "running"])
    .groupBy("status");
  const rows = await (queue === undefined ? query : query.where("queue", "=", queue)).execute();
  const count = (status: string): number => rows.find((row) => row.status === status)?.count ?? 0;
  return { queued: count("queued"), running: count("running") };
}

export interface QueueLoad {
  queue: string;
  queued: number;
  running: number;
  /** Since when the one that has waited longest is in the queue. */
  oldestMs: number | null;
}

/** Of every queue that has tasks which have not ended. */
export async function queueLoads(db: Db): Promise<QueueLoad[]> {
  const rows = await db
    .selectFrom("task")
    .select((eb) => ["queue", "status", eb.fn.countAll<number>().as("count"), eb.fn.min("queued_ms").as("oldest")])
    .where("status", "in", ["queued", "running"])
    .groupBy(["queue", "status"])
    .execute();
  return [...Map.groupBy(rows, ({ queue }) => queue)].map(([queue, of]) => {
    const queued = of.find(({ status }) => status === "queued");
    const running = of.find(({ status }) => status === "running")?.count ?? 0;
    return { queue, queued: queued?.count ?? 0, running, oldestMs: queued?.oldest ?? null };
  });
}

export interface OpenTask
  extends Pick<
    Row<"task">,
    "id" | "queue" | "status" | "attempt" | "agent" | "node_index" | "queued_ms" | "claimed_ms"
  > {
  pipeline: number;
  workflow: string;
  job: string;
}

/** Tasks that have not ended: those that run, then those that wait, in the order in which they are handed out. */
export async function openTasks(
  db: Db,
  { queue, limit }: { queue?: string | undefined; limit: number },
): Promise<OpenTask[]> {
  const query = db
    .selectFrom("task")
    .innerJoin("job", "job.id", "task.job_id")
    .innerJoin("workflow", "workflow.id", "job.workflow_id")
    .innerJoin("pipeline", "pipeline.id", "task.pipeline_id")
    .select(["task.id", "task.queue", "task.status", "task.attempt", "task.agent", "task.node_index"])
    .select(["task.queued_ms", "task.claimed_ms"])
    .select(["pipeline.number as pipeline", "workflow.name as workflow", "job.name as job"])
    .where("task.status", "in", ["queued", "running"])
    .orderBy("task.status", "desc")
    .orderBy("task.queue_order")
    .limit(limit);
  return await (queue === undefined ? query : query.where("task.queue", "=", queue)).execute();
}
