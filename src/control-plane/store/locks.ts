import type { LockState } from "../pipelines/state.ts";
import { nextNumbers } from "./counters.ts";
import type { Db } from "./store.ts";

/** A job that wants or has a lock. */
export interface LockClaim {
  job: string;
  name: string;
  pipelineId: string;
  pipelineNumber: number;
  project: string;
  state: "waiting" | "held";
  askedMs: number;
}

/** In order of asking. */
export async function loadClaims(db: Db, key: string): Promise<LockClaim[]> {
  const rows = await db
    .selectFrom("job")
    .innerJoin("pipeline", "pipeline.id", "job.pipeline_id")
    .where("job.lock_key", "=", key)
    .where("job.lock_state", "in", ["waiting", "held"])
    .orderBy("job.lock_order")
    .select([
      "job.id as job",
      "job.name",
      "pipeline.id as pipelineId",
      "pipeline.number as pipelineNumber",
      "pipeline.project",
      "job.lock_state as state",
      "job.lock_asked_ms as askedMs",
    ])
    .execute();
  return rows.map((row) => ({ ...row, state: row.state === "held" ? "held" : "waiting", askedMs: row.askedMs ?? 0 }));
}

/** By project, the number of the newest pipeline that had the lock. */
export async function newestHolders(db: Db, key: string): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom("job")
    .innerJoin("pipeline", "pipeline.id", "job.pipeline_id")
    .where("job.lock_key", "=", key)
    .where("job.lock_state", "=", "done")
    .groupBy("pipeline.project")
    .select((eb) => ["pipeline.project", eb.fn.max<number>("pipeline.number").as("number")])
    .execute();
  return new Map(rows.map(({ project, number }) => [project, number]));
}

export async function setLockState(db: Db, job: string, to: { state: LockState; atMs: number }): Promise<void> {
  const asked = to.state === "waiting" ? { lock_order: await nextNumbers(db, "lock"), lock_asked_ms: to.atMs } : {};
  await db
    .updateTable("job")
    .set({ lock_state: to.state, ...asked })
    .where("id", "=", job)
    .execute();
}

/** Keys of locks that somebody has waited for since before `beforeMs`. */
export async function keysWaitedFor(db: Db, beforeMs: number): Promise<string[]> {
  const rows = await db
    .selectFrom("job")
    .select("lock_key")
    .distinct()
    .where("lock_key", "is not", null)
    .where("lock_state", "=", "waiting")
    .where("lock_asked_ms", "<", beforeMs)
    .execute();
  return rows.flatMap(({ lock_key }) => lock_key ?? []);
}
