import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

export type ScheduleKey = Pick<Row<"schedule">, "project" | "branch" | "workflow" | "cron">;
export type DueSchedule = ScheduleKey & { due_ms: number };

/** A branch has these schedules now, and no others. One that it had before keeps the occurrence that it waits for. */
export async function replaceSchedules(
  db: Db,
  { project, branch }: Pick<ScheduleKey, "project" | "branch">,
  rows: readonly NewRow<"schedule">[],
): Promise<void> {
  const before = await db
    .deleteFrom("schedule")
    .where("project", "=", project)
    .where("branch", "=", branch)
    .returning(["workflow", "cron", "due_ms"])
    .execute();
  for (const row of rows) {
    const same = before.find(({ workflow, cron }) => workflow === row.workflow && cron === row.cron);
    await db
      .insertInto("schedule")
      .values({ ...row, due_ms: same?.due_ms ?? row.due_ms })
      .execute();
  }
}

/** The longest due first. */
export async function dueSchedules(db: Db, nowMs: number): Promise<DueSchedule[]> {
  const rows = await db
    .selectFrom("schedule")
    .select(["project", "branch", "workflow", "cron", "due_ms"])
    .where("due_ms", "<=", nowMs)
    .orderBy("due_ms")
    .execute();
  return rows.map((row) => ({ ...row, due_ms: row.due_ms ?? nowMs }));
}

/**
 * Takes an occurrence, so that nobody else gets it: the schedule waits for `nextMs` then. Answers the schedule as it is now;
 * undefined: another one was first, or the branch does not have it any more. Inside of a transaction.
 */
export async function claimOccurrence(
  db: Db,
  { project, branch, workflow, cron, due_ms }: DueSchedule,
  nextMs: number | undefined,
): Promise<Row<"schedule"> | undefined> {
  return await db
    .updateTable("schedule")
    .set({ due_ms: nextMs ?? null })
    .where("project", "=", project)
    .where("branch", "=", branch)
    .where("workflow", "=", workflow)
    .where("cron", "=", cron)
    .where("due_ms", "=", due_ms)
    .returningAll()
    .executeTakeFirst();
}
